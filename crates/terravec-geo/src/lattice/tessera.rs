//! Tessera's lattice: 0.1° tiles named by their centres, longitude first (`grid_-0.05_50.75`).

use crate::{GeoError, LonLatBox};

/// A 0.1° tile, by its centre in hundredths of a degree (the integer keys of Tessera's registries).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    lon: i32,
    lat: i32,
}

impl Tile {
    /// The tile a place is in; tiles own their western and southern edges. 180° E counts as 180° W and the north pole
    /// belongs to the northernmost tile.
    ///
    /// # Errors
    /// [`GeoError::BadLonLat`] for a place that is none.
    pub fn at(lon: f64, lat: f64) -> Result<Self, GeoError> {
        crate::check_lon_lat(lon, lat)?;
        // The reference's own arithmetic: floor(v·10)/10 + 0.05.
        let center = |v: f64| (v * 10.0).floor() as i32 * 10 + 5;
        let lon = center(lon);
        Ok(Self { lon: if lon > 18_000 { lon - 36_000 } else { lon }, lat: center(lat).min(8_995) })
    }

    /// From the centre in hundredths of a degree, as registries store it.
    ///
    /// # Errors
    /// [`GeoError::BadName`] if that is not the centre of a tile.
    pub fn from_keys(lon: i32, lat: i32) -> Result<Self, GeoError> {
        let tile = Self { lon, lat };
        let ok = |v: i32, limit: i32| v.abs() < limit && v.rem_euclid(10) == 5;
        if ok(lon, 18_000) && ok(lat, 9_000) {
            Ok(tile)
        } else {
            Err(tile.bad(&tile.name(), "centres lie at odd multiples of 0.05 degrees"))
        }
    }

    /// Reads `grid_{lon}_{lat}`, two decimals each.
    ///
    /// # Errors
    /// [`GeoError::BadName`] for anything else.
    pub fn parse(name: &str) -> Result<Self, GeoError> {
        let tile = Self { lon: 0, lat: 0 };
        let bad = || tile.bad(name, "expected grid_LON_LAT with two decimals, such as grid_-0.05_50.75");
        let (lon, lat) = name.strip_prefix("grid_").and_then(|rest| rest.split_once('_')).ok_or_else(bad)?;
        match (hundredths(lon), hundredths(lat)) {
            (Some(lon), Some(lat)) => Self::from_keys(lon, lat),
            _ => Err(bad()),
        }
    }

    fn bad(&self, name: &str, reason: &str) -> GeoError {
        GeoError::BadName {
            name: crate::error::clip(name, 60),
            lattice: "Tessera tile",
            reason: reason.into(),
        }
    }

    /// Centre in hundredths of a degree, (lon, lat).
    pub fn keys(&self) -> (i32, i32) {
        (self.lon, self.lat)
    }

    /// Centre, (lon, lat).
    pub fn center(&self) -> (f64, f64) {
        (f64::from(self.lon) / 100.0, f64::from(self.lat) / 100.0)
    }

    /// Edges; the tile owns the western and southern ones.
    pub fn bounds(&self) -> LonLatBox {
        let edge = |v: i32| f64::from(v) / 100.0;
        LonLatBox {
            west: edge(self.lon - 5),
            south: edge(self.lat - 5),
            east: edge(self.lon + 5),
            north: edge(self.lat + 5),
        }
    }

    /// `grid_{lon:.2}_{lat:.2}`.
    pub fn name(&self) -> String {
        let two = |v: i32| format!("{}{}.{:02}", if v < 0 { "-" } else { "" }, v.abs() / 100, v.abs() % 100);
        format!("grid_{}_{}", two(self.lon), two(self.lat))
    }

    /// Zone by the plain rule and hemisphere of the centre. A tile's own landmask is the authority where it differs.
    pub fn utm(&self) -> (u8, bool) {
        (super::utm::zone(self.center().0), self.lat < 0)
    }

