//! [`GeoTiff`]: an open file, its levels, and reads by window, by point and of the mask.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use terravec_geo::{Grid, Window};

use super::Interleave;
use super::arrange::{PointAt, part_of, paste, pick, put};
use super::error::TiffError;
use super::fetch;
use super::gdal::{self, Metadata};
use super::georef::{self, GeoReference};
use super::ifd::{self, File, tag};
use super::image::{Image, Overlap, Place};
use crate::source::{self, Fingerprint, Source};
use crate::{Codes, DType, Samples};

/// One resolution of a file.
#[derive(Debug, Clone)]
pub struct Level {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Its grid, north-up.
    pub grid: Option<Grid>,
}

/// An open GeoTIFF.
#[derive(Debug)]
pub struct GeoTiff {
    file: File,
    images: Vec<Image>,
    masks: Vec<Option<Image>>,
    levels: Vec<Level>,
    metadata: Metadata,
    nodata: Option<f64>,
    geo: GeoReference,
    interleave: Interleave,
}

impl GeoTiff {
    /// Opens a file. Reads its header, not its pixels.
    ///
    /// # Errors
    /// If it is no TIFF, is damaged, or is of a sort that is not read.
    pub fn open(source: Arc<dyn Source>) -> Result<Self, TiffError> {
        let (file, ifds) = ifd::open(source)?;
        let mut main = None;
        let mut overviews: Vec<Image> = Vec::new();
        let mut masks_found: Vec<Image> = Vec::new();
        for (i, ifd) in ifds.into_iter().enumerate() {
            let subtype = ifd.uint(&file, tag::NEW_SUBFILE_TYPE)?.unwrap_or(0);
            let (reduced, mask) = (subtype & 1 == 1, subtype & 4 == 4);
            if mask {
                // A mask of a kind that is not read must not be taken for "all valid".
                masks_found.push(Image::read(&file, ifd, true)?);
            } else if i == 0 {
                main = Some(Image::read(&file, ifd, false)?);
            } else if reduced {
                match Image::read(&file, ifd, false) {
                    Ok(image) => overviews.push(image),
                    // A thumbnail of another kind than the image.
                    Err(TiffError::Unsupported { .. }) => {}
                    Err(e) => return Err(e),
                }
            }
        }
        let main = main.ok_or_else(|| file.corrupt("directories", "the first holds no image"))?;
        let (width, height, bands, dtype) = (main.width, main.height, main.bands, main.chunk.dtype);
        let metadata = gdal::metadata(&file, &main.ifd, bands)?;
        let nodata = gdal::nodata(&file, &main.ifd)?;
        let geo = georef::read(&file, &main.ifd, width, height)?;
        let is_tile = |(domain, key, value): &(String, String, String)| {
            domain == "IMAGE_STRUCTURE" && key == "INTERLEAVE" && value == "TILE"
        };
        let interleave = match main.planar {
            false => Interleave::Pixel,
            true if metadata.items.iter().any(is_tile) => Interleave::Tile,
            true => Interleave::Band,
        };
        // Overviews by size, largest first. GDAL too leaves out what is of another kind than the image.
        overviews
            .retain(|o| o.bands == bands && o.chunk.dtype == dtype && o.width <= width && o.height <= height);
        overviews.sort_by_key(|o| std::cmp::Reverse((o.width, o.height)));
        let mut images = vec![main];
        images.append(&mut overviews);
        // Each mask goes with the image of its size.
        let mut masks: Vec<Option<Image>> = images.iter().map(|_| None).collect();
        for mask in masks_found {
            if let Some(i) = images.iter().position(|i| (i.width, i.height) == (mask.width, mask.height)) {
                masks[i] = Some(mask);
            }
        }
        let levels = images
            .iter()
            .map(|i| Level {
                width: i.width,
                height: i.height,
                grid: geo.grid.as_ref().map(|g| Grid {
                    crs: g.crs.clone(),
                    affine: g.affine.scale(width as f64 / i.width as f64, height as f64 / i.height as f64),
                    width: i.width,
                    height: i.height,
                }),
            })
            .collect();
        Ok(Self { file, images, masks, levels, metadata, nodata, geo, interleave })
    }

    /// Opens a path or URL.
    ///
    /// # Errors
    /// As [`GeoTiff::open`], or if it can't be read.
    pub fn open_path(location: &str) -> Result<Self, TiffError> {
        Self::open(source::open(location)?)
    }

