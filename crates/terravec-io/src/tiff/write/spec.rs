//! What a COG shall be: [`CogSpec`], with defaults that follow geoembeddings.org's best practices.

use terravec_geo::Grid;

use super::super::Interleave;
use crate::DType;

/// Tiles that a file may have: their index, which readers fetch first, grows by 12 bytes with each.
const MOST_TILES: usize = 100_000_000;

/// How blocks are compressed. Levels are the codec's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Stored as they are. No predictor is applied.
    None,
    /// LZW, for readers that know nothing newer.
    Lzw,
    /// Deflate (zlib), level 1 to 9.
    Deflate(u32),
    /// Zstandard, level 1 to 22.
    Zstd(i32),
}

impl Compression {
    /// The value of the Compression tag.
    pub(super) fn code(self) -> u16 {
        match self {
            Self::None => 1,
            Self::Lzw => 5,
            Self::Deflate(_) => 8,
            Self::Zstd(_) => 50_000,
        }
    }
}

/// What a COG shall be. Start from [`CogSpec::new`] and change what differs.
#[derive(Debug, Clone)]
pub struct CogSpec {
    /// Where the pixels lie; its width and height are those of the full-resolution image.
    pub grid: Grid,
    /// Bands, 1 to 65 535.
    pub bands: usize,
    /// Type of the stored numbers.
    pub dtype: DType,
    /// Width and height of a block in pixels: a multiple of 16, at most 4096.
    pub block: usize,
    /// Order of the numbers in the file. With one band all orders are the same.
    pub interleave: Interleave,
    /// How blocks are compressed.
    pub compression: Compression,
    /// Whether differences to the left neighbour are stored (TIFF predictor 2, or 3 for floating point).
    pub predictor: bool,
    /// Whether to write BigTIFF even where classic TIFF (up to 4 GiB) would do.
    pub big_tiff: bool,
    /// The number that marks missing pixels; also what blocks that were never written read as.
    pub nodata: Option<f64>,
    /// Band descriptions: none, or one per band.
    pub band_names: Vec<String>,
    /// (scale, offset) of value = code · scale + offset: none, or one per band.
    pub scale_offset: Vec<(f64, f64)>,
    /// GDAL metadata of the default domain, for example provenance as JSON.
    pub tags: Vec<(String, String)>,
    /// Colours (red, green, blue) of the numbers 0, 1, …: none, or for one band of uint8 or uint16. The rest is black.
    pub palette: Vec<[u8; 3]>,
}

impl CogSpec {
    /// The recommended file for `bands` bands of `dtype` on `grid`: 256-pixel blocks, ZSTD with a predictor,
    /// tile interleave for more than 8 bands and pixel interleave otherwise, no nodata, no names.
    ///
    /// ZSTD's level is 3: on real embeddings level 9 (GDAL's default) saves 1 % at a quarter of the speed. The
    /// predictor helps integers and continuous floats; floats decoded from 8-bit codes, which take few
    /// different values, are far smaller without.
    #[must_use]
    pub fn new(grid: Grid, bands: usize, dtype: DType) -> Self {
        Self {
            grid,
            bands,
            dtype,
            block: 256,
            interleave: if bands > 8 { Interleave::Tile } else { Interleave::Pixel },
            compression: Compression::Zstd(3),
            predictor: true,
            big_tiff: false,
            nodata: None,
            band_names: Vec::new(),
            scale_offset: Vec::new(),
            tags: Vec::new(),
            palette: Vec::new(),
        }
    }

    /// Whether every band has tiles of its own (PlanarConfiguration 2).
    pub(super) fn is_planar(&self) -> bool {
        self.bands > 1 && self.interleave != Interleave::Pixel
    }

    /// Separately compressed pieces of a block: one per band, or one.
    pub(super) fn chunks_per_block(&self) -> usize {
        if self.is_planar() { self.bands } else { 1 }
    }

    /// Numbers per pixel within a chunk.
    pub(super) fn chunk_bands(&self) -> usize {
        if self.is_planar() { 1 } else { self.bands }
    }

    /// Bytes of a block of all bands before compression.
    pub(super) fn block_bytes(&self) -> usize {
        self.block * self.block * self.bands * self.dtype.size()
    }

    /// The value of the Predictor tag.
    pub(super) fn predictor_code(&self) -> u16 {
        match (self.predictor && self.compression != Compression::None, self.dtype.is_float()) {
            (false, _) => 1,
            (true, false) => 2,
            (true, true) => 3,
        }
    }

