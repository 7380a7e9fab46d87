//! Rows in the order of a space-filling curve, so that near places share row groups.

/// Bits per axis: cells of 2⁻³⁰ of the globe, below a decimetre.
const BITS: u32 = 30;

/// The order in which rows follow a Hilbert curve over the globe: row `order[0]` comes first. Places in the same cell
/// keep their order; rows without a place (NaN) come last.
///
/// Meant for tables that will be searched by place. Samples keep the caller's order instead.
#[must_use]
pub fn hilbert_order(lon: &[f64], lat: &[f64]) -> Vec<u32> {
    let keys: Vec<u64> = lon.iter().zip(lat).map(|(x, y)| key(*x, *y)).collect();
    #[allow(clippy::cast_possible_truncation)] // a batch has fewer than 2³² rows
    let mut order: Vec<u32> = (0..keys.len() as u32).collect();
    order.sort_by_key(|i| keys[*i as usize]);
    order
}

fn key(lon: f64, lat: f64) -> u64 {
    if !(lon.is_finite() && lat.is_finite()) {
        return u64::MAX;
    }
    let side = f64::from(1u32 << BITS);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to the cells
    let cell = |v: f64| (v * side).clamp(0.0, side - 1.0) as u32;
    distance(cell((lon + 180.0) / 360.0), cell((lat + 90.0) / 180.0))
}

/// Distance along the curve (Hamilton, "Compact Hilbert Indices", 2006; the two-dimensional case).
fn distance(mut x: u32, mut y: u32) -> u64 {
    let mut d = 0;
    for bit in (0..BITS).rev() {
        let (rx, ry) = (x >> bit & 1, y >> bit & 1);
        d = d << 2 | u64::from((3 * rx) ^ ry);
        if ry == 0 {
            if rx == 1 {
                let all = (1 << BITS) - 1;
                (x, y) = (all - x, all - y);
            }
            std::mem::swap(&mut x, &mut y);
        }
    }
    d
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_visits_every_cell_once_and_steps_to_neighbours() {
        // The centres of a 16 × 16 lattice over the globe, in any order.
        let cells: Vec<(i32, i32)> = (0..256).map(|i| (i * 97 % 256 % 16, i * 97 % 256 / 16)).collect();
        let lon: Vec<f64> = cells.iter().map(|c| -180.0 + 22.5 * (f64::from(c.0) + 0.5)).collect();
        let lat: Vec<f64> = cells.iter().map(|c| -90.0 + 11.25 * (f64::from(c.1) + 0.5)).collect();
        let order = hilbert_order(&lon, &lat);
        let path: Vec<(i32, i32)> = order.iter().map(|i| cells[*i as usize]).collect();
        for step in path.windows(2) {
            assert_eq!((step[0].0 - step[1].0).abs() + (step[0].1 - step[1].1).abs(), 1);
        }
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..256).collect::<Vec<u32>>());
    }

    #[test]
    fn rows_without_a_place_come_last_and_edges_are_cells() {
        assert_eq!(hilbert_order(&[f64::NAN, 180.0, -180.0], &[f64::NAN, 90.0, -90.0]), [2, 1, 0]);
        assert_eq!(hilbert_order(&[5.0; 3], &[5.0; 3]), [0, 1, 2]);
    }
}
