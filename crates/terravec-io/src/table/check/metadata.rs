//! The `geo` footer against the standard.

use parquet::basic::LogicalType;
use serde_json::{Map, Value};

use super::Problem;
use crate::table::TableFile;

const ENCODINGS: [&str; 7] =
    ["WKB", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"];
const EDGES: [&str; 6] = ["planar", "spherical", "vincenty", "thomas", "andoyer", "karney"];
const KINDS: [&str; 7] =
    ["Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon", "GeometryCollection"];

/// Checks the footer, and returns the columns that it describes, as far as it does.
pub(super) fn check(file: &TableFile, problems: &mut Vec<Problem>) -> Vec<(String, Map<String, Value>)> {
    let mut breach = |rule: &'static str, what: String| problems.push(Problem { rule, what });
    let Some(text) = file.metadata("geo") else {
        breach("metadata_missing", "it has no `geo` footer".into());
        return Vec::new();
    };
    let root: Value = match serde_json::from_str(text) {
        Ok(root) => root,
        Err(e) => {
            breach("metadata_invalid_json", format!("its `geo` footer is no JSON: {e}"));
            return Vec::new();
        }
    };
    let version = root.get("version").and_then(Value::as_str);
    let invalid = "schema_validation_error";
    match version {
        None => breach(invalid, "its `geo` footer has no version".into()),
        Some(v) if ["0.", "1.0", "1.1", "2.0"].iter().any(|known| v.starts_with(known)) => {}
        Some(v) => breach("version_unknown", format!("there is no version {v} of GeoParquet")),
    }
    let columns = root.get("columns").and_then(Value::as_object).filter(|c| !c.is_empty());
    if columns.is_none() {
        breach(invalid, "its `geo` footer describes no columns".into());
    }
    match root.get("primary_column").and_then(Value::as_str) {
        None => breach(invalid, "its `geo` footer has no primary_column".into()),
        Some(primary) if columns.is_some_and(|c| !c.contains_key(primary)) => {
            breach(invalid, format!("its `geo` footer does not describe its primary column {primary}"));
        }
        Some(_) => {}
    }
    let mut out = Vec::new();
    for (name, column) in columns.into_iter().flatten() {
        let Some(column) = column.as_object() else {
            breach(invalid, format!("column {name} is described by no object"));
            continue;
        };
        let Ok(index) = file.schema().index_of(name) else {
            breach(invalid, format!("column {name} is described, but not there"));
            continue;
        };
        column_rules(column, &mut |what| breach(invalid, format!("column {name}: {what}")));
        let old = version.is_some_and(|v| v.starts_with("0.") || v.starts_with("1."));
        if let Some(what) = feature_ahead(file, index, column, version.unwrap_or_default()).filter(|_| old) {
            breach("version_feature_mismatch", format!("column {name}: {what}"));
        } else if column.contains_key("epoch") && is_static(column.get("crs")) {
            breach(
                "epoch_unsupported",
                format!("column {name}: an epoch has no meaning in its CRS, which is static"),
            );
        }
        out.push((name.clone(), column.clone()));
    }
    out
}

/// The bounds that a column declares.
pub(super) fn corners(column: &Map<String, Value>) -> Option<[f64; 4]> {
    let numbers: Vec<f64> = column.get("bbox")?.as_array()?.iter().filter_map(Value::as_f64).collect();
    match *numbers.as_slice() {
        [w, s, e, n] | [w, s, _, e, n, _] | [w, s, _, _, e, n, _, _] => Some([w, s, e, n]),
        _ => None,
    }
}

fn column_rules(column: &Map<String, Value>, breach: &mut dyn FnMut(&str)) {
    let text = |key: &str| column.get(key).and_then(Value::as_str);
    if !text("encoding").is_some_and(|e| ENCODINGS.contains(&e)) {
        breach("its encoding is none of the standard's");
    }
    let known = |t: &Value| {
        let mut words = t.as_str().unwrap_or_default().splitn(2, ' ');
        KINDS.contains(&words.next().unwrap_or_default())
            && matches!(words.next(), None | Some("Z" | "M" | "ZM"))
    };
    if !column.get("geometry_types").and_then(Value::as_array).is_some_and(|types| types.iter().all(known)) {
        breach("its geometry_types are no list of kinds of geometry");
    }
    match column.get("crs") {
        None | Some(Value::Null) => {}
        Some(crs) if crs.get("type").is_some_and(Value::is_string) => {}
        Some(_) => breach("its crs is no PROJJSON: it has no type"),
    }
    if column.contains_key("edges") && !text("edges").is_some_and(|e| EDGES.contains(&e)) {
        breach("its edges are none of the standard's");
    }
    if column.contains_key("orientation") && text("orientation") != Some("counterclockwise") {
        breach("its orientation is not `counterclockwise`");
    }
    if column.contains_key("epoch") && !column["epoch"].is_number() {
        breach("its epoch is no number");
    }
    if column.contains_key("bbox") && corners(column).is_none() {
        breach("its bbox is no list of four or six numbers");
    }
}

/// What a file of version 1 uses of a later one.
fn feature_ahead(
    file: &TableFile,
    index: usize,
    column: &Map<String, Value>,
    version: &str,
) -> Option<String> {
    let root = file.0.arrow.metadata().file_metadata().schema_descr().root_schema();
    let logical = root.get_fields().get(index).and_then(|f| f.get_basic_info().logical_type_ref());
    let native = matches!(logical, Some(LogicalType::Geometry(_) | LogicalType::Geography(_)));
    if native && column.contains_key("epoch") {
        return Some(format!("version {version} has no epoch on Parquet's own geometry type"));
    }
    let encoding = column.get("encoding").and_then(Value::as_str).unwrap_or("WKB");
    let first = version.starts_with("0.") || version.starts_with("1.0");
    if first && encoding != "WKB" && ENCODINGS.contains(&encoding) {
        return Some(format!("version {version} has no encoding `{encoding}`"));
    }
    (first && column.contains_key("covering")).then(|| format!("version {version} has no covering"))
}

/// Whether coordinates in a CRS do not move with the plates: the default, and WGS 84 by name.
fn is_static(crs: Option<&Value>) -> bool {
    let Some(crs) = crs.filter(|c| !c.is_null()) else { return true };
    let code = crs.pointer("/id/code").map(|c| c.as_str().map_or_else(|| c.to_string(), String::from));
    matches!(
        (crs.pointer("/id/authority").and_then(Value::as_str), code.as_deref()),
        (Some("EPSG"), Some("4326")) | (Some("OGC"), Some("CRS84"))
    )
}
