//! Where the objects of a store are: below a location, or wherever an Icechunk manifest says.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Debug;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::error::ZarrError;
use crate::noted::Noted;
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

    /// The files below the root that hold the object with this key. They may turn out not to exist.
    ///
    /// # Errors
    /// If the store can't be reached or read, or the object lies elsewhere.
    fn files(&self, key: &str) -> Result<Vec<String>, ZarrError>;

    /// The files below the root that were looked for until this was first asked: what opening the store needs.
    fn noted(&self) -> BTreeSet<String>;
}

/// A file in a copy of a part of a store: keys of chunks that the whole store does not have, a line each. Where it is, other chunks that
/// are missing were not copied.
pub const ABSENT: &str = ".terravec/absent";

/// A store whose objects are files below a folder or address.
#[derive(Debug)]
pub struct FileStore {
    root: Location,
    noted: Noted,
    /// Of a copy of a part of a store: chunks that the whole store does not have.
    absent: OnceLock<Option<HashSet<String>>>,
}

impl FileStore {
    /// The store at `root`.
    #[must_use]
    pub fn new(root: Location) -> Self {
        Self { root, noted: Noted::default(), absent: OnceLock::new() }
    }

    /// Refuses to take a chunk that was not copied for one that was never written.
    fn check_copied(&self, key: &str) -> Result<(), ZarrError> {
        let read = || {
            let text = std::fs::read_to_string(self.root.join(ABSENT).path()?).ok()?;
            Some(text.lines().map(str::to_owned).collect())
        };
        let metadata = ["zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata"];
        match self.absent.get_or_init(read) {
            Some(absent) if !metadata.iter().any(|m| key.ends_with(m)) && !absent.contains(key) => {
                Err(ZarrError::NotCopied { place: self.place(key) })
            }
            _ => Ok(()),
        }
    }
}

impl Store for FileStore {
    fn place(&self, key: &str) -> String {
        self.root.join(key).to_string()
    }

    fn open(&self, key: &str) -> Result<Option<Arc<dyn Source>>, ZarrError> {
        let location = self.root.join(key);
        self.noted.note(|| key.to_owned());
        // A folder where a chunk is looked for is no chunk.
        let found = match location.path().is_some_and(std::path::Path::is_dir) {
            true => None,
            false => present(location.open())?,
        };
        if found.is_none() {
            self.check_copied(key)?;
        }
        Ok(found)
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

    fn files(&self, key: &str) -> Result<Vec<String>, ZarrError> {
        Ok(vec![key.to_owned()])
    }

    fn noted(&self) -> BTreeSet<String> {
        self.noted.take()
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
