//! ESA's Major TOM grid: rows of equal latitude step, each cut into as many columns as keep cells near `D` km wide.
//!
//! Rows count from the equator (`0U`, `1U`… north, `1D`… south), columns from Greenwich (`0R`… east, `1L`… west); a
//! cell is named by its south-west corner, such as `471U_587L`. Lines are computed exactly as the reference
//! (`MajorTOM/grid.py`) computes them, rounding included, so that points on a line fall where it lets them fall: into
//! the cell south or west of it.

use super::utm;
use crate::{GeoError, LonLatBox, wrap_lon};

const EARTH_RADIUS_KM: f64 = 6378.137;
/// Rows whose southern edge lies beyond are left out.
const LAT_LIMIT: f64 = 85.0;

/// A cell, by its signed row (north positive) and column (east positive).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub struct Cell {
    pub row: i32,
    pub col: i32,
}

impl Cell {
    /// Reads `{row}{U|D}_{col}{R|L}`. Whether a grid has such a cell is another question: [`MajorTom::has`].
    ///
    /// # Errors
    /// [`GeoError::BadName`] for anything else.
    pub fn parse(name: &str) -> Result<Self, GeoError> {
        let bad = || GeoError::BadName {
            name: crate::error::clip(name, 40),
            lattice: "Major TOM cell",
            reason: "expected ROW{U|D}_COL{R|L}, such as 471U_587L".into(),
        };
        let signed = |part: &str, plus: char, minus: char| {
            let digits = part.strip_suffix([plus, minus])?;
            if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            let value: i32 = digits.parse().ok()?;
            match (part.ends_with(minus), value) {
                // Zero is on the positive side only.
                (true, 0) => None,
                (true, value) => Some(-value),
                (false, value) => Some(value),
            }
        };
        let (row, col) = name.split_once('_').ok_or_else(bad)?;
        Ok(Self { row: signed(row, 'U', 'D').ok_or_else(bad)?, col: signed(col, 'R', 'L').ok_or_else(bad)? })
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let row = if self.row < 0 { 'D' } else { 'U' };
        let col = if self.col < 0 { 'L' } else { 'R' };
        write!(f, "{}{row}_{}{col}", self.row.unsigned_abs(), self.col.unsigned_abs())
    }
}

impl std::str::FromStr for Cell {
    type Err = GeoError;

    fn from_str(name: &str) -> Result<Self, GeoError> {
        Self::parse(name)
    }
}

/// The lines that cut a full turn (360° of longitude, 180° of latitude) into `n` parts, numbered from 0 in the middle.
///
/// NumPy's `sort(mod(linspace(-turn/2, turn/2, n + 1)[:-1], turn) - turn/2)`, one value at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Lines {
    n: i64,
    turn: f64,
    /// Lines numbered 0 and up; the other n − positive are negative.
    positive: i64,
}

impl Lines {
    fn new(n: i64, turn: f64) -> Self {
        let mut lines = Self { n, turn, positive: n / 2 };
        while lines.positive < n && lines.raw(lines.positive) < 0.0 {
            lines.positive += 1;
        }
        lines
    }

    fn step(&self) -> f64 {
        self.turn / self.n as f64
    }

    fn raw(&self, i: i64) -> f64 {
        i as f64 * self.step() - self.turn / 2.0
    }

    fn first(&self) -> i64 {
        self.positive - self.n
    }

    fn last(&self) -> i64 {
        self.positive - 1
    }

    fn at(&self, index: i64) -> f64 {
        if index >= 0 {
            self.raw(index) + self.turn - self.turn / 2.0
        } else {
            self.raw(index + self.n) - self.turn / 2.0
        }
    }

    /// The last line strictly below a value (`searchsorted(left) - 1`); `first() - 1` if there is none.
    fn below(&self, value: f64) -> i64 {
        let guess = (value / self.step()).floor() as i64;
        let mut index = guess.clamp(self.first() - 1, self.last());
        while index < self.last() && self.at(index + 1) < value {
            index += 1;
        }
        while index >= self.first() && self.at(index) >= value {
            index -= 1;
        }
        index
    }
}

/// A Major TOM grid of some spacing.
#[derive(Debug, Clone, PartialEq)]
pub struct MajorTom {
    spacing_km: f64,
    rows: Lines,
    first_row: i64,
    last_row: i64,
}

