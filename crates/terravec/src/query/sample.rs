//! `sample`: the vector of the pixel that contains a point, for many points and years at once.
//!
//! Points are grouped by tile, tiles are read in parallel, every block of a tile once. Where tiles overlap a point is looked up in
//! the tile of its own UTM zone first, and in the next one only if it has no vector there.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array};
use rayon::prelude::*;
use terravec_geo::{Crs, Transform, lattice};
use terravec_io::vector::Points;
use terravec_io::{Codes, Samples};

use super::pixels::{Form, Pixels};
use crate::dataset::RasterDataset;
use crate::error::{Error, Result};
use crate::interrupt::Watch;
use crate::provenance::Provenance;
use crate::time::{Interval, Years};
use crate::vectors::Status;

/// Vectors (or codes) at points, one row per point and period: points in their order, periods inside.
#[derive(Debug)]
pub struct Sampled {
    /// The points, as given.
    pub points: Points,
    /// The periods asked for.
    pub periods: Vec<Option<i32>>,
    /// Per row: why there is or isn't a vector.
    pub status: Vec<Status>,
    /// Per row: when the vector is valid.
    pub intervals: Vec<Option<Interval>>,
    /// Per row, `dimension` numbers; NaN (codes: 0) where the status is not valid.
    pub values: Values,
    /// Names of the bands.
    pub band_names: Vec<String>,
    /// What else the dataset says of each row: of a patch its id, centre and distance, of codes the scale of their pixel.
    pub extra: Vec<(String, ArrayRef)>,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// Row-major numbers of a sample.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Decoded vectors.
    Vectors(Vec<f32>),
    /// Stored codes.
    Codes(Samples),
}

/// Where a point lies in a tile.
#[derive(Debug, Clone, Copy)]
struct Hit {
    row: usize,
    col: usize,
    line: usize,
}

/// Samples `dataset` at `points`.
///
/// # Errors
/// If a year is not there or a tile can't be read. Points outside the dataset are no error: their status says so.
pub fn sample(dataset: &RasterDataset, points: Points, years: &Years, codes: bool) -> Result<Sampled> {
    let dataset = &dataset.narrowed_to(&points, years)?;
    let first = dataset.reader(0)?;
    if !codes {
        first.decoder.check_decodes().map_err(Error::codec(dataset.root().to_string()))?;
    }
    let form = if codes { Form::Codes } else { Form::Vectors };
    let depth = if codes { first.decoder.stored_bands() } else { first.decoder.dimension() };
    let periods = dataset.periods(years)?;
    let rows = points.lon.len() * periods.len();
    let mut status = vec![Status::Outside; rows];
    let mut intervals = vec![None; rows];
    let mut values = if codes {
        Values::Codes(Samples::filled(first.file.dtype(), rows * depth, 0.0))
    } else {
        Values::Vectors(vec![f32::NAN; rows * depth])
    };
    let mut scales = (codes && first.decoder.scaled()).then(|| vec![None; rows]);
    let mut used = Vec::new();
    let watch = Watch::current();
    for (p, period) in periods.iter().enumerate() {
        let mut rounds = candidates(dataset, &points, *period)?;
        while !rounds.is_empty() {
            // The best remaining tile of every point that has no vector yet.
            let mut by_tile: BTreeMap<usize, Vec<Hit>> = BTreeMap::new();
            rounds.retain_mut(|(line, tiles)| {
                if status[*line * periods.len() + p] == Status::Valid {
                    return false;
                }
                let Some((tile, col, row)) = tiles.pop() else { return false };
                by_tile.entry(tile).or_default().push(Hit { row, col, line: *line });
                !tiles.is_empty()
            });
            let groups: Vec<(usize, Vec<Hit>)> = by_tile.into_iter().collect();
            let read: Vec<Result<Pixels>> = groups
                .par_iter()
                .map(|(tile, hits)| {
                    watch.check()?;
                    let at: Vec<(usize, usize)> = hits.iter().map(|h| (h.col, h.row)).collect();
                    dataset.reader(*tile)?.read_points(&at, None, form)
                })
                .collect();
            for ((tile, hits), pixels) in groups.iter().zip(read) {
                let pixels = pixels?;
                used.push(*tile);
                for (i, hit) in hits.iter().enumerate() {
                    let row = hit.line * periods.len() + p;
                    let found = pixels.status()[i];
                    if found < status[row] {
                        status[row] = found;
                        intervals[row] = dataset.tiles()[*tile].interval;
                    }
                    if found == Status::Valid {
                        put(&mut values, &pixels, i, row, depth);
                        if let (Some(scales), Pixels::Codes(c, _)) = (&mut scales, &pixels) {
                            scales[row] = c.scales.as_ref().map(|s| s[i]);
                        }
                    }
                }
            }
        }
        for line in 0..points.lon.len() {
            let row = line * periods.len() + p;
            if intervals[row].is_none() {
                intervals[row] = period.map(Interval::year);
            }
        }
    }
    used.sort_unstable();
    used.dedup();
    let request = serde_json::json!({ "verb": "sample", "points": points.lon.len(), "from": points.origin });
    let mut provenance = dataset.provenance(&used, if codes { "codes" } else { "vectors" }, request)?;
    provenance.years = periods.iter().copied().flatten().collect();
    let band_names =
        if codes { (0..depth).map(|i| format!("b{i}")).collect() } else { dataset.band_names()? };
    let scale = |s: Vec<Option<f32>>| ("scale".to_owned(), Arc::new(Float32Array::from(s)) as ArrayRef);
    let extra = scales.map(scale).into_iter().collect();
    Ok(Sampled { points, periods, status, intervals, values, band_names, extra, provenance })
}

