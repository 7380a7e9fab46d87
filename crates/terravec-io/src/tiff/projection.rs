//! Coordinate reference systems that a file spells out instead of naming: projection and parameters in GeoKeys.
//!
//! They are turned into PROJJSON, whose reader knows which projections and datums can be computed and says why others
//! can't. Key and method numbers are those of OGC 19-008r4 (GeoTIFF 1.1), annex B and C.

use serde_json::{Value, json};
use terravec_geo::Crs;

use super::georef::Keys;

const USER_DEFINED: u64 = 32_767;
const METRE: u64 = 9001;
const DEGREE: u64 = 9102;

/// Keys that may hold a parameter, in the order of preference: writers differ in which origin they name.
const LONGITUDE: [u64; 4] = [3080, 3084, 3088, 3095];
const LATITUDE: [u64; 3] = [3081, 3085, 3089];
const EASTING: [u64; 3] = [3082, 3086, 3090];
const NORTHING: [u64; 3] = [3083, 3087, 3091];
const SCALE: [u64; 2] = [3092, 3093];
const PARALLEL_1: [u64; 1] = [3078];
const PARALLEL_2: [u64; 1] = [3079];

/// The projected system that the keys spell out; `None` if they spell out none.
///
/// # Errors
/// Why it can't be computed.
pub(super) fn spelled_out(keys: &Keys) -> Result<Option<Crs>, String> {
    let Some(method) = keys.short(3075) else { return Ok(None) };
    let has = |one_of: &[u64]| one_of.iter().any(|key| keys.double(*key).is_some());
    let name = match method {
        1 => "Transverse Mercator",
        7 if has(&PARALLEL_1) => "Mercator (variant B)",
        7 => "Mercator (variant A)",
        8 => "Lambert Conic Conformal (2SP)",
        9 => "Lambert Conic Conformal (1SP)",
        10 => "Lambert Azimuthal Equal Area",
        11 => "Albers Equal Area",
        15 => "Polar_Stereographic",
        24 => "Sinusoidal",
        28 => "Lambert Cylindrical Equal Area",
        other => {
            return Err(format!("its projection (method {other} of GeoTIFF) is not one terravec computes"));
        }
    };
    let unit = match keys.short(3076).unwrap_or(METRE) {
        METRE => json!("metre"),
        9002 => linear(0.3048),
        9003 => linear(1200.0 / 3937.0),
        other => return Err(format!("its linear unit (EPSG:{other}) is not known")),
    };
    if keys.short(2054).is_some_and(|unit| unit != DEGREE) {
        return Err("its angles are not in degrees".into());
    }
    let mut parameters = Vec::new();
    let mut add = |name: &str, one_of: &[u64], unit: &Value| {
        if let Some(value) = one_of.iter().find_map(|key| keys.double(*key)) {
            parameters.push(json!({ "name": name, "value": value, "unit": unit }));
        }
    };
    add("Longitude of natural origin", &LONGITUDE, &json!("degree"));
    add("Latitude of natural origin", &LATITUDE, &json!("degree"));
    add("Latitude of 1st standard parallel", &PARALLEL_1, &json!("degree"));
    add("Latitude of 2nd standard parallel", &PARALLEL_2, &json!("degree"));
    add("Scale factor at natural origin", &SCALE, &json!("unity"));
    add("False easting", &EASTING, &unit);
    add("False northing", &NORTHING, &unit);
    let axis = |direction: &str| json!({ "direction": direction, "unit": unit });
    let system = json!({
        "type": "ProjectedCRS",
        "name": keys.text(3073).or(keys.text(1026)).unwrap_or("user-defined"),
        "base_crs": base(keys)?.to_projjson(),
        "conversion": { "method": { "name": name }, "parameters": parameters },
        "coordinate_system": { "axis": [axis("east"), axis("north")] },
    });
    Crs::from_projjson(&system).map(Some).map_err(|e| e.to_string())
}

fn linear(metres: f64) -> Value {
    json!({ "type": "LinearUnit", "name": "foot", "conversion_factor": metres })
}

/// The geographic system below, by its code or that of its datum (which EPSG numbers 2 000 higher).
fn base(keys: &Keys) -> Result<Crs, String> {
    let known = |key: u64| keys.short(key).filter(|code| *code != USER_DEFINED && *code != 0);
    let code = known(2048).or_else(|| known(2050)?.checked_sub(2000));
    let code = code.ok_or("its datum is user-defined")?;
    let crs = Crs::from_epsg(u32::try_from(code).unwrap_or(u32::MAX)).map_err(|e| e.to_string())?;
    if crs.is_geographic() {
        Ok(crs)
    } else {
        Err(format!("its datum is given as EPSG:{code}, which is none"))
    }
}
