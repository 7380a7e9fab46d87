//! Geohashes (base 32, Morton order of longitude and latitude).
//!
//! By bisection, whose midpoints are exact in `f64`: tricks with scaled integers put points a rounding error below the
//! equator or the prime meridian on the wrong side.

use crate::{BBox, GeoError};

const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";

/// Geohash of a place, `precision` characters; longitudes and latitudes out of range count as the nearest in it.
pub fn encode(lon: f64, lat: f64, precision: usize) -> String {
    let (mut x, mut y) = ((-180.0, 180.0), (-90.0, 90.0));
    let half = |range: &mut (f64, f64), value: f64| {
        let middle = (range.0 + range.1) / 2.0;
        let upper = value >= middle;
        if upper {
            range.0 = middle;
        } else {
            range.1 = middle;
        }
        usize::from(upper)
    };
    let mut out = String::with_capacity(precision);
    for i in 0..precision {
        let mut index = 0;
        for bit in 0..5 {
            let east_west = (i * 5 + bit) % 2 == 0;
            index = index * 2 + if east_west { half(&mut x, lon) } else { half(&mut y, lat) };
        }
        out.push(char::from(ALPHABET[index]));
    }
    out
}

/// The cell a geohash names, degrees; its centre is the place the geohash stands for.
///
/// # Errors
/// [`GeoError::BadName`] for an empty text or one with characters outside the alphabet (a, i, l, o are not in it).
pub fn decode(hash: &str) -> Result<BBox, GeoError> {
    let bad =
        |reason: String| GeoError::BadName { name: crate::error::clip(hash, 40), lattice: "geohash", reason };
    if hash.is_empty() {
        return Err(bad("it is empty".into()));
    }
    let (mut x, mut y) = ((-180.0, 180.0), (-90.0, 90.0));
    let mut east_west = true;
    for c in hash.chars() {
        let lower = c.to_ascii_lowercase();
        let index = ALPHABET.iter().position(|a| char::from(*a) == lower);
        let index = index.ok_or_else(|| bad(format!("{c:?} is not a geohash character")))?;
        for bit in (0..5).rev() {
            let range = if east_west { &mut x } else { &mut y };
            let middle = (range.0 + range.1) / 2.0;
            if index >> bit & 1 == 1 {
                range.0 = middle;
            } else {
                range.1 = middle;
            }
            east_west = !east_west;
        }
    }
    Ok(BBox::new(x.0, y.0, x.1, y.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known() {
        assert_eq!(encode(-105.0, 40.0, 2), "9x");
        assert_eq!(encode(-73.95, 40.78, 2), "dr");
        assert_eq!(encode(-76.336_015_408_990_66, 39.549_809_958_797_79, 11), "dr18yzvf3fv");
        // A rounding error south of the equator, and west of the prime meridian.
        assert_eq!(encode(-0.179_640_718_562_884_27, -4.850286838831153e-15, 11), "7zzzgzvpypf");
        assert_eq!(encode(-5.053249485520439e-15, -0.494_011_976_047_905_53, 11), "7zzvpypfpvr");
        assert!(decode("").is_err() && decode("dr18a").is_err());
        assert_eq!(decode("9X").unwrap(), decode("9x").unwrap());
    }

    proptest! {
        #[test]
        fn round_trip(lon in -180.0..180.0f64, lat in -90.0..90.0f64, precision in 1..12usize) {
            let hash = encode(lon, lat, precision);
            let cell = decode(&hash).unwrap();
            prop_assert!(cell.contains(lon, lat));
            let (x, y) = cell.center();
            prop_assert_eq!(encode(x, y, precision), hash);
        }
    }
}
