//! Earth Genome's variant of Major TOM: spacing in metres, cells optionally repeated half a cell to the north-east,
//! and each cell named by the geohash (11 characters) of its centre.
//!
//! Rows count from the south pole and columns from the antimeridian; odd counts are shifted by half a step. The
//! arithmetic is that of `earth-genome/majortom-rs` (MIT), order of operations included, because a centre's geohash
//! depends on its last bits.

use super::geohash;
use crate::{BBox, GeoError, LonLatBox};

const EARTH_RADIUS: f64 = 6_378_137.0;
/// Characters of a cell's name.
pub const ID_LENGTH: usize = 11;

/// A cell of the grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Geohash of the centre.
    pub id: String,
    /// Edges, degrees. Cells at the antimeridian or a pole may reach beyond 180° or 90°.
    pub bounds: BBox,
    /// False for a cell of the overlapping second set.
    pub primary: bool,
}

impl Cell {
    fn new(west: f64, south: f64, east: f64, north: f64, primary: bool) -> Self {
        let id = geohash::encode((west + east) / 2.0, (south + north) / 2.0, ID_LENGTH);
        Self { id, bounds: BBox::new(west, south, east, north), primary }
    }
}

/// The grid.
#[derive(Debug, Clone, PartialEq)]
pub struct MajorTomEg {
    spacing: f64,
    overlap: bool,
    rows: i64,
    lat_step: f64,
    lat_offset: f64,
}

/// The columns of a row.
struct Columns {
    step: f64,
    offset: f64,
    count: i64,
}

impl Columns {
    fn west(&self, col: i64) -> f64 {
        -180.0 + self.offset + col as f64 * self.step
    }
}

impl MajorTomEg {
    /// A grid of `spacing` metres (Earth Index: 320), with the overlapping second set of cells or without.
    ///
    /// # Errors
    /// [`GeoError::BadGrid`] for a spacing of zero.
    pub fn new(spacing: u32, overlap: bool) -> Result<Self, GeoError> {
        if spacing == 0 {
            return Err(GeoError::BadGrid { what: "Earth Genome grid", reason: "its spacing is 0 m".into() });
        }
        let spacing = f64::from(spacing);
        let rows = (std::f64::consts::PI * EARTH_RADIUS / spacing).ceil().max(2.0) as i64;
        let lat_step = (180.0 / rows as f64).min(89.0);
        let lat_offset = if rows % 2 != 0 { lat_step / 2.0 } else { 0.0 };
        Ok(Self { spacing, overlap, rows, lat_step, lat_offset })
    }

    fn south(&self, row: i64) -> f64 {
        -90.0 + self.lat_offset + row as f64 * self.lat_step
    }

    fn columns(&self, south: f64) -> Columns {
        let around = 2.0 * std::f64::consts::PI * EARTH_RADIUS * south.clamp(-89.0, 89.0).to_radians().cos();
        let step = 360.0 / (around / self.spacing).ceil().max(1.0);
        let count = (360.0 / step).round() as i64;
        Columns { step, offset: if count % 2 != 0 { step / 2.0 } else { 0.0 }, count }
    }

    fn primary(&self, row: i64, col: i64) -> Cell {
        let south = self.south(row);
        let columns = self.columns(south);
        let west = columns.west(col);
        Cell::new(west, south, west + columns.step, south + self.lat_step, true)
    }

    fn second(&self, row: i64, col: i64) -> Cell {
        let south = self.south(row);
        let columns = self.columns(south);
        let (west, south) = (columns.west(col) + columns.step / 2.0, south + self.lat_step / 2.0);
        Cell::new(west, south, west + columns.step, south + self.lat_step, false)
    }

    fn row_of(&self, lat: f64) -> i64 {
        ((lat + 90.0 - self.lat_offset) / self.lat_step).floor() as i64
    }

    fn col_of(&self, row: i64, lon: f64) -> i64 {
        let columns = self.columns(self.south(row));
        ((lon + 180.0 - columns.offset) / columns.step).floor() as i64
    }

