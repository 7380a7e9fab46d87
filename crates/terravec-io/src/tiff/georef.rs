//! Where the pixels lie: affine and CRS from the GeoTIFF tags.
//!
//! `ModelTransformation` comes first (it alone can say that rows run north), then `ModelPixelScale` with a tie point. `PixelIsPoint` moves the
//! origin by half a pixel. Rows that run from south to north are turned: the grid handed out is north-up and the reader flips rows.

use std::collections::BTreeMap;

use terravec_geo::{Affine, Crs, Grid};

use super::error::TiffError;
use super::ifd::{File, Ifd, tag};
use super::projection::spelled_out;

/// The georeference of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct GeoReference {
    /// North-up grid of the full resolution.
    pub(super) grid: Option<Grid>,
    /// Whether rows are stored from south to north.
    pub(super) south_up: bool,
    /// Why there is no grid.
    pub(super) problem: Option<String>,
}

const USER_DEFINED: u64 = 32767;

pub(super) fn read(file: &File, ifd: &Ifd, width: usize, height: usize) -> Result<GeoReference, TiffError> {
    let problem = |text: String| Ok(GeoReference { problem: Some(text), ..Default::default() });
    let keys = match geo_keys(file, ifd) {
        Ok(keys) => keys,
        Err(TiffError::Corrupt { reason, .. }) => return problem(format!("GeoKeyDirectory: {reason}")),
        Err(e) => return Err(e),
    };
    let Some(mut affine) = affine(file, ifd)? else {
        return problem("it has neither ModelTransformation nor ModelPixelScale with ModelTiepoint".into());
    };
    if keys.short(1025) == Some(2) {
        affine = affine.translate(-0.5, -0.5);
    }
    if affine.b != 0.0 || affine.d != 0.0 || affine.a <= 0.0 || affine.e == 0.0 || !affine_finite(&affine) {
        return problem(format!("its rows and columns do not run along the axes ({affine:?})"));
    }
    let south_up = affine.e > 0.0;
    if south_up {
        #[allow(clippy::cast_precision_loss)]
        let top = affine.f + affine.e * height as f64;
        affine = Affine::new(affine.a, 0.0, affine.c, 0.0, -affine.e, top);
    }
    let crs = match crs(&keys) {
        Ok(crs) => crs,
        Err(reason) => return problem(reason),
    };
    match Grid::new(crs, affine, width, height) {
        Ok(grid) => Ok(GeoReference { grid: Some(grid), south_up, problem: None }),
        Err(e) => problem(e.to_string()),
    }
}

fn affine_finite(a: &Affine) -> bool {
    [a.a, a.c, a.e, a.f].iter().all(|v| v.is_finite())
}

fn affine(file: &File, ifd: &Ifd) -> Result<Option<Affine>, TiffError> {
    let m = ifd.doubles(file, tag::TRANSFORMATION)?;
    if m.len() >= 8 {
        return Ok(Some(Affine::new(m[0], m[1], m[3], m[4], m[5], m[7])));
    }
    let scale = ifd.doubles(file, tag::PIXEL_SCALE)?;
    let tie = ifd.doubles(file, tag::TIEPOINT)?;
    if scale.len() >= 2 && tie.len() >= 6 {
        // Pixel sizes have no sign. Writers that give one mean the same rows as those that do not, and so does GDAL.
        let (res_x, res_y) = (scale[0], scale[1].abs());
        let (x0, y0) = (tie[3] - tie[0] * res_x, tie[4] + tie[1] * res_y);
        return Ok(Some(Affine::new(res_x, 0.0, x0, 0.0, -res_y, y0)));
    }
    Ok(None)
}

/// The values of the GeoKeys.
pub(super) struct Keys {
    short: BTreeMap<u64, u64>,
    double: BTreeMap<u64, f64>,
    text: BTreeMap<u64, String>,
}

impl Keys {
    pub(super) fn short(&self, key: u64) -> Option<u64> {
        self.short.get(&key).copied()
    }

    pub(super) fn double(&self, key: u64) -> Option<f64> {
        self.double.get(&key).copied()
    }

