//! `extract`: a window, a polygon or a whole dataset as chunks on one grid.
//!
//! An [`Extraction`] is a plan: the target grid, the tiles of every period and how chunks are made. Nothing is read until
//! [`Extraction::read`] is called, chunk by chunk, so memory is bounded by one chunk and the block cache.

use geo_types::{LineString, MultiPolygon, Polygon};
use terravec_geo::rasterize;
use terravec_geo::{BBox, Crs, Grid, LonLatBox, Transform, Window, transform_bbox};
use terravec_io::vector::Regions;

use super::layer::Layer;
use super::pixels::{Kind, Pixels};
use super::resample::Resampling;
use super::warp::{self, Recipe};
use crate::codec::Decoder;
use crate::dataset::reader::BlockCache;
use crate::dataset::{RasterDataset, fixed_interval};
use crate::error::{Error, Result};
use crate::provenance::Provenance;
use crate::time::{Interval, Years};

/// Metres in a degree of latitude, to turn a native resolution in metres into degrees and back.
const METRES_PER_DEGREE: f64 = 111_320.0;
/// Numbers (bands × pixels) in a chunk.
const CHUNK_NUMBERS: usize = 16 << 20;
/// The smallest chunk side; COG blocks are no larger.
const MIN_CHUNK: usize = 256;
/// Bytes of decoded blocks kept between chunks: at least, at most.
const CACHE: (usize, usize) = (64 << 20, 1 << 30);
/// Points per bbox edge when it is moved to another CRS.
const DENSIFY: usize = 64;
/// A grid with more pixels is taken for a mistake.
const MAX_PIXELS: u128 = 1 << 40;

/// Where to extract.
#[derive(Debug, Clone)]
pub enum Area {
    /// Everything.
    All,
    /// A box in degrees.
    Box(LonLatBox),
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
pub struct Extraction<'a> {
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
    dataset: &'a RasterDataset,
    layers: Vec<Vec<Layer<'a>>>,
    bands: Option<Vec<usize>>,
    polygons: Option<(MultiPolygon<f64>, bool)>,
    resampling: Resampling,
    renormalise: bool,
    decoder: Decoder,
    cache: BlockCache,
}

