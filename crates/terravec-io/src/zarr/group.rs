//! Groups: what is in a store, from as few objects as possible.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::array::Array;
use super::cache::ShardCache;
use super::error::ZarrError;
use super::metadata::{ArrayMetadata, Attributes, json};
use super::store::{FileStore, Store, read_metadata};
use crate::source::Location;

/// A group or an array.
#[derive(Debug, Clone)]
pub enum Node {
    /// A group.
    Group(Group),
    /// An array.
    Array(Array),
}

/// A group of a store.
#[derive(Debug, Clone)]
pub struct Group {
    store: Arc<dyn Store>,
    shards: Arc<ShardCache>,
    path: String,
    attributes: Attributes,
    /// All nodes below the group or one above it, by path from the root, where one object tells of all.
    consolidated: Option<Arc<BTreeMap<String, Document>>>,
}

/// What was read of a node, not yet looked at.
#[derive(Debug, Clone)]
enum Document {
    V3(Value),
    V2 { array: Option<Value>, attributes: Attributes },
}

/// Opens the array or group at `location`, of Zarr version 2 or 3.
///
/// # Errors
/// If there is none, or its metadata are damaged or of a sort that is not read.
pub fn open(location: &Location) -> Result<Node, ZarrError> {
    open_store(Arc::new(FileStore::new(location.clone())))
}

/// Opens the root of a store.
///
/// # Errors
/// As [`open`].
pub fn open_store(store: Arc<dyn Store>) -> Result<Node, ZarrError> {
    let root = Group {
        store,
        shards: Arc::default(),
        path: String::new(),
        attributes: Attributes::new(),
        consolidated: None,
    };
    let place = root.store.place("");
    root.fetch("")?.ok_or(ZarrError::NotFound { place })
}

impl Group {
    /// Its path from the root of the store; empty for the root.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What it is called in messages.
    #[must_use]
    pub fn place(&self) -> String {
        self.store.place(&self.path)
    }

    /// Its attributes.
    #[must_use]
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// Whether one object told of all that is in the group.
    #[must_use]
    pub fn is_consolidated(&self) -> bool {
        self.consolidated.is_some()
    }

    /// Names of the nodes directly in the group; `None` where the store can't tell.
    #[must_use]
    pub fn names(&self) -> Option<Vec<String>> {
        let Some(all) = &self.consolidated else {
            let mut names = self.store.children(&self.path)?;
            names.retain(|n| is_name(n));
            return Some(names);
        };
        let prefix = if self.path.is_empty() { String::new() } else { format!("{}/", self.path) };
        let below = all.keys().filter_map(|k| k.strip_prefix(&prefix)).filter(|k| !k.is_empty());
        let mut names: Vec<String> = below.filter(|k| !k.contains('/')).map(str::to_owned).collect();
        names.retain(|n| is_name(n));
        names.dedup();
        Some(names)
    }

