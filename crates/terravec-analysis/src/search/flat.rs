//! Exact search among rows in memory: float32 rules out, float64 decides.

use rayon::prelude::*;

use super::query::{Query, Sieve};
use super::top::{Hit, Top};
use crate::kernel::{CodeQuery, CodeRule, scan, scan_codes};

/// Rows whose products are computed together; they and their sums stay in the nearest cache.
const STEP: usize = 512;
/// Rows that one thread takes at once.
const PIECE: usize = 16 * STEP;

/// Vectors in memory, row-major.
#[derive(Debug, Clone, Copy)]
pub enum Rows<'a> {
    /// As they are.
    F32(&'a [f32]),
    /// As codes of one byte, and how they are decoded.
    Codes(&'a [i8], CodeRule),
}

impl Rows<'_> {
    /// How many, of `dim` numbers each.
    #[must_use]
    pub fn len(&self, dim: usize) -> usize {
        let numbers = match self {
            Self::F32(v) => v.len(),
            Self::Codes(c, _) => c.len(),
        };
        numbers / dim.max(1)
    }

    /// Rows `start..end`.
    pub(super) fn slice(&self, dim: usize, start: usize, end: usize) -> Self {
        match self {
            Self::F32(v) => Self::F32(&v[start * dim..end * dim]),
            Self::Codes(c, rule) => Self::Codes(&c[start * dim..end * dim], *rule),
        }
    }

    /// The score of one row.
    fn score(&self, query: &Query, row: usize, buffer: &mut Vec<f32>) -> f64 {
        let dim = query.dim();
        match self {
            Self::F32(v) => query.score(&v[row * dim..(row + 1) * dim]),
            Self::Codes(c, rule) => {
                buffer.clear();
                buffer.extend(c[row * dim..(row + 1) * dim].iter().map(|c| rule.decode(*c)));
                query.score(buffer)
            }
        }
    }
}

/// What a search found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Rows that may be among the best, in no order.
    pub hits: Vec<Hit>,
    /// Rows without a score: not finite, or without a direction.
    pub without_score: u64,
}

/// The rows that are among the `k` best of `rows` and score at least `threshold`, numbered from `first`; those where `keep` is
/// false are passed over.
#[must_use]
pub fn nearest(
    rows: Rows<'_>,
    query: &Query,
    k: usize,
    threshold: f64,
    first: u64,
    keep: Option<&[bool]>,
) -> Found {
    let (dim, n) = (query.dim(), rows.len(query.dim()));
    let prepared = prepare(rows, query);
    let pieces: Vec<usize> = (0..n).step_by(PIECE).collect();
    // Each thread goes on with what it has, so that its threshold rises once.
    let start = || (Top::new(k, threshold), 0u64, Scratch::default());
    let parts: Vec<(Top, u64)> = pieces
        .par_iter()
        .with_min_len(pieces.len().div_ceil(4 * rayon::current_num_threads()).max(1))
        .fold(start, |(mut top, mut without, mut scratch), at| {
            let end = (at + PIECE).min(n);
            let part = rows.slice(dim, *at, end);
            let keep = keep.map(|keep| &keep[*at..end]);
            without += piece(part, query, &prepared, &mut top, first + *at as u64, keep, &mut scratch);
            (top, without, scratch)
        })
        .map(|(top, without, _)| (top, without))
        .collect();
    let mut all = Top::new(k, threshold);
    let mut found = Found::default();
    for (mut top, without) in parts {
        top.hits().iter().for_each(|h| all.push(*h));
        found.without_score += without;
    }
    found.hits = all.hits().to_vec();
    found
}

/// Queries of codes as their kernel takes them; none for vectors.
fn prepare(rows: Rows<'_>, query: &Query) -> Vec<CodeQuery> {
    match rows {
        Rows::F32(_) => Vec::new(),
        Rows::Codes(_, rule) => query.wanted.iter().map(|w| CodeQuery::new(rule, &w.vector)).collect(),
    }
}

#[derive(Default)]
struct Scratch {
    dots: Vec<f32>,
    squares: Vec<f32>,
    may: Vec<bool>,
    values: Vec<f32>,
}

