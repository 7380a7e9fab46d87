//! Bytes that are already here: for tests, fuzzing and files inside files.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use super::{Fingerprint, Source, SourceError, check_range};

/// An object in memory. Reads share its memory and copy nothing.
#[derive(Clone)]
pub struct MemorySource {
    name: String,
    bytes: Bytes,
}

impl MemorySource {
    /// An object called `name` in messages.
    #[must_use]
    pub fn new(name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}

impl fmt::Debug for MemorySource {
    /// Without the bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemorySource({:?}, {} bytes)", self.name, self.bytes.len())
    }
}

impl Source for MemorySource {
    fn url(&self) -> &str {
        &self.name
    }

    fn len(&self) -> Result<u64, SourceError> {
        Ok(self.bytes.len() as u64)
    }

    fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, SourceError> {
        ranges
            .iter()
            .map(|range| {
                check_range(&self.name, range, self.bytes.len() as u64)?;
                if range.start == range.end {
                    return Ok(Bytes::new());
                }
                // In bounds, hence within usize: both ends are at most the length of a buffer in memory.
                Ok(self.bytes.slice(range.start as usize..range.end as usize))
            })
            .collect()
    }

    fn fingerprint(&self) -> Result<Fingerprint, SourceError> {
        Ok(Fingerprint { size: self.bytes.len() as u64, version: None })
    }
}
