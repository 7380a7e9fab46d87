//! AlphaEarth's lattice: 8192-pixel files of 10 m in every UTM zone, and how its files are named.
//!
//! Corners lie at x = 500 000 + i·81 920 and y = j·81 920 (north) or 10 000 000 + j·81 920 (south). A published
//! image is 16 384 pixels wide, in up to four files `{id}-{yoff:010}-{xoff:010}.tiff`; file rows run from south to
//! north, so that yoff 8192 is the image's northern half.

use super::utm;
use crate::{Affine, BBox, Crs, GeoError, Grid, Transform};

/// Pixels along a side of a file.
pub const TILE_PIXELS: usize = 8192;
/// Pixel size, metres.
pub const RESOLUTION: f64 = 10.0;
const SIDE: f64 = TILE_PIXELS as f64 * RESOLUTION;

/// A UTM zone as AlphaEarth's folders write it: `10N`, `1S`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zone {
    number: u8,
    south: bool,
}

impl Zone {
    /// From the number, 1–60.
    ///
    /// # Errors
    /// [`GeoError::BadName`] for other numbers.
    pub fn new(number: u8, south: bool) -> Result<Self, GeoError> {
        let zone = Self { number, south };
        if (1..=60).contains(&number) { Ok(zone) } else { Err(bad_zone(&zone.to_string())) }
    }

    /// Reads `10N` or `1S` (a leading zero is fine).
    ///
    /// # Errors
    /// [`GeoError::BadName`] for anything else.
    pub fn parse(label: &str) -> Result<Self, GeoError> {
        let south = match label.as_bytes().last() {
            Some(b'N') => false,
            Some(b'S') => true,
            _ => return Err(bad_zone(label)),
        };
        let digits = &label[..label.len() - 1];
        let plain = (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        let number = if plain { digits.parse().ok() } else { None };
        Self::new(number.ok_or_else(|| bad_zone(label))?, south).map_err(|_| bad_zone(label))
    }

    /// Zone of a place, by the plain rule.
    ///
    /// # Errors
    /// [`GeoError::BadLonLat`] for a place that is none.
    pub fn at(lon: f64, lat: f64) -> Result<Self, GeoError> {
        crate::check_lon_lat(lon, lat)?;
        Ok(Self { number: utm::zone(lon), south: lat < 0.0 })
    }

    /// 1–60.
    pub fn number(&self) -> u8 {
        self.number
    }

    /// Whether it is the southern one.
    pub fn south(&self) -> bool {
        self.south
    }

    /// EPSG code, 326zz or 327zz.
    pub fn epsg(&self) -> u32 {
        utm::epsg(self.number, self.south)
    }
}

fn bad_zone(label: &str) -> GeoError {
    GeoError::BadName {
        name: crate::error::clip(label, 40),
        lattice: "AlphaEarth zone",
        reason: "expected 1N to 60N or 1S to 60S".into(),
    }
}

impl std::fmt::Display for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.number, if self.south { 'S' } else { 'N' })
    }
}

impl std::str::FromStr for Zone {
    type Err = GeoError;

    fn from_str(label: &str) -> Result<Self, GeoError> {
        Self::parse(label)
    }
}

/// A square of the lattice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tile {
    /// Zone it lies in.
    pub zone: Zone,
    /// Steps of 81 920 m east of the central meridian.
    pub i: i32,
    /// Steps of 81 920 m north of the equator (negative in the south).
    pub j: i32,
}

impl Tile {
    /// The tile holding a place given in the zone's own metres; tiles own their western and southern edges.
    pub fn at(zone: Zone, x: f64, y: f64) -> Self {
        let index = |v: f64, origin: f64| ((v - origin) / SIDE).floor() as i32;
        Self { zone, i: index(x, 500_000.0), j: index(y, Self::y_origin(zone)) }
    }

    /// The tile holding a place, in the place's own zone.
    ///
    /// # Errors
    /// [`GeoError::BadLonLat`] or [`GeoError::Unprojectable`] for a place that is none.
    pub fn at_lon_lat(lon: f64, lat: f64) -> Result<Self, GeoError> {
        let zone = Zone::at(lon, lat)?;
        let to = Transform::new(&Crs::wgs84(), &Crs::from_epsg(zone.epsg())?)?;
        let (x, y) = to.point(lon, lat)?;
        Ok(Self::at(zone, x, y))
    }

    fn y_origin(zone: Zone) -> f64 {
        if zone.south { 10_000_000.0 } else { 0.0 }
    }

