//! The military grid's 100 km squares (`31UDQ`), which also name Sentinel-2's tiles.
//!
//! A name is the UTM zone (with the exceptions of Norway and Svalbard), the latitude band C–X, and two letters for the
//! column and row of the square. The polar squares (zones A, B, Y, Z) are not UTM and not read.

use super::utm;
use crate::{BBox, Crs, GeoError, Transform};

const BANDS: &[u8; 20] = b"CDEFGHJKLMNPQRSTUVWX";
/// Letters of columns 1–8 (100–900 km east), by zone modulo 3.
const COLUMNS: [&[u8; 8]; 3] = [b"STUVWXYZ", b"ABCDEFGH", b"JKLMNPQR"];
/// Letters of rows; even zones start five further on.
const ROWS: &[u8; 20] = b"ABCDEFGHJKLMNPQRSTUV";
const SIDE: f64 = 100_000.0;
/// Side of a Sentinel-2 tile, metres.
const S2_SIDE: f64 = 109_800.0;

/// The box in degrees of a grid zone such as `10T` or `33X`: zone number and latitude band. `None` for anything else.
///
/// Where Norway and Svalbard shift zones (bands V and X) the box is as wide as the widest of them.
#[must_use]
pub fn grid_zone(name: &str) -> Option<BBox> {
    let (number, band) = name.split_at_checked(name.len().checked_sub(1)?)?;
    let zone: u8 = number.parse().ok().filter(|z| (1..=60).contains(z))?;
    let letter = band.bytes().next()?.to_ascii_uppercase();
    let row = BANDS.iter().position(|b| *b == letter)?;
    let (south, north) =
        (-80.0 + 8.0 * row as f64, if letter == b'X' { 84.0 } else { -72.0 + 8.0 * row as f64 });
    let half = if matches!(letter, b'V' | b'X') { 6.0 } else { 3.0 };
    let middle = utm::central_meridian(zone);
    Some(BBox { min_x: middle - half, min_y: south, max_x: middle + half, max_y: north })
}

/// A 100 km square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Square {
    zone: u8,
    /// Index into [`BANDS`].
    band: u8,
    /// Hundreds of kilometres of false easting, 1–8.
    easting: u8,
    /// Hundreds of kilometres of false northing, 0–99.
    northing: u8,
}

impl Square {
    /// The square a place is in.
    ///
    /// # Errors
    /// [`GeoError::BadLonLat`] for a place that is none, or beyond 80° S or 84° N.
    pub fn at(lon: f64, lat: f64) -> Result<Self, GeoError> {
        crate::check_lon_lat(lon, lat)?;
        if !(-80.0..=84.0).contains(&lat) {
            let reason = "MGRS squares on UTM reach from 80 S to 84 N".into();
            return Err(GeoError::BadLonLat { lon, lat, reason });
        }
        // Band X is twelve degrees high and includes 84° N.
        let zone = utm::zone_with_exceptions(lon, lat.min(83.999_999_999));
        let band = (((lat + 80.0) / 8.0).floor() as u8).min(19);
        let south = lat < 0.0;
        let (x, y) = Transform::new(&Crs::wgs84(), &Crs::utm(zone, south)?)?.point(lon, lat)?;
        // Rounding may put a place on the equator a hair beyond the last row.
        let northing = ((y / SIDE).floor() as u8).min(99);
        Ok(Self { zone, band, easting: (x / SIDE).floor().clamp(1.0, 8.0) as u8, northing })
    }

