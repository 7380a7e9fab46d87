//! Which files make a NumPy tile: codes, the scales beside them, and what says where they lie.
//!
//! Two kinds are read. *Tiles of a product* (Tessera) are (row, column, band) with `…_scales.npy` beside them; a GeoTIFF of the same
//! name in another folder gives CRS and transform, and says where there is water. *Our own* are (band, row, column), one such block per
//! year where there are several, with a JSON file that says the rest.

use terravec_io::DType;
use terravec_io::npy::{Header, Npy};
use terravec_io::source::{Location, SourceError};
use terravec_io::tiff::{GeoTiff, TiffError};

use super::npy::{Axes, NpyTile};
use super::own::Sidecar;
use crate::catalog::{CodecSpec, Descriptor, Georeference, Variant};
use crate::error::{Error, Result};

/// Bounds that no scale is outside of.
const NO_BOUNDS: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

/// How the files of a dataset go together.
#[derive(Debug)]
pub(crate) enum Layout {
    /// Tiles of a product.
    Product {
        /// How a file with scales ends, instead of `.npy`.
        scales: Option<String>,
        georeference: Georeference,
        /// Folders in which GeoTIFFs on the grids of tiles may lie.
        folders: Vec<Location>,
    },
    /// A file of our own.
    Own(Box<Sidecar>),
}

impl Layout {
    /// The layout of `product`'s tiles below `root`, of `variant` where that is known.
    ///
    /// # Errors
    /// If the product doesn't say where its tiles lie.
    pub(super) fn of_product(
        root: &Location,
        product: &Descriptor,
        variant: Option<&Variant>,
    ) -> Result<Self> {
        let Some(georeference) = product.tiles.as_ref().and_then(|t| t.georeference.clone()) else {
            return Err(Error::open(
                format!(
                    "{root}: NumPy files of {} don't say where they lie, and its descriptor names no file that does",
                    product.id
                ),
                "add [tiles.georeference] to the descriptor",
            ));
        };
        let scales = match &product.codec {
            CodecSpec::PerPixelScale { scale_array, .. } => Some(scale_array.clone()),
            _ => None,
        };
        let folders = folders_near(root, &georeference, variant);
        Ok(Self::Product { scales, georeference, folders })
    }

    /// Whether `path` is a tile rather than something beside one.
    pub(super) fn is_tile(&self, path: &str) -> bool {
        match self {
            Self::Product { scales, .. } => !scales.as_ref().is_some_and(|s| path.ends_with(s.as_str())),
            Self::Own(_) => true,
        }
    }

    /// Opens the tile at `location`; `step` is which of its years.
    ///
    /// # Errors
    /// If one of its files is missing or damaged, or they don't fit each other.
    pub(super) fn open(&self, location: &Location, product: &Descriptor, step: usize) -> Result<NpyTile> {
        match self {
            Self::Product { scales, georeference, folders } => {
                open_tile(location, product, scales.as_deref(), georeference, folders)
            }
            Self::Own(sidecar) => open_own(location, sidecar, step),
        }
    }

    /// The file with the scales of the tile at `location`, if it has one.
    pub(super) fn scales_of(&self, location: &Location) -> Option<Location> {
        let name = match self {
            Self::Product { scales, .. } => scales_name(location, scales.as_deref()?),
            Self::Own(sidecar) => sidecar.scaled.then(|| scales_name(location, OWN_SCALES))?,
        };
        Some(location.parent().join(&name))
    }

    /// The file that says where the tile at `location` lies, where those of all tiles are in `folder`.
    pub(super) fn place_of(
        &self,
        location: &Location,
        product: &Descriptor,
        folder: Option<&Location>,
    ) -> Option<Location> {
        match self {
            Self::Product { georeference, .. } => {
                let name = product.tiles.as_ref()?.parse(location.without_query())?;
                Some(folder?.join(&georeference.file_of(&name)?))
            }
            Self::Own(_) => Some(Sidecar::location(location)),
        }
    }
}

/// How a file with scales ends that we wrote.
const OWN_SCALES: &str = "_scales.npy";

fn scales_name(location: &Location, suffix: &str) -> String {
    format!("{}{suffix}", location.file_name().trim_end_matches(".npy"))
}

/// Folders near `root` where georeferences may lie: of the variant's version where it is known.
fn folders_near(root: &Location, georeference: &Georeference, variant: Option<&Variant>) -> Vec<Location> {
    let mut bases = Vec::new();
    let real =
        root.path().and_then(|p| p.canonicalize().ok()).map(|p| Location::new(p.display().to_string()));
    let mut at = real.unwrap_or_else(|| root.clone());
    // A tile, its folder, its year, its version, and the folder of all versions.
    for _ in 0..6 {
        let parent = at.parent();
        bases.push(std::mem::replace(&mut at, parent));
        if at.without_query().ends_with(":/") || bases.last() == Some(&at) {
            break;
        }
    }
    let mut out = Vec::new();
    for base in bases {
        for name in &georeference.folders {
            let folder = base.join(name);
            match variant.and_then(|v| v.path.as_deref()) {
                // Runs of one version share these files.
                Some(path) => {
                    out.extend([path, path.split('-').next().unwrap_or(path)].map(|v| folder.join(v)));
                }
                None => out.extend(only_folder(&folder)),
            }
            out.push(folder);
        }
    }
    out.dedup();
    out.retain(|f| f.path().is_none_or(std::path::Path::is_dir));
    out
}

/// The one folder in `folder`, where there is just one: with several, the version must be said.
fn only_folder(folder: &Location) -> Option<Location> {
    let mut inside = std::fs::read_dir(folder.path()?).ok()?.flatten().filter(|e| e.path().is_dir());
    let one = inside.next()?;
    inside.next().is_none().then(|| Location::new(one.path().display().to_string()))
}

