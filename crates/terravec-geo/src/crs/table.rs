//! The CRSs known by EPSG code. Numbers are EPSG's; `tests/python/test_geo.py` holds every one against PROJ.

use super::definition::{Datum, Definition, Method, Numbers};
use std::borrow::Cow;

/// What [`lookup`] knows, for error messages.
pub(crate) const KNOWN: &str = "4326, 4979, 4258, 4269, 4283, 4490, 4617, 4674, 6318, 7844 (geographic), 326zz/327zz, \
     258zz, 269zz, 283zz, 78zz, 3196x-3198x and 25231 (UTM), 3857, 3035, 3031, 3413, 3976, 3995, 32661, 32761, 5041, \
     5042, 8857-8859, 5070, 6350, 3338, 3395, 3832, 3408-3410, 6931-6933, 3577, 3978, 3979, 3347, 2154, 3034, \
     3067";

const GRS80: (&str, f64) = ("GRS 1980", 298.257222101);
const SPHERE_1924: &str = "International 1924 Authalic Sphere";

const fn datum(
    code: u32,
    crs_name: &'static str,
    name: &'static str,
    ellipsoid: &'static str,
    a: f64,
    rf: f64,
) -> Datum {
    Datum {
        crs_name: Cow::Borrowed(crs_name),
        crs_code: Some(code),
        name: Cow::Borrowed(name),
        ellipsoid: Cow::Borrowed(ellipsoid),
        a,
        rf,
    }
}

const fn grs80(code: u32, crs_name: &'static str, name: &'static str) -> Datum {
    datum(code, crs_name, name, GRS80.0, 6_378_137.0, GRS80.1)
}

/// The datums known by name.
pub(crate) static DATUMS: [Datum; 13] = [
    datum(4326, "WGS 84", "World Geodetic System 1984", "WGS 84", 6_378_137.0, 298.257223563),
    grs80(4258, "ETRS89", "European Terrestrial Reference System 1989"),
    grs80(4269, "NAD83", "North American Datum 1983"),
    grs80(4283, "GDA94", "Geocentric Datum of Australia 1994"),
    grs80(7844, "GDA2020", "Geocentric Datum of Australia 2020"),
    grs80(4617, "NAD83(CSRS)", "NAD83 Canadian Spatial Reference System"),
    grs80(6318, "NAD83(2011)", "NAD83 (National Spatial Reference System 2011)"),
    grs80(4674, "SIRGAS 2000", "Sistema de Referencia Geocentrico para las AmericaS 2000"),
    grs80(4171, "RGF93 v1", "Reseau Geodesique Francais 1993 v1"),
    grs80(4167, "NZGD2000", "New Zealand Geodetic Datum 2000"),
    datum(
        4490,
        "China Geodetic Coordinate System 2000",
        "China 2000",
        "CGCS2000",
        6_378_137.0,
        298.257222101,
    ),
    datum(4252, "Lome", "Lome", "Clarke 1880 (IGN)", 6_378_249.2, 293.466021293627),
    datum(
        10346,
        "NSIDC Authalic Sphere",
        "NSIDC International 1924 Authalic Sphere",
        SPHERE_1924,
        6_371_228.0,
        0.0,
    ),
];

/// The known datum whose geographic CRS has this code.
pub(crate) fn datum_of(code: u32) -> Option<&'static Datum> {
    DATUMS.iter().find(|d| d.crs_code == Some(code))
}

/// Easting and northing are EPSG's order except here, where northing comes first.
pub(crate) fn northing_first(code: u32) -> bool {
    matches!(code, 3034 | 3035 | 32661 | 32761)
}

/// UTM's numbers for a zone.
pub(crate) fn utm_numbers(zone: u8, south: bool) -> Numbers {
    Numbers {
        lon_0: f64::from(zone) * 6.0 - 183.0,
        k: 0.9996,
        x_0: 500_000.0,
        y_0: if south { 10_000_000.0 } else { 0.0 },
        ..Numbers::default()
    }
}

/// (zone, south) if the numbers are UTM's.
pub(crate) fn utm_zone_of(numbers: &Numbers) -> Option<(u8, bool)> {
    let zone = (numbers.lon_0 + 183.0) / 6.0;
    let rounded = zone.round();
    let south = numbers.y_0 > 5_000_000.0;
    let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
    if !(1.0..=60.0).contains(&rounded) || !near(zone, rounded) {
        return None;
    }
    let utm = utm_numbers(rounded as u8, south);
    (near(numbers.lat_0, 0.0)
        && (numbers.k - utm.k).abs() < 1e-9
        && near(numbers.x_0, utm.x_0)
        && near(numbers.y_0, utm.y_0))
    .then_some((rounded as u8, south))
}

