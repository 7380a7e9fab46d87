//! Exact search among sign bits: the rows that differ from the query in the fewest.
//!
//! Of vectors of ±1 the dot product is their length minus twice the bits that differ, so this is the order of cosine, dot and L2, too.

use rayon::prelude::*;

use super::top::{Hit, Top};
use crate::kernel::hamming;

/// Rows compared together.
const STEP: usize = 4096;

/// The `k` rows (packed bits, as many bytes each as the query) nearest to `query`, best first; scores are minus the bits that differ.
#[must_use]
pub fn nearest_bits(rows: &[u8], query: &[u8], k: usize) -> Vec<Hit> {
    let bytes = query.len().max(1);
    let tops: Vec<Top> = rows
        .par_chunks(STEP * bytes)
        .enumerate()
        .fold(
            || (Top::new(k, f64::NEG_INFINITY), vec![0u32; STEP]),
            |(mut top, mut out), (piece, rows)| {
                let n = rows.len() / bytes;
                hamming(query, rows, &mut out[..n]);
                for (row, bits) in out[..n].iter().enumerate() {
                    let score = -f64::from(*bits);
                    if score >= top.threshold() {
                        top.push(Hit { score, row: (piece * STEP + row) as u64 });
                    }
                }
                (top, out)
            },
        )
        .map(|(top, _)| top)
        .collect();
    let mut all = Top::new(k, f64::NEG_INFINITY);
    for mut top in tops {
        top.hits().iter().for_each(|h| all.push(*h));
    }
    all.sorted()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_a_sort_by_bits_that_differ() {
        let mut random = fastrand::Rng::with_seed(14);
        let rows: Vec<u8> = (0..10_000 * 9).map(|_| random.u8(..)).collect();
        let query: Vec<u8> = (0..9).map(|_| random.u8(..)).collect();
        let differ = |row: &[u8]| row.iter().zip(&query).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>();
        let mut wanted: Vec<(u32, u64)> = rows.chunks_exact(9).map(differ).zip(0..).collect();
        wanted.sort_unstable();
        let found = nearest_bits(&rows, &query, 300);
        let found: Vec<(f64, u64)> = found.into_iter().map(|h| (-h.score, h.row)).collect();
        assert_eq!(found, wanted[..300].iter().map(|(b, r)| (f64::from(*b), *r)).collect::<Vec<_>>());
    }
}
