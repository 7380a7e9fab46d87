//! GeoTIFF: read block by block, written as COG.
//!
//! The decoder is our own because the crates that exist return wrong numbers for files with a plane per band and a
//! predictor, which is what AlphaEarth and the recommended layout are.

mod arrange;
pub(crate) mod decode;
mod error;
mod fetch;
mod gdal;
mod georef;
mod ifd;
mod image;
mod predict;
mod projection;
mod reader;
pub mod write;

pub use error::TiffError;
pub use reader::{GeoTiff, Level};
pub use write::{CogError, CogSpec, CogWriter, Compression};

/// Order of the numbers in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interleave {
    /// All bands of a pixel side by side.
    Pixel,
    /// Band after band.
    Band,
    /// All bands of a tile position side by side.
    Tile,
}

impl Interleave {
    /// `pixel`, `band` or `tile`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pixel => "pixel",
            Self::Band => "band",
            Self::Tile => "tile",
        }
    }
}