    /// Reads a name such as `31UDQ`; a Sentinel-2 `T` in front and a missing leading zero are fine.
    ///
    /// # Errors
    /// [`GeoError::BadName`] for anything that names no square.
    pub fn parse(name: &str) -> Result<Self, GeoError> {
        let bad = |reason: &str| GeoError::BadName {
            name: crate::error::clip(name, 40),
            lattice: "MGRS square",
            reason: reason.into(),
        };
        let grammar = || bad("expected a zone 01-60, a band C-X and two letters, such as 31UDQ");
        let text = name.strip_prefix('T').unwrap_or(name);
        let bytes = text.as_bytes();
        let digits = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
        let [band, column, row] = bytes[digits..] else { return Err(grammar()) };
        let zone = if digits <= 2 { text[..digits].parse::<u8>().ok() } else { None };
        let zone = zone.filter(|z| (1..=60).contains(z)).ok_or_else(grammar)?;
        let band = BANDS.iter().position(|b| *b == band).ok_or_else(grammar)? as u8;
        let column = COLUMNS[usize::from(zone % 3)].iter().position(|c| *c == column);
        let easting = column.ok_or_else(|| bad("its zone has no such column letter"))? as u8 + 1;
        let row = ROWS.iter().position(|r| *r == row).ok_or_else(|| bad("there is no such row letter"))?;
        let row = (row + 20 - row_shift(zone)) % 20;
        // Row letters repeat every 2000 km: the band says which is meant.
        let (low, high) = band_northings(zone, band)?;
        let northing = (0..5).map(|k| k * 20 + row as u8).find(|n| {
            let south = f64::from(*n) * SIDE;
            south < high && south + SIDE > low
        });
        let northing = northing.ok_or_else(|| bad("its row letter does not occur in its band"))?;
        Ok(Self { zone, band, easting, northing })
    }

    /// Zone, 1–60.
    pub fn zone(&self) -> u8 {
        self.zone
    }

    /// Whether it lies south of the equator.
    pub fn south(&self) -> bool {
        self.band < 10
    }

    /// EPSG code of its UTM zone.
    pub fn epsg(&self) -> u32 {
        utm::epsg(self.zone, self.south())
    }

    /// Edges in metres of its UTM zone. Where zones narrow or bands end, part of that belongs to other squares.
    pub fn bounds(&self) -> BBox {
        let (x, y) = (f64::from(self.easting) * SIDE, f64::from(self.northing) * SIDE);
        BBox::new(x, y, x + SIDE, y + SIDE)
    }

    /// Footprint of the Sentinel-2 tile of this name, in metres of its UTM zone: 109.8 km from the square's north-west
    /// corner, which is moved outwards to a multiple of 60 m (the coarsest pixels).
    pub fn sentinel2_bounds(&self) -> BBox {
        let b = self.bounds();
        let (x, y) = ((b.min_x / 60.0).floor() * 60.0, (b.max_y / 60.0).ceil() * 60.0);
        BBox::new(x, y - S2_SIDE, x + S2_SIDE, y)
    }
}

impl std::fmt::Display for Square {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let band = char::from(BANDS[usize::from(self.band)]);
        let column = char::from(COLUMNS[usize::from(self.zone % 3)][usize::from(self.easting) - 1]);
        let row = char::from(ROWS[(usize::from(self.northing) + row_shift(self.zone)) % 20]);
        write!(f, "{:02}{band}{column}{row}", self.zone)
    }
}

impl std::str::FromStr for Square {
    type Err = GeoError;

    fn from_str(name: &str) -> Result<Self, GeoError> {
        Self::parse(name)
    }
}

fn row_shift(zone: u8) -> usize {
    if zone.is_multiple_of(2) { 5 } else { 0 }
}