impl MajorTom {
    /// A grid of `spacing_km` kilometres; the published core datasets use 10.
    ///
    /// # Errors
    /// [`GeoError::BadGrid`] for a spacing outside 0.01–5000 km.
    pub fn new(spacing_km: f64) -> Result<Self, GeoError> {
        if !(0.01..=5000.0).contains(&spacing_km) {
            return Err(GeoError::BadGrid {
                what: "Major TOM grid",
                reason: format!("spacing {spacing_km} km must lie in 0.01-5000"),
            });
        }
        let n = (std::f64::consts::PI * EARTH_RADIUS_KM / spacing_km).ceil() as i64;
        let rows = Lines::new(n, 180.0);
        let (mut first_row, mut last_row) = (rows.below(-LAT_LIMIT), rows.below(LAT_LIMIT));
        while first_row < rows.first() || rows.at(first_row) < -LAT_LIMIT {
            first_row += 1;
        }
        while last_row < rows.last() && rows.at(last_row + 1) <= LAT_LIMIT {
            last_row += 1;
        }
        Ok(Self { spacing_km, rows, first_row, last_row })
    }

    /// Spacing in kilometres.
    pub fn spacing_km(&self) -> f64 {
        self.spacing_km
    }

    /// First (southernmost, negative) and last row.
    pub fn row_range(&self) -> (i32, i32) {
        (self.first_row as i32, self.last_row as i32)
    }

    fn columns(&self, row: i64) -> Lines {
        let around = 2.0
            * std::f64::consts::PI
            * (EARTH_RADIUS_KM * (self.rows.at(row) * std::f64::consts::PI / 180.0).cos());
        Lines::new((around / self.spacing_km).ceil().max(1.0) as i64, 360.0)
    }

    /// Columns in a row; 0 for a row the grid does not have.
    pub fn column_count(&self, row: i32) -> usize {
        if self.has_row(row) { self.columns(i64::from(row)).n as usize } else { 0 }
    }

    /// Cells in all. Counts every row: some thousand cosines.
    pub fn count(&self) -> u64 {
        (self.first_row..=self.last_row).map(|row| self.columns(row).n as u64).sum()
    }

    fn has_row(&self, row: i32) -> bool {
        (self.first_row..=self.last_row).contains(&i64::from(row))
    }

    /// Whether the grid has that cell.
    pub fn has(&self, cell: Cell) -> bool {
        if !self.has_row(cell.row) {
            return false;
        }
        let columns = self.columns(i64::from(cell.row));
        (columns.first()..=columns.last()).contains(&i64::from(cell.col))
    }

    fn check(&self, cell: Cell) -> Result<Lines, GeoError> {
        if self.has(cell) {
            return Ok(self.columns(i64::from(cell.row)));
        }
        Err(GeoError::BadName {
            name: cell.to_string(),
            lattice: "Major TOM cell",
            reason: format!("a {} km grid has no such cell", self.spacing_km),
        })
    }

    /// The cell a place is in; `None` beyond the grid's rows (about 85° north and south).
    ///
    /// As in the reference, a place exactly on a line falls into the cell south or west of it.
    pub fn cell_at(&self, lon: f64, lat: f64) -> Option<Cell> {
        crate::check_lon_lat(lon, lat).ok()?;
        let row = self.rows.below(lat);
        if row < self.first_row || row > self.last_row {
            return None;
        }
        let columns = self.columns(row);
        let col = columns.below(lon);
        // West of the first line is the last column's cell, which reaches over the antimeridian.
        let col = if col < columns.first() { columns.last() } else { col };
        Some(Cell { row: row as i32, col: col as i32 })
    }

    /// South-west corner of a cell, (lon, lat).
    ///
    /// # Errors
    /// [`GeoError::BadName`] if the grid has no such cell.
    pub fn origin(&self, cell: Cell) -> Result<(f64, f64), GeoError> {
        let columns = self.check(cell)?;
        Ok((columns.at(i64::from(cell.col)), self.rows.at(i64::from(cell.row))))
    }

    /// Edges of a cell.
    ///
    /// # Errors
    /// [`GeoError::BadName`] if the grid has no such cell.
    pub fn bounds(&self, cell: Cell) -> Result<LonLatBox, GeoError> {
        let columns = self.check(cell)?;
        let edge = |lines: Lines, index: i64| {
            if index <= lines.last() { lines.at(index) } else { lines.at(index - 1) + lines.step() }
        };
        let east = edge(columns, i64::from(cell.col) + 1);
        Ok(LonLatBox {
            west: columns.at(i64::from(cell.col)),
            south: self.rows.at(i64::from(cell.row)),
            // A hair beyond 180° is rounding, not a cell over the antimeridian.
            east: if (east - 180.0).abs() < 1e-9 { 180.0 } else { wrap_lon(east) },
            north: edge(self.rows, i64::from(cell.row) + 1),
        })
    }

