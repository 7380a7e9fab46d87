//! Icechunk repositories, read-only: a Zarr hierarchy whose states are kept as snapshots.
//!
//! A branch or tag names a snapshot; the snapshot lists groups and arrays with their Zarr metadata; manifests say for each chunk in which object
//! its bytes lie. [`Icechunk::get`] answers a Zarr key with a [`Source`], so that whoever reads Zarr needs to know
//! nothing of all this. Format: <https://icechunk.io/en/stable/reference/spec/>, versions 1 and 2.

mod error;
mod file;
mod flat;
mod manifest;
mod part;
mod refs;
mod snapshot;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

pub use error::IcechunkError;
use file::Id;
use manifest::{Chunk, Manifest};
use part::Part;
use snapshot::{Content, Node};

use crate::noted::Noted;
use crate::source::{Location, MemorySource, Source};

/// Manifests kept for the next chunk; more are read again.
const MAX_MANIFESTS: usize = 64;

/// Which state of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// The tip of a branch.
    Branch(String),
    /// A tag.
    Tag(String),
    /// A snapshot, by its id.
    Snapshot(String),
}

impl Default for At {
    fn default() -> Self {
        Self::Branch("main".to_owned())
    }
}

impl std::str::FromStr for At {
    type Err = String;

    /// `branch=NAME`, `tag=NAME` or `snapshot=ID`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some(("branch", name)) => Ok(Self::Branch(name.to_owned())),
            Some(("tag", name)) => Ok(Self::Tag(name.to_owned())),
            Some(("snapshot", id)) => Ok(Self::Snapshot(id.to_owned())),
            _ => Err(format!("`{text}` names no state: write branch=NAME, tag=NAME or snapshot=ID")),
        }
    }
}

/// A state of a repository.
#[derive(Debug)]
pub struct Icechunk {
    root: Location,
    snapshot: String,
    nodes: Vec<Node>,
    manifests: Mutex<HashMap<(Id<12>, Id<8>), Arc<Manifest>>>,
    noted: Noted,
}

impl Icechunk {
    /// Whether a repository lies in the local folder `root`.
    #[must_use]
    pub fn is_at(root: &Location) -> bool {
        let has = |name: &str| root.join(name).path().is_some_and(std::path::Path::exists);
        has("snapshots") && (has("refs") || has("repo"))
    }

    /// Opens the repository at `root` as it was `at` some state: two or three requests.
    ///
    /// # Errors
    /// If there is none, it has no such branch, tag or snapshot, or its files are damaged.
    pub fn open(root: &Location, at: &At) -> Result<Self, IcechunkError> {
        let snapshot = refs::resolve(root, at)?;
        let nodes = snapshot::read(&root.join("snapshots").join(&snapshot))?;
        let noted = Noted::default();
        for file in refs::files(at).into_iter().chain([format!("snapshots/{snapshot}")]) {
            noted.note(|| file);
        }
        Ok(Self { root: root.clone(), snapshot, nodes, manifests: Mutex::default(), noted })
    }

