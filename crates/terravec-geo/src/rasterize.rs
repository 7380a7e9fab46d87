//! Polygons to masks, by GDAL's rules: a pixel is inside where its centre is (half-open scan lines), or, with `all_touched`, also where
//! an edge of the polygon runs through it.
//!
//! One pass over the edges sorts them by the rows they cross; rows then cost what their edges cost, so polygons of ten thousand vertices on
//! large grids are cheap.

use geo_types::MultiPolygon;

use crate::Grid;

/// Which pixels of `grid` lie in the polygons, row by row. Polygons are in the grid's CRS.
#[must_use]
pub fn rasterize(polygons: &[MultiPolygon<f64>], grid: &Grid, all_touched: bool) -> Vec<bool> {
    let mut mask = vec![false; grid.width * grid.height];
    for polygon in polygons.iter().flat_map(|m| m.0.iter()) {
        let edges: Vec<Edge> = std::iter::once(polygon.exterior())
            .chain(polygon.interiors())
            .flat_map(|ring| ring.lines())
            .map(|l| Edge { from: grid.position(l.start.x, l.start.y), to: grid.position(l.end.x, l.end.y) })
            .collect();
        fill(&edges, grid, &mut mask);
        if all_touched {
            edges.iter().for_each(|e| e.touch(grid, &mut mask));
        }
    }
    mask
}

/// An edge in pixels.
#[derive(Debug, Clone, Copy)]
struct Edge {
    from: (f64, f64),
    to: (f64, f64),
}

/// A whole number clamped to `0..=limit`; NaN is 0.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn clamp(v: f64, limit: usize) -> usize {
    v.clamp(0.0, limit as f64) as usize
}

#[allow(clippy::cast_precision_loss)]
fn fill(edges: &[Edge], grid: &Grid, mask: &mut [bool]) {
    let (width, height) = (grid.width, grid.height);
    let mut crossings: Vec<Vec<f64>> = vec![Vec::new(); height];
    for e in edges {
        let (low, high) = if e.from.1 <= e.to.1 { (e.from, e.to) } else { (e.to, e.from) };
        // Rows whose centre line y satisfies low < y <= high, as GDAL has it.
        let (first, end) =
            (clamp((low.1 - 0.5).floor() + 1.0, height), clamp((high.1 - 0.5).floor() + 1.0, height));
        for (row, crossings) in crossings.iter_mut().enumerate().take(end).skip(first) {
            let y = row as f64 + 0.5;
            crossings.push(low.0 + (y - low.1) / (high.1 - low.1) * (high.0 - low.0));
        }
    }
    for (row, xs) in crossings.iter_mut().enumerate() {
        xs.sort_unstable_by(f64::total_cmp);
        for pair in xs.chunks_exact(2) {
            // Columns whose centre lies in [left, right).
            let (start, end) = (clamp((pair[0] - 0.5).ceil(), width), clamp((pair[1] - 0.5).ceil(), width));
            if start < end {
                mask[row * width + start..row * width + end].fill(true);
            }
        }
    }
}

impl Edge {
    /// Marks every pixel that the edge runs through.
    #[allow(clippy::cast_precision_loss)]
    fn touch(self, grid: &Grid, mask: &mut [bool]) {
        let (width, height) = (grid.width, grid.height);
        let (low, high) = if self.from.1 <= self.to.1 { (self.from, self.to) } else { (self.to, self.from) };
        if !(low.0.is_finite() && low.1.is_finite() && high.0.is_finite() && high.1.is_finite())
            || high.1 < 0.0
            || low.1 > height as f64
        {
            return;
        }
        let at = |y: f64| {
            let t = if high.1 > low.1 { ((y - low.1) / (high.1 - low.1)).clamp(0.0, 1.0) } else { 0.0 };
            low.0 + t * (high.0 - low.0)
        };
        let last = clamp(high.1.floor(), height - 1);
        for row in clamp(low.1.floor(), height - 1)..=last {
            let (top, bottom) = ((row as f64).max(low.1), (row as f64 + 1.0).min(high.1));
            // A level edge has both its ends in one row.
            let (a, b) = if high.1 > low.1 { (at(top), at(bottom)) } else { (low.0, high.0) };
            let (left, right) = (a.min(b), a.max(b));
            if right < 0.0 || left >= width as f64 {
                continue;
            }
            let (start, end) = (clamp(left.floor(), width - 1), clamp(right.floor(), width - 1));
            mask[row * width + start..=row * width + end].fill(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Affine, Crs};
    use geo_types::polygon;

    fn grid(width: usize, height: usize) -> Grid {
        Grid::new(Crs::wgs84(), Affine::north_up(0.0, height as f64, 1.0, 1.0), width, height).unwrap()
    }

    fn picture(mask: &[bool], width: usize) -> Vec<String> {
        mask.chunks(width).map(|r| r.iter().map(|m| if *m { '#' } else { '.' }).collect()).collect()
    }

    #[test]
    fn centres_decide_and_holes_stay_out() {
        let square = polygon!(
            exterior: [(x: 0.6, y: 0.4), (x: 4.4, y: 0.4), (x: 4.4, y: 4.4), (x: 0.6, y: 4.4)],
            interiors: [[(x: 2.0, y: 2.0), (x: 3.0, y: 2.0), (x: 3.0, y: 3.0), (x: 2.0, y: 3.0)]],
        );
        let mask = rasterize(&[square.clone().into()], &grid(6, 5), false);
        assert_eq!(picture(&mask, 6), ["......", ".###..", ".#.#..", ".###..", ".###.."]);
        let mask = rasterize(&[square.into()], &grid(6, 5), true);
        assert_eq!(picture(&mask, 6)[0], "#####.", "the upper edge runs through the first row");
    }

    #[test]
    fn polygons_beyond_the_grid_are_cut() {
        let wide = polygon![(x: -1e9, y: -1e9), (x: 1e9, y: -1e9), (x: 1e9, y: 1e9), (x: -1e9, y: 1e9)];
        assert!(rasterize(&[wide.clone().into()], &grid(4, 3), false).iter().all(|m| *m));
        let apart = polygon![(x: 10.0, y: 10.0), (x: 12.0, y: 10.0), (x: 12.0, y: 12.0)];
        assert!(!rasterize(&[apart.into()], &grid(4, 3), true).iter().any(|m| *m));
    }
}