    /// The tiles a box touches, west to east in rows from south to north.
    pub fn covering(bbox: &LonLatBox) -> Vec<Self> {
        let range = |from: f64, to: f64| {
            let first = (from * 10.0).floor() as i32;
            first..((to * 10.0).ceil() as i32).max(first + 1)
        };
        let mut out: Vec<Self> = bbox
            .split()
            .iter()
            .flat_map(|b| {
                let lons = range(b.min_x, b.max_x);
                range(b.min_y, b.max_y).flat_map(move |lat| lons.clone().map(move |lon| (lon, lat)))
            })
            .filter_map(|(lon, lat)| Self::from_keys(lon * 10 + 5, lat * 10 + 5).ok())
            .collect();
        out.sort_by_key(|t| t.lat);
        out.dedup();
        out
    }
}

impl std::fmt::Display for Tile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

impl std::str::FromStr for Tile {
    type Err = GeoError;

    fn from_str(name: &str) -> Result<Self, GeoError> {
        Self::parse(name)
    }
}

/// `-12.35` → −1235; exactly two decimals.
fn hundredths(text: &str) -> Option<i32> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.')?;
    let plain = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !(plain(whole) && plain(fraction) && whole.len() <= 3 && fraction.len() == 2) {
        return None;
    }
    let value = whole.parse::<i32>().ok()? * 100 + fraction.parse::<i32>().ok()?;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden() {
        for (lon, lat, name) in [
            (0.1218, 52.2053, "grid_0.15_52.25"),
            (-0.01, 51.5, "grid_-0.05_51.55"),
            (-65.9, -3.2, "grid_-65.85_-3.15"),
            (179.99, -17.0, "grid_179.95_-16.95"),
            (0.17, -0.12, "grid_0.15_-0.15"),
        ] {
            assert_eq!(Tile::at(lon, lat).unwrap().name(), name);
        }
        let tile = Tile::parse("grid_-0.05_50.75").unwrap();
        assert_eq!((tile.keys(), tile.center()), ((-5, 5075), (-0.05, 50.75)));
        assert_eq!(tile.bounds(), LonLatBox::new(-0.1, 50.7, 0.0, 50.8).unwrap());
        assert_eq!(tile.utm(), (30, false));
        assert_eq!(Tile::at(180.0, 90.0).unwrap().keys(), (-17_995, 8_995));
    }

    #[test]
    fn refuses() {
        for name in [
            "",
            "grid_",
            "grid_1_2",
            "grid_0.1_50.75",
            "grid_0.10_50.75",
            "grid_180.05_0.05",
            "grid_0.05_90.05",
            "grid_0.05_50.75.npy",
            "grid_+0.05_50.75",
            "grid_0.05_٥٠.75",
            "GRID_0.05_50.75",
        ] {
            assert!(Tile::parse(name).is_err(), "{name}");
        }
        assert!(Tile::at(0.0, 91.0).is_err());
    }

    #[test]
    fn covers() {
        let tiles = Tile::covering(&LonLatBox::new(-0.05, 50.7, 0.05, 50.9).unwrap());
        let names: Vec<String> = tiles.iter().map(Tile::name).collect();
        assert_eq!(names, ["grid_-0.05_50.75", "grid_0.05_50.75", "grid_-0.05_50.85", "grid_0.05_50.85"]);
        let fiji = LonLatBox::new(179.95, -17.0, -179.95, -16.95).unwrap();
        assert_eq!(Tile::covering(&fiji).len(), 2);
        assert_eq!(Tile::covering(&LonLatBox::WORLD).len(), 3600 * 1800);
    }

    proptest! {
        #[test]
        fn round_trip(lon in -180.0..180.0f64, lat in -90.0..90.0f64) {
            let tile = Tile::at(lon, lat).unwrap();
            prop_assert_eq!(Tile::parse(&tile.name()).unwrap(), tile);
            prop_assert!(tile.bounds().contains(lon, lat));
        }
    }
}
