//! Polygons to pixel masks, pixel for pixel as GDAL burns them (`gdal_rasterize`, `rasterio.features`).
//!
//! A pixel is in if its centre is: scanlines through the centres, even-odd rule within a polygon, union over
//! polygons. With `all_touched`, the pixels that the outlines run through are in too. GDAL's rules for ties and for
//! lines along pixel edges are kept, since masks are compared across tools.

use crate::Grid;
use geo_types::{LineString, MultiPolygon, Polygon};

/// Lines nearer than this to a pixel edge run along it and touch neither side, in pixels (as GDAL 3.10 behaves).
const ALONG_EDGE: f64 = 1e-4;
/// Lines that deviate less than this from upright or level count as such, in pixels (GDAL's constant).
const STRAIGHT: f64 = 0.01;

/// The pixels of `grid` inside the polygons (given in the grid's CRS), row by row from the north-west.
///
/// Vertices that are not finite are left out. Time is that of the edges crossed and the pixels set.
pub fn mask(grid: &Grid, polygons: &MultiPolygon<f64>, all_touched: bool) -> Vec<bool> {
    let mut canvas = Canvas {
        width: grid.width,
        height: grid.height,
        pixels: vec![false; grid.width.saturating_mul(grid.height)],
    };
    for polygon in polygons {
        let rings = rings_in_pixels(grid, polygon);
        canvas.fill(&rings);
        if all_touched {
            rings.iter().for_each(|ring| canvas.outline(ring));
        }
    }
    canvas.pixels
}

/// Whether a point lies in the polygons: even-odd within each, union over them. Of points on an outline, those on
/// western and southern sides count as inside.
pub fn contains(polygons: &MultiPolygon<f64>, x: f64, y: f64) -> bool {
    polygons.iter().any(|polygon| {
        let rings = std::iter::once(polygon.exterior()).chain(polygon.interiors());
        let crossings = rings.flat_map(LineString::lines).filter(|line| {
            let (a, b) =
                if line.start.y < line.end.y { (line.start, line.end) } else { (line.end, line.start) };
            y >= a.y && y < b.y && x < a.x + (y - a.y) * (b.x - a.x) / (b.y - a.y)
        });
        crossings.count() % 2 == 1
    })
}

type Ring = Vec<(f64, f64)>;

fn rings_in_pixels(grid: &Grid, polygon: &Polygon<f64>) -> Vec<Ring> {
    let t = &grid.affine;
    // The same order of operations as GDAL's inverse geotransform, so that ties fall alike.
    let (x0, dx, y0, dy) = (-t.c / t.a, 1.0 / t.a, -t.f / t.e, 1.0 / t.e);
    let ring = |line: &LineString<f64>| -> Ring {
        let finite = line.coords().filter(|p| p.x.is_finite() && p.y.is_finite());
        let points: Ring = finite.map(|p| (x0 + p.x * dx, y0 + p.y * dy)).collect();
        if clockwise(&points) { points } else { points.into_iter().rev().collect() }
    };
    std::iter::once(polygon.exterior()).chain(polygon.interiors()).map(ring).filter(|r| r.len() > 2).collect()
}

/// Direction of a closed ring in pixels (y down), judged at its lowest, rightmost vertex: what decides the ties of
/// horizontal edges, also for rings that cross themselves.
fn clockwise(ring: &[(f64, f64)]) -> bool {
    let n = ring.len().saturating_sub(1);
    let lower = |a: &(f64, f64), b: &(f64, f64)| a.1.total_cmp(&b.1).then(a.0.total_cmp(&b.0));
    let Some(v) = (0..n).max_by(|i, j| lower(&ring[*i], &ring[*j])) else { return true };
    let (before, at, after) = (ring[(v + n - 1) % n], ring[v], ring[(v + 1) % n]);
    let turn = (before.0 - at.0) * (after.1 - at.1) - (after.0 - at.0) * (before.1 - at.1);
    if turn != 0.0 {
        return turn < 0.0;
    }
    ring.windows(2).map(|p| p[0].0 * p[1].1 - p[1].0 * p[0].1).sum::<f64>() > 0.0
}

struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<bool>,
}

/// An edge from its upper (`y1`) to its lower end, and the last row whose centre it crosses.
struct Edge {
    x1: f64,
    y1: f64,
    x2: f64,
    y2: f64,
    first: usize,
    last: usize,
}

impl Canvas {
    /// Sets columns `from..to`, which may lie outside.
    fn span(&mut self, row: usize, from: f64, to: f64) {
        let clip = |v: f64| v.clamp(0.0, self.width as f64) as usize;
        let (from, to) = (clip(from), clip(to));
        if from < to {
            let start = row * self.width;
            self.pixels[start + from..start + to].fill(true);
        }
    }

    fn set(&mut self, row: f64, col: f64) {
        if row >= 0.0 && col >= 0.0 && row < self.height as f64 && col < self.width as f64 {
            self.pixels[row as usize * self.width + col as usize] = true;
        }
    }

