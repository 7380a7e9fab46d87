//! Tables of vectors as text: thousands of columns of numbers, streamed.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::TableError;
use crate::codes::DType;
use crate::source::Source;

/// What the columns of a text table are. Columns named nowhere are text; an empty cell is null.
#[derive(Debug, Clone)]
pub struct CsvPlan {
    /// Columns whose numbers are the vector, in order.
    pub vector: Vec<usize>,
    /// Name of the column of vectors in the batches: a fixed-size list, the last column.
    pub name: String,
    /// `F32` or `F64`, the type of the vector's numbers.
    pub dtype: DType,
    /// Other columns of numbers: float64.
    pub numbers: Vec<usize>,
    /// Rows of a batch, at most.
    pub batch_rows: usize,
}

/// A text table of which the header is known.
#[derive(Debug)]
pub struct CsvTable {}

impl CsvTable {
    /// Reads the header. The separator is the one that the header has most of: comma, tab, semicolon or bar.
    ///
    /// # Errors
    /// If the source can't be read or has no header.
    pub fn open(source: Arc<dyn Source>) -> Result<Self, TableError> {
        let _ = source;
        unimplemented!()
    }

    /// Names of the columns.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        unimplemented!()
    }

    /// The columns that batches of this plan have.
    ///
    /// # Errors
    /// If the plan names columns that are not there, or a type that text is not parsed as.
    pub fn schema(&self, plan: &CsvPlan) -> Result<SchemaRef, TableError> {
        let _ = plan;
        unimplemented!()
    }

    /// Streams all rows. A missing number is NaN in a vector and null elsewhere.
    ///
    /// # Errors
    /// As [`schema`](Self::schema). A cell that is no number is the last item of the iterator, and names line and column.
    pub fn read(
        &self,
        plan: &CsvPlan,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, TableError>> + Send + use<>, TableError> {
        let _ = plan;
        Ok(std::iter::empty())
    }
}