impl<'a> Extraction<'a> {
    /// Plans `request` on `dataset`.
    ///
    /// # Errors
    /// If nothing of the dataset lies there, a year or band is unknown, or codes would have to be averaged.
    pub fn plan(dataset: &'a RasterDataset, request: &Request) -> Result<Self> {
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
            if request.codes { stored_names(dataset, &first.tiff)? } else { dataset.band_names()? };
        let bands = request.bands.as_ref().map(|wanted| find_bands(wanted, &all_names)).transpose()?;
        let band_names = match &bands {
            Some(bands) => bands.iter().map(|&b| all_names[b].clone()).collect(),
            None => all_names,
        };
        let periods = dataset.periods(&request.years)?;
        let area = bounds_of(&request.area)?;
        let selected: Vec<Vec<usize>> = periods.iter().map(|p| dataset.select(*p, area.as_ref())).collect();
        let mut every: Vec<usize> = selected.iter().flatten().copied().collect();
        every.sort_unstable();
        if every.is_empty() {
            return Err(match &area {
                Some(area) => dataset.nothing_there(area, "no tile lies there"),
                None => Error::query("the dataset has no tile", "check its folder"),
            });
        }
        let grid = target_grid(dataset, &every, area.as_ref(), request)?;
        let kind = if request.codes {
            let dtype = first.tiff.dtype();
            Kind::Codes(dtype, decoder.nodata(dtype).unwrap_or(0.0))
        } else {
            Kind::Vectors
        };
        let polygons = match &request.area {
            Area::Regions { regions, mask: true, all_touched } => {
                Some((project(&regions.polygons, &grid.crs)?, *all_touched))
            }
            _ => None,
        };
        // A mean of some bands can't be renormalised without the others: see `read`.
        let renormalise = decoder.unit_length() && request.resampling != Resampling::Nearest;
        let provenance = dataset.provenance(
            &every,
            if request.codes { "codes" } else { "vectors" },
            describe_request(request),
        )?;
        let layers = selected.iter().map(|tiles| Layer::group(dataset, tiles)).collect();
        let (bw, bh) = first.tiff.block_size();
        let block = bw * bh * first.tiff.bands() * first.tiff.dtype().size();
        let row = (grid.width / bw + 2).saturating_mul(block);
        let mut plan = Self {
            grid,
            periods,
            band_names,
            kind,
            provenance,
            dataset,
            layers,
            bands,
            polygons,
            resampling: request.resampling,
            renormalise,
            decoder: decoder.clone(),
            cache: BlockCache::new(0),
        };
        // Nothing is read twice where there is one chunk.
        if plan.chunks(1).len() > 1 {
            plan.cache = BlockCache::new(row.clamp(CACHE.0, CACHE.1));
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
        let target = self.grid.crop(window);
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
        let mut pixels = warp::chunk(&self.layers[period], &target, recipe, &self.cache)?;
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

    pub(crate) fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// The number that says in the answer that a pixel has no vector, if there is one.
    #[must_use]
    pub fn nodata(&self) -> Option<f64> {
        match self.kind {
            Kind::Vectors => Some(f64::NAN),
            Kind::Codes(dtype, _) => self.decoder.nodata(dtype),
        }
    }

    /// Whether numbers alone tell the pixels that have a vector.
    pub(crate) fn tells_missing(&self) -> bool {
        self.nodata().is_some() || (self.decoder.zeros_are_missing() && self.bands.is_none())
    }
}

fn stored_names(dataset: &RasterDataset, tiff: &terravec_io::tiff::GeoTiff) -> Result<Vec<String>> {
    let decoded = dataset.band_names()?;
    if decoded.len() == tiff.bands() {
        return Ok(decoded);
    }
    Ok(tiff
        .band_names()
        .iter()
        .enumerate()
        .map(|(i, n)| n.clone().unwrap_or_else(|| format!("b{i}")))
        .collect())
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

pub(crate) fn bounds_of(area: &Area) -> Result<Option<LonLatBox>> {
    match area {
        Area::All => Ok(None),
        Area::Box(b) => Ok(Some(*b)),
        Area::Regions { regions, .. } => {
            let mut points =
                regions.polygons.iter().flat_map(|m| m.iter()).flat_map(|p| p.exterior().coords());
            let first = points.next().ok_or_else(|| {
                Error::query("the region file holds no polygon", "give a file with at least one polygon")
            })?;
            let init = LonLatBox { west: first.x, south: first.y, east: first.x, north: first.y };
            Ok(Some(points.fold(init, |b, p| LonLatBox {
                west: b.west.min(p.x),
                south: b.south.min(p.y),
                east: b.east.max(p.x),
                north: b.north.max(p.y),
            })))
        }
    }
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

/// A box in degrees, in another CRS.
fn project_box(area: &LonLatBox, crs: &Crs) -> Result<BBox> {
    let to = Transform::new(&Crs::wgs84(), crs).map_err(Error::geo(format!("to {crs}")))?;
    let mut out: Option<BBox> = None;
    for part in area.split() {
        let b = transform_bbox(&to, &part, DENSIFY).map_err(Error::geo(format!("the bbox in {crs}")))?;
        out = Some(out.map_or(b, |o| o.union(&b)));
    }
    out.ok_or_else(|| Error::query("the bbox is empty", "west, south, east, north"))
}

/// Edges longer than this many degrees are cut before they are projected, so that they stay where they were.
const MAX_EDGE: f64 = 0.05;

/// All polygons in another CRS, as one.
fn project(polygons: &[MultiPolygon<f64>], crs: &Crs) -> Result<MultiPolygon<f64>> {
    let to = Transform::new(&Crs::wgs84(), crs).map_err(Error::geo(format!("to {crs}")))?;
    let ring = |line: &LineString<f64>| -> Result<LineString<f64>> {
        let mut out = Vec::with_capacity(line.0.len());
        for edge in line.lines() {
            let (dx, dy) = (edge.end.x - edge.start.x, edge.end.y - edge.start.y);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let steps = (dx.abs().max(dy.abs()) / MAX_EDGE).ceil().clamp(1.0, 1e5) as u32;
            for i in 0..steps {
                let t = f64::from(i) / f64::from(steps);
                out.push((edge.start.x + t * dx, edge.start.y + t * dy));
            }
        }
        out.extend(line.0.last().map(|last| (last.x, last.y)));
        let place = |(x, y)| to.point(x, y).map_err(Error::geo(format!("a vertex of the region in {crs}")));
        Ok(LineString::from(out.into_iter().map(place).collect::<Result<Vec<_>>>()?))
    };
    polygons
        .iter()
        .flat_map(|multi| &multi.0)
        .map(|p| {
            let holes = p.interiors().iter().map(ring).collect::<Result<Vec<_>>>()?;
            Ok(Polygon::new(ring(p.exterior())?, holes))
        })
        .collect::<Result<Vec<_>>>()
        .map(MultiPolygon)
}

/// The grid of the answer: the tiles' own lattice where there is one and no other is asked for, else the lattice of the
/// zone that holds most of the area, else what is asked for.
fn target_grid(
    dataset: &RasterDataset,
    tiles: &[usize],
    area: Option<&LonLatBox>,
    request: &Request,
) -> Result<Grid> {
    let layers = Layer::group(dataset, tiles);
    let main = layers
        .iter()
        .max_by(|a, b| share(a, area).total_cmp(&share(b, area)))
        .ok_or_else(|| Error::query("no tile", "choose another area"))?;
    let native = &main.anchor;
    let crs = request.crs.clone().unwrap_or_else(|| native.crs.clone());
    let covered = covered_box(&layers, &crs)?;
    let wanted = match area {
        // A grid that is asked for is kept as asked; a native window is cut to where there are tiles.
        Some(area) if request.crs.is_some() || request.resolution.is_some() => project_box(area, &crs)?,
        Some(area) => project_box(area, &crs)?
            .intersection(&covered)
            .ok_or_else(|| dataset.nothing_there(area, "no pixel lies there"))?,
        None => covered,
    };
    let grid = if crs == native.crs && request.resolution.is_none() {
        on_lattice(native, &wanted)
    } else {
        let (rx, ry) = match request.resolution {
            Some(r) if r > 0.0 && r.is_finite() => (r, r),
            Some(r) => {
                return Err(Error::query(
                    format!("resolution {r} is no pixel size"),
                    "give a positive number",
                ));
            }
            None => convert_resolution(native, &crs),
        };
        Grid::covering(&crs, &wanted, rx, ry, true).map_err(Error::geo("the target grid"))?
    };
    if grid.width as u128 * grid.height as u128 > MAX_PIXELS {
        return Err(Error::query(
            format!("the target grid would have {}×{} pixels", grid.width, grid.height),
            "ask for a smaller area or a coarser --resolution",
        ));
    }
    Ok(grid)
}

/// How much of the area (or of the world) the tiles of a layer cover, in square degrees.
fn share(layer: &Layer<'_>, area: Option<&LonLatBox>) -> f64 {
    let one = |b: &LonLatBox| {
        let (w, e) = area.map_or((b.west, b.east), |a| (b.west.max(a.west), b.east.min(a.east)));
        let (s, n) = area.map_or((b.south, b.north), |a| (b.south.max(a.south), b.north.min(a.north)));
        (e - w).max(0.0) * (n - s).max(0.0)
    };
    layer.tiles.iter().map(|(id, _)| one(&layer.dataset.tiles()[*id].lonlat)).sum()
}

fn covered_box(layers: &[Layer<'_>], crs: &Crs) -> Result<BBox> {
    let mut out: Option<BBox> = None;
    for layer in layers {
        let b = layer.bounds();
        let b = if layer.anchor.crs == *crs {
            b
        } else {
            let to = Transform::new(&layer.anchor.crs, crs).map_err(Error::geo(format!("to {crs}")))?;
            transform_bbox(&to, &b, DENSIFY).map_err(Error::geo(format!("the tiles in {crs}")))?
        };
        out = Some(out.map_or(b, |o| o.union(&b)));
    }
    out.ok_or_else(|| Error::query("no tile", "choose another area"))
}

/// The grid on `native`'s lattice of all pixels that `bbox` touches.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn on_lattice(native: &Grid, bbox: &BBox) -> Grid {
    /// Bounds this close to a pixel edge, in pixels, lie on it.
    const EPS: f64 = 1e-6;
    let a = &native.affine;
    let (c0, c1) = ((bbox.min_x - a.c) / a.a, (bbox.max_x - a.c) / a.a);
    let (r0, r1) = ((bbox.max_y - a.f) / a.e, (bbox.min_y - a.f) / a.e);
    let (col, row) = ((c0 + EPS).floor(), (r0 + EPS).floor());
    let (width, height) = (((c1 - EPS).ceil() - col).max(1.0), ((r1 - EPS).ceil() - row).max(1.0));
    Grid {
        crs: native.crs.clone(),
        affine: a.translate(col, row),
        width: width as usize,
        height: height as usize,
    }
}

fn convert_resolution(native: &Grid, crs: &Crs) -> (f64, f64) {
    let (rx, ry) = native.res();
    match (native.crs.is_geographic(), crs.is_geographic()) {
        (false, true) => (rx / METRES_PER_DEGREE, ry / METRES_PER_DEGREE),
        (true, false) => (rx * METRES_PER_DEGREE, ry * METRES_PER_DEGREE),
        _ => (rx, ry),
    }
}
