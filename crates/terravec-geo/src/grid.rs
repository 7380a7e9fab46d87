//! Rasters without their pixels: CRS, affine and shape.

use crate::{Affine, BBox, Crs, GeoError, LonLatBox};

/// A rectangle of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub struct Window {
    pub col: usize,
    pub row: usize,
    pub width: usize,
    pub height: usize,
}

impl Window {
    /// From the north-west pixel and the shape.
    pub const fn new(col: usize, row: usize, width: usize, height: usize) -> Self {
        Self { col, row, width, height }
    }

    /// First column after the window.
    pub const fn end_col(&self) -> usize {
        self.col.saturating_add(self.width)
    }

    /// First row after the window.
    pub const fn end_row(&self) -> usize {
        self.row.saturating_add(self.height)
    }

    /// The common pixels; `None` if there are none.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let (col, row) = (self.col.max(other.col), self.row.max(other.row));
        let (end_col, end_row) = (self.end_col().min(other.end_col()), self.end_row().min(other.end_row()));
        (col < end_col && row < end_row).then(|| Self::new(col, row, end_col - col, end_row - row))
    }
}

/// Slack for positions that should be whole pixels, in pixels.
const SNAP: f64 = 1e-6;
/// Two grids share a lattice if their pixels differ by less than this, in pixels, over the whole grid.
const LATTICE: f64 = 1e-3;

/// A north-up raster grid: row 0 is the northern edge, pixel (0, 0)'s north-west corner is the affine's origin.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct Grid {
    pub crs: Crs,
    /// Pixel → CRS, north-up, corner convention.
    pub affine: Affine,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Grid {
    /// Checks that the affine is north-up and finite.
    ///
    /// # Errors
    /// [`GeoError::BadGrid`] for a rotated, flipped or degenerate affine or a grid without pixels.
    pub fn new(crs: Crs, affine: Affine, width: usize, height: usize) -> Result<Self, GeoError> {
        let bad = |reason: String| Err(GeoError::BadGrid { what: "grid", reason });
        if !affine.is_north_up() || affine.inverse().is_none() {
            return bad(format!("its affine {affine:?} is not north-up"));
        }
        if width == 0 || height == 0 || width.checked_mul(height).is_none() {
            return bad(format!("{width} × {height} pixels"));
        }
        Ok(Self { crs, affine, width, height })
    }

    /// The smallest grid of a resolution that covers a box. With `snap`, edges are whole multiples of the resolution
    /// (so that grids made apart fit together); without, the north-west corner is the box's.
    ///
    /// # Errors
    /// [`GeoError::BadGrid`] for a resolution that is not positive or a grid beyond 2³¹ pixels along an axis.
    pub fn covering(crs: &Crs, bbox: &BBox, res_x: f64, res_y: f64, snap: bool) -> Result<Self, GeoError> {
        let bad = |reason: String| Err(GeoError::BadGrid { what: "grid", reason });
        if !(res_x > 0.0 && res_y > 0.0 && res_x.is_finite() && res_y.is_finite()) {
            return bad(format!("resolution {res_x} × {res_y} must be positive"));
        }
        if !bbox.is_valid() {
            return bad(format!("box {bbox} must be finite with min <= max"));
        }
        let down = |v: f64, res: f64| if snap { (v / res + SNAP).floor() * res } else { v };
        let x0 = down(bbox.min_x, res_x);
        let y0 = -down(-bbox.max_y, res_y);
        let size = |extent: f64, res: f64| (extent / res - SNAP).ceil().max(1.0);
        let (width, height) = (size(bbox.max_x - x0, res_x), size(y0 - bbox.min_y, res_y));
        let limit = f64::from(i32::MAX);
        if !(width <= limit && height <= limit) {
            return bad(format!(
                "{width} × {height} pixels is more than 2^31 along an axis; coarsen the resolution"
            ));
        }
        Self::new(crs.clone(), Affine::north_up(x0, y0, res_x, res_y), width as usize, height as usize)
    }

    /// Outer edges, in the CRS.
    pub fn bounds(&self) -> BBox {
        let (min_x, max_y) = self.affine.apply(0.0, 0.0);
        let (max_x, min_y) = self.affine.apply(self.width as f64, self.height as f64);
        BBox::new(min_x, min_y, max_x, max_y)
    }

    /// Pixel size (x, y), both positive, in units of the CRS.
    pub fn res(&self) -> (f64, f64) {
        (self.affine.a.abs(), self.affine.e.abs())
    }

    /// Fractional (col, row) of a place.
    pub fn position(&self, x: f64, y: f64) -> (f64, f64) {
        ((x - self.affine.c) / self.affine.a, (y - self.affine.f) / self.affine.e)
    }

    /// The pixel a place is in, (col, row). Pixels own their western and northern edges.
    pub fn pixel_at(&self, x: f64, y: f64) -> Option<(usize, usize)> {
        let (col, row) = self.position(x, y);
        let inside = col >= 0.0 && row >= 0.0 && col < self.width as f64 && row < self.height as f64;
        inside.then_some((col as usize, row as usize))
    }

    /// Centre of a pixel, (x, y).
    pub fn center(&self, col: usize, row: usize) -> (f64, f64) {
        self.affine.apply(col as f64 + 0.5, row as f64 + 0.5)
    }

    /// All pixels a box touches, clipped to the grid. Edges within 10⁻⁶ pixel of a pixel's edge count as on it, and a
    /// box that only shares an edge with a pixel does not touch it.
    pub fn window_for(&self, bbox: &BBox) -> Option<Window> {
        let (col0, row0) = self.position(bbox.min_x, bbox.max_y);
        let (col1, row1) = self.position(bbox.max_x, bbox.min_y);
        let (col, width) = touched(col0, col1, self.width)?;
        let (row, height) = touched(row0, row1, self.height)?;
        Some(Window::new(col, row, width, height))
    }

    /// The grid of a window; the window may lie beyond this grid.
    #[must_use]
    pub fn crop(&self, window: Window) -> Self {
        Self {
            crs: self.crs.clone(),
            affine: self.affine.translate(window.col as f64, window.row as f64),
            width: window.width,
            height: window.height,
        }
    }

    /// The box around the grid in longitude and latitude.
    ///
    /// # Errors
    /// [`GeoError::UnprojectableBox`] if the grid lies outside its CRS's domain.
    pub fn lonlat_bbox(&self) -> Result<LonLatBox, GeoError> {
        crate::lonlat_bbox_of(&self.crs, &self.bounds())
    }

    /// Where the other grid's (0, 0) is in pixels of this one, (cols, rows), if both are windows of one lattice: same
    /// CRS, same resolution, whole offset (all within 10⁻³ pixel).
    pub fn same_lattice(&self, other: &Self) -> Option<(i64, i64)> {
        if self.crs != other.crs {
            return None;
        }
        let same = |a: f64, b: f64, n: usize| ((a - b) / a).abs() * n as f64 <= LATTICE;
        let (width, height) = (self.width.max(other.width), self.height.max(other.height));
        if !same(self.affine.a, other.affine.a, width) || !same(self.affine.e, other.affine.e, height) {
            return None;
        }
        let (col, row) = self.position(other.affine.c, other.affine.f);
        let whole = |v: f64| ((v - v.round()).abs() <= LATTICE && v.abs() < 1e15).then_some(v.round() as i64);
        Some((whole(col)?, whole(row)?))
    }
}

