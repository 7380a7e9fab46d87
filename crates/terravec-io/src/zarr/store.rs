//! Where the objects of a store are: below a location, or wherever an Icechunk manifest says.

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;

use super::error::ZarrError;
use crate::source::{Location, Source, SourceError};

/// Metadata longer than this is not read.
const MAX_METADATA: u64 = 256 << 20;

/// Objects by key, such as `utm33/embeddings/c/0/0/1/2`.
pub trait Store: Send + Sync + Debug {
    /// What the object with this key is called in messages.
    fn place(&self, key: &str) -> String;

    /// The object, or `None` if it is known not to exist; one that turns out not to exist when it is read is as good as none.
    ///
    /// # Errors
    /// If the store can't be reached or read.
    fn open(&self, key: &str) -> Result<Option<Arc<dyn Source>>, ZarrError>;

    /// Whether each object costs a round trip.
    fn is_remote(&self) -> bool;

    /// Names of what lies directly below `key`; `None` where the store can't tell.
    fn children(&self, key: &str) -> Option<Vec<String>>;
}

/// A store whose objects are files below a folder or address.
#[derive(Debug, Clone)]
pub struct FileStore {
    root: Location,
}

impl FileStore {
    /// The store at `root`.
    #[must_use]
    pub fn new(root: Location) -> Self {
        Self { root }
    }
}

impl Store for FileStore {
    fn place(&self, key: &str) -> String {
        self.root.join(key).to_string()
    }

    fn open(&self, key: &str) -> Result<Option<Arc<dyn Source>>, ZarrError> {
        let location = self.root.join(key);
        // A folder where a chunk is looked for is no chunk.
        if location.path().is_some_and(std::path::Path::is_dir) {
            return Ok(None);
        }
        present(location.open())
    }

    fn is_remote(&self) -> bool {
        self.root.is_remote()
    }

    fn children(&self, key: &str) -> Option<Vec<String>> {
        let entries = std::fs::read_dir(self.root.join(key).path()?).ok()?;
        let mut names: Vec<String> = entries
            .flatten()
            .filter(|e| e.path().is_dir())
            .filter_map(|e| e.file_name().into_string().ok())
            .collect();
        names.sort_unstable();
        Some(names)
    }
}

/// `None` for what is not there.
pub(super) fn present<T>(answer: Result<T, SourceError>) -> Result<Option<T>, ZarrError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(SourceError::NotFound { .. }) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// The whole of a metadata object, `None` if there is none.
pub(super) fn read_metadata(store: &dyn Store, key: &str) -> Result<Option<Bytes>, ZarrError> {
    let Some(source) = store.open(key)? else { return Ok(None) };
    let Some(size) = present(source.len())? else { return Ok(None) };
    if size > MAX_METADATA {
        return Err(ZarrError::corrupt(source.url(), format!("{size} bytes of metadata are too many")));
    }
    present(source.read(0..size))
}
