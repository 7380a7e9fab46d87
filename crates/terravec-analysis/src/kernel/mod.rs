//! Dot products of a query with many rows at the speed of memory: by AVX2 where the machine has it, else in vector instructions that
//! `pulp` picks at run time.
//!
//! Sums are in float32 and only rule rows out: [`error`] bounds how far they may be off, and what might still be among the best
//! is computed again in float64 ([`exact_dot`]). So answers are those of float64, at the cost of float32.

use pulp::Arch;

#[cfg(target_arch = "x86_64")]
mod simd;

/// Numbers summed side by side: two AVX2 registers, or one of AVX-512.
const LANES: usize = 16;

/// How a signed byte stands for a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CodeRule {
    /// value = code × scale.
    Linear(f32),
    /// value = sign(code) × (code / divisor)², as AlphaEarth's; −128 says that there is none.
    SignedSquare(f32),
}

impl CodeRule {
    /// The number that a code stands for; NaN for none.
    #[must_use]
    pub fn decode(self, code: i8) -> f32 {
        let c = f64::from(code);
        #[allow(clippy::cast_possible_truncation)]
        match self {
            Self::Linear(scale) => (c * f64::from(scale)) as f32,
            Self::SignedSquare(_) if code == i8::MIN => f32::NAN,
            Self::SignedSquare(divisor) => {
                let part = c / f64::from(divisor);
                (part * part.abs()) as f32
            }
        }
    }

    fn factor(self) -> f64 {
        match self {
            Self::Linear(scale) => f64::from(scale),
            Self::SignedSquare(divisor) => f64::from(divisor).powi(-2),
        }
    }
}

/// A query as [`scan_codes`] takes it.
#[derive(Debug, Clone)]
pub struct CodeQuery {
    rule: CodeRule,
    /// Scaled, so that products with codes (or their signed squares) are those with values.
    floats: Vec<f32>,
    /// In steps, so small that no sum of products leaves 32 bits.
    whole: Vec<i16>,
    step: f64,
    beside: f64,
}

impl CodeQuery {
    /// For rows of codes that `rule` decodes.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    pub fn new(rule: CodeRule, query: &[f32]) -> Self {
        let factor = rule.factor();
        let largest = query.iter().fold(0f64, |m, q| m.max(f64::from(*q).abs()));
        let all: f64 = query.iter().map(|q| f64::from(*q).abs()).sum();
        let code = if matches!(rule, CodeRule::Linear(_)) { 128.0 } else { 128.0 * 128.0 };
        // Each number is rounded by at most half a step.
        let room = (f64::from(i32::MAX) / code - query.len() as f64).max(1.0);
        let step = (largest / 32767.0).max(all / room).max(f64::MIN_POSITIVE);
        let whole: Vec<i16> = query.iter().map(|q| (f64::from(*q) / step).round() as i16).collect();
        let off = query.iter().zip(&whole).map(|(q, w)| (f64::from(*q) - step * f64::from(*w)).powi(2));
        let (off, length) = (off.sum::<f64>().sqrt(), exact_dot(query, query).sqrt());
        Self {
            rule,
            floats: query.iter().map(|q| (f64::from(*q) * factor) as f32).collect(),
            whole,
            step,
            beside: if length > 0.0 { off / length } else { 0.0 },
        }
    }

    /// How far dot products may be off beside [`error`], for the query is rounded: a part of the product of both lengths.
    #[must_use]
    pub fn beside(&self) -> f64 {
        self.beside
    }
}

/// How far a float32 dot product of `dim` numbers may be from the true one, as a part of the product of both lengths.
///
/// The bound for any order of summation is dim·u/(1 − dim·u), u = 2⁻²⁴ (Higham 2002, 3.1); twice that leaves room for the
/// roundings of a scaled query, of lengths and of the comparison.
#[must_use]
pub fn error(dim: usize) -> f32 {
    #[allow(clippy::cast_precision_loss)]
    let n = (dim + 16) as f32;
    2.0 * n * f32::EPSILON / 2.0
}

