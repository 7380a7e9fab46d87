//! UTM zones of places: the plain six-degree rule, and the one with the exceptions of Norway and Svalbard.
//!
//! Products differ: AlphaEarth and Tessera follow the plain rule, Major TOM and MGRS the exceptions.

/// Zone of a longitude by the plain rule, 1–60; 180° is −180°.
pub fn zone(lon: f64) -> u8 {
    // `as` sends NaN to 0, hence to a valid zone.
    (((lon + 180.0) / 6.0).floor() as i64).rem_euclid(60) as u8 + 1
}

/// Zone of a place with the exceptions: 32 reaches west over southern Norway, and around Svalbard 31, 33, 35 and 37
/// share the room of seven.
pub fn zone_with_exceptions(lon: f64, lat: f64) -> u8 {
    let within = |from: f64, to: f64| lon >= from && lon < to;
    if (56.0..64.0).contains(&lat) && within(3.0, 12.0) {
        return 32;
    }
    if (72.0..84.0).contains(&lat) {
        for (zone, from, to) in [(31, 0.0, 9.0), (33, 9.0, 21.0), (35, 21.0, 33.0), (37, 33.0, 42.0)] {
            if within(from, to) {
                return zone;
            }
        }
    }
    zone(lon)
}

/// Longitude of a zone's central meridian.
pub fn central_meridian(zone: u8) -> f64 {
    f64::from(zone) * 6.0 - 183.0
}

/// EPSG code of WGS 84 / UTM: 326zz in the north, 327zz in the south.
pub fn epsg(zone: u8, south: bool) -> u32 {
    if south { 32700 + u32::from(zone) } else { 32600 + u32::from(zone) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_and_exceptional() {
        assert_eq!([zone(-180.0), zone(-174.0), zone(0.0), zone(179.99), zone(180.0)], [1, 2, 31, 60, 1]);
        // ESA's own assertions in Major TOM's grid.py.
        for (lat, lon, code) in [
            (-1.0, -174.34, 32701),
            (48.0, -4.0, 32630),
            (78.0, 13.0, 32633),
            (-34.0, 19.7, 32734),
            (-36.0, 175.7, 32760),
        ] {
            assert_eq!(epsg(zone_with_exceptions(lon, lat), lat < 0.0), code);
        }
        assert_eq!((zone(5.3), zone_with_exceptions(5.3, 60.4)), (31, 32));
        assert_eq!((zone(8.0), zone_with_exceptions(8.0, 78.0)), (32, 31));
        assert_eq!(zone_with_exceptions(5.3, 64.0), 31);
        assert_eq!(central_meridian(16), -87.0);
        assert!((1..=60).contains(&zone(f64::NAN)) && (1..=60).contains(&zone(1e300)));
    }
}
