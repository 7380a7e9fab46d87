//! Whether shapes meet.

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
}
