//! Area of applicability (Meyer & Pebesma 2021, Methods Ecol. Evol. 12): where a vector is so unlike all training vectors that cross-validation says nothing about it.
//!
//! Bands are standardised over the training vectors and weigh the same. The dissimilarity index is the distance to the nearest training vector, over the mean
//! distance between training vectors. The threshold is the upper whisker of the index of training vectors, each against those of other folds.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Scaler;
use super::array::Array;
use super::knn::Nearest;
use crate::Matrix;

/// Training vectors that are kept at most, drawn under the seed.
const KEPT: usize = 5000;

/// The training vectors, or a sample of them, and what counts as too far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Applicability {
    scaler: Scaler,
    vectors: Array<f32>,
    mean_distance: f64,
    /// An index above this lies outside.
    pub threshold: f64,
}

impl Applicability {
    /// Of training vectors and the fold of each (see [`Folds`](crate::assess::Folds)). `None` where no two vectors or no two folds differ.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn of(x: &Matrix, folds: &[u32], seed: u64) -> Option<Self> {
        let mut drawn: Vec<usize> = (0..x.rows()).collect();
        if drawn.len() > KEPT {
            fastrand::Rng::with_seed(seed).shuffle(&mut drawn);
            drawn.truncate(KEPT);
            drawn.sort_unstable();
        }
        let x = x.select(&drawn);
        let folds: Vec<u32> = drawn.iter().map(|i| folds[*i]).collect();
        let scaler = Scaler::of(&x);
        let vectors = scaler.apply(&x);
        let n = vectors.rows();
        let sums: Vec<f64> = (0..n)
            .into_par_iter()
            .map(|i| (0..n).map(|j| distance(vectors.row(i), vectors.row(j))).sum())
            .collect();
        let mean_distance = sums.iter().sum::<f64>() / (n as f64 * (n.max(2) - 1) as f64);
        let most = folds.iter().copied().max().unwrap_or(0);
        let mut own: Vec<f64> = (0..=most)
            .into_par_iter()
            .map(|fold| {
                let part = |inside: bool| -> Matrix {
                    let rows: Vec<usize> = (0..n).filter(|i| (folds[*i] == fold) == inside).collect();
                    vectors.select(&rows)
                };
                let (queries, others) = (part(true), part(false));
                if queries.rows() == 0 || others.rows() == 0 {
                    return Vec::new();
                }
                let found =
                    Nearest::new(others.data(), others.cols()).find(queries.data(), queries.rows(), 1);
                found.into_iter().map(|(d, _)| d.sqrt() / mean_distance).collect()
            })
            .flatten()
            .collect();
        own.sort_unstable_by(f64::total_cmp);
        let (low, high) = (quantile(&own, 0.25)?, quantile(&own, 0.75)?);
        let threshold = (high + 1.5 * (high - low)).min(*own.last()?);
        let kept = Self { scaler, vectors: Array(vectors.data().to_vec()), mean_distance, threshold };
        (mean_distance > 0.0).then_some(kept)
    }

    /// The index of each row of row-major `x`, which is changed.
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn index(&self, x: &mut [f32], rows: usize) -> Vec<f32> {
        self.scaler.apply_rows(x);
        let found = Nearest::new(&self.vectors, self.scaler.mean.len()).find(x, rows, 1);
        found.into_iter().map(|(d, _)| (d.sqrt() / self.mean_distance) as f32).collect()
    }

    /// The dissimilarity index of each row of `x`.
    #[must_use]
    pub fn dissimilarity(&self, x: &Matrix) -> Vec<f32> {
        const STRIPE: usize = 1024;
        let parts = x.data().par_chunks(STRIPE * x.cols());
        parts.flat_map_iter(|part| self.index(&mut part.to_vec(), part.len() / x.cols())).collect()
    }

    pub(super) fn check(&self, cols: usize) -> Result<(), &'static str> {
        self.scaler.check(cols)?;
        let whole = !self.vectors.is_empty() && self.vectors.len().is_multiple_of(cols);
        let finite = self.vectors.iter().all(|v| v.is_finite()) && self.threshold.is_finite();
        if whole && finite && self.mean_distance > 0.0 {
            Ok(())
        } else {
            Err("the area of applicability does not fit the vectors")
        }
    }
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    f64::from(a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>()).sqrt()
}

/// By linear interpolation between order statistics (type 7), as NumPy and R do.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(crate) fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let at = q * (sorted.len().checked_sub(1)?) as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    Some(low + (high - low) * at.fract())
}