    /// The primary cell a place is in.
    ///
    /// # Errors
    /// [`GeoError::BadLonLat`] for a place that is none.
    pub fn cell_at(&self, lon: f64, lat: f64) -> Result<Cell, GeoError> {
        crate::check_lon_lat(lon, lat)?;
        let row = self.row_of(lat);
        Ok(self.primary(row, self.col_of(row, lon)))
    }

    /// The cell with a name; characters beyond the eleventh are ignored.
    ///
    /// # Errors
    /// [`GeoError::BadName`] for a text that is no geohash of 11 characters, or no cell of this grid.
    pub fn cell(&self, id: &str) -> Result<Cell, GeoError> {
        let bad = |reason: &str| GeoError::BadName {
            name: crate::error::clip(id, 40),
            lattice: "Earth Genome cell",
            reason: reason.into(),
        };
        let wanted = id.get(..ID_LENGTH).ok_or_else(|| bad("expected a geohash of 11 characters"))?;
        let (lon, lat) = geohash::decode(wanted)?.center();
        // The geohash's centre is not the cell's: a neighbour may own it.
        for row in [0, -1, 1].map(|d| self.row_of(lat) + d) {
            for col in [0, -1, 1].map(|d| self.col_of(row, lon) + d) {
                let second = || self.overlap.then(|| self.second(row, col));
                let found =
                    [Some(self.primary(row, col)), second()].into_iter().flatten().find(|c| c.id == wanted);
                if let Some(cell) = found {
                    return Ok(cell);
                }
            }
        }
        Err(bad(&format!("a grid of {} m has no such cell", self.spacing)))
    }

