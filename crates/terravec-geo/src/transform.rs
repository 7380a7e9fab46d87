//! Points from one CRS to another.

use crate::{Crs, GeoError};
use proj4rs::errors::Result as ProjResult;
use proj4rs::transform::{Transform as ProjTransform, TransformClosure};

/// Moves points between two CRSs; degrees in geographic CRSs, x before y.
///
/// Agrees with PROJ within 1 cm. A point without a place in the target (outside the projection's domain, outside the
/// outline of a world map, not finite) becomes NaN.
#[derive(Clone, Debug)]
pub struct Transform {
    from: Crs,
    to: Crs,
    identity: bool,
}

impl Transform {
    /// From one CRS to another.
    ///
    /// # Errors
    /// None today: every [`Crs`] can be projected both ways. Kept so that a CRS without an inverse may come.
    pub fn new(from: &Crs, to: &Crs) -> Result<Self, GeoError> {
        Ok(Self { identity: from.same_coordinates(to), from: from.clone(), to: to.clone() })
    }

    /// The CRS points come from.
    pub fn from(&self) -> &Crs {
        &self.from
    }

    /// The CRS points go to.
    pub fn to(&self) -> &Crs {
        &self.to
    }

    /// The way back.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self { from: self.to.clone(), to: self.from.clone(), identity: self.identity }
    }

    /// Points keep their coordinates.
    pub fn is_identity(&self) -> bool {
        self.identity
    }

    /// One point.
    ///
    /// # Errors
    /// [`GeoError::Unprojectable`] where [`Transform::points`] gives NaN.
    pub fn point(&self, x: f64, y: f64) -> Result<(f64, f64), GeoError> {
        let (mut xs, mut ys) = ([x], [y]);
        self.points(&mut xs, &mut ys);
        if xs[0].is_finite() && ys[0].is_finite() {
            Ok((xs[0], ys[0]))
        } else {
            Err(GeoError::Unprojectable { x, y, from: self.from.to_string(), to: self.to.to_string() })
        }
    }

    /// Many points in place; unprojectable ones become NaN. Of slices of unequal length the excess is left alone.
    pub fn points(&self, xs: &mut [f64], ys: &mut [f64]) {
        let n = xs.len().min(ys.len());
        let mut points = Slices { xs: &mut xs[..n], ys: &mut ys[..n] };
        if self.identity {
            return;
        }
        if self.from.is_geographic() {
            points.scale(1f64.to_radians());
        } else if let Some(middle) = self.from.outline() {
            points.blank_outside(&self.from, middle);
        }
        points.run(self.from.proj(), self.to.proj());
        if self.to.is_geographic() {
            points.scale(1f64.to_degrees());
        }
    }
}

/// Coordinates as two slices, for `proj4rs`; what fails becomes NaN and is left out of later steps.
struct Slices<'a> {
    xs: &'a mut [f64],
    ys: &'a mut [f64],
}

impl Slices<'_> {
    /// World maps such as Equal Earth have an inverse formula that goes on beyond their outline and wraps around:
    /// points that do not come back to where they started are not on the map.
    fn blank_outside(&mut self, crs: &Crs, middle: f64) {
        let (mut back_x, mut back_y) = (self.xs.to_vec(), self.ys.to_vec());
        let mut back = Slices { xs: &mut back_x, ys: &mut back_y };
        let geographic = Crs::wgs84();
        back.run(crs.proj(), geographic.proj());
        back.run(geographic.proj(), crs.proj());
        for i in 0..back_x.len() {
            // One metre. A point that near the outline may come back on its other side; NaN is outside.
            let near = |a: f64, b: f64| (a - b).abs() < 1.0;
            let (x, back) = (self.xs[i] - middle, back_x[i] - middle);
            if !((near(back, x) || near(-back, x)) && near(back_y[i], self.ys[i])) {
                (self.xs[i], self.ys[i]) = (f64::NAN, f64::NAN);
            }
        }
    }

    fn scale(&mut self, by: f64) {
        self.xs.iter_mut().chain(self.ys.iter_mut()).for_each(|v| *v *= by);
    }

    fn run(&mut self, from: &proj4rs::Proj, to: &proj4rs::Proj) {
        if proj4rs::transform::transform(from, to, self).is_err() {
            self.xs.fill(f64::NAN);
            self.ys.fill(f64::NAN);
        }
    }
}

