//! Least squares, with or without an L2 penalty, by the eigenvectors of the bands' covariance.
//!
//! Bands and targets are centred, so that the intercept is free. Without a penalty, directions in which the training vectors do not vary get no
//! weight: the solution of least norm, as NumPy's `lstsq` gives it.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par, Side};
use rayon::prelude::*;
use terravec::Result;

use super::Target;
use super::array::Array;
use super::linear::{Linear, Link};
use crate::{Matrix, refuse};

/// Directions whose variance is below this share of the largest are taken for rounding.
const NOTHING: f64 = 1e-12;
/// Rows whose products are summed by one task.
const PIECE: usize = 2048;

pub(super) fn fit(x: &Matrix, target: Target<'_>, weights: &[f64], alpha: f64) -> Result<Linear> {
    let (cols, outputs) = (x.cols(), target.outputs());
    let total: f64 = weights.iter().sum();
    let goal = |i: usize, k: usize| match target {
        Target::Classes { of, .. } => f64::from(u8::from(of[i] as usize == k)) * 2.0 - 1.0,
        Target::Values(v) => v[i],
    };
    let mut mean = vec![0.0; cols];
    let mut middle = vec![0.0; outputs];
    for (i, weight) in weights.iter().enumerate() {
        mean.iter_mut().zip(x.row(i)).for_each(|(m, v)| *m += weight * f64::from(*v));
        middle.iter_mut().enumerate().for_each(|(k, m)| *m += weight * goal(i, k));
    }
    mean.iter_mut().chain(&mut middle).for_each(|m| *m /= total);

    // Centred, times the root of the weight, bands and targets side by side: one product gives both sums.
    let width = cols + outputs;
    let starts: Vec<usize> = (0..x.rows()).step_by(PIECE).collect();
    let pieces: Vec<Mat<f64>> = starts
        .par_iter()
        .map(|&start| {
            let end = (start + PIECE).min(x.rows());
            let mut side = Vec::with_capacity((end - start) * width);
            for (i, weight) in weights.iter().enumerate().take(end).skip(start) {
                let root = weight.sqrt();
                side.extend(x.row(i).iter().zip(&mean).map(|(v, m)| root * (f64::from(*v) - m)));
                side.extend((0..outputs).map(|k| root * (goal(i, k) - middle[k])));
            }
            let side = MatRef::from_row_major_slice(&side, end - start, width);
            let mut sums = Mat::zeros(cols, width);
            matmul(&mut sums, Accum::Replace, side.subcols(0, cols).transpose(), side, 1.0, Par::Seq);
            sums
        })
        .collect();
    let mut sums = Mat::<f64>::zeros(cols, width);
    for piece in &pieces {
        sums += piece;
    }
    let eigen = sums.subcols(0, cols).self_adjoint_eigen(Side::Lower).map_err(|e| {
        refuse(format!("the bands' covariance has no eigenvectors: {e:?}"), "check the vectors")
    })?;
    let values = eigen.S().column_vector();
    let vectors = eigen.U();
    let largest = (0..cols).map(|i| values[i]).fold(0.0, f64::max);
    let mut turned = vectors.transpose() * sums.subcols(cols, outputs);
    for i in 0..cols {
        let kept = alpha > 0.0 || values[i] > NOTHING * largest;
        let scale = if kept { 1.0 / (values[i].max(0.0) + alpha) } else { 0.0 };
        for k in 0..outputs {
            turned[(i, k)] *= scale;
        }
    }
    let solution = vectors * turned;
    let weights: Vec<f64> =
        (0..outputs).flat_map(|k| (0..cols).map(move |j| (j, k))).map(|at| solution[at]).collect();
    let bias = weights
        .chunks_exact(cols)
        .zip(&middle)
        .map(|(w, m)| m - w.iter().zip(&mean).map(|(a, b)| a * b).sum::<f64>())
        .collect();
    let link = if matches!(target, Target::Values(_)) { Link::Identity } else { Link::OneHot };
    Ok(Linear { weights: Array(weights), bias: Array(bias), link })
}
