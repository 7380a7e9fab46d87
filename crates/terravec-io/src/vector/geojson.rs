//! GeoJSON, whole or one feature per line: geometries and typed properties.

use std::path::Path;

use arrow::array::ArrayRef;
use geo_types::Geometry;
use serde_json::Value;
use terravec_geo::Crs;

use super::error::VectorError;
use super::text::{Cell, column};

/// Features with their geometry (absent where null) and properties as columns.
pub(super) struct Features {
    pub(super) geometries: Vec<Option<Geometry<f64>>>,
    pub(super) columns: Vec<(String, ArrayRef)>,
    pub(super) crs: Crs,
}

pub(super) fn read(path: &Path) -> Result<Features, VectorError> {
    let text = std::fs::read_to_string(path).map_err(VectorError::io(path))?;
    let bad = |what: String| VectorError::content(path, what, "give a GeoJSON FeatureCollection");
    let (features, crs) = match serde_json::from_str::<Value>(&text) {
        Ok(Value::Object(mut root)) => {
            let crs = named_crs(root.get("crs")).map_err(&bad)?;
            match root.get("type").and_then(Value::as_str) {
                Some("FeatureCollection") => match root.remove("features") {
                    Some(Value::Array(features)) => (features, crs),
                    _ => return Err(bad("the FeatureCollection has no features".into())),
                },
                Some("Feature") => (vec![Value::Object(root)], crs),
                Some(_) => (vec![serde_json::json!({ "type": "Feature", "geometry": root })], crs),
                None => return Err(bad("it is JSON but no GeoJSON: there is no `type`".into())),
            }
        }
        Ok(_) => return Err(bad("it is JSON but no GeoJSON".into())),
        Err(whole) => {
            let lines: Result<Vec<Value>, _> =
                text.lines().filter(|l| !l.trim().is_empty()).map(serde_json::from_str).collect();
            match lines {
                Ok(lines) if lines.len() > 1 => (lines, Crs::wgs84()),
                _ => return Err(bad(format!("it is no JSON: {whole}"))),
            }
        }
    };
    let mut geometries = Vec::with_capacity(features.len());
    let mut names: Vec<String> = Vec::new();
    for (i, feature) in features.iter().enumerate() {
        let geometry = match feature.get("geometry") {
            None | Some(Value::Null) => None,
            Some(g) => Some(geometry(g).map_err(|e| bad(format!("feature {}: {e}", i + 1)))?),
        };
        geometries.push(geometry);
        if let Some(Value::Object(p)) = feature.get("properties") {
            for key in p.keys() {
                if !names.contains(key) {
                    names.push(key.clone());
                }
            }
        }
    }
    let columns = names
        .into_iter()
        .map(|name| {
            let cells: Vec<Cell> = features
                .iter()
                .map(|f| match f.get("properties").and_then(|p| p.get(&name)) {
                    None | Some(Value::Null) => Cell::Null,
                    Some(Value::Bool(b)) => Cell::Bool(*b),
                    Some(Value::Number(n)) => match n.as_i64() {
                        Some(i) => Cell::Int(i),
                        None => Cell::Float(n.as_f64().unwrap_or(f64::NAN)),
                    },
                    Some(Value::String(s)) => Cell::Text(s.clone()),
                    Some(other) => Cell::Text(other.to_string()),
                })
                .collect();
            let values = column(&cells, None);
            (name, values)
        })
        .collect();
    Ok(Features { geometries, columns, crs })
}

fn geometry(value: &Value) -> Result<Geometry<f64>, String> {
    let parsed: geojson::Geometry = serde_json::from_value(value.clone()).map_err(|e| e.to_string())?;
    Geometry::try_from(parsed).map_err(|e| e.to_string())
}

/// The CRS of the old `crs` member; GeoJSON is in degrees without it.
fn named_crs(value: Option<&Value>) -> Result<Crs, String> {
    let Some(name) = value.and_then(|v| v.pointer("/properties/name")).and_then(Value::as_str) else {
        return Ok(Crs::wgs84());
    };
    if name.contains("CRS84") {
        return Ok(Crs::wgs84());
    }
    let code = name.rsplit(':').next().unwrap_or(name);
    Crs::parse(code).map_err(|e| e.to_string())
}
