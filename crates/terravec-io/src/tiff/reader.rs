//! [`GeoTiff`]: an open file, its levels, and reads by window, by point and of the mask.
//!
//! Fetching and decoding are separate: the ranges of all blocks of a batch are asked of the source in one call, then decoded
//! in parallel straight into the answer. A batch is bounded in bytes, so memory is too.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use rayon::prelude::*;
use terravec_geo::{Affine, Grid, Window};

use super::Interleave;
use super::decode::{ChunkLayout, Codec, decode_chunk};
use super::error::TiffError;
use super::gdal::{self, Metadata};
use super::georef::{self, GeoReference};
use super::ifd::{self, File, Ifd, tag};
use crate::source::{self, Source};
use crate::{Codes, DType, Samples, with_samples};

/// Compressed bytes fetched at once.
const BATCH: u64 = 32 << 20;
/// Bytes of one decoded chunk.
const MAX_CHUNK: usize = 1 << 30;
/// Rows or columns.
const MAX_SIDE: u64 = 1 << 31;

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

/// How one image of the file is cut into blocks.
#[derive(Debug)]
struct Image {
    ifd: Ifd,
    width: usize,
    height: usize,
    bands: usize,
    block: (usize, usize),
    tiled: bool,
    planar: bool,
    chunk: ChunkLayout,
    /// 1-bit numbers (masks only).
    bilevel: bool,
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
        let mut images: Vec<Image> = Vec::new();
        let mut masks: Vec<Option<Image>> = Vec::new();
        let mut alone: Vec<Image> = Vec::new();
        for (i, ifd) in ifds.into_iter().enumerate() {
            let subtype = ifd.uint(&file, tag::NEW_SUBFILE_TYPE).unwrap_or(None).unwrap_or(0);
            let (reduced, mask) = (subtype & 1 == 1, subtype & 4 == 4);
            if i == 0 && !mask {
                images.push(Image::read(&file, ifd, false)?);
                masks.push(None);
            } else if mask {
                // A mask of a kind that is not read must not be taken for "all valid".
                alone.push(Image::read(&file, ifd, true)?);
            } else if reduced {
                // An overview of another kind than the image (GDAL leaves it out too).
                if let Ok(image) = Image::read(&file, ifd, false)
                    && images
                        .first()
                        .is_some_and(|f| image.bands == f.bands && image.chunk.dtype == f.chunk.dtype)
                {
                    images.push(image);
                    masks.push(None);
                }
            }
        }
        let first =
            images.first().ok_or_else(|| file.corrupt("directories", "none of them holds an image"))?;
        let (width, height, bands) = (first.width, first.height, first.bands);
        let metadata = gdal::metadata(&file, &first.ifd, bands)?;
        let nodata = gdal::nodata(&file, &first.ifd)?;
        let geo = georef::read(&file, &first.ifd, width, height)?;
        let interleave = match (first.planar && bands > 1, &metadata.items) {
            (false, _) => Interleave::Pixel,
            (true, items)
                if items
                    .iter()
                    .any(|(d, k, v)| d == "IMAGE_STRUCTURE" && k == "INTERLEAVE" && v == "TILE") =>
            {
                Interleave::Tile
            }
            (true, _) => Interleave::Band,
        };
        // Overviews by size, largest first; each mask goes with the image of its size.
        let rest = images.split_off(1);
        let mut rest: Vec<Image> =
            rest.into_iter().filter(|o| o.width <= width && o.height <= height).collect();
        rest.sort_by_key(|i| std::cmp::Reverse((i.width, i.height)));
        images.extend(rest);
        masks.resize_with(images.len(), || None);
        masks.truncate(images.len());
        for mask in alone {
            if let Some(i) = images.iter().position(|i| (i.width, i.height) == (mask.width, mask.height)) {
                masks[i] = Some(mask);
            }
        }
        #[allow(clippy::cast_precision_loss)]
        let levels = images
            .iter()
            .map(|i| Level {
                width: i.width,
                height: i.height,
                grid: geo.grid.as_ref().map(|g| Grid {
                    crs: g.crs.clone(),
                    affine: scale(&g.affine, width as f64 / i.width as f64, height as f64 / i.height as f64),
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

    fn check(&self, image: &Image, bands: &[usize], window: Window) -> Result<(), TiffError> {
        if let Some(b) = bands.iter().find(|b| **b >= image.bands) {
            return Err(self.request(format!("there is no band {b}, only 0 … {}", image.bands - 1)));
        }
        let fits = |start: usize, len: usize, all: usize| start.checked_add(len).is_some_and(|e| e <= all);
        if window.width == 0
            || window.height == 0
            || !fits(window.col, window.width, image.width)
            || !fits(window.row, window.height, image.height)
        {
            return Err(
                self.request(format!("{window:?} is not inside {} × {} pixels", image.width, image.height))
            );
        }
        Ok(())
    }

    /// Reads bands of a window of a level, north row first. Every block is fetched and decoded once.
    ///
    /// # Errors
    /// If the window or a band is not there, or a block is damaged.
    pub fn read(&self, level: usize, bands: &[usize], window: Window) -> Result<Codes, TiffError> {
        let image = self.image(level)?;
        self.check(image, bands, window)?;
        let fill = self.nodata.unwrap_or(0.0);
        let mut out = Codes::filled(image.chunk.dtype, bands.len(), window.height, window.width, fill);
        let stored = self.stored(image, window);
        let places = image.places(stored);
        let rows = |job: &Job| Overlap::of(job.place, image.block, stored).rows();
        self.stream(&self.batches(image, bands, &places)?, |jobs, bytes| {
            let blocks = self.decode(image, jobs, bytes, rows, |_, block| block)?;
            paste(&mut out, image, bands, stored, self.geo.south_up, jobs, &blocks);
            Ok(())
        })?;
        Ok(out)
    }

    /// Reads single pixels (column, row) of the full resolution; the answer has shape (bands, 1, n). Every block is
    /// fetched and decoded once.
    ///
    /// # Errors
    /// If a pixel or band is not there, or a block is damaged.
    pub fn read_points(&self, bands: &[usize], at: &[(usize, usize)]) -> Result<Codes, TiffError> {
        let image = self.image(0)?;
        for &(col, row) in at {
            self.check(image, bands, Window { col, row, width: 1, height: 1 })?;
        }
        let fill = self.nodata.unwrap_or(0.0);
        let mut out = Codes::filled(image.chunk.dtype, bands.len(), 1, at.len(), fill);
        // Points of a block, by block.
        let (bw, bh) = image.block;
        let mut by_block: BTreeMap<(usize, usize), Vec<PointAt>> = BTreeMap::new();
        for (i, &(col, row)) in at.iter().enumerate() {
            let row = if self.geo.south_up { image.height - 1 - row } else { row };
            by_block.entry((row / bh, col / bw)).or_default().push((i, row % bh, col % bw));
        }
        let places: Vec<Place> = by_block.keys().map(|&(row, col)| Place { col, row }).collect();
        let points: Vec<Vec<PointAt>> = by_block.into_values().collect();
        let rows = |job: &Job| {
            let rows = points[job.index].iter().map(|p| p.1);
            rows.clone().min().unwrap_or(0)..rows.max().unwrap_or(0) + 1
        };
        self.stream(&self.batches(image, bands, &places)?, |jobs, bytes| {
            let picked = self.decode(image, jobs, bytes, rows, |job, block| {
                let start = rows(job).start;
                let pixel = |r: usize, c: usize| ((r - start) * bw + c) * image.chunk.samples;
                with_samples!(&block, v => {
                    let mut out = Vec::new();
                    for &(_, r, c) in &points[job.index] {
                        match job.band {
                            Some(_) => out.push(v[pixel(r, c)]),
                            None => out.extend(bands.iter().map(|b| v[pixel(r, c) + b])),
                        }
                    }
                    Samples::from(out)
                })
            })?;
            for (job, picked) in jobs.iter().zip(&picked) {
                put_points(&mut out, picked, &points[job.index], job.band, bands.len(), at.len());
            }
            Ok(())
        })?;
        Ok(out)
    }

    /// The file's mask over a window: true where a pixel is valid. `None` where the file has no mask.
    ///
    /// # Errors
    /// If the window is not there, or a block is damaged.
    pub fn read_mask(&self, level: usize, window: Window) -> Result<Option<Vec<bool>>, TiffError> {
        self.check(self.image(level)?, &[], window)?;
        let Some(image) = &self.masks[level] else { return Ok(None) };
        let stored = self.stored(image, window);
        let mut out = vec![false; window.width * window.height];
        let (bw, bh) = image.block;
        let rows = |job: &Job| Overlap::of(job.place, image.block, stored).rows();
        self.stream(&self.batches(image, &[0], &image.places(stored))?, |jobs, bytes| {
            let blocks = self.decode(image, jobs, bytes, rows, |_, block| block)?;
            for (job, block) in jobs.iter().zip(&blocks) {
                let Samples::U8(v) = block else { continue };
                let part = Overlap::of(job.place, (bw, bh), stored);
                for r in 0..part.height {
                    let y = part.target_row(r, stored.height, self.geo.south_up);
                    for c in 0..part.width {
                        let (br, bc) = (r, part.block_col + c);
                        out[y * window.width + part.col + c] = if image.bilevel {
                            v[br * bw.div_ceil(8) + bc / 8] >> (7 - bc % 8) & 1 == 1
                        } else {
                            v[br * bw + bc] != 0
                        };
                    }
                }
            }
            Ok(())
        })?;
        Ok(Some(out))
    }

    /// The window in stored rows.
    fn stored(&self, image: &Image, window: Window) -> Window {
        if self.geo.south_up {
            Window { row: image.height - window.row - window.height, ..window }
        } else {
            window
        }
    }

    /// The chunks of `bands` at `places`, in batches of bounded size. Chunks that were never written are left out.
    fn batches(&self, image: &Image, bands: &[usize], places: &[Place]) -> Result<Vec<Vec<Job>>, TiffError> {
        let (across, down) = image.blocks();
        let (offsets, counts) = if image.tiled {
            (tag::TILE_OFFSETS, tag::TILE_COUNTS)
        } else {
            (tag::STRIP_OFFSETS, tag::STRIP_COUNTS)
        };
        let planes: Vec<Option<usize>> =
            if image.planar { (0..bands.len()).map(Some).collect() } else { vec![None] };
        let mut batches = Vec::new();
        let mut jobs = Vec::new();
        let mut size = 0;
        let number = |p: &Place| p.row * across + p.col;
        // Neighbouring chunks are looked up in the index together.
        let mut first_index = 0;
        for run in places.chunk_by(|a, b| number(b) == number(a) + 1) {
            for plane in &planes {
                let base = plane.map_or(0, |p| bands[p] * across * down) + number(&run[0]);
                let range = base as u64..(base + run.len()) as u64;
                let at = image.ifd.part(&self.file, offsets, range.clone())?;
                let len = match image.ifd.has(counts) {
                    true => image.ifd.part(&self.file, counts, range)?,
                    false => vec![image.whole_chunk(); run.len()],
                };
                for (k, (&at, &len)) in at.iter().zip(&len).enumerate() {
                    if at == 0 || len == 0 {
                        continue;
                    }
                    let end = at.checked_add(len).filter(|e| *e <= self.file.len).ok_or_else(|| {
                        let what =
                            format!("block {} at byte {at} with {len} bytes lies beyond the file", base + k);
                        self.file.corrupt(tag::name(offsets), what)
                    })?;
                    if size + len > BATCH && !jobs.is_empty() {
                        batches.push(std::mem::take(&mut jobs));
                        size = 0;
                    }
                    size += len;
                    jobs.push(Job { index: first_index + k, place: run[k], band: *plane, range: at..end });
                }
            }
            first_index += run.len();
        }
        batches.push(jobs);
        Ok(batches)
    }

    /// Fetches batch after batch and hands each to `each`; the next one is on its way meanwhile.
    fn stream(
        &self,
        batches: &[Vec<Job>],
        mut each: impl FnMut(&[Job], &[Bytes]) -> Result<(), TiffError>,
    ) -> Result<(), TiffError> {
        let fetch = |jobs: &Vec<Job>| {
            let ranges: Vec<Range<u64>> = jobs.iter().map(|j| j.range.clone()).collect();
            self.file.source.read_ranges(&ranges).map_err(TiffError::from)
        };
        let [first, ..] = batches else { return Ok(()) };
        let mut bytes = fetch(first)?;
        for (i, jobs) in batches.iter().enumerate() {
            let next = std::thread::scope(|scope| {
                let next = batches.get(i + 1).map(|next| scope.spawn(move || fetch(next)));
                each(jobs, &bytes)?;
                next.map(|n| n.join().unwrap_or_else(|_| Err(self.request("a reading thread failed".into()))))
                    .transpose()
            })?;
            bytes = next.unwrap_or_default();
        }
        Ok(())
    }

    /// Decodes `rows` of each block of a batch, in parallel; `keep` takes what is wanted of them.
    fn decode<T: Send>(
        &self,
        image: &Image,
        jobs: &[Job],
        bytes: &[Bytes],
        rows: impl Fn(&Job) -> Range<usize> + Sync,
        keep: impl Fn(&Job, Samples) -> T + Sync,
    ) -> Result<Vec<T>, TiffError> {
        jobs.par_iter()
            .zip(bytes)
            .map(|(job, bytes)| {
                let block = decode_chunk(image.chunk, rows(job), bytes).map_err(|reason| {
                    self.file.corrupt(format!("block at byte {}", job.range.start), reason)
                })?;
                Ok(keep(job, block))
            })
            .collect()
    }
}

fn scale(a: &Affine, sx: f64, sy: f64) -> Affine {
    Affine::new(a.a * sx, a.b * sy, a.c, a.d * sx, a.e * sy, a.f)
}

/// A block: its column and row among blocks.
#[derive(Debug, Clone, Copy)]
struct Place {
    col: usize,
    row: usize,
}

/// One chunk to fetch and decode.
#[derive(Debug)]
struct Job {
    /// Index into the places.
    index: usize,
    place: Place,
    /// Index into the bands asked for; `None` where a chunk holds all bands.
    band: Option<usize>,
    range: Range<u64>,
}

/// The part of a block inside a window of stored rows.
#[derive(Debug, Clone, Copy)]
struct Overlap {
    /// Upper left pixel within the block.
    block_row: usize,
    block_col: usize,
    /// Upper left pixel within the window.
    row: usize,
    col: usize,
    height: usize,
    width: usize,
}

impl Overlap {
    fn of(place: Place, (bw, bh): (usize, usize), window: Window) -> Self {
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
    fn rows(&self) -> Range<usize> {
        self.block_row..self.block_row + self.height
    }

    /// Row of the answer for row `r` of the part.
    fn target_row(&self, r: usize, height: usize, flip: bool) -> usize {
        if flip { height - 1 - (self.row + r) } else { self.row + r }
    }
}

impl Image {
    fn read(file: &File, ifd: Ifd, mask: bool) -> Result<Self, TiffError> {
        let required = |t: u16| -> Result<u64, TiffError> {
            ifd.uint(file, t)?.ok_or_else(|| file.corrupt(tag::name(t), "the tag is missing"))
        };
        let side = |t: u16, v: u64| -> Result<usize, TiffError> {
            if v == 0 || v > MAX_SIDE {
                return Err(file.corrupt(tag::name(t), format!("{v} pixels")));
            }
            usize::try_from(v).map_err(|_| file.corrupt(tag::name(t), format!("{v} pixels")))
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
        let photometric = ifd.uint(file, tag::PHOTOMETRIC)?.unwrap_or(1);
        let (dtype, bilevel) = number_type(file, &ifd, mask)?;
        if ifd.uint(file, tag::FILL_ORDER)?.unwrap_or(1) != 1 && bilevel {
            return Err(file.unsupported(tag::FILL_ORDER, "reversed bits"));
        }
        if photometric == 6 && ifd.has(530) {
            return Err(file.unsupported(tag::PHOTOMETRIC, "YCbCr with subsampling"));
        }
        let predictor = ifd.uint(file, tag::PREDICTOR)?.unwrap_or(1);
        match predictor {
            1 => {}
            2 if codec == Codec::None || codec == Codec::PackBits => {}
            2 => {}
            3 if dtype.is_float() => {}
            3 => return Err(file.corrupt(tag::name(tag::PREDICTOR), format!("3 on {dtype} numbers"))),
            other => return Err(file.unsupported(tag::PREDICTOR, format!("predictor {other}"))),
        }
        // Differences are only taken by codecs that libtiff gives a predictor.
        let predictor = if matches!(codec, Codec::None | Codec::PackBits) { 1 } else { predictor };
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
        let (across, down) = image.blocks();
        let offsets = if tiled { tag::TILE_OFFSETS } else { tag::STRIP_OFFSETS };
        let counts = if tiled { tag::TILE_COUNTS } else { tag::STRIP_COUNTS };
        let chunks = (across as u64)
            .checked_mul(down as u64)
            .and_then(|n| n.checked_mul(if planar { bands as u64 } else { 1 }));
        let have = image.ifd.count(offsets);
        if chunks.is_none_or(|n| n > have) {
            return Err(file.corrupt(
                tag::name(offsets),
                format!(
                    "it has {have} values for {across} × {down} blocks{}",
                    if planar { " per band" } else { "" }
                ),
            ));
        }
        if !image.ifd.has(counts) && codec != Codec::None {
            return Err(file.corrupt(tag::name(counts), "the tag is missing"));
        }
        Ok(image)
    }

    /// Blocks across and down.
    fn blocks(&self) -> (usize, usize) {
        (self.width.div_ceil(self.block.0), self.height.div_ceil(self.block.1))
    }

    /// Blocks that touch a window, row by row.
    fn places(&self, window: Window) -> Vec<Place> {
        let (bw, bh) = self.block;
        let cols = window.col / bw..=(window.col + window.width - 1) / bw;
        let rows = window.row / bh..=(window.row + window.height - 1) / bh;
        rows.flat_map(|row| cols.clone().map(move |col| Place { col, row })).collect()
    }

    /// Bytes of an uncompressed chunk.
    fn whole_chunk(&self) -> u64 {
        let rows = self.block.1.min(self.height);
        (self.chunk.width * rows * self.chunk.samples * self.chunk.dtype.size()) as u64
    }
}

/// The type of the numbers, from BitsPerSample and SampleFormat; 1 bit only for masks.
fn number_type(file: &File, ifd: &Ifd, mask: bool) -> Result<(DType, bool), TiffError> {
    let bits = ifd.uints(file, tag::BITS)?;
    let formats = ifd.uints(file, tag::SAMPLE_FORMAT)?;
    let same = |v: &[u64], default: u64| -> Option<u64> {
        let first = v.first().copied().unwrap_or(default);
        v.iter().all(|x| *x == first).then_some(first)
    };
    let bits = same(&bits, 1).ok_or_else(|| file.unsupported(tag::BITS, "bands of different widths"))?;
    let format = same(&formats, 1)
        .ok_or_else(|| file.unsupported(tag::SAMPLE_FORMAT, "bands of different formats"))?;
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

/// Copies decoded blocks into the answer, in parallel over its bands.
fn paste(
    out: &mut Codes,
    image: &Image,
    bands: &[usize],
    window: Window,
    flip: bool,
    jobs: &[Job],
    blocks: &[Samples],
) {
    let (height, width) = (out.height, out.width);
    let bw = image.block.0;
    macro_rules! arms {
        ($($t:ident),*) => {
            match &mut out.samples {
                $(Samples::$t(d) => {
                    d.par_chunks_mut(height * width).enumerate().for_each(|(b, plane)| {
                        for (job, block) in jobs.iter().zip(blocks) {
                            let Samples::$t(v) = block else { continue };
                            if job.band.is_some_and(|band| band != b) {
                                continue;
                            }
                            let part = Overlap::of(job.place, image.block, window);
                            for r in 0..part.height {
                                let y = part.target_row(r, height, flip);
                                let row = &mut plane[y * width + part.col..][..part.width];
                                let at = r * bw + part.block_col;
                                if job.band.is_some() {
                                    row.copy_from_slice(&v[at..at + part.width]);
                                } else {
                                    let n = image.chunk.samples;
                                    let pixels = v[at * n..(at + part.width) * n].chunks_exact(n);
                                    for (o, pixel) in row.iter_mut().zip(pixels) {
                                        *o = pixel[bands[b]];
                                    }
                                }
                            }
                        }
                    });
                })*
            }
        };
    }
    arms!(U8, I8, U16, I16, U32, I32, F16, F32, F64);
}

fn put_points(
    out: &mut Codes,
    picked: &Samples,
    points: &[PointAt],
    band: Option<usize>,
    bands: usize,
    n: usize,
) {
    macro_rules! arms {
        ($($t:ident),*) => {
            match (&mut out.samples, picked) {
                $((Samples::$t(d), Samples::$t(v)) => {
                    for (k, &(i, _, _)) in points.iter().enumerate() {
                        match band {
                            Some(b) => d[b * n + i] = v[k],
                            None => (0..bands).for_each(|b| d[b * n + i] = v[k * bands + b]),
                        }
                    }
                })*
                _ => {}
            }
        };
    }
    arms!(U8, I8, U16, I16, U32, I32, F16, F32, F64);
}

/// A point asked for: its place in the question, and its row and column in its block.
type PointAt = (usize, usize, usize);
