//! Where an answer lies: from an area, a CRS and a resolution to a grid.

use geo_types::{LineString, MultiPolygon, Polygon};
use terravec_geo::{BBox, Crs, Grid, LonLatBox, Transform, polygon, transform_bbox};

use super::extract::{Area, Request};
use super::layer::Layer;
use super::places::reaches;
use crate::dataset::RasterDataset;
use crate::error::{Error, Result};

/// Metres in a degree of latitude, to turn a native resolution in metres into degrees and back.
const METRES_PER_DEGREE: f64 = 111_320.0;
/// Points per bbox edge when it is moved to another CRS.
const DENSIFY: usize = 64;
/// A grid with more pixels is taken for a mistake.
const MAX_PIXELS: u128 = 1 << 40;

/// The box of an area, in degrees; `None` for everything.
pub(crate) fn bounds_of(area: &Area) -> Result<Option<LonLatBox>> {
    match area {
        Area::All => Ok(None),
        Area::Box(b) => Ok(Some(*b)),
        Area::Grid(grid) => grid.lonlat_bbox().map(Some).map_err(Error::geo("the target grid")),
        Area::Regions { regions, .. } => {
            let spans: Vec<BBox> =
                regions.polygons.iter().flat_map(|m| m.iter()).filter_map(polygon::bounds).collect();
            let plain = spans.iter().copied().reduce(|a, b| a.union(&b)).ok_or_else(|| {
                Error::query("the region file holds no polygon", "give a file with at least one polygon")
            })?;
            Ok(Some(across(&plain, spans)))
        }
    }
}

/// The smaller box across the antimeridian, for polygons on both of its sides.
fn across(all: &BBox, mut spans: Vec<BBox>) -> LonLatBox {
    let plain = LonLatBox { west: all.min_x, south: all.min_y, east: all.max_x, north: all.max_y };
    if plain.width() <= 180.0 || plain.west < -180.0 || plain.east > 180.0 {
        return plain;
    }
    spans.sort_by(|a, b| a.min_x.total_cmp(&b.min_x));
    // The widest gap between polygons is what the box leaves out.
    let (mut reach, mut gap) = (plain.west, (0.0, plain.east, plain.west));
    for span in spans {
        if span.min_x - reach > gap.0 {
            gap = (span.min_x - reach, reach, span.min_x);
        }
        reach = reach.max(span.max_x);
    }
    // On a grid in degrees a box across is as wide as the world, and so has to be much smaller to be the better one.
    match 360.0 - gap.0 < plain.width() / 2.0 {
        true => LonLatBox { west: gap.2, east: gap.1, ..plain },
        false => plain,
    }
}

/// Whether an area may have something in a box in degrees, which may reach beyond 180: of polygons, whether one touches it. What else
/// bounds the area is not looked at.
pub(crate) fn meets(area: &Area, b: &BBox) -> bool {
    let Area::Regions { regions, .. } = area else { return true };
    regions.polygons.iter().any(|p| reaches(p, b))
}

/// A box in degrees, in another CRS.
pub(super) fn project_box(area: &LonLatBox, crs: &Crs) -> Result<BBox> {
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
///
/// Of polygons that reach far beyond `grid` only what lies near it is kept: projections know no place half a world away.
pub(super) fn project(polygons: &[MultiPolygon<f64>], grid: &Grid) -> Result<MultiPolygon<f64>> {
    let crs = &grid.crs;
    let near = near(grid);
    let near: Vec<MultiPolygon<f64>> = polygons
        .iter()
        .flat_map(|p| match &near {
            Some(boxes) => boxes.iter().map(|b| polygon::clip(p, b)).collect(),
            None => vec![p.clone()],
        })
        .collect();
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
    near.iter()
        .flat_map(|multi| &multi.0)
        .map(|p| {
            let holes = p.interiors().iter().map(ring).collect::<Result<Vec<_>>>()?;
            Ok(Polygon::new(ring(p.exterior())?, holes))
        })
        .collect::<Result<Vec<_>>>()
        .map(MultiPolygon)
}

/// The place of a grid in degrees and a degree around it, where that is small: west and east of the antimeridian.
fn near(grid: &Grid) -> Option<Vec<BBox>> {
    let b = grid.lonlat_bbox().ok().filter(|b| b.width() < 170.0)?;
    let (south, north) = ((b.south - 1.0).max(-90.0), (b.north + 1.0).min(90.0));
    // Nearer to the poles a degree is short.
    let margin = 1.0 / south.abs().max(north.abs()).to_radians().cos().max(0.1);
    let (west, east) = (b.west - margin, b.west + b.width() + margin);
    let here = BBox::new(west, south, east, north);
    let turned = |turn: f64| BBox { min_x: west + turn, max_x: east + turn, ..here };
    Some(match (west < -180.0, east > 180.0) {
        (true, _) => vec![here, turned(360.0)],
        (_, true) => vec![here, turned(-360.0)],
        _ => vec![here],
    })
}

/// The grid of the answer: the tiles' own lattice where there is one and no other is asked for, else the lattice of the
/// zone that holds most of the area, else what is asked for.
pub(super) fn of_tiles(
    dataset: &RasterDataset,
    tiles: &[usize],
    area: Option<&LonLatBox>,
    request: &Request,
) -> Result<Grid> {
    let layers = Layer::group(dataset, tiles);
    let main = layers
        .iter()
        .min_by(|a, b| share(b, area).total_cmp(&share(a, area)))
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
    check_size(grid)
}

/// Refuses a grid that nobody can have meant.
pub(super) fn check_size(grid: Grid) -> Result<Grid> {
    if grid.width as u128 * grid.height as u128 > MAX_PIXELS {
        return Err(Error::query(
            format!("the target grid would have {}×{} pixels", grid.width, grid.height),
            "ask for a smaller area or a coarser --resolution",
        ));
    }
    Ok(grid)
}

/// How much of the area (or of the world) the tiles of a layer cover, in square degrees.
fn share(layer: &Layer, area: Option<&LonLatBox>) -> f64 {
    let one = |b: &LonLatBox| {
        let (w, e) = area.map_or((b.west, b.east), |a| (b.west.max(a.west), b.east.min(a.east)));
        let (s, n) = area.map_or((b.south, b.north), |a| (b.south.max(a.south), b.north.min(a.north)));
        (e - w).max(0.0) * (n - s).max(0.0)
    };
    layer.tiles.iter().map(|(id, _)| one(&layer.dataset.tiles()[*id].lonlat)).sum()
}

fn covered_box(layers: &[Layer], crs: &Crs) -> Result<BBox> {
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
