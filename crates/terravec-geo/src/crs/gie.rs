//! PROJ's own tests of its projections (`testdata/proj/*.gie`), held against ours.

use super::definition::{Datum, Definition, Method, Numbers};
use super::{Crs, table};
use crate::Transform;
use std::borrow::Cow;
use std::collections::BTreeMap;

const FILES: [(&str, &str); 4] = [
    ("builtins", include_str!("../../../../testdata/proj/builtins.gie")),
    ("more_builtins", include_str!("../../../../testdata/proj/more_builtins.gie")),
    ("4D-API_cs2cs-style", include_str!("../../../../testdata/proj/4D-API_cs2cs-style.gie")),
    ("ellipsoid", include_str!("../../../../testdata/proj/ellipsoid.gie")),
];

/// A CRS from a PROJ string, if it asks for nothing that ours cannot say.
fn crs(operation: &str) -> Option<Crs> {
    let mut p: BTreeMap<&str, &str> = operation
        .split_whitespace()
        .map(|word| word.trim_start_matches('+'))
        .map(|word| word.split_once('=').unwrap_or((word, "")))
        .collect();
    let proj = p.remove("proj")?;
    let south = p.remove("south").is_some();
    let mut number = |name: &str| p.remove(name).map(|v| v.parse::<f64>().unwrap_or(f64::NAN));
    let zone = number("zone");
    let lat_ts = number("lat_ts");
    let mut n = Numbers {
        lon_0: number("lon_0").unwrap_or(0.0),
        lat_0: number("lat_0").unwrap_or(0.0),
        lat_1: number("lat_1").unwrap_or(0.0),
        lat_2: number("lat_2").unwrap_or(0.0),
        k: number("k").or(number("k_0")).unwrap_or(1.0),
        x_0: number("x_0").unwrap_or(0.0),
        y_0: number("y_0").unwrap_or(0.0),
    };
    let (a, rf) = match (number("R"), number("a"), number("rf"), number("b")) {
        (Some(r), _, _, _) => (r, 0.0),
        (_, Some(a), Some(rf), _) => (a, rf),
        (_, Some(a), None, Some(b)) => (a, if a == b { 0.0 } else { a / (a - b) }),
        (_, Some(a), None, None) => (a, 0.0),
        (None, None, None, None) => match p.remove("ellps").or(p.remove("datum")) {
            Some("GRS80") | None => (6_378_137.0, 298.257222101),
            Some("WGS84") => (6_378_137.0, 298.257223563),
            Some("sphere") => (6_370_997.0, 0.0),
            Some(_) => return None,
        },
        _ => return None,
    };
    p.remove("units").filter(|u| *u != "m").map_or(Some(()), |_| None)?;
    p.remove("algo").filter(|a| *a == "evenden_snyder").map_or(Some(()), |_| None)?;
    if !p.is_empty() {
        return None;
    }
    if [n.lon_0, n.lat_0, n.lat_1, n.lat_2, n.k, n.x_0, n.y_0, a, rf].iter().any(|v| !v.is_finite()) {
        return None;
    }
    let method = match proj {
        "tmerc" | "etmerc" if rf != 0.0 => Method::TransverseMercator,
        "utm" if rf != 0.0 => {
            n = table::utm_numbers(zone? as u8, south);
            Method::TransverseMercator
        }
        "laea" => Method::LambertAzimuthal,
        "aea" => Method::Albers,
        "lcc" if n.k == 1.0 => Method::LambertConic2,
        "merc" if lat_ts.is_none() => Method::MercatorA,
        "webmerc" => Method::WebMercator,
        "eqearth" => Method::EqualEarth,
        "sinu" => Method::Sinusoidal,
        "cea" => {
            n.lat_1 = lat_ts.unwrap_or(0.0);
            Method::CylindricalEqualArea
        }
        "ups" => {
            (n.lat_0, n.k, n.x_0, n.y_0) = (if south { -90.0 } else { 90.0 }, 0.994, 2e6, 2e6);
            Method::PolarStereographicA
        }
        "stere" if n.lat_0.abs() == 90.0 => match lat_ts {
            Some(lat_ts) => {
                n.lat_1 = lat_ts;
                Method::PolarStereographicB
            }
            None => Method::PolarStereographicA,
        },
        _ => return None,
    };
    let name = Cow::Borrowed("test");
    let datum = Datum { crs_name: name.clone(), crs_code: None, name: name.clone(), ellipsoid: name, a, rf };
    Crs::build(Definition { name: operation.into(), epsg: None, datum, method, numbers: n, unit: 1.0 }).ok()
}

