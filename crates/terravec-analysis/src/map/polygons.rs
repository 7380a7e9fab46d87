//! Classes as polygons: rings traced along the edges of pixels, one polygon per connected patch of a class.
//!
//! Patches are connected over sides, not over corners. Rings are exact: they follow pixel edges, in the map's own CRS, and are moved to degrees vertex by vertex, with a vertex at
//! least every 64 pixels, so that straight edges stay where they are.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Float64Array, RecordBatch, StringArray, UInt16Array, UInt64Array};
use geo_types::{Coord, LineString, MultiPolygon, Polygon};
use terravec::table::PROVENANCE_KEY;
use terravec::{Error, Extraction, Result};
use terravec_geo::{Crs, Grid, Transform};
use terravec_io::vector::{TableSpec, TableWriter, wkb};

use super::chunk::NO_CLASS;
use crate::learn::Model;

/// Straight edges have a vertex at every multiple of this.
const STRAIGHT: i32 = 64;
/// Polygons written at a time.
const BATCH: usize = 8192;

/// A connected patch of one class.
struct Patch {
    class: u16,
    pixels: u64,
    /// Sum of the areas of its pixels, m².
    area: f64,
    /// Rings of (column, row) corners; the first is the outer one.
    rings: Vec<Vec<(i32, i32)>>,
}

/// Writes the polygons of `classes` (indices, row by row); says how many.
pub(super) fn save(
    model: &Model,
    plan: &Extraction,
    period: usize,
    classes: &[u16],
    path: &Path,
) -> Result<u64> {
    let grid = &plan.grid;
    let geo = |source| Error::Geo { context: format!("from {}", grid.crs), source };
    let to = Transform::new(&grid.crs, &Crs::wgs84()).map_err(geo)?;
    let patches = patches(classes, grid.width, grid.height, &row_areas(grid));
    let mut provenance = plan.provenance.clone();
    provenance.years = plan.periods[period].into_iter().collect();
    let spec = TableSpec {
        metadata: vec![
            (PROVENANCE_KEY.to_string(), provenance.to_json()),
            ("terravec_model".to_string(), model.summary()),
        ],
        ..TableSpec::default()
    };
    let mut writer: Option<TableWriter> = None;
    // At least one batch, so that a map without classes is a table without rows.
    for part in patches.chunks(BATCH).chain(patches.is_empty().then_some(&[][..])) {
        let legend = |p: &Patch| &model.classes()[usize::from(p.class)];
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("class", Arc::new(part.iter().map(|p| Some(legend(p).name.as_str())).collect::<StringArray>())),
            ("code", Arc::new(part.iter().map(|p| legend(p).code).collect::<UInt16Array>())),
            ("pixels", Arc::new(part.iter().map(|p| p.pixels).collect::<UInt64Array>())),
            ("area_m2", Arc::new(part.iter().map(|p| p.area).collect::<Float64Array>())),
            ("geometry", Arc::new(BinaryArray::from_iter_values(part.iter().map(|p| shape(p, grid, &to))))),
        ];
        let batch = RecordBatch::try_from_iter(columns)?;
        let out = match &mut writer {
            Some(out) => out,
            None => writer.insert(TableWriter::create(path, &batch.schema(), &spec)?),
        };
        out.write(&batch)?;
    }
    if let Some(writer) = writer {
        writer.finish()?;
    }
    Ok(patches.len() as u64)
}

/// The area of a pixel of each row, m²: on the sphere of the same surface as WGS 84 where the grid is in degrees.
#[allow(clippy::cast_precision_loss)]
fn row_areas(grid: &Grid) -> Vec<f64> {
    const AUTHALIC_RADIUS: f64 = 6_371_007.180_9;
    let a = &grid.affine;
    let flat = (a.a * a.e - a.b * a.d).abs();
    if !grid.crs.is_geographic() {
        let unit = grid.crs.metres_per_unit().unwrap_or(1.0);
        return vec![flat * unit * unit; grid.height];
    }
    (0..grid.height)
        .map(|row| {
            let sine = |r: usize| (a.f + r as f64 * a.e).clamp(-90.0, 90.0).to_radians().sin();
            AUTHALIC_RADIUS.powi(2) * a.a.abs().to_radians() * (sine(row) - sine(row + 1)).abs()
        })
        .collect()
}

