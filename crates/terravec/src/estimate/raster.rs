//! Estimates for rasters: blocks of tiles, by the plans that reads follow.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use terravec_geo::{BBox, Transform, Window, transform_bbox};
use terravec_io::source::{cache, cost};
use terravec_io::tiff::GeoTiff;
use terravec_io::vector::{Points, Regions};

use super::{Estimate, HEADER, READER, spread};
use crate::dataset::RasterDataset;
use crate::dataset::file::RasterFile;
use crate::error::{Error, Result};
use crate::query::extract::{Area, Extraction, Request};
use crate::query::gridded::Gridded;
use crate::query::pixels::Kind;
use crate::query::reduce::plans;
use crate::query::sample::locate;
use crate::time::Years;

/// Points per edge of a box that is moved to another CRS.
const DENSIFY: usize = 16;

/// Windows of tiles that are read.
type Wanted = BTreeMap<usize, Vec<Window>>;

/// What reading all of `plan` costs. Of polygons, chunks of the grid that touch none are left out.
///
/// # Errors
/// If a header can't be read.
pub fn extract(plan: &Extraction) -> Result<Estimate> {
    let (answer, memory) = (answer_of(plan), memory_of(plan));
    let Gridded::Tiles(dataset) = &plan.dataset else {
        return Ok(Estimate {
            answer_bytes: answer,
            memory,
            ..Estimate::nothing("computed: nothing is read")
        });
    };
    let mut wanted = Wanted::new();
    windows(plan, dataset, &mut wanted)?;
    of_windows(dataset, plan.bands.as_deref(), wanted, answer, memory)
}

/// What reading the pixels in each of `regions` costs; blocks that several share count once.
///
/// # Errors
/// As [`extract`], or if reading can't be planned.
pub fn regions(
    dataset: &Gridded,
    regions: &Regions,
    all_touched: bool,
    request: &Request,
) -> Result<Estimate> {
    let all = Area::Regions { regions: regions.clone(), mask: true, all_touched };
    let dataset = &dataset.clone().narrowed(&all, &request.years)?;
    let (mut wanted, mut answer, mut memory) = (Wanted::new(), 0, READER);
    for plan in plans(dataset, regions, all_touched, request) {
        let plan = plan?;
        answer += plan.band_names.len() as u64 * 4 * plan.periods.len() as u64;
        memory = memory.max(memory_of(&plan));
        if let Gridded::Tiles(tiles) = &plan.dataset {
            windows(&plan, tiles, &mut wanted)?;
        }
    }
    match dataset {
        Gridded::Tiles(tiles) => of_windows(tiles, None, wanted, answer, memory),
        Gridded::Encoder(_) => {
            Ok(Estimate { answer_bytes: answer, memory, ..Estimate::nothing("computed: nothing is read") })
        }
    }
}

/// Numbers of the answer, as bytes.
fn answer_of(plan: &Extraction) -> u64 {
    let size = match plan.kind {
        Kind::Vectors => 4,
        Kind::Codes(dtype, _) => dtype.size() as u64,
    };
    pixels(plan) * plan.band_names.len() as u64 * size
}

/// Pixels of all periods.
fn pixels(plan: &Extraction) -> u64 {
    plan.grid.width as u64 * plan.grid.height as u64 * plan.periods.len() as u64
}

fn memory_of(plan: &Extraction) -> u64 {
    let chunk = plan.chunks(1).iter().map(|w| (w.width * w.height) as u64).max().unwrap_or(0);
    3 * chunk * plan.band_names.len() as u64 * 4 + plan.cache.limit() as u64 + READER
}