/// Lowest and highest northing in a band of a zone.
fn band_northings(zone: u8, band: u8) -> Result<(f64, f64), GeoError> {
    let south = -80.0 + 8.0 * f64::from(band);
    let north = if band == 19 { 84.0 } else { south + 8.0 };
    let to = Transform::new(&Crs::wgs84(), &Crs::utm(zone, band < 10)?)?;
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    // Zones reach at most 9° from the central meridian (31V); northings of a parallel are extreme there or in the middle.
    for lat in [south, north] {
        for away in [0.0, 3.0, 6.0, 9.0] {
            let (_, y) = to.point(crate::wrap_lon(utm::central_meridian(zone) + away), lat)?;
            (low, high) = (low.min(y), high.max(y));
        }
    }
    Ok((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grid_zones_hold_their_places() {
        let b = grid_zone("10T").unwrap();
        assert_eq!((b.min_x, b.min_y, b.max_x, b.max_y), (-126.0, 40.0, -120.0, 48.0));
        for (lon, lat) in
            [(5.3, 60.4), (11.9, 60.0), (8.5, 78.0), (20.9, 80.0), (-179.9, -79.0), (41.9, 83.9)]
        {
            let zone = utm::zone_with_exceptions(lon, lat);
            let band = char::from(BANDS[(((lat + 80.0) / 8.0) as usize).min(19)]);
            assert!(grid_zone(&format!("{zone:02}{band}")).unwrap().contains(lon, lat), "{zone}{band}");
        }
        for bad in ["", "T", "61T", "0T", "10I", "10", "10é", "é"] {
            assert!(grid_zone(bad).is_none(), "{bad}");
        }
    }
    use proptest::prelude::*;

    #[test]
    fn known_squares() {
        for (lon, lat, name) in [
            (2.3522, 48.8566, "31UDQ"),
            (-76.5, 38.9, "18SUJ"),
            (5.0, 60.39, "32VKN"),
            (-0.1276, 51.5072, "30UXC"),
            (151.2093, -33.8688, "56HLH"),
            (-43.1729, -22.9068, "23KPQ"),
            (15.6, 78.22, "33XWG"),
            (-78.4678, -0.1807, "17MQV"),
        ] {
            assert_eq!(Square::at(lon, lat).unwrap().to_string(), name);
        }
        assert_eq!(Square::parse("31UDQ").unwrap().bounds(), BBox::new(4e5, 5.4e6, 5e5, 5.5e6));
        assert_eq!(Square::parse("T2VMN").unwrap(), Square::parse("02VMN").unwrap());
        assert_eq!(Square::parse("20MNT").unwrap().epsg(), 32720);
        // Column N does not occur in zone 21, although such a file name has been published.
        assert!(Square::parse("21MNT").is_err());
    }

    #[test]
    fn golden() {
        let golden = include_str!("../../../../testdata/grid/mgrs_golden.csv");
        let mut rows = 0;
        for record in csv::Reader::from_reader(golden.as_bytes()).records() {
            let record = record.unwrap();
            let (lon, lat) = (record[0].parse().unwrap(), record[1].parse().unwrap());
            assert_eq!(Square::at(lon, lat).unwrap().to_string(), record[2], "{lon} {lat}");
            rows += 1;
        }
        assert_eq!(rows, 700);
    }

    #[test]
    fn sentinel2_tiles() {
        // Upper left corners as Sentinel-2 products state them.
        for (name, x, y) in [("31TCJ", 300_000.0, 4_900_020.0), ("31UDQ", 399_960.0, 5_500_020.0)] {
            let b = Square::parse(name).unwrap().sentinel2_bounds();
            assert_eq!((b.min_x, b.max_y, b.width(), b.height()), (x, y, 109_800.0, 109_800.0), "{name}");
        }
        // Clay's patches of 03WVN start half a pixel outside the tile's north-west corner.
        let b = Square::parse("03WVN").unwrap().sentinel2_bounds();
        assert_eq!((b.min_x, b.max_y), (399_955.0 + 5.0, 7_300_025.0 - 5.0));
    }

    #[test]
    fn refuses() {
        for name in [
            "", "31", "31U", "31UD", "31UDQQ", "61UDQ", "00UDQ", "31IDQ", "31UJQ", "31UDW", "031UDQ",
            "31udq", "é1UDQ", "31UDK", "TT31UDQ",
        ] {
            assert!(Square::parse(name).is_err(), "{name}");
        }
        assert!(Square::at(0.0, 85.0).is_err() && Square::at(0.0, -81.0).is_err());
        assert!(
            Square::at(0.0, 84.0).is_ok()
                && Square::at(180.0, -80.0).is_ok()
                && Square::at(-180.0, 0.0).is_ok()
        );
    }

    proptest! {
        #[test]
        fn round_trip(lon in -180.0..180.0f64, lat in -80.0..84.0f64) {
            let square = Square::at(lon, lat).unwrap();
            prop_assert_eq!(Square::parse(&square.to_string()).unwrap(), square);
            let crs = Crs::from_epsg(square.epsg()).unwrap();
            let (x, y) = Transform::new(&Crs::wgs84(), &crs).unwrap().point(lon, lat).unwrap();
            prop_assert!(square.bounds().contains(x, y));
        }
    }
}
