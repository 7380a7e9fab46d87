//! Estimates for rasters: blocks of tiles, by the plans that reads follow.

use std::collections::{BTreeMap, BTreeSet};

use terravec_geo::{Transform, Window, transform_bbox};
use terravec_io::source::cost;
use terravec_io::vector::Points;

use super::{Estimate, READER, spread};
use crate::dataset::RasterDataset;
use crate::dataset::file::RasterFile;
use crate::error::{Error, Result};
use crate::query::extract::Extraction;
use crate::query::gridded::Gridded;
use crate::query::pixels::Kind;
use crate::query::sample::{locate, narrowed};
use crate::time::Years;

/// Points per edge of a box that is moved to another CRS.
const DENSIFY: usize = 16;

/// What reading all of `plan` costs. Polygons are taken for their box, so that they may cost less.
///
/// # Errors
/// If a header can't be read.
pub fn extract(plan: &Extraction) -> Result<Estimate> {
    let (grid, bands) = (&plan.grid, plan.band_names.len() as u64);
    let size = match plan.kind {
        Kind::Vectors => 4,
        Kind::Codes(dtype, _) => dtype.size() as u64,
    };
    let answer = grid.width as u64 * grid.height as u64 * bands * size * plan.periods.len() as u64;
    let chunk = plan.chunks(1).iter().map(|w| (w.width * w.height) as u64).max().unwrap_or(0) * bands * 4;
    let memory = 3 * chunk + plan.cache.limit() as u64 + READER;
    let Gridded::Tiles(dataset) = &plan.dataset else {
        return Ok(Estimate {
            basis: "computed: nothing is read".into(),
            ..Estimate::of(&[], 0, answer, memory)
        });
    };
    let mut wanted = Vec::new();
    for layer in plan.layers.iter().flatten() {
        let to = &layer.anchor.crs;
        let bounds = if *to == grid.crs {
            grid.bounds()
        } else {
            let moved =
                Transform::new(&grid.crs, to).and_then(|t| transform_bbox(&t, &grid.bounds(), DENSIFY));
            moved.map_err(Error::geo(format!("the target grid in {to}")))?
        };
        for (id, _) in &layer.tiles {
            wanted.extend(dataset.tiles()[*id].grid.window_for(&bounds).map(|window| (*id, window)));
        }
    }
    let read = |&(id, window): &(usize, Window)| {
        let reader = dataset.reader(id)?;
        let stored: Vec<usize> = match &plan.bands {
            Some(bands) if reader.decoder.bandwise() => bands.clone(),
            _ => (0..reader.decoder.stored_bands()).collect(),
        };
        Ok(match &reader.file {
            RasterFile::Tiff(tiff) => cost(&tiff.ranges(&stored, window)?),
            file @ RasterFile::Zarr(_) => {
                let (bw, bh) = file.block_size();
                let across = window.end_col().div_ceil(bw) - window.col / bw;
                let down = window.end_row().div_ceil(bh) - window.row / bh;
                blocks(file, across * down, stored.len())
            }
            other => (1, (window.width * window.height * stored.len() * other.dtype().size()) as u64),
        })
    };
    let opened: Vec<(u64, u64)> =
        spread(wanted.len()).into_iter().map(|i| read(&wanted[i])).collect::<Result<_>>()?;
    Ok(Estimate::of(&opened, wanted.len(), answer, memory))
}

/// Requests and bytes of so many chunks, as if they were not compressed: how far they are is told only by indexes in the shards.
fn blocks(file: &RasterFile, count: usize, bands: usize) -> (u64, u64) {
    let (bw, bh) = file.block_size();
    (count as u64, (count * bw * bh * bands * file.dtype().size()) as u64)
}

/// What sampling `points` costs. Points in places where tiles overlap may be looked up in a second tile.
///
/// # Errors
/// If a year is not there or a header can't be read.
pub(super) fn sample(dataset: &RasterDataset, points: &Points, years: &Years) -> Result<Estimate> {
    let dataset = &narrowed(dataset, points, years)?;
    let mut wanted: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
    let periods = dataset.periods(years)?;
    for period in &periods {
        for place in locate(dataset, points, *period)?.into_iter().flatten() {
            wanted.entry(place.tile).or_default().push((place.col, place.row));
        }
    }
    let wanted: Vec<(usize, Vec<(usize, usize)>)> = wanted.into_iter().collect();
    let read = |(id, at): &(usize, Vec<(usize, usize)>)| {
        let reader = dataset.reader(*id)?;
        let stored: Vec<usize> = (0..reader.decoder.stored_bands()).collect();
        Ok(match &reader.file {
            RasterFile::Tiff(tiff) => cost(&tiff.ranges_of_points(&stored, at)?),
            file @ RasterFile::Zarr(_) => {
                let (bw, bh) = file.block_size();
                let touched: BTreeSet<_> = at.iter().map(|(col, row)| (col / bw, row / bh)).collect();
                blocks(file, touched.len(), stored.len())
            }
            other => (at.len() as u64, (at.len() * stored.len() * other.dtype().size()) as u64),
        })
    };
    let opened: Vec<(u64, u64)> =
        spread(wanted.len()).into_iter().map(|i| read(&wanted[i])).collect::<Result<_>>()?;
    let dimension = dataset.product().dimension.unwrap_or(0) as u64;
    let answer = points.lon.len() as u64 * periods.len() as u64 * dimension * 4;
    let threads = rayon::current_num_threads() as u64;
    Ok(Estimate::of(&opened, wanted.len(), answer, 2 * answer + threads * READER))
}
