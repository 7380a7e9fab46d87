//! Which product a file is: by its name where that follows a product's naming, else by what it holds.

use std::sync::Arc;

use terravec_io::tiff::GeoTiff;

use super::own;
use super::product::{band_names, generic, is_raster, stores};
use crate::catalog::{Catalog, CodecSpec, Descriptor};
use crate::error::Result;

/// The product of an open file.
///
/// # Errors
/// If the file can't be described (never for a GeoTIFF that opens).
pub(crate) fn product_of(
    name: &str,
    tiff: &GeoTiff,
    catalog: &Catalog,
) -> Result<(Arc<Descriptor>, Option<String>)> {
    if let Some(own) = own::of_tiff(tiff)
        && let Some(d) = own::product_of(&own, tiff.bands(), tiff.dtype(), tiff.nodata(), catalog)
    {
        return Ok((d, None));
    }
    if let Some(d) = catalog.recognise(name).into_iter().find(|d| fits(d, tiff)) {
        return Ok((d, None));
    }
    let names = tiff.band_names();
    for d in catalog.iter().filter(|d| fits(d, tiff)) {
        let named = band_names(d).is_some_and(|expected| {
            expected.len() == names.len() && expected.iter().zip(names).all(|(e, n)| n.as_deref() == Some(e))
        });
        let marked = match &d.codec {
            CodecSpec::SignedSquare { nodata, .. } => tiff.nodata() == Some(*nodata as f64),
            _ => false,
        };
        if named || marked {
            let by = if named { "band names" } else { "bands, type and nodata value" };
            return Ok((catalog.get(&d.id)?, Some(format!("taken for {} by its {by}", d.id))));
        }
    }
    Ok((plain(tiff)?, Some("no product recognised; opened as a plain raster".to_string())))
}

/// Whether bands and type are those of the product's rasters.
fn fits(d: &Descriptor, tiff: &GeoTiff) -> bool {
    let bands = match &d.codec {
        CodecSpec::Fsq { codes_per_pixel, .. } => tiff.bands() >= *codes_per_pixel as usize,
        _ => d.dimension.is_none_or(|n| n as usize == tiff.bands()),
    };
    bands && is_raster(d) && stores(d, tiff.dtype())
}

/// A descriptor for a raster nobody described: floats are values; integers are codes unless the file gives their scale.
fn plain(tiff: &GeoTiff) -> Result<Arc<Descriptor>> {
    let scale = tiff.scales().first().copied().flatten();
    let offset = tiff.offsets().first().copied().flatten().unwrap_or(0.0);
    let codec = match scale {
        Some(scale) => format!("{{ linear = {{ scale = {scale:?}, offset = {offset:?} }} }}"),
        None if tiff.dtype().is_float() => "\"identity\"".to_string(),
        None => "{ unknown = { reason = \"the file holds integers and states no scale\" } }".to_string(),
    };
    Ok(generic(tiff.bands(), tiff.dtype(), &codec)?)
}
