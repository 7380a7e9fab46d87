//! PROJJSON (the JSON form of WKT2, <https://proj.org/specifications/projjson.html>) in and out.

use super::definition::{Definition, Method, Unit};
use super::names::{Raw, squeeze};
use super::table;
use crate::GeoError;
use serde_json::{Value, json};

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or("").to_owned()
}

fn epsg(value: &Value) -> Option<u32> {
    let ids = value["ids"].as_array().and_then(|ids| ids.first());
    let id = value.get("id").or(ids)?;
    let code = &id["code"];
    let code = code.as_u64().or_else(|| code.as_str().and_then(|c| c.parse().ok()))?;
    let authority = id["authority"].as_str()?;
    match (authority.to_ascii_uppercase().as_str(), code) {
        ("EPSG", code) => u32::try_from(code).ok(),
        _ => None,
    }
}

/// A number, or `{"value": n, "unit": …}`.
fn measure(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| Some(value["value"].as_f64()? * unit_factor(&value["unit"])?))
}

/// Size of a unit in metres, degrees or one; `None` if it is none we know.
fn unit_factor(unit: &Value) -> Option<f64> {
    match unit {
        Value::Null => Some(1.0),
        Value::String(name) => matches!(name.as_str(), "metre" | "degree" | "unity").then_some(1.0),
        Value::Object(_) => {
            let factor = unit["conversion_factor"].as_f64()?;
            let angular = unit["type"].as_str() == Some("AngularUnit");
            Some(if angular { factor.to_degrees() } else { factor })
        }
        _ => None,
    }
}

/// Reads the horizontal CRS of a PROJJSON value.
pub(crate) fn read(value: &Value) -> Result<Raw, GeoError> {
    read_nested(value, 0)
}

fn read_nested(value: &Value, depth: usize) -> Result<Raw, GeoError> {
    let syntax = |reason: &str| GeoError::CrsSyntax {
        text: crate::error::clip(&value.to_string(), 60),
        reason: reason.to_owned(),
    };
    if depth > 4 {
        return Err(syntax("nested too deeply"));
    }
    match value["type"].as_str() {
        Some("GeographicCRS" | "GeodeticCRS") => geographic(value).map_err(syntax),
        Some("ProjectedCRS") => projected(value).map_err(syntax),
        Some("BoundCRS") => read_nested(&value["source_crs"], depth + 1),
        Some("CompoundCRS") => read_nested(&value["components"][0], depth + 1),
        Some(other) => Err(GeoError::UnsupportedCrs {
            name: text(value, "name"),
            reason: format!("{other} is neither geographic nor projected"),
        }),
        None => Err(syntax("no \"type\" such as GeographicCRS or ProjectedCRS")),
    }
}

fn geographic(value: &Value) -> Result<Raw, &'static str> {
    let datum = value.get("datum").or_else(|| value.get("datum_ensemble")).ok_or("no \"datum\"")?;
    let ellipsoid = &datum["ellipsoid"];
    let radius = measure(&ellipsoid["radius"]);
    let a = radius.or_else(|| measure(&ellipsoid["semi_major_axis"])).ok_or("no \"semi_major_axis\"")?;
    let rf = match (measure(&ellipsoid["inverse_flattening"]), measure(&ellipsoid["semi_minor_axis"])) {
        (Some(rf), _) => rf,
        (None, Some(b)) if b < a => a / (a - b),
        (None, Some(_)) => 0.0,
        (None, None) if radius.is_some() => 0.0,
        (None, None) => return Err("no \"inverse_flattening\""),
    };
    let axes = value["coordinate_system"]["axis"].as_array();
    let units = axes.into_iter().flatten().take(2).map(|axis| unit_factor(&axis["unit"]));
    Ok(Raw {
        name: text(value, "name"),
        epsg: epsg(value),
        datum: text(datum, "name"),
        ellipsoid: text(ellipsoid, "name"),
        a,
        rf,
        prime_meridian: measure(&datum["prime_meridian"]["longitude"]).unwrap_or(0.0),
        unit: 1.0,
        angle_unit: units.last().unwrap_or(Some(1.0)).ok_or("an axis unit that is unknown")?,
        ..Raw::default()
    })
}

fn projected(value: &Value) -> Result<Raw, &'static str> {
    let mut raw = geographic(&value["base_crs"])?;
    raw.base_epsg = raw.epsg.take();
    raw.name = text(value, "name");
    raw.epsg = epsg(value);
    let axes = value["coordinate_system"]["axis"].as_array().map_or(&[][..], Vec::as_slice);
    raw.unit =
        axes.first().map_or(Some(1.0), |a| unit_factor(&a["unit"])).ok_or("an axis unit that is unknown")?;
    raw.reversed_axis = axes.iter().any(|a| a["direction"].as_str() == Some("west"));
    let conversion = &value["conversion"];
    raw.method = Some(text(&conversion["method"], "name"));
    for p in conversion["parameters"].as_array().into_iter().flatten() {
        let number = p["value"].as_f64().ok_or("a parameter without a number")?;
        let factor = unit_factor(&p["unit"]).ok_or("a parameter unit that is unknown")?;
        raw.parameters.push((text(p, "name"), number * factor));
    }
    Ok(raw)
}

