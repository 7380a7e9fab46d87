//! What the engine asks of a descriptor.

use std::sync::Arc;

use terravec_io::DType;

use crate::catalog::{Catalog, CatalogError, CodecSpec, Descriptor, Form, Format, IntervalRule};
use crate::time::Interval;

/// Whether the product's vectors lie in GeoTIFF files.
pub(crate) fn is_raster(d: &Descriptor) -> bool {
    matches!(d.format, Format::Cog | Format::Geotiff | Format::Vrt)
        || (d.format.form() == Form::Raster
            && d.hosts.iter().any(|h| matches!(h.format, Some(Format::Cog | Format::Geotiff))))
}

/// Whether the product's vectors lie in NumPy files.
pub(crate) fn is_npy(d: &Descriptor) -> bool {
    d.format == Format::Npy
}

/// Whether its files may store this type: its own, or decoded floats.
pub(crate) fn stores(d: &Descriptor, dtype: DType) -> bool {
    d.dtype.is_none_or(|own| own == dtype)
}

/// Names of the decoded bands, where the product names them one by one.
pub(crate) fn band_names(d: &Descriptor) -> Option<Vec<String>> {
    if let CodecSpec::Fsq { .. } = d.codec {
        return None;
    }
    let names = d.bands.as_ref()?.names();
    (!names.is_empty()).then_some(names)
}

/// The period of all files of a product that has just one.
pub(crate) fn fixed_interval(d: &Descriptor) -> Option<Interval> {
    let time = d.time.as_ref()?;
    match (time.interval, time.intervals.as_slice(), time.years) {
        (IntervalRule::Fixed, [one], _) => {
            Some(Interval { start_ms: one.start.unix_ms(), end_ms: one.end.unix_ms() })
        }
        (IntervalRule::CalendarYear, _, Some([first, last])) if first == last => Some(Interval::year(first)),
        _ => None,
    }
}

/// The period of one file: from its name, else from a folder named after a year, else the product's only one.
pub(crate) fn interval_of(d: &Descriptor, path: &str) -> Option<Interval> {
    let fixed = fixed_interval(d);
    if fixed.is_some() {
        return fixed;
    }
    if d.time.as_ref().is_some_and(|t| t.interval == IntervalRule::None) {
        return None;
    }
    let sane = |y: &i32| (1900..=2200).contains(y);
    let named = d.tiles.as_ref().and_then(|t| t.parse(path)).and_then(|n| n.year()).filter(sane);
    let folder = || {
        path.rsplit(['/', '\\']).skip(1).find_map(|p| (p.len() == 4).then(|| p.parse().ok().filter(sane))?)
    };
    named.or_else(folder).map(Interval::year)
}

/// A text that changes whenever the descriptor does.
pub(crate) fn fingerprint(d: &Descriptor) -> String {
    serde_json::to_string(d).unwrap_or_else(|_| d.id.clone())
}

/// A descriptor for a raster that nobody described.
pub(crate) fn generic(bands: usize, dtype: DType, codec: &str) -> Result<Arc<Descriptor>, CatalogError> {
    let toml = format!(
        "id = \"raster\"\nname = \"A raster without a descriptor\"\nsummary = \"Opened by what the file says of itself.\"\n\
         kind = \"pixel\"\nformat = \"geotiff\"\ndimension = {bands}\ndtype = \"{dtype}\"\ncodec = {codec}\n\
         unknown = [\"licence\"]\n"
    );
    let mut catalog = Catalog::empty();
    catalog.add_text("(raster)", &toml)?;
    catalog.get("raster")
}
