//! Multinomial logistic regression with an L2 penalty: the objective of scikit-learn's `LogisticRegression(solver="lbfgs")`.
//!
//! Minimised is `mean of wᵢ · loss(xᵢ, yᵢ) + |W|² / (2 C Σwᵢ)`; intercepts are free. Two classes have one row of weights, that of the second class.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;
use terravec::Result;

use super::array::Array;
use super::lbfgs::minimise;
use super::linear::{Linear, Link};
use crate::Matrix;

/// No slope of the mean loss is larger at the end: far below what changes a prediction.
const TOLERANCE: f64 = 1e-7;
const ITERATIONS: usize = 2000;
/// Rows whose losses are summed by one task.
const PIECE: usize = 2048;

/// The score of a class without any row: it never wins, and its share is 0.
const NEVER: f64 = -1e30;

/// Weights of all classes, and whether the search settled. A class without rows, as folds may leave one, would drive its intercept to minus infinity: it stays out.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn fit(x: &Matrix, of: &[u32], classes: usize, weights: &[f64], c: f64) -> Result<(Linear, bool)> {
    let mut present: Vec<u32> = of.to_vec();
    present.sort_unstable();
    present.dedup();
    if present.len() == classes {
        return fit_present(x, of, classes, weights, c);
    }
    let mut number = vec![0u32; classes];
    present.iter().enumerate().for_each(|(i, class)| number[*class as usize] = i as u32);
    let of: Vec<u32> = of.iter().map(|class| number[*class as usize]).collect();
    let (found, converged) = fit_present(x, &of, present.len(), weights, c)?;
    let cols = x.cols();
    let (mut all, mut bias) = (vec![0.0; classes * cols], vec![NEVER; classes]);
    for (i, class) in present.into_iter().enumerate() {
        let class = class as usize;
        all[class * cols..(class + 1) * cols].copy_from_slice(&found.weights[i * cols..(i + 1) * cols]);
        bias[class] = found.bias[i];
    }
    Ok((Linear { weights: Array(all), bias: Array(bias), link: Link::Softmax }, converged))
}

fn fit_present(x: &Matrix, of: &[u32], classes: usize, weights: &[f64], c: f64) -> Result<(Linear, bool)> {
    let cols = x.cols();
    let data: Vec<f64> = x.data().iter().map(|v| f64::from(*v)).collect();
    let free = if classes == 2 { 1 } else { classes };
    let total: f64 = weights.iter().sum();
    let penalty = 1.0 / (c * total);
    let mut parameters = vec![0.0; free * (cols + 1)];
    let converged = minimise(&mut parameters, TOLERANCE, ITERATIONS, |p, gradient| {
        let (w, b) = p.split_at(free * cols);
        let pieces: Vec<(f64, Vec<f64>)> = data
            .par_chunks(PIECE * cols)
            .zip(of.par_chunks(PIECE))
            .zip(weights.par_chunks(PIECE))
            .map(|((x, of), weights)| piece(x, of, weights, w, b, cols))
            .collect();
        gradient.fill(0.0);
        let mut loss = 0.0;
        for (value, slopes) in pieces {
            loss += value;
            gradient.iter_mut().zip(slopes).for_each(|(g, s)| *g += s);
        }
        gradient.iter_mut().for_each(|g| *g /= total);
        for (g, w) in gradient.iter_mut().zip(w) {
            *g += penalty * w;
        }
        loss / total + 0.5 * penalty * w.iter().map(|w| w * w).sum::<f64>()
    })?;
    let (w, b) = parameters.split_at(free * cols);
    let (mut all, mut bias) = (w.to_vec(), b.to_vec());
    if classes == 2 {
        all = [vec![0.0; cols], all].concat();
        bias = vec![0.0, bias[0]];
    }
    Ok((Linear { weights: Array(all), bias: Array(bias), link: Link::Softmax }, converged))
}

/// Sum of losses of some rows, and its gradient.
fn piece(x: &[f64], of: &[u32], weights: &[f64], w: &[f64], b: &[f64], cols: usize) -> (f64, Vec<f64>) {
    let (rows, free) = (of.len(), b.len());
    let x = MatRef::from_row_major_slice(x, rows, cols);
    let mut scores = vec![0.0; rows * free];
    for row in scores.chunks_exact_mut(free) {
        row.copy_from_slice(b);
    }
    let w = MatRef::from_row_major_slice(w, free, cols);
    let out = MatMut::from_row_major_slice_mut(&mut scores, rows, free);
    matmul(out, Accum::Add, x, w.transpose(), 1.0, Par::Seq);
    let mut loss = 0.0;
    for ((row, class), weight) in scores.chunks_exact_mut(free).zip(of).zip(weights) {
        // With two classes the first one's score is 0.
        let (first, own) = if free == 1 {
            (0.0, if *class == 1 { row[0] } else { 0.0 })
        } else {
            (f64::NEG_INFINITY, row[*class as usize])
        };
        let most = row.iter().copied().fold(first, f64::max);
        let sum: f64 = row.iter().map(|s| (s - most).exp()).sum::<f64>() + (first - most).exp();
        let log = most + sum.ln();
        loss += weight * (log - own);
        for (k, s) in row.iter_mut().enumerate() {
            let hit = if free == 1 { *class == 1 } else { k == *class as usize };
            *s = weight * ((*s - log).exp() - f64::from(u8::from(hit)));
        }
    }
    let mut gradient = vec![0.0; free * (cols + 1)];
    let (gw, gb) = gradient.split_at_mut(free * cols);
    for row in scores.chunks_exact(free) {
        gb.iter_mut().zip(row).for_each(|(g, s)| *g += s);
    }
    let s = MatRef::from_row_major_slice(&scores, rows, free);
    let gw = MatMut::from_row_major_slice_mut(gw, free, cols);
    matmul(gw, Accum::Replace, s.transpose(), x, 1.0, Par::Seq);
    (loss, gradient)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_without_rows_never_wins_and_changes_nothing() {
        let data: Vec<f32> = (0..40u16).map(|i| f32::from(i % 10) + f32::from(i % 3)).collect();
        let x = Matrix::new(data, vec!["a".into(), "b".into()]).unwrap();
        let of: Vec<u32> = (0..20).map(|i| u32::from(i % 4 > 1) * 2).collect();
        let (three, settled) = fit(&x, &of, 3, &[1.0; 20], 1.0).unwrap();
        let two: Vec<u32> = of.iter().map(|c| c / 2).collect();
        let (two, _) = fit(&x, &two, 2, &[1.0; 20], 1.0).unwrap();
        assert!(settled && three.weights[4..] == two.weights[2..] && three.bias[2] == two.bias[1]);
        let mut row = [0.0, NEVER as f32, 1.0];
        Link::Softmax.finish(&mut row);
        assert_eq!(row[1], 0.0);
    }
}
