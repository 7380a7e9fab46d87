//! The sine of many numbers at once: networks of sines spend as long in it as in their matrix products.
//!
//! The standard library computes one sine at a time. Here the argument is reduced to [−π/2, π/2] by a multiple of π in three
//! parts (Cody and Waite 1980), and the Taylor series up to x²³ is summed, without branches, so that the compiler makes
//! vector instructions of it; `pulp`, which the matrix products use too, picks those that the machine has. The error is
//! below 3·10⁻¹⁶, and no fused products are used, so that all machines compute the same.

use std::f64::consts::FRAC_1_PI;

use crate::real::Real;

/// Beyond this the products with the parts of π are no longer exact.
const LARGEST: f64 = 1e6;

/// π as a sum; the first two have 33 bits each, so that their products with whole numbers below 2²⁰ are exact.
const PI: [f64; 3] = [3.141_592_653_468_251_2, 1.215_420_101_260_793_2e-10, 4.044_532_497_591_901e-21];

/// The coefficients of x³, x⁵, …, x²³.
const SERIES: [f64; 11] = {
    let mut terms = [0.0; 11];
    let (mut i, mut last) = (0, 1.0);
    while i < 11 {
        last /= -(((2 * i + 2) * (2 * i + 3)) as f64);
        terms[i] = last;
        i += 1;
    }
    terms
};

/// Replaces every v by sin(scale · v).
pub(crate) fn sines<T: Real>(values: &mut [T], scale: T) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            let mut small = true;
            for v in values.iter_mut() {
                *v = scale.times(*v);
                small &= v.wide().abs() <= LARGEST;
            }
            if small {
                values.iter_mut().for_each(|v| *v = T::of(sine(v.wide())));
            } else {
                values.iter_mut().for_each(|v| *v = T::of(v.wide().sin()));
            }
        },
    );
}

#[inline(always)]
fn sine(x: f64) -> f64 {
    let n = (x * FRAC_1_PI).round_ties_even();
    let r = ((x - n * PI[0]) - n * PI[1]) - n * PI[2];
    let square = r * r;
    let mut sum = SERIES[10];
    let mut i = 10;
    while i > 0 {
        i -= 1;
        sum = sum * square + SERIES[i];
    }
    // sin(r + nπ) = (−1)ⁿ sin r.
    let odd = n - 2.0 * (n * 0.5).floor();
    (r + r * square * sum) * (1.0 - 2.0 * odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_sine() {
        let mut x = -1.0f64;
        let mut values = vec![0.0, -0.0, 0.5, 1e-300, 1e6, -1e6, 355.0, std::f64::consts::PI];
        for i in 0..200_000 {
            x = (x * 1.3 + 0.7 + f64::from(i) * 1e-9) % 700_000.0;
            values.extend([x, x / 1e3, x / 1e6, f64::from(i) * std::f64::consts::FRAC_PI_2]);
        }
        let mut got = values.clone();
        sines(&mut got, 1.0);
        for (g, v) in got.iter().zip(&values) {
            assert!((g - v.sin()).abs() < 3e-16, "sin {v}: {g}, not {}", v.sin());
        }
        let mut single: Vec<f32> = values.iter().map(|&v| v as f32).collect();
        let expected: Vec<f32> = single.iter().map(|&v| f64::from(v * 0.5).sin() as f32).collect();
        sines(&mut single, 0.5);
        assert!(single.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= f32::EPSILON / 2.0));
    }

    #[test]
    fn large_numbers_and_none_are_right_too() {
        let mut values = [1e9, -2.5e7, 0.25, f64::NAN, f64::INFINITY];
        sines(&mut values, 2.0);
        assert_eq!(values[..3], [2e9f64.sin(), (-5e7f64).sin(), 0.5f64.sin()]);
        assert!(values[3].is_nan() && values[4].is_nan());
    }
}
