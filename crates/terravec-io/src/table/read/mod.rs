//! Streams batches of a file: chosen columns, row groups and rows, read ahead, in bounded memory.
//!
//! A thread per read does the work, and hands over one batch at a time. While it decodes a row group, the next one is
//! fetched. Columns of vectors are decoded by [`direct`], all else by the Parquet crate.

mod direct;
mod feed;
mod group;
mod hybrid;
mod page;
mod pages;
mod unit;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use arrow::array::RecordBatch;

use super::{TableError, TableFile};
use crate::geoparquet::guard::guarded;
pub(super) use direct::pool;
pub(super) use feed::Feed;
use feed::WINDOWS;
use group::GroupReader;
use unit::{Fetching, Unit};

/// Batches that wait for whoever reads.
const WAITING: usize = 1;
/// Row groups that are fetched at a time, at most.
const MOST_AHEAD: usize = 32;

/// What is read of a file.
#[derive(Debug, Clone)]
pub struct ReadPlan {
    /// Columns of the schema; batches have them in this order.
    pub columns: Vec<usize>,
    /// Row groups; rows come in this order.
    pub groups: Vec<usize>,
    /// Only these rows, as numbers of rows of the file from 0: ascending ranges that do not overlap. Rows outside the
    /// groups are not read. `None` is all rows of the groups.
    pub rows: Option<Vec<Range<u64>>>,
    /// Rows of a batch, at most. Batches of long vectors have fewer, to stay below 64 MiB.
    pub batch_rows: usize,
}

/// Batches in the order of the plan, read ahead in another thread. Dropping it ends the reading.
#[derive(Debug)]
pub struct Batches {
    batches: Receiver<Result<RecordBatch, TableError>>,
}

impl TableFile {
    /// Streams rows. A batch is of one row group.
    ///
    /// With `rows`, only the pages that hold them are fetched, where the file has an index of pages; all ranges of a
    /// row group in one call of the source.
    ///
    /// # Errors
    /// If the plan names columns or groups that are not there, or rows out of order, or if the index of pages can't be
    /// read. What goes wrong later comes as the last item of the iterator.
    pub fn read(&self, plan: &ReadPlan) -> Result<Batches, TableError> {
        let units = unit::units(self, plan)?;
        let (sender, batches) = sync_channel(WAITING);
        let (file, columns, batch_rows) = (self.clone(), plan.columns.clone(), plan.batch_rows.max(1));
        thread::Builder::new()
            .name("terravec-read".into())
            .spawn(move || {
                let outcome = guarded(|| Ok(run(&file, &columns, batch_rows, units, &sender)));
                let lost = |what| Err(TableError::Damaged { url: file.url().into(), what });
                if let Err(e) = outcome.unwrap_or_else(lost) {
                    // Nobody listens any more: then nobody wants to know.
                    let _ = sender.send(Err(e));
                }
            })
            .map_err(|e| TableError::Unsupported {
                url: self.url().into(),
                what: format!("no thread to read it: {e}"),
            })?;
        Ok(Batches { batches })
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batches.recv().ok()
    }
}

/// Reads all units; ends early where nobody takes the batches.
fn run(
    file: &TableFile,
    columns: &[usize],
    batch_rows: usize,
    units: Vec<Unit>,
    out: &SyncSender<Result<RecordBatch, TableError>>,
) -> Result<(), TableError> {
    let mut units = units.into_iter().peekable();
    let mut ahead = VecDeque::new();
    loop {
        // At least one row group is on its way, and more where they are small: far away each is a round trip.
        let more = |ahead: &VecDeque<Fetching>, unit: &Unit| {
            let flying: u64 = ahead.iter().map(Fetching::bytes).sum();
            ahead.is_empty() || (ahead.len() < MOST_AHEAD && flying + unit.bytes() <= WINDOWS)
        };
        while let Some(unit) = units.next_if(|unit| more(&ahead, unit)) {
            ahead.push_back(unit.fetch(file));
        }
        let Some(fetching) = ahead.pop_front() else { return Ok(()) };
        let fetched = fetching.wait()?;
        if let Some(unit) = units.next_if(|unit| more(&ahead, unit)) {
            ahead.push_back(unit.fetch(file));
        }
        let mut reader = GroupReader::open(file, columns, batch_rows, fetched)?;
        while let Some(batch) = reader.next()? {
            if out.send(Ok(batch)).is_err() {
                return Ok(());
            }
        }
    }
}