    /// Edges in the zone's metres.
    pub fn bounds(&self) -> BBox {
        let x = 500_000.0 + f64::from(self.i) * SIDE;
        let y = Self::y_origin(self.zone) + f64::from(self.j) * SIDE;
        BBox::new(x, y, x + SIDE, y + SIDE)
    }

    /// The tile's pixels, north-up.
    ///
    /// # Errors
    /// None for a valid zone.
    pub fn grid(&self) -> Result<Grid, GeoError> {
        let b = self.bounds();
        let affine = Affine::north_up(b.min_x, b.max_y, RESOLUTION, RESOLUTION);
        Grid::new(Crs::from_epsg(self.zone.epsg())?, affine, TILE_PIXELS, TILE_PIXELS)
    }
}

/// The parts of a file name `{id}-{yoff:010}-{xoff:010}.tiff`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileName {
    /// Earth Engine's id of the image, such as `x8qqwcsisbgygl2ry`.
    pub id: String,
    /// First row of the file in the image, counted from its southern edge.
    pub yoff: u32,
    /// First column of the file in the image.
    pub xoff: u32,
}

impl FileName {
    /// Reads a file name (no folders), with or without its extension.
    ///
    /// # Errors
    /// [`GeoError::BadName`] for anything else.
    pub fn parse(name: &str) -> Result<Self, GeoError> {
        let bad = || GeoError::BadName {
            name: crate::error::clip(name, 80),
            lattice: "AlphaEarth file",
            reason: "expected {id}-{yoff}-{xoff}.tiff with ten digits each".into(),
        };
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let mut parts = stem.rsplitn(3, '-');
        let mut offset = || {
            let digits = parts.next().filter(|p| p.len() == 10 && p.bytes().all(|b| b.is_ascii_digit()))?;
            digits.parse::<u32>().ok()
        };
        let (xoff, yoff) = (offset().ok_or_else(bad)?, offset().ok_or_else(bad)?);
        match parts.next() {
            Some(id) if !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                Ok(Self { id: id.to_owned(), yoff, xoff })
            }
            _ => Err(bad()),
        }
    }
}

impl std::fmt::Display for FileName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{:010}-{:010}.tiff", self.id, self.yoff, self.xoff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names() {
        let name = "x8qqwcsisbgygl2ry-0000008192-0000000000.tiff";
        let file = FileName::parse(name).unwrap();
        assert_eq!((file.id.as_str(), file.yoff, file.xoff), ("x8qqwcsisbgygl2ry", 8192, 0));
        assert_eq!(file.to_string(), name);
        for bad in [
            "",
            "x-8192-0.tiff",
            "x-0000008192.tiff",
            "-0000008192-0000000000.tiff",
            "x-99999999990-0000000000.tiff",
            "x-9999999999-0000000000.tiff",
            "a/b-0000008192-0000000000.tiff",
        ] {
            assert!(FileName::parse(bad).is_err(), "{bad}");
        }
        for (label, epsg) in [("10N", 32610), ("1S", 32701), ("01S", 32701), ("60N", 32660)] {
            assert_eq!(Zone::parse(label).unwrap().epsg(), epsg);
        }
        assert_eq!(Zone::parse("01S").unwrap().to_string(), "1S");
        for bad in ["", "N", "0N", "61S", "10", "10n", "+1N", "1é", "100N"] {
            assert!(Zone::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn published_tile() {
        // A file of zone 13N whose header is published: origin (418080, 4423680), south-up.
        let zone = Zone::parse("13N").unwrap();
        let tile = Tile::at(zone, 418_085.0, 4_423_685.0);
        assert_eq!((tile.i, tile.j), (-1, 54));
        assert_eq!((tile.bounds().min_x, tile.bounds().min_y), (418_080.0, 4_423_680.0));
        assert_eq!(tile.grid().unwrap().bounds(), tile.bounds());
        let south = Tile::at(Zone::parse("1S").unwrap(), 500_000.0, 9_999_999.0);
        assert_eq!((south.i, south.j), (0, -1));
        assert_eq!(south.bounds().max_y, 10_000_000.0);
    }

    proptest! {
        #[test]
        fn tile_holds_its_place(lon in -180.0..180.0f64, lat in -84.0..84.0f64) {
            let tile = Tile::at_lon_lat(lon, lat).unwrap();
            let crs = Crs::from_epsg(tile.zone.epsg()).unwrap();
            let (x, y) = Transform::new(&Crs::wgs84(), &crs).unwrap().point(lon, lat).unwrap();
            prop_assert!(tile.bounds().contains(x, y));
            let (cx, cy) = tile.bounds().center();
            prop_assert_eq!(Tile::at(tile.zone, cx, cy), tile);
        }
    }
}
