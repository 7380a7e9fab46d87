//! What can be wrong with a NumPy file.

use crate::source::SourceError;

/// A NumPy file that can't be read.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum NpyError {
    /// Its bytes can't be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The file is no NPY file.
    #[error("{file}: not an NPY file: {reason}")]
    NotNpy {
        /// The file.
        file: String,
        /// What it starts with.
        reason: String,
    },
    /// The header is damaged, or promises more than the file holds.
    #[error("{file}: {reason}")]
    Corrupt {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// The array holds what is no vector.
    #[error("{file}: arrays of type {descr} are not read: {reason}")]
    Unsupported {
        /// The file.
        file: String,
        /// The type, as the file has it.
        descr: String,
        /// Why.
        reason: &'static str,
    },
    /// The question does not fit the array.
    #[error("{file}: {reason}")]
    Request {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
}

impl NpyError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        match self {
            Self::Source(e) => e.help(),
            Self::NotNpy { .. } => {
                Some("name an .npy file; arrays in an .npz archive must be unpacked first")
            }
            Self::Corrupt { .. } => Some("the file is damaged or incomplete: fetch it again"),
            Self::Unsupported { .. } => {
                Some("save it again as an array of numbers, such as `array.astype('float32')`")
            }
            Self::Request { .. } => None,
        }
    }
}
