//! GeoParquet in: geometry as the `geo` footer, the Parquet logical type or an Arrow extension type says, or by name
//! where nothing does.

use std::fs::File;
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Float64Type, SchemaRef};
use arrow::error::ArrowError;
use geo_types::Coord;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::ParquetMetaData;

use terravec_geo::Crs;

use super::cells::batch;
use super::error::VectorError;
use super::features::{Features, RowNames, Shape};
use super::place::coordinate_columns;
use super::{wkb, wkt};
use crate::geoparquet::footer::{self, Geometry, Reference};
use crate::geoparquet::{guard, native};

/// Rows decoded at a time.
const BATCH_ROWS: usize = 8192;

/// Where the places are.
enum Places {
    Geometry(Geometry),
    Columns(usize, usize),
}

pub(super) fn read<S: Shape>(path: &Path) -> Result<Features<S>, VectorError> {
    let file = File::open(path).map_err(VectorError::io(path))?;
    guard::guarded(|| read_file(file)).map_err(|what| VectorError::content(path, what, help::<S>()))
}

fn read_file<S: Shape>(file: File) -> Result<Features<S>, String> {
    let unreadable = |e: &dyn std::fmt::Display| format!("it can't be read as Parquet: {e}");
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| unreadable(&e))?;
    let (schema, metadata) = (builder.schema().clone(), builder.metadata().clone());
    let reader = builder.with_batch_size(BATCH_ROWS).build().map_err(|e| unreadable(&e))?;
    collect(&schema, Some(&metadata), reader)
}

/// Rows of a table in memory, called `name` in messages.
pub(super) fn read_table<S: Shape>(
    name: &Path,
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> Result<Features<S>, VectorError> {
    collect(schema, None, batches.iter().cloned().map(Ok))
        .map_err(|what| VectorError::content(name, what, help::<S>()))
}

fn help<S: Shape>() -> &'static str {
    if S::IS_PLACE {
        "give one point per row, in a geometry column (GeoParquet) or in columns lon and lat"
    } else {
        "give one polygon per row, in a geometry column (GeoParquet)"
    }
}

fn collect<S: Shape>(
    schema: &SchemaRef,
    metadata: Option<&ParquetMetaData>,
    reader: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
) -> Result<Features<S>, String> {
    let names: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
    let mut warnings = Vec::new();
    let places = match footer::find(metadata, schema, &mut warnings)? {
        Some(geometry) => Places::Geometry(geometry),
        None => coordinate_columns(&names)
            .filter(|_| S::IS_PLACE)
            .map(|(x, y)| Places::Columns(x, y))
            .ok_or_else(|| format!("no column of {}s is known; it has {}", S::WANTED, names.join(", ")))?,
    };
    let dropped: Vec<usize> = match &places {
        // A bounding-box column that describes the geometry goes with it.
        Places::Geometry(g) => [Some(g.column), g.covering].into_iter().flatten().collect(),
        Places::Columns(..) => Vec::new(),
    };
    let kept: Vec<usize> = (0..names.len()).filter(|i| !dropped.contains(i)).collect();
    let mut shapes: Vec<Option<S>> = Vec::new();
    let mut flattened = false;
    let mut batches = Vec::new();
    for part in reader {
        let part = part.map_err(|e| format!("it is broken after row {}: {e}", shapes.len()))?;
        match &places {
            Places::Geometry(g) => {
                let column = part.column(g.column);
                geometries(column, g.encoding.as_deref(), &mut flattened, &mut shapes)?;
            }
            Places::Columns(x, y) => {
                let (x, y) = (numbers(part.column(*x), &names[*x])?, numbers(part.column(*y), &names[*y])?);
                shapes.extend(x.iter().zip(&y).map(|(x, y)| match (x, y) {
                    (Some(x), Some(y)) if !(x.is_nan() && y.is_nan()) => S::at(Coord { x, y }),
                    (None, Some(_)) | (Some(_), None) => S::at(Coord { x: f64::NAN, y: 0.0 }),
                    _ => None,
                }));
            }
        }
        batches.push(part.project(&kept).map_err(|e| e.to_string())?);
    }
    let reference = match places {
        Places::Geometry(g) => g.reference,
        Places::Columns(..) => Reference::Known(Crs::wgs84()),
    };
    let columns = concat(schema, &kept, &batches, shapes.len())?;
    Ok(Features { shapes, columns, reference, names: RowNames::Row, flattened, warnings })
}

/// One batch of the columns kept, without the file's metadata, which tells of the geometry left out.
fn concat(
    schema: &SchemaRef,
    kept: &[usize],
    batches: &[RecordBatch],
    rows: usize,
) -> Result<RecordBatch, String> {
    if kept.is_empty() {
        return batch(Vec::new(), rows).map_err(|e| e.to_string());
    }
    let schema = std::sync::Arc::new(
        schema.project(kept).map_err(|e| e.to_string())?.with_metadata(Default::default()),
    );
    let batches: Result<Vec<RecordBatch>, _> =
        batches.iter().map(|b| RecordBatch::try_new(schema.clone(), b.columns().to_vec())).collect();
    concat_batches(&schema, &batches.map_err(|e| e.to_string())?).map_err(|e| e.to_string())
}

fn numbers(column: &ArrayRef, name: &str) -> Result<Float64Array, String> {
    if !column.data_type().is_numeric() {
        return Err(format!("column {name} holds {}, not numbers", column.data_type()));
    }
    Ok(cast(column, &DataType::Float64).map_err(|e| e.to_string())?.as_primitive::<Float64Type>().clone())
}

fn geometries<S: Shape>(
    column: &ArrayRef,
    encoding: Option<&str>,
    flattened: &mut bool,
    shapes: &mut Vec<Option<S>>,
) -> Result<(), String> {
    let start = shapes.len();
    let mut push = |i: usize, read: Result<Option<S>, String>| {
        shapes.push(read.map_err(|e| format!("row {}: {e}", start + i + 1))?);
        Ok::<(), String>(())
    };
    match column.data_type() {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            let wide = cast(column, &DataType::LargeBinary).map_err(|e| e.to_string())?;
            for (i, bytes) in wide.as_binary::<i64>().iter().enumerate() {
                push(i, bytes.map_or(Ok(None), |b| wkb::read_noting(b, flattened).and_then(S::of)))?;
            }
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let wide = cast(column, &DataType::LargeUtf8).map_err(|e| e.to_string())?;
            for (i, text) in wide.as_string::<i64>().iter().enumerate() {
                push(i, text.map_or(Ok(None), |t| wkt::read_noting(t, flattened).and_then(S::of)))?;
            }
        }
        _ => {
            let reader = native::Reader::new(column, encoding)?;
            *flattened |= reader.flattens();
            for i in 0..column.len() {
                push(i, reader.read(i).and_then(|g| g.map_or(Ok(None), S::of)))?;
            }
        }
    }
    Ok(())
}
