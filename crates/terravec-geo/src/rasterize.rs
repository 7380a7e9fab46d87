//! Polygons to masks.

use crate::Grid;

/// Which pixels of `grid` lie in the polygons (of the grid's CRS): those whose centre does.
#[must_use]
pub fn rasterize(polygons: &[geo_types::MultiPolygon<f64>], grid: &Grid, _all_touched: bool) -> Vec<bool> {
    let mut mask = vec![false; grid.width * grid.height];
    for row in 0..grid.height {
        for poly in polygons.iter().flat_map(|m| m.0.iter()) {
            let y = row as f64 + 0.5;
            let mut xs: Vec<f64> = Vec::new();
            for ring in std::iter::once(poly.exterior()).chain(poly.interiors()) {
                for e in ring.lines() {
                    let (x0, y0) = grid.position(e.start.x, e.start.y);
                    let (x1, y1) = grid.position(e.end.x, e.end.y);
                    if (y0 <= y) != (y1 <= y) {
                        xs.push(x0 + (y - y0) / (y1 - y0) * (x1 - x0));
                    }
                }
            }
            xs.sort_by(f64::total_cmp);
            for pair in xs.chunks_exact(2) {
                for col in 0..grid.width {
                    let x = col as f64 + 0.5;
                    if x >= pair[0] && x < pair[1] {
                        mask[row * grid.width + col] = true;
                    }
                }
            }
        }
    }
    mask
}
