//! A state of an Icechunk repository as a store.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::error::ZarrError;
use super::group::{Node, open_store};
use super::store::Store;
use crate::icechunk::{At, Icechunk};
use crate::source::{Location, Source};

#[derive(Debug)]
struct IcechunkStore {
    repository: Icechunk,
    root: Location,
    /// Paths of all groups and arrays.
    paths: Vec<String>,
}

/// Opens the Icechunk repository at `root` as it was `at` some state.
///
/// # Errors
/// If there is no repository or no such state, or it is damaged.
pub fn open_icechunk(root: &Location, at: &At) -> Result<Node, ZarrError> {
    let repository = Icechunk::open(root, at)?;
    let paths = repository.nodes().map(|(path, _)| path.to_owned()).collect();
    open_store(Arc::new(IcechunkStore { repository, root: root.clone(), paths }))
}

impl Store for IcechunkStore {
    fn place(&self, key: &str) -> String {
        if key.is_empty() { self.root.to_string() } else { format!("{} {key}", self.root) }
    }

    fn open(&self, key: &str) -> Result<Option<Arc<dyn Source>>, ZarrError> {
        Ok(self.repository.get(key)?)
    }

    fn is_remote(&self) -> bool {
        self.root.is_remote()
    }

    fn children(&self, key: &str) -> Option<Vec<String>> {
        let prefix = if key.is_empty() { String::new() } else { format!("{key}/") };
        let below = self.paths.iter().filter_map(|p| p.strip_prefix(&prefix));
        Some(below.filter(|p| !p.is_empty() && !p.contains('/')).map(str::to_owned).collect())
    }

    fn files(&self, key: &str) -> Result<Vec<String>, ZarrError> {
        Ok(self.repository.files(key)?)
    }

    fn noted(&self) -> BTreeSet<String> {
        self.repository.noted()
    }
}
