//! AVX2 forms of the scans, for which vectorised Rust stays at a tenth (codes) to a half (float32) of the speed of memory.
//!
//! The only module with unsafe code. Everything unsafe is here because of two facts, which each function states: the instructions exist,
//! since [`available`] was asked, and no load reaches beyond a slice, since loops run over `chunks_exact` of the width that is loaded.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

/// Whether this machine has the instructions used here. The answer is cached by the standard library.
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// The sum of eight numbers.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn sum_ps(v: __m256) -> f32 {
    let half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
    let pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
    _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)))
}

/// The sum of eight whole numbers.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn sum_epi32(v: __m256i) -> i32 {
    let half = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
    let pair = _mm_add_epi32(half, _mm_unpackhi_epi64(half, half));
    _mm_cvtsi128_si32(_mm_add_epi32(pair, _mm_shuffle_epi32::<1>(pair)))
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn load_ps(part: &[f32; 8]) -> __m256 {
    // SAFETY: the array has the eight numbers that are loaded; the load needs no alignment.
    unsafe { _mm256_loadu_ps(part.as_ptr()) }
}

/// Sixteen codes as 16-bit numbers.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn load_codes(part: &[i8; 16]) -> __m256i {
    // SAFETY: the array has the sixteen bytes that are loaded; the load needs no alignment.
    _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(part.as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn load_epi16(part: &[i16; 16]) -> __m256i {
    // SAFETY: the array has the sixteen numbers that are loaded; the load needs no alignment.
    unsafe { _mm256_loadu_si256(part.as_ptr().cast()) }
}

/// Σ qᵢxᵢ and, if `SQUARES`, Σ xᵢ² of each row.
#[target_feature(enable = "avx2,fma")]
fn scan_with<const SQUARES: bool>(query: &[f32], rows: &[f32], dots: &mut [f32], squares: &mut [f32]) {
    let (q_parts, q_rest) = query.as_chunks::<8>();
    for (i, (row, dot)) in rows.chunks_exact(query.len()).zip(dots).enumerate() {
        let (parts, rest) = row.as_chunks::<8>();
        let (mut d, mut s) = ([_mm256_setzero_ps(); 2], [_mm256_setzero_ps(); 2]);
        for (j, (q, x)) in q_parts.iter().zip(parts).enumerate() {
            let x = load_ps(x);
            d[j % 2] = _mm256_fmadd_ps(load_ps(q), x, d[j % 2]);
            if SQUARES {
                s[j % 2] = _mm256_fmadd_ps(x, x, s[j % 2]);
            }
        }
        let tail: f32 = q_rest.iter().zip(rest).map(|(q, x)| q * x).sum();
        *dot = sum_ps(_mm256_add_ps(d[0], d[1])) + tail;
        if SQUARES {
            squares[i] = sum_ps(_mm256_add_ps(s[0], s[1])) + rest.iter().map(|x| x * x).sum::<f32>();
        }
    }
}

/// [`super::scan`]; needs [`available`].
pub(super) fn scan(query: &[f32], rows: &[f32], dots: &mut [f32], squares: &mut [f32]) {
    assert!(available());
    if squares.is_empty() {
        // SAFETY: the machine has the instructions.
        unsafe { scan_with::<false>(query, rows, dots, squares) }
    } else {
        // SAFETY: the machine has the instructions.
        unsafe { scan_with::<true>(query, rows, dots, squares) }
    }
}

/// Σ qᵢvᵢ and, if `WITH`, Σ vᵢ² of each row, v = c or, if `SIGNED`, c·|c|. Sums of products are whole and must fit into 32 bits;
/// squares are added in float32.
#[target_feature(enable = "avx2,fma")]
fn codes_with<const SIGNED: bool, const WITH: bool>(
    query: &[i16],
    rows: &[i8],
    factors: (f32, f32),
    dots: &mut [f32],
    squares: &mut [f32],
) {
    let (q_parts, q_rest) = query.as_chunks::<16>();
    let value = |c: i8| if SIGNED { i32::from(c) * i32::from(c).abs() } else { i32::from(c) };
    for (i, (row, dot)) in rows.chunks_exact(query.len()).zip(dots).enumerate() {
        let (parts, rest) = row.as_chunks::<16>();
        let (mut d, mut s) = (_mm256_setzero_si256(), _mm256_setzero_ps());
        for (q, c) in q_parts.iter().zip(parts) {
            let c = load_codes(c);
            let v = if SIGNED { _mm256_mullo_epi16(c, _mm256_abs_epi16(c)) } else { c };
            d = _mm256_add_epi32(d, _mm256_madd_epi16(load_epi16(q), v));
            if WITH {
                s = _mm256_add_ps(s, _mm256_cvtepi32_ps(_mm256_madd_epi16(v, v)));
            }
        }
        let tail: i32 = q_rest.iter().zip(rest).map(|(q, c)| i32::from(*q) * value(*c)).sum();
        #[allow(clippy::cast_precision_loss)]
        {
            *dot = factors.0 * (sum_epi32(d) + tail) as f32;
            if WITH {
                let tail: f32 = rest.iter().map(|c| (value(*c) as f32).powi(2)).sum();
                squares[i] = factors.1 * (sum_ps(s) + tail);
            }
        }
    }
}

/// [`super::scan_codes`], with a query of whole numbers: dots are multiplied by `factors.0`, squares by `factors.1`. Needs
/// [`available`].
pub(super) fn codes(
    signed: bool,
    query: &[i16],
    rows: &[i8],
    factors: (f32, f32),
    dots: &mut [f32],
    squares: &mut [f32],
) {
    assert!(available());
    match (signed, squares.is_empty()) {
        // SAFETY: the machine has the instructions.
        (false, true) => unsafe { codes_with::<false, false>(query, rows, factors, dots, squares) },
        // SAFETY: as above.
        (false, false) => unsafe { codes_with::<false, true>(query, rows, factors, dots, squares) },
        // SAFETY: as above.
        (true, true) => unsafe { codes_with::<true, false>(query, rows, factors, dots, squares) },
        // SAFETY: as above.
        (true, false) => unsafe { codes_with::<true, true>(query, rows, factors, dots, squares) },
    }
}
