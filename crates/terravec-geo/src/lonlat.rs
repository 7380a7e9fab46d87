//! Boxes on the globe, which may cross the antimeridian.

use crate::{BBox, GeoError};
use serde::{Deserialize, Serialize};

/// Degrees; `west > east` means that the box crosses the antimeridian.
///
/// Longitudes lie in [−180, 180], latitudes in [−90, 90], `south <= north`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct LonLatBox {
    pub west: f64,
    pub south: f64,
    pub east: f64,
    pub north: f64,
}

impl LonLatBox {
    /// The whole globe.
    pub const WORLD: Self = Self { west: -180.0, south: -90.0, east: 180.0, north: 90.0 };

    /// Checks ranges and order.
    ///
    /// # Errors
    /// [`GeoError::BadBox`], which says so when longitude and latitude look swapped.
    pub fn new(west: f64, south: f64, east: f64, north: f64) -> Result<Self, GeoError> {
        let bad =
            |reason: String| Err(GeoError::BadBox { text: format!("{west},{south},{east},{north}"), reason });
        if [west, south, east, north].iter().any(|v| !v.is_finite()) {
            return bad("four finite numbers W,S,E,N in degrees are needed".into());
        }
        if south.abs() > 90.0 || north.abs() > 90.0 {
            // Read as S,W,N,E it would be a box: the usual mistake.
            let swapped =
                west.abs() <= 90.0 && east.abs() <= 90.0 && south.abs() <= 180.0 && north.abs() <= 180.0;
            let hint = if swapped {
                "; did you swap longitude and latitude? The order is W,S,E,N"
            } else {
                "; the order is W,S,E,N in degrees"
            };
            return bad(format!("latitudes {south} and {north} must lie in [-90, 90]{hint}"));
        }
        if west.abs() > 180.0 || east.abs() > 180.0 {
            return bad(format!(
                "longitudes {west} and {east} must lie in [-180, 180]; a box over the antimeridian has west > east"
            ));
        }
        if south > north {
            return bad(format!("south ({south}) is north of north ({north}); the order is W,S,E,N"));
        }
        Ok(Self { west, south, east, north })
    }

    /// Reads `"W,S,E,N"` (degrees; commas, spaces or both).
    ///
    /// # Errors
    /// [`GeoError::BadBox`] for anything but four numbers in range.
    pub fn parse(text: &str) -> Result<Self, GeoError> {
        let parts: Vec<&str> =
            text.split(|c: char| c == ',' || c.is_whitespace()).filter(|p| !p.is_empty()).collect();
        let numbers: Vec<f64> = parts.iter().filter_map(|p| p.parse().ok()).collect();
        match numbers[..] {
            [west, south, east, north] if parts.len() == 4 => Self::new(west, south, east, north),
            _ => Err(GeoError::BadBox {
                text: crate::error::clip(text, 80),
                reason: "four numbers W,S,E,N in degrees are needed, such as -90.5,43,-90,43.5".into(),
            }),
        }
    }

    /// Whether the box crosses the antimeridian.
    pub fn crosses_antimeridian(&self) -> bool {
        self.west > self.east
    }

    /// Extent in longitude, degrees, 0–360.
    pub fn width(&self) -> f64 {
        if self.crosses_antimeridian() { self.east + 360.0 - self.west } else { self.east - self.west }
    }

    /// Extent in latitude, degrees.
    pub fn height(&self) -> f64 {
        self.north - self.south
    }

    /// The middle, (lon, lat).
    pub fn center(&self) -> (f64, f64) {
        (wrap_lon(self.west + self.width() / 2.0), (self.south + self.north) / 2.0)
    }

    /// Edges included; a longitude of −180 and one of 180 are the same place.
    pub fn contains(&self, lon: f64, lat: f64) -> bool {
        if !(lat >= self.south && lat <= self.north) {
            return false;
        }
        let within = |lon: f64| {
            if self.crosses_antimeridian() {
                lon >= self.west || lon <= self.east
            } else {
                lon >= self.west && lon <= self.east
            }
        };
        within(lon) || (lon.abs() == 180.0 && within(-lon))
    }

    /// Touching counts, over the antimeridian too.
    pub fn intersects(&self, other: &Self) -> bool {
        let parts = |b: &Self| if b.width() >= 360.0 { vec![BBox::from(Self::WORLD)] } else { b.split() };
        let theirs = parts(other);
        parts(self).iter().any(|a| {
            theirs.iter().any(|b| {
                a.intersects(b)
                    || BBox::new(a.min_x + 360.0, a.min_y, a.max_x + 360.0, a.max_y).intersects(b)
                    || BBox::new(a.min_x - 360.0, a.min_y, a.max_x - 360.0, a.max_y).intersects(b)
            })
        })
    }

