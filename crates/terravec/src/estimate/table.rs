//! Estimates for tables of vectors: row groups whose statistics do not rule them out. Pages and rows may be ruled out later,
//! so these are upper bounds.

use rayon::prelude::*;
use terravec_geo::{BBox, LonLatBox};
use terravec_io::vector::Points;

use super::{Estimate, READER};
use crate::error::Result;
use crate::patch::{PatchDataset, PatchQuery, touches};
use crate::query::{bounds_of, meets};

/// What reading the rows that `query` asks for costs at most.
///
/// # Errors
/// If a footer can't be read.
pub fn rows(dataset: &PatchDataset, query: &PatchQuery) -> Result<Estimate> {
    let area = bounds_of(&query.area)?;
    of(dataset, query, |b| area.as_ref().is_none_or(|a| touches(b, a)) && meets(&query.area, b))
}

/// What the rows that hold `points` cost at most.
///
/// # Errors
/// If a footer can't be read.
pub(super) fn rows_at(dataset: &PatchDataset, query: &PatchQuery, points: &Points) -> Result<Estimate> {
    let one = |(x, y): (&f64, &f64)| LonLatBox { west: *x, south: *y, east: *x, north: *y };
    let at: Vec<LonLatBox> = points.lon.iter().zip(&points.lat).map(one).collect();
    of(dataset, query, |b| at.iter().any(|a| touches(b, a)))
}

fn of(
    dataset: &PatchDataset,
    query: &PatchQuery,
    may_lie: impl Fn(&BBox) -> bool + Sync,
) -> Result<Estimate> {
    let costs: Vec<Result<Option<(u64, u64, u64)>>> =
        (0..dataset.file_count()).into_par_iter().map(|i| dataset.cost_of(i, query, &may_lie)).collect();
    let costs: Vec<(u64, u64, u64)> =
        costs.into_iter().filter_map(Result::transpose).collect::<Result<_>>()?;
    let answer = costs.iter().map(|c| c.2).sum();
    let read: Vec<(u64, u64)> = costs.iter().map(|c| (c.0, c.1)).collect();
    let largest = costs.iter().map(|c| c.1).max().unwrap_or(0);
    Ok(Estimate {
        basis: "at most: all of the row groups that statistics do not rule out".into(),
        ..Estimate::of(&read, read.len(), answer, READER + largest.min(1 << 30))
    })
}
