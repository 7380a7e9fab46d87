//! k-means: Lloyd's iterations from k-means++ seeds, on a sample in memory; the centres then label any stream.
//!
//! Spherical k-means compares directions: vectors and centres have length 1, and the nearest centre is the one of largest cosine
//! (Dhillon and Modha 2001). Distances come from matrix products in float32; inertia is summed in float64.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;
use terravec::{Error, Result};

/// Rows multiplied together.
const STEP: usize = 512;

/// How the first centres are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Rows drawn by the square of their distance to those drawn before (Arthur and Vassilvitskii 2007).
    PlusPlus,
    /// Rows drawn evenly, for many centres.
    Random,
}

/// How to fit.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Clusters.
    pub k: usize,
    /// Compare directions.
    pub spherical: bool,
    /// The first centres.
    pub start: Start,
    /// Fits from different seeds, of which the one of least inertia is taken.
    pub starts: usize,
    /// Iterations at most.
    pub iterations: usize,
    /// Stop when centres move, all together, less than this part of the mean variance of the numbers.
    pub tolerance: f64,
    /// The seed.
    pub seed: u64,
}

impl Settings {
    /// `k` clusters, best of 10 starts.
    #[must_use]
    pub fn new(k: usize) -> Self {
        Self {
            k,
            spherical: false,
            start: Start::PlusPlus,
            starts: 10,
            iterations: 100,
            tolerance: 1e-4,
            seed: 0,
        }
    }
}

/// Centres of clusters.
#[derive(Debug, Clone, PartialEq)]
pub struct Centres {
    /// Row-major, one centre per row.
    pub values: Vec<f32>,
    /// Numbers per centre.
    pub dim: usize,
    /// Whether vectors are compared by direction.
    pub spherical: bool,
    /// Sum of squared distances of the fitted rows to their centres (of length 1, where spherical).
    pub inertia: f64,
    /// Iterations of the best start.
    pub iterations: usize,
}

/// Fits centres to rows of `dim` numbers.
///
/// # Errors
/// If there are fewer different rows than clusters, or spherical ones without a direction.
pub fn fit(values: &[f32], dim: usize, settings: &Settings) -> Result<Centres> {
    let rows = values.len() / dim.max(1);
    if settings.k == 0 || settings.k > rows {
        return Err(Error::query(
            format!("{} clusters of {rows} vectors are asked for", settings.k),
            "ask for at least 1 and at most as many as there are vectors",
        ));
    }
    let unit;
    let values = if settings.spherical {
        unit = normalised(values, dim)?;
        &unit
    } else {
        values
    };
    let mut best: Option<Centres> = None;
    for start in 0..settings.starts.max(1) as u64 {
        let mut random =
            fastrand::Rng::with_seed(settings.seed.wrapping_add(start.wrapping_mul(0x9e37_79b9)));
        let centres = one(values, dim, settings, &mut random)?;
        if best.as_ref().is_none_or(|b| centres.inertia < b.inertia) {
            best = Some(centres);
        }
    }
    best.ok_or_else(|| unreachable!("there is a start"))
}

/// Rows scaled to length 1.
fn normalised(values: &[f32], dim: usize) -> Result<Vec<f32>> {
    let mut out = values.to_vec();
    let zero: usize = out
        .par_chunks_exact_mut(dim)
        .map(|row| {
            let length = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
            #[allow(clippy::cast_possible_truncation)]
            row.iter_mut().for_each(|v| *v = (f64::from(*v) / length) as f32);
            usize::from(length == 0.0)
        })
        .sum();
    if zero > 0 {
        return Err(Error::query(
            format!("{zero} vectors of length 0 have no direction"),
            "cluster them by distance instead (not spherical)",
        ));
    }
    Ok(out)
}

fn one(values: &[f32], dim: usize, settings: &Settings, random: &mut fastrand::Rng) -> Result<Centres> {
    let rows = values.len() / dim;
    let first = match settings.start {
        Start::PlusPlus => plus_plus(values, dim, settings.k, random)?,
        Start::Random => {
            let mut order: Vec<usize> = (0..rows).collect();
            random.shuffle(&mut order);
            order[..settings.k].iter().flat_map(|i| &values[i * dim..(i + 1) * dim]).copied().collect()
        }
    };
    let mut centres =
        Centres { values: first, dim, spherical: settings.spherical, inertia: 0.0, iterations: 0 };
    let least = settings.tolerance * variance(values, dim);
    let (mut labels, mut squares) = (vec![0u32; rows], vec![0f32; rows]);
    for iteration in 1..=settings.iterations.max(1) {
        centres.nearest(values, &mut labels, &mut squares);
        let moved = centres.update(values, &labels, &mut squares);
        centres.iterations = iteration;
        if moved <= least {
            break;
        }
    }
    centres.nearest(values, &mut labels, &mut squares);
    centres.inertia = centres.inertia_of(values, &labels);
    Ok(centres)
}

