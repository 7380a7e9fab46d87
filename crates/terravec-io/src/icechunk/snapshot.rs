//! A snapshot: all groups and arrays of a state, with their Zarr metadata and the manifests that hold their chunks.

use bytes::Bytes;

use super::error::IcechunkError;
use super::file::{self, Id, Kind};
use super::flat::{Buffer, Table};
use crate::source::{Location, SourceError};

/// A group or an array.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: Id<8>,
    /// Without the leading `/`.
    pub(super) path: String,
    /// The text of its `zarr.json`.
    pub(super) metadata: Bytes,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    Group,
    Array(Vec<ManifestRef>),
}

/// A manifest, and which chunks of the array it may hold.
#[derive(Debug)]
pub(super) struct ManifestRef {
    pub(super) id: Id<12>,
    /// First and one past the last index along each axis.
    extents: Vec<(u32, u32)>,
}

impl ManifestRef {
    pub(super) fn covers(&self, index: &[u32]) -> bool {
        self.extents.len() == index.len()
            && self.extents.iter().zip(index).all(|((from, to), i)| (from..to).contains(&i))
    }
}

/// Reads the snapshot in this file.
pub(super) fn read(location: &Location) -> Result<Vec<Node>, IcechunkError> {
    let bytes = file::read(location, Kind::Snapshot).map_err(|e| match e {
        IcechunkError::Source(SourceError::NotFound { url }) => IcechunkError::NoSuchState {
            root: location.parent().parent().to_string(),
            what: format!("snapshot {} ({url} is not there)", location.file_name()),
            known: Vec::new(),
        },
        e => e,
    })?;
    let buffer = Buffer::new(&bytes);
    let nodes = buffer.root().and_then(|root| root.tables(2)?.map(|t| node(&t?)).collect());
    nodes.ok_or_else(|| IcechunkError::Corrupt {
        file: location.to_string(),
        reason: "its list of groups and arrays is damaged".into(),
    })
}

fn node(table: &Table<'_>) -> Option<Node> {
    let content = match table.u8(3)? {
        1 => Content::Array(table.table(4)?.tables(2)?.map(|t| manifest(&t?)).collect::<Option<_>>()?),
        2 => Content::Group,
        _ => return None,
    };
    Some(Node {
        id: Id(table.bytes_of(0)?),
        path: table.text(1)?.trim_start_matches('/').to_owned(),
        metadata: Bytes::copy_from_slice(table.bytes(2)?),
        content,
    })
}

fn manifest(table: &Table<'_>) -> Option<ManifestRef> {
    let number = |b: &[u8]| Some(u32::from_le_bytes(b.try_into().ok()?));
    let extent = |b: [u8; 8]| Some((number(&b[..4])?, number(&b[4..])?));
    let extents = table.structs::<8>(1)?.map(extent).collect::<Option<_>>()?;
    Some(ManifestRef { id: Id(table.bytes_of(0)?), extents })
}
