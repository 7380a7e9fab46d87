//! `extract`: a window, a polygon or a whole dataset as chunks on one grid.
//!
//! An [`Extraction`] is a plan: the target grid, the tiles of every period and how chunks are made. Nothing is read until
//! [`Extraction::read`] is called, chunk by chunk, so memory is bounded by one chunk and the block cache.

use std::sync::Arc;

use geo_types::MultiPolygon;
use terravec_geo::{Crs, Grid, LonLatBox, Window, polygon, rasterize};
use terravec_io::vector::Regions;

use super::computed;
use super::gridded::Gridded;
use super::layer::Layer;
use super::pixels::{Kind, Pixels};
use super::places::Places;
use super::resample::Resampling;
use super::target::{self, bounds_of};
use super::warp::{self, Recipe};
use crate::catalog::Descriptor;
use crate::codec::Decoder;
use crate::dataset::file::RasterFile;
use crate::dataset::reader::BlockCache;
use crate::dataset::{RasterDataset, fixed_interval};
use crate::error::{Error, Result};
use crate::interrupt::Watch;
use crate::location::LocationDataset;
use crate::provenance::Provenance;
use crate::time::{Interval, Years};

/// Numbers (bands × pixels) in a chunk.
const CHUNK_NUMBERS: usize = 16 << 20;
/// The smallest chunk side; COG blocks are no larger.
const MIN_CHUNK: usize = 256;
/// Bytes of decoded blocks kept between chunks: at least, at most.
const CACHE: (usize, usize) = (64 << 20, 1 << 30);

/// Where to extract.
#[derive(Debug, Clone)]
pub enum Area {
    /// Everything.
    All,
    /// A box in degrees.
    Box(LonLatBox),
    /// Exactly this grid, be there vectors or not; CRS and resolution are its own.
    Grid(Grid),
    /// Polygons; pixels outside them have no vector, unless `mask` is false.
    Regions {
        /// The polygons, in lon/lat.
        regions: Regions,
        /// Whether to take away what lies outside.
        mask: bool,
        /// Whether every pixel that a polygon touches counts as inside, instead of those whose centre is.
        all_touched: bool,
    },
}

/// What to extract, and how.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where.
    pub area: Area,
    /// When.
    pub years: Years,
    /// Target CRS; the tiles' own if absent.
    pub crs: Option<Crs>,
    /// Pixel size in units of the target CRS; the product's own if absent.
    pub resolution: Option<f64>,
    /// How vectors move to another grid.
    pub resampling: Resampling,
    /// The product's own codes instead of vectors.
    pub codes: bool,
    /// Names or numbers of the bands wanted, all if absent.
    pub bands: Option<Vec<String>>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            area: Area::All,
            years: Years::All,
            crs: None,
            resolution: None,
            resampling: Resampling::Nearest,
            codes: false,
            bands: None,
        }
    }
}

/// A planned extraction.
#[derive(Debug)]
pub struct Extraction {
    /// The target grid.
    pub grid: Grid,
    /// The periods, one stack layer each; `None` where tiles have no year.
    pub periods: Vec<Option<i32>>,
    /// Names of the bands, in order.
    pub band_names: Vec<String>,
    /// Vectors, or codes of a type.
    pub kind: Kind,
    /// Where it all comes from.
    pub provenance: Provenance,
    pub(crate) dataset: Gridded,
    pub(crate) layers: Vec<Vec<Layer>>,
    pub(crate) bands: Option<Vec<usize>>,
    polygons: Option<(MultiPolygon<f64>, bool)>,
    resampling: Resampling,
    renormalise: bool,
    /// Of codes; an encoder has none.
    decoder: Option<Decoder>,
    pub(crate) cache: Arc<BlockCache>,
}

impl Extraction {
    /// Plans `request` on `dataset`, which is a [`RasterDataset`] or a [`LocationDataset`](crate::LocationDataset).
    ///
    /// # Errors
    /// If nothing of the dataset lies there, a year or band is unknown, or codes would have to be averaged; for an encoder,
    /// if no box or no resolution is given.
    pub fn plan(dataset: impl Into<Gridded>, request: &Request) -> Result<Self> {
        match dataset.into() {
            Gridded::Tiles(dataset) => Self::of_tiles(&dataset, request),
            Gridded::Encoder(encoder) => Self::of_encoder(&encoder, request),
        }
    }

