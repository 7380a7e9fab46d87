//! A column of vectors as stored numbers, whatever it is made of.

use arrow::array::ArrayRef;

use super::TableError;
use crate::codes::{DType, Samples};

/// What is known of a column of vectors.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct VectorSpec {
    /// The length that is wanted. `None` takes that of the column's type, else of its first vector.
    pub dim: Option<usize>,
    /// The numbers in a column of bytes, little-endian; and the type that text is parsed as (float32 if `None`).
    pub dtype: Option<DType>,
}

/// What a row has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VectorState {
    /// A vector of the wanted length with finite numbers.
    Present,
    /// No vector.
    Null,
    /// A vector of another length; this is it.
    Length(usize),
    /// A number of it is missing, NaN or infinite.
    NotFinite,
    /// Text that is no vector.
    Unreadable,
}

/// The vectors of some rows.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorBlock {
    /// Row-major, `dim` numbers for each row. Those of a row that is not [`Present`](VectorState::Present) mean nothing.
    pub samples: Samples,
    /// Numbers per row.
    pub dim: usize,
    /// One per row.
    pub states: Vec<VectorState>,
}

/// The vectors of a column of lists (of any kind, of numbers), of fixed-size or other bytes, or of text such as
/// `[0.1, 0.2]`. Numbers keep their type; 64-bit integers must fit into 32.
///
/// Nothing is copied where the column holds the only reference to its numbers and they lie row by row, as those that
/// come fresh from a file do: take the column out of its batch and drop the rest.
///
/// # Errors
/// If the column is of a type that holds no vectors, or bytes come without [`VectorSpec::dtype`].
pub fn vectors_of(column: ArrayRef, spec: &VectorSpec) -> Result<VectorBlock, TableError> {
    let _ = (column, spec);
    unimplemented!()
}

/// The vectors of a table with one column per number, in order. Numbers of several types become float64.
///
/// # Errors
/// If there is no column, or one is not numeric.
pub fn vectors_of_columns(columns: &[ArrayRef]) -> Result<VectorBlock, TableError> {
    let _ = columns;
    unimplemented!()
}
