//! From decoded blocks to answers: band by band, north row first.

use rayon::prelude::*;

use super::fetch::Job;
use super::image::{Image, Overlap};
use crate::{Codes, Samples, with_samples};

/// Numbers of a block handled at a time while its pixels are taken apart, so that they stay in the nearest cache.
const NEAR: usize = 16 * 1024;

/// The part of a decoded block that is wanted, as (band, row, column). `bands` are the bands asked for.
pub(super) fn part_of(image: &Image, job: &Job, block: Samples, part: &Overlap, bands: &[usize]) -> Samples {
    let one_band = job.band.is_some() || image.chunk.samples == 1 && bands.len() == 1;
    if one_band && part.width == image.block.0 {
        return block;
    }
    let samples = image.chunk.samples;
    let bands = if job.band.is_some() { &[0] } else { bands };
    with_samples!(&block, v => Samples::from(take_apart(v, image.block.0, samples, part, bands)))
}

fn take_apart<T: Copy + Default>(
    block: &[T],
    block_width: usize,
    samples: usize,
    part: &Overlap,
    bands: &[usize],
) -> Vec<T> {
    let plane = part.height * part.width;
    let mut out = vec![T::default(); bands.len() * plane];
    let step = (NEAR / samples).clamp(16, 1024);
    for row in 0..part.height {
        let from = row * block_width + part.block_col;
        let pixels = &block[from * samples..(from + part.width) * samples];
        if samples == 1 {
            for (out, _) in out.chunks_exact_mut(plane).zip(bands) {
                out[row * part.width..][..part.width].copy_from_slice(pixels);
            }
            continue;
        }
        for (i, pixels) in pixels.chunks(step * samples).enumerate() {
            let to = row * part.width + i * step;
            for (out, &band) in out.chunks_exact_mut(plane).zip(bands) {
                let run = &mut out[to..to + pixels.len() / samples];
                for (number, pixel) in run.iter_mut().zip(pixels.chunks_exact(samples)) {
                    *number = pixel[band];
                }
            }
        }
    }
    out
}

/// Puts parts of blocks (as [`part_of`] makes them) in their places, in parallel over the bands of the answer.
pub(super) fn paste(
    out: &mut Codes,
    overlap: impl Fn(&Job) -> Overlap + Sync,
    flip: bool,
    jobs: &[Job],
    parts: &[Samples],
) {
    let (height, width) = (out.height, out.width);
    macro_rules! arms {
        ($($t:ident),*) => {
            match &mut out.samples {
                $(Samples::$t(out) => {
                    out.par_chunks_mut(height * width).enumerate().for_each(|(band, plane)| {
                        for (job, part) in jobs.iter().zip(parts) {
                            let Samples::$t(part) = part else { continue };
                            let at = overlap(job);
                            let size = at.height * at.width;
                            let part = match job.band {
                                Some(b) if b == band => part,
                                Some(_) => continue,
                                None => &part[band * size..(band + 1) * size],
                            };
                            for (r, row) in part.chunks_exact(at.width).enumerate() {
                                let y = at.target_row(r, height, flip);
                                plane[y * width + at.col..][..at.width].copy_from_slice(row);
                            }
                        }
                    });
                })*
            }
        };
    }
    arms!(U8, I8, U16, I16, U32, I32, F16, F32, F64);
}

/// A point asked for: its place in the question, and its row and column in its block.
pub(super) type PointAt = (usize, usize, usize);

/// The numbers of `points` of a decoded block, point by point. The block starts at row `job.rows.start`.
pub(super) fn pick(
    image: &Image,
    job: &Job,
    block: &Samples,
    points: &[PointAt],
    bands: &[usize],
) -> Samples {
    let pixel = |row: usize, col: usize| ((row - job.rows.start) * image.block.0 + col) * image.chunk.samples;
    with_samples!(block, v => {
        let mut out = Vec::new();
        for &(_, row, col) in points {
            match job.band {
                Some(_) => out.push(v[pixel(row, col)]),
                None => out.extend(bands.iter().map(|band| v[pixel(row, col) + band])),
            }
        }
        Samples::from(out)
    })
}

/// Puts numbers (as [`pick`] makes them) in their places.
pub(super) fn put(out: &mut Codes, picked: &Samples, points: &[PointAt], band: Option<usize>) {
    let (bands, n) = (out.bands, out.width);
    macro_rules! arms {
        ($($t:ident),*) => {
            match (&mut out.samples, picked) {
                $((Samples::$t(out), Samples::$t(v)) => {
                    for (k, &(i, _, _)) in points.iter().enumerate() {
                        match band {
                            Some(band) => out[band * n + i] = v[k],
                            None => (0..bands).for_each(|band| out[band * n + i] = v[k * bands + band]),
                        }
                    }
                })*
                _ => {}
            }
        };
    }
    arms!(U8, I8, U16, I16, U32, I32, F16, F32, F64);
}
