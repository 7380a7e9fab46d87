//! Compressed runs of bytes. What comes out is bounded before it is made; decompressors of zstd are kept per thread.

use std::cell::RefCell;
use std::io::Read;

use super::MAX_CHUNK;

thread_local! {
    static ZSTD: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Runs `f` with this thread's decompressor.
pub(super) fn with_zstd<T>(
    f: impl FnOnce(&mut zstd::bulk::Decompressor<'static>) -> std::io::Result<T>,
) -> Result<T, String> {
    ZSTD.with_borrow_mut(|kept| {
        let mut context = match kept.take() {
            Some(context) => context,
            None => zstd::bulk::Decompressor::new().map_err(|e| format!("zstd: {e}"))?,
        };
        let answer = f(&mut context).map_err(|e| format!("zstd: {e}"));
        *kept = Some(context);
        answer
    })
}

pub(super) fn zstd(bytes: &[u8], size: Option<usize>) -> Result<Vec<u8>, String> {
    if let Some(size) = size {
        let mut out = vec![0; size];
        let n = with_zstd(|z| z.decompress_to_buffer(bytes, &mut out))?;
        out.truncate(n);
        return Ok(out);
    }
    drain(zstd::stream::read::Decoder::new(bytes).map_err(|e| format!("zstd: {e}"))?, None, "zstd")
}

pub(super) fn gzip(bytes: &[u8], size: Option<usize>) -> Result<Vec<u8>, String> {
    drain(flate2::bufread::MultiGzDecoder::new(bytes), size, "gzip")
}

pub(super) fn zlib(bytes: &[u8], size: Option<usize>) -> Result<Vec<u8>, String> {
    drain(flate2::bufread::ZlibDecoder::new(bytes), size, "zlib")
}

/// LZ4 as numcodecs writes it: the length, then one block.
pub(super) fn lz4(bytes: &[u8], size: Option<usize>) -> Result<Vec<u8>, String> {
    let Some((length, block)) = bytes.split_first_chunk::<4>() else { return Err("lz4: too short".into()) };
    let length = u32::from_le_bytes(*length) as usize;
    // No LZ4 block makes more than 255 bytes of one.
    if size.is_some_and(|size| size != length) || length > MAX_CHUNK || length / 256 > block.len() {
        return Err(format!("lz4: {length} bytes are announced"));
    }
    let mut out = vec![0; length];
    let n = lz4_flex::block::decompress_into(block, &mut out).map_err(|e| format!("lz4: {e}"))?;
    out.truncate(n);
    Ok(out)
}

/// All that comes out of `reader`, which may be no more than `size`.
fn drain(reader: impl Read, size: Option<usize>, name: &str) -> Result<Vec<u8>, String> {
    let limit = size.unwrap_or(MAX_CHUNK);
    let mut out = Vec::with_capacity(size.unwrap_or(0).min(1 << 20));
    reader.take(limit as u64 + 1).read_to_end(&mut out).map_err(|e| format!("{name}: {e}"))?;
    if out.len() > limit {
        return Err(format!("{name}: more than the {limit} bytes expected"));
    }
    Ok(out)
}
