//! Coordinates of many rows in two flat lists, and the bounds of each row.

use geo_types::{Coord, Geometry};
use terravec_geo::{BBox, Transform, wrap_lon};

use crate::vector::check_place;

/// Coordinates, row after row.
#[derive(Default)]
pub(super) struct Coords {
    xs: Vec<f64>,
    ys: Vec<f64>,
    /// Where each row ends.
    ends: Vec<usize>,
    /// Rows that can't be read, and why.
    pub(super) problems: Vec<(usize, String)>,
}

/// Where a row is.
pub(super) struct Place {
    pub(super) bounds: BBox,
    pub(super) lon: f64,
    pub(super) lat: f64,
}

/// No place.
pub(super) const NOWHERE: BBox = BBox { min_x: f64::NAN, min_y: f64::NAN, max_x: f64::NAN, max_y: f64::NAN };

impl Coords {
    pub(super) fn push(&mut self, x: f64, y: f64) {
        self.xs.push(x);
        self.ys.push(y);
    }

    /// Ends a row; an error takes back its coordinates.
    pub(super) fn end_row(&mut self, read: Result<(), String>) {
        let before = self.ends.last().copied().unwrap_or(0);
        if let Err(what) = read {
            self.problems.push((self.ends.len(), what));
            self.xs.truncate(before);
            self.ys.truncate(before);
        }
        self.ends.push(self.xs.len());
    }

    /// Takes in all coordinates of a geometry.
    pub(super) fn push_geometry(&mut self, geometry: &Geometry<f64>) {
        let mut take = |c: &Coord<f64>| self.push(c.x, c.y);
        match geometry {
            Geometry::Point(p) => take(&p.0),
            Geometry::MultiPoint(m) => m.0.iter().for_each(|p| take(&p.0)),
            Geometry::Polygon(p) => p.exterior().0.iter().for_each(take),
            Geometry::MultiPolygon(m) => m.0.iter().flat_map(|p| &p.exterior().0).for_each(take),
            // No reader makes others.
            _ => {}
        }
    }

    /// Whether there is no coordinate that is a number.
    pub(super) fn is_empty(&self) -> bool {
        !self.xs.iter().zip(&self.ys).any(|(x, y)| x.is_finite() && y.is_finite())
    }

    /// The first coordinate that is no longitude and latitude; what is no number is not looked at.
    pub(super) fn stray_from_degrees(&self) -> Option<(f64, f64)> {
        let pairs = self.xs.iter().copied().zip(self.ys.iter().copied());
        pairs.into_iter().find(|(x, y)| x.abs() > 180.0 || y.abs() > 90.0)
    }

    /// Moves all coordinates and finds the place of each row; `None` where it has none or a problem.
    pub(super) fn places(mut self, way: Option<&Transform>) -> (Vec<Option<Place>>, Vec<(usize, String)>) {
        let finite: Vec<bool> = match way {
            Some(_) => self.xs.iter().zip(&self.ys).map(|(x, y)| x.is_finite() && y.is_finite()).collect(),
            None => Vec::new(),
        };
        if let Some(way) = way {
            way.points(&mut self.xs, &mut self.ys);
        }
        let mut places = Vec::with_capacity(self.ends.len());
        let mut from = 0;
        for (row, end) in self.ends.iter().enumerate() {
            let span = from..*end;
            from = *end;
            let lost = span.clone().any(|i| {
                finite.get(i).is_some_and(|was| *was && !(self.xs[i].is_finite() && self.ys[i].is_finite()))
            });
            let place = if lost {
                Err("its coordinates have no place on Earth in the file's CRS".into())
            } else {
                place(&self.xs[span.clone()], &self.ys[span])
            };
            places.push(place.unwrap_or_else(|what| {
                self.problems.push((row, what));
                None
            }));
        }
        self.problems.sort_by_key(|p| p.0);
        (places, self.problems)
    }
}

