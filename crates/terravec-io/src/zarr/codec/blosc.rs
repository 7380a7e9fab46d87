//! The Blosc container, version 1, read and written.
//!
//! A header of 16 bytes, then blocks; each is one stream or, for some compressors, one per byte of an element, shuffled by bytes or
//! bits before it was compressed. Our own, because the crates that exist bring the C library along. Format:
//! <https://github.com/Blosc/c-blosc/blob/main/README_CHUNK_FORMAT.rst>.

use super::inflate::with_zstd;
use super::shuffle::{bit_unshuffle_into, unshuffle_into};
use super::{MAX_CHUNK, blosclz};

const HEADER: usize = 16;
const SHUFFLE: u8 = 1;
const COPIED: u8 = 2;
const BIT_SHUFFLE: u8 = 4;
const NO_SPLIT: u8 = 16;
/// Format of a zstd stream, as the three upper bits of the flags.
const ZSTD: u8 = 4;
/// Blocks are split by the bytes of elements of at most this size, and only where that gives streams of at least this length.
const MAX_SPLIT: usize = 16;
const MIN_STREAM: usize = 128;

struct Frame<'a> {
    bytes: &'a [u8],
    flags: u8,
    item: usize,
    size: usize,
    block: usize,
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*word) as usize)
}

fn frame(bytes: &[u8]) -> Result<Frame<'_>, String> {
    let header = bytes.first_chunk::<HEADER>().ok_or("blosc: too short for a header")?;
    let (version, flags, item) = (header[0], header[2], usize::from(header[3]));
    if !(1..=2).contains(&version) {
        return Err(format!("blosc: format version {version} is not supported"));
    }
    let word = |at| u32_at(header, at).unwrap_or(0);
    let (size, block, stored) = (word(4), word(8), word(12));
    if stored > bytes.len() || stored < HEADER {
        return Err(format!("blosc: {stored} bytes are announced, {} are there", bytes.len()));
    }
    if size > MAX_CHUNK || (size > 0 && block == 0) || block > size.max(1) || item == 0 {
        return Err(format!("blosc: blocks of {block} bytes in a chunk of {size} make no sense"));
    }
    Ok(Frame { bytes: &bytes[..stored], flags, item, size, block })
}

/// The bytes in a frame, which must be `size` where that is known.
pub(super) fn decode(bytes: &[u8], size: Option<usize>) -> Result<Vec<u8>, String> {
    let frame = frame(bytes)?;
    if let Some(size) = size.filter(|size| *size != frame.size) {
        return Err(format!("blosc: the frame holds {} bytes, {size} are expected", frame.size));
    }
    if frame.size == 0 {
        return Ok(Vec::new());
    }
    if frame.flags & COPIED != 0 {
        let data = frame.bytes.get(HEADER..HEADER + frame.size).ok_or("blosc: the frame is cut")?;
        return Ok(data.to_vec());
    }
    let blocks = frame.size.div_ceil(frame.block);
    if blocks > (frame.bytes.len() - HEADER) / 4 {
        return Err(format!("blosc: {blocks} blocks do not fit in {} bytes", frame.bytes.len()));
    }
    let mut out = vec![0; frame.size];
    let mut scratch = Vec::new();
    for (i, out) in out.chunks_mut(frame.block).enumerate() {
        let start = u32_at(frame.bytes, HEADER + 4 * i).unwrap_or(usize::MAX);
        let stored = frame.bytes.get(start..).filter(|_| start >= HEADER + 4 * blocks);
        decode_block(&frame, stored.ok_or("blosc: a block starts outside the frame")?, out, &mut scratch)?;
    }
    Ok(out)
}

