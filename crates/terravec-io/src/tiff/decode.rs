//! From the bytes of one chunk (a tile or strip, of one band or of all) to numbers.
//!
//! Decompressors are kept per thread: making one anew costs as much as a small chunk.

use std::cell::RefCell;
use std::ops::Range;

use half::f16;

use super::predict::{undo_differences, undo_float_planes};
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
            other => {
                let name = match other {
                    2..=4 | 32771 => "CCITT",
                    6 | 7 | 34892 => "JPEG",
                    9 | 10 | 34661 => "JBIG",
                    32766 => "NeXT",
                    32809 => "ThunderScan",
                    32908 | 32909 => "Pixar",
                    33003..=33005 | 34712 => "JPEG 2000",
                    34676 | 34677 => "SGI LogLuv",
                    34887 => "LERC",
                    34925 => "LZMA",
                    50001 => "WebP",
                    50002 | 52546 => "JPEG XL",
                    _ => return Err(format!("compression {other}")),
                };
                return Err(format!("{name} compression"));
            }
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
    static DEFLATE: RefCell<Option<flate2::Decompress>> = const { RefCell::new(None) };
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
    Ok(numbers(raw, row * rows.start..need, layout))
}

/// The numbers in `used` of the bytes of whole rows.
fn numbers(mut raw: Vec<u8>, used: Range<usize>, layout: ChunkLayout) -> Samples {
    let (row, stride) = (layout.width * layout.samples, layout.samples);
    macro_rules! wide {
        ($t:ty, $n:literal) => {{
            let mut v: Vec<$t> = match (layout.predictor, layout.big_endian) {
                (3, _) => undo_float_planes(&mut raw[used], row, stride, <$t>::from_be_bytes),
                (_, true) => raw[used].as_chunks::<$n>().0.iter().map(|b| <$t>::from_be_bytes(*b)).collect(),
                (_, false) => raw[used].as_chunks::<$n>().0.iter().map(|b| <$t>::from_le_bytes(*b)).collect(),
            };
            if layout.predictor == 2 {
                undo_differences(&mut v, row, stride);
            }
            v
        }};
    }
    match layout.dtype {
        DType::U8 | DType::I8 => {
            raw.truncate(used.end);
            raw.drain(..used.start);
            if layout.predictor == 2 {
                undo_differences(&mut raw, row, stride);
            }
            match layout.dtype {
                DType::U8 => Samples::U8(raw),
                _ => Samples::I8(raw.into_iter().map(u8::cast_signed).collect()),
            }
        }
        DType::U16 => Samples::U16(wide!(u16, 2)),
        DType::I16 => Samples::I16(wide!(u16, 2).into_iter().map(u16::cast_signed).collect()),
        DType::F16 => Samples::F16(wide!(u16, 2).into_iter().map(f16::from_bits).collect()),
        DType::U32 => Samples::U32(wide!(u32, 4)),
        DType::I32 => Samples::I32(wide!(u32, 4).into_iter().map(u32::cast_signed).collect()),
        DType::F32 => Samples::F32(wide!(u32, 4).into_iter().map(f32::from_bits).collect()),
        DType::F64 => Samples::F64(wide!(u64, 8).into_iter().map(f64::from_bits).collect()),
    }
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

/// The first `need` of `full` bytes of DEFLATE (zlib) data. A block that is wanted to its end is checked to its end.
fn inflate_zlib(bytes: &[u8], full: usize, need: usize) -> Result<Vec<u8>, String> {
    use flate2::{Decompress, FlushDecompress, Status};
    let damaged = |e: flate2::DecompressError| format!("DEFLATE data is damaged: {e}");
    DEFLATE.with(|cell| {
        let mut slot = cell.borrow_mut();
        let decoder = slot.get_or_insert_with(|| Decompress::new(true));
        decoder.reset(true);
        // One byte more than may come: a block that fills it is no block of this size, and one that does not has
        // had its checksum compared.
        let mut out = vec![0; if need == full { full + 1 } else { need }];
        loop {
            let (read, written) = (decoder.total_in() as usize, decoder.total_out() as usize);
            let status = decoder
                .decompress(&bytes[read..], &mut out[written..], FlushDecompress::None)
                .map_err(damaged)?;
            let moved = (decoder.total_in() as usize, decoder.total_out() as usize) != (read, written);
            if status == Status::StreamEnd || !moved || decoder.total_out() as usize == out.len() {
                break;
            }
        }
        let written = decoder.total_out() as usize;
        if written > full {
            return Err(format!("DEFLATE data decodes to more than the {full} bytes of a block"));
        }
        out.truncate(written);
        Ok(out)
    })
}

/// Decompresses at least the first `need` bytes of a block of `full` bytes. Never are more than `full` made, whatever the
/// data says.
fn inflate(codec: Codec, bytes: &[u8], full: usize, need: usize) -> Result<Vec<u8>, String> {
    match codec {
        Codec::None => Ok(bytes[..bytes.len().min(need)].to_vec()),
        Codec::Deflate => inflate_zlib(bytes, full, need),
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
