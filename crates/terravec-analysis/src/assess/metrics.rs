//! Figures of predictions against the truth, defined as in scikit-learn.

use serde::Serialize;

/// Figures of one class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassFigures {
    /// The class.
    pub name: String,
    /// Of what was predicted so, how much is so (user's accuracy); 0 where nothing was.
    pub precision: f64,
    /// Of what is so, how much was found (producer's accuracy); 0 where nothing is.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
    /// Rows that are so.
    pub rows: u64,
}

/// Figures of a classification.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassMetrics {
    /// Rows.
    pub rows: u64,
    /// Share of rows that are right.
    pub accuracy: f64,
    /// Mean recall of the classes that occur.
    pub balanced_accuracy: f64,
    /// Mean F1 of the classes that occur or were predicted.
    pub macro_f1: f64,
    /// Per class.
    pub classes: Vec<ClassFigures>,
    /// Rows: truth, columns: prediction.
    pub confusion: Vec<Vec<u64>>,
}

fn ratio(a: u64, b: u64) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    if b == 0 { 0.0 } else { a as f64 / b as f64 }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (n, sum) = values.fold((0.0, 0.0), |(n, s), v| (n + 1.0, s + v));
    if n > 0.0 { sum / n } else { 0.0 }
}

impl ClassMetrics {
    /// Of predictions, both numbered as `names`.
    #[must_use]
    pub fn of(truth: &[u32], predicted: &[u32], names: &[String]) -> Self {
        let n = names.len();
        let mut confusion = vec![vec![0u64; n]; n];
        for (t, p) in truth.iter().zip(predicted) {
            confusion[*t as usize][*p as usize] += 1;
        }
        let classes: Vec<ClassFigures> = (0..n)
            .map(|k| {
                let right = confusion[k][k];
                let rows: u64 = confusion[k].iter().sum();
                let called: u64 = confusion.iter().map(|row| row[k]).sum();
                ClassFigures {
                    name: names[k].clone(),
                    precision: ratio(right, called),
                    recall: ratio(right, rows),
                    f1: ratio(2 * right, rows + called),
                    rows,
                }
            })
            .collect();
        let occurs = |k: &usize| classes[*k].rows > 0;
        let seen = |k: &usize| occurs(k) || confusion.iter().any(|row| row[*k] > 0);
        Self {
            rows: truth.len() as u64,
            accuracy: ratio((0..n).map(|k| confusion[k][k]).sum(), truth.len() as u64),
            balanced_accuracy: mean((0..n).filter(occurs).map(|k| classes[k].recall)),
            macro_f1: mean((0..n).filter(seen).map(|k| classes[k].f1)),
            classes,
            confusion,
        }
    }
}

/// Expected calibration error: by how much the share of the winning class misses how often it is right, over 15 bins of equal width (Guo et al. 2017).
#[must_use]
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn calibration_error(truth: &[u32], scores: &[f32], outputs: usize) -> f64 {
    const BINS: usize = 15;
    let mut bins = [(0.0f64, 0.0f64); BINS];
    for (t, row) in truth.iter().zip(scores.chunks_exact(outputs.max(1))) {
        let best = crate::learn::argmax(row);
        let share = f64::from(row[best]);
        let bin = ((share * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        bins[bin].0 += share;
        bins[bin].1 += f64::from(u8::from(best == *t as usize));
    }
    bins.iter().map(|(share, right)| (share - right).abs()).sum::<f64>() / truth.len().max(1) as f64
}

/// Figures of a regression.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ValueMetrics {
    /// Rows.
    pub rows: u64,
    /// Share of the variance that is explained; negative where the mean would do better.
    pub r2: f64,
    /// Root of the mean squared error.
    pub rmse: f64,
    /// Mean absolute error.
    pub mae: f64,
    /// Mean of prediction less truth.
    pub bias: f64,
}

impl ValueMetrics {
    /// Of predictions.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn of(truth: &[f64], predicted: &[f64]) -> Self {
        let n = truth.len().max(1) as f64;
        let middle = truth.iter().sum::<f64>() / n;
        let errors = || truth.iter().zip(predicted).map(|(t, p)| p - t);
        let squares: f64 = errors().map(|e| e * e).sum();
        let spread: f64 = truth.iter().map(|t| (t - middle).powi(2)).sum();
        let r2 = if spread > 0.0 { 1.0 - squares / spread } else { f64::from(u8::from(squares == 0.0)) };
        Self {
            rows: truth.len() as u64,
            r2,
            rmse: (squares / n).sqrt(),
            mae: errors().map(f64::abs).sum::<f64>() / n,
            bias: errors().sum::<f64>() / n,
        }
    }
}
