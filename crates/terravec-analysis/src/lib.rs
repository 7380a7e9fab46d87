//! What is made of vectors: maps, search, change and clusters.
//!
//! Nothing here reads files. It takes tables, rasters and streams of windows from the engine, and hands back models, tables and rasters that
//! know where they come from.

pub mod assess;
pub mod change;
pub mod cluster;
pub mod colour;
pub mod index;
pub mod kernel;
pub mod learn;
pub mod map;
mod matrix;
pub mod pca;
pub mod raster;
pub mod rows;
pub mod search;

pub use matrix::Matrix;

use terravec::Error;

/// A question that can't be answered, and what to do about it.
pub(crate) fn refuse(what: impl Into<String>, help: impl Into<String>) -> Error {
    Error::Query { what: what.into(), help: help.into() }
}
