//! Any bytes as the metadata of an array and as its one object: after the first zero byte comes the object.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use terravec_io::source::{MemorySource, Source};
use terravec_io::zarr::{Node, Store, ZarrError, open_store};

#[derive(Debug)]
struct Memory {
    metadata: bytes::Bytes,
    object: bytes::Bytes,
}

impl Store for Memory {
    fn place(&self, key: &str) -> String {
        key.to_owned()
    }

    fn open(&self, key: &str) -> Result<Option<Arc<dyn Source>>, ZarrError> {
        let bytes = match key {
            "zarr.json" => &self.metadata,
            ".zarray" | ".zgroup" | ".zmetadata" | ".zattrs" => return Ok(None),
            _ => &self.object,
        };
        Ok(Some(Arc::new(MemorySource::new(key, bytes.clone()))))
    }

    fn is_remote(&self) -> bool {
        false
    }

    fn children(&self, _: &str) -> Option<Vec<String>> {
        None
    }
}

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |b| *b == 0);
    let mut part = || bytes::Bytes::copy_from_slice(parts.next().unwrap_or_default());
    let store = Memory { metadata: part(), object: part() };
    let Ok(Node::Array(array)) = open_store(Arc::new(store)) else { return };
    // A small corner, whatever the size of the array.
    let region: Vec<_> = array.metadata().shape.iter().map(|n| 0..(*n).min(3)).collect();
    let _ = array.read(&region);
    let _ = array.numbers();
    let _ = array.texts();
});
