//! Points and polygons in, tables out.

mod error;
mod geojson;
mod geoparquet;
mod points;
mod regions;
mod rows;
mod text;
pub mod wkb;
mod write;

use arrow::array::RecordBatch;

pub use error::VectorError;
pub use points::{parse_point, read_points};
pub use regions::read_regions;
pub use rows::{json_records, text_table};
pub use write::{TableSpec, write_table};

/// Places to ask about, with the caller's own columns.
#[derive(Debug, Clone)]
pub struct Points {
    /// Longitude, degrees; NaN where a row has no place.
    pub lon: Vec<f64>,
    /// Latitude, degrees; NaN where a row has no place.
    pub lat: Vec<f64>,
    /// The caller's columns, in order, without the place.
    pub columns: RecordBatch,
    /// Where they come from.
    pub origin: String,
    /// What was noticed while reading.
    pub warnings: Vec<String>,
}

/// Polygons in degrees, with the caller's own columns.
#[derive(Debug, Clone)]
pub struct Regions {
    /// One per row.
    pub polygons: Vec<geo_types::MultiPolygon<f64>>,
    /// The caller's columns, in order, without the geometry.
    pub columns: RecordBatch,
    /// What was noticed while reading.
    pub warnings: Vec<String>,
}