    fn of_encoder(encoder: &LocationDataset, request: &Request) -> Result<Self> {
        computed::check(encoder, request)?;
        let names = encoder.band_names();
        let bands = request.bands.as_ref().map(|wanted| find_bands(wanted, &names)).transpose()?;
        let band_names = match &bands {
            Some(bands) => bands.iter().map(|&b| names[b].clone()).collect(),
            None => names,
        };
        let periods = encoder.periods(&request.years)?;
        let grid = computed::grid(encoder, request)?;
        let polygons = polygons_of(&request.area, &grid)?;
        let provenance = encoder.provenance(&periods, describe_request(request));
        Ok(Self {
            grid,
            periods,
            band_names,
            kind: Kind::Vectors,
            provenance,
            dataset: Gridded::Encoder(Box::new(encoder.clone())),
            layers: Vec::new(),
            bands,
            polygons,
            resampling: request.resampling,
            renormalise: false,
            decoder: None,
            cache: Arc::new(BlockCache::new(0)),
        })
    }

    fn of_tiles(dataset: &RasterDataset, request: &Request) -> Result<Self> {
        let places = Places::of_area(&request.area)?;
        let dataset = &dataset.around(&places, &request.years)?;
        let first = dataset.reader(0)?;
        let decoder = &first.decoder;
        if !request.codes {
            decoder.check_decodes().map_err(Error::codec(dataset.root().to_string()))?;
        }
        if request.codes && request.resampling != Resampling::Nearest {
            return Err(Error::query(
                format!("codes can't be resampled with `{}`: they are not values", request.resampling.name()),
                "use nearest, or leave --codes out to resample decoded vectors",
            ));
        }
        let all_names =
            if request.codes { stored_names(dataset, &first.file)? } else { dataset.band_names()? };
        let bands = request.bands.as_ref().map(|wanted| find_bands(wanted, &all_names)).transpose()?;
        let band_names = match &bands {
            Some(bands) => bands.iter().map(|&b| all_names[b].clone()).collect(),
            None => all_names,
        };
        let periods = dataset.periods(&request.years)?;
        let area = bounds_of(&request.area)?;
        let mut selected: Vec<Vec<usize>> =
            periods.iter().map(|p| dataset.select(*p, area.as_ref())).collect();
        let mut every: Vec<usize> = selected.iter().flatten().copied().collect();
        every.sort_unstable();
        if every.is_empty() && !matches!(request.area, Area::Grid(_)) {
            return Err(match &area {
                Some(area) => dataset.nothing_there(area, "no tile lies there"),
                None => Error::query("the dataset has no tile", "check its folder"),
            });
        }
        let grid = match &request.area {
            Area::Grid(grid) => grid.clone(),
            _ => target::of_tiles(dataset, &every, area.as_ref(), request)?,
        };
        // Tiles that lie in the box around polygons but touch none have nothing to say, unless pixels look over edges.
        if let (Resampling::Nearest, Area::Regions { mask: true, all_touched: false, .. }) =
            (request.resampling, &request.area)
        {
            let meets = |id: &usize| places.touch(&dataset.tiles()[*id].lonlat);
            every.retain(meets);
            selected.iter_mut().for_each(|tiles| tiles.retain(meets));
            if let (true, Some(area)) = (every.is_empty(), &area) {
                return Err(dataset.nothing_there(area, "no tile lies there"));
            }
        }
        let kind = if request.codes {
            let dtype = first.file.dtype();
            Kind::Codes(dtype, decoder.nodata(dtype).unwrap_or(0.0))
        } else {
            Kind::Vectors
        };
        let polygons = polygons_of(&request.area, &grid)?;
        // A mean of some bands can't be renormalised without the others: see `read`.
        let renormalise = decoder.unit_length() && request.resampling != Resampling::Nearest;
        let provenance = dataset.provenance(
            &every,
            if request.codes { "codes" } else { "vectors" },
            describe_request(request),
        )?;
        let mut layers: Vec<_> = selected.iter().map(|tiles| Layer::group(dataset, tiles)).collect();
        // Pixels that need no resampling go before those of a neighbouring zone.
        layers.iter_mut().for_each(|l| l.sort_by_key(|l| l.anchor.same_lattice(&grid).is_none()));
        let (bw, bh) = first.file.block_size();
        let block = bw * bh * first.file.bands() * first.file.dtype().size();
        let row = (grid.width / bw + 2).saturating_mul(block);
        let mut plan = Self {
            grid,
            periods,
            band_names,
            kind,
            provenance,
            dataset: Gridded::Tiles(dataset.clone()),
            layers,
            bands,
            polygons,
            resampling: request.resampling,
            renormalise,
            decoder: Some(decoder.clone()),
            cache: Arc::new(BlockCache::new(0)),
        };
        // Nothing is read twice where there is one chunk, unless by another query. Blocks are kept with all their bands.
        let shared = dataset.blocks();
        if plan.bands.is_none() && shared.limit() > 0 && (plan.chunks(1).len() == 1 || shared.limit() >= row)
        {
            plan.cache = Arc::clone(shared);
        } else if plan.chunks(1).len() > 1 {
            plan.cache = Arc::new(BlockCache::new(row.clamp(CACHE.0, CACHE.1)));
        }
        Ok(plan)
    }