    /// Pixels whose centres are inside, by the even-odd rule over all rings.
    fn fill(&mut self, rings: &[Ring]) {
        let mut edges = Vec::new();
        for ring in rings {
            for i in 0..ring.len() {
                let (a, b) = (ring[(i + ring.len() - 1) % ring.len()], ring[i]);
                if a.1 == b.1 {
                    self.horizontal(a, b);
                } else {
                    let (upper, lower) = if a.1 < b.1 { (a, b) } else { (b, a) };
                    edges.extend(self.edge(upper, lower));
                }
            }
        }
        edges.sort_unstable_by_key(|e: &Edge| e.first);
        let (mut waiting, mut active): (_, Vec<Edge>) = (edges.into_iter().peekable(), Vec::new());
        let mut crossings = Vec::new();
        let mut row = 0;
        loop {
            if active.is_empty() {
                match waiting.peek() {
                    Some(next) => row = next.first,
                    None => return,
                }
            }
            while let Some(edge) = waiting.next_if(|e| e.first <= row) {
                active.push(edge);
            }
            let y = row as f64 + 0.5;
            crossings.clear();
            // Half a pixel on, so that a column counts when its centre is beyond the crossing.
            crossings.extend(
                active.iter().map(|e| ((y - e.y1) * (e.x2 - e.x1) / (e.y2 - e.y1) + e.x1 + 0.5).floor()),
            );
            crossings.sort_unstable_by(f64::total_cmp);
            for pair in crossings.chunks_exact(2) {
                self.span(row, pair[0], pair[1]);
            }
            active.retain(|e| e.last > row);
            row += 1;
        }
    }

    /// The edge with the rows on the canvas whose centres it crosses (upper end included, lower not), if any.
    fn edge(&self, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) -> Option<Edge> {
        // First row with centre >= y.
        let row_from = |y: f64| {
            let row = (y - 0.5).ceil().clamp(0.0, self.height as f64);
            if row + 0.5 < y { row + 1.0 } else { row }
        };
        let (first, end) = (row_from(y1) as usize, row_from(y2) as usize);
        let end = end.min(self.height);
        (first < end).then(|| Edge { x1, y1, x2, y2, first, last: end - 1 })
    }

    /// A horizontal edge through pixel centres: filled on a ring's one side only, so that it is not counted twice.
    fn horizontal(&mut self, a: (f64, f64), b: (f64, f64)) {
        let row = a.1 - 0.5;
        if a.0 > b.0 && row >= 0.0 && row < self.height as f64 && row.fract() == 0.0 {
            self.span(row as usize, (b.0 + 0.5).floor(), (a.0 + 0.5).floor());
        }
    }

    /// Pixels an outline runs through.
    fn outline(&mut self, ring: &Ring) {
        for pair in ring.windows(2) {
            // From left to right.
            let (a, b) = if pair[0].0 > pair[1].0 { (pair[1], pair[0]) } else { (pair[0], pair[1]) };
            let (width, height) = (self.width as f64, self.height as f64);
            let off = |from: f64, to: f64, size: f64| (from < 0.0 && to < 0.0) || (from > size && to > size);
            if off(a.0, b.0, width) || off(a.1, b.1, height) {
                continue;
            }
            if a.0.floor() == b.0.floor() || b.0 - a.0 < STRAIGHT {
                if !(along_edge(a.0) && along_edge(b.0)) {
                    for row in steps(a.1.min(b.1), a.1.max(b.1), height) {
                        self.set(row, b.0.floor());
                    }
                }
            } else if a.1.floor() == b.1.floor() || (a.1 - b.1).abs() < STRAIGHT {
                if !(along_edge(a.1) && along_edge(b.1)) {
                    for col in steps(a.0, b.0, width) {
                        self.set(a.1.floor(), col);
                    }
                }
            } else {
                self.slope(a, b);
            }
        }
    }

    /// Pixels along a sloping line, `a` left of `b`: from pixel edge to pixel edge.
    fn slope(&mut self, a: (f64, f64), b: (f64, f64)) {
        let (width, height) = (self.width as f64, self.height as f64);
        let slope = (b.1 - a.1) / (b.0 - a.0);
        let ((mut x, mut y), (mut x_end, mut y_end)) = (a, b);
        if x_end > width {
            y_end -= (x_end - width) * slope;
            x_end = width;
        }
        if x < 0.0 {
            y -= x * slope;
            x = 0.0;
        }
        // Enter where the line enters the canvas's rows, leave where it leaves them.
        let (enter, leave) = if y_end > y { (0.0, height) } else { (height, 0.0) };
        let before = |y: f64, edge: f64| if slope > 0.0 { y < edge } else { y > edge };
        if before(y, enter) {
            x += (enter - y) / slope;
            y = enter;
        }
        if before(leave, y_end) {
            x_end += (leave - y_end) / slope;
        }
        // Steps are never shorter than this vertically, so that the walk ends.
        const LEAST: f64 = 1e-9;
        // Once past the last row nothing more can be set; on lines too steep for x to move, that is the end.
        let on_canvas = |y: f64| if slope > 0.0 { y < height } else { y >= 0.0 };
        while x >= 0.0 && x < x_end && on_canvas(y) {
            let (col, row) = (x.floor(), y.floor());
            self.set(row, col);
            let to_column = (x + 1.0).floor() - x;
            if (y + to_column * slope).floor() == row {
                x += to_column;
                y += to_column * slope;
            } else {
                let to_row = if slope < 0.0 { (row - y).min(-LEAST) } else { (row + 1.0 - y).max(LEAST) };
                x += to_row / slope;
                y += to_row;
            }
        }
    }
}

