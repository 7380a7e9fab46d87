//! From blocks asked for to decoded blocks: look up where they are, fetch them in batches, decode them in parallel.
//!
//! A batch is bounded in bytes fetched and in bytes decoded, so memory is bounded whatever a file holds. The next batch is on
//! its way while one is decoded.

use std::ops::Range;

use bytes::Bytes;
use rayon::prelude::*;

use super::decode::{Codec, decode_chunk};
use super::error::TiffError;
use super::ifd::{File, tag};
use super::image::{Image, Place};
use crate::Samples;

/// Bytes of a batch as stored. Two batches are in memory at a time.
const BATCH: u64 = 32 << 20;
/// Bytes of a batch as decoded: blocks that hold next to nothing are small as stored.
const BATCH_DECODED: u64 = 128 << 20;
/// No codec here makes data much longer than it was. What is stored beyond twice its size (and some) is not fetched.
const SLACK: u64 = 64 * 1024;

/// One chunk to fetch and decode.
#[derive(Debug)]
pub(super) struct Job {
    /// Index into the places.
    pub(super) index: usize,
    pub(super) place: Place,
    /// Index into the bands asked for; `None` where a chunk holds all bands.
    pub(super) band: Option<usize>,
    /// Rows of the block that are wanted.
    pub(super) rows: Range<usize>,
    /// Where its bytes are; of uncompressed chunks only those of the rows.
    range: Range<u64>,
}

/// The chunks of `bands` at `places`, in batches of bounded size; `rows` says which rows of a place are wanted. Chunks that
/// were never written are left out.
pub(super) fn plan(
    file: &File,
    image: &Image,
    bands: &[usize],
    places: &[Place],
    rows: impl Fn(usize) -> Range<usize>,
) -> Result<Vec<Vec<Job>>, TiffError> {
    let (across, down) = image.blocks();
    let (offsets, counts) = image.index();
    let has_counts = image.ifd.has(counts);
    let planes: Vec<Option<usize>> =
        if image.planar { (0..bands.len()).map(Some).collect() } else { vec![None] };
    // Neighbouring chunks are looked up in the index together.
    let number = |p: &Place| p.row * across + p.col;
    let mut lookups = Vec::new();
    let mut first = 0;
    for run in places.chunk_by(|a, b| number(b) == number(a) + 1) {
        for plane in &planes {
            let base = plane.map_or(0, |p| bands[p] * across * down) + number(&run[0]);
            lookups.push((first, *plane, base as u64..(base + run.len()) as u64));
        }
        first += run.len();
    }
    let asked = lookups.iter().flat_map(|(_, _, range)| {
        let counts = has_counts.then(|| (counts, range.clone()));
        std::iter::once((offsets, range.clone())).chain(counts)
    });
    image.ifd.prefetch(file, asked)?;

    let row_bytes = image.row_bytes() as u64;
    let chunk_bytes = row_bytes * image.block.1 as u64;
    let mut batches = Vec::new();
    let mut jobs = Vec::new();
    let (mut stored, mut decoded) = (0, 0);
    for (first, plane, range) in lookups {
        let at = image.ifd.part(file, offsets, &range)?;
        let sizes = if has_counts { Some(image.ifd.part(file, counts, &range)?) } else { None };
        for (k, &at) in at.iter().enumerate() {
            let place = places[first + k];
            let size =
                sizes.as_ref().map_or_else(|| row_bytes * image.stored_rows(place) as u64, |sizes| sizes[k]);
            if at == 0 || size == 0 {
                continue;
            }
            if at.checked_add(size).is_none_or(|end| end > file.len) {
                let block = range.start + k as u64;
                let what = format!("block {block} at byte {at} with {size} bytes lies beyond the file");
                return Err(file.corrupt(tag::name(offsets), what));
            }
            let rows = rows(first + k);
            let range = if image.chunk.codec == Codec::None {
                let byte = |row: usize| at + size.min(row_bytes * row as u64);
                byte(rows.start)..byte(rows.end)
            } else {
                at..at + size.min(2 * chunk_bytes + SLACK)
            };
            let length = range.end - range.start;
            if !jobs.is_empty() && (stored + length > BATCH || decoded + chunk_bytes > BATCH_DECODED) {
                batches.push(std::mem::take(&mut jobs));
                (stored, decoded) = (0, 0);
            }
            stored += length;
            decoded += chunk_bytes;
            jobs.push(Job { index: first + k, place, band: plane, rows, range });
        }
    }
    if !jobs.is_empty() {
        batches.push(jobs);
    }
    Ok(batches)
}

/// What these batches would fetch.
pub(super) fn ranges(batches: &[Vec<Job>]) -> Vec<Range<u64>> {
    batches.iter().flatten().map(|job| job.range.clone()).collect()
}

/// Fetches and decodes batch after batch. `keep` takes what is wanted of each block, in parallel; `each` gets what it kept.
pub(super) fn stream<T: Send>(
    file: &File,
    image: &Image,
    batches: &[Vec<Job>],
    keep: impl Fn(&Job, Samples) -> T + Sync,
    mut each: impl FnMut(&[Job], Vec<T>),
) -> Result<(), TiffError> {
    let fetch = |jobs: &[Job]| {
        let ranges: Vec<Range<u64>> = jobs.iter().map(|j| j.range.clone()).collect();
        file.source.read_ranges(&ranges).map_err(TiffError::from)
    };
    let Some(first) = batches.first() else { return Ok(()) };
    let mut bytes = fetch(first)?;
    for (i, jobs) in batches.iter().enumerate() {
        let next = std::thread::scope(|scope| {
            let next = batches.get(i + 1).map(|next| scope.spawn(move || fetch(next)));
            each(jobs, decode(file, image, jobs, &bytes, &keep)?);
            let lost = |_| Err(file.corrupt("blocks", "a reading thread failed"));
            next.map(|next| next.join().unwrap_or_else(lost)).transpose()
        })?;
        bytes = next.unwrap_or_default();
    }
    Ok(())
}

fn decode<T: Send>(
    file: &File,
    image: &Image,
    jobs: &[Job],
    bytes: &[Bytes],
    keep: &(impl Fn(&Job, Samples) -> T + Sync),
) -> Result<Vec<T>, TiffError> {
    jobs.par_iter()
        .zip(bytes)
        .map(|(job, bytes)| {
            let rows = match image.chunk.codec {
                Codec::None => 0..job.rows.len(),
                _ => job.rows.clone(),
            };
            let block = decode_chunk(image.chunk, rows, bytes)
                .map_err(|reason| file.corrupt(format!("block at byte {}", job.range.start), reason))?;
            Ok(keep(job, block))
        })
        .collect()
}