fn decode_block(
    frame: &Frame<'_>,
    mut stored: &[u8],
    out: &mut [u8],
    scratch: &mut Vec<u8>,
) -> Result<(), String> {
    let (item, size) = (frame.item, out.len());
    let split = frame.flags & NO_SPLIT == 0
        && item <= MAX_SPLIT
        && frame.block / item >= MIN_STREAM
        && size == frame.block;
    let streams = if split { item } else { 1 };
    let bits = frame.flags & BIT_SHUFFLE != 0 && size >= item && (size / item).is_multiple_of(8);
    let bytes = frame.flags & SHUFFLE != 0 && item > 1;
    let shuffled = bits || bytes;
    scratch.resize(if shuffled { size } else { 0 }, 0);
    let target = if shuffled { &mut scratch[..] } else { &mut *out };
    for part in target.chunks_mut(size.div_ceil(streams)) {
        let length = u32_at(stored, 0).ok_or("blosc: a block is cut")?;
        let data = stored.get(4..4 + length).ok_or("blosc: a block is cut")?;
        stored = &stored[4 + length..];
        if length == part.len() {
            part.copy_from_slice(data);
        } else if stream(frame.flags >> 5, data, part)? != part.len() {
            return Err("blosc: a block holds less than it should".into());
        }
    }
    if bits {
        let whole = size / item * item;
        bit_unshuffle_into(&scratch[..whole], item, &mut out[..whole]);
        out[whole..].copy_from_slice(&scratch[whole..]);
    } else if bytes {
        unshuffle_into(scratch, item, out);
    }
    Ok(())
}

/// Decompresses one stream; how many bytes came out.
fn stream(format: u8, data: &[u8], out: &mut [u8]) -> Result<usize, String> {
    match format {
        0 => blosclz::decode(data, out).ok_or_else(|| "blosclz: damaged data".into()),
        1 => lz4_flex::block::decompress_into(data, out).map_err(|e| format!("lz4: {e}")),
        2 => snap::raw::Decoder::new().decompress(data, out).map_err(|e| format!("snappy: {e}")),
        3 => {
            let mut z = flate2::Decompress::new(true);
            z.decompress(data, out, flate2::FlushDecompress::Finish).map_err(|e| format!("zlib: {e}"))?;
            Ok(z.total_out() as usize)
        }
        ZSTD => with_zstd(|z| z.decompress_to_buffer(data, out)),
        other => Err(format!("blosc: compressor {other} is not known")),
    }
}

/// A frame of `bytes`, whose elements have `item` bytes: one block, zstd, shuffled by bytes if elements have several.
///
/// # Errors
/// If zstd fails, or there are too many bytes.
pub(in crate::zarr) fn encode(
    bytes: &[u8],
    item: u8,
    zstd: &mut zstd::bulk::Compressor<'static>,
) -> Result<Vec<u8>, String> {
    let size = u32::try_from(bytes.len()).map_err(|_| "a chunk is too long for blosc")?;
    let n = bytes.len() / usize::from(item).max(1);
    let shuffle = item > 1;
    let shuffled: Vec<u8>;
    let input = if shuffle {
        // Byte j of all elements, then byte j + 1.
        shuffled = (0..usize::from(item))
            .flat_map(|j| bytes[j..].iter().step_by(usize::from(item)).take(n).copied())
            .collect();
        &shuffled[..]
    } else {
        bytes
    };
    let data = zstd.compress(input).map_err(|e| format!("zstd: {e}"))?;
    let copied = data.len() + 8 >= bytes.len();
    let flags = NO_SPLIT | ZSTD << 5 | if shuffle { SHUFFLE } else { 0 } | if copied { COPIED } else { 0 };
    let length = HEADER + if copied { bytes.len() } else { 8 + data.len() };
    let mut out = Vec::with_capacity(length);
    out.extend_from_slice(&[2, 1, flags, item]);
    for word in [size, size, u32::try_from(length).map_err(|_| "a chunk is too long for blosc")?] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    if copied {
        out.extend_from_slice(bytes);
    } else {
        out.extend_from_slice(&(HEADER as u32 + 4).to_le_bytes());
        out.extend_from_slice(&(data.len() as u32).to_le_bytes());
        out.extend_from_slice(&data);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut zstd = zstd::bulk::Compressor::new(3).unwrap();
        for (item, n) in [(1, 10_000usize), (4, 4096), (2, 10), (1, 0)] {
            let bytes: Vec<u8> = (0..n).map(|i| (i / 7 % 50) as u8).collect();
            let frame = encode(&bytes, item, &mut zstd).unwrap();
            assert_eq!(decode(&frame, Some(n)).unwrap(), bytes, "{item} {n}");
            for cut in 0..frame.len().min(40) {
                assert!(n == 0 || decode(&frame[..cut], Some(n)).is_err());
            }
        }
    }
}
