//! An extraction in memory: all periods as one array.

use rayon::prelude::*;
use terravec_io::{DType, Samples};

use super::extract::Extraction;
use super::pixels::{Kind, Pixels};
use crate::error::{Error, Result};
use crate::sink::Progress;
use crate::vectors::Status;

/// All of an extraction, C order.
#[derive(Debug)]
pub struct Stack {
    /// Numbers, (period, band, y, x): float32 vectors with NaN where there is none, or codes.
    pub data: Samples,
    /// Why a pixel has a vector or has none, (period, y, x).
    pub status: Vec<Status>,
    /// (periods, bands, height, width).
    pub shape: [usize; 4],
}

impl Extraction {
    /// Reads all of it into memory. `progress` is called after each chunk.
    ///
    /// # Errors
    /// If a tile can't be read, or there is not that much memory.
    pub fn read_all(&self, progress: Progress<'_>) -> Result<Stack> {
        self.check_unscaled("an array")?;
        let shape = [self.periods.len(), self.band_names.len(), self.grid.height, self.grid.width];
        let chunks = self.chunks(1);
        if let (1, [window]) = (shape[0], chunks.as_slice()) {
            let pixels = self.read(0, *window)?;
            progress(1, 1);
            return Ok(match pixels {
                Pixels::Vectors(v) => Stack { data: Samples::F32(v.data), status: v.status, shape },
                Pixels::Codes(c, status) => Stack { data: c.samples, status, shape },
            });
        }
        let (dtype, fill) = match self.kind {
            Kind::Vectors => (DType::F32, f64::NAN),
            Kind::Codes(dtype, fill) => (dtype, fill),
        };
        let count = shape.iter().try_fold(1usize, |n, s| n.checked_mul(*s));
        let too_much = || {
            Error::query(
                format!(
                    "{} × {} × {} × {} numbers do not fit in memory",
                    shape[0], shape[1], shape[2], shape[3]
                ),
                "ask for a smaller area, fewer bands or a coarser resolution, or write to a file",
            )
        };
        let count = count.ok_or_else(too_much)?;
        let mut probe = Vec::<u8>::new();
        probe
            .try_reserve_exact(count.checked_mul(dtype.size()).ok_or_else(too_much)?)
            .map_err(|_| too_much())?;
        drop(probe);
        let planes = shape[2] * shape[3];
        let mut data = Samples::filled(dtype, count, fill);
        let mut status = vec![Status::Outside; shape[0] * planes];
        for period in 0..shape[0] {
            for (done, window) in chunks.iter().enumerate() {
                let pixels = self.read(period, *window)?;
                let place = Place { offset: window.row * shape[3] + window.col, width: shape[3] };
                for (row, part) in pixels.status().chunks_exact(window.width).enumerate() {
                    status[period * planes + place.offset + row * shape[3]..][..window.width]
                        .copy_from_slice(part);
                }
                let source = match pixels {
                    Pixels::Vectors(v) => Samples::F32(v.data),
                    Pixels::Codes(c, _) => c.samples,
                };
                put(
                    &mut data,
                    &source,
                    (period * shape[1] * planes, planes),
                    place,
                    (window.height, window.width),
                );
                progress(period * chunks.len() + done + 1, chunks.len() * shape[0]);
            }
        }
        Ok(Stack { data, status, shape })
    }
}

/// Where a chunk goes in a plane.
#[derive(Clone, Copy)]
struct Place {
    offset: usize,
    width: usize,
}

/// Copies a (band, y, x) chunk into planes of `planes` numbers that start at `start`.
fn put(
    out: &mut Samples,
    chunk: &Samples,
    (start, planes): (usize, usize),
    place: Place,
    (height, width): (usize, usize),
) {
    macro_rules! arms {
        ($($t:ident),*) => {
            match (out, chunk) {
                $((Samples::$t(o), Samples::$t(c)) => {
                    let bands = c.par_chunks_exact(height * width);
                    bands.zip(o[start..].par_chunks_mut(planes)).for_each(|(band, plane)| {
                        for (row, run) in band.chunks_exact(width).enumerate() {
                            plane[place.offset + row * place.width..][..width].copy_from_slice(run);
                        }
                    });
                })*
                _ => unreachable!("chunks of one extraction have one type"),
            }
        };
    }
    arms!(U8, I8, U16, I16, U32, I32, F16, F32, F64);
}
