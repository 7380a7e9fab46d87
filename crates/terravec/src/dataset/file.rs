//! An open raster file of whatever format: the few things the engine asks of one.

use terravec_geo::{Grid, Window};
use terravec_io::source::Location;
use terravec_io::tiff::GeoTiff;
use terravec_io::{Codes, DType};

use super::npy::NpyTile;
use super::npy_layout::Layout;
use super::open_zarr::Grids;
use super::tile::Tile;
use super::zarr::ZarrTile;
use super::{open, open_npy};
use crate::catalog::Descriptor;
use crate::error::{Error, Result};

/// What the files of a dataset are.
#[derive(Debug)]
pub(crate) enum Files {
    Tiff,
    Npy(Layout),
    Zarr(Grids),
}

impl Files {
    /// The tile at `path` below `root`, by its file.
    ///
    /// # Errors
    /// As [`Files::open`]; a Zarr store has no such files.
    pub(super) fn tile(&self, root: &Location, path: &str, product: &Descriptor) -> Result<Tile> {
        let location = root.join(path);
        match self {
            Self::Tiff => open::tile_of(path, &location, &GeoTiff::open(location.open()?)?, product, 0, 0),
            Self::Npy(layout) => {
                open_npy::tile_of(&layout.open(&location, product, 0)?, path, &location, product)
            }
            Self::Zarr(_) => Err(Error::open(format!("{location}: no such group"), "open the store again")),
        }
    }

    /// Opens the file of `tile`, which lies at `location`.
    ///
    /// # Errors
    /// If it is not there, is damaged, or says nothing of where it lies.
    pub(super) fn open(&self, location: &Location, tile: &Tile, product: &Descriptor) -> Result<RasterFile> {
        match self {
            Self::Tiff => Ok(RasterFile::Tiff(Box::new(GeoTiff::open(location.open()?)?))),
            Self::Npy(layout) => {
                layout.open(location, product, tile.step).map(|tile| RasterFile::Npy(Box::new(tile)))
            }
            Self::Zarr(grids) => match grids.get(&tile.path) {
                Some(of) => Ok(RasterFile::Zarr(ZarrTile { of: of.clone(), step: tile.step })),
                None => Err(Error::open(format!("{location}: no such group"), "open the store again")),
            },
        }
    }
}

/// An open raster file.
#[derive(Debug)]
pub(crate) enum RasterFile {
    Tiff(Box<GeoTiff>),
    Npy(Box<NpyTile>),
    Zarr(ZarrTile),
}

/// What a read hands back: codes, and row by row whether the file itself says that a pixel is valid.
pub(crate) type Stored = (Codes, Option<Vec<bool>>);

impl RasterFile {
    /// Where the pixels lie, rows north first; `None` where a GeoTIFF does not say.
    pub(crate) fn grid(&self) -> Option<&Grid> {
        match self {
            Self::Tiff(f) => f.grid(),
            Self::Npy(f) => Some(f.grid()),
            Self::Zarr(f) => Some(f.grid()),
        }
    }

    /// Stored bands.
    pub(crate) fn bands(&self) -> usize {
        match self {
            Self::Tiff(f) => f.bands(),
            Self::Npy(f) => f.bands(),
            Self::Zarr(f) => f.bands(),
        }
    }

    /// The type of the stored numbers.
    pub(crate) fn dtype(&self) -> DType {
        match self {
            Self::Tiff(f) => f.dtype(),
            Self::Npy(f) => f.dtype(),
            Self::Zarr(f) => f.dtype(),
        }
    }

    /// The number that stands for "nothing here", where the file states one.
    pub(crate) fn nodata(&self) -> Option<f64> {
        match self {
            Self::Tiff(f) => f.nodata(),
            Self::Npy(f) => f.nodata(),
            Self::Zarr(f) => f.nodata(),
        }
    }

    /// Columns and rows that are read and decoded together.
    pub(crate) fn block_size(&self) -> (usize, usize) {
        match self {
            Self::Tiff(f) => f.block_size(),
            Self::Npy(f) => f.block_size(),
            Self::Zarr(f) => f.block_size(),
        }
    }

    /// Names of the stored bands, `None` where the file has none.
    pub(crate) fn band_names(&self) -> Vec<Option<String>> {
        match self {
            Self::Tiff(f) => f.band_names().to_vec(),
            Self::Npy(f) => f.band_names(),
            Self::Zarr(f) => f.band_names(),
        }
    }

    /// How the numbers lie in the file, in a few words.
    pub(crate) fn layout(&self) -> String {
        match self {
            Self::Tiff(f) => {
                let (bw, bh) = f.block_size();
                format!(
                    "GeoTIFF, {} interleave, {bw}×{bh} blocks, {}, {} overviews",
                    f.interleave().name(),
                    f.compression_name(),
                    f.levels().len().saturating_sub(1)
                )
            }
            Self::Npy(f) => f.layout(),
            Self::Zarr(f) => f.layout(),
        }
    }

    /// Whether rows are stored south first.
    pub(crate) fn was_south_up(&self) -> bool {
        match self {
            Self::Tiff(f) => f.was_south_up(),
            Self::Npy(_) => false,
            Self::Zarr(f) => f.was_south_up(),
        }
    }

    /// Reads stored bands `bands` of `window`.
    pub(crate) fn read(&self, bands: &[usize], window: Window) -> Result<Stored> {
        match self {
            Self::Tiff(f) => Ok((f.read(0, bands, window)?, f.read_mask(0, window)?)),
            Self::Npy(f) => Ok((f.read(bands, window)?, None)),
            Self::Zarr(f) => Ok((f.read(bands, window)?, None)),
        }
    }

    /// Reads stored bands `bands` of single pixels (column, row); shape (bands, 1, n).
    pub(crate) fn read_points(&self, bands: &[usize], at: &[(usize, usize)]) -> Result<Stored> {
        match self {
            Self::Tiff(f) => Ok((f.read_points(bands, at)?, f.read_mask_points(at)?)),
            Self::Npy(f) => Ok((f.read_points(bands, at)?, None)),
            Self::Zarr(f) => Ok((f.read_points(bands, at)?, None)),
        }
    }
}