    /// What missing blocks are filled with.
    pub(super) fn fill(&self) -> f64 {
        self.nodata.unwrap_or(0.0)
    }

    /// Checks that the format can hold this.
    ///
    /// # Errors
    /// A sentence that says what does not fit and what would.
    pub(super) fn check(&self) -> Result<(), String> {
        let limit = i32::MAX as usize;
        if self.grid.width == 0 || self.grid.height == 0 || self.grid.width.max(self.grid.height) > limit {
            return Err(format!("a grid of {} × {} pixels", self.grid.width, self.grid.height));
        }
        if self.bands == 0 || self.bands > usize::from(u16::MAX) {
            return Err(format!("{} bands; TIFF holds 1 to 65535", self.bands));
        }
        if self.block == 0 || !self.block.is_multiple_of(16) || self.block > 4096 {
            return Err(format!("blocks of {} pixels; take a multiple of 16 up to 4096", self.block));
        }
        let chunk = self.block_bytes() / self.chunks_per_block();
        if chunk > limit {
            return Err(format!(
                "blocks of {chunk} bytes; take smaller blocks or tile interleave to stay below 2 GiB"
            ));
        }
        let blocks = self.grid.width.div_ceil(self.block) * self.grid.height.div_ceil(self.block);
        if blocks.saturating_mul(self.chunks_per_block()) > MOST_TILES {
            return Err(format!(
                "{} × {} pixels in blocks of {}, {} tiles each, which is more than {MOST_TILES} tiles; \
                 take larger blocks or a coarser resolution",
                self.grid.width,
                self.grid.height,
                self.block,
                self.chunks_per_block()
            ));
        }
        match self.compression {
            Compression::Deflate(level) if !(1..=9).contains(&level) => {
                return Err(format!("Deflate level {level}; it is 1 to 9"));
            }
            Compression::Zstd(level) if !(1..=22).contains(&level) => {
                return Err(format!("ZSTD level {level}; it is 1 to 22"));
            }
            _ => {}
        }
        if let Some(nodata) = self.nodata.filter(|&v| !fits(v, self.dtype)) {
            return Err(format!("nodata {nodata}, which {} cannot hold", self.dtype));
        }
        for (what, n) in [("band names", self.band_names.len()), ("scales", self.scale_offset.len())] {
            if n != 0 && n != self.bands {
                return Err(format!("{n} {what} for {} bands; give none or one per band", self.bands));
            }
        }
        let texts = self.tags.iter().flat_map(|(k, v)| [k, v]).chain(&self.band_names);
        if let Some(text) = texts.into_iter().find(|t| t.contains(is_forbidden)) {
            return Err(format!("control characters in the tag or band name {text:?}"));
        }
        let colours = match self.dtype {
            DType::U8 => 1 << 8,
            DType::U16 => 1 << 16,
            _ => 0,
        };
        if !self.palette.is_empty() && (self.bands != 1 || self.palette.len() > colours) {
            return Err(format!("{} colours for {} bands of {}", self.palette.len(), self.bands, self.dtype));
        }
        if self.tags.iter().any(|(key, _)| key.is_empty()) {
            return Err("a tag without a name".to_owned());
        }
        Ok(())
    }
}

/// Characters that XML 1.0, which carries names and tags, cannot hold.
fn is_forbidden(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\r' | '\t')
}

/// Whether `dtype` holds `value` exactly enough to be found again.
#[allow(clippy::cast_possible_truncation)]
fn fits(value: f64, dtype: DType) -> bool {
    let (low, high) = match dtype {
        DType::U8 => (0.0, f64::from(u8::MAX)),
        DType::I8 => (f64::from(i8::MIN), f64::from(i8::MAX)),
        DType::U16 => (0.0, f64::from(u16::MAX)),
        DType::I16 => (f64::from(i16::MIN), f64::from(i16::MAX)),
        DType::U32 => (0.0, f64::from(u32::MAX)),
        DType::I32 => (f64::from(i32::MIN), f64::from(i32::MAX)),
        DType::F16 => return !value.is_finite() || half::f16::from_f64(value).is_finite(),
        DType::F32 => return !value.is_finite() || (value as f32).is_finite(),
        DType::F64 => return true,
    };
    value.fract() == 0.0 && (low..=high).contains(&value)
}