    /// The node called `name` in the group, if there is one.
    ///
    /// # Errors
    /// If it is damaged or of a sort that is not read.
    pub fn get(&self, name: &str) -> Result<Option<Node>, ZarrError> {
        if !is_name(name) {
            return Ok(None);
        }
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) };
        match &self.consolidated {
            Some(all) => all.get(&path).map(|d| self.node(&path, d, None)).transpose(),
            None => self.fetch(&path),
        }
    }

    /// The array called `name` in the group, if there is one.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn array(&self, name: &str) -> Result<Option<Array>, ZarrError> {
        Ok(self.get(name)?.and_then(|node| match node {
            Node::Array(array) => Some(array),
            Node::Group(_) => None,
        }))
    }

    /// Looks in the store for the node at `path`.
    fn fetch(&self, path: &str) -> Result<Option<Node>, ZarrError> {
        let key = |file: &str| if path.is_empty() { file.to_owned() } else { format!("{path}/{file}") };
        let read = |file: &str| -> Result<Option<Value>, ZarrError> {
            let key = key(file);
            read_metadata(&*self.store, &key)?.map(|bytes| json(&self.store.place(&key), &bytes)).transpose()
        };
        if let Some(document) = read("zarr.json")? {
            let all = consolidated_v3(path, &document);
            return self.node(path, &Document::V3(document), all).map(Some);
        }
        let all = read(".zmetadata")?.and_then(|document| consolidated_v2(path, &document));
        if let Some(all) = all {
            let root = all.get(path).cloned();
            let root = root.unwrap_or(Document::V2 { array: None, attributes: Attributes::new() });
            return self.node(path, &root, Some(all)).map(Some);
        }
        let array = read(".zarray")?;
        if array.is_none() && read(".zgroup")?.is_none() {
            return Ok(None);
        }
        let attributes = match read(".zattrs")? {
            Some(Value::Object(map)) => map,
            _ => Attributes::new(),
        };
        self.node(path, &Document::V2 { array, attributes }, None).map(Some)
    }

    fn node(
        &self,
        path: &str,
        document: &Document,
        consolidated: Option<BTreeMap<String, Document>>,
    ) -> Result<Node, ZarrError> {
        let place = self.store.place(path);
        let group = |attributes| {
            let consolidated = consolidated.map(Arc::new).or_else(|| self.consolidated.clone());
            Node::Group(Self { path: path.to_owned(), attributes, consolidated, ..self.clone() })
        };
        let array = |metadata| {
            Node::Array(Array::new(
                Arc::clone(&self.store),
                Arc::clone(&self.shards),
                path.to_owned(),
                metadata,
            ))
        };
        match document {
            Document::V3(value) => {
                let format = value.get("zarr_format").and_then(Value::as_u64);
                let kind = value.get("node_type").and_then(Value::as_str);
                match (format, kind) {
                    (Some(3), Some("array")) => Ok(array(ArrayMetadata::v3(&place, value)?)),
                    (Some(3), Some("group")) => Ok(group(
                        value.get("attributes").and_then(Value::as_object).cloned().unwrap_or_default(),
                    )),
                    _ => Err(ZarrError::corrupt(
                        place,
                        format!(
                            "zarr.json is of no array or group (zarr_format {format:?}, node_type {kind:?})"
                        ),
                    )),
                }
            }
            Document::V2 { array: Some(value), attributes } => {
                Ok(array(ArrayMetadata::v2(&place, value, attributes.clone())?))
            }
            Document::V2 { array: None, attributes } => Ok(group(attributes.clone())),
        }
    }
}

/// Whether a node may have this name: what may not could lead out of the store.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.contains(['/', '\\', ':', '\0'])
        && name.chars().any(|c| c != '.')
        && !name.starts_with("__")
}

fn below(path: &str, key: &str) -> Option<String> {
    // Paths are read by parts, so that none can lead out of the store.
    let key = key.trim_matches('/');
    if !key.is_empty() && !key.split('/').all(is_name) {
        return None;
    }
    Some(match (path.is_empty(), key.is_empty()) {
        (true, _) => key.to_owned(),
        (_, true) => path.to_owned(),
        _ => format!("{path}/{key}"),
    })
}

fn consolidated_v3(path: &str, document: &Value) -> Option<BTreeMap<String, Document>> {
    let all = document.get("consolidated_metadata")?.get("metadata")?.as_object()?;
    Some(all.iter().filter_map(|(k, v)| Some((below(path, k)?, Document::V3(v.clone())))).collect())
}

fn consolidated_v2(path: &str, document: &Value) -> Option<BTreeMap<String, Document>> {
    let mut all: BTreeMap<String, Document> = BTreeMap::new();
    for (key, value) in document.get("metadata")?.as_object()? {
        let (node, file) = key.rsplit_once('/').unwrap_or(("", key));
        let Some(node) = below(path, node) else { continue };
        let entry = all.entry(node).or_insert(Document::V2 { array: None, attributes: Attributes::new() });
        if let Document::V2 { array, attributes } = entry {
            match (file, value) {
                (".zarray", value) => *array = Some(value.clone()),
                (".zattrs", Value::Object(map)) => *attributes = map.clone(),
                _ => {}
            }
        }
    }
    Some(all)
}