    /// Windows of the grid, each at most one chunk, whose corners are multiples of `block` (≤ 256).
    #[must_use]
    pub fn chunks(&self, block: usize) -> Vec<Window> {
        let mut side = 1024;
        while side > MIN_CHUNK && side * side * self.band_names.len() > CHUNK_NUMBERS {
            side /= 2;
        }
        let side = side.div_ceil(block) * block;
        let mut out = Vec::new();
        for row in (0..self.grid.height).step_by(side) {
            for col in (0..self.grid.width).step_by(side) {
                out.push(Window {
                    col,
                    row,
                    width: side.min(self.grid.width - col),
                    height: side.min(self.grid.height - row),
                });
            }
        }
        out
    }

    /// Reads one chunk of one period (an index into [`Self::periods`]).
    ///
    /// # Errors
    /// If a tile can't be read.
    pub fn read(&self, period: usize, window: Window) -> Result<Pixels> {
        Watch::current().check()?;
        let target = self.grid.crop(window);
        if let Gridded::Encoder(encoder) = &self.dataset {
            let keep = self.polygons.as_ref().map(|(polygons, all)| rasterize::mask(&target, polygons, *all));
            let (period, bands) = (self.periods[period], self.bands.as_deref());
            return computed::chunk(encoder, period, &target, bands, keep.as_deref()).map(Pixels::Vectors);
        }
        // Renormalising needs every band; the unwanted ones are dropped afterwards.
        let full = self.renormalise && self.bands.is_some();
        let depth = if full { self.provenance.dimension } else { self.band_names.len() };
        let recipe = Recipe {
            kind: self.kind,
            bands: if full { None } else { self.bands.as_deref() },
            depth,
            resampling: self.resampling,
            renormalise: self.renormalise,
        };
        let layers = if self.touches(window) { self.layers[period].as_slice() } else { &[] };
        let mut pixels = warp::chunk(layers, &target, recipe, &self.cache)?;
        if let (true, Some(bands), Pixels::Vectors(v)) = (full, &self.bands, &pixels) {
            pixels = Pixels::Vectors(v.select(bands));
        }
        let fill = match self.kind {
            Kind::Codes(_, fill) => fill,
            Kind::Vectors => f64::NAN,
        };
        match &self.polygons {
            Some((polygons, all_touched)) => {
                pixels.mask(&rasterize::mask(&target, polygons, *all_touched), fill);
            }
            None => pixels.fill_invalid(fill),
        }
        Ok(pixels)
    }

    /// Whether pixels outside polygons are cut away.
    pub(crate) fn is_cut(&self) -> bool {
        self.polygons.is_some()
    }

    /// Whether pixels of a window may be kept: a polygon touches it, or none are cut away.
    pub(crate) fn touches(&self, window: Window) -> bool {
        let touched = |p: &MultiPolygon<f64>| polygon::touches_box(p, &self.grid.crop(window).bounds());
        self.polygons.as_ref().is_none_or(|(polygons, _)| touched(polygons))
    }

