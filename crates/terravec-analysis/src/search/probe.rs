//! A linear probe for search: ridge regression of +1 on positive and −1 on negative examples, solved in closed form.
//!
//! Vectors are centred between the means of the two classes, so that neither counts more for having more examples; the penalty is a hundredth of the mean
//! variance of the numbers. With fewer examples than numbers the dual form is solved, a system as large as the examples are many.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};
use terravec::{Error, Result};

use super::query::Query;
use crate::kernel::exact_dot;

/// The penalty as a part of the mean square of the centred numbers.
const RIDGE: f64 = 0.01;
/// More examples than this are refused: the system would not fit.
const MOST: usize = 10_000;

/// Weights and intercept as a query of dot products.
///
/// # Errors
/// If one of the classes has no example, there are more than 10 000 of them, or the examples do not differ.
pub(crate) fn fit(positive: &[Vec<f32>], negative: &[Vec<f32>]) -> Result<Query> {
    let n = positive.len() + negative.len();
    if positive.is_empty() || negative.is_empty() {
        return Err(Error::query(
            "a probe needs positive and negative examples",
            "give both, or combine by mean",
        ));
    }
    if n > MOST {
        return Err(Error::query(
            format!("a probe of {n} examples is too large for search"),
            "fit a classifier, or give no more than 10000 examples",
        ));
    }
    let dim = positive[0].len();
    let balance = |examples: &[Vec<f32>]| 0.5 / f64::from(u32::try_from(examples.len()).unwrap_or(u32::MAX));
    let (wp, wn) = (balance(positive), balance(negative));
    let rows: Vec<(&Vec<f32>, f64, f64)> =
        positive.iter().map(|v| (v, 1.0, wp)).chain(negative.iter().map(|v| (v, -1.0, wn))).collect();
    let mut mean = vec![0f64; dim];
    for (row, _, weight) in &rows {
        mean.iter_mut().zip(*row).for_each(|(m, v)| *m += weight * f64::from(*v));
    }
    // Rows scaled by the root of their weight: weighted least squares as ordinary ones.
    let scaled: Vec<Vec<f64>> = rows
        .iter()
        .map(|(row, _, w)| row.iter().zip(&mean).map(|(v, m)| (f64::from(*v) - m) * w.sqrt()).collect())
        .collect();
    let target: Vec<f64> = rows.iter().map(|(_, y, w)| y * w.sqrt()).collect();
    let total: f64 = scaled.iter().flatten().map(|v| v * v).sum();
    let least = 1e-12 * mean.iter().map(|m| m * m).sum::<f64>();
    if total.is_nan() || total <= least {
        return Err(Error::query("positive and negative examples are all the same vector", "give others"));
    }
    #[allow(clippy::cast_precision_loss)]
    let penalty = RIDGE * total / dim as f64;
    let x = Mat::from_fn(n, dim, |i, j| scaled[i][j]);
    let y = Mat::from_fn(n, 1, |i, _| target[i]);
    let weights = if n <= dim {
        x.transpose() * solve(&x * x.transpose(), penalty, y)?
    } else {
        solve(x.transpose() * &x, penalty, x.transpose() * y)?
    };
    #[allow(clippy::cast_possible_truncation)]
    let weights: Vec<f32> = (0..dim).map(|j| weights[(j, 0)] as f32).collect();
    let centre: Vec<f32> = {
        #[allow(clippy::cast_possible_truncation)]
        mean.iter().map(|m| *m as f32).collect()
    };
    Query::linear(weights.clone(), -exact_dot(&weights, &centre))
}

/// Solves (`gram` + `penalty` · 1) w = `right`.
fn solve(mut gram: Mat<f64>, penalty: f64, right: Mat<f64>) -> Result<Mat<f64>> {
    (0..gram.nrows()).for_each(|i| gram[(i, i)] += penalty);
    let factors = gram.llt(Side::Lower).map_err(|e| {
        Error::query(format!("the probe has no solution: {e:?}"), "give other examples, or combine by mean")
    })?;
    Ok(factors.solve(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both forms solve the same equations, so they agree, and the answer meets the normal equations.
    #[test]
    fn both_forms_separate_and_agree() {
        let mut random = fastrand::Rng::with_seed(5);
        let mut near = |x: f32, n: usize| -> Vec<Vec<f32>> {
            (0..n).map(|_| (0..8).map(|_| x + random.f32() - 0.5).collect()).collect()
        };
        let (p, n) = (near(0.5, 4), near(-0.5, 4));
        let dual = fit(&p, &n).unwrap();
        // Each example twice weighs the same, and makes more rows than numbers.
        let twice = |v: &[Vec<f32>]| v.iter().chain(v).cloned().collect::<Vec<_>>();
        let primal = fit(&twice(&p), &twice(&n)).unwrap();
        for x in p.iter().chain(&n) {
            let (a, b) = (dual.shown(dual.score(x)), primal.shown(primal.score(x)));
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
        assert!(p.iter().all(|x| dual.shown(dual.score(x)) > 0.0));
        assert!(n.iter().all(|x| dual.shown(dual.score(x)) < 0.0));
        assert!(fit(&[vec![1.0; 3]], &[vec![1.0; 3]]).is_err());
    }
}
