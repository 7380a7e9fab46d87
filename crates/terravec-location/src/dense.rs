//! The one operation all networks share: an affine map of a batch of rows.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use crate::real::Real;

/// `y = W x + b`, with `W` row-major of shape (outputs, inputs) as PyTorch's `Linear` stores it.
#[derive(Debug, Clone)]
pub(crate) struct Dense<T> {
    weight: Vec<T>,
    bias: Vec<T>,
    inputs: usize,
    outputs: usize,
}

impl<T: Real> Dense<T> {
    /// `weight` must hold inputs × outputs numbers; an empty `bias` means none.
    pub(crate) fn new(weight: Vec<T>, bias: Vec<T>, inputs: usize) -> Self {
        let outputs = weight.len() / inputs;
        debug_assert!(bias.is_empty() || bias.len() == outputs);
        Self { weight, bias, inputs, outputs }
    }

    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    pub(crate) fn parameters(&self) -> usize {
        self.weight.len() + self.bias.len()
    }

    /// The same map with only its first `keep` outputs.
    pub(crate) fn truncated(mut self, keep: usize) -> Self {
        self.weight.truncate(keep * self.inputs);
        self.bias.truncate(keep);
        self.outputs = keep.min(self.outputs);
        self
    }

    /// Maps the rows of `x` into the rows of `y`, which is resized to fit.
    pub(crate) fn forward(&self, x: &[T], y: &mut Vec<T>) {
        let rows = x.len() / self.inputs;
        y.clear();
        y.resize(rows * self.outputs, T::default());
        self.forward_into(x, y);
    }

    /// Maps the rows of `x` into `y`, which must have as many rows.
    pub(crate) fn forward_into(&self, x: &[T], y: &mut [T]) {
        let rows = x.len() / self.inputs;
        if !self.bias.is_empty() {
            for row in y.chunks_exact_mut(self.outputs) {
                row.copy_from_slice(&self.bias);
            }
        }
        let accumulate = if self.bias.is_empty() { Accum::Replace } else { Accum::Add };
        let weight = MatRef::from_row_major_slice(&self.weight, self.outputs, self.inputs).transpose();
        product(x, rows, weight, y, accumulate);
    }
}

/// `y (+)= x · w`, for row-major `x` of `rows` rows.
pub(crate) fn product<T: Real>(x: &[T], rows: usize, w: MatRef<'_, T>, y: &mut [T], accumulate: Accum) {
    let x = MatRef::from_row_major_slice(x, rows, w.nrows());
    let y = MatMut::from_row_major_slice_mut(y, rows, w.ncols());
    // One batch per thread: parallelism lies above, over batches.
    matmul(y, accumulate, x, w, T::of(1.0), Par::Seq);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_rows_like_the_formula() {
        let dense = Dense::new(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], vec![0.5, -0.5], 3);
        let mut y = Vec::new();
        dense.forward(&[1.0, 0.0, -1.0, 2.0, 2.0, 2.0], &mut y);
        assert_eq!(y, [-1.5, -2.5, 12.5, 29.5]);
        dense.truncated(1).forward(&[1.0, 0.0, -1.0, 2.0, 2.0, 2.0], &mut y);
        assert_eq!(y, [-1.5, 12.5]);
    }

    #[test]
    fn replaces_old_contents_without_a_bias() {
        let dense = Dense::new(vec![2.0f32], vec![], 1);
        let mut y = vec![9.0, 9.0];
        dense.forward_into(&[1.0, 2.0], &mut y);
        assert_eq!(y, [2.0, 4.0]);
    }
}
