//! The bytes of a row group, fetched ahead in windows, so that memory stays bounded however long a column is.
//!
//! What is read of a file lies in *lanes*: whole columns, or the pages that hold the wanted rows. Where all of them
//! together are short, they are fetched in one call. Else each lane is read through a window that moves towards its end,
//! while the window after it is being fetched.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use bytes::{Buf, Bytes, BytesMut};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use crate::source::{Source, SourceError};

/// Bytes of all windows together.
pub(super) const WINDOWS: u64 = 32 << 20;
/// No window is shorter than this: a shorter request takes as long.
const LEAST_WINDOW: u64 = 1 << 20;
/// What of a lane is looked at for the header of a page.
const HEADER: usize = 64 << 10;

/// Bytes of a file by lane.
pub(in crate::table) struct Feed {
    source: Arc<dyn Source>,
    size: u64,
    /// Sorted, disjoint.
    lanes: Vec<Mutex<Lane>>,
    ends: Vec<u64>,
    failed: Mutex<Option<SourceError>>,
}

struct Lane {
    end: u64,
    /// Bytes asked for at a time.
    step: u64,
    /// Where the window begins.
    start: u64,
    window: Bytes,
    /// The window after this one, being fetched.
    ahead: Option<JoinHandle<std::result::Result<Bytes, SourceError>>>,
}

impl Feed {
    /// Fetches the first window of each lane in one call.
    pub(in crate::table) fn open(
        source: Arc<dyn Source>,
        size: u64,
        mut lanes: Vec<Range<u64>>,
    ) -> std::result::Result<Self, SourceError> {
        lanes.retain(|l| l.start < l.end);
        lanes.sort_unstable_by_key(|l| (l.start, l.end));
        // Hostile files have columns that overlap; as one lane they do no harm.
        lanes.dedup_by(|next, lane| {
            let overlaps = next.start < lane.end;
            if overlaps {
                lane.end = lane.end.max(next.end);
            }
            overlaps
        });
        let total: u64 = lanes.iter().map(|l| l.end - l.start).sum();
        let step = |lane: &Range<u64>| {
            let length = lane.end - lane.start;
            if total <= WINDOWS {
                return length;
            }
            let share = u128::from(WINDOWS) * u128::from(length) / u128::from(total);
            u64::try_from(share).unwrap_or(WINDOWS).max(LEAST_WINDOW).min(length)
        };
        let steps: Vec<u64> = lanes.iter().map(step).collect();
        let first: Vec<Range<u64>> =
            lanes.iter().zip(&steps).map(|(l, step)| l.start..l.start + step).collect();
        let windows = source.read_ranges(&first)?;
        let ends = lanes.iter().map(|l| l.end).collect();
        let lanes = lanes
            .into_iter()
            .zip(steps)
            .zip(windows)
            .map(|((l, step), window)| {
                Mutex::new(Lane { end: l.end, step, start: l.start, window, ahead: None })
            })
            .collect();
        Ok(Self { source, size, lanes, ends, failed: Mutex::new(None) })
    }

    /// The error of the source that made a read fail, if it was one.
    pub(in crate::table) fn take_failure(&self) -> Option<SourceError> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What lies at `start`: enough for a header of a page, less only at the end of the lane.
    pub(in crate::table) fn peek(&self, start: u64) -> Result<Bytes> {
        self.bytes_from(start, HEADER)
    }

    /// Some bytes of a lane.
    pub(super) fn get(&self, start: u64, length: usize) -> Result<Bytes> {
        if length == 0 {
            return Ok(Bytes::new());
        }
        let mut bytes = self.bytes_from(start, length)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF(format!(
                "a page of {length} bytes at {start} reaches beyond its column"
            )));
        }
        bytes.truncate(length);
        Ok(bytes)
    }

    /// The bytes from `start`: at least `least` of them, or those up to the end of the lane.
    fn bytes_from(&self, start: u64, least: usize) -> Result<Bytes> {
        let i = self.ends.partition_point(|end| *end <= start);
        let Some(lane) = self.lanes.get(i) else {
            return Err(ParquetError::EOF(format!("a page at byte {start} lies outside its column")));
        };
        let mut lane = lane.lock().unwrap_or_else(PoisonError::into_inner);
        lane.cover(&self.source, start, least as u64).map_err(|e| {
            let text = e.to_string();
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(e);
            ParquetError::General(text)
        })?;
        Ok(lane.rest(start))
    }
}

