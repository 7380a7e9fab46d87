//! What can be wrong with an Icechunk repository.

use crate::source::SourceError;

/// A repository that can't be read.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum IcechunkError {
    /// Its bytes can't be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// There is no repository.
    #[error("{root}: no Icechunk repository: it has neither a `repo` file nor refs/branch.main/ref.json")]
    NotOne {
        /// Where.
        root: String,
    },
    /// There is no such branch, tag or snapshot.
    #[error("{root}: the repository has no {what}")]
    NoSuchState {
        /// Where.
        root: String,
        /// Which.
        what: String,
        /// Branches and tags that it has, as far as they are known.
        known: Vec<String>,
    },
    /// A file is damaged or made to harm.
    #[error("{file}: {reason}")]
    Corrupt {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A file is of a sort that is not read.
    #[error("{file}: {what} is not supported")]
    Unsupported {
        /// The file.
        file: String,
        /// What.
        what: String,
    },
}

impl IcechunkError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Source(e) => e.help().map(ToOwned::to_owned),
            Self::NotOne { .. } => {
                Some("name the folder that holds `refs`, `snapshots`, `manifests` and `chunks`".into())
            }
            Self::NoSuchState { known, .. } if known.is_empty() => Some("check the name".into()),
            Self::NoSuchState { known, .. } => Some(format!("it has {}", known.join(", "))),
            Self::Corrupt { .. } => Some("the file is damaged or incomplete: fetch it again".into()),
            Self::Unsupported { .. } => {
                Some("copy what you need into a plain Zarr store with the icechunk package".into())
            }
        }
    }
}