    /// EPSG code of the UTM zone of a cell: that of its south-west corner, with the exceptions of Norway and Svalbard.
    ///
    /// # Errors
    /// [`GeoError::BadName`] if the grid has no such cell.
    pub fn utm_epsg(&self, cell: Cell) -> Result<u32, GeoError> {
        let (lon, lat) = self.origin(cell)?;
        Ok(utm::epsg(utm::zone_with_exceptions(lon, lat), lat < 0.0))
    }

    /// The cells a box touches, from south to north and west to east.
    pub fn covering<'a>(&'a self, bbox: &LonLatBox) -> impl Iterator<Item = Cell> + 'a {
        let bbox = *bbox;
        let range = |lines: &Lines, from: f64, to: f64| {
            let first = lines.below(from);
            // A box that starts on a line touches the cell that starts there, and not the one before.
            let first = if first < lines.last() && lines.at(first + 1) <= from { first + 1 } else { first };
            first..=lines.below(to).max(first)
        };
        let rows = range(&self.rows, bbox.south, bbox.north);
        let rows = *rows.start().max(&self.first_row)..=*rows.end().min(&self.last_row);
        rows.flat_map(move |row| {
            let columns = self.columns(row);
            let mut cols: Vec<i64> = Vec::new();
            for part in bbox.split() {
                cols.extend(
                    range(&columns, part.min_x, part.max_x)
                        .map(|col| if col < columns.first() { columns.last() } else { col }),
                );
            }
            // Only where the box meets itself or starts before the first line is a column met twice.
            let mut seen = std::collections::HashSet::with_capacity(cols.len());
            cols.retain(|col| seen.insert(*col));
            cols.into_iter().map(move |col| Cell { row: row as i32, col: col as i32 })
        })
    }
}

