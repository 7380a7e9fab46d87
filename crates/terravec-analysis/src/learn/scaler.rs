//! Standardisation: every band to mean 0 and deviation 1 over the training rows.

use serde::{Deserialize, Serialize};

use super::array::Array;
use crate::Matrix;

/// Mean and deviation of every band. The deviation is the population's, as in scikit-learn's `StandardScaler`; a constant band has 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scaler {
    pub(super) mean: Array<f64>,
    pub(super) deviation: Array<f64>,
}

impl Scaler {
    /// Of the rows of `x`.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn of(x: &Matrix) -> Self {
        let n = x.rows().max(1) as f64;
        let fold = |f: &dyn Fn(usize, f64) -> f64| {
            let mut sums = vec![0.0; x.cols()];
            for row in x.data().chunks_exact(x.cols()) {
                for (j, (s, v)) in sums.iter_mut().zip(row).enumerate() {
                    *s += f(j, f64::from(*v));
                }
            }
            sums.into_iter().map(|s| s / n).collect::<Vec<f64>>()
        };
        let mean = fold(&|_, v| v);
        let variance = fold(&|j, v| (v - mean[j]).powi(2));
        // What rounding leaves of a constant band is no deviation.
        let deviation = variance.iter().zip(&mean).map(|(v, m)| {
            let d = v.sqrt();
            if d > 1e-7 * m.abs() { d } else { 1.0 }
        });
        Self { deviation: Array(deviation.collect()), mean: Array(mean) }
    }

    /// Every row of `x`, standardised.
    #[must_use]
    pub fn apply(&self, x: &Matrix) -> Matrix {
        let mut data = x.data().to_vec();
        self.apply_rows(&mut data);
        Matrix::new(data, x.names().to_vec()).unwrap_or_else(|_| x.clone())
    }

    /// Standardises row-major numbers in place.
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn apply_rows(&self, rows: &mut [f32]) {
        for row in rows.chunks_exact_mut(self.mean.len()) {
            for ((v, m), d) in row.iter_mut().zip(self.mean.iter()).zip(self.deviation.iter()) {
                *v = ((f64::from(*v) - m) / d) as f32;
            }
        }
    }

    pub(super) fn check(&self, cols: usize) -> Result<(), &'static str> {
        let fine = |v: &Array<f64>| v.len() == cols && v.iter().all(|x| x.is_finite());
        if fine(&self.mean) && fine(&self.deviation) && self.deviation.iter().all(|d| *d > 0.0) {
            Ok(())
        } else {
            Err("the scaler does not fit the vectors")
        }
    }
}

/// Bands that are the same in every row: nothing can be learnt from them.
pub(super) fn constant_bands(x: &Matrix) -> Vec<String> {
    let constant = |j: &usize| (1..x.rows()).all(|i| x.row(i)[*j].to_bits() == x.row(0)[*j].to_bits());
    (0..x.cols()).filter(constant).map(|j| x.names()[j].clone()).collect()
}
