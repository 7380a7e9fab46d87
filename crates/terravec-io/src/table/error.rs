//! What can be wrong with a table of vectors.

use crate::source::SourceError;

/// A table that can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The bytes can't be had.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The file is broken, or no table at all.
    #[error("{url}: {what}")]
    Damaged {
        /// The file.
        url: String,
        /// What is broken, and where.
        what: String,
    },
    /// The file is sound, but uses what is not supported.
    #[error("{url}: {what}")]
    Unsupported {
        /// The file.
        url: String,
        /// What it uses.
        what: String,
    },
    /// A column is not there, or holds something else.
    #[error("{url}: {what}")]
    Column {
        /// The file; empty where the caller's arrays are at fault.
        url: String,
        /// Which column, and what is wrong with it.
        what: String,
        /// What to do.
        help: String,
    },
    /// A cell of a text table is no number.
    #[error("{url}: line {line}, column {column}: {what}")]
    Cell {
        /// The file.
        url: String,
        /// Line of the file, the header being line 1.
        line: u64,
        /// Name of the column.
        column: String,
        /// What stands there.
        what: String,
    },
}

impl TableError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        match self {
            Self::Source(e) => e.help(),
            Self::Damaged { .. } => Some("the file is cut short or damaged: fetch or write it again"),
            Self::Unsupported { .. } => Some("write the file anew, for example with pyarrow"),
            Self::Column { help, .. } => Some(help),
            Self::Cell { .. } => Some("correct the cell, or leave the line out"),
        }
    }
}
