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
            Self::Format { .. } => "use .parquet, .arrow, .csv or .geojson".into(),
        })
    }

    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |source| Self::Io { path: path.to_path_buf(), source }
    }

    pub(super) fn content(path: &Path, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Content { path: path.to_path_buf(), what: what.into(), help: help.into() }
    }
}

/// Refuses a place that is none; says when longitude and latitude look exchanged.
pub(super) fn check_place(lon: f64, lat: f64) -> Result<(), String> {
    if (-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat) {
        return Ok(());
    }
    // A few sources count longitudes from 0 to 360.
    let hint = if lon.abs() <= 90.0 && lat.abs() <= 180.0 && lat.abs() > 90.0 {
        "; did you swap longitude and latitude?"
    } else {
        ""
    };
    Err(format!("longitude {lon}, latitude {lat} is no place on Earth{hint}"))
}
