//! Which column holds the geometry, how and in which CRS.

use arrow::datatypes::{DataType, Field, Schema};
use parquet::basic::LogicalType;
use parquet::file::metadata::ParquetMetaData;
use serde_json::{Map, Value};
use terravec_geo::{Crs, GeoError};

/// The geometry column of a file.
pub(crate) struct Geometry {
    /// Its place in the schema.
    pub(crate) column: usize,
    /// `WKB`, `point`, `polygon`, … where the file says so.
    pub(crate) encoding: Option<String>,
    pub(crate) reference: Reference,
    /// The column of its bounding boxes.
    pub(crate) covering: Option<usize>,
    /// The leaves that hold west, south, east and north of these boxes.
    pub(crate) corners: Option<[usize; 4]>,
    /// West, south, east and north of all, as the footer claims.
    pub(crate) bounds: Option<[f64; 4]>,
}

/// The CRS of a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reference {
    /// Named, or the format's default.
    Known(Crs),
    /// The file says that it does not know.
    Unknown,
}

/// Names of geometry columns in files that say nothing, in the order they are tried.
const NAMES: [&str; 5] = ["geometry", "geography", "geom", "wkb_geometry", "wkt"];

/// Finds the geometry: by the footer `geo`, else by a logical or extension type, else by name. `None` if there is none. A table in
/// memory has no `metadata`; what it says stands in its schema.
pub(crate) fn find(
    metadata: Option<&ParquetMetaData>,
    schema: &Schema,
    warnings: &mut Vec<String>,
) -> Result<Option<Geometry>, String> {
    let in_memory = || schema.metadata().get("geo").map(String::as_str).filter(|_| metadata.is_none());
    if let Some(text) = value_of(metadata, "geo").or_else(in_memory) {
        let geo = parse(text, None)?;
        if let Some(note) = geo.version_note() {
            warnings.push(note);
        }
        let column = schema.index_of(&geo.name).map_err(|_| {
            format!("its `geo` footer names the geometry column `{}`, which is not there", geo.name)
        })?;
        return described(&geo, metadata, schema, column).map(Some);
    }
    find_without_footer(metadata, schema)
}

/// Describes a column that someone else says holds geometries.
pub(crate) fn describe(
    metadata: Option<&ParquetMetaData>,
    schema: &Schema,
    column: usize,
) -> Result<Geometry, String> {
    let name = schema.field(column).name();
    match value_of(metadata, "geo").and_then(|text| parse(text, Some(name)).ok()) {
        Some(geo) => described(&geo, metadata, schema, column),
        None => undescribed(metadata, schema, column),
    }
}

fn described(
    geo: &Geo,
    metadata: Option<&ParquetMetaData>,
    schema: &Schema,
    column: usize,
) -> Result<Geometry, String> {
    let reference = match geo.column.get("crs") {
        Some(Value::Null) => Reference::Unknown,
        Some(crs) => Reference::Known(projjson(crs).map_err(|e| format!("its `geo` footer: {e}"))?),
        None => stated(metadata, schema, column)?.unwrap_or_else(|| Reference::Known(Crs::wgs84())),
    };
    let encoding = geo.column.get("encoding").and_then(Value::as_str).map(String::from);
    let covering = geo.covering().and_then(|name| schema.index_of(name).ok());
    Ok(Geometry {
        column,
        encoding,
        reference,
        covering,
        corners: geo.corners(metadata),
        bounds: geo.bounds(),
    })
}

/// Finds the geometry as if there were no footer `geo`.
pub(crate) fn find_without_footer(
    metadata: Option<&ParquetMetaData>,
    schema: &Schema,
) -> Result<Option<Geometry>, String> {
    let typed = (0..schema.fields().len()).find(|i| is_typed(metadata, schema, *i));
    let named = || {
        NAMES.iter().find_map(|n| {
            let fields = schema.fields();
            let i = fields.iter().position(|field| field.name().eq_ignore_ascii_case(n))?;
            (!fields[i].data_type().is_numeric()).then_some(i)
        })
    };
    typed.or_else(named).map(|column| undescribed(metadata, schema, column)).transpose()
}

fn undescribed(
    metadata: Option<&ParquetMetaData>,
    schema: &Schema,
    column: usize,
) -> Result<Geometry, String> {
    let reference = stated(metadata, schema, column)?.unwrap_or_else(|| Reference::Known(Crs::wgs84()));
    let encoding = extension(schema.field(column)).map(|(name, _)| name.to_string());
    Ok(Geometry { column, encoding, reference, covering: None, corners: None, bounds: None })
}

/// What the footer says of one column.
struct Geo {
    version: Option<String>,
    name: String,
    column: Map<String, Value>,
}

/// The footer, and what it says of the column `name`; `None` is its primary column.
fn parse(text: &str, name: Option<&str>) -> Result<Geo, String> {
    let bad = |what: &str| format!("its `geo` footer {what}");
    let root: Value = serde_json::from_str(text).map_err(|e| bad(&format!("is no JSON: {e}")))?;
    let primary =
        root.get("primary_column").and_then(Value::as_str).ok_or_else(|| bad("has no primary_column"))?;
    let name = name.unwrap_or(primary);
    let columns = root.get("columns").and_then(Value::as_object).ok_or_else(|| bad("has no columns"))?;
    let column = columns
        .get(name)
        .and_then(Value::as_object)
        .ok_or_else(|| bad(&format!("does not describe its primary column `{name}`")))?;
    Ok(Geo {
        version: root.get("version").and_then(Value::as_str).map(String::from),
        name: name.into(),
        column: column.clone(),
    })
}