    /// The cells a box touches, row by row.
    ///
    /// The reference leaves out cells of the second set that reach into the box from the row below or the column to
    /// the west; they are here.
    pub fn covering<'a>(&'a self, bbox: &LonLatBox) -> impl Iterator<Item = Cell> + 'a {
        let parts = bbox.split();
        // One row and column of slack on each side, then the exact test.
        let rows = self.row_of(bbox.south) - 1..=self.row_of(bbox.north) + 1;
        rows.filter(|row| (-1..=self.rows).contains(row)).flat_map(move |row| {
            let columns = self.columns(self.south(row));
            parts.clone().into_iter().flat_map(move |part| {
                let cols = self.col_of(row, part.min_x) - 1..=self.col_of(row, part.max_x) + 1;
                let count = columns.count;
                cols.filter(move |col| (-1..=count).contains(col)).flat_map(move |col| {
                    let second = self.overlap.then(|| self.second(row, col));
                    [Some(self.primary(row, col)), second]
                        .into_iter()
                        .flatten()
                        .filter(move |cell| cell.bounds.intersects(&part))
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    const REFERENCE: &str = include_str!("../../../../testdata/grid/earth_genome_reference.csv");
    const GOLDEN: &str = include_str!("../../../../testdata/grid/majortom_eg_1.1.0_golden.json");

    fn covering(grid: &MajorTomEg, bbox: [f64; 4]) -> BTreeMap<String, Cell> {
        let bbox = LonLatBox::new(bbox[0], bbox[1], bbox[2], bbox[3]).unwrap();
        grid.covering(&bbox).map(|c| (c.id.clone(), c)).collect()
    }

    /// The cells of the reference's scan: all primary ones, the others from the first row and column on.
    fn as_reference(
        grid: &MajorTomEg,
        bbox: [f64; 4],
        mut cells: BTreeMap<String, Cell>,
    ) -> BTreeMap<String, Cell> {
        let first_row = grid.row_of(bbox[1]);
        cells.retain(|_, cell| {
            let (x, y) = (cell.bounds.min_x, cell.bounds.min_y - grid.lat_step / 2.0);
            let row = ((y + 90.0 - grid.lat_offset) / grid.lat_step).round() as i64;
            let x = x - grid.columns(grid.south(row)).step / 2.0;
            let col = grid.col_of(row, x + 1e-9);
            cell.primary || (row >= first_row && col >= grid.col_of(row, bbox[0]))
        });
        cells
    }

    #[test]
    fn cross_language_reference() {
        // Spacing, overlap and box of each area, then its cells.
        let areas = BTreeMap::from([
            (
                "southampton_320_overlap",
                (320, true, [-76.33688798683391, 39.54865173376891, -76.30633471133426, 39.56892059705632]),
            ),
            (
                "southampton_320_no_overlap",
                (320, false, [-76.33688798683391, 39.54865173376891, -76.30633471133426, 39.56892059705632]),
            ),
            ("equator_5000_overlap", (5000, true, [-0.5, -0.5, 0.5, 0.5])),
            ("equator_10000_no_overlap", (10000, false, [-1.0, -1.0, 1.0, 1.0])),
            ("high_lat_320_overlap", (320, true, [10.0, 60.0, 10.1, 60.05])),
        ]);
        let mut wanted: BTreeMap<String, BTreeMap<String, BBox>> = BTreeMap::new();
        for record in csv::Reader::from_reader(REFERENCE.as_bytes()).records() {
            let record = record.unwrap();
            let n = |i: usize| record[i].parse::<f64>().unwrap();
            wanted
                .entry(record[0].into())
                .or_default()
                .insert(record[1].into(), BBox::new(n(2), n(3), n(4), n(5)));
        }
        assert_eq!(wanted.values().map(BTreeMap::len).sum::<usize>(), 2560);
        for (area, cells) in wanted {
            let (spacing, overlap, bbox) = areas[area.as_str()];
            let grid = MajorTomEg::new(spacing, overlap).unwrap();
            let all = covering(&grid, bbox);
            let got = as_reference(&grid, bbox, all.clone());
            assert!(got.keys().collect::<BTreeSet<_>>() == cells.keys().collect::<BTreeSet<_>>(), "{area}");
            let b = BBox::new(bbox[0], bbox[1], bbox[2], bbox[3]);
            assert!(all.values().all(|c| c.bounds.intersects(&b)), "{area}");
            for (id, want) in &cells {
                let b = grid.cell(id).unwrap().bounds;
                for (a, b) in [
                    (b.min_x, want.min_x),
                    (b.min_y, want.min_y),
                    (b.max_x, want.max_x),
                    (b.max_y, want.max_y),
                ] {
                    assert!((a - b).abs() < 2e-12, "{area} {id} {a} {b}");
                }
                assert_eq!(got[id], grid.cell(id).unwrap());
            }
        }
    }

    #[test]
    fn python_package_golden() {
        let golden: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
        for (area, entry) in golden.as_object().unwrap() {
            let mut parts = area.rsplit('_');
            let overlap = parts.next() == Some("ov");
            let spacing = parts.next().unwrap().parse().unwrap();
            let grid = MajorTomEg::new(spacing, overlap).unwrap();
            let bbox: [f64; 4] = serde_json::from_value(entry["bbox"].clone()).unwrap();
            let got = as_reference(&grid, bbox, covering(&grid, bbox));
            assert_eq!(got.len() as u64, entry["count"].as_u64().unwrap(), "{area}");
            for cell in entry["cells"].as_array().unwrap() {
                let b = got[cell[0].as_str().unwrap()].bounds;
                for (value, i) in [b.min_x, b.min_y, b.max_x, b.max_y].into_iter().zip(0..) {
                    assert!((value - cell[1][i].as_f64().unwrap()).abs() < 1e-11, "{area}");
                }
            }
        }
    }

    #[test]
    fn refuses_and_contains() {
        let grid = MajorTomEg::new(320, true).unwrap();
        assert!(MajorTomEg::new(0, true).is_err());
        for id in ["", "short", "aaaaaaaaaaa", "ééééééééééé", "dr18yzvf3f0"] {
            assert!(grid.cell(id).is_err(), "{id}");
        }
        for (lon, lat) in [(-76.3, 39.55), (179.9999, 0.0), (-180.0, -89.9), (0.0, 90.0), (0.0, 0.0)] {
            let cell = grid.cell_at(lon, lat).unwrap();
            assert!(cell.bounds.expand(1e-9).contains(lon, lat));
        }
        assert!(grid.cell_at(0.0, f64::NAN).is_err());
    }
}
