//! What windows and polygons can be read from: tiles of a raster, or an encoder that answers everywhere.

use super::extract::Area;
use crate::catalog::Descriptor;
use crate::dataset::RasterDataset;
use crate::error::Result;
use crate::location::LocationDataset;
use crate::provenance::Provenance;
use crate::time::{Interval, Years};

/// A dataset with a vector for every pixel of a grid.
#[derive(Debug, Clone)]
pub enum Gridded {
    /// Stored in raster files.
    Tiles(RasterDataset),
    /// Computed at the centre of every pixel.
    Encoder(Box<LocationDataset>),
}

impl From<&RasterDataset> for Gridded {
    fn from(dataset: &RasterDataset) -> Self {
        Self::Tiles(dataset.clone())
    }
}

impl From<&LocationDataset> for Gridded {
    fn from(encoder: &LocationDataset) -> Self {
        Self::Encoder(Box::new(encoder.clone()))
    }
}

impl Gridded {
    /// The same, keeping blocks of tiles that are read a second time, for many questions about places near each other.
    #[must_use]
    pub fn keeping_blocks(self) -> Self {
        match self {
            Self::Tiles(d) => Self::Tiles(d.keeping_blocks()),
            encoder @ Self::Encoder(_) => encoder,
        }
    }

    /// The same with those tiles that an area and some years need, of archives with a register.
    pub(crate) fn narrowed(self, area: &Area, years: &Years) -> Result<Self> {
        Ok(match self {
            Self::Tiles(d) => Self::Tiles(d.narrowed(area, years)?),
            encoder @ Self::Encoder(_) => encoder,
        })
    }

    pub(crate) fn product(&self) -> &Descriptor {
        match self {
            Self::Tiles(d) => d.product(),
            Self::Encoder(e) => e.product(),
        }
    }

    pub(crate) fn periods(&self, years: &Years) -> Result<Vec<Option<i32>>> {
        match self {
            Self::Tiles(d) => d.periods(years),
            Self::Encoder(e) => e.periods(years),
        }
    }

    pub(crate) fn band_names(&self) -> Result<Vec<String>> {
        match self {
            Self::Tiles(d) => d.band_names(),
            Self::Encoder(e) => Ok(e.band_names()),
        }
    }

    /// Provenance without sources or a request.
    pub(crate) fn provenance(&self, periods: &[Option<i32>]) -> Result<Provenance> {
        match self {
            Self::Tiles(d) => d.provenance(&[], "vectors", serde_json::Value::Null),
            Self::Encoder(e) => Ok(e.provenance(periods, serde_json::Value::Null)),
        }
    }

    /// The period of vectors without a year, where there is one.
    pub(crate) fn interval(&self) -> Option<Interval> {
        match self {
            Self::Tiles(d) => d.tiles()[0].interval,
            Self::Encoder(_) => None,
        }
    }

    pub(crate) fn covered(&self) -> String {
        match self {
            Self::Tiles(d) => d.covered(),
            Self::Encoder(e) => format!("{} covers every place on Earth", e.product().id),
        }
    }
}
