//! Normalised associated Legendre functions by the stable recurrence in degree.

/// P̄ₗᵐ(x) for all 0 ≤ m ≤ l < `degrees`, such that P̄ₗᵐ(cos θ)·{1, √2 cos mφ, √2 sin mφ} are orthonormal on the
/// sphere; without Condon–Shortley phase. `out[l(l+1)/2 + m]`.
///
/// Holmes & Featherstone 2002, doi:10.1007/s00190-002-0216-2, equation 11 ("standard forward column").
pub(crate) fn normalised(degrees: usize, x: f64, out: &mut [f64]) {
    let at = |l: usize, m: usize| l * (l + 1) / 2 + m;
    let s = ((1.0 - x) * (1.0 + x)).max(0.0).sqrt();
    for m in 0..degrees {
        let f = |n: usize| n as f64;
        out[at(m, m)] = if m == 0 {
            (0.25 / std::f64::consts::PI).sqrt()
        } else {
            (f(2 * m + 1) / f(2 * m)).sqrt() * s * out[at(m - 1, m - 1)]
        };
        for l in m + 1..degrees {
            let a = (f(4 * l * l - 1) / f(l * l - m * m)).sqrt();
            let mut value = x * out[at(l - 1, m)];
            if l > m + 1 {
                let b = (f((l - 1) * (l - 1) - m * m) / f(4 * (l - 1) * (l - 1) - 1)).sqrt();
                value -= b * out[at(l - 2, m)];
            }
            out[at(l, m)] = a * value;
        }
    }
}
