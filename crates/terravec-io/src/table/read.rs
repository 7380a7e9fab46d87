//! Streams batches.

use std::ops::Range;

use arrow::array::RecordBatch;

use super::{TableError, TableFile};

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
    /// Rows of a batch, at most.
    pub batch_rows: usize,
}

/// Batches in the order of the plan, read ahead in another thread. Dropping it ends the reading.
pub struct Batches {}

impl std::fmt::Debug for Batches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Batches")
    }
}

impl TableFile {
    /// Streams rows.
    ///
    /// # Errors
    /// If the plan names columns or groups that are not there or rows out of order, or the index of pages can't be
    /// read. What goes wrong later comes as the last item of the iterator.
    pub fn read(&self, plan: ReadPlan) -> Result<Batches, TableError> {
        let _ = plan;
        unimplemented!()
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        unimplemented!()
    }
}
