//! GeoParquet in: geometry by the `geo` footer, or by name where there is none.

use std::fs::File;
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Float64Type};
use geo_types::{Geometry, Point};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use terravec_geo::Crs;

use super::error::VectorError;
use super::points::coordinate_columns;
use super::{Points, Regions, points, regions, wkb};

/// Columns without the geometry, and the geometry.
struct Table {
    columns: Vec<(String, ArrayRef)>,
    geometries: Vec<Option<Geometry<f64>>>,
    crs: Crs,
}

pub(super) fn points(path: &Path) -> Result<Points, VectorError> {
    let t = read(path)?;
    points::of_geometries(path, t.geometries, t.columns, &t.crs, Vec::new())
}

pub(super) fn regions(path: &Path) -> Result<Regions, VectorError> {
    let t = read(path)?;
    regions::of_geometries(path, t.geometries, t.columns, &t.crs, Vec::new())
}

fn read(path: &Path) -> Result<Table, VectorError> {
    let bad = |what: String| {
        VectorError::content(
            path,
            what,
            "give a GeoParquet file with a geometry column, or columns lon and lat",
        )
    };
    let file = File::open(path).map_err(VectorError::io(path))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| bad(e.to_string()))?;
    let geo: Option<Value> = builder
        .metadata()
        .file_metadata()
        .key_value_metadata()
        .and_then(|kv| kv.iter().find(|k| k.key == "geo"))
        .and_then(|k| k.value.as_deref())
        .map(|t| serde_json::from_str(t).map_err(|e| bad(format!("the `geo` footer is no JSON: {e}"))))
        .transpose()?;
    let schema = builder.schema().clone();
    let batches: Vec<RecordBatch> = builder
        .build()
        .and_then(|r| r.collect::<Result<Vec<_>, _>>().map_err(Into::into))
        .map_err(|e| bad(e.to_string()))?;
    let batch = concat_batches(&schema, &batches).map_err(|e| bad(e.to_string()))?;
    let names: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
    let primary = geo.as_ref().and_then(|g| g.get("primary_column")).and_then(Value::as_str);
    let guessed = || ["geometry", "geography", "geom"].into_iter().find(|n| names.iter().any(|m| m == n));
    let column = primary.or_else(guessed);
    let meta = geo.as_ref().zip(column).and_then(|(g, c)| g.get("columns")?.get(c));
    let crs = match meta.and_then(|m| m.get("crs")) {
        Some(Value::Object(o)) => {
            Crs::from_projjson(&Value::Object(o.clone())).map_err(|e| bad(e.to_string()))?
        }
        _ => Crs::wgs84(),
    };
    let mut drop = Vec::new();
    let geometries = if let Some(name) = column {
        let array = batch
            .column_by_name(name)
            .ok_or_else(|| bad(format!("the geometry column `{name}` is missing")))?;
        drop.push(name.to_string());
        geometries(array, meta).map_err(bad)?
    } else if let Some((x, y)) = coordinate_columns(&names) {
        drop.extend([names[x].clone(), names[y].clone()]);
        let number = |i: usize| -> Result<Float64Array, VectorError> {
            let c = cast(batch.column(i), &DataType::Float64).map_err(|e| bad(e.to_string()))?;
            Ok(c.as_primitive::<Float64Type>().clone())
        };
        let (x, y) = (number(x)?, number(y)?);
        x.iter().zip(&y).map(|(x, y)| Some(Point::new(x?, y?).into())).collect()
    } else {
        return Err(bad(format!("no geometry column and no lon and lat; it has {}", names.join(", "))));
    };
    // A bounding-box column that describes the geometry goes with it.
    if let Some(bbox) = meta.and_then(|m| m.pointer("/covering/bbox/xmin/0")).and_then(Value::as_str) {
        drop.push(bbox.to_string());
    }
    let columns = names
        .into_iter()
        .zip(batch.columns())
        .filter(|(n, _)| !drop.contains(n))
        .map(|(n, c)| (n, c.clone()))
        .collect();
    Ok(Table { columns, geometries, crs })
}

fn geometries(array: &ArrayRef, meta: Option<&Value>) -> Result<Vec<Option<Geometry<f64>>>, String> {
    let encoding = meta.and_then(|m| m.get("encoding")).and_then(Value::as_str).unwrap_or("WKB");
    match (encoding.to_ascii_lowercase().as_str(), array.data_type()) {
        ("wkb", DataType::Binary | DataType::LargeBinary | DataType::BinaryView) => {
            let wide = cast(array, &DataType::LargeBinary).map_err(|e| e.to_string())?;
            wide.as_binary::<i64>()
                .iter()
                .enumerate()
                .map(|(i, b)| b.map(|b| wkb::read(b).map_err(|e| format!("row {}: {e}", i + 1))).transpose())
                .collect()
        }
        ("point" | "geoarrow.point", DataType::Struct(_)) => {
            let s = array.as_struct();
            let axis = |n: &str| -> Result<Float64Array, String> {
                let c = s.column_by_name(n).ok_or(format!("the point column has no field {n}"))?;
                Ok(cast(c, &DataType::Float64)
                    .map_err(|e| e.to_string())?
                    .as_primitive::<Float64Type>()
                    .clone())
            };
            let (x, y) = (axis("x")?, axis("y")?);
            Ok((0..s.len())
                .map(|i| s.is_valid(i).then(|| Point::new(x.value(i), y.value(i)).into()))
                .collect())
        }
        (encoding, kind) => {
            Err(format!("geometry encoding {encoding} in a column of type {kind} is not supported"))
        }
    }
}
