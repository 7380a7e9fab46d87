//! Points and polygons in, tables out.
//!
//! Whatever the file says, places come out as longitude and latitude in degrees (OGC:CRS84), one per row, rows in the
//! file's order; everything else in the file stays beside them as the caller's own columns. A row without a place is
//! kept and counted; a row with an impossible place is an error that names it.
//!
//! Each format has a reader that yields the same rows; what is common to all (moving to degrees, checks of range, what
//! counts as a point or a polygon) happens once, in `features` and `place`.

mod cells;
mod csv;
mod error;
mod features;
mod geojson;
mod geoparquet;
mod hilbert;
mod place;
mod rows;
pub mod wkb;
pub mod wkt;
mod write;

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use geo_types::{Coord, MultiPolygon};

pub(crate) use csv::separator;
pub use error::VectorError;
pub use hilbert::hilbert_order;
pub(crate) use place::check_place;
pub use place::parse_point;
pub use rows::{json_records, text_table};
pub use write::{TableSpec, TableWriter, write_table};

use features::{Features, Shape};

/// Places to ask about, with the caller's own columns.
#[derive(Debug, Clone)]
pub struct Points {
    /// Longitude, degrees; NaN where a row has no place.
    pub lon: Vec<f64>,
    /// Latitude, degrees; NaN where a row has no place.
    pub lat: Vec<f64>,
    /// The caller's columns, in order, without the geometry, and without columns `lon` and `lat` that say the same.
    pub columns: RecordBatch,
    /// The file, or the text of a single point.
    pub origin: String,
    /// What was noticed while reading, for people.
    pub warnings: Vec<String>,
}

/// Polygons in degrees, with the caller's own columns.
#[derive(Debug, Clone)]
pub struct Regions {
    /// One per row; without parts where a row has no geometry.
    pub polygons: Vec<MultiPolygon<f64>>,
    /// The caller's columns, in order, without the geometry.
    pub columns: RecordBatch,
    /// What was noticed while reading, for people.
    pub warnings: Vec<String>,
}

/// Reads points from a GeoParquet (`.parquet`, `.geoparquet`, `.gpq`), GeoJSON (`.geojson`, `.json`, and one feature per
/// line: `.geojsonl`, `.ndjson`) or CSV (`.csv`, `.tsv`, `.txt`) file.
///
/// A multi-point of one point is a point. A null or empty geometry gives NaN and a warning that counts such rows.
///
/// # Errors
/// If the file can't be read, has no points, or a row is no place on Earth; the message names the row.
pub fn read_points(path: &Path) -> Result<Points, VectorError> {
    read::<Coord<f64>>(path)?.into_points(path)
}

/// Reads polygons from a GeoParquet, GeoJSON or CSV file (with a column of WKT or GeoJSON); extensions as for
/// [`read_points`]. Vertices are moved to degrees one by one.
///
/// # Errors
/// If the file can't be read, has no polygons, or a row is none on Earth; the message names the row.
pub fn read_regions(path: &Path) -> Result<Regions, VectorError> {
    read::<MultiPolygon<f64>>(path)?.into_regions(path)
}

/// Points of a table in memory, as [`read_points`] takes them from a GeoParquet file. `name` stands for the file in messages.
///
/// # Errors
/// If there is no column of points, or a row is no place on Earth.
pub fn points_of(name: &str, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Points, VectorError> {
    let name = Path::new(name);
    geoparquet::read_table::<Coord<f64>>(name, schema, batches)?.into_points(name)
}

/// Points of a GeoJSON text, as [`read_points`] takes them from a file. `name` stands for the file in messages.
///
/// # Errors
/// As [`read_points`].
pub fn points_of_geojson(name: &str, text: &str) -> Result<Points, VectorError> {
    let name = Path::new(name);
    geojson::read_bytes::<Coord<f64>>(name, text.as_bytes().to_vec())?.into_points(name)
}

/// Polygons of a GeoJSON text, as [`read_regions`] takes them from a file.
///
/// # Errors
/// As [`read_regions`].
pub fn regions_of_geojson(name: &str, text: &str) -> Result<Regions, VectorError> {
    let name = Path::new(name);
    geojson::read_bytes::<MultiPolygon<f64>>(name, text.as_bytes().to_vec())?.into_regions(name)
}

/// Polygons of a table in memory, as [`read_regions`] takes them from a GeoParquet file.
///
/// # Errors
/// If there is no column of polygons, or a row is none on Earth.
pub fn regions_of(name: &str, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Regions, VectorError> {
    let name = Path::new(name);
    geoparquet::read_table::<MultiPolygon<f64>>(name, schema, batches)?.into_regions(name)
}

fn read<S: Shape>(path: &Path) -> Result<Features<S>, VectorError> {
    match extension(path).as_str() {
        "parquet" | "geoparquet" | "gpq" | "pq" => geoparquet::read(path),
        "geojson" | "json" | "geojsonl" | "geojsonseq" | "jsonl" | "ndjson" => geojson::read(path),
        "csv" | "tsv" | "txt" => csv::read(path),
        other => Err(VectorError::content(
            path,
            format!("`.{other}` is no format of {}s that terravec reads", S::WANTED),
            "give a .parquet, .geojson or .csv file",
        )),
    }
}

fn extension(path: &Path) -> String {
    path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase()
}
