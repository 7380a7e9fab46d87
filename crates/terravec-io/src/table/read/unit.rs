//! A plan cut into row groups, each with the bytes that it needs.

use std::ops::Range;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection, RowSelector};
use parquet::file::metadata::RowGroupMetaData;

use super::feed::{Feed, WINDOWS};
use super::{ReadPlan, pages};
use crate::geoparquet::guard::guarded;
use crate::source::SourceError;
use crate::table::file::count;
use crate::table::{TableError, TableFile};

/// A row group, or some rows of it.
pub(super) struct Unit {
    /// The metadata to read it by, and its number in them.
    pub(super) arrow: ArrowReaderMetadata,
    pub(super) group: usize,
    /// `None` is all rows.
    pub(super) selection: Option<RowSelection>,
    /// Rows that are read.
    pub(super) rows: usize,
    /// Where its bytes are.
    lanes: Vec<Range<u64>>,
}

/// The row groups of a plan that have wanted rows.
pub(super) fn units(file: &TableFile, plan: &ReadPlan) -> Result<Vec<Unit>, TableError> {
    let bad = |what: String| TableError::Column {
        url: file.url().into(),
        what,
        help: "this is a mistake of the program that reads: please report it".into(),
    };
    if let Some(column) = plan.columns.iter().find(|c| **c >= file.0.leaves.len()) {
        return Err(bad(format!("it has no column {column}")));
    }
    if let Some(group) = plan.groups.iter().find(|g| **g >= file.groups()) {
        return Err(bad(format!("it has no row group {group}")));
    }
    if let Some(rows) = &plan.rows {
        let sorted = rows.windows(2).all(|w| w[0].end <= w[1].start) && rows.iter().all(|r| r.start <= r.end);
        if !sorted {
            return Err(bad("the rows asked for are not in order".into()));
        }
    }
    let mut leaves: Vec<usize> = plan.columns.iter().flat_map(|c| file.0.leaves[*c].clone()).collect();
    leaves.sort_unstable();
    leaves.dedup();
    let metadata = file.0.arrow.metadata();
    let mut units = Vec::new();
    let mut first = 0;
    let starts: Vec<u64> = metadata
        .row_groups()
        .iter()
        .map(|g| {
            let start = first;
            first += count(g.num_rows());
            start
        })
        .collect();
    for group in plan.groups.iter().copied() {
        let here = metadata.row_group(group);
        let total = count(here.num_rows());
        let span = starts[group]..starts[group] + total;
        let selection = plan.rows.as_deref().map(|rows| select(rows, &span));
        let rows = selection.as_ref().map_or(total, |s| s.row_count() as u64);
        if rows == 0 {
            continue;
        }
        let lanes = leaves.iter().map(|leaf| lane(here, *leaf)).collect();
        let rows_here =
            usize::try_from(rows).map_err(|_| bad(format!("row group {group} has {rows} rows")))?;
        let selection = selection.filter(|_| rows < total);
        units.push(Unit { arrow: file.0.arrow.clone(), group, selection, rows: rows_here, lanes });
    }
    by_pages(file, &leaves, &mut units)?;
    Ok(units)
}

fn lane(group: &RowGroupMetaData, leaf: usize) -> Range<u64> {
    let (start, length) = group.column(leaf).byte_range();
    start..start.saturating_add(length)
}

/// The part of `rows` inside `span`, as selected rows of it.
#[allow(clippy::cast_possible_truncation)] // counts of rows of a group that is read
fn select(rows: &[Range<u64>], span: &Range<u64>) -> RowSelection {
    let mut selectors = Vec::new();
    let mut at = span.start;
    let from = rows.partition_point(|r| r.end <= span.start);
    for range in rows[from..].iter().take_while(|r| r.start < span.end) {
        let (start, end) = (range.start.max(at), range.end.min(span.end));
        if start < end {
            selectors.push(RowSelector::skip((start - at) as usize));
            selectors.push(RowSelector::select((end - start) as usize));
            at = end;
        }
    }
    selectors.push(RowSelector::skip((span.end - at) as usize));
    RowSelection::from(selectors)
}

