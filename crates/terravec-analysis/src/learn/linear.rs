//! Linear predictors, whoever fitted them: one product of matrices.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use serde::{Deserialize, Serialize};

use super::Scaler;
use super::array::Array;

/// What the linear scores mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Link {
    /// Logarithms of probabilities, up to a constant.
    Softmax,
    /// Targets of ±1, the greatest of which wins.
    OneHot,
    /// The value itself.
    Identity,
}

/// `scores = W x + b`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Linear {
    /// (outputs, bands), row-major.
    pub(super) weights: Array<f64>,
    pub(super) bias: Array<f64>,
    pub(super) link: Link,
}

impl Linear {
    /// From weights for standardised vectors to weights for vectors as they are.
    pub(super) fn unscaled(mut self, scaler: &Scaler) -> Self {
        let cols = scaler.mean.len();
        for (row, bias) in self.weights.0.chunks_exact_mut(cols).zip(&mut self.bias.0) {
            for ((w, m), d) in row.iter_mut().zip(scaler.mean.iter()).zip(scaler.deviation.iter()) {
                *w /= d;
                *bias -= *w * m;
            }
        }
        self
    }

    pub(super) fn outputs(&self) -> usize {
        self.bias.len()
    }

    pub(super) fn check(&self, cols: usize, outputs: usize) -> Result<(), &'static str> {
        let fits = self.bias.len() == outputs && self.weights.len() == outputs * cols;
        let finite = self.weights.iter().chain(self.bias.iter()).all(|v| v.is_finite());
        if fits && finite { Ok(()) } else { Err("the weights do not fit the vectors and classes") }
    }

    /// Ready to be applied to many vectors.
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn ready(&self) -> Ready {
        Ready {
            weights: self.weights.iter().map(|w| *w as f32).collect(),
            bias: self.bias.iter().map(|b| *b as f32).collect(),
            link: self.link,
        }
    }
}

/// The same in float32.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    weights: Vec<f32>,
    bias: Vec<f32>,
    link: Link,
}

impl Ready {
    /// Raw scores (rows, outputs) of row-major `x`.
    pub(super) fn raw(&self, x: &[f32], rows: usize, out: &mut [f32]) {
        let outputs = self.bias.len();
        for row in out.chunks_exact_mut(outputs) {
            row.copy_from_slice(&self.bias);
        }
        let cols = self.weights.len() / outputs;
        let w = MatRef::from_row_major_slice(&self.weights, outputs, cols);
        let x = MatRef::from_row_major_slice(x, rows, cols);
        let out = MatMut::from_row_major_slice_mut(out, rows, outputs);
        matmul(out, Accum::Add, x, w.transpose(), 1.0, Par::Seq);
    }

    /// Raw scores (outputs, n) of pixels `from..from + n` of `bands`, which lie band by band, `step` apart.
    pub(crate) fn raw_bands(&self, bands: &[f32], step: usize, from: usize, n: usize, out: &mut [f32]) {
        let outputs = self.bias.len();
        let cols = self.weights.len() / outputs;
        for (row, bias) in out.chunks_exact_mut(n).zip(&self.bias) {
            row.fill(*bias);
        }
        let w = MatRef::from_row_major_slice(&self.weights, outputs, cols);
        let end = (cols - 1) * step + from + n;
        let x = MatRef::from_row_major_slice_with_stride(&bands[from..end], cols, n, step);
        let out = MatMut::from_row_major_slice_mut(out, outputs, n);
        matmul(out, Accum::Add, w, x, 1.0, Par::Seq);
    }

    pub(crate) fn link(&self) -> Link {
        self.link
    }
}

impl Link {
    /// Raw scores of one row into shares that sum to 1, or the value.
    pub(crate) fn finish(self, row: &mut [f32]) {
        match self {
            Self::Identity => return,
            Self::Softmax => {
                let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                row.iter_mut().for_each(|v| *v = (*v - most).exp());
            }
            // Not probabilities: how far each target of ±1 was reached.
            Self::OneHot => row.iter_mut().for_each(|v| *v = ((*v + 1.0) / 2.0).max(0.0)),
        }
        let sum: f32 = row.iter().sum();
        if sum > 0.0 {
            row.iter_mut().for_each(|v| *v /= sum);
        }
    }
}
