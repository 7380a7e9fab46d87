//! Vectors as rows: what every learner takes.

use terravec::{Error, Result};

/// Row-major float32 numbers with a name for each column.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    data: Vec<f32>,
    rows: usize,
    names: Vec<String>,
}

impl Matrix {
    /// A matrix of the rows in `data`, as long as there are `names`.
    ///
    /// # Errors
    /// If `data` is not a whole number of rows, or there are no columns.
    pub fn new(data: Vec<f32>, names: Vec<String>) -> Result<Self> {
        if names.is_empty() || !data.len().is_multiple_of(names.len()) {
            return Err(Error::Query {
                what: format!("{} numbers are no rows of {}", data.len(), names.len()),
                help: "give an array (rows, dimension)".into(),
            });
        }
        Ok(Self { rows: data.len() / names.len(), data, names })
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns: the length of a vector.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.names.len()
    }

    /// Names of the columns.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// All numbers, row by row.
    #[must_use]
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// One row.
    #[must_use]
    pub fn row(&self, i: usize) -> &[f32] {
        &self.data[i * self.cols()..(i + 1) * self.cols()]
    }

    /// The rows `index`, in that order.
    #[must_use]
    pub fn select(&self, index: &[usize]) -> Self {
        let mut data = Vec::with_capacity(index.len() * self.cols());
        for &i in index {
            data.extend_from_slice(self.row(i));
        }
        Self { data, rows: index.len(), names: self.names.clone() }
    }
}
