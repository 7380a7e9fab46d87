//! What can be wrong with a Zarr store; every message names the object it is about.

use crate::icechunk::IcechunkError;
use crate::source::SourceError;

/// A Zarr store that can't be read.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ZarrError {
    /// Its bytes can't be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The Icechunk repository it is in can't be read.
    #[error(transparent)]
    Icechunk(#[from] IcechunkError),
    /// There is no array or group.
    #[error("{place}: there is no Zarr array or group")]
    NotFound {
        /// Where it was looked for.
        place: String,
    },
    /// A copy of a part of a store lacks a chunk.
    #[error("{place}: this part of the store was not copied")]
    NotCopied {
        /// The object.
        place: String,
    },
    /// An object is damaged, cut or made to harm.
    #[error("{key}: {reason}")]
    Corrupt {
        /// The object.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store is of a sort that is not read.
    #[error("{key}: {what} is not supported")]
    Unsupported {
        /// The object that says so.
        key: String,
        /// What it says.
        what: String,
    },
    /// The question does not fit the array.
    #[error("{array}: {reason}")]
    Request {
        /// The array.
        array: String,
        /// What is wrong.
        reason: String,
    },
}

impl ZarrError {
    pub(crate) fn corrupt(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Corrupt { key: key.into(), reason: reason.into() }
    }

    pub(crate) fn unsupported(key: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Unsupported { key: key.into(), what: what.into() }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let text = match self {
            Self::Source(e) => return e.help().map(ToOwned::to_owned),
            Self::Icechunk(e) => return e.help(),
            Self::NotFound { .. } => "name the folder or address that holds zarr.json, .zgroup or .zarray",
            Self::NotCopied { .. } => "download this place and year too, into the same folder",
            Self::Corrupt { .. } => "the store is damaged or incomplete: fetch it again",
            Self::Unsupported { .. } => {
                "write the array again with zarr-python's default codecs (bytes, then zstd or blosc)"
            }
            Self::Request { .. } => return None,
        };
        Some(text.to_owned())
    }
}
