//! Tables of vectors: files of rows with a vector, a place and whatever else, read without knowing any product.
//!
//! [`TableFile`] opens a Parquet file by its footer and tells what each row group holds: where on Earth, and from which
//! to which value. [`TableFile::read`] then streams batches of the groups, columns and rows that are wanted.
//! [`CsvTable`] streams batches of the same shape from text. Of a batch, [`vectors_of`] makes stored numbers, row by row
//! with what is wrong where something is, and [`Placer`] makes places in degrees. Nothing here drops a row.

mod bounds;
mod check;
mod csv;
mod error;
mod file;
mod hive;
mod places;
mod read;
mod thrift;
mod vectors;

pub use bounds::Bound;
pub use check::{Problem, check_geoparquet};
pub use csv::{CsvPlan, CsvTable};
pub use error::TableError;
pub use file::{GeometryColumn, TableFile};
pub use hive::partition_values;
pub use places::{PlaceBlock, PlaceColumns, Placer};
pub use read::{Batches, ReadPlan};
pub use vectors::{VectorBlock, VectorSpec, VectorState, vectors_of, vectors_of_columns};
