//! A location encoder on a grid: every pixel has the vector of its centre.

use rayon::prelude::*;
use terravec_geo::{BBox, Crs, Grid, Transform, wrap_lon};

use super::extract::{Area, Request};
use super::resample::Resampling;
use super::target::{bounds_of, check_size, project_box};
use crate::error::{Error, Result};
use crate::location::LocationDataset;
use crate::vectors::{Status, Vectors};

/// Numbers encoded before they are put into their places.
const GROUP_NUMBERS: usize = 16 << 20;

pub(super) fn no_codes() -> Error {
    Error::query("a location encoder has no codes", "leave --codes out")
}

/// Refuses what only stored pixels have.
pub(super) fn check(encoder: &LocationDataset, request: &Request) -> Result<()> {
    if request.codes {
        return Err(no_codes());
    }
    if request.resampling != Resampling::Nearest {
        let what = format!("{} is computed at the centre of every pixel", encoder.product().id);
        return Err(Error::query(what, "leave --resampling out"));
    }
    Ok(())
}

/// The grid asked for; in degrees if no CRS is.
pub(super) fn grid(encoder: &LocationDataset, request: &Request) -> Result<Grid> {
    if let Area::Grid(grid) = &request.area {
        return check_size(grid.clone());
    }
    let id = &encoder.product().id;
    let area = bounds_of(&request.area)?.ok_or_else(|| {
        Error::query(
            format!("{id} has a vector everywhere: there is no data of its own to convert"),
            "`terravec extract` computes it: give --bbox W,S,E,N or --region FILE, and --resolution",
        )
    })?;
    let crs = request.crs.clone().unwrap_or_else(Crs::wgs84);
    let resolution = request.resolution.ok_or_else(|| {
        let unit = if crs.is_geographic() { "degrees" } else { "units of the CRS" };
        Error::query(format!("{id} has no resolution of its own"), format!("give --resolution, in {unit}"))
    })?;
    if !(resolution > 0.0 && resolution.is_finite()) {
        let what = format!("resolution {resolution} is no pixel size");
        return Err(Error::query(what, "give a positive number"));
    }
    let bbox = if crs.is_geographic() && area.crosses_antimeridian() {
        BBox::new(area.west, area.south, area.east + 360.0, area.north)
    } else {
        project_box(&area, &crs)?
    };
    check_size(
        Grid::covering(&crs, &bbox, resolution, resolution, true).map_err(Error::geo("the target grid"))?,
    )
}

/// The vectors of a chunk's pixels; those that are no place on Earth, or not kept, are outside.
pub(super) fn chunk(
    encoder: &LocationDataset,
    period: Option<i32>,
    target: &Grid,
    bands: Option<&[usize]>,
    keep: Option<&[bool]>,
) -> Result<Vectors> {
    let (height, width, dim) = (target.height, target.width, encoder.dimension());
    let all: Vec<usize> = (0..dim).collect();
    let bands = bands.unwrap_or(&all);
    let mut out = Vectors::empty(bands.len(), height, width, Status::Outside);
    let (pixels, lon, lat) = places(target, keep)?;
    let n = out.pixels();
    let group = (GROUP_NUMBERS / dim).max(1);
    for (at, members) in pixels.chunks(group).enumerate() {
        let range = at * group..at * group + members.len();
        let rows = encoder.encode(&lon[range.clone()], &lat[range], period)?;
        out.data.par_chunks_mut(n).zip(bands).for_each(|(plane, &band)| {
            for (row, &pixel) in rows.chunks_exact(dim).zip(members) {
                plane[pixel] = row[band];
            }
        });
        for &pixel in members {
            out.status[pixel] = Status::Valid;
        }
    }
    Ok(out)
}

/// Pixels that are kept and lie on Earth (row-major numbers), with longitude and latitude of their centres.
fn places(target: &Grid, keep: Option<&[bool]>) -> Result<(Vec<usize>, Vec<f64>, Vec<f64>)> {
    let to = Transform::new(&target.crs, &Crs::wgs84()).map_err(Error::geo("to lon/lat"))?;
    let mut pixels: Vec<usize> = (0..target.width * target.height).collect();
    if let Some(keep) = keep {
        pixels.retain(|&i| keep[i]);
    }
    let centre = |&i: &usize| target.center(i % target.width, i / target.width);
    let (mut lon, mut lat): (Vec<f64>, Vec<f64>) = pixels.iter().map(centre).unzip();
    to.points(&mut lon, &mut lat);
    // A grid across the antimeridian goes on beyond 180°.
    lon.iter_mut().for_each(|v| *v = wrap_lon(*v));
    let on_earth: Vec<bool> =
        lon.iter().zip(&lat).map(|(x, y)| x.is_finite() && (-90.0..=90.0).contains(y)).collect();
    let mut kept = on_earth.iter();
    pixels.retain(|_| *kept.next().unwrap_or(&false));
    for values in [&mut lon, &mut lat] {
        let mut kept = on_earth.iter();
        values.retain(|_| *kept.next().unwrap_or(&false));
    }
    Ok((pixels, lon, lat))
}
