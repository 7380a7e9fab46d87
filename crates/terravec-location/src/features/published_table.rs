//! The spherical harmonics SatCLIP was trained on, which are not quite spherical harmonics.
//!
//! SatCLIP's `harmonics_calculation: analytic` evaluates formulas that sympy printed with 15 significant digits
//! (`spherical_harmonics_ylm.py`, generated 2023-07-26; also in PyPI `rshf` 0.2.2 and `rangegeo` 0.1.0). Its weights know
//! three quirks of that table, so all three are reproduced here:
//!
//! 1. the normalisation of m = 0 is √((2l+1)/4·π) where it should be √((2l+1)/(4π)): π times too large;
//! 2. no Condon–Shortley phase;
//! 3. each formula is a polynomial in cos θ whose coefficients, rounded to 15 digits, reach 10¹⁴ for l = 39 and cancel
//!    towards the poles. What remains there is rounding: at l = 39 the table is off a true harmonic by 0.01 at 55°,
//!    0.1 at 65° and 0.6 at the poles. A textbook recurrence therefore does *not* give the features L40 was trained on.
//!
//! The coefficients are derived anew: c = (−1)ᵏ C(l,k) C(2l−2k,l) / 2ˡ · (l−2k)!/(l−2k−m)! in double-double
//! arithmetic, rounded to a double and then to 15 digits, halves up. That gives every polynomial coefficient of the table
//! up to l = 40, but for six of m = 0, where sympy's own product was one unit lower ([`ONE_UNIT_LOWER`]).
//!
//! Near the poles the last digits depend on the rounding of `pow` too: two correct libraries differ there by about 10⁻³
//! at l = 39. That is a property of the published model, not of this code.

use std::f64::consts::PI;

/// The highest number of degrees the coefficients have been compared for.
pub(crate) const MAX_DEGREES: usize = 40;

/// (l, power of cos θ) of the m = 0 coefficients that are one unit of the 15th digit nearer to 0 in the table.
const ONE_UNIT_LOWER: [(usize, usize); 6] = [(7, 1), (8, 2), (23, 1), (28, 28), (36, 26), (39, 23)];

/// The table's formulas for all l below a limit.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    degrees: usize,
    /// One per (l, m ≥ 0), at l(l+1)/2 + m.
    formulas: Vec<Formula>,
}

/// factor · (1 − x²)^(m/2) · Σ coefficient · x^power, with x = cos θ.
#[derive(Debug, Clone)]
struct Formula {
    factor: f64,
    /// Highest power first; powers fall by two.
    coefficients: Vec<f64>,
}

impl Table {
    pub(crate) fn new(degrees: usize) -> Self {
        assert!(degrees <= MAX_DEGREES, "checked by the caller");
        let formulas = (0..degrees).flat_map(|l| (0..=l).map(move |m| Formula::new(l, m))).collect();
        Self { degrees, formulas }
    }

    /// The colatitude part of the formulas, `out[l(l+1)/2 + m]`, for x = cos θ.
    pub(crate) fn evaluate(&self, x: f64, out: &mut [f64]) {
        let mut powers = [1.0; MAX_DEGREES];
        let mut sines = [1.0; MAX_DEGREES];
        powers[1] = x;
        powers[2] = x * x;
        let s = 1.0 - powers[2];
        for k in 1..self.degrees {
            if k > 2 {
                powers[k] = x.powf(k as f64);
            }
            sines[k] = s.powf(k as f64 / 2.0);
        }
        let mut formulas = self.formulas.iter().zip(out);
        for l in 0..self.degrees {
            for (m, (formula, out)) in formulas.by_ref().take(l + 1).enumerate() {
                let mut sum = 0.0;
                let mut power = l - m;
                for coefficient in &formula.coefficients {
                    sum += coefficient * powers[power];
                    power = power.saturating_sub(2);
                }
                *out = formula.factor * sines[m] * sum;
            }
        }
    }
}

impl Formula {
    fn new(l: usize, m: usize) -> Self {
        let exact = (0..=(l - m) / 2).map(|k| coefficient(l, m, k));
        if m == 0 {
            // Printed expanded: the normalisation is inside the coefficients.
            let norm = (Wide::PI * Wide::from((2 * l + 1) as f64 / 4.0)).sqrt();
            let rounded = exact.enumerate().map(|(k, c)| {
                let lower = ONE_UNIT_LOWER.contains(&(l, l - 2 * k));
                fifteen_digits((norm * c).high, lower)
            });
            return Self { factor: 1.0, coefficients: rounded.collect() };
        }
        // √2 · √((2l+1)/(4π) · (l−m)!/(l+m)!)
        let ratio: f64 = (l - m + 1..=l + m).map(|n| n as f64).product();
        let norm = (2.0 * (2 * l + 1) as f64 / (4.0 * PI) / ratio).sqrt();
        if l - m < 2 {
            // A single term: the table has one number for both.
            let only = norm * coefficient(l, m, 0).high;
            return Self { factor: fifteen_digits(only, false), coefficients: vec![1.0] };
        }
        Self {
            factor: fifteen_digits(norm, false),
            coefficients: exact.map(|c| fifteen_digits(c.high, false)).collect(),
        }
    }
}

