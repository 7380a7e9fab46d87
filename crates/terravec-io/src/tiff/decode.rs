//! From the bytes of one chunk (a tile or strip, of one band or of all) to numbers.
//!
//! A predictor works on rows of the chunk as it was written: in a file with a plane per band the stride is 1, with all bands in a
//! pixel it is the number of bands. Crates that take the number of bands for both return wrong numbers.

use std::cell::RefCell;
use std::io::Read;
use std::ops::Range;

use half::f16;

use crate::{DType, Samples};

/// How chunks are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    None,
    Lzw,
    Deflate,
    PackBits,
    Zstd,
}

impl Codec {
    /// The codec of a Compression tag, or the name of one that is not supported.
    pub(crate) fn from_tag(code: u64) -> Result<Self, String> {
        Ok(match code {
            1 => Self::None,
            5 => Self::Lzw,
            8 | 32946 => Self::Deflate,
            32773 => Self::PackBits,
            50000 => Self::Zstd,
            2..=4 => return Err("CCITT compression".into()),
            6 | 7 => return Err("JPEG compression".into()),
            34712 => return Err("JPEG 2000 compression".into()),
            34887 => return Err("LERC compression".into()),
            34925 => return Err("LZMA compression".into()),
            50001 => return Err("WebP compression".into()),
            50002 => return Err("JPEG XL compression".into()),
            other => return Err(format!("compression {other}")),
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lzw => "lzw",
            Self::Deflate => "deflate",
            Self::PackBits => "packbits",
            Self::Zstd => "zstd",
        }
    }
}

/// What is needed to decode a chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChunkLayout {
    pub(crate) codec: Codec,
    /// 1 (none), 2 (differences) or 3 (floating point).
    pub(crate) predictor: u64,
    pub(crate) big_endian: bool,
    pub(crate) dtype: DType,
    /// Numbers per pixel in the chunk.
    pub(crate) samples: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

thread_local! {
    static ZSTD: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
    static ZSTD_PART: RefCell<Option<zstd::stream::raw::Decoder<'static>>> = const { RefCell::new(None) };
}

/// Decodes `rows` of a chunk to `rows.len() * width * samples` numbers, pixel by pixel. What lies below those rows is
/// not decompressed: a small window in a large block costs what lies above its lower edge.
pub(crate) fn decode_chunk(layout: ChunkLayout, rows: Range<usize>, bytes: &[u8]) -> Result<Samples, String> {
    let row = layout.width * layout.samples * layout.dtype.size();
    let need = row * rows.end;
    // Decompressing in one go is faster per byte than up to a point.
    let whole = rows.end * 4 >= layout.height * 3;
    let raw = match layout.codec {
        Codec::Zstd if !whole => inflate_part(bytes, need)?,
        codec => inflate(codec, bytes, row * layout.height, need)?,
    };
    if raw.len() < need {
        return Err(format!("a block decodes to {} bytes, {need} are needed", raw.len()));
    }
    let mut raw = match rows.start {
        0 => raw,
        start => raw[row * start..need].to_vec(),
    };
    raw.truncate(row * rows.len());
    match layout.predictor {
        3 => unpredict_float(&mut raw, layout),
        _ => swap_to_native(&mut raw, layout),
    }
    let mut samples = cast(raw, layout.dtype);
    if layout.predictor == 2 {
        undo_differences(&mut samples, layout.width, layout.samples);
    }
    Ok(samples)
}

/// The first `need` bytes of ZSTD data.
fn inflate_part(bytes: &[u8], need: usize) -> Result<Vec<u8>, String> {
    use zstd::stream::raw::{InBuffer, Operation, OutBuffer};
    let damaged = |e: std::io::Error| format!("ZSTD data is damaged: {e}");
    ZSTD_PART.with(|cell| {
        let mut slot = cell.borrow_mut();
        let decoder = match &mut *slot {
            Some(d) => d,
            None => slot.insert(zstd::stream::raw::Decoder::new().map_err(damaged)?),
        };
        decoder.reinit().map_err(damaged)?;
        let mut out = vec![0u8; need];
        let mut output = OutBuffer::around(out.as_mut_slice());
        let mut input = InBuffer::around(bytes);
        while output.pos() < need {
            let before = (input.pos(), output.pos());
            let left = decoder.run(&mut input, &mut output).map_err(damaged)?;
            if left == 0 || (input.pos(), output.pos()) == before {
                break;
            }
        }
        let n = output.pos();
        out.truncate(n);
        Ok(out)
    })
}

/// Decompresses at least the first `need` bytes of a block of `full` bytes; ZSTD data that decodes to more is refused.
fn inflate(codec: Codec, bytes: &[u8], full: usize, need: usize) -> Result<Vec<u8>, String> {
    match codec {
        Codec::None => Ok(bytes[..bytes.len().min(need)].to_vec()),
        Codec::Deflate => {
            let mut out = Vec::with_capacity(need);
            flate2::read::ZlibDecoder::new(bytes)
                .take(need as u64)
                .read_to_end(&mut out)
                .map_err(|e| format!("DEFLATE data is damaged: {e}"))?;
            Ok(out)
        }
        Codec::Zstd => ZSTD.with(|cell| {
            let mut slot = cell.borrow_mut();
            let decoder = match &mut *slot {
                Some(d) => d,
                None => slot.insert(zstd::bulk::Decompressor::new().map_err(|e| e.to_string())?),
            };
            let mut out = Vec::with_capacity(full);
            decoder
                .decompress_to_buffer(bytes, &mut out)
                .map_err(|e| format!("ZSTD data is damaged: {e}"))?;
            Ok(out)
        }),
        Codec::Lzw => {
            // Files of the 1980s pack codes the other way round; their first two bytes tell.
            if bytes.len() > 1 && bytes[0] == 0 && bytes[1] & 1 == 1 {
                return Err("old-style LZW is not supported".into());
            }
            let mut out = vec![0; need];
            let mut decoder = weezl::decode::Configuration::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
                .with_yield_on_full_buffer(true)
                .build();
            // One call stops at each code that resets the table: go on until the block is full or nothing moves.
            let (mut read, mut written) = (0, 0);
            while written < need {
                let step = decoder.decode_bytes(&bytes[read..], &mut out[written..]);
                let status = step.status.map_err(|e| format!("LZW data is damaged: {e}"))?;
                (read, written) = (read + step.consumed_in, written + step.consumed_out);
                if !matches!(status, weezl::LzwStatus::Ok) || (step.consumed_in, step.consumed_out) == (0, 0)
                {
                    break;
                }
            }
            out.truncate(written);
            Ok(out)
        }
        Codec::PackBits => pack_bits(bytes, need),
    }
}

fn pack_bits(bytes: &[u8], full: usize) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(full);
    let mut i = 0;
    while i < bytes.len() && out.len() < full {
        let n = bytes[i].cast_signed();
        i += 1;
        if n >= 0 {
            let run = usize::from(n.cast_unsigned()) + 1;
            let end = (i + run).min(bytes.len());
            out.extend_from_slice(&bytes[i..end]);
            i = end;
        } else if n != -128 {
            let value = *bytes.get(i).ok_or("PackBits data ends in a run")?;
            out.extend(std::iter::repeat_n(value, usize::from(n.unsigned_abs()) + 1));
            i += 1;
        }
    }
    out.truncate(full);
    Ok(out)
}

