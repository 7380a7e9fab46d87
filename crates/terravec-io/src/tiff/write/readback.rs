//! Reading blocks back from the spool.

use std::io::Read;

use rayon::prelude::*;

use super::spec::{CogSpec, Compression};
use super::spool::{Record, Spool};
use crate::{Codes, DType, Samples};

pub(super) fn read_block(
    spool: &Spool,
    spec: &CogSpec,
    record: &Record,
    (height, width): (usize, usize),
) -> Result<Codes, String> {
    let mut bytes = Vec::new();
    spool.read(record.offset, record.len(), &mut bytes).map_err(|e| e.to_string())?;
    let planes: Vec<Vec<u8>> = record
        .payloads(0)
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|(at, size)| {
            let at = at as usize;
            let raw = &bytes[at..at + size as usize];
            let stride = spec.chunk_bands();
            let size = spec.dtype.size();
            let n = spec.block * spec.block * stride * size;
            let mut out = match spec.compression {
                Compression::None => raw.to_vec(),
                Compression::Lzw => weezl::decode::Decoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
                    .decode(raw)
                    .map_err(|e| e.to_string())?,
                Compression::Deflate(_) => {
                    let mut o = Vec::new();
                    flate2::read::ZlibDecoder::new(raw).read_to_end(&mut o).map_err(|e| e.to_string())?;
                    o
                }
                Compression::Zstd(_) => zstd::bulk::decompress(raw, n).map_err(|e| e.to_string())?,
            };
            let row_bytes = spec.block * stride * size;
            for row in out.chunks_exact_mut(row_bytes) {
                match spec.predictor_code() {
                    2 if size == 1 => {
                        for i in stride..row.len() {
                            row[i] = row[i].wrapping_add(row[i - stride]);
                        }
                    }
                    2 if size == 2 => {
                        let (s, _) = row.as_chunks_mut::<2>();
                        for i in stride..s.len() {
                            s[i] = u16::from_le_bytes(s[i])
                                .wrapping_add(u16::from_le_bytes(s[i - stride]))
                                .to_le_bytes();
                        }
                    }
                    2 => {
                        let (s, _) = row.as_chunks_mut::<4>();
                        for i in stride..s.len() {
                            s[i] = u32::from_le_bytes(s[i])
                                .wrapping_add(u32::from_le_bytes(s[i - stride]))
                                .to_le_bytes();
                        }
                    }
                    3 => {
                        for i in stride..row.len() {
                            row[i] = row[i].wrapping_add(row[i - stride]);
                        }
                        let copy = row.to_vec();
                        let count = copy.len() / size;
                        for i in 0..count {
                            for p in 0..size {
                                row[i * size + size - 1 - p] = copy[p * count + i];
                            }
                        }
                    }
                    _ => {}
                }
            }
            Ok(out)
        })
        .collect::<Result<_, String>>()?;
    let stride = spec.chunk_bands();
    macro_rules! build {
        ($($kind:ident $t:ty),*) => {
            match spec.dtype {
                $(DType::$kind => {
                    const N: usize = std::mem::size_of::<$t>();
                    let mut v = Vec::with_capacity(spec.bands * height * width);
                    for band in 0..spec.bands {
                        let (plane, within) = if stride == 1 { (&planes[band], 0) } else { (&planes[0], band) };
                        let (s, _) = plane.as_chunks::<N>();
                        for y in 0..height {
                            v.extend((0..width).map(|x| <$t>::from_le_bytes(s[(y * spec.block + x) * stride + within])));
                        }
                    }
                    Samples::$kind(v)
                })*
            }
        };
    }
    let samples = build!(U8 u8, I8 i8, U16 u16, I16 i16, U32 u32, I32 i32, F16 half::f16, F32 f32, F64 f64);
    Ok(Codes::new(samples, spec.bands, height, width))
}