/// The coefficient of x^(l−2k−m) in the m-th derivative of the Legendre polynomial Pₗ.
fn coefficient(l: usize, m: usize, k: usize) -> Wide {
    // Below 2^112 for l ≤ 40.
    let whole = binomial(l, k) * binomial(2 * l - 2 * k, l);
    let falling = (l - 2 * k - m + 1..=l - 2 * k).map(|n| Wide::from(n as f64));
    let sign = if k.is_multiple_of(2) { 1.0 } else { -1.0 };
    let scale = Wide::from(sign * 0.5f64.powi(i32::try_from(l).unwrap_or(0)));
    falling.fold(Wide::from_whole(whole) * scale, |a, b| a * b)
}

fn binomial(n: usize, k: usize) -> u128 {
    (1..=k as u128).fold(1, |b, i| b * (n as u128 - k as u128 + i) / i)
}

/// Rounds to 15 significant digits, halves away from zero, and down by one unit more if `lower`.
fn fifteen_digits(value: f64, lower: bool) -> f64 {
    if value == 0.0 {
        return 0.0;
    }
    // d.ddd…e±x, with more digits than a double at half a unit can have.
    let text = format!("{:.60e}", value.abs());
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits: Vec<u64> = digits.bytes().filter(u8::is_ascii_digit).map(|b| u64::from(b - b'0')).collect();
    let mut units = digits[..15].iter().fold(0u64, |n, d| n * 10 + d);
    if digits[15] >= 5 {
        units += 1;
    }
    units -= u64::from(lower);
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let rounded: f64 = format!("{units}e{}", exponent - 14).parse().unwrap_or(value);
    rounded.copysign(value)
}

/// An unevaluated sum of two doubles, about 106 bits. Dekker 1971; products with a fused multiply-add.
#[derive(Debug, Clone, Copy)]
struct Wide {
    high: f64,
    low: f64,
}

impl Wide {
    const PI: Self = Self { high: PI, low: 1.224_646_799_147_353_2e-16 };

    fn sum(a: f64, b: f64) -> Self {
        let high = a + b;
        let back = high - a;
        Self { high, low: (a - (high - back)) + (b - back) }
    }

    #[allow(clippy::cast_precision_loss)]
    fn from_whole(n: u128) -> Self {
        let (upper, lower) = (n >> 64, n & u128::from(u64::MAX));
        let middle = (lower >> 32) as f64 * 4_294_967_296.0;
        let parts = Self::sum(upper as f64 * 18_446_744_073_709_551_616.0, middle);
        let parts = parts + Self::from((lower & 0xffff_ffff) as f64);
        // `upper` has at most 48 bits here, so every part was exact.
        parts
    }

    fn sqrt(self) -> Self {
        let root = self.high.sqrt();
        let square = Self::from(root) * Self::from(root);
        let rest = (self.high - square.high) + (self.low - square.low);
        Self::sum(root, rest / (2.0 * root))
    }
}

impl From<f64> for Wide {
    fn from(high: f64) -> Self {
        Self { high, low: 0.0 }
    }
}

impl std::ops::Add for Wide {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let s = Self::sum(self.high, other.high);
        Self::sum(s.high, s.low + self.low + other.low)
    }
}

impl std::ops::Mul for Wide {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let high = self.high * other.high;
        let low = self.high.mul_add(other.high, -high);
        Self::sum(high, low + self.high * other.low + self.low * other.high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_are_those_of_the_table() {
        let f = Formula::new(3, 1);
        assert_eq!((f.factor, &f.coefficients[..]), (0.304_697_199_642_977, &[7.5, -1.5][..]));
        let f = Formula::new(39, 0);
        assert_eq!(f.coefficients[0], 389_968_157_002.95);
        assert_eq!(f.coefficients[8], 52_607_578_109_899.4); // one unit lower than rounding gives
        assert_eq!(f.coefficients[19], -39.501_581_677_147);
        let f = Formula::new(39, 5);
        assert_eq!(f.coefficients[0], 3.420_512_111_198_06e18);
        assert_eq!(f.factor, 3.736_854_943_306_11e-8);
        // Exactly half a unit: 8894085278203.125 is printed as …13.
        assert_eq!(Formula::new(14, 10).coefficients[0], Formula::new(14, 10).coefficients[0].abs());
        assert!(Formula::new(14, 10).coefficients.iter().any(|&c| c.abs() == 8_894_085_278_203.13));
        assert_eq!(Formula::new(39, 38).factor, 9.397_694_593_345_52);
    }

    #[test]
    fn double_doubles_keep_what_doubles_lose() {
        let n = (1u128 << 100) + 12345;
        let w = Wide::from_whole(n);
        assert_eq!((w.high, w.low), (2f64.powi(100), 12345.0));
        let third = Wide::from(1.0 / 3.0);
        let square = third * third;
        assert!(square.low != 0.0 && (square.high - 1.0 / 9.0).abs() < 1e-16);
        let root = Wide::from(2.0).sqrt();
        let back = root * root;
        assert!((back.high - 2.0).abs() + back.low.abs() < 1e-31);
    }
}
