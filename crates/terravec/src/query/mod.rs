//! The verbs: vectors at points, in windows and polygons, on any grid.

mod computed;
pub mod extract;
pub mod gridded;
pub mod join;
mod layer;
pub(crate) mod pixels;
pub mod reduce;
pub mod resample;
pub mod sample;
pub mod stack;
pub(crate) mod target;
mod warp;
