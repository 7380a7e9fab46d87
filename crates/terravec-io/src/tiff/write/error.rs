//! What can go wrong while a COG is written.

use std::io;
use std::path::{Path, PathBuf};

/// An error of the COG writer. Whatever it is, nothing has been left at the target's path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CogError {
    /// The folder cannot be written to, the disk is full, ….
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The file to be written.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The specification contradicts itself or asks for what the format cannot hold.
    #[error("cannot write {} as a COG: {problem}", path.display())]
    Spec {
        /// The file to be written.
        path: PathBuf,
        /// What does not fit, and what would.
        problem: String,
    },
    /// A block lies outside the grid or has the wrong shape or type.
    #[error("block (column {bx}, row {by}) of {}: {problem}", path.display())]
    Block {
        /// The file to be written.
        path: PathBuf,
        /// Block column.
        bx: usize,
        /// Block row.
        by: usize,
        /// What does not fit.
        problem: String,
    },
    /// A stored block of a finer level could not be read back while overviews were built.
    #[error("cannot read back block (column {bx}, row {by}) for the overviews of {}: {source}", path.display())]
    ReadBack {
        /// The file to be written.
        path: PathBuf,
        /// Block column.
        bx: usize,
        /// Block row.
        by: usize,
        /// What the operating system or the decoder said.
        source: io::Error,
    },
}

impl CogError {
    /// Wraps an I/O error of the file to be written at `path`.
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}
