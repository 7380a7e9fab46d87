//! Tables out: GeoParquet, Arrow, CSV and GeoJSON, put in place whole.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema};
use arrow::ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde_json::{Value, json};

use super::error::VectorError;
use super::points::extension;
use super::rows::{json_value, records};
use super::wkb;
use crate::atomic::PendingFile;

/// Rows in a row group.
const GROUP_ROWS: usize = 50_000;
/// Bytes of vectors in a row group, about.
const GROUP_BYTES: usize = 128 << 20;
const GEOMETRY: &str = "geometry";

/// What goes with a table.
#[derive(Debug, Clone, Default)]
pub struct TableSpec {
    /// Footer keys and values, for example provenance.
    pub metadata: Vec<(String, String)>,
    /// Names of the numbers of the vector column, for formats with a column per number.
    pub vector_names: Vec<String>,
}

/// Writes batches of one schema to `path`, in the format its extension names: `.parquet`, `.arrow`/`.feather`, `.csv` or
/// `.geojson`. A column `geometry` holds WKB in degrees. A failing batch stops everything and leaves no file.
///
/// # Errors
/// If the extension is unknown, there is no batch, or the file can't be written.
pub fn write_table(
    path: &Path,
    batches: impl Iterator<Item = RecordBatch>,
    spec: &TableSpec,
) -> Result<(), VectorError> {
    let mut batches = batches.peekable();
    let format = |what: String| VectorError::Format { path: path.to_path_buf(), what };
    let schema =
        batches.peek().map(RecordBatch::schema).ok_or_else(|| format("there is nothing to write".into()))?;
    let write: fn(
        &mut dyn Out,
        &Schema,
        &mut dyn Iterator<Item = RecordBatch>,
        &TableSpec,
    ) -> Result<(), String> = match extension(path).as_str() {
        "parquet" | "geoparquet" | "gpq" => parquet,
        "arrow" | "feather" | "ipc" => arrow_ipc,
        "csv" => csv,
        "geojson" | "json" => geojson,
        other => return Err(format(format!("`.{other}` is no format a table can be written in"))),
    };
    let pending = PendingFile::create(path).map_err(VectorError::io(path))?;
    let mut out = BufWriter::with_capacity(1 << 20, pending.file());
    write(&mut out, &schema, &mut batches, spec).map_err(format)?;
    out.flush().map_err(VectorError::io(path))?;
    drop(out);
    pending.commit().map_err(VectorError::io(path))
}

trait Out: Write + Send {}
impl<T: Write + Send> Out for T {}