/// Narrows units with a selection to the pages that hold it, where all of them have an index of pages.
fn by_pages(file: &TableFile, leaves: &[usize], units: &mut [Unit]) -> Result<(), TableError> {
    let picked: Vec<&mut Unit> = units.iter_mut().filter(|u| u.selection.is_some()).collect();
    if picked.is_empty() || leaves.is_empty() {
        return Ok(());
    }
    let metadata = Arc::clone(file.0.arrow.metadata());
    let groups: Vec<&RowGroupMetaData> = picked.iter().map(|u| metadata.row_group(u.group)).collect();
    let Some(indexes) = pages::offset_indexes(file.0.source.as_ref(), &groups, leaves)? else {
        return Ok(());
    };
    let lanes: Vec<Vec<Range<u64>>> = picked
        .iter()
        .zip(&indexes)
        .map(|(unit, index)| {
            let selection = unit.selection.iter();
            let group = metadata.row_group(unit.group);
            let of = |leaf: &usize| {
                let pages = index[*leaf].page_locations();
                let whole = lane(group, *leaf);
                // What stands before the first page is the dictionary.
                let first = pages.first().and_then(|p| u64::try_from(p.offset).ok()).unwrap_or(whole.end);
                let mut lanes = vec![whole.start..first];
                lanes.extend(selection.clone().flat_map(|s| s.scan_ranges(pages)));
                lanes
            };
            leaves.iter().flat_map(of).collect()
        })
        .collect();
    let narrowed: Vec<RowGroupMetaData> = groups.into_iter().cloned().collect();
    let arrow = guarded(|| {
        let builder = metadata.as_ref().clone().into_builder();
        let narrowed = builder.set_row_groups(narrowed).set_offset_index(Some(indexes)).build();
        ArrowReaderMetadata::try_new(Arc::new(narrowed), ArrowReaderOptions::new()).map_err(|e| e.to_string())
    })
    .map_err(|what| TableError::Damaged { url: file.url().into(), what })?;
    for (i, (unit, lanes)) in picked.into_iter().zip(lanes).enumerate() {
        (unit.arrow, unit.group, unit.lanes) = (arrow.clone(), i, lanes);
    }
    Ok(())
}

/// A unit whose bytes are on their way.
pub(super) struct Fetching {
    unit: Unit,
    bytes: u64,
    url: String,
    feed: JoinHandle<Result<Feed, SourceError>>,
}

/// A unit and its bytes.
pub(super) struct Fetched {
    pub(super) unit: Unit,
    pub(super) feed: Arc<Feed>,
}

impl Unit {
    /// Where all bytes of a column are.
    pub(super) fn lanes_of(&self, file: &TableFile, column: usize) -> Vec<Range<u64>> {
        let group = self.arrow.metadata().row_group(self.group);
        file.0.leaves[column].clone().map(|leaf| lane(group, leaf)).collect()
    }

    /// Bytes that are in memory at a time while it is read.
    pub(super) fn bytes(&self) -> u64 {
        self.lanes.iter().map(|l| l.end - l.start).sum::<u64>().min(WINDOWS)
    }

    pub(super) fn fetch(mut self, file: &TableFile) -> Fetching {
        let (source, size) = (Arc::clone(&file.0.source), file.0.size);
        let bytes = self.bytes();
        let lanes = std::mem::take(&mut self.lanes);
        Fetching {
            unit: self,
            bytes,
            url: file.url().into(),
            feed: thread::spawn(move || Feed::open(source, size, lanes)),
        }
    }
}

impl Fetching {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn wait(self) -> Result<Fetched, TableError> {
        let lost = |_| SourceError::Io { url: self.url, what: "reading ended unexpectedly".into() };
        let feed = self.feed.join().map_err(lost)??;
        Ok(Fetched { unit: self.unit, feed: Arc::new(feed) })
    }
}
