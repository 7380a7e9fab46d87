//! Whether shapes meet.

use crate::BBox;
use crate::rasterize::contains;
use std::ops::Add;

use geo_types::{Coord, Geometry, Line, LineString, MultiPolygon, Point, Polygon};

/// Whether a region and a shape (points, polygons) have a point in common; outlines belong to both.
#[must_use]
pub fn touches(region: &MultiPolygon<f64>, shape: &Geometry<f64>) -> bool {
    match shape {
        Geometry::Point(p) => point_touches(region, p),
        Geometry::MultiPoint(points) => points.iter().any(|p| point_touches(region, p)),
        Geometry::Polygon(polygon) => polygon_touches(region, polygon),
        Geometry::MultiPolygon(polygons) => polygons.iter().any(|p| polygon_touches(region, p)),
        Geometry::GeometryCollection(all) => all.iter().any(|g| touches(region, g)),
        Geometry::Line(line) => outline_touches(region, &LineString::from(*line)),
        Geometry::LineString(line) => outline_touches(region, line),
        Geometry::MultiLineString(lines) => lines.iter().any(|line| outline_touches(region, line)),
        Geometry::Rect(rect) => polygon_touches(region, &rect.to_polygon()),
        Geometry::Triangle(triangle) => polygon_touches(region, &triangle.to_polygon()),
    }
}

/// Inside, or on an edge.
fn point_touches(region: &MultiPolygon<f64>, p: &Point<f64>) -> bool {
    outline_touches(region, &LineString::new(vec![p.0, p.0]))
}

fn polygon_touches(region: &MultiPolygon<f64>, polygon: &Polygon<f64>) -> bool {
    // One may lie inside the other; else their outlines meet.
    let whole = MultiPolygon(vec![polygon.clone()]);
    let first = |p: &Polygon<f64>| p.exterior().0.first().copied();
    first(polygon).is_some_and(|c| contains(region, c.x, c.y))
        || region.iter().filter_map(first).any(|c| contains(&whole, c.x, c.y))
        || rings(polygon).any(|ring| outline_touches(region, ring))
}

fn rings(polygon: &Polygon<f64>) -> impl Iterator<Item = &LineString<f64>> {
    std::iter::once(polygon.exterior()).chain(polygon.interiors())
}

fn outline_touches(region: &MultiPolygon<f64>, line: &LineString<f64>) -> bool {
    line.0.first().is_some_and(|c| contains(region, c.x, c.y))
        || line
            .lines()
            .any(|a| region.iter().flat_map(rings).flat_map(LineString::lines).any(|b| cross(a, b)))
}

/// Whether two segments have a point in common.
fn cross(a: Line<f64>, b: Line<f64>) -> bool {
    let side = |l: Line<f64>, p: Coord<f64>| {
        ((l.end.x - l.start.x) * (p.y - l.start.y) - (l.end.y - l.start.y) * (p.x - l.start.x))
            .add(0.0) // -0 is 0
            .total_cmp(&0.0)
    };
    let boxed = |l: Line<f64>, p: Coord<f64>| {
        p.x >= l.start.x.min(l.end.x)
            && p.x <= l.start.x.max(l.end.x)
            && p.y >= l.start.y.min(l.end.y)
            && p.y <= l.start.y.max(l.end.y)
    };
    let (b0, b1, a0, a1) = (side(a, b.start), side(a, b.end), side(b, a.start), side(b, a.end));
    let zero = |l: Line<f64>, p: Coord<f64>| {
        let d = (l.end.x - l.start.x) * (p.y - l.start.y) - (l.end.y - l.start.y) * (p.x - l.start.x);
        d == 0.0 && boxed(l, p)
    };
    (b0 != b1 && a0 != a1) || zero(a, b.start) || zero(a, b.end) || zero(b, a.start) || zero(b, a.end)
}

/// The smallest box around a polygon; `None` where it has no vertex.
#[must_use]
pub fn bounds(polygon: &Polygon<f64>) -> Option<BBox> {
    BBox::of_points(polygon.exterior().coords().map(|c| (c.x, c.y)))
}

/// Whether polygons and a box have a point in common; outlines belong to both. One pass over the edges.
#[must_use]
pub fn touches_box(region: &MultiPolygon<f64>, b: &BBox) -> bool {
    region.iter().flat_map(rings).flat_map(LineString::lines).any(|edge| edge_touches(edge, b))
        // No edge comes near: the box lies inside, or outside.
        || contains(region, b.min_x, b.min_y)
}

fn edge_touches(edge: Line<f64>, b: &BBox) -> bool {
    let (p, q) = (edge.start, edge.end);
    if p.x.max(q.x) < b.min_x || p.x.min(q.x) > b.max_x || p.y.max(q.y) < b.min_y || p.y.min(q.y) > b.max_y {
        return false;
    }
    if b.contains(p.x, p.y) || b.contains(q.x, q.y) {
        return true;
    }
    // The line through the edge goes between corners of the box.
    let side = |x: f64, y: f64| (q.x - p.x) * (y - p.y) - (q.y - p.y) * (x - p.x);
    let sides =
        [side(b.min_x, b.min_y), side(b.max_x, b.min_y), side(b.max_x, b.max_y), side(b.min_x, b.max_y)];
    sides.iter().any(|s| *s <= 0.0) && sides.iter().any(|s| *s >= 0.0)
}

