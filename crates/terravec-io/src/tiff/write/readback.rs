//! From spooled chunks back to codes: the inverse of `encode`, for building overviews.

use std::io::{self, Read};

use half::f16;
use rayon::prelude::*;

use super::spec::{CogSpec, Compression};
use super::spool::{Record, Spool};
use crate::{Codes, DType, Samples};

/// Reads a block of the spool, without the padding of blocks at the edges: `shape` is (height, width).
///
/// # Errors
/// If the disk fails or gives back other bytes than were written.
pub(super) fn read_block(
    spool: &Spool,
    spec: &CogSpec,
    record: &Record,
    shape: (usize, usize),
) -> io::Result<Codes> {
    let mut bytes = Vec::new();
    spool.read(record.offset, record.len(), &mut bytes)?;
    let mut rest = bytes.as_slice();
    let payloads = record.sizes.iter().map(|&size| {
        let (framed, tail) = rest.split_at(size as usize + 8);
        rest = tail;
        &framed[4..framed.len() - 4]
    });
    let chunks = payloads
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|payload| {
            let mut chunk = decompress(payload, spec)?;
            restore(&mut chunk, spec);
            Ok(chunk)
        })
        .collect::<io::Result<Vec<_>>>()?;

    let samples = match spec.dtype {
        DType::U8 => Samples::U8(gather(spec, &chunks, shape, u8::from_le_bytes)),
        DType::I8 => Samples::I8(gather(spec, &chunks, shape, i8::from_le_bytes)),
        DType::U16 => Samples::U16(gather(spec, &chunks, shape, u16::from_le_bytes)),
        DType::I16 => Samples::I16(gather(spec, &chunks, shape, i16::from_le_bytes)),
        DType::U32 => Samples::U32(gather(spec, &chunks, shape, u32::from_le_bytes)),
        DType::I32 => Samples::I32(gather(spec, &chunks, shape, i32::from_le_bytes)),
        DType::F16 => Samples::F16(gather(spec, &chunks, shape, f16::from_le_bytes)),
        DType::F32 => Samples::F32(gather(spec, &chunks, shape, f32::from_le_bytes)),
        DType::F64 => Samples::F64(gather(spec, &chunks, shape, f64::from_le_bytes)),
    };
    Ok(Codes::new(samples, spec.bands, shape.0, shape.1))
}

fn decompress(payload: &[u8], spec: &CogSpec) -> io::Result<Vec<u8>> {
    let expected = spec.block_bytes() / spec.chunks_per_block();
    let chunk = match spec.compression {
        Compression::None => payload.to_vec(),
        Compression::Lzw => weezl::decode::Decoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
            .decode(payload)
            .map_err(io::Error::other)?,
        Compression::Deflate(_) => {
            let mut chunk = Vec::with_capacity(expected);
            flate2::read::ZlibDecoder::new(payload).read_to_end(&mut chunk)?;
            chunk
        }
        Compression::Zstd(_) => zstd::bulk::decompress(payload, expected)?,
    };
    if chunk.len() == expected {
        Ok(chunk)
    } else {
        Err(io::Error::other(format!("it holds {} bytes, not {expected}", chunk.len())))
    }
}

/// Undoes the predictor.
fn restore(chunk: &mut [u8], spec: &CogSpec) {
    let (size, stride) = (spec.dtype.size(), spec.chunk_bands());
    let row_bytes = spec.block * stride * size;
    match spec.predictor_code() {
        2 => {
            for row in chunk.chunks_exact_mut(row_bytes) {
                match size {
                    1 => accumulate::<1>(row, stride, |a, b| [a[0].wrapping_add(b[0])]),
                    2 => accumulate::<2>(row, stride, |a, b| {
                        u16::from_le_bytes(a).wrapping_add(u16::from_le_bytes(b)).to_le_bytes()
                    }),
                    _ => accumulate::<4>(row, stride, |a, b| {
                        u32::from_le_bytes(a).wrapping_add(u32::from_le_bytes(b)).to_le_bytes()
                    }),
                }
            }
        }
        3 => {
            let mut planes = vec![0; row_bytes];
            for row in chunk.chunks_exact_mut(row_bytes) {
                accumulate::<1>(row, stride, |a, b| [a[0].wrapping_add(b[0])]);
                planes.copy_from_slice(row);
                for (plane, bytes) in planes.chunks_exact(row_bytes / size).enumerate() {
                    let significance = size - 1 - plane;
                    for (sample, &byte) in row.chunks_exact_mut(size).zip(bytes) {
                        sample[significance] = byte;
                    }
                }
            }
        }
        _ => {}
    }
}

/// Adds to every sample but the first `stride` the one `stride` before.
fn accumulate<const N: usize>(row: &mut [u8], stride: usize, plus: impl Fn([u8; N], [u8; N]) -> [u8; N]) {
    let (samples, _) = row.as_chunks_mut::<N>();
    for i in stride..samples.len() {
        samples[i] = plus(samples[i], samples[i - stride]);
    }
}

/// Numbers in (band, y, x) order from chunks of one band or of all, dropping the padding.
fn gather<T, const N: usize>(
    spec: &CogSpec,
    chunks: &[Vec<u8>],
    (height, width): (usize, usize),
    from_bytes: impl Fn([u8; N]) -> T,
) -> Vec<T> {
    let per_pixel = spec.chunk_bands();
    let mut out = Vec::with_capacity(spec.bands * height * width);
    for band in 0..spec.bands {
        let (chunk, within) = (&chunks[band / per_pixel], band % per_pixel);
        let (samples, _) = chunk.as_chunks::<N>();
        for row in samples.chunks_exact(spec.block * per_pixel).take(height) {
            out.extend(row[within..].iter().step_by(per_pixel).take(width).map(|&b| from_bytes(b)));
        }
    }
    out
}