fn shape(patch: &Patch, grid: &Grid, to: &Transform) -> Vec<u8> {
    let ring = |corners: &Vec<(i32, i32)>| -> LineString<f64> {
        let a = &grid.affine;
        let (mut xs, mut ys): (Vec<f64>, Vec<f64>) = corners
            .iter()
            .map(|(col, row)| {
                let (col, row) = (f64::from(*col), f64::from(*row));
                (a.a * col + a.b * row + a.c, a.d * col + a.e * row + a.f)
            })
            .unzip();
        to.points(&mut xs, &mut ys);
        xs.into_iter().zip(ys).map(|(x, y)| Coord { x, y }).collect()
    };
    let mut rings = patch.rings.iter().map(ring);
    let outer = rings.next().unwrap_or_else(|| LineString::new(Vec::new()));
    wkb::multi_polygon(&MultiPolygon::new(vec![Polygon::new(outer, rings.collect())]))
}

/// All patches, in the order of their first pixel.
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
fn patches(classes: &[u16], width: usize, height: usize, areas: &[f64]) -> Vec<Patch> {
    let mut label = vec![u32::MAX; classes.len()];
    let mut out: Vec<Patch> = Vec::new();
    let mut open = Vec::new();
    for start in 0..classes.len() {
        if label[start] != u32::MAX || classes[start] == NO_CLASS {
            continue;
        }
        let (own, class) = (out.len() as u32, classes[start]);
        let (mut pixels, mut area) = (0, 0.0);
        label[start] = own;
        open.push(start);
        while let Some(i) = open.pop() {
            pixels += 1;
            let (row, col) = (i / width, i % width);
            area += areas[row];
            let next = [
                (col > 0).then(|| i - 1),
                (col + 1 < width).then(|| i + 1),
                (row > 0).then(|| i - width),
                (row + 1 < height).then(|| i + width),
            ];
            for j in next.into_iter().flatten() {
                if label[j] == u32::MAX && classes[j] == class {
                    label[j] = own;
                    open.push(j);
                }
            }
        }
        out.push(Patch { class, pixels, area, rings: Vec::new() });
    }
    trace(&label, width, height, &mut out);
    out
}

/// Directions of an edge in the order of a left turn: east, north, west, south (rows grow to the south).
const STEPS: [(i32, i32); 4] = [(1, 0), (0, -1), (-1, 0), (0, 1)];

/// Rings of every patch. Edges run with the patch on their left, seen with north up: outer rings counter-clockwise, holes clockwise.
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss)]
fn trace(label: &[u32], width: usize, height: usize, out: &mut [Patch]) {
    let (w, h) = (width as i32, height as i32);
    let at = |col: i32, row: i32| {
        if col < 0 || row < 0 || col >= w || row >= h { u32::MAX } else { label[(row * w + col) as usize] }
    };
    // Of the edge that leaves a corner in a direction: the pixel on its left and the one on its right.
    let sides = |(col, row): (i32, i32), direction: usize| match direction {
        0 => (at(col, row - 1), at(col, row)),
        1 => (at(col - 1, row - 1), at(col, row - 1)),
        2 => (at(col - 1, row), at(col - 1, row - 1)),
        _ => (at(col, row), at(col - 1, row)),
    };
    // Edges to the west and east not yet walked start rings: every ring has one. A bit per corner and direction.
    let mut walked: HashMap<(i32, i32), u8> = HashMap::new();
    for row in 0..=h {
        for col in 0..=w {
            for direction in [0, 2] {
                let corner = (col, row);
                let (own, other) = sides(corner, direction);
                let seen = walked.get(&corner).is_some_and(|bits| bits & (1 << direction) != 0);
                if own == u32::MAX || own == other || seen {
                    continue;
                }
                let ring = walk(corner, direction, own, &sides, &mut walked);
                let rings = &mut out[own as usize].rings;
                // The outer ring goes first: it is the one that runs counter-clockwise.
                if doubled_area(&ring) < 0 { rings.insert(0, ring) } else { rings.push(ring) }
            }
        }
        // Rings are walked as soon as their first row comes, so what lies above is done with.
        if row % 64 == 0 {
            walked.retain(|corner, _| corner.1 >= row);
        }
    }
}

