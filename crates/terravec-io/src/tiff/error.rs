//! What can be wrong with a TIFF; every message names the file and, where there is one, the tag.

use crate::source::SourceError;

/// A GeoTIFF that can't be read.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TiffError {
    /// Its bytes can't be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The file is no TIFF.
    #[error("{file}: not a TIFF: {reason}")]
    NotTiff {
        /// The file.
        file: String,
        /// What it starts with.
        reason: String,
    },
    /// The file is damaged, cut or made to harm.
    #[error("{file}: {tag}: {reason}")]
    Corrupt {
        /// The file.
        file: String,
        /// The tag or part.
        tag: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is a TIFF of a sort that is not read.
    #[error("{file}: {tag}: {what} is not supported")]
    Unsupported {
        /// The file.
        file: String,
        /// The tag.
        tag: String,
        /// What it says.
        what: String,
    },
    /// The question does not fit the file.
    #[error("{file}: {reason}")]
    Request {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
}

impl TiffError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        match self {
            Self::Source(e) => e.help(),
            Self::NotTiff { .. } => Some("name a GeoTIFF; other formats have their own readers"),
            Self::Corrupt { .. } => Some("the file is damaged or incomplete: fetch it again"),
            Self::Unsupported { .. } => Some(
                "rewrite it with GDAL, for example `gdal_translate -of COG -co COMPRESS=ZSTD -co PREDICTOR=YES IN OUT`",
            ),
            Self::Request { .. } => Some("ask for bands and pixels that the file has"),
        }
    }
}
