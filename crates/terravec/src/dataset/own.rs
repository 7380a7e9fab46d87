//! What files of our own say of themselves: the provenance in every output, and the JSON file beside an NPY.

use std::sync::Arc;

use serde::Deserialize;
use terravec_geo::{Affine, Crs, Grid};
use terravec_io::DType;
use terravec_io::source::{Location, SourceError};
use terravec_io::tiff::GeoTiff;

use crate::catalog::{Catalog, Descriptor};
use crate::codec::Decoder;
use crate::error::{Error, Result};
use crate::provenance::Provenance;

/// The metadata item of a GeoTIFF that holds its provenance.
pub(crate) const TAG: &str = "TERRAVEC_PROVENANCE";
/// The longest JSON file that is read.
const MAX_SIDECAR: u64 = 16 << 20;

/// What the JSON file beside an NPY says.
#[derive(Debug)]
pub(crate) struct Sidecar {
    pub(crate) grid: Grid,
    /// Names of the bands.
    pub(crate) bands: Vec<String>,
    pub(crate) nodata: Option<f64>,
    /// Whether scales lie in a file of their own.
    pub(crate) scaled: bool,
    /// The year of each step; `None` where it is unknown.
    pub(crate) years: Vec<Option<i32>>,
    pub(crate) provenance: Option<Provenance>,
}

#[derive(Deserialize)]
struct Json {
    grid: GridJson,
    #[serde(default)]
    bands: Vec<String>,
    #[serde(default)]
    nodata: Option<serde_json::Value>,
    #[serde(default)]
    scales: Option<String>,
    #[serde(default)]
    years: Vec<Option<i32>>,
    #[serde(default)]
    provenance: Option<Provenance>,
}

#[derive(Deserialize)]
struct GridJson {
    crs: String,
    transform: [f64; 6],
    width: usize,
    height: usize,
}

impl Sidecar {
    /// Where the one of the array at `location` is.
    pub(super) fn location(location: &Location) -> Location {
        location.parent().join(&format!("{}.json", location.file_name().trim_end_matches(".npy")))
    }

    /// Reads the JSON file beside the NPY at `location`.
    ///
    /// # Errors
    /// If there is none, or it does not say where the array lies.
    pub(super) fn beside(location: &Location) -> Result<Self> {
        let place = Self::location(location);
        let bad = |reason: String| {
            Error::open(
                format!("{place}: {reason}"),
                "an array has no place on the Earth of its own: keep the JSON file that was written with it",
            )
        };
        let read = || -> std::result::Result<_, SourceError> {
            let source = place.open()?;
            let size = source.len()?;
            source.read(0..size.min(MAX_SIDECAR))
        };
        let bytes = match read() {
            Ok(bytes) => bytes,
            Err(SourceError::NotFound { .. }) => {
                return Err(bad(format!("there is no such file to say where {location} lies")));
            }
            Err(e) => return Err(e.into()),
        };
        let json: Json =
            serde_json::from_slice(&bytes).map_err(|e| bad(format!("does not describe an array: {e}")))?;
        let [a, b, c, d, e, f] = json.grid.transform;
        let crs = Crs::parse(&json.grid.crs).map_err(Error::geo(place.to_string()))?;
        let (affine, width, height) = (Affine::new(a, b, c, d, e, f), json.grid.width, json.grid.height);
        if !(a > 0.0 && e < 0.0 && b == 0.0 && d == 0.0 && [a, c, e, f].iter().all(|v| v.is_finite())) {
            return Err(bad(format!(
                "the transform {:?} is not one of a north-up raster",
                json.grid.transform
            )));
        }
        Ok(Self {
            grid: Grid { crs, affine, width, height },
            bands: json.bands,
            nodata: json.nodata.and_then(|v| v.as_f64()),
            scaled: json.scales.is_some(),
            years: json.years,
            provenance: json.provenance,
        })
    }
}

/// The provenance in a GeoTIFF that we wrote.
pub(super) fn of_tiff(tiff: &GeoTiff) -> Option<Provenance> {
    let (_, _, text) = tiff.metadata().iter().find(|(_, key, _)| key == TAG)?;
    serde_json::from_str(text).ok()
}

/// The product that a provenance names, if it is known and stores what the file holds: its codes, or vectors as floats.
pub(super) fn product_of(
    provenance: &Provenance,
    bands: usize,
    dtype: DType,
    nodata: Option<f64>,
    catalog: &Catalog,
) -> Option<Arc<Descriptor>> {
    let product = catalog.get(&provenance.product).ok()?;
    let stores = if provenance.values == "vectors" { dtype.is_float() } else { product.dtype == Some(dtype) };
    let fits =
        Decoder::new(&product, bands, dtype, nodata).is_ok_and(|d| d.dimension() == provenance.dimension);
    (stores && fits).then_some(product)
}
