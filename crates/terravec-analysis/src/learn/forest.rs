//! Random forest (Breiman 2001): trees on bootstrap samples, each split choosing among some of the bands.

use rayon::prelude::*;
use terravec::Result;
use terravec::interrupt::Watch;

use super::Target;
use super::array::Array;
use super::grow::{Bins, Grow, Sums};
use super::linear::Link;
use super::tree::{Tree, Trees};
use crate::Matrix;

/// How a forest grows.
pub(super) struct Forest {
    pub(super) trees: usize,
    pub(super) depth: Option<usize>,
    pub(super) min_leaf: usize,
    pub(super) seed: u64,
}

impl Forest {
    /// Splits choose among √d bands for classes and a third of them for values.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
    pub(super) fn fit(&self, x: &Matrix, target: Target<'_>, weights: &[f64]) -> Result<Trees> {
        let bins = Bins::of(x);
        let rows = x.rows();
        let tries = match target {
            Target::Classes { .. } => (x.cols() as f64).sqrt() as usize,
            Target::Values(_) => x.cols() / 3,
        };
        let watch = Watch::current();
        let grown: Vec<Result<Tree>> = (0..self.trees)
            .into_par_iter()
            .map(|t| {
                watch.check()?;
                let mut rng =
                    fastrand::Rng::with_seed(self.seed.wrapping_mul(1_000_003).wrapping_add(t as u64));
                let mut weight = vec![0.0; rows];
                for _ in 0..rows {
                    let row = rng.usize(0..rows);
                    weight[row] += weights[row];
                }
                let mut drawn: Vec<u32> = (0..rows as u32).filter(|r| weight[*r as usize] > 0.0).collect();
                let products: Vec<f64> = match target {
                    Target::Values(v) => v.iter().zip(&weight).map(|(v, w)| v * w).collect(),
                    Target::Classes { .. } => Vec::new(),
                };
                let sums = match target {
                    Target::Classes { of, count } => Sums::Classes(of, count),
                    Target::Values(_) => Sums::Numbers(&products),
                };
                let grow = Grow {
                    bins: &bins,
                    sums,
                    weight: &weight,
                    lambda: 0.0,
                    min_leaf: self.min_leaf.max(1),
                    depth: self.depth.unwrap_or(usize::MAX),
                    tries: tries.max(1),
                };
                Ok(grow.grow(&mut drawn, &mut rng, |_, _| ()))
            })
            .collect();
        let outputs = target.outputs();
        Ok(Trees {
            trees: grown.into_iter().collect::<Result<_>>()?,
            width: outputs,
            start: Array(vec![0.0; outputs]),
            scale: 1.0 / self.trees as f32,
            link: Link::Identity,
        })
    }
}