/// (first, count) of the pixels in 0..size that the interval touches.
fn touched(from: f64, to: f64, size: usize) -> Option<(usize, usize)> {
    if !(from.is_finite() && to.is_finite() && from <= to) {
        return None;
    }
    let first = (from + SNAP).floor();
    let end = (to - SNAP).ceil().max(first + 1.0).min(size as f64);
    let first = first.max(0.0);
    (first < end).then_some((first as usize, (end - first) as usize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grid() -> Grid {
        let crs = Crs::from_epsg(32616).unwrap();
        Grid::new(crs, Affine::north_up(300_000.0, 4_800_000.0, 10.0, 10.0), 97, 50).unwrap()
    }

    #[test]
    fn places_and_pixels() {
        let g = grid();
        assert_eq!(g.bounds(), BBox::new(300_000.0, 4_799_500.0, 300_970.0, 4_800_000.0));
        assert_eq!(g.res(), (10.0, 10.0));
        assert_eq!(g.center(0, 0), (300_005.0, 4_799_995.0));
        assert_eq!(g.pixel_at(300_000.0, 4_800_000.0), Some((0, 0)));
        assert_eq!(g.pixel_at(300_010.0, 4_799_990.0), Some((1, 1)));
        assert_eq!(g.pixel_at(300_970.0, 4_799_995.0), None);
        assert_eq!(g.pixel_at(299_999.9, 4_799_995.0), None);
        assert_eq!(g.pixel_at(f64::NAN, 0.0), None);
    }

    #[test]
    fn windows() {
        let g = grid();
        assert_eq!(g.window_for(&g.bounds()), Some(Window::new(0, 0, 97, 50)));
        let b = BBox::new(300_010.0, 4_799_980.0, 300_020.000_001, 4_799_990.0);
        assert_eq!(g.window_for(&b), Some(Window::new(1, 1, 1, 1)));
        let b = BBox::new(300_009.0, 4_799_979.0, 300_020.1, 4_799_990.1);
        assert_eq!(g.window_for(&b), Some(Window::new(0, 0, 3, 3)));
        let point = BBox::new(300_015.0, 4_799_995.0, 300_015.0, 4_799_995.0);
        assert_eq!(g.window_for(&point), Some(Window::new(1, 0, 1, 1)));
        assert_eq!(g.window_for(&BBox::new(0.0, 0.0, 1.0, 1.0)), None);
        assert_eq!(g.window_for(&BBox::new(300_970.0, 4_799_990.0, 300_990.0, 4_800_000.0)), None);
        assert_eq!(g.window_for(&BBox::new(-1e300, -1e300, 1e300, 1e300)), Some(Window::new(0, 0, 97, 50)));
        assert_eq!(g.window_for(&BBox::new(f64::NAN, 0.0, 1.0, 1.0)), None);
        let part = g.crop(Window::new(2, 3, 4, 5));
        assert_eq!(part.center(0, 0), g.center(2, 3));
        assert_eq!(g.same_lattice(&part), Some((2, 3)));
        assert_eq!(part.same_lattice(&g), Some((-2, -3)));
        let a = Window::new(0, 0, 5, 5);
        assert_eq!(a.intersection(&Window::new(3, 4, 10, 10)), Some(Window::new(3, 4, 2, 1)));
        assert_eq!(a.intersection(&Window::new(5, 0, 1, 1)), None);
    }

    #[test]
    fn lattices_differ() {
        let g = grid();
        let with = |affine| Grid { affine, ..g.clone() };
        assert_eq!(g.same_lattice(&with(Affine::north_up(300_005.0, 4_800_000.0, 10.0, 10.0))), None);
        assert_eq!(g.same_lattice(&with(Affine::north_up(300_000.0, 4_800_000.0, 20.0, 20.0))), None);
        assert_eq!(g.same_lattice(&Grid { crs: Crs::wgs84(), ..g.clone() }), None);
        assert_eq!(
            g.same_lattice(&with(Affine::north_up(300_000.001, 4_800_000.0, 10.0, 10.0))),
            Some((0, 0))
        );
    }

    #[test]
    fn bad_grids() {
        let crs = Crs::wgs84();
        assert!(Grid::new(crs.clone(), Affine::new(1.0, 0.0, 0.0, 0.0, 1.0, 0.0), 1, 1).is_err());
        assert!(Grid::new(crs.clone(), Affine::north_up(0.0, 0.0, 1.0, 1.0), 0, 1).is_err());
        let world = BBox::new(-180.0, -90.0, 180.0, 90.0);
        assert!(Grid::covering(&crs, &world, 0.0, 1.0, true).is_err());
        assert!(Grid::covering(&crs, &world, 1e-9, 1.0, true).is_err());
        assert!(Grid::covering(&crs, &BBox::new(1.0, 0.0, 0.0, 1.0), 1.0, 1.0, true).is_err());
        let g = Grid::covering(&crs, &world, 0.25, 0.25, true).unwrap();
        assert_eq!((g.width, g.height), (1440, 720));
    }

    proptest! {
        #[test]
        fn covering_covers(x in -1e6..1e6f64, y in -1e6..1e6f64, w in 0.0..1e4f64, h in 0.0..1e4f64, res in 0.5..100.0f64,
                           snap: bool) {
            let bbox = BBox::new(x, y, x + w, y + h);
            let g = Grid::covering(&Crs::from_epsg(3857).unwrap(), &bbox, res, res, snap).unwrap();
            let b = g.bounds().expand(res * 2e-6);
            prop_assert!(b.contains(bbox.min_x, bbox.min_y) && b.contains(bbox.max_x, bbox.max_y));
            prop_assert!(g.width as f64 * res <= w + 2.0 * res && g.height as f64 * res <= h + 2.0 * res);
        }

        #[test]
        fn pixel_and_center_agree(col in 0..97usize, row in 0..50usize) {
            let (x, y) = grid().center(col, row);
            prop_assert_eq!(grid().pixel_at(x, y), Some((col, row)));
        }
    }
}
