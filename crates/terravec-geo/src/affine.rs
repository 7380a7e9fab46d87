//! Pixel ↔ map arithmetic. One convention everywhere: (0, 0) is the *corner* of the north-west pixel.

use serde::{Deserialize, Serialize};

/// `x = a·col + b·row + c`, `y = d·col + e·row + f` (corner convention, units of the CRS).
///
/// Pixel centres are at `col + 0.5`, `row + 0.5`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Affine {
    pub a: f64,
    pub b: f64,
    pub c: f64,
    pub d: f64,
    pub e: f64,
    pub f: f64,
}

impl Affine {
    /// The six coefficients, row by row.
    pub const fn new(a: f64, b: f64, c: f64, d: f64, e: f64, f: f64) -> Self {
        Self { a, b, c, d, e, f }
    }

    /// North-up grid whose north-west corner is (`x0`, `y0`); `res_x`, `res_y` are positive pixel sizes.
    pub const fn north_up(x0: f64, y0: f64, res_x: f64, res_y: f64) -> Self {
        Self::new(res_x, 0.0, x0, 0.0, -res_y, y0)
    }

    /// Map coordinates of a (fractional) pixel position.
    pub fn apply(&self, col: f64, row: f64) -> (f64, f64) {
        (self.a * col + self.b * row + self.c, self.d * col + self.e * row + self.f)
    }

    /// Map → pixel; `None` where the matrix is singular or not finite.
    pub fn inverse(&self) -> Option<Self> {
        let det = self.a * self.e - self.b * self.d;
        if det == 0.0 || !det.is_finite() {
            return None;
        }
        let (a, b, d, e) = (self.e / det, -self.b / det, -self.d / det, self.a / det);
        let inv = Self::new(a, b, -(a * self.c + b * self.f), d, e, -(d * self.c + e * self.f));
        [inv.a, inv.b, inv.c, inv.d, inv.e, inv.f].iter().all(|v| v.is_finite()).then_some(inv)
    }

    /// The same pixels counted from pixel (`cols`, `rows`) of this grid.
    #[must_use]
    pub fn translate(&self, cols: f64, rows: f64) -> Self {
        let (c, f) = self.apply(cols, rows);
        Self { c, f, ..*self }
    }

    /// Pixels `sx` times as wide and `sy` times as high, same origin.
    #[must_use]
    pub fn scale(&self, sx: f64, sy: f64) -> Self {
        Self::new(self.a * sx, self.b * sy, self.c, self.d * sx, self.e * sy, self.f)
    }

    /// No rotation, x grows to the right, y grows upwards.
    pub fn is_north_up(&self) -> bool {
        self.b == 0.0 && self.d == 0.0 && self.a > 0.0 && self.e < 0.0
    }

    /// GDAL's order: `[c, a, b, f, d, e]`.
    pub const fn to_gdal(&self) -> [f64; 6] {
        [self.c, self.a, self.b, self.f, self.d, self.e]
    }

    /// From GDAL's order `[c, a, b, f, d, e]`.
    pub const fn from_gdal(g: [f64; 6]) -> Self {
        Self::new(g[1], g[2], g[0], g[4], g[5], g[3])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn corners_and_orders() {
        let t = Affine::north_up(500_000.0, 4_000_000.0, 10.0, 20.0);
        assert!(t.is_north_up());
        assert_eq!(t.apply(0.0, 0.0), (500_000.0, 4_000_000.0));
        assert_eq!(t.apply(2.0, 3.0), (500_020.0, 3_999_940.0));
        assert_eq!(t.translate(2.0, 3.0).apply(0.0, 0.0), (500_020.0, 3_999_940.0));
        assert_eq!(t.scale(2.0, 4.0).apply(1.0, 1.0), (500_020.0, 3_999_920.0));
        assert_eq!(Affine::from_gdal(t.to_gdal()), t);
        assert!(!Affine::new(1.0, 0.0, 0.0, 0.0, 1.0, 0.0).is_north_up());
        assert_eq!(Affine::new(1.0, 2.0, 0.0, 2.0, 4.0, 0.0).inverse(), None);
    }

    proptest! {
        #[test]
        fn inverse_undoes(a in 0.01..100.0, e in -100.0..-0.01, b in -0.001..0.001, c in -1e6..1e6, f in -1e6..1e6,
                          col in 0.0..1e4, row in 0.0..1e4) {
            let t = Affine::new(a, b, c, b, e, f);
            let (x, y) = t.apply(col, row);
            let (col2, row2) = t.inverse().unwrap().apply(x, y);
            prop_assert!((col - col2).abs() < 1e-4 && (row - row2).abs() < 1e-4);
        }
    }
}