    /// One planar box, or two (west part first) where the antimeridian is crossed.
    pub fn split(&self) -> Vec<BBox> {
        if self.crosses_antimeridian() {
            vec![
                BBox::new(self.west, self.south, 180.0, self.north),
                BBox::new(-180.0, self.south, self.east, self.north),
            ]
        } else {
            vec![BBox::new(self.west, self.south, self.east, self.north)]
        }
    }
}

impl From<LonLatBox> for BBox {
    /// The edges as they are, `min_x > max_x` where the antimeridian is crossed; see [`LonLatBox::split`].
    fn from(b: LonLatBox) -> Self {
        Self::new(b.west, b.south, b.east, b.north)
    }
}

impl std::fmt::Display for LonLatBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{},{},{},{}", self.west, self.south, self.east, self.north)
    }
}

impl std::str::FromStr for LonLatBox {
    type Err = GeoError;

    fn from_str(text: &str) -> Result<Self, GeoError> {
        Self::parse(text)
    }
}

/// Longitude brought into [−180, 180); values already in [−180, 180] stay as they are.
pub fn wrap_lon(lon: f64) -> f64 {
    if lon.abs() <= 180.0 { lon } else { (lon + 180.0).rem_euclid(360.0) - 180.0 }
}

/// Checks that a place is one, and says so when longitude and latitude look swapped.
///
/// # Errors
/// [`GeoError::BadLonLat`] outside [−180, 180] × [−90, 90] or when not finite.
pub fn check_lon_lat(lon: f64, lat: f64) -> Result<(), GeoError> {
    if lon.abs() <= 180.0 && lat.abs() <= 90.0 {
        return Ok(());
    }
    let reason = if lat.abs() > 90.0 && lat.abs() <= 180.0 && lon.abs() <= 90.0 {
        "did you swap longitude and latitude? Longitude comes first"
    } else {
        "longitude must lie in [-180, 180] and latitude in [-90, 90]"
    };
    Err(GeoError::BadLonLat { lon, lat, reason: reason.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parses_and_refuses() {
        let b = LonLatBox::parse("-90.5, 43,-90 43.5").unwrap();
        assert_eq!(b, LonLatBox { west: -90.5, south: 43.0, east: -90.0, north: 43.5 });
        assert_eq!(b, b.to_string().parse().unwrap());
        for (text, say) in [
            ("43,-120,44,-119", "swap"),
            ("1,2,3", "four numbers"),
            ("1,2,3,x", "four numbers"),
            ("1,2,3,4,5", "four numbers"),
            ("1,20,3,10", "south"),
            ("190,0,200,1", "antimeridian"),
            ("nan,0,1,1", "finite"),
            ("200,100,201,101", "latitudes"),
        ] {
            let error = LonLatBox::parse(text).unwrap_err().to_string();
            assert!(error.contains(say), "{text}: {error}");
        }
        assert!(check_lon_lat(43.0, -120.0).unwrap_err().to_string().contains("swap"));
        assert!(check_lon_lat(f64::NAN, 0.0).is_err());
        assert!(check_lon_lat(180.0, -90.0).is_ok());
    }

    #[test]
    fn antimeridian() {
        let fiji = LonLatBox::new(177.0, -20.0, -178.0, -16.0).unwrap();
        assert_eq!(fiji.width(), 5.0);
        assert_eq!(fiji.center(), (179.5, -18.0));
        assert!(fiji.contains(179.9, -17.0) && fiji.contains(-179.0, -17.0) && !fiji.contains(0.0, -17.0));
        assert_eq!(fiji.split().len(), 2);
        assert!(fiji.intersects(&LonLatBox::new(-179.0, -18.0, -170.0, -17.0).unwrap()));
        assert!(!fiji.intersects(&LonLatBox::new(-170.0, -18.0, -160.0, -17.0).unwrap()));
        // Two boxes that touch at the antimeridian do touch.
        let (w, e) = (
            LonLatBox::new(170.0, 0.0, 180.0, 1.0).unwrap(),
            LonLatBox::new(-180.0, 0.0, -170.0, 1.0).unwrap(),
        );
        assert!(w.intersects(&e) && w.contains(-180.0, 0.5) && e.contains(180.0, 0.5));
        assert_eq!(wrap_lon(190.0), -170.0);
        assert_eq!(wrap_lon(-540.0), -180.0);
    }

    proptest! {
        #[test]
        fn split_and_contains_agree(west in -180.0..180.0f64, east in -180.0..180.0f64, lon in -180.0..180.0f64) {
            let b = LonLatBox::new(west, -10.0, east, 10.0).unwrap();
            prop_assert_eq!(b.contains(lon, 0.0), b.split().iter().any(|p| p.contains(lon, 0.0)));
            let p = LonLatBox::new(lon, 0.0, lon, 0.0).unwrap();
            prop_assert_eq!(b.contains(lon, 0.0), b.intersects(&p));
        }
    }
}
