//! Nearest class mean, as a linear predictor.
//!
//! With `s²` the variance of a band around the class means, `x·cₖ/s² − |cₖ|²/2s²` differs from `−|x − cₖ|²/2s²` by the same for all classes: the nearest mean has the greatest
//! score, and its softmax is the probability under equal spherical Gaussians. By direction, the score is the product with the mean's direction.

use super::array::Array;
use super::linear::{Linear, Link};
use crate::Matrix;

#[allow(clippy::cast_precision_loss)]
pub(super) fn fit(x: &Matrix, of: &[u32], classes: usize, cosine: bool) -> Linear {
    let cols = x.cols();
    let unit = |row: &[f32]| -> Vec<f64> {
        let length = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        let scale = if cosine && length > 0.0 { 1.0 / length } else { 1.0 };
        row.iter().map(|v| f64::from(*v) * scale).collect()
    };
    let mut means = vec![0.0; classes * cols];
    let mut counts = vec![0usize; classes];
    for (i, class) in of.iter().enumerate() {
        let class = *class as usize;
        counts[class] += 1;
        let mean = &mut means[class * cols..(class + 1) * cols];
        mean.iter_mut().zip(unit(x.row(i))).for_each(|(m, v)| *m += v);
    }
    for (mean, count) in means.chunks_exact_mut(cols).zip(&counts) {
        mean.iter_mut().for_each(|m| *m /= (*count).max(1) as f64);
        if cosine {
            let length = mean.iter().map(|m| m * m).sum::<f64>().sqrt();
            mean.iter_mut().for_each(|m| *m /= length.max(1e-300));
        }
    }
    let spread: f64 = of
        .iter()
        .enumerate()
        .map(|(i, class)| {
            let mean = &means[*class as usize * cols..][..cols];
            unit(x.row(i)).iter().zip(mean).map(|(v, m)| (v - m).powi(2)).sum::<f64>()
        })
        .sum();
    // One vector per class has no spread; any scale gives the same class.
    let variance = (spread / (of.len() * cols) as f64).max(1e-12);
    let bias = means.chunks_exact(cols).zip(&counts).map(|(m, n)| match n {
        0 => -1e30,
        _ if cosine => 0.0,
        _ => -m.iter().map(|v| v * v).sum::<f64>() / (2.0 * variance),
    });
    let bias = Array(bias.collect());
    means.iter_mut().for_each(|m| *m /= variance);
    Linear { weights: Array(means), bias, link: Link::Softmax }
}
