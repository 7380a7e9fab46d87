//! Boxes from one CRS to another.
//!
//! A box's image has curved edges. They are followed by samples, and each extreme is then refined between its
//! neighbouring samples, so that the result is the true box and not one cut short by the sampling. Poles and the
//! antimeridian are looked at on their own: there the extreme is not on the edge.

use crate::{BBox, Crs, GeoError, LonLatBox, Transform, wrap_lon};

/// Samples along a side where a box leaves its map, and of its interior.
const FINE: usize = 33;

/// The box around the image of a box, in the target's units.
///
/// `densify` is the number of samples along each edge (21 is plenty). Parts of the box without a place in the target
/// are left out. To a geographic CRS, a result over the antimeridian is widened to −180…180; [`lonlat_bbox_of`]
/// says it exactly.
///
/// # Errors
/// [`GeoError::UnprojectableBox`] if no part of the box has a place in the target.
pub fn transform_bbox(transform: &Transform, bbox: &BBox, densify: usize) -> Result<BBox, GeoError> {
    let fail = || GeoError::UnprojectableBox {
        bbox: bbox.to_string(),
        from: transform.from().to_string(),
        to: transform.to().to_string(),
    };
    if !bbox.is_valid() {
        return Err(fail());
    }
    if transform.is_identity() {
        return Ok(*bbox);
    }
    if transform.to().is_geographic() {
        let b = lonlat_bbox_of(transform.from(), bbox)?;
        return Ok(match b.crosses_antimeridian() {
            true => BBox::new(-180.0, b.south, 180.0, b.north),
            false => b.into(),
        });
    }
    let edges = Edges::sample(transform, bbox, densify);
    let mut points: Vec<(f64, f64)> = edges.points.clone();
    points.extend(inner_points(transform, bbox));
    let rough = BBox::of_points(points).ok_or_else(fail)?;
    Ok(edges.extremes(transform).fold(rough, |acc, p| acc.union(&p)))
}

/// The box around a box of some CRS in longitude and latitude; `west > east` over the antimeridian.
///
/// A box that holds a pole reaches it and spans all longitudes.
///
/// # Errors
/// [`GeoError::UnprojectableBox`] if no part of the box is on the Earth.
pub fn lonlat_bbox_of(crs: &Crs, bbox: &BBox) -> Result<LonLatBox, GeoError> {
    let fail = || GeoError::UnprojectableBox {
        bbox: bbox.to_string(),
        from: crs.to_string(),
        to: "longitude and latitude".into(),
    };
    if !bbox.is_valid() {
        return Err(fail());
    }
    if crs.is_geographic() {
        let (south, north) = (bbox.min_y.max(-90.0), bbox.max_y.min(90.0));
        return if south <= north {
            Ok(from_span(bbox.min_x, bbox.max_x, south, north))
        } else {
            Err(fail())
        };
    }
    let transform = Transform::new(crs, &Crs::wgs84())?;
    let edges = Edges::sample(&transform, bbox, FINE);
    let poles = poles_inside(&transform, bbox);
    if edges.points.iter().any(|p| p.0.is_nan()) {
        return leaving_the_map(&transform, bbox, &edges, poles).ok_or_else(fail);
    }
    let (mut south, mut north) = (f64::INFINITY, f64::NEG_INFINITY);
    let refined: Vec<BBox> = edges.extremes(&transform).collect();
    for lat in edges.points.iter().map(|p| p.1).chain(refined.iter().flat_map(|b| [b.min_y, b.max_y])) {
        (south, north) = (south.min(lat), north.max(lat));
    }
    if poles.iter().any(|p| *p) {
        let (south, north) = (if poles[0] { -90.0 } else { south }, if poles[1] { 90.0 } else { north });
        return Ok(LonLatBox { west: -180.0, east: 180.0, south, north });
    }
    // Walk around the box, adding up the turns: longitudes without a jump at the antimeridian.
    let mut lon = edges.points[0].0;
    let (mut west, mut east) = (lon, lon);
    for pair in edges.points.windows(2) {
        lon += turn(pair[0].0, pair[1].0);
        (west, east) = (west.min(lon), east.max(lon));
    }
    for b in refined {
        let near = |value: f64, edge: f64| edge + turn(edge, value);
        (west, east) = (west.min(near(b.min_x, west)), east.max(near(b.max_x, east)));
    }
    Ok(from_span(west, east, south, north))
}

/// The shorter way from one longitude to another, degrees.
fn turn(from: f64, to: f64) -> f64 {
    (to - from + 180.0).rem_euclid(360.0) - 180.0
}

