//! Places of rows, in degrees, from whatever a table has: geometries in any encoding and CRS, pairs of coordinates, or
//! boxes.
//!
//! A row that can't be placed is kept, with the reason beside it: what to do about it is for whoever asked.

mod block;
mod coords;
mod frame;

use arrow::array::RecordBatch;
use terravec_geo::{BBox, Crs, Transform, transform_bbox};

use super::{TableError, TableFile};
use crate::geoparquet::footer::{self, Reference};
use crate::geoparquet::guard::guarded;

pub use block::PlaceBlock;
use block::Shapes;
use frame::Frame;

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

impl PlaceColumns {
    /// Their numbers.
    #[must_use]
    pub fn columns(&self) -> Vec<usize> {
        match *self {
            Self::Geometry(column) | Self::Box(column) => vec![column],
            Self::LonLat(lon, lat) => vec![lon, lat],
        }
    }
}

/// Takes places out of batches of one table.
#[derive(Debug, Clone)]
pub struct Placer {
    kind: Kind,
    columns: Vec<usize>,
    /// Names of `columns`.
    names: Vec<String>,
    /// Native encoding of a geometry.
    encoding: Option<String>,
    frame: Frame,
    notes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Geometry,
    LonLat,
    Box,
}

impl Placer {
    /// For batches of `file`.
    ///
    /// Where the file claims a projected CRS, or does not know its CRS, coordinates are looked at: those that are all
    /// within ±180 and ±90 are degrees, whatever is claimed, as a projected CRS has its origin there and nothing else.
    /// [`notes`](Self::notes) then says so. This reads the first rows of the column.
    ///
    /// # Errors
    /// If the columns hold no places, the CRS is unknown and the coordinates are no degrees, or they can't be read.
    pub fn new(file: &TableFile, places: PlaceColumns) -> Result<Self, TableError> {
        let (kind, columns) = match places {
            PlaceColumns::Geometry(column) => (Kind::Geometry, vec![column]),
            PlaceColumns::LonLat(lon, lat) => (Kind::LonLat, vec![lon, lat]),
            PlaceColumns::Box(column) => (Kind::Box, vec![column]),
        };
        let fields = file.schema().fields();
        let wrong =
            |what: String, help: &str| TableError::Column { url: file.url().into(), what, help: help.into() };
        if let Some(column) = columns.iter().find(|c| **c >= fields.len()) {
            return Err(wrong(format!("it has no column {column}"), "name the columns of the places"));
        }
        let names = columns.iter().map(|c| fields[*c].name().clone()).collect();
        let mut placer =
            Self { kind, columns, names, encoding: None, frame: Frame::Degrees, notes: Vec::new() };
        if let PlaceColumns::Geometry(column) = places {
            let found = guarded(|| footer::describe(Some(file.0.arrow.metadata()), file.schema(), column));
            let known = file.geometry().filter(|g| g.column == column);
            let reference = match (known, found) {
                (Some(g), found) => {
                    placer.encoding = found.ok().and_then(|f| f.encoding);
                    g.crs.clone().map_or(Reference::Unknown, Reference::Known)
                }
                (None, Ok(found)) => {
                    placer.encoding = found.encoding;
                    found.reference
                }
                (None, Err(what)) => {
                    placer.notes.push(format!("{what}; its CRS is taken as unknown"));
                    Reference::Unknown
                }
            };
            frame::settle(&mut placer, file, column, &reference)?;
        }
        Ok(placer)
    }

    /// For batches with columns of longitude and latitude of these names, for example of a text table.
    #[must_use]
    pub fn lon_lat(lon: &str, lat: &str) -> Self {
        Self {
            kind: Kind::LonLat,
            columns: Vec::new(),
            names: vec![lon.into(), lat.into()],
            encoding: None,
            frame: Frame::Degrees,
            notes: Vec::new(),
        }
    }

    /// The columns of the file's schema that a batch must have.
    #[must_use]
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// What was noticed about the CRS, for people.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// A box in the CRS that the file claims, such as [`TableFile::group_box`] gives, in degrees.
    /// `None` where the CRS has no such place.
    #[must_use]
    pub fn box_in_degrees(&self, bbox: &BBox) -> Option<BBox> {
        match &self.frame {
            Frame::Degrees => Some(*bbox),
            Frame::Moved(to_degrees) => transform_bbox(to_degrees, bbox, 21).ok(),
        }
    }

    /// The places of a batch that has [`columns`](Self::columns), found by name.
    ///
    /// # Errors
    /// If a column is missing or holds no places. What is wrong with single rows is in [`PlaceBlock::problems`].
    pub fn places(&self, batch: &RecordBatch) -> Result<PlaceBlock, TableError> {
        let wrong = |what: String| TableError::Column {
            url: String::new(),
            what,
            help: "name a column of geometries, or columns of longitude and latitude".into(),
        };
        let column = |i: usize| {
            let name = &self.names[i];
            batch.column_by_name(name).ok_or_else(|| wrong(format!("it has no column {name}")))
        };
        let shapes = match self.kind {
            Kind::Geometry => Shapes::of_geometry(column(0)?, self.encoding.as_deref()),
            Kind::LonLat => Shapes::of_lon_lat([column(0)?, column(1)?]),
            Kind::Box => Shapes::of_boxes(column(0)?),
        };
        let shapes = shapes.map_err(|e| wrong(format!("column {}: {e}", self.names.join(", "))))?;
        Ok(PlaceBlock::new(shapes, &self.frame))
    }
}

/// The way from a CRS to degrees; `None` where coordinates in it are degrees already.
fn way(crs: &Crs) -> Result<Option<Transform>, terravec_geo::GeoError> {
    let to = Transform::new(crs, &Crs::wgs84())?;
    Ok((!to.is_identity()).then_some(to))
}
