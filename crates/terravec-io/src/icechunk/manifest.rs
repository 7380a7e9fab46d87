//! A manifest: where the bytes of each chunk of an array lie.

use std::collections::HashMap;

use bytes::Bytes;

use super::error::IcechunkError;
use super::file::{self, Id, Kind};
use super::flat::{Buffer, Table};
use crate::source::Location;

/// Where the bytes of a chunk lie.
#[derive(Debug, Clone)]
pub(super) enum Chunk {
    /// In the manifest itself.
    Inline(Bytes),
    /// In an object of the repository.
    Native { id: Id<12>, offset: u64, length: u64 },
    /// Somewhere else, at this address.
    Virtual(String),
}

/// The chunks of one array in a manifest.
#[derive(Debug)]
pub(super) struct Manifest(HashMap<Box<[u32]>, Chunk>);

impl Manifest {
    /// Reads what the manifest in this file says of an array.
    pub(super) fn read(location: &Location, node: Id<8>) -> Result<Self, IcechunkError> {
        let bytes = Bytes::from(file::read(location, Kind::Manifest)?);
        let buffer = Buffer::new(&bytes);
        let find = || -> Option<HashMap<_, _>> {
            for array in buffer.root()?.tables(1)? {
                let array = array?;
                if array.bytes_of(0)? == node.0 {
                    return array.tables(1)?.map(|t| chunk(&t?, &bytes)).collect();
                }
            }
            Some(HashMap::new())
        };
        find().map(Self).ok_or_else(|| IcechunkError::Corrupt {
            file: location.to_string(),
            reason: "its list of chunks is damaged".into(),
        })
    }

    pub(super) fn get(&self, index: &[u32]) -> Option<Chunk> {
        self.0.get(index).cloned()
    }
}

fn chunk(table: &Table<'_>, all: &Bytes) -> Option<(Box<[u32]>, Chunk)> {
    let index = table.structs::<4>(0)?.map(u32::from_le_bytes).collect();
    let chunk = if let Some(bytes) = table.bytes(1) {
        Chunk::Inline(all.slice_ref(bytes))
    } else if let Some(id) = table.bytes_of(4) {
        Chunk::Native { id: Id(id), offset: table.u64(2).unwrap_or(0), length: table.u64(3).unwrap_or(0) }
    } else {
        // A compressed address is only ever named in a refusal.
        Chunk::Virtual(table.text(5).unwrap_or("an address that is kept compressed").to_owned())
    };
    Some((index, chunk))
}
