//! Reading blocks back from the spool.

use std::io;

use rayon::prelude::*;

use super::super::decode::{ChunkLayout, Codec, decode_chunk};
use super::spec::{CogSpec, Compression};
use super::spool::{Record, Spool};
use crate::{Codes, Samples};

pub(super) fn read_block(
    spool: &Spool,
    spec: &CogSpec,
    record: &Record,
    (height, width): (usize, usize),
) -> io::Result<Codes> {
    let mut bytes = Vec::new();
    spool.read(record.offset, record.len(), &mut bytes)?;
    let layout = ChunkLayout {
        codec: match spec.compression {
            Compression::None => Codec::None,
            Compression::Lzw => Codec::Lzw,
            Compression::Deflate(_) => Codec::Deflate,
            Compression::Zstd(_) => Codec::Zstd,
        },
        predictor: u64::from(spec.predictor_code()),
        big_endian: false,
        dtype: spec.dtype,
        samples: spec.chunk_bands(),
        width: spec.block,
        height: spec.block,
    };
    let payloads: Vec<_> = record.payloads(0).collect();
    let chunks: Vec<Samples> = payloads
        .into_par_iter()
        .map(|(at, size)| {
            let at = usize::try_from(at).map_err(io::Error::other)?;
            let raw = bytes
                .get(at..at + size as usize)
                .ok_or_else(|| io::Error::other("the spool is cut short"))?;
            decode_chunk(layout, 0..spec.block, raw).map_err(io::Error::other)
        })
        .collect::<io::Result<_>>()?;
    let stride = spec.chunk_bands();
    macro_rules! build {
        ($($kind:ident),*) => {
            match &chunks[0] {
                $(Samples::$kind(_) => {
                    let mut out = Vec::with_capacity(spec.bands * height * width);
                    for band in 0..spec.bands {
                        let (chunk, within) = if stride == 1 { (&chunks[band], 0) } else { (&chunks[0], band) };
                        let Samples::$kind(v) = chunk else { return Err(io::Error::other("chunks differ in type")) };
                        for y in 0..height {
                            out.extend((0..width).map(|x| v[(y * spec.block + x) * stride + within]));
                        }
                    }
                    Samples::$kind(out)
                })*
            }
        };
    }
    let samples = build!(U8, I8, U16, I16, U32, I32, F16, F32, F64);
    Ok(Codes::new(samples, spec.bands, height, width))
}