/// The mean variance of the numbers.
fn variance(values: &[f32], dim: usize) -> f64 {
    let rows = values.len() / dim;
    let (mut sum, mut square) = (vec![0f64; dim], 0f64);
    for row in values.chunks_exact(dim) {
        for (s, v) in sum.iter_mut().zip(row) {
            *s += f64::from(*v);
            square += f64::from(*v).powi(2);
        }
    }
    #[allow(clippy::cast_precision_loss)]
    let n = rows as f64;
    #[allow(clippy::cast_precision_loss)]
    let depth = dim as f64;
    (square / n - sum.iter().map(|s| (s / n).powi(2)).sum::<f64>()) / depth
}

fn square_distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum()
}

fn plus_plus(values: &[f32], dim: usize, k: usize, random: &mut fastrand::Rng) -> Result<Vec<f32>> {
    let rows = values.len() / dim;
    let row = |i: usize| &values[i * dim..(i + 1) * dim];
    let mut out = row(random.usize(..rows)).to_vec();
    let mut far = vec![f32::INFINITY; rows];
    // Of a few drawn, the one that lowers the sum most: as scikit-learn does.
    let tries = 2 + k.ilog2() as usize;
    let lowered = |far: &[f32], i: usize| -> Vec<f32> {
        let centre = row(i);
        far.par_iter()
            .zip(values.par_chunks_exact(dim))
            .with_min_len(4096)
            .map(|(f, x)| f.min(square_distance(x, centre)))
            .collect()
    };
    let sum = |far: &[f32]| far.iter().map(|f| f64::from(*f)).sum::<f64>();
    {
        let centre = out.clone();
        far.par_iter_mut()
            .zip(values.par_chunks_exact(dim))
            .for_each(|(f, x)| *f = square_distance(x, &centre));
    }
    while out.len() < k * dim {
        let all = sum(&far);
        if all <= 0.0 {
            return Err(Error::query(
                format!("there are fewer than {k} different vectors"),
                "ask for fewer clusters",
            ));
        }
        let mut best: Option<(f64, usize, Vec<f32>)> = None;
        for _ in 0..tries {
            let mut at = random.f64() * all;
            let drawn = far.iter().position(|f| {
                at -= f64::from(*f);
                at < 0.0
            });
            let drawn = drawn.unwrap_or_else(|| far.iter().rposition(|f| *f > 0.0).unwrap_or(0));
            let then = lowered(&far, drawn);
            let total = sum(&then);
            if best.as_ref().is_none_or(|b| total < b.0) {
                best = Some((total, drawn, then));
            }
        }
        let Some((_, drawn, then)) = best else { unreachable!("there are tries") };
        out.extend_from_slice(row(drawn));
        far = then;
    }
    Ok(out)
}

impl Centres {
    /// Clusters.
    #[must_use]
    pub fn k(&self) -> usize {
        self.values.len() / self.dim.max(1)
    }

    /// The centre of a cluster.
    #[must_use]
    pub fn centre(&self, cluster: usize) -> &[f32] {
        &self.values[cluster * self.dim..(cluster + 1) * self.dim]
    }

    /// The nearest centre of each row (of largest cosine, where spherical), and the squared distance, or minus the dot product
    /// with it.
    pub fn nearest(&self, values: &[f32], labels: &mut [u32], squares: &mut [f32]) {
        let (dim, k) = (self.dim, self.k());
        let centres = MatRef::from_row_major_slice(&self.values, k, dim).transpose();
        // |x|² is the same for all centres: it is added at the end.
        let halves: Vec<f32> = self
            .values
            .chunks_exact(dim)
            .map(|c| if self.spherical { 0.0 } else { 0.5 * c.iter().map(|v| v * v).sum::<f32>() })
            .collect();
        labels
            .par_chunks_mut(STEP)
            .zip(squares.par_chunks_mut(STEP))
            .zip(values.par_chunks(STEP * dim))
            .for_each_init(Vec::new, |dots: &mut Vec<f32>, ((labels, squares), x)| {
                let rows = labels.len();
                dots.clear();
                dots.resize(rows * k, 0.0);
                let x_rows = MatRef::from_row_major_slice(x, rows, dim);
                let out = MatMut::from_row_major_slice_mut(dots.as_mut_slice(), rows, k);
                matmul(out, Accum::Replace, x_rows, centres, 1.0, Par::Seq);
                let each = labels.iter_mut().zip(squares).zip(dots.chunks_exact(k)).zip(x.chunks_exact(dim));
                for (((label, square), dots), x) in each {
                    let (mut best, mut at) = (f32::NEG_INFINITY, 0u32);
                    for ((dot, half), i) in dots.iter().zip(&halves).zip(0u32..) {
                        if dot - half > best {
                            (best, at) = (dot - half, i);
                        }
                    }
                    *label = at;
                    *square = if self.spherical {
                        -best
                    } else {
                        (x.iter().map(|v| v * v).sum::<f32>() - 2.0 * best).max(0.0)
                    };
                }
            });
    }

