//! Gradient boosting (Friedman 2001) with Newton steps: squared loss for values, multinomial log loss for classes.

use rayon::prelude::*;
use terravec::Result;
use terravec::interrupt::Watch;

use super::Target;
use super::array::Array;
use super::grow::{Bins, Grow, Sums};
use super::linear::Link;
use super::tree::{Tree, Trees};
use crate::Matrix;

/// Penalty on the values of leaves.
const LAMBDA: f64 = 1.0;
/// Rows in a leaf at least.
const MIN_LEAF: usize = 10;

/// How to boost.
pub(super) struct Boosting {
    pub(super) rounds: usize,
    pub(super) rate: f64,
    pub(super) depth: usize,
    pub(super) seed: u64,
}

impl Boosting {
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn fit(&self, x: &Matrix, target: Target<'_>, weights: &[f64]) -> Result<Trees> {
        let bins = Bins::of(x);
        let (rows, outputs) = (x.rows(), target.outputs());
        let total: f64 = weights.iter().sum();
        let start: Vec<f64> = match target {
            Target::Classes { of, count } => {
                let mut sums = vec![0.0; count];
                of.iter().zip(weights).for_each(|(c, w)| sums[*c as usize] += w);
                // A class without a row is very unlikely, not impossible.
                sums.into_iter().map(|s| (s / total).max(1e-9).ln()).collect()
            }
            Target::Values(v) => vec![v.iter().zip(weights).map(|(v, w)| v * w).sum::<f64>() / total],
        };
        // Scores output by output, so that each tree has its own.
        let mut scores: Vec<Vec<f64>> = start.iter().map(|s| vec![*s; rows]).collect();
        let watch = Watch::current();
        let mut trees: Vec<Tree> = Vec::with_capacity(self.rounds * outputs);
        for round in 0..self.rounds {
            watch.check()?;
            let logs = match target {
                Target::Classes { .. } => log_sums(&scores, rows),
                Target::Values(_) => Vec::new(),
            };
            let grown: Vec<Tree> = scores
                .par_iter_mut()
                .enumerate()
                .map(|(k, scores)| {
                    let (mut down, mut curve) = (vec![0.0; rows], vec![0.0; rows]);
                    for i in 0..rows {
                        match target {
                            Target::Classes { of, .. } => {
                                let p = (scores[i] - logs[i]).exp();
                                let hit = f64::from(u8::from(of[i] as usize == k));
                                down[i] = weights[i] * (hit - p);
                                curve[i] = weights[i] * (p * (1.0 - p)).max(1e-16);
                            }
                            Target::Values(v) => {
                                down[i] = weights[i] * (v[i] - scores[i]);
                                curve[i] = weights[i];
                            }
                        }
                    }
                    let grow = Grow {
                        bins: &bins,
                        sums: Sums::Numbers(&down),
                        weight: &curve,
                        lambda: LAMBDA,
                        min_leaf: MIN_LEAF.min(rows / 4).max(1),
                        depth: self.depth,
                        tries: x.cols(),
                    };
                    let mut all: Vec<u32> = (0..rows as u32).collect();
                    let mut rng = fastrand::Rng::with_seed(self.seed.wrapping_add(round as u64));
                    grow.grow(&mut all, &mut rng, |rows, value| {
                        let step = self.rate * f64::from(value[0]);
                        rows.iter().for_each(|r| scores[*r as usize] += step);
                    })
                })
                .collect();
            trees.extend(grown);
        }
        let link = if matches!(target, Target::Values(_)) { Link::Identity } else { Link::Softmax };
        Ok(Trees {
            trees,
            width: 1,
            start: Array(start.into_iter().map(|s| s as f32).collect()),
            scale: self.rate as f32,
            link,
        })
    }
}

/// Logarithm of the sum of exponentials over the outputs, per row.
fn log_sums(scores: &[Vec<f64>], rows: usize) -> Vec<f64> {
    (0..rows)
        .map(|i| {
            let most = scores.iter().map(|s| s[i]).fold(f64::NEG_INFINITY, f64::max);
            most + scores.iter().map(|s| (s[i] - most).exp()).sum::<f64>().ln()
        })
        .collect()
}
