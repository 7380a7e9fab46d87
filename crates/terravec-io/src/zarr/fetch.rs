//! From chunks asked for to decoded chunks: look up where they are, fetch them in batches, decode them in parallel.
//!
//! Indexes of shards are read once and kept. What a request needs of one shard is asked for in one call, of several shards at the same
//! time. A batch is bounded in bytes fetched and in bytes decoded, and the next is on its way while one is decoded.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use rayon::prelude::*;

use super::array::Array;
use super::cache::Shard;
use super::codec::MAX_CHUNK;
use super::error::ZarrError;
use super::shard::Sharding;
use super::store::present;
use crate::source::Source;
use crate::spread::spread;

/// Bytes of a batch as stored. Two batches are in memory at a time.
const BATCH: u64 = 32 << 20;
/// Bytes of a batch as decoded.
const BATCH_DECODED: u64 = 128 << 20;
/// No codec makes data much longer than it was. Chunks beyond twice their size (and some) are not fetched.
const SLACK: u64 = 64 * 1024;
/// Objects of a remote store that are asked at the same time.
const AT_ONCE: usize = 32;

/// Where the bytes of a chunk are.
#[derive(Debug, Clone)]
enum Piece {
    /// All of an object that may be there.
    Object(String),
    /// A part of one that is.
    Part { shard: Arc<Shard>, key: String, range: Range<u64> },
}

#[derive(Debug)]
struct Job {
    /// Which of the chunks asked for.
    index: usize,
    piece: Piece,
}

/// A read that has begun: what it needs is found, and the first of it fetched.
#[derive(Debug)]
pub struct Begun {
    batches: Vec<Vec<Job>>,
    first: Vec<Option<Bytes>>,
}

impl Array {
    /// Finds the chunks at `cells` (places in the grid of inner chunks) and fetches the first of them. Asks and waits only, so that a
    /// thread of its own may do it, whatever the pool of threads is busy with.
    pub(super) fn fetch_first(&self, cells: &[Vec<u64>]) -> Result<Begun, ZarrError> {
        let batches = self.batches(self.locate(cells)?);
        let first = batches.first().map(|first| self.fetch(first)).transpose()?;
        Ok(Begun { batches, first: first.unwrap_or_default() })
    }

    /// Decodes chunks and fetches the rest of them. `keep` takes what is wanted of each, in parallel, by its place in `cells`; `each`
    /// gets what it kept. Chunks never written are left out.
    pub(super) fn stream<T: Send>(
        &self,
        begun: Begun,
        keep: impl Fn(usize, Vec<u8>) -> T + Sync,
        mut each: impl FnMut(Vec<(usize, T)>),
    ) -> Result<(), ZarrError> {
        let Begun { batches, first: mut bytes } = begun;
        for (i, jobs) in batches.iter().enumerate() {
            let next = std::thread::scope(|scope| {
                let next = batches.get(i + 1).map(|next| scope.spawn(move || self.fetch(next)));
                each(self.decode(jobs, &bytes, &keep)?);
                let lost = |_| Err(ZarrError::corrupt(self.place(), "a reading thread failed"));
                next.map(|next| next.join().unwrap_or_else(lost)).transpose()
            })?;
            bytes = next.unwrap_or_default();
        }
        Ok(())
    }

    /// Objects that are asked at the same time: of several where each costs a round trip.
    pub(super) fn at_once(&self) -> usize {
        if self.is_remote() { AT_ONCE } else { 1 }
    }

