//! What can be wrong with a file of points, polygons or rows.

use std::path::{Path, PathBuf};

/// A table that can't be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VectorError {
    /// The file can't be opened or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file's content is wrong.
    #[error("{}: {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What, and in which row.
        what: String,
        /// What to do.
        help: String,
    },
    /// Text that is no point.
    #[error("{what}")]
    Point {
        /// What is wrong.
        what: String,
    },
    /// Rows that have no text or JSON.
    #[error("{what}")]
    Rows {
        /// Which column, and why.
        what: String,
    },
    /// The table can't be written in that format.
    #[error("{}: {what}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Why.
        what: String,
    },
}

impl VectorError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::Io { .. } => "check the name, and that it may be read or written".into(),
            Self::Content { help, .. } => help.clone(),
            Self::Point { .. } => "write longitude, then latitude, in degrees: -88.77,44.29".into(),
            Self::Rows { .. } => "name an output with -o: .parquet or .arrow hold any column".into(),
            Self::Format { .. } => {
                "write .parquet, .arrow, .csv or .geojson (.parquet holds everything), where there is room for it".into()
            }
        })
    }

    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |source| Self::Io { path: path.to_path_buf(), source }
    }

    pub(super) fn content(path: &Path, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Content { path: path.to_path_buf(), what: what.into(), help: help.into() }
    }
}