fn open_tile(
    location: &Location,
    product: &Descriptor,
    scales: Option<&str>,
    georeference: &Georeference,
    folders: &[Location],
) -> Result<NpyTile> {
    let codes = Npy::open(location.open()?)?;
    let [height, width, bands] = codes.header().shape[..] else {
        return Err(shape(location, &codes, "(rows, columns, bands)"));
    };
    let scales = match scales {
        Some(suffix) if !codes.header().dtype.is_float() => {
            let scales = open_scales(location, suffix)?;
            let fits = match scales.header().shape[..] {
                [h, w] => (h, w) == (height, width),
                // Old files repeat the scale for every band.
                [h, w, b] => (h, w, b) == (height, width, bands),
                _ => false,
            };
            if !fits || !scales.header().dtype.is_float() {
                return Err(shape(
                    location,
                    &scales,
                    &format!("({height}, {width}) floats, as the codes beside them"),
                ));
            }
            Some(scales)
        }
        _ => None,
    };
    let file = product.tiles.as_ref().and_then(|t| georeference.file_of(&t.parse(location.without_query())?));
    let bounds = match &product.codec {
        CodecSpec::PerPixelScale { valid_min_exclusive, valid_max_exclusive, .. } => {
            (*valid_min_exclusive, *valid_max_exclusive)
        }
        _ => NO_BOUNDS,
    };
    let Some(file) = file else {
        return Err(Error::open(
            format!("{location}: not named like a tile of {}", product.id),
            "keep the names of the files",
        ));
    };
    let mut found = None;
    for folder in folders {
        match folder.join(&file).open() {
            Ok(source) => match GeoTiff::open(source) {
                Ok(tiff) => {
                    found = Some((tiff, folder.clone()));
                    break;
                }
                Err(TiffError::Source(SourceError::NotFound { .. })) => {}
                Err(e) => return Err(e.into()),
            },
            Err(SourceError::NotFound { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    let Some((tiff, place_folder)) = found else {
        return Err(Error::open(
            format!(
                "{location}: nothing says where it lies: {file} is in no folder named {} near it",
                georeference.folders.join(" or ")
            ),
            "fetch that folder of the archive too, of the same version, and keep it beside the tiles",
        ));
    };
    let Some(grid) = tiff.grid().cloned() else {
        return Err(Error::open(
            format!("{}: the file has no usable georeference", tiff.name()),
            "fetch it again",
        ));
    };
    if (grid.height, grid.width) != (height, width) {
        return Err(Error::open(
            format!(
                "{location} has {height} × {width} pixels, but {}, which says where it lies, {} × {}",
                tiff.name(),
                grid.height,
                grid.width
            ),
            "the two are of different versions: fetch both from the same one",
        ));
    }
    let water = georeference.water.map(|value| (tiff, value));
    Ok(NpyTile {
        codes,
        axes: Axes::BandLast,
        scales,
        place_folder: Some(place_folder),
        water,
        grid,
        names: vec![None; bands],
        nodata: None,
        bounds,
    })
}

fn open_own(location: &Location, sidecar: &Sidecar, step: usize) -> Result<NpyTile> {
    let codes = Npy::open(location.open()?)?;
    let grid = sidecar.grid.clone();
    let (axes, bands) = match codes.header().shape[..] {
        [bands, h, w] if (h, w) == (grid.height, grid.width) => (Axes::BandFirst, bands),
        [steps, bands, h, w] if (h, w) == (grid.height, grid.width) && step < steps => {
            (Axes::Step(step), bands)
        }
        _ => {
            let want = format!("(bands, {}, {}), as the JSON file beside it says", grid.height, grid.width);
            return Err(shape(location, &codes, &want));
        }
    };
    let mut scales = None;
    if sidecar.scaled {
        let npy = open_scales(location, OWN_SCALES)?;
        let shape_of = &codes.header().shape;
        let flat: Vec<usize> =
            shape_of[..shape_of.len() - 3].iter().chain(&shape_of[shape_of.len() - 2..]).copied().collect();
        if npy.header().shape != flat || npy.header().dtype != DType::F32 {
            return Err(shape(location, &npy, &format!("{flat:?} float32 scales")));
        }
        scales = Some(npy);
    }
    let mut names: Vec<Option<String>> = sidecar.bands.iter().cloned().map(Some).collect();
    names.resize(bands, None);
    Ok(NpyTile {
        codes,
        axes,
        scales,
        place_folder: None,
        water: None,
        grid,
        names,
        nodata: sidecar.nodata,
        bounds: NO_BOUNDS,
    })
}

fn shape(location: &Location, npy: &Npy, want: &str) -> Error {
    let Header { shape, dtype, .. } = npy.header();
    Error::open(
        format!("{location}: {} holds {dtype} numbers of shape {shape:?}, not {want}", npy.name()),
        "fetch the file again; an array without a place on the Earth can't be opened",
    )
}

/// The scales of the tile at `location`. Far away it is noticed only on reading that they are missing.
fn open_scales(location: &Location, suffix: &str) -> Result<Npy> {
    let place = location.parent().join(&scales_name(location, suffix));
    let open = || -> Result<Npy> { Ok(Npy::open(place.open()?)?) };
    open().map_err(|e| match e.of_source() {
        Some(SourceError::NotFound { url }) => Error::open(
            format!("{location}: the scales that belong to it are missing: {url}"),
            "fetch that file too; without it the codes mean nothing",
        ),
        _ => e,
    })
}