/// Σ qᵢxᵢ in float64, in order.
#[must_use]
pub fn exact_dot(q: &[f32], x: &[f32]) -> f64 {
    q.iter().zip(x).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// Σ (qᵢ − xᵢ)² in float64, in order.
#[must_use]
pub fn exact_square_distance(q: &[f32], x: &[f32]) -> f64 {
    q.iter().zip(x).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
}

/// Dot products of `query` with each of `rows` (row-major, as long as the query), and, if `squares` is not empty, Σ xᵢ² of each.
pub fn scan(query: &[f32], rows: &[f32], dots: &mut [f32], squares: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if simd::available() {
        return simd::scan(query, rows, dots, squares);
    }
    scan_anywhere(query, rows, dots, squares);
}

fn scan_anywhere(query: &[f32], rows: &[f32], dots: &mut [f32], squares: &mut [f32]) {
    let dim = query.len();
    Arch::new().dispatch(
        #[inline(always)]
        || {
            if squares.is_empty() {
                for (row, dot) in rows.chunks_exact(dim).zip(dots) {
                    *dot = lanes_of(query, row, |q, x| q * x);
                }
            } else {
                for ((row, dot), square) in rows.chunks_exact(dim).zip(dots).zip(squares) {
                    *dot = lanes_of(query, row, |q, x| q * x);
                    *square = lanes_of(row, row, |q, x| q * x);
                }
            }
        },
    );
}

/// The same of rows of codes. Squares are of values.
#[allow(clippy::cast_possible_truncation)]
pub fn scan_codes(query: &CodeQuery, rows: &[i8], dots: &mut [f32], squares: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if simd::available() {
        let factor = query.rule.factor();
        let factors = ((factor * query.step) as f32, factor.powi(2) as f32);
        let signed = matches!(query.rule, CodeRule::SignedSquare(_));
        return simd::codes(signed, &query.whole, rows, factors, dots, squares);
    }
    codes_anywhere(query, rows, dots, squares);
}

fn codes_anywhere(query: &CodeQuery, rows: &[i8], dots: &mut [f32], squares: &mut [f32]) {
    match query.rule {
        CodeRule::Linear(_) => codes(query.rule, &query.floats, rows, dots, squares, |c| c),
        CodeRule::SignedSquare(_) => codes(query.rule, &query.floats, rows, dots, squares, |c| c * c.abs()),
    }
}

#[inline(always)]
fn codes(
    rule: CodeRule,
    prepared: &[f32],
    rows: &[i8],
    dots: &mut [f32],
    squares: &mut [f32],
    value: impl Fn(f32) -> f32 + Copy,
) {
    let dim = prepared.len();
    #[allow(clippy::cast_possible_truncation)]
    let factor = rule.factor().powi(2) as f32;
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (i, (row, dot)) in rows.chunks_exact(dim).zip(dots).enumerate() {
                *dot = lanes_of(prepared, row, |q, c| q * value(f32::from(c)));
                if let Some(square) = squares.get_mut(i) {
                    *square = factor
                        * lanes_of(row, row, |c, _| {
                            let v = value(f32::from(c));
                            v * v
                        });
                }
            }
        },
    );
}