    /// Whether means of these vectors are scaled to length 1: the product says so and all bands are there.
    #[must_use]
    pub fn unit_length(&self) -> bool {
        self.bands.is_none() && self.dataset.product().unit_length == Some(true)
    }

    /// The period of tiles without a year, where the product has a fixed one.
    #[must_use]
    pub fn fixed_interval(&self) -> Option<Interval> {
        fixed_interval(self.dataset.product())
    }

    /// The product.
    pub(crate) fn product(&self) -> &Descriptor {
        self.dataset.product()
    }

    /// The decoder of codes, where they are what is read.
    pub(crate) fn decoder(&self) -> Option<&Decoder> {
        self.decoder.as_ref()
    }

    /// The number that says in the answer that a pixel has no vector, if there is one.
    #[must_use]
    pub fn nodata(&self) -> Option<f64> {
        match self.kind {
            Kind::Vectors => Some(f64::NAN),
            Kind::Codes(dtype, _) => self.decoder.as_ref()?.nodata(dtype),
        }
    }

    /// Whether codes come with a scale for each pixel, without which they mean nothing.
    #[must_use]
    pub fn scaled(&self) -> bool {
        matches!(self.kind, Kind::Codes(..)) && self.decoder.as_ref().is_some_and(Decoder::scaled)
    }

    /// Refuses codes that come with scales, for an answer that has no room for them.
    ///
    /// # Errors
    /// If [`scaled`](Self::scaled).
    pub fn check_unscaled(&self, answer: &str) -> Result<()> {
        if !self.scaled() {
            return Ok(());
        }
        Err(Error::query(
            format!(
                "codes of {} mean nothing without the scale of their pixel, for which {answer} has no room",
                self.dataset.product().id
            ),
            "leave --codes out to get vectors, or write .zarr, .npy or .parquet, which keep the scales",
        ))
    }

    /// Whether numbers alone tell the pixels that have a vector.
    pub(crate) fn tells_missing(&self) -> bool {
        let zeros = || self.decoder.as_ref().is_some_and(Decoder::zeros_are_missing) && self.bands.is_none();
        self.nodata().is_some() || zeros() || self.scaled()
    }
}

/// What is cut away, in the target CRS.
fn polygons_of(area: &Area, grid: &Grid) -> Result<Option<(MultiPolygon<f64>, bool)>> {
    match area {
        Area::Regions { regions, mask: true, all_touched } => {
            Ok(Some((target::project(&regions.polygons, grid)?, *all_touched)))
        }
        _ => Ok(None),
    }
}

fn stored_names(dataset: &RasterDataset, file: &RasterFile) -> Result<Vec<String>> {
    let decoded = dataset.band_names()?;
    if decoded.len() == file.bands() {
        return Ok(decoded);
    }
    let names = file.band_names().into_iter().enumerate();
    Ok(names.map(|(i, n)| n.unwrap_or_else(|| format!("b{i}"))).collect())
}

/// Band numbers of names; a number that is no name counts bands from 0.
fn find_bands(wanted: &[String], names: &[String]) -> Result<Vec<usize>> {
    let mut out = Vec::with_capacity(wanted.len());
    for w in wanted {
        let found = names
            .iter()
            .position(|n| n == w)
            .or_else(|| w.parse::<usize>().ok().filter(|i| *i < names.len()))
            .ok_or_else(|| {
                let ends = match names {
                    [] => "none".to_string(),
                    [one] => one.clone(),
                    [first, .., last] => format!("{first} … {last}, or 0 … {}", names.len() - 1),
                };
                Error::query(format!("there is no band `{w}`"), format!("bands: {ends}"))
            })?;
        if out.contains(&found) {
            return Err(Error::query(format!("band `{w}` is asked for twice"), "name each band once"));
        }
        out.push(found);
    }
    Ok(out)
}

fn describe_request(request: &Request) -> serde_json::Value {
    let area = bounds_of(&request.area).ok().flatten();
    serde_json::json!({
        "verb": "extract",
        "bbox": area.map(|b| [b.west, b.south, b.east, b.north]),
        "polygons": matches!(request.area, Area::Regions { mask: true, .. }),
        "crs": request.crs.as_ref().map(ToString::to_string),
        "resolution": request.resolution,
        "resampling": request.resampling.name(),
        "bands": request.bands,
    })
}