impl Lane {
    /// Moves the window so that it holds `least` bytes from `start`, or all up to the end of the lane.
    fn cover(
        &mut self,
        source: &Arc<dyn Source>,
        start: u64,
        least: u64,
    ) -> std::result::Result<(), SourceError> {
        let wanted = start.saturating_add(least).min(self.end);
        if start < self.start {
            // Nothing that reads a column goes back, but a damaged file may ask for it.
            (self.start, self.window, self.ahead) = (start, Bytes::new(), None);
        }
        loop {
            let have = self.have();
            if have >= wanted {
                return Ok(());
            }
            let next = match self.ahead.take() {
                Some(ahead) => joined(ahead, source.url())?,
                None => source.read(have..(have + self.step).max(wanted).min(self.end))?,
            };
            self.window = if start >= have {
                self.start = have;
                next
            } else {
                let mut both = BytesMut::from(self.rest(start));
                both.extend_from_slice(&next);
                self.start = start;
                both.freeze()
            };
            let have = self.have();
            let range = have..(have + self.step).min(self.end);
            if range.start < range.end {
                let source = Arc::clone(source);
                self.ahead = Some(thread::spawn(move || source.read(range)));
            }
        }
    }

    /// Where the window ends.
    fn have(&self) -> u64 {
        self.start + self.window.len() as u64
    }

    /// The window from `start`, which is in it or right after it.
    fn rest(&self, start: u64) -> Bytes {
        let at = usize::try_from(start - self.start).unwrap_or(usize::MAX).min(self.window.len());
        self.window.slice(at..)
    }
}

fn joined(
    ahead: JoinHandle<std::result::Result<Bytes, SourceError>>,
    url: &str,
) -> std::result::Result<Bytes, SourceError> {
    let lost = |_| SourceError::Io { url: url.into(), what: "reading ended unexpectedly".into() };
    ahead.join().map_err(lost)?
}

/// A feed as the Parquet crate wants it.
pub(super) struct FeedReader(pub(super) Arc<Feed>);

impl Length for FeedReader {
    fn len(&self) -> u64 {
        self.0.size
    }
}

impl ChunkReader for FeedReader {
    type T = bytes::buf::Reader<Bytes>;

    /// Enough for a header of a page.
    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(self.0.peek(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.0.get(start, length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Counting, MemorySource};

    fn feed(size: u32, lanes: &[Range<u64>]) -> (Arc<Counting<MemorySource>>, Feed, Vec<u8>) {
        let bytes: Vec<u8> = (0..size).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let source = Arc::new(Counting::new(MemorySource::new("m", bytes.clone())));
        let feed = Feed::open(source.clone(), u64::from(size), lanes.to_vec()).unwrap();
        (source, feed, bytes)
    }

    #[test]
    fn short_lanes_come_in_one_call() {
        let (source, feed, bytes) = feed(1000, &[600..900, 10..200, 100..300, 50..50]);
        assert_eq!(source.ranges(), 2);
        assert_eq!(feed.get(150, 100).unwrap(), &bytes[150..250]);
        assert_eq!(feed.get(600, 300).unwrap(), &bytes[600..900]);
        assert_eq!(feed.get(20, 5).unwrap(), &bytes[20..25]);
        assert!(feed.get(950, 1).is_err() && feed.get(290, 20).is_err());
        assert_eq!((source.ranges(), feed.get(5000, 0).unwrap().len()), (2, 0));
    }

    #[test]
    fn long_lanes_pass_through_a_window() {
        let size = 80 << 20;
        let (source, feed, bytes) = feed(size, &[0..100, 1000..u64::from(size) - 7]);
        let mut at = 1000;
        let mut length = 1;
        while at + length < bytes.len() - 7 {
            assert_eq!(feed.get(at as u64, length).unwrap(), &bytes[at..at + length], "{at}");
            at += length;
            length = (length * 31 + 11) % 5_000_000;
            let lane = feed.lanes[1].lock().unwrap();
            assert!(lane.window.len() < (45 << 20), "{}", lane.window.len());
        }
        assert_eq!(feed.get(0, 100).unwrap(), &bytes[..100]);
        assert_eq!(feed.get(2000, 3).unwrap(), &bytes[2000..2003]); // back again
        assert!(source.ranges() <= 8, "{}", source.ranges());
    }

    #[test]
    fn one_read_may_exceed_the_window() {
        let (_, feed, bytes) = feed(70 << 20, &[0..70 << 20]);
        assert_eq!(feed.get(3, 69 << 20).unwrap(), &bytes[3..3 + (69 << 20)]);
    }
}