/// A box from unwrapped longitudes.
fn from_span(west: f64, east: f64, south: f64, north: f64) -> LonLatBox {
    if east - west >= 360.0 - 1e-9 {
        return LonLatBox { west: -180.0, east: 180.0, south, north };
    }
    let mut b = LonLatBox { west: wrap_lon(west), east: wrap_lon(east), south, north };
    // 180 and −180 are one meridian: take the name that keeps the box in one piece.
    if b.east == -180.0 && b.west > b.east {
        b.east = 180.0;
    }
    if b.west == 180.0 && b.east < b.west {
        b.west = -180.0;
    }
    b
}

/// Part of the box is off the map (the corners of a world map): what is on it, found by samples, with a margin.
fn leaving_the_map(t: &Transform, bbox: &BBox, edges: &Edges, poles: [bool; 2]) -> Option<LonLatBox> {
    let mut points = edges.points.clone();
    points.extend(lattice(t, bbox));
    points.retain(|p| p.0.is_finite() && p.1.is_finite());
    let lats = BBox::of_points(points.iter().copied())?;
    let margin = lats.height() / (FINE - 1) as f64;
    // World maps draw a pole as a line, part of which may lie between the samples.
    let to_map = Transform::new(&Crs::wgs84(), t.from()).ok()?;
    let reaches = |lat: f64| {
        (-18..18).any(|i| to_map.point(f64::from(i) * 10.0, lat).is_ok_and(|(x, y)| bbox.contains(x, y)))
    };
    let south = if poles[0] || reaches(-90.0) { -90.0 } else { (lats.min_y - margin).max(-90.0) };
    let north = if poles[1] || reaches(90.0) { 90.0 } else { (lats.max_y + margin).min(90.0) };
    // Everything but the widest empty span of longitudes, unless that is no wider than sampling would leave.
    let mut lons: Vec<f64> = points.iter().map(|p| p.0).collect();
    lons.sort_by(f64::total_cmp);
    let gap_after =
        |i: usize| if i + 1 < lons.len() { lons[i + 1] - lons[i] } else { lons[0] + 360.0 - lons[i] };
    let widest = (0..lons.len()).max_by(|a, b| gap_after(*a).total_cmp(&gap_after(*b)))?;
    let gap = gap_after(widest);
    if gap < 60.0 || poles[0] || poles[1] {
        return Some(LonLatBox { west: -180.0, east: 180.0, south, north });
    }
    let margin = (360.0 - gap) / (FINE - 1) as f64;
    let west = lons[(widest + 1) % lons.len()];
    Some(from_span(west - margin, west + 360.0 - gap + margin, south, north))
}

/// Whether the south and the north pole lie in the box (edges included).
fn poles_inside(t: &Transform, bbox: &BBox) -> [bool; 2] {
    let from_lonlat = Transform::new(&Crs::wgs84(), t.from());
    [-90.0, 90.0].map(|lat| {
        let at = from_lonlat.as_ref().ok().and_then(|f| f.point(0.0, lat).ok());
        // Cylindrical maps draw the pole as a line, or not at all: it is no place inside them.
        let point_like = from_lonlat.as_ref().ok().and_then(|f| f.point(90.0, lat).ok());
        match (at, point_like) {
            (Some(a), Some(b)) => {
                let one_place = (a.0 - b.0).abs() < 1.0 && (a.1 - b.1).abs() < 1.0;
                one_place && bbox.expand(1e-6).contains(a.0, a.1)
            }
            _ => false,
        }
    })
}

/// Images of a lattice of points inside the box.
fn lattice(t: &Transform, bbox: &BBox) -> Vec<(f64, f64)> {
    let (mut xs, mut ys) = (Vec::new(), Vec::new());
    for i in 0..FINE {
        for j in 0..FINE {
            xs.push(bbox.min_x + bbox.width() * i as f64 / (FINE - 1) as f64);
            ys.push(bbox.min_y + bbox.height() * j as f64 / (FINE - 1) as f64);
        }
    }
    t.points(&mut xs, &mut ys);
    xs.into_iter().zip(ys).collect()
}