    /// The files below the root that say where the bytes under a key are, and that hold them.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn files(&self, key: &str) -> Result<Vec<String>, IcechunkError> {
        let Some((node, index)) = self.chunk_of(key.trim_matches('/')) else { return Ok(Vec::new()) };
        let Content::Array(manifests) = &node.content else { return Ok(Vec::new()) };
        let mut files: Vec<String> = manifests
            .iter()
            .filter(|m| m.covers(&index))
            .map(|m| format!("manifests/{}", m.id.name()))
            .collect();
        match self.chunk(node, &index)? {
            Some(Chunk::Native { id, .. }) => files.push(format!("chunks/{}", id.name())),
            Some(Chunk::Virtual(location)) => return Err(self.elsewhere(key, &location)),
            Some(Chunk::Inline(_)) | None => {}
        }
        Ok(files)
    }

    /// The files below the root that were read until this was first asked.
    pub(crate) fn noted(&self) -> BTreeSet<String> {
        self.noted.take()
    }

    fn elsewhere(&self, key: &str, location: &str) -> IcechunkError {
        IcechunkError::Unsupported {
            file: format!("{} {key}", self.root),
            what: format!("a chunk that lies outside the repository, at {location},"),
        }
    }

    /// The id of the snapshot.
    #[must_use]
    pub fn snapshot(&self) -> &str {
        &self.snapshot
    }

    /// All groups and arrays: path without the leading `/` (the root is empty), and the text of its `zarr.json`.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.nodes.iter().map(|node| (node.path.as_str(), node.metadata.as_ref()))
    }

    /// The bytes under a Zarr key, such as `31N/embeddings/zarr.json` or `31N/embeddings/c/0/1/2/0`; `None` where there are none.
    ///
    /// # Errors
    /// If a manifest can't be read, or the bytes lie outside the repository (a virtual chunk).
    pub fn get(&self, key: &str) -> Result<Option<Arc<dyn Source>>, IcechunkError> {
        let shown = || format!("{} {key}", self.root);
        let key = key.trim_matches('/');
        if key == "zarr.json" || key.ends_with("/zarr.json") {
            let path = key.trim_end_matches("zarr.json").trim_end_matches('/');
            let node = self.nodes.iter().find(|n| n.path == path);
            return Ok(
                node.map(|n| Arc::new(MemorySource::new(shown(), n.metadata.clone())) as Arc<dyn Source>)
            );
        }
        let Some((node, index)) = self.chunk_of(key) else { return Ok(None) };
        let Some(chunk) = self.chunk(node, &index)? else { return Ok(None) };
        Ok(Some(match chunk {
            Chunk::Inline(bytes) => Arc::new(MemorySource::new(shown(), bytes)),
            Chunk::Native { id, offset, length } => {
                self.noted.note(|| format!("chunks/{}", id.name()));
                let object = self.root.join("chunks").join(&id.name()).open()?;
                Arc::new(Part::new(object, offset, length))
            }
            Chunk::Virtual(location) => return Err(self.elsewhere(key, &location)),
        }))
    }

    /// The array and the place in it that a key means.
    fn chunk_of(&self, key: &str) -> Option<(&Node, Vec<u32>)> {
        let arrays = self.nodes.iter().filter(|n| matches!(n.content, Content::Array(_)));
        arrays
            .filter_map(|node| {
                let rest = key.strip_prefix(node.path.as_str())?.trim_start_matches('/').strip_prefix('c')?;
                let parts = rest.split(['/', '.']).filter(|p| !p.is_empty());
                Some((node, parts.map(|p| p.parse().ok()).collect::<Option<Vec<u32>>>()?))
            })
            .max_by_key(|(node, _)| node.path.len())
    }

    fn chunk(&self, node: &Node, index: &[u32]) -> Result<Option<Chunk>, IcechunkError> {
        let Content::Array(manifests) = &node.content else { return Ok(None) };
        for reference in manifests.iter().filter(|m| m.covers(index)) {
            if let Some(chunk) = self.manifest(reference.id, node.id)?.get(index) {
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }

    /// What a manifest says of one array.
    fn manifest(&self, id: Id<12>, node: Id<8>) -> Result<Arc<Manifest>, IcechunkError> {
        let kept = |m: &Mutex<HashMap<_, Arc<Manifest>>>| m.lock().ok()?.get(&(id, node)).cloned();
        if let Some(manifest) = kept(&self.manifests) {
            return Ok(manifest);
        }
        self.noted.note(|| format!("manifests/{}", id.name()));
        let manifest = Arc::new(Manifest::read(&self.root.join("manifests").join(&id.name()), node)?);
        if let Ok(mut all) = self.manifests.lock() {
            if all.len() >= MAX_MANIFESTS {
                all.clear();
            }
            all.insert((id, node), Arc::clone(&manifest));
        }
        Ok(manifest)
    }
}
