//! Distances on the Earth.

use geographiclib_rs::{Geodesic, InverseGeodesic};
use terravec_geo::BBox;

/// Mean radius of the Earth, metres.
const RADIUS: f64 = 6_371_008.8;
/// Distances on the sphere and on the ellipsoid differ by less than this part.
const SPHERE: f64 = 0.006;

/// Metres between two places (degrees) along the WGS 84 ellipsoid, by Karney's algorithm (J. Geodesy 87, 43–55, 2013).
pub(crate) fn distance(a: (f64, f64), b: (f64, f64)) -> f64 {
    Geodesic::wgs84().inverse(a.1, a.0, b.1, b.0)
}

/// Metres between two places that [`distance`] is surely not below: the great circle, less what the ellipsoid may take.
pub(crate) fn at_least(a: (f64, f64), b: (f64, f64)) -> f64 {
    let (lat_a, lat_b) = (a.1.to_radians(), b.1.to_radians());
    let (half_lat, half_lon) = ((lat_b - lat_a) / 2.0, (b.0 - a.0).to_radians() / 2.0);
    let h = half_lat.sin().powi(2) + lat_a.cos() * lat_b.cos() * half_lon.sin().powi(2);
    2.0 * RADIUS * h.sqrt().min(1.0).asin() * (1.0 - SPHERE)
}

/// Metres from a place to a box (degrees) that the distance to any place in it is surely not below.
pub(crate) fn at_least_to_box(place: (f64, f64), b: &BBox) -> f64 {
    let (lon, lat) = place;
    // Boxes may reach over ±180.
    let inside = [-360.0, 0.0, 360.0].iter().any(|turn| lon + turn >= b.min_x && lon + turn <= b.max_x);
    if inside {
        let gap = (b.min_y - lat).max(lat - b.max_y).max(0.0);
        return RADIUS * gap.to_radians() * (1.0 - SPHERE);
    }
    // The nearest place lies on the western or eastern side: on its meridian, no nearer than the whole meridian is.
    let meridian = |side: f64| {
        let turn = (side - lon + 180.0).rem_euclid(360.0) - 180.0;
        if turn.abs() >= 90.0 {
            // Beyond a quarter of a turn the nearest point of the meridian is a pole.
            RADIUS * (90.0 - lat.abs()).to_radians()
        } else {
            RADIUS * (turn.to_radians().sin().abs() * lat.to_radians().cos()).min(1.0).asin()
        }
    };
    meridian(b.min_x).min(meridian(b.max_x)) * (1.0 - SPHERE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_ellipsoid() {
        // GeographicLib's own example: JFK to LHR.
        assert!((distance((-73.8, 40.6), (-0.5, 51.6)) - 5_551_759.400).abs() < 0.01);
        assert_eq!(distance((5.0, 5.0), (5.0, 5.0)), 0.0);
    }

    #[test]
    fn bounds_are_bounds() {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut place = || (rng.f64() * 360.0 - 180.0, rng.f64() * 180.0 - 90.0);
        for _ in 0..3000 {
            let (a, b, c) = (place(), place(), place());
            assert!(at_least(a, b) <= distance(a, b) + 1e-6);
            let bounds =
                BBox { min_x: b.0.min(c.0), min_y: b.1.min(c.1), max_x: b.0.max(c.0), max_y: b.1.max(c.1) };
            for inside in [b, c, (bounds.min_x, bounds.max_y), bounds.center()] {
                let (low, is) = (at_least_to_box(a, &bounds), distance(a, inside));
                assert!(low <= is + 1e-6, "{a:?} {bounds:?} {inside:?}: {low} > {is}");
            }
        }
    }
}