/// Images of the places inside the box where the extreme may be although they are not on its edge: the poles, both
/// sides of the meridian where the target's map is cut open, and, where the box leaves the target's domain, its inside.
fn inner_points(t: &Transform, bbox: &BBox) -> Vec<(f64, f64)> {
    let mut out = lattice(t, bbox);
    let wgs84 = Crs::wgs84();
    let (Ok(to_source), Ok(to_target), Ok(around)) =
        (Transform::new(&wgs84, t.from()), Transform::new(&wgs84, t.to()), lonlat_bbox_of(t.from(), bbox))
    else {
        return out;
    };
    let lats = (0..FINE)
        .map(|i| around.south + around.height() * i as f64 / (FINE - 1) as f64)
        .chain(around.contains(around.west, 0.0).then_some(0.0));
    let cut = t.to().cut_meridian();
    let sides = cut.into_iter().flat_map(|lon| [wrap_lon(lon - 1e-10), wrap_lon(lon + 1e-10)]);
    let sides: Vec<f64> = sides.filter(|lon| around.contains(*lon, around.south)).collect();
    let candidates = lats
        .flat_map(|lat| sides.iter().map(move |lon| (*lon, lat)).collect::<Vec<_>>())
        .chain([(0.0, -90.0), (0.0, 90.0)]);
    out.extend(candidates.filter_map(|(lon, lat)| {
        let inside = to_source.point(lon, lat).is_ok_and(|(x, y)| bbox.contains(x, y));
        inside.then(|| to_target.point(lon, lat).ok()).flatten()
    }));
    out
}

/// Images of points along a box's boundary, once around and back to the start.
struct Edges {
    bbox: BBox,
    per_side: usize,
    points: Vec<(f64, f64)>,
}

impl Edges {
    fn sample(t: &Transform, bbox: &BBox, densify: usize) -> Self {
        let per_side = densify.clamp(1, 10_000) + 1;
        let n = 4 * per_side;
        let (mut xs, mut ys): (Vec<f64>, Vec<f64>) =
            (0..=n).map(|i| along(bbox, i as f64 / per_side as f64)).unzip();
        t.points(&mut xs, &mut ys);
        Self { bbox: *bbox, per_side, points: xs.into_iter().zip(ys).collect() }
    }

    /// Refined extremes, one degenerate box for each of west, south, east and north.
    fn extremes<'a>(&'a self, t: &'a Transform) -> impl Iterator<Item = BBox> + 'a {
        let keys: [fn((f64, f64)) -> f64; 4] = [|p| -p.0, |p| -p.1, |p| p.0, |p| p.1];
        keys.into_iter().filter_map(move |key| {
            let finite = (0..self.points.len()).filter(|i| key(self.points[*i]).is_finite());
            let best = finite.max_by(|a, b| key(self.points[*a]).total_cmp(&key(self.points[*b])))?;
            let step = 1.0 / self.per_side as f64;
            let at = |s: f64| {
                let (x, y) = along(&self.bbox, s.rem_euclid(4.0));
                t.point(x, y).ok()
            };
            let value = |s: f64| at(s).map_or(f64::NEG_INFINITY, key);
            // Golden-section search for the maximum around the best sample.
            let (mut low, mut high) = ((best as f64 - 1.0) * step, (best as f64 + 1.0) * step);
            const GOLDEN: f64 = 0.618_033_988_749_894_9;
            let (mut a, mut b) = (high - GOLDEN * (high - low), low + GOLDEN * (high - low));
            let (mut fa, mut fb) = (value(a), value(b));
            for _ in 0..40 {
                if fa > fb {
                    (high, b, fb) = (b, a, fa);
                    a = high - GOLDEN * (high - low);
                    fa = value(a);
                } else {
                    (low, a, fa) = (a, b, fb);
                    b = low + GOLDEN * (high - low);
                    fb = value(b);
                }
            }
            let found = at((low + high) / 2.0)?;
            // A jump (antimeridian) is no extreme of the curve.
            let start = self.points[best];
            let jump = t.to().is_geographic() && (found.0 - start.0).abs() > 180.0;
            (!jump && key(found) >= key(start)).then(|| BBox::new(found.0, found.1, found.0, found.1))
        })
    }
}

