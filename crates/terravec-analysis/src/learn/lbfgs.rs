//! L-BFGS for smooth convex functions (Nocedal & Wright, *Numerical Optimization*, 2nd ed., algorithm 7.5), with the line search of
//! Lewis & Overton 2013: bisection until the weak Wolfe conditions hold.

use terravec::Result;
use terravec::interrupt::Watch;

/// Steps whose change of gradient is remembered.
const MEMORY: usize = 10;
const DECREASE: f64 = 1e-4;
const CURVATURE: f64 = 0.9;

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Minimises `f`, which writes its gradient, from `x` until no slope exceeds `tolerance`. Says whether it got there.
pub(super) fn minimise(
    x: &mut Vec<f64>,
    tolerance: f64,
    iterations: usize,
    mut f: impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Result<bool> {
    let n = x.len();
    let watch = Watch::current();
    let mut gradient = vec![0.0; n];
    let mut value = f(x, &mut gradient);
    let mut memory: Vec<(Vec<f64>, Vec<f64>, f64)> = Vec::new();
    for _ in 0..iterations {
        watch.check()?;
        if gradient.iter().all(|g| g.abs() <= tolerance) {
            return Ok(true);
        }
        let mut direction = two_loops(&gradient, &memory);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 {
            memory.clear();
            direction = gradient.iter().map(|g| -g).collect();
            slope = -dot(&gradient, &gradient);
        }
        let first = if memory.is_empty() { 1.0 / slope.abs().sqrt().max(1.0) } else { 1.0 };
        let (mut low, mut high, mut step) = (0.0, f64::INFINITY, first);
        let (mut next, mut slopes, mut found) = (vec![0.0; n], vec![0.0; n], value);
        for _ in 0..60 {
            next.iter_mut().zip(x.iter()).zip(&direction).for_each(|((o, x), d)| *o = x + step * d);
            found = f(&next, &mut slopes);
            // A value that is no number is too high.
            if found.is_nan() || found > value + DECREASE * step * slope {
                high = step;
            } else if dot(&slopes, &direction) < CURVATURE * slope {
                low = step;
            } else {
                break;
            }
            step = if high.is_finite() { f64::midpoint(low, high) } else { 2.0 * low };
        }
        if found.is_nan() || found > value || step == 0.0 {
            // Rounding hides what could still be gained.
            return Ok(gradient.iter().all(|g| g.abs() <= 1e3 * tolerance));
        }
        let s: Vec<f64> = next.iter().zip(x.iter()).map(|(a, b)| a - b).collect();
        let y: Vec<f64> = slopes.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let sy = dot(&s, &y);
        if sy > 1e-300 {
            if memory.len() == MEMORY {
                memory.remove(0);
            }
            memory.push((s, y, 1.0 / sy));
        }
        (*x, gradient, value) = (next, slopes, found);
    }
    Ok(false)
}

/// Minus the inverse Hessian, as remembered, times the gradient.
fn two_loops(gradient: &[f64], memory: &[(Vec<f64>, Vec<f64>, f64)]) -> Vec<f64> {
    let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut alphas = Vec::with_capacity(memory.len());
    for (s, y, rho) in memory.iter().rev() {
        let alpha = rho * dot(s, &q);
        q.iter_mut().zip(y).for_each(|(q, y)| *q -= alpha * y);
        alphas.push(alpha);
    }
    if let Some((_, y, rho)) = memory.last() {
        let scale = 1.0 / (rho * dot(y, y));
        q.iter_mut().for_each(|q| *q *= scale);
    }
    for ((s, y, rho), alpha) in memory.iter().zip(alphas.iter().rev()) {
        let beta = rho * dot(y, &q);
        q.iter_mut().zip(s).for_each(|(q, s)| *q += (alpha - beta) * s);
    }
    q
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_bottom_of_a_narrow_valley() {
        let mut x = vec![-1.2, 1.0];
        let reached = minimise(&mut x, 1e-9, 200, |x, g| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            g[0] = -2.0 * a - 400.0 * x[0] * b;
            g[1] = 200.0 * b;
            a * a + 100.0 * b * b
        });
        assert!(reached.unwrap());
        assert!((x[0] - 1.0).abs() < 1e-8 && (x[1] - 1.0).abs() < 1e-8, "{x:?}");
    }
}
