//! Writing cloud-optimised GeoTIFFs.
//!
//! The layout is GDAL's (header, structural metadata, IFDs, tile indexes, smallest overview to full
//! resolution, every tile framed by its size and its last four bytes), so that GDAL's validator and optimised
//! readers accept it. The writer exists because the recommended *tile* interleave (all bands of a tile
//! position side by side) and overviews that respect a product's decode rule are ours to make.

mod encode;
mod error;
mod header;
mod metadata;
mod pyramid;
mod readback;
mod spec;
mod spool;
mod tags;
mod writer;

pub use error::CogError;
pub use spec::{CogSpec, Compression};
pub use writer::CogWriter;