    /// Moves centres to the means of their rows; clusters without rows take the rows farthest from their centres. Returns the sum of
    /// the squares of the moves.
    fn update(&mut self, values: &[f32], labels: &[u32], squares: &mut [f32]) -> f64 {
        let (dim, k) = (self.dim, self.k());
        // Pieces of fixed size, added in their order: the answer does not depend on the number of threads.
        const PIECE: usize = 1 << 14;
        let sums: Vec<(Vec<f64>, Vec<u64>)> = labels
            .par_chunks(PIECE.max(labels.len() / 64 + 1))
            .zip(values.par_chunks(PIECE.max(labels.len() / 64 + 1) * dim))
            .map(|(labels, values)| {
                let (mut sums, mut counts) = (vec![0f64; k * dim], vec![0u64; k]);
                for (label, row) in labels.iter().zip(values.chunks_exact(dim)) {
                    let label = *label as usize;
                    counts[label] += 1;
                    let sum = &mut sums[label * dim..(label + 1) * dim];
                    sum.iter_mut().zip(row).for_each(|(s, v)| *s += f64::from(*v));
                }
                (sums, counts)
            })
            .collect();
        let (mut sum, mut counts) = (vec![0f64; k * dim], vec![0u64; k]);
        for (s, c) in sums {
            sum.iter_mut().zip(s).for_each(|(a, b)| *a += b);
            counts.iter_mut().zip(c).for_each(|(a, b)| *a += b);
        }
        let mut moved = 0f64;
        for cluster in 0..k {
            let own = &mut sum[cluster * dim..(cluster + 1) * dim];
            if counts[cluster] == 0 {
                let far = squares.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
                let Some((row, _)) = far else { continue };
                squares[row] = f32::NEG_INFINITY;
                own.iter_mut().zip(&values[row * dim..]).for_each(|(s, v)| *s = f64::from(*v));
                counts[cluster] = 1;
            }
            let scale = if self.spherical {
                1.0 / own.iter().map(|v| v * v).sum::<f64>().sqrt().max(f64::MIN_POSITIVE)
            } else {
                #[allow(clippy::cast_precision_loss)]
                let n = counts[cluster] as f64;
                1.0 / n
            };
            for (c, s) in self.values[cluster * dim..(cluster + 1) * dim].iter_mut().zip(own) {
                let new = *s * scale;
                moved += (new - f64::from(*c)).powi(2);
                #[allow(clippy::cast_possible_truncation)]
                {
                    *c = new as f32;
                }
            }
        }
        moved
    }

    fn inertia_of(&self, values: &[f32], labels: &[u32]) -> f64 {
        let sums: Vec<f64> = labels
            .par_iter()
            .zip(values.par_chunks_exact(self.dim))
            .map(|(label, row)| crate::kernel::exact_square_distance(self.centre(*label as usize), row))
            .collect();
        sums.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Vec<f32> {
        let mut random = fastrand::Rng::with_seed(9);
        let centres = [[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]];
        (0..300).flat_map(|i| centres[i % 3].map(|c| c + random.f32() - 0.5)).collect()
    }

    #[test]
    fn clusters_that_lie_apart_are_found() {
        let values = three();
        for start in [Start::PlusPlus, Start::Random] {
            let fitted = fit(&values, 2, &Settings { start, ..Settings::new(3) }).unwrap();
            let (mut labels, mut squares) = (vec![0; 300], vec![0.0; 300]);
            fitted.nearest(&values, &mut labels, &mut squares);
            assert!((0..300).all(|i| labels[i] == labels[i % 3]));
            assert_ne!(labels[0], labels[1]);
            let sum: f64 = squares.iter().map(|s| f64::from(*s)).sum();
            assert!((sum - fitted.inertia).abs() < 1e-3 * fitted.inertia, "{sum} {}", fitted.inertia);
            // Rows of a unit square around each centre: variance 1/12 in each number.
            assert!((fitted.inertia / 300.0 - 1.0 / 6.0).abs() < 0.02);
        }
    }

    #[test]
    fn directions_do_not_depend_on_lengths() {
        let values: Vec<f32> = (0..60u8)
            .flat_map(|i| if i % 2 == 0 { [f32::from(i) + 1.0, 0.1] } else { [0.1, f32::from(i) + 1.0] })
            .collect();
        let fitted = fit(&values, 2, &Settings { spherical: true, ..Settings::new(2) }).unwrap();
        let (mut labels, mut squares) = (vec![0; 60], vec![0.0; 60]);
        fitted.nearest(&values, &mut labels, &mut squares);
        assert!((0..60).all(|i| labels[i] == labels[i % 2]) && labels[0] != labels[1]);
        for c in 0..2 {
            let length: f32 = fitted.centre(c).iter().map(|v| v * v).sum();
            assert!((length - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn what_can_not_be_clustered_is_refused() {
        assert!(fit(&[1.0, 1.0, 1.0], 1, &Settings::new(2)).is_err());
        assert!(fit(&[1.0, 2.0], 1, &Settings::new(3)).is_err());
        assert!(fit(&[1.0, 2.0], 1, &Settings::new(0)).is_err());
        assert!(fit(&[0.0, 1.0], 1, &Settings { spherical: true, ..Settings::new(1) }).is_err());
    }
}
