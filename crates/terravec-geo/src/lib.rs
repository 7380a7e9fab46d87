//! Where vectors are on the Earth: coordinate reference systems, affine grids, boxes, tile lattices, polygons to
//! masks. No input or output.
//!
//! Conventions: coordinates are (x, y), which is (lon, lat) in geographic CRSs, whatever an authority says; degrees
//! and metres; rows run from north to south; a pixel is an area whose corner is its whole number.

mod affine;
mod bbox;
mod boxes;
mod crs;
mod error;
mod grid;
pub mod lattice;
mod lonlat;
pub mod polygon;
pub mod rasterize;
mod transform;

pub use affine::Affine;
pub use bbox::{BBox, TURNS};
pub use boxes::{lonlat_bbox_of, transform_bbox};
pub use crs::Crs;
pub use error::GeoError;
pub use grid::{Grid, Window};
pub use lonlat::{LonLatBox, check_lon_lat, wrap_lon};
pub use transform::Transform;