fn place(xs: &[f64], ys: &[f64]) -> Result<Option<Place>, String> {
    // Well-known binary and GeoArrow write an empty point as a pair of NaN.
    if xs.iter().zip(ys).all(|(x, y)| x.is_nan() && y.is_nan()) {
        return Ok(None);
    }
    if let Some(i) = (0..xs.len()).find(|i| !(xs[*i].is_finite() && ys[*i].is_finite())) {
        return Err(format!("the coordinates ({}, {}) are not finite", xs[i], ys[i]));
    }
    let (mut min_x, mut max_x) = range(xs.iter().copied());
    let (min_y, max_y) = range(ys.iter().copied());
    if xs.len() == 1 {
        let (lon, lat) = check_place(min_x, min_y)?;
        return Ok(Some(Place { bounds: BBox { min_x: lon, min_y: lat, max_x: lon, max_y: lat }, lon, lat }));
    }
    if max_x - min_x > 180.0 {
        // No footprint is that wide: it lies across the antimeridian. One that spans the globe from edge to edge does.
        let (west, east) = range(xs.iter().map(|x| if *x < 0.0 { x + 360.0 } else { *x }));
        if east > west && east - west < 180.0 {
            (min_x, max_x) = (west, east);
        }
    }
    // A footprint may reach beyond ±180; its centre, brought back, must be on Earth.
    if min_x < -360.0 || max_x > 360.0 {
        check_place(min_x, min_y)?;
        check_place(max_x, max_y)?;
    }
    let lon = wrap_lon(f64::midpoint(min_x, max_x));
    let (_, south) = check_place(lon, min_y)?;
    let (_, north) = check_place(lon, max_y)?;
    let bounds = BBox { min_x, min_y: south, max_x, max_y: north };
    Ok(Some(Place { bounds, lon, lat: f64::midpoint(south, north) }))
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(points: &[(f64, f64)]) -> Result<Option<[f64; 6]>, String> {
        let (xs, ys): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
        let place = place(&xs, &ys)?;
        Ok(place.map(|p| [p.bounds.min_x, p.bounds.min_y, p.bounds.max_x, p.bounds.max_y, p.lon, p.lat]))
    }

    #[test]
    fn the_centre_is_that_of_the_bounds() {
        assert_eq!(of(&[(1.0, 2.0)]).unwrap(), Some([1.0, 2.0, 1.0, 2.0, 1.0, 2.0]));
        let triangle = [(0.0, 0.0), (4.0, 0.0), (4.0, 2.0), (0.0, 0.0)];
        assert_eq!(of(&triangle).unwrap(), Some([0.0, 0.0, 4.0, 2.0, 2.0, 1.0]));
        assert_eq!(of(&[(f64::NAN, f64::NAN)]).unwrap(), None);
        assert_eq!(of(&[]).unwrap(), None);
    }

    #[test]
    fn footprints_across_the_antimeridian_are_narrow() {
        for points in [
            [(179.5, 1.0), (-179.5, 1.0), (-179.5, 2.0), (179.5, 2.0)],
            [(179.5, 1.0), (180.5, 1.0), (180.5, 2.0), (179.5, 2.0)],
        ] {
            assert_eq!(of(&points).unwrap(), Some([179.5, 1.0, 180.5, 2.0, 180.0, 1.5]), "{points:?}");
        }
        let globe = [(-180.0, -90.0), (180.0, -90.0), (180.0, 90.0), (-180.0, 90.0)];
        assert_eq!(of(&globe).unwrap(), Some([-180.0, -90.0, 180.0, 90.0, 0.0, 0.0]));
    }

    #[test]
    fn what_is_no_place_says_why() {
        assert!(of(&[(200.0, 1.0)]).unwrap_err().contains("360"));
        assert!(of(&[(f64::NAN, 1.0)]).unwrap_err().contains("not finite"));
        assert!(of(&[(5e5, 4e6), (6e5, 4e6)]).unwrap_err().contains("metres"));
        assert!(of(&[(1.0, 89.0), (1.0, 91.0)]).is_err());
    }
}
