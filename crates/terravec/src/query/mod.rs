//! The verbs: vectors at points, in windows and polygons, on any grid.

mod computed;
pub mod extract;
pub mod gridded;
pub mod join;
mod layer;
pub(crate) mod pixels;
pub(crate) mod places;
pub mod reduce;
pub mod resample;
pub mod sample;
pub mod stack;
pub(crate) mod target;
mod warp;

pub(crate) use target::{bounds_of, meets};

/// The box around regions, degrees.
///
/// # Errors
/// If there is none.
pub fn bounds(regions: &terravec_io::vector::Regions) -> crate::Result<Option<terravec_geo::LonLatBox>> {
    bounds_of(&extract::Area::Regions { regions: regions.clone(), mask: false, all_touched: false })
}
