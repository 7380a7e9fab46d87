//! Percentile intervals by the bootstrap: the figure again and again, over rows drawn with replacement.

use rayon::prelude::*;
use serde::Serialize;

use crate::learn::quantile;

/// Draws.
const DRAWS: usize = 1000;

/// 95 % of draws lie in it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval95 {
    /// 2.5th percentile.
    pub low: f64,
    /// 97.5th percentile.
    pub high: f64,
}

/// The interval of `figure`, a function of the rows drawn. `groups` are drawn whole where they are given, as rows of one place are not
/// independent.
#[must_use]
pub fn bootstrap(
    rows: usize,
    groups: Option<&[u32]>,
    seed: u64,
    figure: impl Fn(&[usize]) -> f64 + Sync,
) -> Option<Interval95> {
    let members: Option<Vec<Vec<usize>>> = groups.map(|of| {
        let n = of.iter().map(|g| *g as usize + 1).max().unwrap_or(0);
        let mut members = vec![Vec::new(); n];
        of.iter().enumerate().for_each(|(i, g)| members[*g as usize].push(i));
        members.retain(|m| !m.is_empty());
        members
    });
    let units = members.as_ref().map_or(rows, Vec::len);
    if units < 2 {
        return None;
    }
    let mut drawn: Vec<f64> = (0..DRAWS as u64)
        .into_par_iter()
        .map(|draw| {
            let mut rng = fastrand::Rng::with_seed(seed.wrapping_mul(DRAWS as u64).wrapping_add(draw));
            let picked = (0..units).map(|_| rng.usize(0..units));
            let rows: Vec<usize> = match &members {
                Some(members) => picked.flat_map(|m| members[m].iter().copied()).collect(),
                None => picked.collect(),
            };
            figure(&rows)
        })
        .collect();
    drawn.sort_unstable_by(f64::total_cmp);
    Some(Interval95 { low: quantile(&drawn, 0.025)?, high: quantile(&drawn, 0.975)? })
}
