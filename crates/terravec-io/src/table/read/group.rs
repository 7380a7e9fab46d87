//! Batches of one row group, put together from columns that are decoded in different ways.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};

use super::direct::{self, Direct};
use super::feed::{Feed, FeedReader};
use super::unit::{Fetched, Unit};
use crate::geoparquet::guard::guarded;
use crate::table::{TableError, TableFile};

/// Bytes of the vectors of a batch.
const BATCH_BYTES: usize = 64 << 20;

/// Reads one unit.
pub(super) struct GroupReader {
    file: TableFile,
    unit: Unit,
    feed: Arc<Feed>,
    schema: SchemaRef,
    columns: Vec<usize>,
    batch_rows: usize,
    /// Rows read so far.
    done: usize,
    parts: Vec<Part>,
}

/// Some columns, and what decodes them.
struct Part {
    columns: Vec<usize>,
    feed: Arc<Feed>,
    decoder: Decoder,
}

enum Decoder {
    Direct(Box<dyn Direct>),
    Crate(Box<ParquetRecordBatchReader>),
}

impl GroupReader {
    pub(super) fn open(
        file: &TableFile,
        columns: &[usize],
        batch_rows: usize,
        fetched: Fetched,
    ) -> Result<Self, TableError> {
        let Fetched { unit, feed } = fetched;
        let schema = file.schema().project(columns).map_err(|e| damaged(file, e.to_string()))?;
        let mut reader = Self {
            file: file.clone(),
            unit,
            feed,
            schema: Arc::new(schema),
            columns: columns.to_vec(),
            batch_rows,
            done: 0,
            parts: Vec::new(),
        };
        let mut others = Vec::new();
        let mut distinct = columns.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        for column in distinct {
            match reader.direct(column) {
                Some(direct) => {
                    reader.batch_rows = reader.batch_rows.min(BATCH_BYTES / direct.row_bytes()).max(1);
                    let feed = Arc::clone(&reader.feed);
                    reader.parts.push(Part { columns: vec![column], feed, decoder: Decoder::Direct(direct) });
                }
                None => others.push(column),
            }
        }
        if !others.is_empty() {
            let part = reader.by_crate(others, Arc::clone(&reader.feed), reader.unit.selection.clone())?;
            reader.parts.push(part);
        }
        Ok(reader)
    }

    fn direct(&self, column: usize) -> Option<Box<dyn Direct>> {
        let leaves = &self.file.0.leaves[column];
        if self.unit.selection.is_some() || leaves.len() != 1 {
            return None;
        }
        let kind = self.file.schema().field(column).data_type();
        direct::column(&self.feed, kind, self.unit.arrow.metadata().row_group(self.unit.group), leaves.start)
    }

    fn by_crate(
        &self,
        columns: Vec<usize>,
        feed: Arc<Feed>,
        selection: Option<RowSelection>,
    ) -> Result<Part, TableError> {
        let leaves = columns.iter().flat_map(|c| self.file.0.leaves[*c].clone());
        let input = FeedReader(Arc::clone(&feed));
        let reader = guarded(|| {
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(input, self.unit.arrow.clone());
            let mask = ProjectionMask::leaves(builder.parquet_schema(), leaves);
            let mut builder = builder
                .with_projection(mask)
                .with_row_groups(vec![self.unit.group])
                .with_batch_size(self.batch_rows);
            if let Some(selection) = selection {
                builder = builder.with_row_selection(selection);
            }
            builder.build().map_err(|e| e.to_string())
        })
        .map_err(|what| self.failure(&feed, what))?;
        Ok(Part { columns, feed, decoder: Decoder::Crate(Box::new(reader)) })
    }

    /// The next batch; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>, TableError> {
        let rows = self.batch_rows.min(self.unit.rows - self.done);
        if rows == 0 {
            return Ok(None);
        }
        let mut found: Vec<(usize, ArrayRef)> = Vec::with_capacity(self.columns.len());
        for i in 0..self.parts.len() {
            let arrays = self.take(i, rows)?;
            found.extend(self.parts[i].columns.iter().copied().zip(arrays));
        }
        self.done += rows;
        let of = |column: &usize| found.iter().find(|(c, _)| c == column).map(|(_, array)| Arc::clone(array));
        let arrays: Vec<ArrayRef> = self.columns.iter().filter_map(of).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map(Some)
            .map_err(|e| damaged(&self.file, e.to_string()))
    }

    fn take(&mut self, part: usize, rows: usize) -> Result<Vec<ArrayRef>, TableError> {
        let Part { feed, decoder, .. } = &mut self.parts[part];
        let failed = match decoder {
            Decoder::Crate(reader) => {
                let batch = guarded(|| match reader.next() {
                    Some(batch) => batch.map_err(|e| e.to_string()),
                    None => Err("it has fewer rows than its footer claims".into()),
                });
                match batch {
                    Ok(batch) if batch.num_rows() == rows => return Ok(batch.columns().to_vec()),
                    Ok(batch) => Some(format!("a column has {} rows where {rows} are due", batch.num_rows())),
                    Err(e) => Some(e),
                }
            }
            Decoder::Direct(direct) => match guarded(|| direct.take(rows).map_err(|e| e.to_string())) {
                Ok(Some(array)) => return Ok(vec![array]),
                Ok(None) => None,
                Err(e) => Some(e),
            },
        };
        if let Some(what) = failed {
            let feed = Arc::clone(feed);
            return Err(self.failure(&feed, what));
        }
        // Not a column of vectors of equal length after all: the Parquet crate reads on from here.
        let columns = self.parts[part].columns.clone();
        let lanes = columns.iter().flat_map(|c| self.unit.lanes_of(&self.file, *c)).collect();
        let feed = Arc::new(Feed::open(Arc::clone(&self.file.0.source), self.file.0.size, lanes)?);
        let selection = RowSelection::from(vec![
            RowSelector::skip(self.done),
            RowSelector::select(self.unit.rows - self.done),
        ]);
        self.parts[part] = self.by_crate(columns, feed, Some(selection))?;
        self.take(part, rows)
    }

    /// What failed: the source if it did, else the file.
    fn failure(&self, feed: &Feed, what: String) -> TableError {
        match feed.take_failure() {
            Some(e) => e.into(),
            None if what.contains("Disabled feature")
                || what.contains("not supported")
                || what.contains("NYI") =>
            {
                TableError::Unsupported { url: self.file.url().into(), what }
            }
            None => damaged(&self.file, format!("row group {}: {what}", self.unit.group)),
        }
    }
}

fn damaged(file: &TableFile, what: String) -> TableError {
    TableError::Damaged { url: file.url().into(), what }
}