/// Σ f(aᵢ, bᵢ), in lanes that are added at the end.
#[inline(always)]
fn lanes_of<A: Copy, B: Copy>(a: &[A], b: &[B], f: impl Fn(A, B) -> f32) -> f32 {
    let mut sums = [0f32; LANES];
    let (mut xs, mut ys) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    for (x, y) in (&mut xs).zip(&mut ys) {
        for lane in 0..LANES {
            sums[lane] += f(x[lane], y[lane]);
        }
    }
    for (lane, (x, y)) in xs.remainder().iter().zip(ys.remainder()).enumerate() {
        sums[lane] += f(*x, *y);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}

/// Bits in which each of `rows` (packed, as many bytes as the query) differs from `query`.
pub fn hamming(query: &[u8], rows: &[u8], out: &mut [u32]) {
    let bytes = query.len();
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (row, out) in rows.chunks_exact(bytes).zip(out) {
                let (mut a, mut b) = (query.chunks_exact(8), row.chunks_exact(8));
                let word = |c: &[u8]| u64::from_le_bytes([c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]]);
                let whole: u32 = (&mut a).zip(&mut b).map(|(x, y)| (word(x) ^ word(y)).count_ones()).sum();
                let rest = a.remainder().iter().zip(b.remainder());
                *out = whole + rest.map(|(x, y)| (x ^ y).count_ones()).sum::<u32>();
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    type Scan = fn(&[f32], &[f32], &mut [f32], &mut [f32]);
    type Codes = fn(&CodeQuery, &[i8], &mut [f32], &mut [f32]);

    #[test]
    fn float32_sums_stay_within_their_bound_of_float64() {
        let mut random = fastrand::Rng::with_seed(7);
        for scan in [scan as Scan, scan_anywhere] {
            for dim in [1, 3, 15, 16, 17, 64, 129, 768] {
                let q: Vec<f32> = (0..dim).map(|_| random.f32() - 0.5).collect();
                let rows: Vec<f32> = (0..dim * 37).map(|_| random.f32() - 0.5).collect();
                let (mut dots, mut squares) = (vec![0.0; 37], vec![0.0; 37]);
                scan(&q, &rows, &mut dots, &mut squares);
                let mut alone = vec![0.0; 37];
                scan(&q, &rows, &mut alone, &mut []);
                assert_eq!(alone, dots);
                let length = exact_dot(&q, &q).sqrt();
                for (i, row) in rows.chunks_exact(dim).enumerate() {
                    let square = exact_dot(row, row);
                    let slack = f64::from(error(dim));
                    assert!(
                        (f64::from(dots[i]) - exact_dot(&q, row)).abs() <= slack * length * square.sqrt()
                    );
                    assert!((f64::from(squares[i]) - square).abs() <= slack * square);
                }
            }
        }
    }

    #[test]
    fn codes_give_what_their_values_give() {
        let mut random = fastrand::Rng::with_seed(8);
        for scan in [scan_codes as Codes, codes_anywhere] {
            for rule in [CodeRule::Linear(0.003), CodeRule::SignedSquare(127.5)] {
                for dim in [1, 16, 20, 64, 1000] {
                    // The largest sums that can be, and ordinary ones.
                    for largest in [true, false] {
                        let mut number = || if largest { 1.0 } else { random.f32() - 0.5 };
                        let q: Vec<f32> = (0..dim).map(|_| number()).collect();
                        let rows: Vec<i8> =
                            (0..dim * 50).map(|_| if largest { -127 } else { random.i8(-127..) }).collect();
                        let values: Vec<f32> = rows.iter().map(|c| rule.decode(*c)).collect();
                        let query = CodeQuery::new(rule, &q);
                        assert!(query.beside() < 0.02, "{}", query.beside());
                        let (mut dots, mut squares) = (vec![0.0; 50], vec![0.0; 50]);
                        scan(&query, &rows, &mut dots, &mut squares);
                        for (i, row) in values.chunks_exact(dim).enumerate() {
                            let (dot, square) = (exact_dot(&q, row), exact_dot(row, row));
                            let slack = f64::from(error(dim)) + query.beside();
                            let slack = slack * exact_dot(&q, &q).sqrt() * square.sqrt();
                            assert!((f64::from(dots[i]) - dot).abs() <= slack, "{} {dot}", dots[i]);
                            assert!((f64::from(squares[i]) - square).abs() <= f64::from(error(dim)) * square);
                        }
                    }
                }
            }
        }
        assert_eq!(CodeRule::SignedSquare(127.5).decode(-127), -0.992_172_24);
        assert!(CodeRule::SignedSquare(127.5).decode(-128).is_nan());
    }

    #[test]
    fn bits_that_differ_are_counted() {
        let mut out = [0; 2];
        hamming(&[0xff; 11], &[[0xff; 11], [0x0f; 11]].concat(), &mut out);
        assert_eq!(out, [0, 44]);
    }
}
