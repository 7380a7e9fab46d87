//! Bytes by range, wherever they lie.
//!
//! Every format reader asks a [`Source`] for the byte ranges it needs, all at once, and gets them back in the
//! order it asked. The source decides how: a local file is read in place, an HTTP object by as few requests
//! as waste allows, many at a time. Readers stay synchronous and know nothing of networks.
//!
//! [`open`] turns what a user types (a path or an address) into a source, [`Location`] keeps it and names files below
//! it, and [`list`](list()) says which files a local folder or a place in a store holds. [`cache`] keeps what came over the network.

mod address;
pub mod cache;
mod counting;
mod error;
mod http;
mod list;
mod local;
mod memory;
mod plan;
mod store;

use std::fmt::Debug;
use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use address::{Location, open, open_with};
pub use counting::Counting;
pub use error::SourceError;
pub use http::{HttpOptions, HttpSource};
pub use list::{Entry, document, is_below, list, list_with};
pub use local::LocalSource;
pub use memory::MemorySource;
pub use store::crypto::hex;
pub use store::{Vars, know_region};

/// An object whose bytes can be read by range, from any thread.
#[allow(clippy::len_without_is_empty)] // `len` may need the network; asking twice for `is_empty` would hide that
pub trait Source: Send + Sync + Debug {
    /// What the object is called in messages and provenance: a path or an address, without credentials.
    fn url(&self) -> &str;

    /// Size in bytes.
    ///
    /// # Errors
    /// When the object can't be reached or read.
    fn len(&self) -> Result<u64, SourceError>;

    /// The bytes of each half-open range, in the order asked.
    ///
    /// Ask for everything that is needed in one call: a remote source joins near ranges and fetches many at a
    /// time. Ranges may overlap and repeat. An empty range costs nothing and is always right.
    ///
    /// # Errors
    /// When a range is reversed or ends beyond the object, when the object can't be read, or when it changed
    /// since this source first saw it. There are no partial answers.
    fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, SourceError>;

    /// The bytes of one half-open range.
    ///
    /// # Errors
    /// As [`Source::read_ranges`].
    fn read(&self, range: Range<u64>) -> Result<Bytes, SourceError> {
        let mut parts = self.read_ranges(std::slice::from_ref(&range))?;
        Ok(parts.pop().unwrap_or_default())
    }

    /// The last `n` bytes, or all of an object that has fewer.
    ///
    /// Where the end is read first, this costs a remote source one round trip and tells the size along with it.
    ///
    /// # Errors
    /// As [`Source::read_ranges`].
    fn read_last(&self, n: u64) -> Result<Bytes, SourceError> {
        let size = self.len()?;
        self.read(size - size.min(n)..size)
    }

    /// What tells this state of the object from another.
    ///
    /// # Errors
    /// When the object can't be reached or read.
    fn fingerprint(&self) -> Result<Fingerprint, SourceError>;

    /// The checksum of the whole object that the host publishes, if any, as far as answers have told it.
    fn checksum(&self) -> Option<Checksum> {
        None
    }
}

/// A checksum of a whole object, hexadecimal, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Checksum {
    /// SHA-256.
    Sha256(String),
    /// MD5: finds accidents, not malice.
    Md5(String),
}

/// What tells one state of an object from another: equal fingerprints, same bytes, as far as the host says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Size in bytes.
    pub size: u64,
    /// The ETag, else the time of last change, as text to compare and store. `None` where the host tells
    /// neither.
    pub version: Option<String>,
}

/// How many requests fetch `ranges` of one object, and how many bytes come: near ranges share a request, and with it the bytes
/// between them.
#[must_use]
pub fn cost(ranges: &[Range<u64>]) -> (u64, u64) {
    let requests = plan::coalesce(ranges);
    (requests.len() as u64, requests.iter().map(|r| r.end - r.start).sum())
}

/// Refuses a reversed range and one that ends beyond `size`; empty ranges pass.
fn check_range(url: &str, range: &Range<u64>, size: u64) -> Result<(), SourceError> {
    if range.start > range.end {
        return Err(SourceError::BadRange { url: url.to_owned(), start: range.start, end: range.end });
    }
    if range.end > size && range.start != range.end {
        return Err(SourceError::BeyondEnd { url: url.to_owned(), start: range.start, end: range.end, size });
    }
    Ok(())
}