/// What of `region` lies in a box. Where a ring leaves the box and comes back, edges along the sides of the box join its parts, so that
/// the answer is right inside the box, and not on its sides.
#[must_use]
pub fn clip(region: &MultiPolygon<f64>, b: &BBox) -> MultiPolygon<f64> {
    let kept = region.iter().filter_map(|polygon| {
        let shell = clip_ring(polygon.exterior(), b);
        let holes = polygon.interiors().iter().map(|r| clip_ring(r, b)).filter(|r| r.0.len() >= 4);
        (shell.0.len() >= 4).then(|| Polygon::new(shell, holes.collect()))
    });
    kept.collect()
}

/// Sutherland and Hodgman: cut along one side after the other.
fn clip_ring(ring: &LineString<f64>, b: &BBox) -> LineString<f64> {
    type Get = fn(&Coord<f64>) -> f64;
    let (x, y): (Get, Get) = (|c| c.x, |c| c.y);
    let mut points = ring.0.clone();
    for (of, limit, sign) in [(x, b.min_x, 1.0), (x, b.max_x, -1.0), (y, b.min_y, 1.0), (y, b.max_y, -1.0)] {
        let beyond = |c: &Coord<f64>| sign * (of(c) - limit) < 0.0;
        let mut kept = Vec::with_capacity(points.len());
        for pair in points.windows(2) {
            let (p, q) = (pair[0], pair[1]);
            if !beyond(&p) {
                kept.push(p);
            }
            if beyond(&p) != beyond(&q) {
                kept.push(p + (q - p) * ((limit - of(&p)) / (of(&q) - of(&p))));
            }
        }
        kept.extend(kept.first().copied());
        points = kept;
    }
    LineString::new(points)
}

#[cfg(test)]
mod tests {
    use super::*;
    use geo_types::polygon;

    fn square(x: f64, y: f64, side: f64) -> Polygon<f64> {
        polygon![(x: x, y: y), (x: x + side, y: y), (x: x + side, y: y + side), (x: x, y: y + side)]
    }

    #[test]
    fn shapes_meet_inside_across_and_at_the_edge() {
        let mut region = square(0.0, 0.0, 10.0);
        region.interiors_push(square(4.0, 4.0, 2.0).exterior().clone());
        let region = MultiPolygon(vec![region]);
        let meets = |p: Polygon<f64>| touches(&region, &Geometry::Polygon(p));
        assert!(
            meets(square(1.0, 1.0, 1.0)) && meets(square(-5.0, -5.0, 30.0)) && meets(square(9.0, 9.0, 5.0))
        );
        assert!(!meets(square(4.5, 4.5, 1.0)), "in the hole");
        assert!(meets(square(3.5, 4.5, 1.0)), "over the edge of the hole");
        assert!(!meets(square(11.0, 0.0, 1.0)) && meets(square(10.0, 2.0, 1.0)));
        // A cross: no vertex of either lies in the other.
        assert!(meets(polygon![(x: -1.0, y: 2.0), (x: 11.0, y: 2.0), (x: 11.0, y: 3.0), (x: -1.0, y: 3.0)]));
        assert!(touches(&region, &Geometry::Point(Point::new(1.0, 1.0))));
        assert!(!touches(&region, &Geometry::Point(Point::new(5.0, 5.0))));
        for (x, y) in [(0.0, 3.0), (10.0, 3.0), (3.0, 0.0), (3.0, 10.0), (10.0, 10.0), (6.0, 5.0), (5.0, 4.0)]
        {
            assert!(touches(&region, &Geometry::Point(Point::new(x, y))), "on an edge: {x}, {y}");
        }
    }

    #[test]
    fn a_box_touches_where_its_polygon_does() {
        let mut region = square(0.0, 0.0, 10.0);
        region.interiors_push(square(4.0, 4.0, 2.0).exterior().clone());
        let region =
            MultiPolygon(vec![region, polygon![(x: 20.0, y: 0.0), (x: 30.0, y: 10.0), (x: 20.0, y: 10.0)]]);
        let mut rng = 7u64;
        let mut next = |most: f64| {
            rng = rng.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Halves, so that outlines meet, too.
            (((rng >> 33) as f64 / f64::from(1u32 << 31)) * most * 2.0).floor() / 2.0
        };
        let mut seen = [0; 2];
        for _ in 0..2000 {
            let (x, y, w, h) = (next(40.0) - 5.0, next(20.0) - 5.0, next(6.0) + 0.25, next(6.0) + 0.25);
            let b = BBox::new(x, y, x + w, y + h);
            let whole = polygon![(x: x, y: y), (x: x + w, y: y), (x: x + w, y: y + h), (x: x, y: y + h)];
            let wanted = touches(&region, &Geometry::Polygon(whole));
            assert_eq!(touches_box(&region, &b), wanted, "{b:?}");
            seen[usize::from(wanted)] += 1;
            // What is cut away lies outside the box: inside nothing changes.
            let cut = clip(&region, &b);
            for _ in 0..5 {
                let (px, py) = (x + (next(w) + 0.13).min(w - 0.01), y + (next(h) + 0.11).min(h - 0.01));
                assert_eq!(contains(&cut, px, py), contains(&region, px, py), "{b:?} {px} {py}");
            }
        }
        assert!(seen[0] > 200 && seen[1] > 200);
        assert!(clip(&region, &BBox::new(50.0, 50.0, 60.0, 60.0)).0.is_empty());
    }
}
