//! The verbs: vectors at points, in windows and polygons, on any grid.

pub mod extract;
mod layer;
pub(crate) mod pixels;
pub mod reduce;
pub mod resample;
pub mod sample;
mod warp;