impl Geo {
    fn version_note(&self) -> Option<String> {
        match self.version.as_deref() {
            None => Some("its `geo` footer has no version; read as 1.1".into()),
            Some(v) if ["0.", "1.", "2."].iter().any(|p| v.starts_with(p)) => None,
            Some(v) => Some(format!("its `geo` footer is of the unknown version {v}; read as 1.1")),
        }
    }

    fn covering(&self) -> Option<&str> {
        self.column.get("covering")?.pointer("/bbox/xmin/0")?.as_str()
    }

    fn corners(&self, metadata: Option<&ParquetMetaData>) -> Option<[usize; 4]> {
        let columns = metadata?.file_metadata().schema_descr().columns();
        let leaf = |corner: &str| {
            let path = self.column.get("covering")?.pointer(&format!("/bbox/{corner}"))?.as_array()?;
            columns.iter().position(|c| {
                let parts = c.path().parts();
                parts.len() == path.len() && parts.iter().zip(path).all(|(a, b)| b.as_str() == Some(a))
            })
        };
        Some([leaf("xmin")?, leaf("ymin")?, leaf("xmax")?, leaf("ymax")?])
    }

    fn bounds(&self) -> Option<[f64; 4]> {
        let list: Vec<f64> =
            self.column.get("bbox")?.as_array()?.iter().map(Value::as_f64).collect::<Option<_>>()?;
        match *list.as_slice() {
            [w, s, e, n] | [w, s, _, e, n, _] => Some([w, s, e, n]),
            _ => None,
        }
    }
}

/// A CRS from PROJJSON, or from the EPSG code of one that has little else.
fn projjson(value: &Value) -> Result<Crs, GeoError> {
    Crs::from_projjson(value).or_else(|e| {
        let epsg = value.pointer("/id/authority").and_then(Value::as_str) == Some("EPSG");
        match value.pointer("/id/code").and_then(Value::as_u64).and_then(|c| u32::try_from(c).ok()) {
            Some(code) if epsg && value.get("type").is_some() => Crs::from_epsg(code).or(Err(e)),
            _ => Err(e),
        }
    })
}

pub(crate) fn value_of<'a>(metadata: Option<&'a ParquetMetaData>, key: &str) -> Option<&'a str> {
    let pairs = metadata?.file_metadata().key_value_metadata()?;
    pairs.iter().find(|p| p.key == key)?.value.as_deref()
}

/// The logical type of a top-level column.
fn logical(metadata: Option<&ParquetMetaData>, column: usize) -> Option<&LogicalType> {
    let root = metadata?.file_metadata().schema_descr().root_schema();
    root.get_fields().get(column)?.get_basic_info().logical_type_ref()
}

/// Name and metadata of a GeoArrow extension type.
fn extension(field: &Field) -> Option<(&str, Option<&String>)> {
    let name = field.metadata().get("ARROW:extension:name")?;
    let encoding = name.strip_prefix("geoarrow.").or_else(|| name.strip_prefix("ogc."))?;
    Some((encoding, field.metadata().get("ARROW:extension:metadata")))
}

fn is_typed(metadata: Option<&ParquetMetaData>, schema: &Schema, column: usize) -> bool {
    let bytes = matches!(
        schema.field(column).data_type(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView
    );
    let parquet =
        matches!(logical(metadata, column), Some(LogicalType::Geometry(_) | LogicalType::Geography(_)));
    (bytes && parquet) || extension(schema.field(column)).is_some()
}

/// The CRS that the column's logical or extension type states.
fn stated(
    metadata: Option<&ParquetMetaData>,
    schema: &Schema,
    column: usize,
) -> Result<Option<Reference>, String> {
    let bad = |e: GeoError| format!("its geometry column: {e}");
    let logical = match logical(metadata, column) {
        Some(LogicalType::Geometry(g)) => g.crs.as_deref(),
        Some(LogicalType::Geography(g)) => g.crs.as_deref(),
        _ => None,
    };
    if let Some(text) = logical.filter(|t| !t.is_empty()) {
        let text = match text.split_once(':') {
            Some(("srid", "0")) => return Ok(Some(Reference::Unknown)),
            Some(("srid", code)) => code,
            Some(("projjson", key)) => value_of(metadata, key)
                .ok_or_else(|| format!("its CRS should be in the footer `{key}`, which is not there"))?,
            _ => text,
        };
        return Crs::parse(text).map(|c| Some(Reference::Known(c))).map_err(bad);
    }
    let Some((_, Some(text))) = extension(schema.field(column)) else { return Ok(None) };
    let Ok(Value::Object(root)) = serde_json::from_str(text) else { return Ok(None) };
    match root.get("crs") {
        Some(Value::String(s)) => Crs::parse(s).map(|c| Some(Reference::Known(c))).map_err(bad),
        Some(crs @ Value::Object(_)) => {
            Crs::from_projjson(crs).map(|c| Some(Reference::Known(c))).map_err(bad)
        }
        _ => Ok(None),
    }
}
