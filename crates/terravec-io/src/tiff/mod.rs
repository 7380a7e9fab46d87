//! GeoTIFF.

pub mod write;

/// Order of the numbers in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interleave {
    /// All bands of a pixel side by side.
    Pixel,
    /// All blocks of the first band, then those of the second, and so on.
    Band,
    /// All bands of a block position side by side, each compressed by itself.
    Tile,
}
