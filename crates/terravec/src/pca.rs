//! Principal components of a block stream: one pass for the second moments, then a basis that is applied everywhere.
//!
//! Components come from orthogonal iteration on the covariance matrix; the sign is fixed so that the loading of largest size is
//! positive, so that pictures do not flip between runs.

use rayon::prelude::*;

use crate::vectors::{Status, Vectors};

/// Running first and second moments.
#[derive(Debug, Clone)]
pub(crate) struct Gram {
    depth: usize,
    count: f64,
    sum: Vec<f64>,
    products: Vec<f64>,
}

/// Mean and leading components.
#[derive(Debug, Clone)]
pub(crate) struct Basis {
    mean: Vec<f64>,
    pub(crate) components: Vec<Vec<f64>>,
}

const ITERATIONS: usize = 200;

impl Gram {
    pub(crate) fn new(depth: usize) -> Self {
        Self { depth, count: 0.0, sum: vec![0.0; depth], products: vec![0.0; depth * depth] }
    }

    pub(crate) fn add(&mut self, block: &Vectors) {
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

    /// The `n` leading components; fewer where there are fewer bands.
    pub(crate) fn basis(&self, n: usize) -> Basis {
        let d = self.depth;
        let count = self.count.max(1.0);
        let mean: Vec<f64> = self.sum.iter().map(|s| s / count).collect();
        let cov = |i: usize, j: usize| {
            let (lo, hi) = (i.min(j), i.max(j));
            self.products[lo * d + hi] / count - mean[i] * mean[j]
        };
        let matrix: Vec<f64> = (0..d * d).map(|k| cov(k / d, k % d)).collect();
        let n = n.min(d);
        // Any start that is not orthogonal to the components will do; this one is the same every time.
        #[allow(clippy::cast_precision_loss)]
        let mut q: Vec<Vec<f64>> = (0..n)
            .map(|k| (0..d).map(|i| ((i * (k + 1)) as f64 * 0.754_877 + 0.1).sin()).collect())
            .collect();
        orthonormalise(&mut q);
        for _ in 0..ITERATIONS {
            for v in &mut q {
                *v = matrix
                    .par_chunks(d)
                    .map(|row| row.iter().zip(v.iter()).map(|(a, b)| a * b).sum())
                    .collect();
            }
            orthonormalise(&mut q);
        }
        for v in &mut q {
            let largest = v.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(1.0);
            if largest < 0.0 {
                v.iter_mut().for_each(|x| *x = -*x);
            }
        }
        Basis { mean, components: q }
    }
}

/// Gram-Schmidt; a vector that vanishes stays zero.
fn orthonormalise(q: &mut [Vec<f64>]) {
    for i in 0..q.len() {
        let (before, rest) = q.split_at_mut(i);
        let v = &mut rest[0];
        for u in before.iter() {
            let dot: f64 = u.iter().zip(v.iter()).map(|(a, b)| a * b).sum();
            v.iter_mut().zip(u).for_each(|(x, y)| *x -= dot * y);
        }
        let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        let scale = if length > 1e-300 { 1.0 / length } else { 0.0 };
        v.iter_mut().for_each(|x| *x *= scale);
    }
}

impl Basis {
    /// Scores of every valid pixel.
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn project(&self, block: &Vectors) -> Vectors {
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
        let basis = gram.basis(3);
        let first = &basis.components[0];
        assert!((first[0] - c).abs() < 0.01 && (first[1] - s).abs() < 0.01, "{first:?}");
        let scores = basis.project(&block);
        let variance = |b: usize| scores.band(b).iter().map(|v| v * v).sum::<f32>() / 4000.0;
        assert!((variance(0) - 4.5).abs() < 0.1 && (variance(2) - 0.5).abs() < 0.05);
    }
}
