//! Real spherical harmonics as input features, in the three conventions that occur.

use std::f64::consts::{PI, SQRT_2};

use super::legendre;
use super::published_table::{MAX_DEGREES, Table};

/// Which convention, since they are not interchangeable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HarmonicsKind {
    /// What SatCLIP's checkpoints were trained with (`harmonics_calculation: analytic`), rounding and all.
    Analytic,
    /// SatCLIP's `harmonics_calculation: closed-form`: orthonormal, with Condon–Shortley phase.
    ClosedForm,
    /// The textbook basis over longitude and colatitude: orthonormal, without Condon–Shortley phase.
    Geographic,
}

/// The harmonics Yₗᵐ with 0 ≤ l < degrees, ordered by l and then by m = −l…l: degrees² features.
#[derive(Debug, Clone)]
pub struct Harmonics {
    kind: HarmonicsKind,
    degrees: usize,
    table: Option<Table>,
}

impl Harmonics {
    /// `None` where [`HarmonicsKind::Analytic`] is asked for more than 40 degrees, which no checkpoint uses.
    #[must_use]
    pub fn new(kind: HarmonicsKind, degrees: usize) -> Option<Self> {
        let table = match kind {
            HarmonicsKind::Analytic if degrees > MAX_DEGREES => return None,
            HarmonicsKind::Analytic => Some(Table::new(degrees)),
            _ => None,
        };
        Some(Self { kind, degrees, table })
    }

    /// The number of features.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.degrees * self.degrees
    }

    /// The features of a place in degrees. `out` must have [`Self::dim`] entries.
    ///
    /// SatCLIP's angles are φ = lon + 180° and θ = lat + 90°, counted from the south pole
    /// (`satclip/positional_encoding/spherical_harmonics.py`); the geographic ones are lon and 90° − lat.
    ///
    /// # Panics
    /// When `out` has another length.
    pub fn evaluate(&self, lon: f64, lat: f64, out: &mut [f64]) {
        assert_eq!(out.len(), self.dim());
        // Radians as torch.deg2rad computes them: the analytic table amplifies the last bit.
        const RADIAN: f64 = PI / 180.0;
        let (phi, x) = match self.kind {
            HarmonicsKind::Geographic => (lon * RADIAN, (lat * RADIAN).sin()),
            _ => ((lon + 180.0) * RADIAN, ((lat + 90.0) * RADIAN).cos()),
        };
        let mut colatitude = vec![0.0; self.degrees * (self.degrees + 1) / 2];
        match &self.table {
            Some(table) => table.evaluate(x, &mut colatitude),
            None => legendre::normalised(self.degrees, x, &mut colatitude),
        }
        for m in 0..self.degrees {
            let (sine, cosine) = (m as f64 * phi).sin_cos();
            // The table has √2 inside.
            let scale = match self.kind {
                HarmonicsKind::Analytic => 1.0,
                HarmonicsKind::ClosedForm if m % 2 == 1 => -SQRT_2,
                _ => SQRT_2,
            };
            for l in m..self.degrees {
                let p = colatitude[l * (l + 1) / 2 + m];
                let centre = l * l + l;
                if m == 0 {
                    out[centre] = p;
                } else {
                    out[centre + m] = scale * p * cosine;
                    out[centre - m] = scale * p * sine;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: HarmonicsKind, degrees: usize, lon: f64, lat: f64) -> Vec<f64> {
        let harmonics = Harmonics::new(kind, degrees).expect("in range");
        let mut out = vec![0.0; harmonics.dim()];
        harmonics.evaluate(lon, lat, &mut out);
        out
    }

    #[test]
    fn analytic_equals_values_computed_with_the_published_table() {
        let golden = [
            ((0.0, 0.0), [0.886_226_93, 0.0, 0.0, -0.488_602_51, 0.0, 0.0, -0.990_831_82, 0.0, 0.546_274_22]),
            (
                (2.3522, 48.8566),
                [
                    0.886_226_93,
                    -0.013_193_97,
                    -1.155_947_65,
                    -0.321_203_13,
                    0.019_394_77,
                    0.022_217_39,
                    0.694_891_89,
                    0.540_875_58,
                    0.235_681_48,
                ],
            ),
        ];
        for ((lon, lat), expected) in golden {
            let got = of(HarmonicsKind::Analytic, 10, lon, lat);
            for (g, e) in got.iter().zip(expected) {
                assert!((g - e).abs() < 1e-8, "{got:?}");
            }
        }
    }

    #[test]
    fn the_analytic_table_is_a_scaled_harmonic_where_it_does_not_cancel() {
        for lat in [-20.0, 0.0, 11.5] {
            let table = of(HarmonicsKind::Analytic, 40, -71.3, lat);
            let closed = of(HarmonicsKind::ClosedForm, 40, -71.3, lat);
            for l in 0..40usize {
                for m in -(l as isize)..=l as isize {
                    let at = (l * l + l).wrapping_add_signed(m);
                    let factor = if m == 0 { PI } else { [1.0, -1.0][m.unsigned_abs() % 2] };
                    assert!((table[at] - factor * closed[at]).abs() < 1e-7, "l {l} m {m}");
                }
            }
        }
        assert!(Harmonics::new(HarmonicsKind::Analytic, 41).is_none());
    }

    #[test]
    fn geographic_harmonics_are_orthonormal() {
        // Exact for polynomials of this degree: Gauss–Legendre by Newton in sin(lat), uniform in lon.
        let (degrees, n) = (6, 12);
        let mut gram = vec![0.0; 36 * 36];
        for i in 0..n {
            let mut x = ((i as f64 + 0.75) / (n as f64 + 0.5) * PI).cos();
            let mut slope = 0.0;
            for _ in 0..50 {
                let (mut p, mut q) = (1.0, 0.0);
                for j in 0..n {
                    (p, q) = (((2 * j + 1) as f64 * x * p - j as f64 * q) / (j + 1) as f64, p);
                }
                slope = n as f64 * (x * p - q) / (x * x - 1.0);
                x -= p / slope;
            }
            let weight = 2.0 / ((1.0 - x * x) * slope * slope);
            for j in 0..24 {
                let y =
                    of(HarmonicsKind::Geographic, degrees, j as f64 * 15.0 - 180.0, x.asin().to_degrees());
                for a in 0..36 {
                    for b in 0..36 {
                        gram[a * 36 + b] += weight * 2.0 * PI / 24.0 * y[a] * y[b];
                    }
                }
            }
        }
        for a in 0..36 {
            for b in 0..36 {
                let expected = f64::from(u8::from(a == b));
                assert!((gram[a * 36 + b] - expected).abs() < 1e-12, "{a} {b} {}", gram[a * 36 + b]);
            }
        }
    }
}
