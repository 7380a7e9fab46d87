//! A file of a product's lattice, as the index knows it without opening it.

use terravec_geo::{Grid, LonLatBox};
use terravec_io::DType;

use crate::time::Interval;

/// One raster file.
#[derive(Debug, Clone, PartialEq)]
pub struct Tile {
    /// Path or URL, relative to the dataset's root unless absolute.
    pub path: String,
    /// Which step of the file's time axis; 0 where it has none.
    pub step: usize,
    /// Its grid, rows north first.
    pub grid: Grid,
    /// Its extent in degrees.
    pub lonlat: LonLatBox,
    /// When its vectors are valid, if known.
    pub interval: Option<Interval>,
    /// Stored bands.
    pub bands: usize,
    /// Type of the stored numbers.
    pub dtype: DType,
    /// Bytes, if known.
    pub size: u64,
    /// Last modification, milliseconds since 1970, 0 if unknown.
    pub modified_ms: i64,
}

impl Tile {
    /// The year its interval starts in.
    #[must_use]
    pub fn year(&self) -> Option<i32> {
        self.interval.map(|i| i.start_year())
    }
}
