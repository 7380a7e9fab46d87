//! Places of rows, in degrees.

use arrow::array::{BinaryArray, RecordBatch};
use geo_types::Geometry;
use terravec_geo::BBox;

use super::{TableError, TableFile};

/// Where the places of a table are: numbers of columns of its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceColumns {
    /// A column of geometries: well-known binary or text, or native GeoArrow.
    Geometry(usize),
    /// Columns of longitude and latitude in degrees.
    LonLat(usize, usize),
    /// A column of boxes in degrees: a struct of `xmin`, `ymin`, `xmax`, `ymax` or the like.
    Box(usize),
}

/// Takes places out of batches of one table.
#[derive(Debug, Clone)]
pub struct Placer {}

impl Placer {
    /// For batches of `file`. Where the file claims a projected CRS, or none, the first coordinates are looked at.
    ///
    /// # Errors
    /// If the columns hold no places, the CRS is unknown and the coordinates are no degrees, or they can't be read.
    pub fn new(file: &TableFile, places: PlaceColumns) -> Result<Self, TableError> {
        let _ = (file, places);
        unimplemented!()
    }

    /// For batches with columns of longitude and latitude of these names.
    #[must_use]
    pub fn lon_lat(lon: &str, lat: &str) -> Self {
        let _ = (lon, lat);
        unimplemented!()
    }

    /// The columns of the file's schema that a batch must have.
    #[must_use]
    pub fn columns(&self) -> &[usize] {
        unimplemented!()
    }

    /// What was noticed about the CRS, for people.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        unimplemented!()
    }

    /// A box in the CRS that the file claims, such as [`TableFile::group_box`] gives, in degrees.
    /// `None` where the CRS has no such place.
    #[must_use]
    pub fn box_in_degrees(&self, bbox: &BBox) -> Option<BBox> {
        let _ = bbox;
        unimplemented!()
    }

    /// The places of a batch that has [`columns`](Self::columns), found by name.
    ///
    /// # Errors
    /// If a column is missing or of another type. What is wrong with single rows is in [`PlaceBlock::problems`].
    pub fn places(&self, batch: &RecordBatch) -> Result<PlaceBlock, TableError> {
        let _ = batch;
        unimplemented!()
    }
}

/// The places of some rows.
#[derive(Debug, Clone)]
pub struct PlaceBlock {
    /// Bounds of each row, degrees; NaN where it has no place. A row across the antimeridian spans the globe, unless its
    /// geometry is cut there or goes beyond ±180.
    pub boxes: Vec<BBox>,
    /// Longitude of the centre of the bounds; NaN where there is no place.
    pub lon: Vec<f64>,
    /// Latitude of the centre of the bounds.
    pub lat: Vec<f64>,
    /// Rows of the batch whose place can't be read or is none on Earth, and why. Rows without a geometry are not among
    /// them.
    pub problems: Vec<(usize, String)>,
}

impl PlaceBlock {
    /// The geometries as well-known binary in degrees (OGC:CRS84), without heights; null where there is none. Boxes and
    /// pairs of coordinates become polygons and points.
    #[must_use]
    pub fn wkb(&self) -> BinaryArray {
        unimplemented!()
    }

    /// The geometry of a row in degrees: a point, multi-point, polygon or multi-polygon.
    #[must_use]
    pub fn geometry(&self, row: usize) -> Option<Geometry<f64>> {
        let _ = row;
        unimplemented!()
    }
}
