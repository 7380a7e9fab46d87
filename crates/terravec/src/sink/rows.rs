//! An extraction as a table: one row per pixel that has a vector.

use std::path::Path;

use terravec_geo::{Crs, Transform, Window, wrap_lon};
use terravec_io::Samples;
use terravec_io::vector::TableWriter;

use super::{Progress, Written, total};
use crate::error::{Error, Result};
use crate::query::extract::Extraction;
use crate::query::pixels::Pixels;
use crate::table::{self, PixelRows};
use crate::time::Interval;
use crate::vectors;

pub(super) fn write(plan: &Extraction, path: &Path, progress: Progress<'_>) -> Result<Written> {
    let to_lonlat = Transform::new(&plan.grid.crs, &Crs::wgs84()).map_err(Error::geo("to lon/lat"))?;
    let chunks = plan.chunks(1);
    let all = chunks.len() * plan.periods.len();
    let spec = table::spec(&plan.provenance, plan.band_names.clone(), false);
    let mut valid = 0u64;
    let mut writer: Option<TableWriter> = None;
    let jobs = (0..plan.periods.len()).flat_map(|p| chunks.iter().map(move |w| (p, *w)));
    for (done, (p, window)) in jobs.enumerate() {
        let batch = chunk(plan, p, window, &to_lonlat)?;
        valid += batch.num_rows() as u64;
        match &mut writer {
            Some(writer) => writer.write(&batch)?,
            None => writer.insert(TableWriter::create(path, &batch.schema(), &spec)?).write(&batch)?,
        }
        progress(done + 1, all);
    }
    writer.ok_or_else(|| Error::query("there is nothing to write", "ask for a larger window"))?.finish()?;
    Ok(Written { files: vec![path.to_path_buf()], valid_pixels: valid, pixels: total(plan) })
}

#[allow(clippy::cast_precision_loss)]
fn chunk(
    plan: &Extraction,
    period: usize,
    window: Window,
    to_lonlat: &Transform,
) -> Result<arrow::array::RecordBatch> {
    let pixels = plan.read(period, window)?;
    let index: Vec<usize> = vectors::valid(pixels.status()).collect();
    let (xs, ys): (Vec<f64>, Vec<f64>) = index
        .iter()
        .map(|i| plan.grid.center(window.col + i % window.width, window.row + i / window.width))
        .unzip();
    let (mut lon, mut lat) = (xs.clone(), ys.clone());
    to_lonlat.points(&mut lon, &mut lat);
    // A grid in degrees across the antimeridian goes on beyond 180°.
    lon.iter_mut().for_each(|v| *v = wrap_lon(*v));
    let planes = window.width * window.height;
    let (values, codes, scales) = match pixels {
        Pixels::Vectors(v) => (table::rows_of(&Samples::F32(v.data), planes, &index), false, None),
        Pixels::Codes(c, _) => {
            let scales = |s: Vec<f32>| index.iter().map(|&i| s[i]).collect();
            (table::rows_of(&c.samples, planes, &index), true, c.scales.map(scales))
        }
    };
    // A chunk without a single tile has no scales, but the table has the column.
    let scales = scales.or_else(|| plan.scaled().then(Vec::new));
    let rows = PixelRows {
        xy: (xs, ys),
        lonlat: (lon, lat),
        interval: plan.periods[period].map(Interval::year).or_else(|| plan.fixed_interval()),
        values,
        codes,
        scales,
        depth: plan.band_names.len(),
    };
    table::pixels(rows, &plan.provenance)
}
