//! Many queries among rows in memory: a block of rows is compared with all of them while it is in the cache.

use rayon::prelude::*;
use terravec::Result;

use super::flat::{Rows, nearest};
use super::query::Query;
use super::top::{Hit, Top};

/// Bytes of rows that all queries are compared with before the next ones are touched.
const BLOCK: usize = 1 << 20;

/// The `k` best rows for each query, best first.
///
/// # Errors
/// If a query is of another length than the rows.
pub fn nearest_of_many(rows: Rows<'_>, dim: usize, queries: &[Query], k: usize) -> Result<Vec<Vec<Hit>>> {
    for query in queries {
        query.check(dim)?;
    }
    let mut tops: Vec<Top> = queries.iter().map(|_| Top::new(k, f64::NEG_INFINITY)).collect();
    let n = rows.len(dim);
    // A single query has the threads for itself; several share them.
    let step = if queries.len() == 1 { n.max(1) } else { (BLOCK / dim.max(1)).max(1) };
    for at in (0..n).step_by(step) {
        let block = rows.slice(dim, at, (at + step).min(n));
        tops.par_iter_mut().zip(queries).for_each(|(top, query)| {
            let found = nearest(block, query, k, top.threshold(), at as u64, None);
            found.hits.into_iter().for_each(|h| top.push(h));
        });
    }
    Ok(tops.into_iter().map(Top::sorted).collect())
}