    /// The name of the file in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.file.name
    }

    /// Columns of the full resolution.
    #[must_use]
    pub fn width(&self) -> usize {
        self.images[0].width
    }

    /// Rows of the full resolution.
    #[must_use]
    pub fn height(&self) -> usize {
        self.images[0].height
    }

    /// Bands.
    #[must_use]
    pub fn bands(&self) -> usize {
        self.images[0].bands
    }

    /// Type of the stored numbers.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.images[0].chunk.dtype
    }

    /// The grid, rows north first, if the file says where it lies.
    #[must_use]
    pub fn grid(&self) -> Option<&Grid> {
        self.geo.grid.as_ref()
    }

    /// Why there is no grid.
    #[must_use]
    pub fn georeference_problem(&self) -> Option<&str> {
        self.geo.problem.as_deref()
    }

    /// Whether rows are stored south first. They are read north first all the same.
    #[must_use]
    pub fn was_south_up(&self) -> bool {
        self.geo.south_up
    }

    /// The number that stands for "no value".
    #[must_use]
    pub fn nodata(&self) -> Option<f64> {
        self.nodata
    }

    /// Band descriptions.
    #[must_use]
    pub fn band_names(&self) -> &[Option<String>] {
        &self.metadata.names
    }

    /// Scale of each band, where the file gives one.
    #[must_use]
    pub fn scales(&self) -> &[Option<f64>] {
        &self.metadata.scales
    }

    /// Offset of each band, where the file gives one.
    #[must_use]
    pub fn offsets(&self) -> &[Option<f64>] {
        &self.metadata.offsets
    }

    /// GDAL metadata of the file: (domain, key, value); the default domain is empty.
    #[must_use]
    pub fn metadata(&self) -> &[(String, String, String)] {
        &self.metadata.items
    }

    /// Columns and rows of a block.
    #[must_use]
    pub fn block_size(&self) -> (usize, usize) {
        self.images[0].block
    }

    /// Whether blocks are tiles (else strips).
    #[must_use]
    pub fn is_tiled(&self) -> bool {
        self.images[0].tiled
    }

    /// Order of the numbers in the file.
    #[must_use]
    pub fn interleave(&self) -> Interleave {
        self.interleave
    }

    /// `none`, `lzw`, `deflate`, `packbits` or `zstd`.
    #[must_use]
    pub fn compression_name(&self) -> &'static str {
        self.images[0].chunk.codec.name()
    }

    /// 1 (none), 2 or 3.
    #[must_use]
    pub fn predictor(&self) -> u64 {
        self.images[0].chunk.predictor
    }

    /// Full resolution first, then overviews from fine to coarse.
    #[must_use]
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// What tells this state of the file from another.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn fingerprint(&self) -> Result<Fingerprint, TiffError> {
        Ok(self.file.source.fingerprint()?)
    }

    /// Whether the file holds a mask of valid pixels.
    #[must_use]
    pub fn has_mask(&self) -> bool {
        self.masks[0].is_some()
    }

    fn image(&self, level: usize) -> Result<&Image, TiffError> {
        self.images
            .get(level)
            .ok_or_else(|| self.request(format!("there is no level {level}, only {}", self.images.len())))
    }

    fn request(&self, reason: String) -> TiffError {
        TiffError::Request { file: self.file.name.clone(), reason }
    }

    fn check_bands(&self, image: &Image, bands: &[usize]) -> Result<(), TiffError> {
        match bands.iter().find(|b| **b >= image.bands) {
            Some(b) => Err(self.request(format!("there is no band {b}, only 0 … {}", image.bands - 1))),
            None => Ok(()),
        }
    }

    fn check_window(&self, image: &Image, window: Window) -> Result<(), TiffError> {
        let fits = |start: usize, len: usize, all: usize| {
            len > 0 && start.checked_add(len).is_some_and(|end| end <= all)
        };
        if fits(window.col, window.width, image.width) && fits(window.row, window.height, image.height) {
            return Ok(());
        }
        Err(self.request(format!("{window:?} is not inside {} × {} pixels", image.width, image.height)))
    }

    /// Room for an answer, filled with what blocks read as that were never written.
    fn blank(&self, bands: usize, height: usize, width: usize) -> Result<Codes, TiffError> {
        self.check_memory(&[bands, height, width, self.dtype().size()])?;
        Ok(Codes::filled(self.dtype(), bands, height, width, self.nodata.unwrap_or(0.0)))
    }

    /// Refuses an answer that memory can't hold: asking for it anyway would end the process.
    fn check_memory(&self, sizes: &[usize]) -> Result<(), TiffError> {
        let bytes = sizes.iter().try_fold(1usize, |n, size| n.checked_mul(*size));
        if bytes.is_some_and(|n| Vec::<u8>::new().try_reserve_exact(n).is_ok()) {
            return Ok(());
        }
        let what = sizes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" × ");
        Err(self.request(format!("{what} bytes do not fit in memory; read smaller windows or fewer bands")))
    }

    /// Reads bands of a window of a level, north row first. Every block is fetched and decoded once.
    ///
    /// # Errors
    /// If the window or a band is not there, a block is damaged, or memory can't hold the answer.
    pub fn read(&self, level: usize, bands: &[usize], window: Window) -> Result<Codes, TiffError> {
        let image = self.image(level)?;
        self.check_bands(image, bands)?;
        self.check_window(image, window)?;
        let mut out = self.blank(bands.len(), window.height, window.width)?;
        let stored = self.stored(image, window);
        let places = image.places(stored);
        let overlap = |place: Place| Overlap::of(place, image.block, stored);
        let batches = fetch::plan(&self.file, image, bands, &places, |i| overlap(places[i]).rows())?;
        fetch::stream(
            &self.file,
            image,
            &batches,
            |job, block| part_of(image, job, block, &overlap(job.place), bands),
            |jobs, parts| paste(&mut out, |job| overlap(job.place), self.geo.south_up, jobs, &parts),
        )?;
        Ok(out)
    }

    /// Reads single pixels (column, row) of the full resolution; the answer has shape (bands, 1, n). Every block is
    /// fetched and decoded once.
    ///
    /// # Errors
    /// If a pixel or band is not there, a block is damaged, or memory can't hold the answer.
    pub fn read_points(&self, bands: &[usize], at: &[(usize, usize)]) -> Result<Codes, TiffError> {
        let image = &self.images[0];
        self.check_bands(image, bands)?;
        let (places, points) = self.by_block(image, at)?;
        let mut out = self.blank(bands.len(), 1, at.len())?;
        let batches = fetch::plan(&self.file, image, bands, &places, |i| rows_of(&points[i]))?;
        fetch::stream(
            &self.file,
            image,
            &batches,
            |job, block| pick(image, job, &block, &points[job.index], bands),
            |jobs, picked| {
                for (job, picked) in jobs.iter().zip(&picked) {
                    put(&mut out, picked, &points[job.index], job.band);
                }
            },
        )?;
        Ok(out)
    }

    /// The byte ranges that reading `window` of full resolution fetches, for a plan; nothing but the index of blocks is read.
    ///
    /// # Errors
    /// If the window or a band is not there, or the index of blocks is damaged.
    pub fn ranges(&self, bands: &[usize], window: Window) -> Result<Vec<Range<u64>>, TiffError> {
        let image = self.image(0)?;
        self.check_bands(image, bands)?;
        self.check_window(image, window)?;
        let stored = self.stored(image, window);
        let places = image.places(stored);
        let rows = |i: usize| Overlap::of(places[i], image.block, stored).rows();
        let mut ranges = fetch::ranges(&fetch::plan(&self.file, image, bands, &places, rows)?);
        if let Some(mask) = &self.masks[0] {
            let places = mask.places(stored);
            let rows = |i: usize| Overlap::of(places[i], mask.block, stored).rows();
            ranges.extend(fetch::ranges(&fetch::plan(&self.file, mask, &[0], &places, rows)?));
        }
        Ok(ranges)
    }

    /// Bytes of the file.
    #[must_use]
    pub fn file_size(&self) -> u64 {
        self.file.len
    }

    /// Bytes that were read to know what is in the file, so far: its header, and what [`ranges`](Self::ranges) needed of the index of
    /// blocks.
    #[must_use]
    pub fn header_bytes(&self) -> u64 {
        self.file.header_bytes()
    }

    /// The byte ranges that reading single pixels (column, row) fetches, for a plan.
    ///
    /// # Errors
    /// If a pixel or band is not there, or the index of blocks is damaged.
    pub fn ranges_of_points(
        &self,
        bands: &[usize],
        at: &[(usize, usize)],
    ) -> Result<Vec<Range<u64>>, TiffError> {
        let image = &self.images[0];
        self.check_bands(image, bands)?;
        let (places, points) = self.by_block(image, at)?;
        let mut ranges =
            fetch::ranges(&fetch::plan(&self.file, image, bands, &places, |i| rows_of(&points[i]))?);
        if let Some(mask) = &self.masks[0] {
            let (places, points) = self.by_block(mask, at)?;
            ranges.extend(fetch::ranges(&fetch::plan(&self.file, mask, &[0], &places, |i| {
                rows_of(&points[i])
            })?));
        }
        Ok(ranges)
    }

    /// The file's mask over a window: true where a pixel is valid. `None` where the file has no mask.
    ///
    /// # Errors
    /// If the window is not there, a block is damaged, or memory can't hold the answer.
    pub fn read_mask(&self, level: usize, window: Window) -> Result<Option<Vec<bool>>, TiffError> {
        self.check_window(self.image(level)?, window)?;
        let Some(image) = &self.masks[level] else { return Ok(None) };
        self.check_memory(&[window.height, window.width])?;
        let mut out = vec![false; window.width * window.height];
        let stored = self.stored(image, window);
        let places = image.places(stored);
        let overlap = |place: Place| Overlap::of(place, image.block, stored);
        let batches = fetch::plan(&self.file, image, &[0], &places, |i| overlap(places[i]).rows())?;
        fetch::stream(
            &self.file,
            image,
            &batches,
            |_, block| block,
            |jobs, blocks| {
                for (job, block) in jobs.iter().zip(&blocks) {
                    let part = overlap(job.place);
                    for r in 0..part.height {
                        let y = part.target_row(r, stored.height, self.geo.south_up);
                        let row = &mut out[y * window.width + part.col..][..part.width];
                        for (c, valid) in row.iter_mut().enumerate() {
                            *valid = is_valid(image, block, r, part.block_col + c);
                        }
                    }
                }
            },
        )?;
        Ok(Some(out))
    }

    /// The file's mask at single pixels (column, row) of the full resolution. `None` where the file has no mask.
    ///
    /// # Errors
    /// If a pixel is not there or a block is damaged.
    pub fn read_mask_points(&self, at: &[(usize, usize)]) -> Result<Option<Vec<bool>>, TiffError> {
        let Some(image) = &self.masks[0] else { return Ok(None) };
        let (places, points) = self.by_block(image, at)?;
        let mut out = vec![false; at.len()];
        let batches = fetch::plan(&self.file, image, &[0], &places, |i| rows_of(&points[i]))?;
        fetch::stream(
            &self.file,
            image,
            &batches,
            |job, block| {
                let valid =
                    |&(i, row, col): &PointAt| (i, is_valid(image, &block, row - job.rows.start, col));
                points[job.index].iter().map(valid).collect::<Vec<_>>()
            },
            |_, picked| picked.into_iter().flatten().for_each(|(i, valid)| out[i] = valid),
        )?;
        Ok(Some(out))
    }

    /// Points by the block they are in.
    fn by_block(
        &self,
        image: &Image,
        at: &[(usize, usize)],
    ) -> Result<(Vec<Place>, Vec<Vec<PointAt>>), TiffError> {
        let (bw, bh) = image.block;
        let mut by_block: BTreeMap<(usize, usize), Vec<PointAt>> = BTreeMap::new();
        for (i, &(col, row)) in at.iter().enumerate() {
            self.check_window(image, Window { col, row, width: 1, height: 1 })?;
            let row = if self.geo.south_up { image.height - 1 - row } else { row };
            by_block.entry((row / bh, col / bw)).or_default().push((i, row % bh, col % bw));
        }
        Ok(by_block.into_iter().map(|((row, col), points)| (Place { col, row }, points)).unzip())
    }

    /// The window in stored rows.
    fn stored(&self, image: &Image, window: Window) -> Window {
        if self.geo.south_up {
            Window { row: image.height - window.row - window.height, ..window }
        } else {
            window
        }
    }
}

/// The rows of a block that hold points.
fn rows_of(points: &[PointAt]) -> std::ops::Range<usize> {
    let rows = points.iter().map(|p| p.1);
    rows.clone().min().unwrap_or(0)..rows.max().map_or(0, |last| last + 1)
}

/// What the decoded block of a mask says of a pixel.
fn is_valid(mask: &Image, block: &Samples, row: usize, col: usize) -> bool {
    let Samples::U8(bytes) = block else { return false };
    if mask.bilevel {
        bytes[row * mask.chunk.width + col / 8] >> (7 - col % 8) & 1 == 1
    } else {
        bytes[row * mask.chunk.width + col] != 0
    }
}
