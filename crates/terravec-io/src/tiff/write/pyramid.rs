//! Overviews: each level from the next finer one, block by block, with memory for a few blocks only.

use std::path::Path;

use rayon::prelude::*;

use super::encode::encode_block;
use super::error::CogError;
use super::readback::read_block;
use super::spec::CogSpec;
use super::spool::{Level, Record, Spool};
use crate::{Codes, Samples};

/// Halves rows and columns, rounding up.
pub(super) type Reduce<'a> = &'a (dyn Fn(&Codes) -> Codes + Sync);

/// Memory that decoded blocks may take while a level is built; at least one block is always in flight.
const IN_FLIGHT_BYTES: usize = 256 << 20;

/// Everything a level is built with.
pub(super) struct Pyramid<'a> {
    pub(super) path: &'a Path,
    pub(super) spec: &'a CogSpec,
    pub(super) spool: &'a Spool,
    pub(super) reduce: Reduce<'a>,
}

impl Pyramid<'_> {
    /// Builds the level of half the size of `finer`. A block stays missing where all it covers is missing.
    pub(super) fn coarser(&self, finer: &Level) -> Result<Level, CogError> {
        let mut level = Level::new(finer.width.div_ceil(2), finer.height.div_ceil(2), self.spec.block);
        // In flight per block: one finer block, a quarter of it reduced, the block itself.
        let in_flight = (IN_FLIGHT_BYTES / (3 * self.spec.block_bytes())).max(1);
        for batch in (0..level.blocks.len()).collect::<Vec<_>>().chunks(in_flight) {
            let records: Vec<_> =
                batch.par_iter().map(|&i| self.block(finer, &level, i)).collect::<Result<_, _>>()?;
            for (&i, record) in batch.iter().zip(records) {
                level.blocks[i] = record;
            }
        }
        Ok(level)
    }

    fn block(&self, finer: &Level, level: &Level, index: usize) -> Result<Option<Record>, CogError> {
        let (bx, by) = (index % level.across, index / level.across);
        let block = self.spec.block;
        let (height, width) = level.block_shape(bx, by, block);
        let mut out: Option<Codes> = None;
        for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            let (fx, fy) = (2 * bx + dx, 2 * by + dy);
            if fx >= finer.across || fy >= finer.down {
                continue;
            }
            let Some(record) = &finer.blocks[fy * finer.across + fx] else { continue };
            let shape = finer.block_shape(fx, fy, block);
            let codes = read_block(self.spool, self.spec, record, shape).map_err(|source| {
                CogError::ReadBack { path: self.path.to_owned(), bx: fx, by: fy, source }
            })?;
            let half = (self.reduce)(&codes);
            drop(codes);
            let out = out.get_or_insert_with(|| {
                Codes::filled(self.spec.dtype, self.spec.bands, height, width, self.spec.fill())
            });
            let expected = (self.spec.bands, shape.0.div_ceil(2), shape.1.div_ceil(2));
            if (half.bands, half.height, half.width) != expected || half.dtype() != self.spec.dtype {
                return Err(CogError::Block {
                    path: self.path.to_owned(),
                    bx: fx,
                    by: fy,
                    problem: format!(
                        "the overview reduction returned {} ({}, {}, {}), not {} {expected:?}",
                        half.dtype(),
                        half.bands,
                        half.height,
                        half.width,
                        self.spec.dtype
                    ),
                });
            }
            paste(out, &half, dy * block / 2, dx * block / 2);
        }
        let Some(codes) = out else { return Ok(None) };
        let chunks = encode_block(self.spec, &codes).map_err(CogError::io(self.path))?;
        drop(codes);
        self.spool.append(&chunks).map(Some).map_err(CogError::io(self.path))
    }
}

/// Copies `from` into `into` with its first pixel at (`top`, `left`). Both have the same bands and type.
fn paste(into: &mut Codes, from: &Codes, top: usize, left: usize) {
    macro_rules! same_type {
        ($($kind:ident),*) => {
            match (&mut into.samples, &from.samples) {
                $((Samples::$kind(to), Samples::$kind(source)) => {
                    for row in 0..from.bands * from.height {
                        let (band, y) = (row / from.height, row % from.height);
                        let start = (band * into.height + top + y) * into.width + left;
                        to[start..start + from.width]
                            .copy_from_slice(&source[row * from.width..(row + 1) * from.width]);
                    }
                })*
                _ => unreachable!("the caller compared the types"),
            }
        };
    }
    same_type!(U8, I8, U16, I16, U32, I32, F16, F32, F64);
}