/// GeoParquet 1.1: ZSTD, no statistics or dictionary on the vectors, `geo` footer with the bounds.
fn parquet(
    out: &mut dyn Out,
    schema: &Schema,
    batches: &mut dyn Iterator<Item = RecordBatch>,
    spec: &TableSpec,
) -> Result<(), String> {
    let mut rows = GROUP_ROWS;
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).map_err(|e| e.to_string())?));
    for field in schema.fields() {
        if let DataType::FixedSizeList(item, n) = field.data_type() {
            let leaf = ColumnPath::from(vec![field.name().clone(), "list".into(), item.name().clone()]);
            properties = properties
                .set_column_dictionary_enabled(leaf.clone(), false)
                .set_column_statistics_enabled(leaf, EnabledStatistics::None);
            let bytes = item.data_type().primitive_width().unwrap_or(4) * usize::try_from(*n).unwrap_or(1);
            rows = rows.min((GROUP_BYTES / bytes.max(1)).max(1));
        }
        if field.name() == GEOMETRY {
            properties = properties.set_column_dictionary_enabled(ColumnPath::from(GEOMETRY), false);
        }
    }
    let properties = properties.set_max_row_group_row_count(Some(rows)).build();
    // pyarrow hides footer keys that the Arrow schema does not repeat; what is known before the last batch goes there too.
    let first = batches.next();
    let second = batches.next();
    let mut bounds = Bounds::default();
    let mut known: Vec<(String, String)> = spec.metadata.clone();
    if let Some(g) = first.as_ref().and_then(|b| b.column_by_name(GEOMETRY)) {
        bounds.add(g)?;
        // The bounds of later batches are in the footer alone.
        let early = Bounds { bbox: bounds.bbox.filter(|_| second.is_none()), kinds: bounds.kinds.clone() };
        known.push(("geo".into(), early.geo().to_string()));
    }
    let bare = Arc::new(Schema::new(schema.fields().clone()).with_metadata(known.into_iter().collect()));
    let mut writer = ArrowWriter::try_new(out, bare.clone(), Some(properties)).map_err(|e| e.to_string())?;
    for (i, batch) in first.into_iter().chain(second).chain(batches).enumerate() {
        if let (Some(g), true) = (batch.column_by_name(GEOMETRY), i > 0) {
            bounds.add(g)?;
        }
        let batch =
            RecordBatch::try_new(bare.clone(), batch.columns().to_vec()).map_err(|e| e.to_string())?;
        writer.write(&batch).map_err(|e| e.to_string())?;
    }
    if schema.field_with_name(GEOMETRY).is_ok() {
        writer.append_key_value_metadata(KeyValue::new("geo".into(), bounds.geo().to_string()));
    }
    for (key, value) in &spec.metadata {
        writer.append_key_value_metadata(KeyValue::new(key.clone(), value.clone()));
    }
    writer.close().map(|_| ()).map_err(|e| e.to_string())
}

/// Bounds and kinds of the geometries written.
#[derive(Default)]
struct Bounds {
    bbox: Option<[f64; 4]>,
    kinds: std::collections::BTreeSet<&'static str>,
}

impl Bounds {
    fn add(&mut self, column: &dyn Array) -> Result<(), String> {
        let wide = cast(column, &DataType::LargeBinary).map_err(|e| e.to_string())?;
        for bytes in wide.as_binary::<i64>().iter().flatten() {
            use geo_types::Geometry as G;
            let geometry = wkb::read(bytes)?;
            let coords: Vec<geo_types::Coord<f64>> = match &geometry {
                G::Point(p) => vec![p.0],
                G::Polygon(p) => p.exterior().0.clone(),
                G::MultiPolygon(m) => m.0.iter().flat_map(|p| p.exterior().0.clone()).collect(),
                _ => Vec::new(),
            };
            self.kinds.insert(match geometry {
                G::Point(_) => "Point",
                G::Polygon(_) => "Polygon",
                _ => "MultiPolygon",
            });
            for c in coords.iter().filter(|c| c.x.is_finite() && c.y.is_finite()) {
                let b = self.bbox.get_or_insert([c.x, c.y, c.x, c.y]);
                *b = [b[0].min(c.x), b[1].min(c.y), b[2].max(c.x), b[3].max(c.y)];
            }
        }
        Ok(())
    }

    /// The `geo` footer; without `crs`, coordinates are OGC:CRS84.
    fn geo(&self) -> Value {
        let mut column = json!({ "encoding": "WKB", "geometry_types": self.kinds });
        if let Some(b) = self.bbox {
            column["bbox"] = json!(b);
        }
        json!({ "version": "1.1.0", "primary_column": GEOMETRY, "columns": { GEOMETRY: column } })
    }
}

fn arrow_ipc(
    out: &mut dyn Out,
    schema: &Schema,
    batches: &mut dyn Iterator<Item = RecordBatch>,
    spec: &TableSpec,
) -> Result<(), String> {
    let metadata = schema.metadata().clone().into_iter().chain(spec.metadata.iter().cloned()).collect();
    let schema = Arc::new(Schema::new(schema.fields().clone()).with_metadata(metadata));
    let mut writer = FileWriter::try_new(out, &schema).map_err(|e| e.to_string())?;
    for batch in batches {
        let batch =
            RecordBatch::try_new(schema.clone(), batch.columns().to_vec()).map_err(|e| e.to_string())?;
        writer.write(&batch).map_err(|e| e.to_string())?;
    }
    writer.finish().map_err(|e| e.to_string())
}