fn piece(
    rows: Rows<'_>,
    query: &Query,
    prepared: &[CodeQuery],
    top: &mut Top,
    first: u64,
    keep: Option<&[bool]>,
    scratch: &mut Scratch,
) -> u64 {
    let (dim, n) = (query.dim(), rows.len(query.dim()));
    let mut without = 0;
    for at in (0..n).step_by(STEP) {
        let end = (at + STEP).min(n);
        let part = rows.slice(dim, at, end);
        let Scratch { dots, squares, may, values } = scratch;
        dots.resize(end - at, 0.0);
        squares.resize(end - at, 0.0);
        may.clear();
        may.resize(end - at, false);
        for (i, wanted) in query.wanted.iter().enumerate() {
            let squares_of: &mut [f32] = if i == 0 { squares } else { &mut [] };
            match part {
                Rows::F32(v) => scan(&wanted.vector, v, dots, squares_of),
                Rows::Codes(c, _) => scan_codes(&prepared[i], c, dots, squares_of),
            }
            let sieve = Sieve::new(
                query.metric(),
                wanted,
                top.threshold(),
                prepared.get(i).map_or(0.0, CodeQuery::beside),
            );
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || {
                    for ((may, dot), square) in may.iter_mut().zip(&*dots).zip(&*squares) {
                        *may |= sieve.may_reach(*dot, *square);
                    }
                },
            );
        }
        // Most steps have no row left.
        if !may.iter().fold(false, |any, m| any | m) {
            continue;
        }
        for row in (0..end - at).filter(|row| may[*row]) {
            if keep.is_some_and(|keep| !keep[at + row]) {
                continue;
            }
            let score = part.score(query, row, values);
            if score.is_nan() {
                without += 1;
            } else {
                top.push(Hit { score, row: first + (at + row) as u64 });
            }
        }
    }
    without
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::Metric;

    /// The definition: all scores in float64, sorted.
    fn slow(values: &[f32], query: &Query, k: usize) -> Vec<Hit> {
        let rows = values.chunks_exact(query.dim()).enumerate();
        let mut all: Vec<Hit> = rows
            .map(|(row, x)| Hit { score: query.score(x), row: row as u64 })
            .filter(|h| !h.score.is_nan())
            .collect();
        all.sort_by(Hit::order);
        all.truncate(k);
        all
    }

    fn fast(rows: Rows<'_>, query: &Query, k: usize) -> (Vec<Hit>, u64) {
        let mut found = nearest(rows, query, k, f64::NEG_INFINITY, 0, None);
        found.hits.sort_by(Hit::order);
        (found.hits, found.without_score)
    }

    #[test]
    fn equals_the_definition_with_duplicates_and_large_k() {
        let mut random = fastrand::Rng::with_seed(1);
        for dim in [1, 7, 64] {
            // Few different numbers make many equal rows; 20 000 rows make several pieces.
            let mut values: Vec<f32> =
                (0..20_000 * dim).map(|_| f32::from(random.i8(-3..=3)) / 3.0).collect();
            values[..dim].fill(0.0);
            for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
                let one: Vec<f32> = (0..dim).map(|_| random.f32() - 0.5).collect();
                let other: Vec<f32> = (0..dim).map(|_| random.f32() - 0.5).collect();
                let query = Query::new(metric, vec![one, other]).unwrap();
                for k in [1, 10, 3000, 50_000] {
                    let (hits, _) = fast(Rows::F32(&values), &query, k);
                    assert_eq!(hits, slow(&values, &query, k), "{metric} {dim} {k}");
                }
            }
        }
    }

    #[test]
    fn codes_are_searched_as_their_vectors() {
        let mut random = fastrand::Rng::with_seed(2);
        let codes: Vec<i8> = (0..30_000 * 64).map(|_| random.i8(-127..=127)).collect();
        for rule in [CodeRule::SignedSquare(127.5), CodeRule::Linear(0.01)] {
            let values: Vec<f32> = codes.iter().map(|c| rule.decode(*c)).collect();
            for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
                let query = Query::new(metric, vec![values[64..128].to_vec()]).unwrap();
                let (hits, _) = fast(Rows::Codes(&codes, rule), &query, 20);
                assert_eq!(hits, slow(&values, &query, 20));
                assert_eq!(hits[0].row, if metric == Metric::Dot { hits[0].row } else { 1 });
            }
        }
    }

    #[test]
    fn rows_without_a_score_are_counted_and_filters_heeded() {
        let mut values = vec![0f32; 3000];
        values[30..33].copy_from_slice(&[1.0, 0.0, 0.0]);
        values[60] = f32::NAN;
        let query = Query::new(Metric::Cosine, vec![vec![1.0, 0.0, 0.0]]).unwrap();
        let (hits, without) = fast(Rows::F32(&values), &query, 5);
        assert_eq!((hits, without), (vec![Hit { score: 1.0, row: 10 }], 999));
        let mut keep = vec![true; 1000];
        keep[10] = false;
        let found = nearest(Rows::F32(&values), &query, 5, f64::NEG_INFINITY, 0, Some(&keep));
        assert!(found.hits.is_empty());
    }

    #[test]
    fn turning_or_permuting_the_space_changes_nothing() {
        let mut random = fastrand::Rng::with_seed(4);
        let values: Vec<f32> = (0..4000 * 2).map(|_| random.f32() - 0.5).collect();
        let turn = |v: &[f32]| {
            let (s, c) = 0.7f64.sin_cos();
            #[allow(clippy::cast_possible_truncation)]
            v.chunks_exact(2)
                .flat_map(|p| {
                    let (x, y) = (f64::from(p[0]), f64::from(p[1]));
                    [(c * x - s * y) as f32, (s * x + c * y) as f32]
                })
                .collect::<Vec<f32>>()
        };
        let swap = |v: &[f32]| v.chunks_exact(2).flat_map(|p| [p[1], p[0]]).collect::<Vec<f32>>();
        let rows = |values: &[f32], q: &[f32], metric| {
            let query = Query::new(metric, vec![q.to_vec()]).unwrap();
            fast(Rows::F32(values), &query, 10).0.into_iter().map(|h| h.row).collect::<Vec<u64>>()
        };
        let q = [0.3f32, -0.2];
        for metric in [Metric::Dot, Metric::L2] {
            assert_eq!(rows(&values, &q, metric), rows(&turn(&values), &turn(&q), metric));
        }
        for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
            assert_eq!(rows(&values, &q, metric), rows(&swap(&values), &swap(&q), metric));
        }
    }
}