/// The windows of tiles that `plan` reads.
fn windows(plan: &Extraction, dataset: &RasterDataset, wanted: &mut Wanted) -> Result<()> {
    let grid = &plan.grid;
    let targets: Vec<BBox> = match plan.is_cut() {
        false => vec![grid.bounds()],
        true => {
            let read = plan.chunks(1).into_iter().filter(|w| plan.touches(*w));
            read.map(|w| grid.crop(w).bounds()).collect()
        }
    };
    for layer in plan.layers.iter().flatten() {
        let to = &layer.anchor.crs;
        let bad = |source| Error::geo(format!("the target grid in {to}"))(source);
        let transform = (*to != grid.crs).then(|| Transform::new(&grid.crs, to)).transpose().map_err(bad)?;
        for bounds in &targets {
            let moved = transform.as_ref().map(|t| transform_bbox(t, bounds, DENSIFY)).transpose();
            let bounds = moved.map_err(bad)?.unwrap_or(*bounds);
            for (id, _) in &layer.tiles {
                if let Some(window) = dataset.tiles()[*id].grid.window_for(&bounds) {
                    wanted.entry(*id).or_default().push(window);
                }
            }
        }
    }
    Ok(())
}

/// What reading windows costs, by the headers of some of their tiles.
fn of_windows(
    dataset: &RasterDataset,
    bands: Option<&[usize]>,
    wanted: Wanted,
    answer: u64,
    memory: u64,
) -> Result<Estimate> {
    let wanted: Vec<(usize, Vec<Window>)> = wanted.into_iter().collect();
    let remote = dataset.root().is_remote();
    let read = |(id, windows): &(usize, Vec<Window>)| {
        let reader = dataset.reader(*id)?;
        let stored: Vec<usize> = match bands {
            Some(bands) if reader.decoder.bandwise() => bands.to_vec(),
            _ => (0..reader.decoder.stored_bands()).collect(),
        };
        Ok(match &reader.file {
            RasterFile::Tiff(tiff) => {
                let mut ranges = Vec::new();
                for window in windows {
                    ranges.extend(tiff.ranges(&stored, *window)?);
                }
                with_header(tiff, &ranges, remote)
            }
            file @ RasterFile::Zarr(_) => {
                let (bw, bh) = file.block_size();
                let of_window = |w: &Window| {
                    let columns = w.col / bw..w.end_col().div_ceil(bw);
                    (w.row / bh..w.end_row().div_ceil(bh))
                        .flat_map(move |row| columns.clone().map(move |column| (column, row)))
                };
                let touched: BTreeSet<_> = windows.iter().flat_map(of_window).collect();
                blocks(file, touched.len(), stored.len())
            }
            other => {
                let numbers: usize = windows.iter().map(|w| w.width * w.height).sum();
                (windows.len() as u64, (numbers * stored.len() * other.dtype().size()) as u64)
            }
        })
    };
    let opened: Vec<(u64, u64)> =
        spread(wanted.len()).into_iter().map(|i| read(&wanted[i])).collect::<Result<_>>()?;
    Ok(Estimate::of(&opened, wanted.len(), answer, memory).over(remote))
}

/// Requests and bytes of ranges, and of what of the header goes beyond what is taken for every file.
fn with_header(tiff: &GeoTiff, ranges: &[Range<u64>], remote: bool) -> (u64, u64) {
    let (requests, bytes) = cost(ranges);
    let bytes = bytes + tiff.header_bytes().saturating_sub(HEADER);
    // What is kept is not fetched again, and so no more than the file.
    let most = tiff.file_size().saturating_sub(HEADER);
    (requests, if remote && cache::current().is_none() { bytes } else { bytes.min(most) })
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
    let dataset = &dataset.narrowed_to(points, years)?;
    let mut wanted: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
    let periods = dataset.periods(years)?;
    for period in &periods {
        for place in locate(dataset, points, *period)?.into_iter().flatten() {
            wanted.entry(place.tile).or_default().push((place.col, place.row));
        }
    }
    let wanted: Vec<(usize, Vec<(usize, usize)>)> = wanted.into_iter().collect();
    let remote = dataset.root().is_remote();
    let read = |(id, at): &(usize, Vec<(usize, usize)>)| {
        let reader = dataset.reader(*id)?;
        let stored: Vec<usize> = (0..reader.decoder.stored_bands()).collect();
        Ok(match &reader.file {
            RasterFile::Tiff(tiff) => with_header(tiff, &tiff.ranges_of_points(&stored, at)?, remote),
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
    let estimate = Estimate::of(&opened, wanted.len(), answer, 2 * answer + threads * READER);
    Ok(estimate.over(remote))
}
