//! Planar boxes. They know nothing of the Earth: for longitude and latitude use [`LonLatBox`](crate::LonLatBox).

use serde::{Deserialize, Serialize};

/// Turns of the globe, degrees.
pub const TURNS: [f64; 3] = [0.0, 360.0, -360.0];

/// Axis-aligned box in the units of some CRS; edges included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct BBox {
    pub min_x: f64,
    pub min_y: f64,
    pub max_x: f64,
    pub max_y: f64,
}

impl BBox {
    /// The same place in degrees as it is, and turned once around the globe either way: by these, boxes that reach over ±180 are compared.
    pub fn turned(&self) -> [Self; 3] {
        TURNS.map(|turn| Self { min_x: self.min_x + turn, max_x: self.max_x + turn, ..*self })
    }

    /// From the four edges, x before y.
    pub const fn new(min_x: f64, min_y: f64, max_x: f64, max_y: f64) -> Self {
        Self { min_x, min_y, max_x, max_y }
    }

    /// The smallest box around the finite points; `None` without any.
    pub fn of_points(points: impl IntoIterator<Item = (f64, f64)>) -> Option<Self> {
        points.into_iter().filter(|(x, y)| x.is_finite() && y.is_finite()).fold(None, |acc, (x, y)| {
            let point = Self::new(x, y, x, y);
            Some(acc.map_or(point, |b: Self| b.union(&point)))
        })
    }

    /// Extent along x.
    pub fn width(&self) -> f64 {
        self.max_x - self.min_x
    }

    /// Extent along y.
    pub fn height(&self) -> f64 {
        self.max_y - self.min_y
    }

    /// The middle, (x, y).
    pub fn center(&self) -> (f64, f64) {
        (self.min_x + self.width() / 2.0, self.min_y + self.height() / 2.0)
    }

    /// Finite and not inside out.
    pub fn is_valid(&self) -> bool {
        let finite = [self.min_x, self.min_y, self.max_x, self.max_y].iter().all(|v| v.is_finite());
        finite && self.min_x <= self.max_x && self.min_y <= self.max_y
    }

    /// Edges included.
    pub fn contains(&self, x: f64, y: f64) -> bool {
        x >= self.min_x && x <= self.max_x && y >= self.min_y && y <= self.max_y
    }

    /// Touching counts.
    pub fn intersects(&self, other: &Self) -> bool {
        self.min_x <= other.max_x
            && other.min_x <= self.max_x
            && self.min_y <= other.max_y
            && other.min_y <= self.max_y
    }

    /// The common part; `None` where they do not touch.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        self.intersects(other).then(|| {
            Self::new(
                self.min_x.max(other.min_x),
                self.min_y.max(other.min_y),
                self.max_x.min(other.max_x),
                self.max_y.min(other.max_y),
            )
        })
    }

    /// The smallest box around both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::new(
            self.min_x.min(other.min_x),
            self.min_y.min(other.min_y),
            self.max_x.max(other.max_x),
            self.max_y.max(other.max_y),
        )
    }

    /// Each edge moved outwards by `by` (inwards if negative).
    #[must_use]
    pub fn expand(&self, by: f64) -> Self {
        Self::new(self.min_x - by, self.min_y - by, self.max_x + by, self.max_y + by)
    }
}

impl std::fmt::Display for BBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{},{},{},{}", self.min_x, self.min_y, self.max_x, self.max_y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_operations() {
        let a = BBox::new(0.0, 0.0, 10.0, 10.0);
        let b = BBox::new(5.0, -5.0, 15.0, 5.0);
        assert_eq!(a.intersection(&b), Some(BBox::new(5.0, 0.0, 10.0, 5.0)));
        assert_eq!(a.union(&b), BBox::new(0.0, -5.0, 15.0, 10.0));
        assert!(a.intersects(&BBox::new(10.0, 10.0, 11.0, 11.0)));
        assert_eq!(a.intersection(&BBox::new(11.0, 0.0, 12.0, 1.0)), None);
        assert_eq!(a.expand(1.0).width(), 12.0);
        assert_eq!(a.center(), (5.0, 5.0));
        assert!(a.contains(0.0, 10.0) && !a.contains(10.1, 5.0) && !a.contains(f64::NAN, 5.0));
        assert_eq!(BBox::of_points([(f64::NAN, 1.0)]), None);
        assert_eq!(BBox::of_points([(3.0, 1.0), (2.0, 5.0)]), Some(BBox::new(2.0, 1.0, 3.0, 5.0)));
        assert!(!BBox::new(1.0, 0.0, 0.0, 1.0).is_valid());
    }
}