    pub(super) fn text(&self, key: u64) -> Option<&str> {
        self.text.get(&key).map(String::as_str)
    }
}

fn geo_keys(file: &File, ifd: &Ifd) -> Result<Keys, TiffError> {
    let raw = ifd.uints(file, tag::GEO_KEYS)?;
    let doubles = if ifd.has(tag::GEO_DOUBLES) { ifd.doubles(file, tag::GEO_DOUBLES)? } else { Vec::new() };
    let ascii = ifd.text(file, tag::GEO_ASCII)?.unwrap_or_default();
    let mut keys = Keys { short: BTreeMap::new(), double: BTreeMap::new(), text: BTreeMap::new() };
    let count = raw.get(3).copied().unwrap_or(0);
    for key in raw.get(4..).unwrap_or(&[]).chunks_exact(4).take(usize::try_from(count).unwrap_or(usize::MAX))
    {
        let (id, location, n, value) = (key[0], key[1], key[2], key[3]);
        let at = usize::try_from(value).unwrap_or(usize::MAX);
        match location {
            0 => {
                keys.short.insert(id, value);
            }
            l if l == u64::from(tag::GEO_DOUBLES) => {
                if let Some(v) = doubles.get(at) {
                    keys.double.insert(id, *v);
                }
            }
            l if l == u64::from(tag::GEO_ASCII) => {
                let end = at.saturating_add(usize::try_from(n).unwrap_or(0));
                if let Some(text) = ascii.as_bytes().get(at..end.min(ascii.len())) {
                    keys.text
                        .insert(id, String::from_utf8_lossy(text).trim_end_matches(['|', '\0']).to_string());
                }
            }
            _ => {}
        }
    }
    Ok(keys)
}

/// GeoKeys: 1024 model type, 3072 projected CRS, 2048 geographic CRS, 1026 and 3073 citations.
fn crs(keys: &Keys) -> Result<Crs, String> {
    let code = |key: u64| keys.short(key).filter(|c| *c != USER_DEFINED && *c != 0);
    let model = keys.short(1024);
    let epsg = match model {
        Some(2) => code(2048),
        Some(1) => code(3072),
        _ => code(3072).or(code(2048)),
    };
    if let Some(code) = epsg {
        return Crs::from_epsg(u32::try_from(code).unwrap_or(u32::MAX)).map_err(|e| e.to_string());
    }
    if model.is_none() && keys.short.is_empty() {
        return Err("it names no coordinate reference system".into());
    }
    // A user-defined system whose citation holds WKT, whose parameters are given, or whose name is that of a UTM zone.
    let citations = || [3073, 1026, 2049].into_iter().filter_map(|key| keys.text(key));
    for text in citations() {
        if let Ok(crs) = Crs::from_wkt(text.trim_start_matches("ESRI PE String = ")) {
            return Ok(crs);
        }
        // The parameters of Web Mercator are those of another projection in GeoKeys.
        if squeezed(text).contains("webmercator") || squeezed(text).contains("pseudomercator") {
            return Crs::from_epsg(3857).map_err(|e| e.to_string());
        }
    }
    let spelled = match spelled_out(keys) {
        Ok(Some(crs)) => return Ok(crs),
        Ok(None) => String::new(),
        Err(reason) => format!(": {reason}"),
    };
    citations().find_map(utm_by_name).ok_or_else(|| {
        let name = keys.text(3073).or(keys.text(1026)).unwrap_or("without a name");
        format!("its coordinate reference system is user-defined ({name}){spelled}")
    })
}

fn squeezed(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// `WGS 84 / UTM zone 31N` and the like, for WGS 84 only.
fn utm_by_name(text: &str) -> Option<Crs> {
    let upper = text.to_ascii_uppercase();
    if !upper.contains("WGS") || !upper.contains("84") {
        return None;
    }
    let rest = upper.split("ZONE").nth(1)?.trim_start_matches([' ', '_']);
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let south = rest[digits.len()..].trim_start().starts_with('S');
    Crs::utm(digits.parse().ok()?, south).ok()
}