/// Offsets of square fragments along a side of an image, as Major TOM's embedder cuts them.
///
/// About a tenth of a fragment overlaps the next (`overlap` = 0.1) and the last is moved to the border. For images of
/// 1068 pixels: 224 → 0, 211, 422, 633, 844; 384 → 0, 342, 684.
///
/// # Errors
/// [`GeoError::BadGrid`] for a fragment larger than the image, of no size, or an overlap outside [0, 1).
pub fn fragment_offsets(image: usize, fragment: usize, overlap: f64) -> Result<Vec<usize>, GeoError> {
    if fragment == 0 || fragment > image || !(0.0..1.0).contains(&overlap) {
        return Err(GeoError::BadGrid {
            what: "cut into fragments",
            reason: format!("{fragment} of {image} pixels with an overlap of {overlap}"),
        });
    }
    if fragment == image {
        return Ok(vec![0]);
    }
    let (size, room) = (fragment as f64, (image - fragment) as f64);
    // NumPy's round is to even, as is this.
    let steps = (room / (size - overlap * size)).round_ties_even().max(1.0);
    let feasible = (size - room / steps).ceil();
    let stride = size - feasible;
    let steps = steps as usize;
    Ok((0..=steps).map(|i| if i == steps { image - fragment } else { i * stride as usize }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOLDEN: &str = include_str!("../../../../testdata/grid/esa_grid10km_golden.csv");

    fn grid() -> MajorTom {
        MajorTom::new(10.0).unwrap()
    }

    #[test]
    fn esa_golden_both_ways() {
        let grid = grid();
        let mut rows = 0;
        for record in csv::Reader::from_reader(GOLDEN.as_bytes()).records() {
            let record = record.unwrap();
            let number = |i: usize| record[i].parse::<f64>().unwrap();
            let cell = grid.cell_at(number(3), number(2)).unwrap();
            assert_eq!(cell.to_string(), record[4]);
            assert_eq!(Cell::parse(&record[4]).unwrap(), cell);
            assert_eq!(grid.origin(cell).unwrap(), (number(6), number(5)), "{cell}");
            assert_eq!(format!("EPSG:{}", grid.utm_epsg(cell).unwrap()), record[7]);
            assert!(grid.bounds(cell).unwrap().contains(number(3), number(2)));
            rows += 1;
        }
        assert_eq!(rows, 1320);
    }

    #[test]
    fn golden_values() {
        let grid = grid();
        for (lon, lat, name) in [
            (0.0, 0.0, "1D_1L"),
            (0.0001, 0.0001, "0U_0R"),
            (2.3522, 48.8566, "543U_17R"),
            (-122.4194, 37.7749, "420U_1078L"),
            (179.99, -17.0, "190D_1915R"),
            (-179.99, -17.0, "190D_1916L"),
            (25.0, -80.0, "891D_48R"),
            (10.75, 59.91, "666U_60R"),
            (0.1218, 52.2053, "581U_0R"),
            (0.12, 52.2, "581U_0R"),
            (151.2, -33.86, "377D_1397R"),
            (-1e-4, -1e-4, "1D_1L"),
        ] {
            assert_eq!(grid.cell_at(lon, lat).unwrap().to_string(), name);
        }
        let boston = Cell::parse("471U_587L").unwrap();
        let (lon, lat) = grid.origin(boston).unwrap();
        assert!((lon + 71.29554655870444).abs() < 1e-12 && (lat - 42.30538922155689).abs() < 1e-12);
        assert_eq!(grid.column_count(471), 2964);
        let (first, last) = grid.row_range();
        assert_eq!(last - first + 1, 1893);
        assert_eq!(grid.count(), 5_094_350);
        assert_eq!(MajorTom::new(0.32).unwrap().cell_at(0.12, 52.2).unwrap().to_string(), "18159U_25R");
    }

    #[test]
    fn edges_of_the_grid() {
        let grid = grid();
        assert_eq!(grid.cell_at(0.0, 86.0), None);
        assert_eq!(grid.cell_at(0.0, -86.0), None);
        assert_eq!(grid.cell_at(f64::NAN, 0.0), None);
        assert_eq!(grid.cell_at(0.0, 95.0), None);
        assert!(!grid.has(Cell { row: 0, col: 5000 }) && !grid.has(Cell { row: 1000, col: 0 }));
        assert!(grid.origin(Cell { row: i32::MAX, col: i32::MIN }).is_err());
        for name in ["", "0U", "0U_", "0D_0R", "0U_0L", "-1U_0R", "1X_0R", "1U_0R_", "1U_99999999999R"] {
            assert!(Cell::parse(name).is_err(), "{name}");
        }
        for km in [0.0, -1.0, f64::NAN, 1e9] {
            assert!(MajorTom::new(km).is_err());
        }
        assert!(MajorTom::new(5000.0).unwrap().count() > 0);
    }

    #[test]
    fn fragments() {
        assert_eq!(fragment_offsets(1068, 224, 0.1).unwrap(), [0, 211, 422, 633, 844]);
        assert_eq!(fragment_offsets(1068, 384, 0.1).unwrap(), [0, 342, 684]);
        assert_eq!(fragment_offsets(224, 224, 0.1).unwrap(), [0]);
        assert_eq!(fragment_offsets(230, 224, 0.1).unwrap(), [0, 6]);
        assert!(fragment_offsets(100, 224, 0.1).is_err() && fragment_offsets(100, 0, 0.1).is_err());
    }

    #[test]
    fn covering_a_box() {
        let grid = MajorTom::new(100.0).unwrap();
        assert_eq!(grid.covering(&LonLatBox::WORLD).count() as u64, grid.count());
        let fiji = LonLatBox::new(179.0, -18.0, -179.0, -16.0).unwrap();
        let cells: Vec<Cell> = grid.covering(&fiji).collect();
        assert!(cells.iter().all(|c| grid.bounds(*c).unwrap().intersects(&fiji)));
        let all = grid.covering(&LonLatBox::WORLD).filter(|c| grid.bounds(*c).unwrap().intersects(&fiji));
        assert_eq!(all.count(), cells.len());
    }

    proptest! {
        #[test]
        fn every_place_has_its_cell(km in 1.0..500.0f64, lon in -180.0..180.0f64, lat in -84.0..84.0f64) {
            let grid = MajorTom::new(km).unwrap();
            if let Some(cell) = grid.cell_at(lon, lat) {
                prop_assert_eq!(Cell::parse(&cell.to_string()).unwrap(), cell);
                let bounds = grid.bounds(cell).unwrap();
                prop_assert!(bounds.contains(lon, lat), "{bounds:?}");
                // The middle of a cell is in it.
                let (x, y) = bounds.center();
                prop_assert_eq!(grid.cell_at(x, y), Some(cell));
                let point = LonLatBox::new(lon, lat, lon, lat).unwrap();
                prop_assert!(grid.covering(&point).any(|c| c == cell));
            }
        }
    }
}
