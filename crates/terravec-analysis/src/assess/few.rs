//! How good with few labels: the protocol of AlphaEarth Foundations (arXiv 2507.22291). A number of rows per class is drawn at random, again and again; all
//! others are predicted; shown is the mean balanced accuracy with its standard error.

use rayon::prelude::*;
use serde::Serialize;
use terravec::Result;
use terravec::interrupt::Watch;

use super::metrics::ClassMetrics;
use crate::learn::{Fit, Labelled, Predictor, Truth, draw};
use crate::refuse;

/// What came out for one number of rows per class.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FewShot {
    /// Rows of each class.
    pub per_class: usize,
    /// Draws.
    pub trials: usize,
    /// Mean balanced accuracy on all other rows.
    pub balanced_accuracy: f64,
    /// Its standard error over the draws.
    pub standard_error: f64,
}

/// Draws `per_class` rows of each class `trials` times, learns from them and predicts the rest.
///
/// # Errors
/// If the labels are values, or a class has no row to spare.
#[allow(clippy::cast_precision_loss)]
pub fn few_shot(fit: &Fit, labelled: &Labelled, per_class: usize, trials: usize) -> Result<FewShot> {
    let Truth::Classes { of, names, .. } = &labelled.truth else {
        return Err(refuse("few-shot figures are for classes", "use cross-validation for values"));
    };
    for (k, name) in names.iter().enumerate() {
        let rows = of.iter().filter(|c| **c as usize == k).count();
        if rows <= per_class {
            return Err(refuse(
                format!("class `{name}` has {rows} rows, and {per_class} would be drawn"),
                "draw fewer",
            ));
        }
    }
    if per_class == 0 || trials == 0 {
        return Err(refuse("nothing would be drawn", "draw at least one row, once"));
    }
    let watch = Watch::current();
    let scores: Vec<f64> = (0..trials as u64)
        .into_par_iter()
        .map(|trial| {
            watch.check()?;
            let train =
                draw(of, names.len(), per_class, fit.seed.wrapping_mul(1_000_003).wrapping_add(trial));
            let mut drawn = vec![false; of.len()];
            train.iter().for_each(|i| drawn[*i] = true);
            let test: Vec<usize> = (0..of.len()).filter(|i| !drawn[*i]).collect();
            let fit = Fit { seed: fit.seed.wrapping_add(trial), ..fit.clone() };
            let learnt = fit.fit(&labelled.x.select(&train), labelled.truth.select(&train).target())?;
            let predicted = Predictor::classes(&learnt.scores(&labelled.x.select(&test))?, names.len());
            let truth: Vec<u32> = test.iter().map(|i| of[*i]).collect();
            Ok(ClassMetrics::of(&truth, &predicted, names).balanced_accuracy)
        })
        .collect::<Result<_>>()?;
    let n = trials as f64;
    let mean = scores.iter().sum::<f64>() / n;
    let variance = scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    Ok(FewShot { per_class, trials, balanced_accuracy: mean, standard_error: (variance / n).sqrt() })
}
