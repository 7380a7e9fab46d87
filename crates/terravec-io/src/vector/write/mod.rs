//! Tables out: GeoParquet, Arrow, CSV and GeoJSON, streamed, put in place whole.

mod arrow_ipc;
mod csv;
mod geojson;
mod geoparquet;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};

use super::error::VectorError;
use super::extension;
use crate::atomic::PendingFile;

/// What goes with a table.
#[derive(Debug, Clone)]
pub struct TableSpec {
    /// Footer keys and values, for example provenance.
    pub metadata: Vec<(String, String)>,
    /// Names of the numbers of the vector column, for formats with a column per number; else `e0`, `e1`, …
    pub vector_names: Vec<String>,
    /// The column of well-known binary geometries in degrees (OGC:CRS84), if the table has it.
    pub geometry: String,
    /// In GeoParquet, adds a column of bounding boxes, by which readers skip row groups: for tables of points that will
    /// be searched by place. Tables that begin with other geometries have it anyway.
    pub covering: bool,
}

impl Default for TableSpec {
    fn default() -> Self {
        Self { metadata: Vec::new(), vector_names: Vec::new(), geometry: "geometry".into(), covering: false }
    }
}

/// One format of tables.
trait Sink {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), String>;
    /// Writes what stands at the end, down to the file.
    fn finish(self: Box<Self>) -> Result<(), String>;
}

/// A table being written, batch by batch, in memory bounded by one row group. Dropped without
/// [`finish`](Self::finish), it leaves no file.
pub struct TableWriter {
    path: PathBuf,
    pending: PendingFile,
    schema: SchemaRef,
    sink: Box<dyn Sink>,
}

impl std::fmt::Debug for TableWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableWriter").field("path", &self.path).finish_non_exhaustive()
    }
}

impl TableWriter {
    /// Starts a table at `path`, in the format its extension names: `.parquet` (also `.geoparquet`, `.gpq`), `.arrow`
    /// (also `.feather`, `.ipc`), `.csv` or `.geojson` (also `.json`).
    ///
    /// Metadata of the schema stays out of the file; [`TableSpec::metadata`] goes in.
    ///
    /// # Errors
    /// If the extension is unknown, the format can't hold a column, or the folder can't be written to.
    pub fn create(path: &Path, schema: &SchemaRef, spec: &TableSpec) -> Result<Self, VectorError> {
        let start = match extension(path).as_str() {
            "parquet" | "geoparquet" | "gpq" | "pq" => geoparquet::start,
            "arrow" | "feather" | "ipc" => arrow_ipc::start,
            "csv" => csv::start,
            "geojson" | "json" => geojson::start,
            other => {
                let what = format!("`.{other}` is no format a table can be written in");
                return Err(VectorError::Format { path: path.into(), what });
            }
        };
        let pending = PendingFile::create(path).map_err(VectorError::io(path))?;
        let file = pending.file().try_clone().map_err(VectorError::io(path))?;
        let sink = start(BufWriter::with_capacity(1 << 20, file), schema, spec)
            .map_err(|what| VectorError::Format { path: path.into(), what })?;
        Ok(Self { path: path.into(), pending, schema: schema.clone(), sink })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// If the batch is of another schema, a geometry can't be read, or the disk is full.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), VectorError> {
        let what = if batch.schema().fields() == self.schema.fields() {
            self.sink.write(batch)
        } else {
            Err("the batches of the table differ in their columns".into())
        };
        what.map_err(|what| VectorError::Format { path: self.path.clone(), what })
    }

    /// Completes the file and puts it in place, over what was there.
    ///
    /// # Errors
    /// If the disk is full or the file can't be put in place; nothing is left then.
    pub fn finish(self) -> Result<(), VectorError> {
        self.sink.finish().map_err(|what| VectorError::Format { path: self.path.clone(), what })?;
        self.pending.commit().map_err(VectorError::io(&self.path))
    }
}

/// Writes batches of one schema as [`TableWriter`] does.
///
/// # Errors
/// As [`TableWriter`]; also if there is no batch, as nothing tells the columns then.
pub fn write_table(
    path: &Path,
    batches: impl Iterator<Item = RecordBatch>,
    spec: &TableSpec,
) -> Result<(), VectorError> {
    let mut batches = batches.peekable();
    let Some(first) = batches.peek() else {
        return Err(VectorError::Format { path: path.into(), what: "there is nothing to write".into() });
    };
    let mut writer = TableWriter::create(path, &first.schema(), spec)?;
    batches.try_for_each(|batch| writer.write(&batch))?;
    writer.finish()
}

/// The bytes of a geometry column.
fn geometries(column: &ArrayRef) -> Result<ArrayRef, String> {
    match column.data_type() {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            cast(column, &DataType::LargeBinary).map_err(|e| e.to_string())
        }
        other => Err(format!("the geometry column holds {other}, not well-known binary")),
    }
}

/// The bytes of one geometry.
fn bytes_of(geometries: &ArrayRef, row: usize) -> Option<&[u8]> {
    geometries.is_valid(row).then(|| geometries.as_binary::<i64>().value(row))
}

type Out = BufWriter<File>;

fn flush(mut out: Out) -> Result<(), String> {
    out.flush().map_err(|e| e.to_string())
}