impl ProjTransform for Slices<'_> {
    fn transform_coordinates<F: TransformClosure>(&mut self, f: &mut F) -> ProjResult<()> {
        for (x, y) in self.xs.iter_mut().zip(self.ys.iter_mut()) {
            let moved = if x.is_finite() && y.is_finite() { f(*x, *y, 0.0).ok() } else { None };
            (*x, *y) = match moved {
                Some((a, b, _)) if a.is_finite() && b.is_finite() => (a, b),
                _ => (f64::NAN, f64::NAN),
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn transform(from: u32, to: u32) -> Transform {
        Transform::new(&Crs::from_epsg(from).unwrap(), &Crs::from_epsg(to).unwrap()).unwrap()
    }

    #[test]
    fn is_shareable() {
        fn check<T: Send + Sync + Clone>() {}
        check::<Transform>();
        check::<Crs>();
    }

    #[test]
    fn known_places() {
        // EPSG Guidance Note 7-2 gives no UTM example on WGS 84; these are PROJ 9.5.1's.
        let (x, y) = transform(4326, 32616).point(-87.0, 0.0).unwrap();
        assert!((x - 500_000.0).abs() < 1e-6 && y.abs() < 1e-6);
        let (x, y) = transform(4326, 3857).point(180.0, 45.0).unwrap();
        assert!((x - 20_037_508.342_789_244).abs() < 1e-3 && (y - 5_621_521.486_192_066).abs() < 1e-3);
        assert!(transform(4326, 4258).is_identity() && transform(32616, 32616).is_identity());
        assert_eq!(transform(4326, 4269).point(-87.0, 43.0).unwrap(), (-87.0, 43.0));
    }

    #[test]
    fn nowhere_is_nan_not_panic() {
        let to = transform(4326, 3857);
        let mut xs = [0.0, f64::NAN, f64::INFINITY, 0.0, 1e300, 0.0, 10.0];
        let mut ys = [91.0, 0.0, 0.0, 90.0, 1e300, -1e300, 50.0];
        to.points(&mut xs, &mut ys);
        assert!(xs[..6].iter().chain(&ys[..6]).all(|v| v.is_nan()));
        assert!(xs[6].is_finite() && ys[6].is_finite());
        assert!(matches!(to.point(0.0, 95.0), Err(GeoError::Unprojectable { .. })));
        // The corner of an Equal Earth map is not on the Earth.
        assert!(transform(8857, 4326).point(17e6, 8e6).is_err());
        assert!(transform(8857, 8858).point(17e6, 8e6).is_err());
        assert!(transform(8857, 4326).point(17e6, 0.0).is_ok());
        // Unequal slices: the excess stays.
        let (mut xs, mut ys) = ([1.0, 2.0], [1.0]);
        to.points(&mut xs, &mut ys);
        assert_eq!(xs[1], 2.0);
    }

    proptest! {
        #[test]
        fn there_and_back(i in 0..10_000usize, lon in -180.0..180.0f64, lat in -89.0..89.0f64) {
            let codes = Crs::known_codes();
            let crs = Crs::from_epsg(codes[i % codes.len()]).unwrap();
            let there = Transform::new(&Crs::wgs84(), &crs).unwrap();
            if let Some((zone, _)) = crs.utm_zone()
                && (crate::wrap_lon(lon - (f64::from(zone) * 6.0 - 183.0))).abs() > 30.0 {
                return Ok(());
            }
            if let Ok((x, y)) = there.point(lon, lat)
                && x.abs() < 1e8 && y.abs() < 1e8 {
                let (lon2, lat2) = there.reversed().point(x, y).unwrap();
                prop_assert!((lat - lat2).abs() < 1e-7, "{crs}: {lat} {lat2}");
                prop_assert!((crate::wrap_lon(lon - lon2) * lat.to_radians().cos()).abs() < 1e-7, "{crs} {lon} {lon2}");
            }
        }

        #[test]
        fn any_numbers_any_crs_no_panic(i in 0..100_000usize, x in proptest::num::f64::ANY, y in proptest::num::f64::ANY) {
            let codes = Crs::known_codes();
            let (a, b) = (codes[i % codes.len()], codes[(i / 7) % codes.len()]);
            let (mut xs, mut ys) = ([x], [y]);
            transform(a, b).points(&mut xs, &mut ys);
        }
    }
}