/// A pixel of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The tile, an index into [`RasterDataset::tiles`].
    pub tile: usize,
    /// Its column.
    pub col: usize,
    /// Its row, north first.
    pub row: usize,
}

/// The pixel that answers for each point in a period; of several tiles, the one asked first. `None` where no tile is.
///
/// # Errors
/// If a tile's CRS can't be used.
pub fn locate(dataset: &RasterDataset, points: &Points, period: Option<i32>) -> Result<Vec<Option<Place>>> {
    let mut found = vec![None; points.lon.len()];
    for (line, tiles) in candidates(dataset, points, period)? {
        found[line] = tiles.last().map(|&(tile, col, row)| Place { tile, col, row });
    }
    Ok(found)
}

/// For every point that lies in some tile: its tiles with pixel (column, row), the best one last.
type Candidates = Vec<(usize, Vec<(usize, usize, usize)>)>;

fn candidates(dataset: &RasterDataset, points: &Points, period: Option<i32>) -> Result<Candidates> {
    let tiles = dataset.select(period, None);
    // Tiles of one CRS see the same projected points; project them once per CRS.
    let mut by_crs: HashMap<&Crs, Vec<usize>> = HashMap::new();
    for id in tiles {
        by_crs.entry(&dataset.tiles()[id].grid.crs).or_default().push(id);
    }
    let mut found: Vec<Vec<(bool, usize, usize, usize)>> = vec![Vec::new(); points.lon.len()];
    for (crs, ids) in by_crs {
        let to = Transform::new(&Crs::wgs84(), crs).map_err(Error::geo(format!("to {crs}")))?;
        let zone = crs.utm_zone();
        let near = near_points(dataset, points, &ids);
        if near.is_empty() {
            continue;
        }
        let (mut xs, mut ys): (Vec<f64>, Vec<f64>) =
            near.iter().map(|(i, _)| (points.lon[*i], points.lat[*i])).unzip();
        to.points(&mut xs, &mut ys);
        for (k, (i, tiles)) in near.iter().enumerate() {
            let own = zone.is_some_and(|(z, _)| z == lattice::utm::zone(points.lon[*i]));
            for &id in tiles {
                if let Some((col, row)) = dataset.tiles()[id].grid.pixel_at(xs[k], ys[k]) {
                    found[*i].push((own, id, col, row));
                }
            }
        }
    }
    Ok(found
        .into_iter()
        .enumerate()
        .filter(|(_, hits)| !hits.is_empty())
        .map(|(i, mut hits)| {
            // Best last: own zone, then the earlier path.
            let path = |id: usize| &dataset.tiles()[id].path;
            hits.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| path(b.1).cmp(path(a.1))));
            (i, hits.into_iter().map(|(_, id, col, row)| (id, col, row)).collect())
        })
        .collect())
}

/// Degrees by which a tile's box is widened before a point is ruled out.
const MARGIN: f64 = 1e-3;
/// Cells of the lookup grid, degrees.
const CELL: f64 = 0.5;

/// Points with the tiles whose box in degrees may hold them.
#[allow(clippy::cast_possible_truncation)]
fn near_points(dataset: &RasterDataset, points: &Points, ids: &[usize]) -> Vec<(usize, Vec<usize>)> {
    let cell = |v: f64| (v / CELL).floor() as i32;
    let mut cells: BTreeMap<(i32, i32), Vec<usize>> = BTreeMap::new();
    for (i, (&lon, &lat)) in points.lon.iter().zip(&points.lat).enumerate() {
        if lon.is_finite() && lat.is_finite() {
            cells.entry((cell(lon), cell(lat))).or_default().push(i);
        }
    }
    let mut near: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for &id in ids {
        let b = &dataset.tiles()[id].lonlat;
        for part in b.split() {
            let (w, e) = (part.min_x - MARGIN, part.max_x + MARGIN);
            let (s, n) = (part.min_y - MARGIN, part.max_y + MARGIN);
            for col in cell(w)..=cell(e) {
                for ((_, _), members) in cells.range((col, cell(s))..=(col, cell(n))) {
                    for &i in members {
                        let (lon, lat) = (points.lon[i], points.lat[i]);
                        if lon >= w && lon <= e && lat >= s && lat <= n {
                            near.entry(i).or_default().push(id);
                        }
                    }
                }
            }
        }
    }
    near.into_iter()
        .map(|(i, mut ids)| {
            ids.dedup();
            (i, ids)
        })
        .collect()
}

fn put(values: &mut Values, pixels: &Pixels, i: usize, row: usize, depth: usize) {
    match (values, pixels) {
        (Values::Vectors(out), Pixels::Vectors(v)) => {
            for (o, x) in out[row * depth..(row + 1) * depth].iter_mut().zip(v.vector(i)) {
                *o = x;
            }
        }
        (Values::Codes(out), Pixels::Codes(c, _)) => put_codes(out, c, i, row, depth),
        _ => unreachable!("a sample is of one kind"),
    }
}

fn put_codes(out: &mut Samples, codes: &Codes, i: usize, row: usize, depth: usize) {
    macro_rules! arms {
        ($($t:ident),*) => {
            match (out, &codes.samples) {
                $((Samples::$t(o), Samples::$t(q)) => {
                    for b in 0..depth {
                        o[row * depth + b] = q[b * codes.width + i];
                    }
                })*
                _ => unreachable!("tiles of one dataset have one type"),
            }
        };
    }
    arms!(U8, I8, U16, I16, U32, I32, F16, F32, F64);
}
