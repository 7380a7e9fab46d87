//! What every reader of GeoParquet needs: which column is the geometry and in which CRS, its native encodings, and the
//! boundary that turns panics of the Parquet crates into errors.

pub(crate) mod footer;
pub(crate) mod guard;
pub(crate) mod native;
