//! Maps: a model over a region, chunk by chunk, into a COG; as a picture; as polygons; or over the rows of a table.

mod chunk;
mod cog;
mod letters;
mod picture;
mod polygons;
mod reference;
mod region;
mod rows;

pub use reference::{MapAreas, map_areas};
pub use region::{ClassCount, Mapped, Outputs, predict};
pub use rows::predictions;
