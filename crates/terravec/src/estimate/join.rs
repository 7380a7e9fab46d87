//! Estimates for joins: one for each dataset, which add up.

use terravec_geo::{LonLatBox, wrap_lon};
use terravec_io::vector::Points;

use super::{Estimate, part, rows, sample};
use crate::dataset::{Dataset, SampleRequest};
use crate::error::{Error, Result};
use crate::patch::{PatchDataset, PatchQuery};
use crate::query::bounds_of;
use crate::query::extract::{Area, Request};
use crate::query::join::{JoinRequest, asked};

/// Footprints reach no farther than this beyond the box that they are chosen by, degrees.
const BEYOND: f64 = 0.25;

/// What a join at points costs, dataset by dataset.
///
/// # Errors
/// If a dataset holds several years and none is named, or a header or footer can't be read.
pub fn at_points(datasets: &[Dataset], points: &Points, request: &JoinRequest) -> Result<Vec<Estimate>> {
    let one = |dataset: &Dataset| match asked(dataset, request)? {
        Some(asked) => sample(dataset, points, &asked),
        None => Ok(Estimate::nothing("none of the years is there")),
    };
    datasets.iter().map(one).collect()
}

/// What a join at the patches that `query` asks for costs: their own table, then dataset by dataset. Where footprints lie is known only
/// when they are read, so that all of the others is counted that lies around them.
///
/// # Errors
/// As [`at_points`].
pub fn at_patches(
    datasets: &[Dataset],
    patches: &PatchDataset,
    query: &PatchQuery,
    request: &JoinRequest,
) -> Result<Vec<Estimate>> {
    let around = around(patches, query)?;
    let one = |dataset: &Dataset| {
        let Some(SampleRequest { years, .. }) = asked(dataset, request)? else {
            return Ok(Estimate::nothing("none of the years is there"));
        };
        if let Dataset::Location(_) = dataset {
            return Ok(Estimate::nothing("computed: nothing is read"));
        }
        let area = around.map_or(Area::All, Area::Box);
        let query = PatchQuery { area: area.clone(), years: years.clone(), ..PatchQuery::default() };
        let request = Request { area, years, ..Request::default() };
        match part(dataset, &query, &request) {
            Err(Error::Outside { .. }) => Ok(Estimate::nothing("it lies elsewhere")),
            other => Ok(Estimate { basis: "at most: all that lies around the patches".into(), ..other? }),
        }
    };
    std::iter::once(rows(patches, query)).chain(datasets.iter().map(one)).collect()
}

/// A box that holds the footprints; `None` where files do not say where they lie.
fn around(patches: &PatchDataset, query: &PatchQuery) -> Result<Option<LonLatBox>> {
    let bounds = match bounds_of(&query.area)? {
        Some(bounds) => bounds,
        None => {
            let boxes: Option<Vec<[f64; 4]>> =
                patches.coverage(&Area::All, &query.years)?.into_iter().map(|f| f.bbox).collect();
            let whole = boxes.filter(|b| b.iter().all(|b| b[0] <= b[2])).and_then(|b| {
                b.into_iter().reduce(|a, b| [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])])
            });
            let Some([west, south, east, north]) = whole else { return Ok(None) };
            LonLatBox { west, south, east, north }
        }
    };
    if bounds.width() + 2.0 * BEYOND >= 360.0 {
        return Ok(None);
    }
    Ok(Some(LonLatBox {
        west: wrap_lon(bounds.west - BEYOND),
        south: (bounds.south - BEYOND).max(-90.0),
        east: wrap_lon(bounds.east + BEYOND),
        north: (bounds.north + BEYOND).min(90.0),
    }))
}
