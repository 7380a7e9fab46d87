//! How much a reader asks for: the measure of every claim about bytes and requests.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::{Fingerprint, Source, SourceError, plan};

/// Wraps a source and counts what passes.
#[derive(Debug)]
pub struct Counting<S> {
    inner: S,
    requests: AtomicU64,
    ranges: AtomicU64,
    bytes: AtomicU64,
}

impl<S: Source> Counting<S> {
    /// Counts what is read from `inner`.
    #[must_use]
    pub fn new(inner: S) -> Self {
        Self { inner, requests: AtomicU64::new(0), ranges: AtomicU64::new(0), bytes: AtomicU64::new(0) }
    }

    /// Requests that the ranges read so far come to once near ones are joined, as a remote source joins them.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Ranges read so far.
    #[must_use]
    pub fn ranges(&self) -> u64 {
        self.ranges.load(Ordering::Relaxed)
    }

    /// Bytes handed out so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Starts again from zero.
    pub fn reset(&self) {
        for counter in [&self.requests, &self.ranges, &self.bytes] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

impl<S: Source> Source for Counting<S> {
    fn url(&self) -> &str {
        self.inner.url()
    }

    fn len(&self) -> Result<u64, SourceError> {
        self.inner.len()
    }

    fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, SourceError> {
        let parts = self.inner.read_ranges(ranges)?;
        self.requests.fetch_add(plan::coalesce(ranges).len() as u64, Ordering::Relaxed);
        self.ranges.fetch_add(ranges.len() as u64, Ordering::Relaxed);
        self.bytes.fetch_add(parts.iter().map(|part| part.len() as u64).sum(), Ordering::Relaxed);
        Ok(parts)
    }

    fn read_last(&self, n: u64) -> Result<Bytes, SourceError> {
        let end = self.inner.read_last(n)?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.ranges.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(end.len() as u64, Ordering::Relaxed);
        Ok(end)
    }

    fn fingerprint(&self) -> Result<Fingerprint, SourceError> {
        self.inner.fingerprint()
    }
}

impl<S: Source + ?Sized> Source for std::sync::Arc<S> {
    fn url(&self) -> &str {
        (**self).url()
    }

    fn len(&self) -> Result<u64, SourceError> {
        (**self).len()
    }

    fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, SourceError> {
        (**self).read_ranges(ranges)
    }

    fn read_last(&self, n: u64) -> Result<Bytes, SourceError> {
        (**self).read_last(n)
    }

    fn fingerprint(&self) -> Result<Fingerprint, SourceError> {
        (**self).fingerprint()
    }

    fn checksum(&self) -> Option<super::Checksum> {
        (**self).checksum()
    }
}