/// The definition of an EPSG code.
pub(crate) fn lookup(code: u32) -> Option<Definition> {
    let make = |name: String, datum: u32, method, numbers| {
        Some(Definition {
            name,
            epsg: Some(code),
            datum: datum_of(datum)?.clone(),
            method,
            numbers,
            unit: 1.0,
        })
    };
    if let Some((datum, zone, south)) = utm(code) {
        let hemisphere = if south { 'S' } else { 'N' };
        let name = match datum {
            4283 => format!("GDA94 / MGA zone {zone}"),
            7844 => format!("GDA2020 / MGA zone {zone}"),
            _ => format!("{} / UTM zone {zone}{hemisphere}", datum_of(datum)?.crs_name),
        };
        return make(name, datum, Method::TransverseMercator, utm_numbers(zone, south));
    }
    if code == 4979 {
        return make("WGS 84".into(), 4326, Method::Geographic, Numbers::default());
    }
    if let Some(datum) = datum_of(code) {
        return make(datum.crs_name.clone().into_owned(), code, Method::Geographic, Numbers::default());
    }
    let (_, name, datum, method, numbers) = PROJECTED.iter().find(|row| row.0 == code)?;
    make((*name).to_owned(), *datum, *method, *numbers)
}

/// (datum, zone, south) of the codes that follow a rule.
fn utm(code: u32) -> Option<(u32, u8, bool)> {
    let (datum, zone, south) = match code {
        32601..=32660 => (4326, code - 32600, false),
        32701..=32760 => (4326, code - 32700, true),
        25828..=25838 => (4258, code - 25800, false),
        26901..=26923 => (4269, code - 26900, false),
        28348..=28358 => (4283, code - 28300, true),
        7846..=7859 => (7844, code - 7800, true),
        31965..=31976 => (4674, code - 31954, false),
        31978..=31985 => (4674, code - 31960, true),
        25231 => (4252, 31, false),
        _ => return None,
    };
    Some((datum, zone as u8, south))
}

const fn n(lon_0: f64, lat_0: f64, lat_1: f64, lat_2: f64, k: f64, x_0: f64, y_0: f64) -> Numbers {
    Numbers { lon_0, lat_0, lat_1, lat_2, k, x_0, y_0 }
}