/// The point at `s` ∈ [0, 4] along the boundary, from the south-west corner eastwards.
fn along(b: &BBox, s: f64) -> (f64, f64) {
    let t = s.fract();
    match s as usize {
        0 => (b.min_x + t * b.width(), b.min_y),
        1 => (b.max_x, b.min_y + t * b.height()),
        2 => (b.max_x - t * b.width(), b.max_y),
        3 => (b.min_x, b.max_y - t * b.height()),
        _ => (b.min_x, b.min_y),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn crs(code: u32) -> Crs {
        Crs::from_epsg(code).unwrap()
    }

    #[test]
    fn poles() {
        let b = lonlat_bbox_of(&crs(3031), &BBox::new(-1e6, -1e6, 1e6, 1e6)).unwrap();
        assert_eq!((b.west, b.east, b.south), (-180.0, 180.0, -90.0));
        assert!((-80.0..-75.0).contains(&b.north), "{b:?}");
        // Beside the pole: a proper sector, here across the antimeridian of 3413's upper edge.
        let b = lonlat_bbox_of(&crs(3995), &BBox::new(-1e5, 1e6, 1e5, 2e6)).unwrap();
        assert!(b.crosses_antimeridian() && b.north < 90.0, "{b:?}");
        assert!(b.contains(180.0, 75.0) && !b.contains(0.0, 75.0));
        let to = Transform::new(&Crs::wgs84(), &crs(3413)).unwrap();
        let b = transform_bbox(&to, &BBox::new(-180.0, 60.0, 180.0, 90.0), 21).unwrap();
        assert!((b.width() - b.height()).abs() < 1.0 && (b.min_x + b.max_x).abs() < 1.0, "{b:?}");
    }

    #[test]
    fn antimeridian() {
        // UTM zone 1 reaches over 180°.
        let b = lonlat_bbox_of(&crs(32701), &BBox::new(100_000.0, 8e6, 300_000.0, 8.1e6)).unwrap();
        assert!(b.crosses_antimeridian(), "{b:?}");
        assert!(b.contains(179.5, -17.5) && b.contains(-179.5, -17.5) && !b.contains(0.0, -17.5));
        let t = Transform::new(&crs(32701), &Crs::wgs84()).unwrap();
        let b = transform_bbox(&t, &BBox::new(100_000.0, 8e6, 300_000.0, 8.1e6), 21).unwrap();
        assert_eq!((b.min_x, b.max_x), (-180.0, 180.0));
    }

    #[test]
    fn world_maps() {
        let half = 20_037_508.342_789_244;
        let b = lonlat_bbox_of(&crs(3857), &BBox::new(-half, -half, half, half)).unwrap();
        assert_eq!((b.west, b.east), (-180.0, 180.0));
        assert!((b.north - 85.0511287).abs() < 1e-6);
        let b = lonlat_bbox_of(&crs(8857), &BBox::new(-1.73e7, -8.4e6, 1.73e7, 8.4e6)).unwrap();
        assert_eq!((b.west, b.east, b.south, b.north), (-180.0, 180.0, -90.0, 90.0));
        // Equal Earth centred on 150° is cut at 30° W, inside this box.
        let t = Transform::new(&Crs::wgs84(), &crs(8859)).unwrap();
        let b = transform_bbox(&t, &BBox::new(-60.0, -10.0, 0.0, 10.0), 21).unwrap();
        assert!(b.min_x < -1.72e7 && b.max_x > 1.72e7, "{b:?}");
        assert!(lonlat_bbox_of(&crs(8857), &BBox::new(3e7, 3e7, 4e7, 4e7)).is_err());
        assert!(transform_bbox(&t, &BBox::new(1.0, 0.0, 0.0, 1.0), 21).is_err());
    }

    #[test]
    fn degrees_stay() {
        let b = |w, e| lonlat_bbox_of(&Crs::wgs84(), &BBox::new(w, 0.0, e, 1.0)).unwrap();
        assert_eq!((b(-180.0, 180.0).west, b(-180.0, 180.0).east), (-180.0, 180.0));
        assert_eq!((b(170.0, 190.0).west, b(170.0, 190.0).east), (170.0, -170.0));
        assert_eq!((b(0.0, 360.0).west, b(0.0, 360.0).east), (-180.0, 180.0));
        assert_eq!((b(180.0, 190.0).west, b(180.0, 190.0).east), (-180.0, -170.0));
    }

    proptest! {
        #[test]
        fn every_point_is_in_the_box(zone in 1..61u8, south: bool, x in 1e5..8e5f64, y in 1e5..9e6f64, w in 10.0..2e5f64,
                                     u in 0.0..1.0f64, v in 0.0..1.0f64) {
            let crs = Crs::utm(zone, south).unwrap();
            let bbox = BBox::new(x, y, x + w, y + w);
            let b = lonlat_bbox_of(&crs, &bbox).unwrap();
            let to = Transform::new(&crs, &Crs::wgs84()).unwrap();
            let (lon, lat) = to.point(x + u * w, y + v * w).unwrap();
            let eps = 1e-7;
            let wide = LonLatBox { west: wrap_lon(b.west - eps), east: wrap_lon(b.east + eps),
                                   south: b.south - eps, north: b.north + eps };
            prop_assert!(wide.contains(lon, lat) || b.width() >= 360.0, "{b:?} {lon} {lat}");
            let planar = transform_bbox(&to.reversed(), &BBox::new(lon - 0.5, lat - 0.5, lon + 0.5, lat + 0.5), 21);
            let (px, py) = to.reversed().point(lon + u - 0.5, lat + v - 0.5).unwrap();
            prop_assert!(planar.unwrap().expand(1e-3).contains(px, py));
        }
    }
}