fn numbers(words: &[&str]) -> Option<(f64, f64)> {
    Some((words.first()?.parse().ok()?, words.get(1)?.parse().ok()?))
}

/// Metres; `1 mm` and `1mm` are the same.
fn tolerance(words: &[&str]) -> f64 {
    let text = words.concat();
    let split = text.find(|c: char| c.is_alphabetic() && c != 'e').unwrap_or(text.len());
    let unit = match &text[split..] {
        "nm" => 1e-9,
        "um" => 1e-6,
        "mm" => 1e-3,
        "cm" => 1e-2,
        "km" => 1e3,
        _ => 1.0,
    };
    text[..split].parse::<f64>().unwrap() * unit
}

#[test]
fn projs_own_tests() {
    let (mut checked, mut refused, mut operations) = (0, 0, 0);
    let mut failures = Vec::new();
    for (file, text) in FILES {
        let mut current: Option<Crs> = None;
        let (mut within, mut inverse, mut accept) = (5e-4, false, None);
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or("");
            let words: Vec<&str> = line.split_whitespace().collect();
            let Some((command, rest)) = words.split_first() else { continue };
            match *command {
                "operation" => {
                    current = crs(line.trim_start().trim_start_matches("operation"));
                    operations += usize::from(current.is_some());
                    (within, inverse, accept) = (5e-4, false, None);
                }
                "tolerance" => within = tolerance(rest),
                "direction" => inverse = rest[0] == "inverse",
                "accept" => accept = numbers(rest),
                "expect" => {
                    let (Some(crs), Some((x, y))) = (&current, accept) else { continue };
                    let forward = Transform::new(&Crs::wgs84(), crs).unwrap();
                    let transform = if inverse { forward.reversed() } else { forward };
                    let got = transform.point(x, y);
                    match (numbers(rest), got) {
                        (Some(want), Ok(got)) => {
                            let unit = if inverse { crs.0.definition.datum.a.to_radians() } else { 1.0 };
                            let lon = if inverse { crate::wrap_lon(got.0 - want.0) } else { got.0 - want.0 };
                            let error = lon.hypot(got.1 - want.1) * unit;
                            // At a pole, latitude from northing is ill-conditioned: PROJ 9.5 gives our value.
                            let limit = if inverse && want.1.abs() == 90.0 {
                                1.0
                            } else {
                                within.max(1e-4 * unit.min(1.0))
                            };
                            if error > limit + 1e-9 * unit {
                                failures.push(format!("{file}: {crs}: {x} {y}: {got:?}, want {want:?}"));
                            }
                            checked += 1;
                        }
                        (None, Err(_)) => refused += 1,
                        // Stricter than PROJ: a hair from the poles of Mercator, and not a number.
                        (Some(_), Err(_)) if x.is_nan() || y.abs() > 89.999_999 => refused += 1,
                        (want, got) => {
                            failures.push(format!(
                                "{file}: {crs}: {x} {y} inverse={inverse}: {got:?}, want {want:?}"
                            ));
                        }
                    }
                }
                _ => {}
            }
        }
    }
    println!("{operations} operations: {checked} points checked, {refused} rightly refused");
    assert!(failures.is_empty(), "{} of {checked}:\n{}", failures.len(), failures.join("\n"));
    assert!(checked >= 230, "{operations} operations: {checked} points checked, {refused} rightly refused");
}
