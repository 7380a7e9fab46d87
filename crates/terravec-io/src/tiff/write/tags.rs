//! Which tags a level's IFD holds, the georeference among them.

use terravec_geo::{Crs, Grid};

use super::header::Field;
use super::metadata::gdal_metadata;
use super::spec::CogSpec;
use super::spool::Level;

/// The raster type whose tie points are pixel corners, not centres.
const PIXEL_IS_AREA: u16 = 1;

/// The tags of one level, ascending; `offsets` and `sizes` have an entry per tile in TIFF order.
/// `is_main`: the full resolution, which alone carries georeference and metadata.
#[allow(clippy::cast_possible_truncation)] // sizes and band counts were checked with the specification
pub(super) fn ifd(
    spec: &CogSpec,
    level: &Level,
    is_main: bool,
    offsets: &[u64],
    sizes: &[u32],
    big: bool,
) -> Vec<Field> {
    let bands = spec.bands;
    let mut fields = vec![
        Field::long(254, u32::from(!is_main)),
        Field::long(256, level.width as u32),
        Field::long(257, level.height as u32),
        Field::shorts(258, &vec![8 * spec.dtype.size() as u16; bands]),
        Field::shorts(259, &[spec.compression.code()]),
        Field::shorts(262, &[if spec.palette.is_empty() { 1 } else { 3 }]), // black is zero, or colours by number
        Field::shorts(277, &[bands as u16]),
        Field::shorts(284, &[if spec.is_planar() { 2 } else { 1 }]),
        Field::long(322, spec.block as u32),
        Field::long(323, spec.block as u32),
        Field::tile_offsets(324, offsets, big),
        Field::tile_sizes(325, sizes),
        Field::shorts(339, &vec![sample_format(spec); bands]),
    ];
    if spec.predictor_code() != 1 {
        fields.push(Field::shorts(317, &[spec.predictor_code()]));
    }
    if bands > 1 {
        fields.push(Field::shorts(338, &vec![0; bands - 1])); // extra samples of no particular meaning
    }
    if !spec.palette.is_empty() {
        fields.push(Field::shorts(320, &colour_map(spec)));
    }
    if is_main {
        fields.extend(georeference(&spec.grid));
        fields.extend(gdal_metadata(spec).map(|xml| Field::ascii(42112, &xml)));
    }
    if let Some(nodata) = spec.nodata {
        let text = if nodata.is_nan() { "nan".to_owned() } else { nodata.to_string() };
        fields.push(Field::ascii(42113, &text));
    }
    fields.sort_by_key(|f| f.tag);
    fields
}

/// All reds, then all greens, then all blues, of 16 bits each.
fn colour_map(spec: &CogSpec) -> Vec<u16> {
    let entries = 1 << (8 * spec.dtype.size());
    let channel = |c: usize| {
        let given = spec.palette.iter().map(move |colour| u16::from(colour[c]) * 257);
        given.chain(std::iter::repeat(0)).take(entries)
    };
    (0..3).flat_map(channel).collect()
}

fn sample_format(spec: &CogSpec) -> u16 {
    match spec.dtype {
        d if d.is_float() => 3,
        crate::DType::I8 | crate::DType::I16 | crate::DType::I32 => 2,
        _ => 1,
    }
}

/// Pixel scale and tie point of a north-up grid, else the affine matrix, and the CRS.
fn georeference(grid: &Grid) -> Vec<Field> {
    let t = &grid.affine;
    let mut fields = geo_keys(&grid.crs);
    if t.is_north_up() {
        fields.push(Field::doubles(33550, &[t.a, -t.e, 0.0]));
        fields.push(Field::doubles(33922, &[0.0, 0.0, 0.0, t.c, t.f, 0.0]));
    } else {
        #[rustfmt::skip]
        let matrix = [
            t.a, t.b, 0.0, t.c,
            t.d, t.e, 0.0, t.f,
            0.0, 0.0, 0.0, 0.0,
            0.0, 0.0, 0.0, 1.0,
        ];
        fields.push(Field::doubles(34264, &matrix));
    }
    fields
}

/// The EPSG code of `crs` as a GeoTIFF key can hold it.
pub(super) fn geo_code(crs: &Crs) -> Option<u16> {
    const USER_DEFINED: u16 = 32_767;
    crs.epsg().and_then(|code| u16::try_from(code).ok()).filter(|&code| code != USER_DEFINED)
}

/// The GeoKey directory and its texts.
fn geo_keys(crs: &Crs) -> Vec<Field> {
    const DIRECTORY: u16 = 34735;
    const TEXTS: u16 = 34737;
    let Some(code) = geo_code(crs) else { return Vec::new() };
    let citation = format!("{}|", crs.name().replace('|', "/"));
    let length = citation.len() as u16;
    let (model, crs_key, citation_key) = if crs.is_geographic() { (2, 2048, 2049) } else { (1, 3072, 1026) };
    let mut keys = vec![
        [1024, 0, 1, model],
        [1025, 0, 1, PIXEL_IS_AREA],
        [citation_key, TEXTS, length, 0],
        [crs_key, 0, 1, code],
    ];
    if crs.is_geographic() {
        keys.push([2054, 0, 1, 9102]); // degrees
    }
    keys.sort_unstable();
    let directory: Vec<u16> =
        [1, 1, 0, keys.len() as u16].into_iter().chain(keys.into_iter().flatten()).collect();
    vec![Field::shorts(DIRECTORY, &directory), Field::ascii(TEXTS, &citation)]
}