    /// Where the chunks are, those never written left out.
    fn locate(&self, cells: &[Vec<u64>]) -> Result<Vec<Job>, ZarrError> {
        let unit = &self.unit().shape;
        let outer = &self.metadata().pipeline.shape;
        let mut objects: BTreeMap<Vec<u64>, Vec<usize>> = BTreeMap::new();
        for (i, cell) in cells.iter().enumerate() {
            let at = cell.iter().zip(unit).zip(outer).map(|((c, u), o)| c * *u as u64 / *o as u64);
            objects.entry(at.collect()).or_default().push(i);
        }
        let objects: Vec<_> = objects.into_iter().collect();
        let found = spread(&objects, self.at_once(), |(at, members)| self.locate_in(at, members, cells));
        Ok(found.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// Where the chunks `members` are, all of which lie in the object at `at`.
    fn locate_in(&self, at: &[u64], members: &[usize], cells: &[Vec<u64>]) -> Result<Vec<Job>, ZarrError> {
        let key = self.key(at);
        let unit = &self.unit().shape;
        let outer = &self.metadata().pipeline.shape;
        let Some(sharding) = self.metadata().pipeline.sharding() else {
            return Ok(members
                .iter()
                .map(|&index| Job { index, piece: Piece::Object(key.clone()) })
                .collect());
        };
        let Some(shard) = self.shard(&key, 0, sharding, None)? else { return Ok(Vec::new()) };
        let mut jobs = Vec::with_capacity(members.len());
        for &index in members {
            // Where the chunk begins, in elements from the beginning of the shard.
            let mut start: Vec<u64> =
                (0..at.len()).map(|a| cells[index][a] * unit[a] as u64 - at[a] * outer[a] as u64).collect();
            let (mut sharding, mut shard, mut level) = (sharding, Arc::clone(&shard), 0);
            let range = loop {
                let mut number = 0;
                for (a, start) in start.iter_mut().enumerate() {
                    let inner = sharding.inner.shape[a] as u64;
                    number = number * sharding.grid[a] + (*start / inner) as usize;
                    *start %= inner;
                }
                let (from, to) = shard.entries.get(number).copied().unwrap_or_default();
                let range = shard.range.0 + from..shard.range.0 + to;
                match sharding.inner.sharding() {
                    Some(inner) if from < to => {
                        level += 1;
                        match self.shard(&key, level, inner, Some((&shard.source, range)))? {
                            Some(deeper) => (sharding, shard) = (inner, deeper),
                            None => break 0..0,
                        }
                    }
                    _ => break range,
                }
            };
            if range.start < range.end {
                jobs.push(Job { index, piece: Piece::Part { shard, key: key.clone(), range } });
            }
        }
        Ok(jobs)
    }

    /// The shard in the object `key`, or, at a deeper `level`, in a part of it; `None` if it was never written.
    fn shard(
        &self,
        key: &str,
        level: usize,
        sharding: &Sharding,
        part: Option<(&Arc<dyn Source>, Range<u64>)>,
    ) -> Result<Option<Arc<Shard>>, ZarrError> {
        let id = (key.to_owned(), level, part.as_ref().map_or(0, |(_, range)| range.start));
        if let Some(known) = self.shards.get(&id) {
            return Ok(known);
        }
        let bad = |reason| ZarrError::corrupt(self.store.place(key), reason);
        let read = || -> Result<Option<Shard>, ZarrError> {
            let (source, range, end) = match part {
                Some((source, range)) => (Arc::clone(source), range, None),
                None => {
                    let Some(source) = self.store.open(key)? else { return Ok(None) };
                    // An index at the end comes along with the size.
                    let end = match sharding.is_at_end() {
                        true => source
                            .read_last(sharding.index_size())
                            .and_then(|end| Ok((source.len()?, Some(end)))),
                        false => source.len().map(|size| (size, None)),
                    };
                    let Some((size, end)) = present(end)? else { return Ok(None) };
                    (source, 0..size, end)
                }
            };
            let size = range.end - range.start;
            let index = sharding.index_range(size).map_err(bad)?;
            let bytes = match end {
                Some(end) => end,
                None => match present(source.read(range.start + index.start..range.start + index.end))? {
                    Some(bytes) => bytes,
                    None => return Ok(None),
                },
            };
            let entries = sharding.parse_index(&bytes, size).map_err(bad)?;
            Ok(Some(Shard { source, range: (range.start, range.end), entries }))
        };
        let shard = read()?.map(Arc::new);
        self.shards.put(id, shard.clone());
        Ok(shard)
    }

    fn batches(&self, jobs: Vec<Job>) -> Vec<Vec<Job>> {
        let decoded = self.unit().size().unwrap_or(1 << 20) as u64;
        let mut batches = Vec::new();
        let mut batch = Vec::new();
        let (mut bytes, mut out) = (0, 0);
        for job in jobs {
            let length = match &job.piece {
                Piece::Part { range, .. } => range.end - range.start,
                Piece::Object(_) => decoded,
            };
            if !batch.is_empty() && (bytes + length > BATCH || out + decoded > BATCH_DECODED) {
                batches.push(std::mem::take(&mut batch));
                (bytes, out) = (0, 0);
            }
            bytes += length;
            out += decoded;
            batch.push(job);
        }
        if !batch.is_empty() {
            batches.push(batch);
        }
        batches
    }

    /// The bytes of each chunk of a batch; `None` for objects that are not there.
    fn fetch(&self, jobs: &[Job]) -> Result<Vec<Option<Bytes>>, ZarrError> {
        let limit = self.unit().size().map_or(MAX_CHUNK as u64, |n| 2 * n as u64 + SLACK);
        let too_long = |key: &str, size: u64| {
            ZarrError::corrupt(
                self.store.place(key),
                format!("a chunk of {size} bytes is longer than it can be"),
            )
        };
        // Chunks of one shard come one after the other.
        let runs: Vec<&[Job]> = jobs
            .chunk_by(|a, b| match (&a.piece, &b.piece) {
                (Piece::Part { shard: a, .. }, Piece::Part { shard: b, .. }) => {
                    Arc::ptr_eq(&a.source, &b.source)
                }
                _ => false,
            })
            .collect();
        let read = |run: &&[Job]| -> Result<Vec<Option<Bytes>>, ZarrError> {
            let mut ranges = Vec::with_capacity(run.len());
            for job in *run {
                match &job.piece {
                    Piece::Part { key, range, .. } if range.end - range.start > limit => {
                        return Err(too_long(key, range.end - range.start));
                    }
                    Piece::Part { range, .. } => ranges.push(range.clone()),
                    Piece::Object(key) => {
                        let Some(source) = self.store.open(key)? else { return Ok(vec![None]) };
                        return match present(source.len())? {
                            Some(size) if size > limit => Err(too_long(key, size)),
                            Some(size) => Ok(vec![present(source.read(0..size))?]),
                            None => Ok(vec![None]),
                        };
                    }
                }
            }
            let Some(Piece::Part { shard, .. }) = run.first().map(|job| &job.piece) else {
                return Ok(Vec::new());
            };
            Ok(shard.source.read_ranges(&ranges)?.into_iter().map(Some).collect())
        };
        let parts = spread(&runs, self.at_once(), read);
        Ok(parts.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    fn decode<T: Send>(
        &self,
        jobs: &[Job],
        bytes: &[Option<Bytes>],
        keep: &(impl Fn(usize, Vec<u8>) -> T + Sync),
    ) -> Result<Vec<(usize, T)>, ZarrError> {
        let unit = self.unit();
        let one = |(job, bytes): (&Job, &Option<Bytes>)| {
            let bytes = bytes.as_ref()?;
            Some(match unit.decode(bytes, &self.metadata().fill) {
                Ok(chunk) => Ok((job.index, keep(job.index, chunk))),
                Err(reason) => Err(match &job.piece {
                    Piece::Object(key) => ZarrError::corrupt(self.store.place(key), reason),
                    Piece::Part { key, range, .. } => ZarrError::corrupt(
                        self.store.place(key),
                        format!("the chunk at byte {}: {reason}", range.start),
                    ),
                }),
            })
        };
        jobs.par_iter().zip(bytes).filter_map(one).collect()
    }
}
