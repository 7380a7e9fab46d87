//! What is made of vectors: maps, search, change and clusters.
//!
//! Nothing here reads files. It takes tables, rasters and streams of windows from the engine, and hands back models, tables and rasters that
//! know where they come from.

pub mod change;
pub mod cluster;
pub mod colour;
pub mod index;
pub mod kernel;
pub mod pca;
pub mod raster;
pub mod rows;
pub mod search;
