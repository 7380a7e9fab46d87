//! The verbs: vectors at points, in windows and polygons, on any grid.

mod computed;
pub mod extract;
pub mod gridded;
mod layer;
pub(crate) mod pixels;
pub mod reduce;
pub mod resample;
pub mod sample;
mod target;
mod warp;

pub(crate) use warp::valid;
