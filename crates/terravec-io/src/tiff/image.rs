//! One image of a file: its size, the type of its numbers, and how it is cut into blocks.
//!
//! Everything that a hostile file could lie about is checked here, before any of it is used to ask for memory.

use std::ops::Range;

use terravec_geo::Window;

use super::decode::{ChunkLayout, Codec};
use super::error::TiffError;
use super::ifd::{File, Ifd, tag};
use crate::DType;

/// Bytes of one decoded chunk.
const MAX_CHUNK: usize = 1 << 30;
/// Rows or columns.
const MAX_SIDE: u64 = 1 << 31;

/// One image of a file.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) ifd: Ifd,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) bands: usize,
    /// Columns and rows of a block.
    pub(super) block: (usize, usize),
    pub(super) tiled: bool,
    /// Whether chunks hold one band each.
    pub(super) planar: bool,
    pub(super) chunk: ChunkLayout,
    /// 1-bit numbers (masks only). A row of a chunk is then `chunk.width` bytes.
    pub(super) bilevel: bool,
}

impl Image {
    /// Reads and checks a directory; `mask`: whether it is that of a mask of valid pixels.
    pub(super) fn read(file: &File, ifd: Ifd, mask: bool) -> Result<Self, TiffError> {
        let required = |t: u16| -> Result<u64, TiffError> {
            ifd.uint(file, t)?.ok_or_else(|| file.corrupt(tag::name(t), "the tag is missing"))
        };
        let side = |t: u16, v: u64| -> Result<usize, TiffError> {
            let fits = usize::try_from(v).ok().filter(|_| (1..=MAX_SIDE).contains(&v));
            fits.ok_or_else(|| file.corrupt(tag::name(t), format!("{v} pixels")))
        };
        let width = side(tag::WIDTH, required(tag::WIDTH)?)?;
        let height = side(tag::HEIGHT, required(tag::HEIGHT)?)?;
        let bands = usize::try_from(ifd.uint(file, tag::SAMPLES)?.unwrap_or(1)).unwrap_or(0);
        if bands == 0 || bands > 65_535 {
            return Err(file.corrupt(tag::name(tag::SAMPLES), format!("{bands} bands")));
        }
        let planar = match ifd.uint(file, tag::PLANAR)?.unwrap_or(1) {
            1 => false,
            2 => bands > 1,
            other => return Err(file.corrupt(tag::name(tag::PLANAR), format!("{other} is no configuration"))),
        };
        let codec = Codec::from_tag(ifd.uint(file, tag::COMPRESSION)?.unwrap_or(1))
            .map_err(|what| file.unsupported(tag::COMPRESSION, what))?;
        let (dtype, bilevel) = number_type(file, &ifd, mask)?;
        if ifd.uint(file, tag::FILL_ORDER)?.unwrap_or(1) != 1 {
            return Err(file.unsupported(tag::FILL_ORDER, "reversed order of bits"));
        }
        if ifd.uint(file, tag::PHOTOMETRIC)? == Some(6) && ifd.has(tag::YCBCR_SUBSAMPLING) {
            return Err(file.unsupported(tag::PHOTOMETRIC, "YCbCr with subsampling"));
        }
        if mask && (bands > 1 || dtype != DType::U8) {
            return Err(file.unsupported(tag::NEW_SUBFILE_TYPE, format!("a mask of {bands} {dtype} bands")));
        }
        let predictor = predictor(file, &ifd, codec, dtype, bilevel)?;
        let tiled = ifd.has(tag::TILE_WIDTH) || ifd.has(tag::TILE_OFFSETS);
        let block = if tiled {
            (
                side(tag::TILE_WIDTH, required(tag::TILE_WIDTH)?)?,
                side(tag::TILE_HEIGHT, required(tag::TILE_HEIGHT)?)?,
            )
        } else {
            let rows = ifd.uint(file, tag::ROWS_PER_STRIP)?.unwrap_or(height as u64).clamp(1, height as u64);
            (width, usize::try_from(rows).unwrap_or(height))
        };
        let samples = if planar { 1 } else { bands };
        let row = if bilevel { block.0.div_ceil(8) } else { block.0 };
        let size = row.checked_mul(block.1).and_then(|n| n.checked_mul(samples * dtype.size()));
        if size.is_none_or(|s| s > MAX_CHUNK) {
            return Err(file.corrupt(
                tag::name(if tiled { tag::TILE_WIDTH } else { tag::ROWS_PER_STRIP }),
                format!("a block of {} × {} pixels of {samples} numbers is too large", block.0, block.1),
            ));
        }
        let chunk = ChunkLayout {
            codec,
            predictor,
            big_endian: file.big_endian,
            dtype,
            samples,
            width: row,
            height: block.1,
        };
        let image = Self { ifd, width, height, bands, block, tiled, planar, chunk, bilevel };
        image.check_index(file)?;
        Ok(image)
    }

    /// Refuses an index that has fewer entries than there are chunks.
    fn check_index(&self, file: &File) -> Result<(), TiffError> {
        let (across, down) = self.blocks();
        let (offsets, counts) = self.index();
        let chunks = (across as u64)
            .checked_mul(down as u64)
            .and_then(|n| n.checked_mul(if self.planar { self.bands as u64 } else { 1 }));
        let have = self.ifd.count(offsets);
        if chunks.is_none_or(|n| n > have) {
            let per_band = if self.planar { " per band" } else { "" };
            return Err(file.corrupt(
                tag::name(offsets),
                format!("it has {have} values for {across} × {down} blocks{per_band}"),
            ));
        }
        if !self.ifd.has(counts) && self.chunk.codec != Codec::None {
            return Err(file.corrupt(tag::name(counts), "the tag is missing"));
        }
        Ok(())
    }

