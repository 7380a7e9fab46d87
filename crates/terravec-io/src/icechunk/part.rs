//! A run of bytes in an object, as an object of its own.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::source::{Fingerprint, Source, SourceError};

/// `length` bytes of an object from `offset` on.
#[derive(Debug)]
pub(super) struct Part {
    object: Arc<dyn Source>,
    offset: u64,
    length: u64,
}

impl Part {
    pub(super) fn new(object: Arc<dyn Source>, offset: u64, length: u64) -> Self {
        Self { object, offset, length }
    }
}

impl Source for Part {
    fn url(&self) -> &str {
        self.object.url()
    }

    fn len(&self) -> Result<u64, SourceError> {
        Ok(self.length)
    }

    fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, SourceError> {
        let mut inside = Vec::with_capacity(ranges.len());
        for range in ranges {
            let (url, Range { start, end }) = (self.url(), range.clone());
            if start > end {
                return Err(SourceError::BadRange { url: url.to_owned(), start, end });
            }
            let shifted = self.offset.checked_add(start).zip(self.offset.checked_add(end));
            match shifted {
                Some((start, end)) if range.end <= self.length => inside.push(start..end),
                _ if start == end => inside.push(0..0),
                _ => {
                    return Err(SourceError::BeyondEnd {
                        url: url.to_owned(),
                        start,
                        end,
                        size: self.length,
                    });
                }
            }
        }
        self.object.read_ranges(&inside)
    }

    fn fingerprint(&self) -> Result<Fingerprint, SourceError> {
        Ok(Fingerprint { size: self.length, ..self.object.fingerprint()? })
    }
}
