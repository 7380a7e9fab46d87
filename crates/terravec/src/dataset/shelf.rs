//! Blocks of a remote file put down again as they are wanted at points: small squares with all bands of a pixel together.
//!
//! The vector at a point of an AlphaEarth file costs 64 blocks of a megapixel, one per band. Once they are fetched and decoded, they are kept in the
//! cache as squares of 64 × 64 pixels, band last, so that the next point nearby costs one of those.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use rayon::prelude::*;
use terravec_geo::Window;
use terravec_io::source::Location;
use terravec_io::source::cache::Made;
use terravec_io::{Codes, DType, Samples};

use super::file::{RasterFile, Stored};
use crate::error::Result;

/// Bytes of a square, at most.
const SQUARE: usize = 256 << 10;
/// A file whose pixels cost less than this to decode is read as it is.
const WORTH: usize = 4 << 20;

/// The squares of a file.
#[derive(Debug)]
pub(super) struct Shelf {
    made: Made,
    /// Pixels along a side.
    side: usize,
    /// Squares from west to east.
    across: usize,
    bands: usize,
    dtype: DType,
    block: (usize, usize),
    size: (usize, usize),
}

impl Shelf {
    /// The squares of `file`, where keeping them is worth it: a remote GeoTIFF of large blocks, without a mask, while there is a cache.
    ///
    /// # Errors
    /// If the state of the file can't be told.
    pub(super) fn of(file: &RasterFile, location: &Location) -> Result<Option<Self>> {
        let RasterFile::Tiff(tiff) = file else { return Ok(None) };
        let (bands, dtype, block) = (tiff.bands(), tiff.dtype(), tiff.block_size());
        let pixel = bands * dtype.size();
        if !location.is_remote() || tiff.has_mask() || block.0 * block.1 * pixel < WORTH {
            return Ok(None);
        }
        // Counted from the north, blocks of a file that begins in the south lie across its own, unless they fill it.
        if tiff.was_south_up() && !tiff.height().is_multiple_of(block.1) {
            return Ok(None);
        }
        let mut side = 256;
        while side > 8 && side * side * pixel > SQUARE {
            side /= 2;
        }
        if !block.0.is_multiple_of(side) || !block.1.is_multiple_of(side) {
            return Ok(None);
        }
        let Some(made) = location.made(&tiff.fingerprint()?, "squares") else { return Ok(None) };
        let size = (tiff.width(), tiff.height());
        Ok(Some(Self { made, side, across: size.0.div_ceil(side), bands, dtype, block, size }))
    }

    fn square_bytes(&self) -> usize {
        self.side * self.side * self.bands * self.dtype.size()
    }

    /// The part of the whole that a square is.
    fn range(&self, (col, row): (usize, usize)) -> std::ops::Range<u64> {
        let start = ((row * self.across + col) * self.square_bytes()) as u64;
        start..start + self.square_bytes() as u64
    }

    /// Reads all bands of single pixels (column, row); the answer has shape (bands, 1, n).
    pub(super) fn read_points(&self, file: &RasterFile, at: &[(usize, usize)]) -> Result<Stored> {
        let square_of = |&(col, row): &(usize, usize)| (col / self.side, row / self.side);
        let wanted: BTreeSet<(usize, usize)> = at.iter().map(square_of).collect();
        let mut squares: BTreeMap<(usize, usize), Bytes> = BTreeMap::new();
        let mut missing: BTreeMap<(usize, usize), Vec<(usize, usize)>> = BTreeMap::new();
        for square in wanted {
            match self.made.read(&self.range(square)) {
                Some(bytes) => drop(squares.insert(square, bytes)),
                None => {
                    let block = (square.0 * self.side / self.block.0, square.1 * self.side / self.block.1);
                    missing.entry(block).or_default().push(square);
                }
            }
        }
        for (block, wanted) in missing {
            let made = self.fill(file, block)?;
            squares.extend(made.into_iter().filter(|(square, _)| wanted.contains(square)));
        }
        let pixel = self.bands * self.dtype.size();
        let mut bytes = Vec::with_capacity(at.len() * pixel);
        for place in at {
            let (col, row) = (place.0 % self.side, place.1 % self.side);
            // Every square that is wanted was found or made.
            let from = (row * self.side + col) * pixel;
            bytes.extend_from_slice(&squares[&square_of(place)][from..from + pixel]);
        }
        let samples = Samples::from_le_bytes(self.dtype, bytes).transposed(self.bands);
        Ok((Codes::new(samples, self.bands, 1, at.len()), None))
    }

    /// Reads a block of the file, and keeps all its squares.
    fn fill(&self, file: &RasterFile, (col, row): (usize, usize)) -> Result<Vec<((usize, usize), Bytes)>> {
        let (c0, r0) = (col * self.block.0, row * self.block.1);
        let window = Window {
            col: c0,
            row: r0,
            width: self.block.0.min(self.size.0 - c0),
            height: self.block.1.min(self.size.1 - r0),
        };
        let bands: Vec<usize> = (0..self.bands).collect();
        let (codes, _) = file.read(&bands, window)?;
        let places = (0..window.height.div_ceil(self.side))
            .flat_map(|r| (0..window.width.div_ceil(self.side)).map(move |c| (c, r)));
        let places: Vec<(usize, usize)> = places.collect();
        Ok(places
            .into_par_iter()
            .map(|(c, r)| {
                let bytes = Bytes::from(self.square(&codes, c * self.side, r * self.side));
                let place = (c0 / self.side + c, r0 / self.side + r);
                self.made.write(&self.range(place), &bytes);
                (place, bytes)
            })
            .collect())
    }

    /// The bytes of a square that begins at (`col`, `row`) of a block, band last; 0 beyond the block.
    fn square(&self, codes: &Codes, col: usize, row: usize) -> Vec<u8> {
        let (width, height) = (self.side.min(codes.width - col), self.side.min(codes.height - row));
        let part = codes.crop(row, col, height, width).samples.transposed(width * height).to_le_bytes();
        let pixel = self.bands * self.dtype.size();
        if (width, height) == (self.side, self.side) {
            return part;
        }
        let mut out = vec![0; self.square_bytes()];
        for (y, run) in part.chunks_exact(width * pixel).enumerate() {
            out[y * self.side * pixel..][..run.len()].copy_from_slice(run);
        }
        out
    }
}