    /// The tags that hold offsets and sizes of the chunks.
    pub(super) fn index(&self) -> (u16, u16) {
        if self.tiled {
            (tag::TILE_OFFSETS, tag::TILE_COUNTS)
        } else {
            (tag::STRIP_OFFSETS, tag::STRIP_COUNTS)
        }
    }

    /// Blocks across and down.
    pub(super) fn blocks(&self) -> (usize, usize) {
        (self.width.div_ceil(self.block.0), self.height.div_ceil(self.block.1))
    }

    /// Blocks that touch a window, row by row.
    pub(super) fn places(&self, window: Window) -> Vec<Place> {
        let (bw, bh) = self.block;
        let cols = window.col / bw..=(window.col + window.width - 1) / bw;
        let rows = window.row / bh..=(window.row + window.height - 1) / bh;
        rows.flat_map(|row| cols.clone().map(move |col| Place { col, row })).collect()
    }

    /// Bytes of a row of a decoded chunk.
    pub(super) fn row_bytes(&self) -> usize {
        self.chunk.width * self.chunk.samples * self.chunk.dtype.size()
    }

    /// Rows of the block at `place` that are stored: the last strip holds what is left, tiles are always whole.
    pub(super) fn stored_rows(&self, place: Place) -> usize {
        if self.tiled { self.block.1 } else { self.block.1.min(self.height - place.row * self.block.1) }
    }
}

fn predictor(file: &File, ifd: &Ifd, codec: Codec, dtype: DType, bilevel: bool) -> Result<u64, TiffError> {
    let predictor = ifd.uint(file, tag::PREDICTOR)?.unwrap_or(1);
    match predictor {
        1 => {}
        2 if !bilevel => {}
        3 if dtype.is_float() => {}
        2 => return Err(file.unsupported(tag::PREDICTOR, "predictor 2 on single bits")),
        3 => return Err(file.corrupt(tag::name(tag::PREDICTOR), format!("3 on {dtype} numbers"))),
        other => return Err(file.unsupported(tag::PREDICTOR, format!("predictor {other}"))),
    }
    // Differences are only taken by codecs that libtiff gives a predictor.
    Ok(if matches!(codec, Codec::None | Codec::PackBits) { 1 } else { predictor })
}

/// The type of the numbers, from BitsPerSample and SampleFormat; 1 bit only for masks.
fn number_type(file: &File, ifd: &Ifd, mask: bool) -> Result<(DType, bool), TiffError> {
    let bits = ifd.uints(file, tag::BITS)?;
    let formats = ifd.uints(file, tag::SAMPLE_FORMAT)?;
    let same = |v: &[u64]| -> Option<u64> {
        let first = v.first().copied().unwrap_or(1);
        v.iter().all(|x| *x == first).then_some(first)
    };
    let bits = same(&bits).ok_or_else(|| file.unsupported(tag::BITS, "bands of different widths"))?;
    let format =
        same(&formats).ok_or_else(|| file.unsupported(tag::SAMPLE_FORMAT, "bands of different formats"))?;
    if mask && bits == 1 {
        return Ok((DType::U8, true));
    }
    let dtype = match (format, bits) {
        (1 | 4, 8) => DType::U8,
        (1 | 4, 16) => DType::U16,
        (1 | 4, 32) => DType::U32,
        (2, 8) => DType::I8,
        (2, 16) => DType::I16,
        (2, 32) => DType::I32,
        (3, 16) => DType::F16,
        (3, 32) => DType::F32,
        (3, 64) => DType::F64,
        (5 | 6, _) => return Err(file.unsupported(tag::SAMPLE_FORMAT, "complex numbers")),
        (3, n) => return Err(file.unsupported(tag::BITS, format!("{n}-bit floating point"))),
        (_, n) => return Err(file.unsupported(tag::BITS, format!("{n}-bit integers"))),
    };
    Ok((dtype, false))
}

/// A block: its column and row among blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) col: usize,
    pub(super) row: usize,
}

/// The part of a block inside a window of stored rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Overlap {
    /// Upper left pixel within the block.
    pub(super) block_row: usize,
    pub(super) block_col: usize,
    /// Upper left pixel within the window.
    pub(super) row: usize,
    pub(super) col: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

impl Overlap {
    pub(super) fn of(place: Place, (bw, bh): (usize, usize), window: Window) -> Self {
        let (c0, r0) = ((place.col * bw).max(window.col), (place.row * bh).max(window.row));
        let c1 = ((place.col + 1) * bw).min(window.col + window.width);
        let r1 = ((place.row + 1) * bh).min(window.row + window.height);
        Self {
            block_row: r0 - place.row * bh,
            block_col: c0 - place.col * bw,
            row: r0 - window.row,
            col: c0 - window.col,
            height: r1 - r0,
            width: c1 - c0,
        }
    }

    /// The rows of the block that are inside.
    pub(super) fn rows(&self) -> Range<usize> {
        self.block_row..self.block_row + self.height
    }

    /// Row of the answer for row `r` of the part.
    pub(super) fn target_row(&self, r: usize, height: usize, flip: bool) -> usize {
        if flip { height - 1 - (self.row + r) } else { self.row + r }
    }
}
