//! Principal components of a block stream: one pass for the second moments, then a basis that is applied everywhere.
//!
//! Components are eigenvectors of the covariance matrix (divided by n, as in the definition of variance); the sign is fixed so
//! that the loading of largest size is positive, so that pictures do not flip between runs.

use faer::{Mat, Side};
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
        #[allow(clippy::cast_precision_loss)]
        {
            self.count += valid.len() as f64;
        }
        let columns: Vec<Vec<f32>> = (0..self.depth)
            .into_par_iter()
            .map(|b| {
                let band = block.band(b);
                valid.iter().map(|&i| band[i]).collect()
            })
            .collect();
        for (sum, column) in self.sum.iter_mut().zip(&columns) {
            *sum += column.iter().map(|v| f64::from(*v)).sum::<f64>();
        }
        self.products.par_chunks_mut(self.depth).enumerate().for_each(|(i, row)| {
            for (j, p) in row.iter_mut().enumerate().skip(i) {
                *p += columns[i]
                    .iter()
                    .zip(&columns[j])
                    .map(|(a, b)| f64::from(*a) * f64::from(*b))
                    .sum::<f64>();
            }
        });
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