type Row = (u32, &'static str, u32, Method, Numbers);

// code, name, datum (code of its geographic CRS), method, lon_0, lat_0, lat_1, lat_2, k, x_0, y_0
#[rustfmt::skip]
static PROJECTED: [Row; 31] = [
    (2154, "RGF93 v1 / Lambert-93", 4171, Method::LambertConic2, n(3.0, 46.5, 49.0, 44.0, 1.0, 700_000.0, 6_600_000.0)),
    (3031, "WGS 84 / Antarctic Polar Stereographic", 4326, Method::PolarStereographicB, n(0.0, 0.0, -71.0, 0.0, 1.0, 0.0, 0.0)),
    (3034, "ETRS89-extended / LCC Europe", 4258, Method::LambertConic2, n(10.0, 52.0, 35.0, 65.0, 1.0, 4_000_000.0, 2_800_000.0)),
    (3035, "ETRS89-extended / LAEA Europe", 4258, Method::LambertAzimuthal, n(10.0, 52.0, 0.0, 0.0, 1.0, 4_321_000.0, 3_210_000.0)),
    (3067, "ETRS89 / TM35FIN(E,N)", 4258, Method::TransverseMercator, n(27.0, 0.0, 0.0, 0.0, 0.9996, 500_000.0, 0.0)),
    (3338, "NAD83 / Alaska Albers", 4269, Method::Albers, n(-154.0, 50.0, 55.0, 65.0, 1.0, 0.0, 0.0)),
    (3347, "NAD83 / Statistics Canada Lambert", 4269, Method::LambertConic2, n(-(91.0 + 52.0 / 60.0), 63.390675, 49.0, 77.0, 1.0, 6_200_000.0, 3_000_000.0)),
    (3395, "WGS 84 / World Mercator", 4326, Method::MercatorA, n(0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0)),
    (3408, "NSIDC EASE-Grid North", 10346, Method::LambertAzimuthal, n(0.0, 90.0, 0.0, 0.0, 1.0, 0.0, 0.0)),
    (3409, "NSIDC EASE-Grid South", 10346, Method::LambertAzimuthal, n(0.0, -90.0, 0.0, 0.0, 1.0, 0.0, 0.0)),
    (3410, "NSIDC EASE-Grid Global", 10346, Method::CylindricalEqualArea, n(0.0, 0.0, 30.0, 0.0, 1.0, 0.0, 0.0)),
    (3413, "WGS 84 / NSIDC Sea Ice Polar Stereographic North", 4326, Method::PolarStereographicB, n(-45.0, 0.0, 70.0, 0.0, 1.0, 0.0, 0.0)),
    (3577, "GDA94 / Australian Albers", 4283, Method::Albers, n(132.0, 0.0, -18.0, -36.0, 1.0, 0.0, 0.0)),
    (3832, "WGS 84 / PDC Mercator", 4326, Method::MercatorA, n(150.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0)),
    (3857, "WGS 84 / Pseudo-Mercator", 4326, Method::WebMercator, n(0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0)),
    (3976, "WGS 84 / NSIDC Sea Ice Polar Stereographic South", 4326, Method::PolarStereographicB, n(0.0, 0.0, -70.0, 0.0, 1.0, 0.0, 0.0)),
    (3978, "NAD83 / Canada Atlas Lambert", 4269, Method::LambertConic2, n(-95.0, 49.0, 49.0, 77.0, 1.0, 0.0, 0.0)),
    (3979, "NAD83(CSRS) / Canada Atlas Lambert", 4617, Method::LambertConic2, n(-95.0, 49.0, 49.0, 77.0, 1.0, 0.0, 0.0)),
    (3995, "WGS 84 / Arctic Polar Stereographic", 4326, Method::PolarStereographicB, n(0.0, 0.0, 71.0, 0.0, 1.0, 0.0, 0.0)),
    (5041, "WGS 84 / UPS North (E,N)", 4326, Method::PolarStereographicA, n(0.0, 90.0, 0.0, 0.0, 0.994, 2_000_000.0, 2_000_000.0)),
    (5042, "WGS 84 / UPS South (E,N)", 4326, Method::PolarStereographicA, n(0.0, -90.0, 0.0, 0.0, 0.994, 2_000_000.0, 2_000_000.0)),
    (5070, "NAD83 / Conus Albers", 4269, Method::Albers, n(-96.0, 23.0, 29.5, 45.5, 1.0, 0.0, 0.0)),
    (6350, "NAD83(2011) / Conus Albers", 6318, Method::Albers, n(-96.0, 23.0, 29.5, 45.5, 1.0, 0.0, 0.0)),
    (6931, "WGS 84 / NSIDC EASE-Grid 2.0 North", 4326, Method::LambertAzimuthal, n(0.0, 90.0, 0.0, 0.0, 1.0, 0.0, 0.0)),
    (6932, "WGS 84 / NSIDC EASE-Grid 2.0 South", 4326, Method::LambertAzimuthal, n(0.0, -90.0, 0.0, 0.0, 1.0, 0.0, 0.0)),
    (6933, "WGS 84 / NSIDC EASE-Grid 2.0 Global", 4326, Method::CylindricalEqualArea, n(0.0, 0.0, 30.0, 0.0, 1.0, 0.0, 0.0)),
    (8857, "WGS 84 / Equal Earth Greenwich", 4326, Method::EqualEarth, n(0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0)),
    (8858, "WGS 84 / Equal Earth Americas", 4326, Method::EqualEarth, n(-90.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0)),
    (8859, "WGS 84 / Equal Earth Asia-Pacific", 4326, Method::EqualEarth, n(150.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0)),
    (32661, "WGS 84 / UPS North (N,E)", 4326, Method::PolarStereographicA, n(0.0, 90.0, 0.0, 0.0, 0.994, 2_000_000.0, 2_000_000.0)),
    (32761, "WGS 84 / UPS South (N,E)", 4326, Method::PolarStereographicA, n(0.0, -90.0, 0.0, 0.0, 0.994, 2_000_000.0, 2_000_000.0)),
];

/// Every code [`lookup`] answers, ascending.
pub(crate) fn codes() -> Vec<u32> {
    (1..=32800).filter(|&code| lookup(code).is_some()).collect()
}

/// The code of a known CRS with the same meaning, if there is one.
pub(crate) fn identify(definition: &Definition) -> Option<u32> {
    let datum = definition.datum.crs_code?;
    if definition.unit != 1.0 {
        return None;
    }
    match definition.method {
        Method::Geographic => Some(datum),
        Method::TransverseMercator => {
            let (zone, south) = utm_zone_of(&definition.numbers)?;
            let zone = u32::from(zone);
            let code = match (datum, south) {
                (4326, false) => 32600 + zone,
                (4326, true) => 32700 + zone,
                (4258, false) => 25800 + zone,
                (4269, false) => 26900 + zone,
                (4283, true) => 28300 + zone,
                (7844, true) => 7800 + zone,
                (4674, false) => 31954 + zone,
                (4674, true) => 31960 + zone,
                (4252, false) if zone == 31 => 25231,
                _ => return None,
            };
            utm(code).map(|_| code)
        }
        _ => {
            let key = definition.projection_key();
            PROJECTED
                .iter()
                .filter(|row| row.2 == datum && row.3 == definition.method)
                .filter_map(|row| lookup(row.0))
                .find(|known| known.projection_key() == key)
                .and_then(|known| known.epsg)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_identifies_itself() {
        let same_by_meaning = [4979, 3067, 32661, 32761];
        let codes = codes();
        assert!(codes.len() >= 245, "{}", codes.len());
        for code in codes {
            let found = identify(&lookup(code).unwrap());
            if same_by_meaning.contains(&code) {
                assert!(found.is_some());
            } else {
                assert_eq!(found, Some(code));
            }
        }
        assert_eq!(lookup(27700), None);
        assert_eq!(lookup(0), None);
        assert_eq!(lookup(32600), None);
        assert_eq!(lookup(u32::MAX), None);
    }
}
