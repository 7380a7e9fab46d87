//! Estimates for tables of vectors: row groups whose statistics do not rule them out. Pages and rows may be ruled out later,
//! so these are upper bounds.

use rayon::prelude::*;
use terravec_geo::BBox;
use terravec_io::vector::Points;

use super::{Estimate, HEADER, READER};
use crate::error::Result;
use crate::patch::{FileCost, Near, PatchDataset, PatchQuery, touches};
use crate::query::{bounds_of, meets};
use crate::time::Years;

/// What reading the rows that `query` asks for costs at most.
///
/// # Errors
/// If a footer can't be read.
pub fn rows(dataset: &PatchDataset, query: &PatchQuery) -> Result<Estimate> {
    let area = bounds_of(&query.area)?;
    of(dataset, query, |b| area.as_ref().is_none_or(|a| touches(b, a)) && meets(&query.area, b))
}

/// What the rows that hold `points`, or are nearest to them, cost at most.
///
/// # Errors
/// If a footer can't be read.
pub(super) fn rows_at(
    dataset: &PatchDataset,
    query: &PatchQuery,
    points: &Points,
    near: Near,
) -> Result<Estimate> {
    let Near::Nearest { count, .. } = near else {
        // Rows that are points hold all of their square.
        let one = |(x, y): (&f64, &f64)| dataset.footprint().around(*x, *y);
        let at: Vec<BBox> = points.lon.iter().zip(&points.lat).map(one).collect();
        return of(dataset, query, |b| {
            let turned = b.turned();
            at.iter().any(|a| turned.iter().any(|b| b.intersects(a)))
        });
    };
    // Any file may hold the nearest: all places are looked at, and the row groups of those found.
    let costs = costs(dataset, query, |_| true)?;
    let wanted = points.lon.len() * count * periods(query);
    let mut groups: Vec<&FileCost> = costs.iter().collect();
    groups.sort_by_key(|c| std::cmp::Reverse(c.largest_group));
    let found: u64 =
        groups.iter().flat_map(|c| std::iter::repeat_n(c.largest_group, c.groups)).take(wanted).sum();
    let read: Vec<(u64, u64)> = costs.iter().map(|c| (c.groups as u64, c.places)).collect();
    let all: u64 = costs.iter().map(|c| c.bytes).sum();
    let length = costs.iter().map(|c| c.row_bytes).max().unwrap_or(0);
    let places = Estimate::of(&read, read.len(), wanted as u64 * length, READER);
    Ok(Estimate {
        requests: places.requests + wanted as u64,
        bytes: (places.bytes + found).min(all + read.len() as u64 * HEADER),
        basis: "at most: all places, and the row groups of the nearest".into(),
        ..places
    }
    .over(dataset.root().is_remote()))
}

/// Years are answered one by one.
fn periods(query: &PatchQuery) -> usize {
    match &query.years {
        Years::All => 1,
        Years::List(years) => years.len(),
    }
}

fn costs(
    dataset: &PatchDataset,
    query: &PatchQuery,
    may_lie: impl Fn(&BBox) -> bool + Sync,
) -> Result<Vec<FileCost>> {
    let costs: Vec<Result<Option<FileCost>>> =
        (0..dataset.file_count()).into_par_iter().map(|i| dataset.cost_of(i, query, &may_lie)).collect();
    costs.into_iter().filter_map(Result::transpose).collect()
}

fn of(
    dataset: &PatchDataset,
    query: &PatchQuery,
    may_lie: impl Fn(&BBox) -> bool + Sync,
) -> Result<Estimate> {
    let costs = costs(dataset, query, may_lie)?;
    let answer = costs.iter().map(|c| c.rows * c.row_bytes).sum();
    let read: Vec<(u64, u64)> = costs.iter().map(|c| (c.requests, c.bytes)).collect();
    let largest = costs.iter().map(|c| c.bytes).max().unwrap_or(0);
    Ok(Estimate {
        basis: "at most: all of the row groups that statistics do not rule out".into(),
        ..Estimate::of(&read, read.len(), answer, READER + largest.min(1 << 30))
    }
    .over(dataset.root().is_remote()))
}