fn along_edge(v: f64) -> bool {
    (v - v.round()).abs() < ALONG_EDGE
}

/// Whole numbers of the pixels from one position to another, clipped to the canvas; barely entering one does not count.
fn steps(from: f64, to: f64, size: f64) -> impl Iterator<Item = f64> {
    let first = from.floor().max(0.0);
    let last = (to - ALONG_EDGE).floor().min(size - 1.0);
    (0..).map(move |i| first + f64::from(i)).take_while(move |v| *v <= last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Affine, Crs};
    use geo_types::polygon;
    use proptest::prelude::*;

    fn grid(width: usize, height: usize) -> Grid {
        Grid::new(
            Crs::from_epsg(3857).unwrap(),
            Affine::north_up(0.0, height as f64, 1.0, 1.0),
            width,
            height,
        )
        .unwrap()
    }

    fn count(mask: &[bool]) -> usize {
        mask.iter().filter(|m| **m).count()
    }

    #[test]
    fn square_with_a_hole() {
        let square = polygon![exterior: [(x: 1.0, y: 1.0), (x: 9.0, y: 1.0), (x: 9.0, y: 9.0), (x: 1.0, y: 9.0)],
            interiors: [[(x: 3.0, y: 3.0), (x: 5.0, y: 3.0), (x: 5.0, y: 5.0), (x: 3.0, y: 5.0)]]];
        let shape = MultiPolygon::new(vec![square.clone()]);
        let m = mask(&grid(10, 10), &shape, false);
        assert_eq!(count(&m), 60);
        // Row 5 is y 4–5: the hole's columns 3 and 4 are out.
        assert_eq!((0..10).map(|c| u8::from(m[50 + c])).collect::<Vec<_>>(), [0, 1, 1, 0, 0, 1, 1, 1, 1, 0]);
        // Edges along pixel edges touch nothing more.
        assert_eq!(mask(&grid(10, 10), &shape, true), m);
        // Parts are a union: twice the same is the same.
        assert_eq!(mask(&grid(10, 10), &MultiPolygon::new(vec![square.clone(), square]), false), m);
        assert!(contains(&shape, 2.0, 2.0) && !contains(&shape, 4.0, 4.0) && !contains(&shape, 0.0, 4.0));
    }

    #[test]
    fn odd_input() {
        let nothing = MultiPolygon::new(vec![]);
        assert_eq!(count(&mask(&grid(5, 5), &nothing, true)), 0);
        let wild = polygon![(x: f64::NAN, y: 0.0), (x: 1e300, y: -1e300), (x: f64::INFINITY, y: 2.0), (x: -1e300, y: 1e300)];
        mask(&grid(5, 5), &MultiPolygon::new(vec![wild]), true);
        for far in [1e300, f64::MAX] {
            let steep = polygon![(x: 0.5, y: -far), (x: 4.5, y: far), (x: far, y: 2.0)];
            mask(&grid(5, 5), &MultiPolygon::new(vec![steep]), true);
        }
        let everything = polygon![(x: -1e9, y: -1e9), (x: 1e9, y: -1e9), (x: 1e9, y: 1e9), (x: -1e9, y: 1e9)];
        assert_eq!(count(&mask(&grid(5, 5), &MultiPolygon::new(vec![everything]), false)), 25);
        let line = polygon![(x: 0.0, y: 2.5), (x: 5.0, y: 2.5), (x: 0.0, y: 2.5)];
        assert!(count(&mask(&grid(5, 5), &MultiPolygon::new(vec![line]), true)) <= 5);
    }

    proptest! {
        #[test]
        fn mask_is_the_centres_inside(points in proptest::collection::vec((-5.0..25.0f64, -5.0..25.0f64), 3..40)) {
            let shape = MultiPolygon::new(vec![Polygon::new(LineString::from(points), vec![])]);
            let grid = grid(20, 20);
            let centres = mask(&grid, &shape, false);
            let touched = mask(&grid, &shape, true);
            for row in 0..20 {
                for col in 0..20 {
                    let (x, y) = grid.center(col, row);
                    prop_assert_eq!(centres[row * 20 + col], contains(&shape, x, y));
                    prop_assert!(touched[row * 20 + col] || !centres[row * 20 + col]);
                }
            }
        }
    }
}
