//! From codes to the bytes of compressed chunks: padding, byte order, predictor, compression.
//!
//! A *chunk* is what TIFF calls a tile: one band of a block (planar) or all bands of it (pixel interleave).

use std::io::{self, Write};

use flate2::Compression as DeflateLevel;
use flate2::write::ZlibEncoder;
use rayon::prelude::*;

use super::spec::{CogSpec, Compression};
use crate::{Codes, with_samples};

/// Compresses all chunks of a block, in band order.
///
/// `codes` may be smaller than the block at the right and bottom edges of the image; its last column and row
/// are repeated there, which costs next to nothing after prediction.
///
/// # Errors
/// If a compressor fails.
pub(super) fn encode_block(spec: &CogSpec, codes: &Codes) -> io::Result<Vec<Vec<u8>>> {
    let bands = spec.chunk_bands();
    (0..spec.chunks_per_block())
        .into_par_iter()
        .map_init(
            || None,
            |compressor, chunk| {
                let mut bytes = padded_bytes(codes, chunk..chunk + bands, spec.block);
                predict(&mut bytes, spec, bands);
                compress(bytes, spec.compression, compressor)
            },
        )
        .collect()
}

/// Little-endian bytes of a `block` × `block` chunk of `bands`, pixel by pixel.
fn padded_bytes(codes: &Codes, bands: std::ops::Range<usize>, block: usize) -> Vec<u8> {
    with_samples!(&codes.samples, v => pad(v, codes, bands, block, |x| x.to_le_bytes()))
}

fn pad<T: Copy, const N: usize>(
    samples: &[T],
    codes: &Codes,
    bands: std::ops::Range<usize>,
    block: usize,
    to_bytes: impl Fn(T) -> [u8; N],
) -> Vec<u8> {
    let per_pixel = bands.len();
    let (height, width) = (codes.height, codes.width);
    let mut out = vec![0; block * block * per_pixel * N];
    let row_bytes = block * per_pixel * N;
    for (within, band) in bands.enumerate() {
        for y in 0..height {
            let from = (band * height + y) * width;
            let source = &samples[from..from + width];
            let (row, _) = out[y * row_bytes..(y + 1) * row_bytes].as_chunks_mut::<N>();
            for (slot, &x) in row[within..].iter_mut().step_by(per_pixel).zip(source) {
                *slot = to_bytes(x);
            }
        }
    }
    let pixel = per_pixel * N;
    if width < block {
        for row in out.chunks_exact_mut(row_bytes).take(height) {
            let (image, padding) = row.split_at_mut(width * pixel);
            for slot in padding.chunks_exact_mut(pixel) {
                slot.copy_from_slice(&image[(width - 1) * pixel..]);
            }
        }
    }
    let (image, padding) = out.split_at_mut(height * row_bytes);
    for row in padding.chunks_exact_mut(row_bytes) {
        row.copy_from_slice(&image[(height - 1) * row_bytes..]);
    }
    out
}

/// Applies the TIFF predictor of `spec` to every row; `stride` is the number of samples per pixel.
fn predict(bytes: &mut [u8], spec: &CogSpec, stride: usize) {
    let size = spec.dtype.size();
    let row_bytes = spec.block * stride * size;
    match spec.predictor_code() {
        2 => {
            for row in bytes.chunks_exact_mut(row_bytes) {
                match size {
                    1 => difference::<1>(row, stride, |a, b| [a[0].wrapping_sub(b[0])]),
                    2 => difference::<2>(row, stride, |a, b| {
                        u16::from_le_bytes(a).wrapping_sub(u16::from_le_bytes(b)).to_le_bytes()
                    }),
                    _ => difference::<4>(row, stride, |a, b| {
                        u32::from_le_bytes(a).wrapping_sub(u32::from_le_bytes(b)).to_le_bytes()
                    }),
                }
            }
        }
        3 => {
            let mut planes = vec![0; row_bytes];
            for row in bytes.chunks_exact_mut(row_bytes) {
                predict_float(row, &mut planes, size);
                difference::<1>(row, stride, |a, b| [a[0].wrapping_sub(b[0])]);
            }
        }
        _ => {}
    }
}

/// Replaces every sample but the first `stride` by its difference to the one `stride` before.
fn difference<const N: usize>(row: &mut [u8], stride: usize, minus: impl Fn([u8; N], [u8; N]) -> [u8; N]) {
    let (samples, _) = row.as_chunks_mut::<N>();
    for i in (stride..samples.len()).rev() {
        samples[i] = minus(samples[i], samples[i - stride]);
    }
}

/// Reorders a row of little-endian floats into byte planes, the most significant first (Adobe TIFF note 3).
fn predict_float(row: &mut [u8], planes: &mut [u8], size: usize) {
    let count = row.len() / size;
    for (plane, bytes) in planes.chunks_exact_mut(count).enumerate() {
        let significance = size - 1 - plane;
        for (slot, sample) in bytes.iter_mut().zip(row.chunks_exact(size)) {
            *slot = sample[significance];
        }
    }
    row.copy_from_slice(planes);
}

/// Compresses one chunk. `zstd` keeps the compressor's tables between chunks of one thread.
fn compress(
    bytes: Vec<u8>,
    compression: Compression,
    zstd: &mut Option<zstd::bulk::Compressor<'static>>,
) -> io::Result<Vec<u8>> {
    match compression {
        Compression::None => Ok(bytes),
        Compression::Lzw => weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
            .encode(&bytes)
            .map_err(io::Error::other),
        Compression::Deflate(level) => {
            let mut encoder = ZlibEncoder::new(Vec::new(), DeflateLevel::new(level));
            encoder.write_all(&bytes)?;
            encoder.finish()
        }
        Compression::Zstd(level) => {
            if zstd.is_none() {
                *zstd = Some(zstd::bulk::Compressor::new(level)?);
            }
            zstd.as_mut().map_or_else(|| Ok(Vec::new()), |compressor| compressor.compress(&bytes))
        }
    }
}
