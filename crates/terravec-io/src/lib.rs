//! Bytes to blocks of codes, and back.

pub mod atomic;
pub mod codes;
mod geoparquet;
pub mod icechunk;
mod noted;
pub mod npy;
pub mod source;
mod spread;
pub mod table;
pub mod tiff;
pub mod vector;
pub mod zarr;

pub use codes::{Codes, DType, Samples};
