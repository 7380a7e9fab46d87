//! Exact nearest neighbours: products of matrices find candidates, float64 distances decide.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use serde::{Deserialize, Serialize};

use super::Target;
use super::array::Array;
use crate::Matrix;

/// Distances of queries to training vectors held at a time.
const HELD: usize = 1 << 21;
/// Candidates beyond k whose exact distance is looked at, as float32 products may misplace near ties.
const SPARE: usize = 8;

/// The training vectors with their labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Knn {
    k: usize,
    cosine: bool,
    outputs: usize,
    vectors: Array<f32>,
    /// Classes as numbers, or values.
    labels: Array<f64>,
    /// Of each vote.
    weights: Array<f32>,
    classes: bool,
}

impl Knn {
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn fit(x: &Matrix, target: Target<'_>, weights: &[f64], k: usize, cosine: bool) -> Self {
        let mut vectors = x.data().to_vec();
        if cosine {
            to_unit(&mut vectors, x.cols());
        }
        let labels = match target {
            Target::Classes { of, .. } => of.iter().map(|c| f64::from(*c)).collect(),
            Target::Values(v) => v.to_vec(),
        };
        Self {
            k: k.min(x.rows()),
            cosine,
            outputs: target.outputs(),
            vectors: Array(vectors),
            labels: Array(labels),
            weights: Array(weights.iter().map(|w| *w as f32).collect()),
            classes: matches!(target, Target::Classes { .. }),
        }
    }

    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    #[allow(clippy::cast_precision_loss)]
    pub(super) fn check(&self, cols: usize, outputs: usize) -> Result<(), &'static str> {
        let n = self.labels.len();
        let whole = self.vectors.len() == n * cols && self.weights.len() == n && (1..=n).contains(&self.k);
        let finite = self.vectors.iter().chain(self.weights.iter()).all(|v| v.is_finite());
        let known = self.labels.iter().all(|l| {
            if self.classes { *l >= 0.0 && *l < outputs as f64 && l.fract() == 0.0 } else { l.is_finite() }
        });
        if whole && finite && known && self.outputs == outputs {
            Ok(())
        } else {
            Err("the training vectors do not fit the classes")
        }
    }

    /// Scores (rows, outputs) of row-major `x`, which may be changed.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
    pub(super) fn scores(&self, x: &mut [f32], rows: usize, out: &mut [f32]) {
        let cols = x.len() / rows.max(1);
        if self.cosine {
            to_unit(x, cols);
        }
        let found = Nearest::new(&self.vectors, cols).find(x, rows, self.k);
        for (near, out) in found.chunks_exact(self.k).zip(out.chunks_exact_mut(self.outputs)) {
            out.fill(0.0);
            if self.classes {
                for (_, i) in near {
                    out[self.labels[*i as usize] as usize] += self.weights[*i as usize];
                }
                let sum: f32 = out.iter().sum();
                out.iter_mut().for_each(|v| *v /= sum);
            } else {
                out[0] = (near.iter().map(|(_, i)| self.labels[*i as usize]).sum::<f64>() / near.len() as f64)
                    as f32;
            }
        }
    }
}

fn to_unit(vectors: &mut [f32], cols: usize) {
    for row in vectors.chunks_exact_mut(cols.max(1)) {
        let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
        if length > 0.0 {
            row.iter_mut().for_each(|v| *v /= length);
        }
    }
}

/// Vectors among which the nearest are sought.
pub(super) struct Nearest<'a> {
    vectors: &'a [f32],
    cols: usize,
    /// Half the squared lengths.
    halves: Vec<f32>,
}

impl<'a> Nearest<'a> {
    pub(super) fn new(vectors: &'a [f32], cols: usize) -> Self {
        let halves = vectors.chunks_exact(cols).map(|v| v.iter().map(|x| x * x).sum::<f32>() / 2.0).collect();
        Self { vectors, cols, halves }
    }

    /// The `k` nearest vectors of each row of `x`, as (squared distance, index), nearest first; ties by index.
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn find(&self, x: &[f32], rows: usize, k: usize) -> Vec<(f64, u32)> {
        let n = self.halves.len();
        let step = (HELD / n.max(1)).clamp(1, rows.max(1));
        let keep = (k + SPARE).min(n);
        let vectors = MatRef::from_row_major_slice(self.vectors, n, self.cols);
        let mut products = vec![0f32; step * n];
        let mut out = Vec::with_capacity(rows * k);
        for queries in x.chunks(step * self.cols) {
            let m = queries.len() / self.cols;
            let products = &mut products[..m * n];
            let queries_matrix = MatRef::from_row_major_slice(queries, m, self.cols);
            let target = MatMut::from_row_major_slice_mut(products, m, n);
            matmul(target, Accum::Replace, queries_matrix, vectors.transpose(), 1.0, Par::Seq);
            for (query, products) in queries.chunks_exact(self.cols).zip(products.chunks_exact(n)) {
                // Half the squared distance, but for the query's own length.
                let mut best: Vec<(f32, u32)> = Vec::with_capacity(keep + 1);
                let mut worst = f32::INFINITY;
                for (i, (p, half)) in products.iter().zip(&self.halves).enumerate() {
                    let d = half - p;
                    if d < worst || best.len() < keep {
                        let at = best.partition_point(|b| b.0 <= d);
                        best.insert(at, (d, i as u32));
                        best.truncate(keep);
                        if best.len() == keep {
                            worst = best[keep - 1].0;
                        }
                    }
                }
                let mut exact: Vec<(f64, u32)> =
                    best.iter().map(|(_, i)| (self.distance(query, *i), *i)).collect();
                exact.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                out.extend_from_slice(&exact[..k]);
            }
        }
        out
    }

    fn distance(&self, query: &[f32], i: u32) -> f64 {
        let row = &self.vectors[i as usize * self.cols..][..self.cols];
        query.iter().zip(row).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
    }
}