/// PROJJSON of a definition.
pub(crate) fn write(def: &Definition) -> Value {
    let base_name = if def.method == Method::Geographic { def.name.as_str() } else { &def.datum.crs_name };
    let ellipsoid = if def.is_sphere() {
        json!({"name": def.datum.ellipsoid, "radius": def.datum.a})
    } else {
        json!({"name": def.datum.ellipsoid, "semi_major_axis": def.datum.a, "inverse_flattening": def.datum.rf})
    };
    let base = json!({
        "type": "GeographicCRS",
        "name": base_name,
        "datum": {"type": "GeodeticReferenceFrame", "name": def.datum.name, "ellipsoid": ellipsoid},
        "coordinate_system": {"subtype": "ellipsoidal", "axis": [
            {"name": "Geodetic latitude", "abbreviation": "Lat", "direction": "north", "unit": "degree"},
            {"name": "Geodetic longitude", "abbreviation": "Lon", "direction": "east", "unit": "degree"},
        ]},
    });
    let with_id = |mut value: Value, code: Option<u32>| {
        if let Some(code) = code {
            value["id"] = json!({"authority": "EPSG", "code": code});
        }
        value
    };
    let schema = "https://proj.org/schemas/v0.7/projjson.schema.json";
    if def.method == Method::Geographic {
        let mut out = json!({"$schema": schema});
        merge(&mut out, with_id(base, def.epsg.map(|code| if code == 4979 { 4326 } else { code })));
        return out;
    }
    let (method, method_code) = def.method.epsg(def.is_sphere());
    let parameters: Vec<Value> = def
        .parameters()
        .into_iter()
        .map(|(name, code, value, unit)| {
            let unit = match unit {
                Unit::Degree => "degree",
                Unit::Unity => "unity",
                Unit::Metre => "metre",
            };
            json!({"name": name, "value": value, "unit": unit, "id": {"authority": "EPSG", "code": code}})
        })
        .collect();
    let conversion_name = match (def.method, table::utm_zone_of(&def.numbers)) {
        (Method::TransverseMercator, Some((zone, south))) => {
            format!("UTM zone {zone}{}", if south { 'S' } else { 'N' })
        }
        _ => def.name.clone(),
    };
    let projected = json!({
        "$schema": schema,
        "type": "ProjectedCRS",
        "name": def.name,
        "base_crs": with_id(base, def.datum.crs_code),
        "conversion": {
            "name": conversion_name,
            "method": with_id(json!({"name": method}), method_code),
            "parameters": parameters,
        },
        "coordinate_system": {"subtype": "Cartesian", "axis": axes(def)},
    });
    with_id(projected, def.epsg)
}

/// Axes in the authority's order and directions: at a pole, both run along meridians.
fn axes(def: &Definition) -> Vec<Value> {
    let unit = if def.unit == 1.0 {
        json!("metre")
    } else {
        json!({"type": "LinearUnit", "name": "unknown", "conversion_factor": def.unit})
    };
    let pole = match def.method {
        Method::PolarStereographicA => def.numbers.lat_0,
        Method::PolarStereographicB => 90f64.copysign(def.numbers.lat_1),
        Method::LambertAzimuthal => def.numbers.lat_0,
        _ => 0.0,
    };
    let mut east = json!({"name": "Easting", "abbreviation": "E", "direction": "east", "unit": unit});
    let mut north = json!({"name": "Northing", "abbreviation": "N", "direction": "north", "unit": unit});
    if pole.abs() == 90.0 {
        let direction = if pole > 0.0 { "south" } else { "north" };
        let along = |lon: f64| json!({"longitude": crate::lonlat::wrap_lon(lon)});
        let up = if pole > 0.0 { 180.0 } else { 0.0 };
        for (axis, turn) in [(&mut east, 90.0), (&mut north, up)] {
            axis["direction"] = json!(direction);
            axis["meridian"] = along(def.numbers.lon_0 + turn);
        }
    }
    if def.epsg.is_some_and(table::northing_first) { vec![north, east] } else { vec![east, north] }
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

/// Whether a JSON value says it is OGC's CRS84.
pub(crate) fn is_crs84(value: &Value) -> bool {
    let id = &value["id"];
    id["authority"].as_str() == Some("OGC") && id["code"].as_str().is_some_and(|c| squeeze(c) == "crs84")
}