fn swap_to_native(raw: &mut [u8], layout: ChunkLayout) {
    let size = layout.dtype.size();
    if size > 1 && layout.big_endian != cfg!(target_endian = "big") {
        for number in raw.chunks_exact_mut(size) {
            number.reverse();
        }
    }
}

/// Predictor 3 (Adobe TIFF technical note 3): per row, byte differences over planes of bytes, most significant plane
/// first.
fn unpredict_float(raw: &mut [u8], layout: ChunkLayout) {
    let size = layout.dtype.size();
    let numbers = layout.width * layout.samples;
    let mut planes = vec![0u8; numbers * size];
    for row in raw.chunks_exact_mut(numbers * size) {
        for i in layout.samples..row.len() {
            row[i] = row[i].wrapping_add(row[i - layout.samples]);
        }
        planes.copy_from_slice(row);
        for (i, number) in row.chunks_exact_mut(size).enumerate() {
            for (b, byte) in number.iter_mut().enumerate() {
                let plane = if cfg!(target_endian = "big") { b } else { size - 1 - b };
                *byte = planes[plane * numbers + i];
            }
        }
    }
}

fn cast(raw: Vec<u8>, dtype: DType) -> Samples {
    macro_rules! numbers {
        ($t:ty, $n:literal) => {
            Samples::from(
                raw.chunks_exact($n)
                    .map(|c| <$t>::from_ne_bytes(c.try_into().unwrap_or([0; $n])))
                    .collect::<Vec<$t>>(),
            )
        };
    }
    match dtype {
        DType::U8 => Samples::U8(raw),
        DType::I8 => Samples::I8(raw.into_iter().map(u8::cast_signed).collect()),
        DType::U16 => numbers!(u16, 2),
        DType::I16 => numbers!(i16, 2),
        DType::U32 => numbers!(u32, 4),
        DType::I32 => numbers!(i32, 4),
        DType::F16 => numbers!(f16, 2),
        DType::F32 => numbers!(f32, 4),
        DType::F64 => numbers!(f64, 8),
    }
}

/// Predictor 2: every number is the difference to its left neighbour of the same band. Floats are differenced by
/// their bits.
fn undo_differences(samples: &mut Samples, width: usize, stride: usize) {
    macro_rules! sum {
        ($v:expr) => {
            for row in $v.chunks_exact_mut(width * stride) {
                if stride == 1 {
                    let mut acc = row[0];
                    for q in &mut row[1..] {
                        acc = acc.wrapping_add(*q);
                        *q = acc;
                    }
                } else {
                    for i in stride..row.len() {
                        row[i] = row[i].wrapping_add(row[i - stride]);
                    }
                }
            }
        };
    }
    macro_rules! bits {
        ($v:expr, $t:ty) => {
            for row in $v.chunks_exact_mut(width * stride) {
                for i in stride..row.len() {
                    row[i] = <$t>::from_bits(row[i].to_bits().wrapping_add(row[i - stride].to_bits()));
                }
            }
        };
    }
    if width == 0 || stride == 0 {
        return;
    }
    match samples {
        Samples::U8(v) => sum!(v),
        Samples::I8(v) => sum!(v),
        Samples::U16(v) => sum!(v),
        Samples::I16(v) => sum!(v),
        Samples::U32(v) => sum!(v),
        Samples::I32(v) => sum!(v),
        Samples::F16(v) => bits!(v, f16),
        Samples::F32(v) => bits!(v, f32),
        Samples::F64(v) => bits!(v, f64),
    }
}
