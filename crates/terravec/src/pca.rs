//! Principal components of a block stream: one pass for the second moments, then a basis that is applied everywhere.
//!
//! Components are eigenvectors of the covariance matrix (divided by n, as in the definition of variance); the sign is fixed so
//! that the loading of largest size is positive, so that pictures do not flip between runs.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par, Side};
use rayon::prelude::*;

use crate::vectors::{Status, Vectors};

/// Running first and second moments of vectors.
#[derive(Debug, Clone)]
pub struct Gram {
    depth: usize,
    count: f64,
    sum: Vec<f64>,
    products: Vec<f64>,
}

/// Mean and leading components.
#[derive(Debug, Clone, PartialEq)]
pub struct Basis {
    /// Mean vector.
    pub mean: Vec<f64>,
    /// Components of length 1, the one of largest variance first.
    pub components: Vec<Vec<f64>>,
    /// Variance along each component.
    pub variance: Vec<f64>,
    /// Variance over all directions, those that were left out among them.
    pub total_variance: f64,
}

impl Gram {
    /// Of vectors of `depth` numbers.
    #[must_use]
    pub fn new(depth: usize) -> Self {
        Self { depth, count: 0.0, sum: vec![0.0; depth], products: vec![0.0; depth * depth] }
    }

    /// Vectors so far.
    #[must_use]
    pub fn count(&self) -> f64 {
        self.count
    }

    /// Counts the valid vectors of a block in.
    pub fn add(&mut self, block: &Vectors) {
        let valid: Vec<usize> = crate::vectors::valid(&block.status).collect();
        self.add_each(valid.len(), |row, band| block.data[band * block.pixels() + valid[row]]);
    }

    /// Counts vectors in that lie one after the other.
    pub fn add_rows(&mut self, rows: &[f32]) {
        let depth = self.depth;
        self.add_each(rows.len() / depth.max(1), |row, band| rows[row * depth + band]);
    }

    fn add_each(&mut self, rows: usize, number: impl Fn(usize, usize) -> f32 + Sync) {
        /// Rows multiplied together; the sums of pieces are added in their order, whatever thread made them.
        const PIECE: usize = 4096;
        let d = self.depth;
        let pieces: Vec<usize> = (0..rows).step_by(PIECE).collect();
        // A few at a time: each has a matrix of its own.
        for some in pieces.chunks(8) {
            let parts: Vec<(Vec<f64>, Mat<f64>)> = some
                .par_iter()
                .map(|at| {
                    let n = PIECE.min(rows - at);
                    let x = Mat::from_fn(n, d, |i, j| f64::from(number(at + i, j)));
                    let sums = (0..d).map(|j| x.col(j).iter().sum()).collect();
                    let mut products = Mat::zeros(d, d);
                    matmul(&mut products, Accum::Replace, x.transpose(), &x, 1.0, Par::Seq);
                    (sums, products)
                })
                .collect();
            for (sums, products) in parts {
                self.sum.iter_mut().zip(&sums).for_each(|(a, b)| *a += b);
                for (k, p) in self.products.iter_mut().enumerate() {
                    *p += products[(k / d, k % d)];
                }
            }
        }
        #[allow(clippy::cast_precision_loss)]
        {
            self.count += rows as f64;
        }
    }

    /// The `n` leading components; fewer where there are fewer bands. `None` where there is no vector, or none that is finite.
    #[must_use]
    pub fn basis(&self, n: usize) -> Option<Basis> {
        let d = self.depth;
        let count = self.count.max(1.0);
        let mean: Vec<f64> = self.sum.iter().map(|s| s / count).collect();
        let covariance = Mat::from_fn(d, d, |i, j| {
            let (lo, hi) = (i.min(j), i.max(j));
            self.products[lo * d + hi] / count - mean[i] * mean[j]
        });
        if self.count == 0.0 || !self.products.iter().all(|p| p.is_finite()) {
            return None;
        }
        let eigen = covariance.self_adjoint_eigen(Side::Lower).ok()?;
        let (vectors, values) = (eigen.U(), eigen.S().column_vector());
        // Ascending there, descending here; rounding leaves tiny negative ones.
        let (components, variance) = (0..n.min(d))
            .map(|k| {
                let column = d - 1 - k;
                let v: Vec<f64> = (0..d).map(|i| vectors[(i, column)]).collect();
                let largest = v.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(1.0);
                let sign = if largest < 0.0 { -1.0 } else { 1.0 };
                (v.into_iter().map(|x| sign * x).collect(), values[column].max(0.0))
            })
            .unzip();
        let total_variance = (0..d).map(|i| covariance[(i, i)].max(0.0)).sum();
        Some(Basis { mean, components, variance, total_variance })
    }
}

impl Basis {
    /// Scores of one vector.
    #[must_use]
    pub fn scores(&self, vector: &[f32]) -> Vec<f64> {
        let centred: Vec<f64> = vector.iter().zip(&self.mean).map(|(v, m)| f64::from(*v) - m).collect();
        self.components.iter().map(|c| c.iter().zip(&centred).map(|(a, b)| a * b).sum()).collect()
    }

    /// Scores of every valid pixel.
    #[allow(clippy::cast_possible_truncation)]
    #[must_use]
    pub fn project(&self, block: &Vectors) -> Vectors {
        let n = block.pixels();
        let mut out = Vectors::empty(self.components.len(), block.height, block.width, Status::Nodata);
        out.status.copy_from_slice(&block.status);
        out.data.par_chunks_mut(n.max(1)).zip(&self.components).for_each(|(scores, component)| {
            let mut sums = vec![0f64; n];
            for ((band, weight), mean) in block.data.chunks_exact(n.max(1)).zip(component).zip(&self.mean) {
                for (s, v) in sums.iter_mut().zip(band) {
                    *s += weight * (f64::from(*v) - mean);
                }
            }
            for (o, s) in scores.iter_mut().zip(sums) {
                *o = s as f32;
            }
        });
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_axes_of_an_ellipsoid() {
        // Independent axes of spread 3, 2 and 1, rotated by 0.5 rad in the first plane.
        let (s, c) = 0.5f64.sin_cos();
        let mut data = vec![Vec::new(); 3];
        for i in 0..4000u32 {
            let t = f64::from(i);
            let (u, v, w) = (3.0 * (t * 0.7).sin(), 2.0 * (t * 1.3).sin(), (t * 2.1).sin());
            for (band, x) in data.iter_mut().zip([c * u - s * v, s * u + c * v, w]) {
                #[allow(clippy::cast_possible_truncation)]
                band.push(x as f32);
            }
        }
        let block = Vectors {
            data: data.concat(),
            status: vec![Status::Valid; 4000],
            bands: 3,
            height: 1,
            width: 4000,
        };
        let mut gram = Gram::new(3);
        gram.add(&block);
        let basis = gram.basis(3).unwrap();
        let first = &basis.components[0];
        assert!((first[0] - c).abs() < 0.01 && (first[1] - s).abs() < 0.01, "{first:?}");
        let scores = basis.project(&block);
        let variance = |b: usize| scores.band(b).iter().map(|v| v * v).sum::<f32>() / 4000.0;
        assert!((variance(0) - 4.5).abs() < 0.1 && (variance(2) - 0.5).abs() < 0.05);
    }
}