fn walk(
    start: (i32, i32),
    first: usize,
    own: u32,
    sides: &impl Fn((i32, i32), usize) -> (u32, u32),
    walked: &mut HashMap<(i32, i32), u8>,
) -> Vec<(i32, i32)> {
    let mut ring = vec![start];
    let (mut corner, mut direction) = (start, first);
    loop {
        if direction % 2 == 0 {
            *walked.entry(corner).or_default() |= 1 << direction;
        }
        corner = (corner.0 + STEPS[direction].0, corner.1 + STEPS[direction].1);
        // Right first: where two pixels of a patch touch at a corner, a ring passes from one to the other, and so never touches itself; what the
        // corner cuts off is a hole, which may touch the outer ring.
        let next = [3, 0, 1].into_iter().map(|turn| (direction + turn) % 4).find(|d| {
            let (left, right) = sides(corner, *d);
            left == own && right != own
        });
        let Some(next) = next else { break };
        if corner == start && next == first {
            break;
        }
        let along = if direction % 2 == 0 { corner.0 } else { corner.1 };
        if next != direction || along % STRAIGHT == 0 {
            ring.push(corner);
        }
        direction = next;
    }
    ring.push(start);
    ring
}

/// Twice the area in pixels; negative where the ring runs counter-clockwise with north up.
fn doubled_area(ring: &[(i32, i32)]) -> i64 {
    ring.windows(2)
        .map(|w| i64::from(w[0].0) * i64::from(w[1].1) - i64::from(w[1].0) * i64::from(w[0].1))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn areas_of(rings: &[Vec<(i32, i32)>]) -> Vec<i64> {
        rings.iter().map(|r| -doubled_area(r)).collect()
    }

    #[test]
    fn a_hole_with_an_island() {
        #[rustfmt::skip]
        let classes = [
            1, 1, 1, 1, 1,
            1, 0, 0, 0, 1,
            1, 0, 1, 0, 1,
            1, 0, 0, 0, 1,
            1, 1, 1, 1, 1,
        ];
        let found = patches(&classes, 5, 5, &[1.0; 5]);
        let rings: Vec<Vec<i64>> = found.iter().map(|p| areas_of(&p.rings)).collect();
        assert_eq!(rings, [vec![50, -18], vec![18, -2], vec![2]]);
        assert_eq!(found.iter().map(|p| p.pixels).collect::<Vec<_>>(), [16, 8, 1]);
    }

    #[test]
    fn corners_do_not_connect() {
        let found = patches(&[0, 1, 1, 0], 2, 2, &[1.0; 2]);
        assert_eq!(found.len(), 4);
        assert!(found.iter().all(|p| areas_of(&p.rings) == [2]));
    }

    /// A ring of pixels that touches itself at a corner: the hole stays a ring of its own, and areas add up.
    #[test]
    fn a_patch_that_touches_itself_at_a_corner() {
        #[rustfmt::skip]
        let classes = [
            1, 1, 1, 0,
            1, 0, 1, 0,
            1, 1, 0, 0,
        ];
        for (patch, found) in
            patches(&classes, 4, 3, &[1.0; 3]).into_iter().map(|p| (p.pixels, areas_of(&p.rings)))
        {
            assert_eq!(found.iter().sum::<i64>(), 2 * i64::try_from(patch).unwrap(), "{found:?}");
            assert!(found[0] > 0 && found[1..].iter().all(|a| *a < 0), "{found:?}");
        }
    }
}