/// One column per number of a vector, so that any spreadsheet reads it; geometry is left to lon and lat, or WKT.
fn csv(
    out: &mut dyn Out,
    schema: &Schema,
    batches: &mut dyn Iterator<Item = RecordBatch>,
    spec: &TableSpec,
) -> Result<(), String> {
    let mut writer = csv::Writer::from_writer(out);
    let lonlat = schema.field_with_name("lon").is_ok();
    let mut header: Vec<String> = Vec::new();
    for field in schema.fields() {
        match field.data_type() {
            DataType::FixedSizeList(_, n) => {
                let n = usize::try_from(*n).unwrap_or(0);
                let named = spec.vector_names.len() == n;
                header.extend(
                    (0..n).map(|i| if named { spec.vector_names[i].clone() } else { format!("e{i}") }),
                );
            }
            DataType::Binary if lonlat => {}
            _ => header.push(field.name().clone()),
        }
    }
    writer.write_record(&header).map_err(|e| e.to_string())?;
    for batch in batches {
        for row in 0..batch.num_rows() {
            let mut cells: Vec<String> = Vec::with_capacity(header.len());
            for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
                match (field.data_type(), json_value(column, row)?) {
                    (DataType::FixedSizeList(_, n), Value::Null) => {
                        cells.extend(std::iter::repeat_n(String::new(), usize::try_from(*n).unwrap_or(0)));
                    }
                    (DataType::FixedSizeList(..), Value::Array(v)) => cells.extend(v.iter().map(cell)),
                    (DataType::Binary, _) if lonlat => {}
                    (_, v) => cells.push(cell(&v)),
                }
            }
            writer.write_record(&cells).map_err(|e| e.to_string())?;
        }
    }
    writer.flush().map_err(|e| e.to_string())
}

fn cell(v: &Value) -> String {
    match v {
        Value::Null => String::new(),
        Value::String(s) => s.clone(),
        other => other.to_string(),
    }
}

fn geojson(
    out: &mut dyn Out,
    _: &Schema,
    batches: &mut dyn Iterator<Item = RecordBatch>,
    spec: &TableSpec,
) -> Result<(), String> {
    let io = |e: std::io::Error| e.to_string();
    write!(out, "{{\"type\":\"FeatureCollection\",").map_err(io)?;
    for (key, value) in &spec.metadata {
        let value: Value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.clone()));
        write!(out, "{}:{value},", Value::String(key.clone())).map_err(io)?;
    }
    write!(out, "\"features\":[").map_err(io)?;
    let mut first = true;
    for batch in batches {
        let geometry = batch.column_by_name(GEOMETRY).cloned();
        for (row, mut properties) in records(&batch)?.into_iter().enumerate() {
            properties.remove(GEOMETRY);
            let geometry = match &geometry {
                Some(g) if g.is_valid(row) => {
                    let wide = cast(g, &DataType::LargeBinary).map_err(|e| e.to_string())?;
                    let g = wkb::read(wide.as_binary::<i64>().value(row))?;
                    serde_json::to_value(geojson::Geometry::from(&g)).map_err(|e| e.to_string())?
                }
                _ => Value::Null,
            };
            let feature = json!({ "type": "Feature", "geometry": geometry, "properties": properties });
            write!(out, "{}{feature}", if first { "\n" } else { ",\n" }).map_err(io)?;
            first = false;
        }
    }
    writeln!(out, "\n]}}").map_err(io)
}

/// Kept for readers of numbers in other modules.
pub(super) fn as_f64(column: &dyn Array) -> Option<arrow::array::Float64Array> {
    Some(cast(column, &DataType::Float64).ok()?.as_primitive::<Float64Type>().clone())
}
