//! Extractions as files: COG, Zarr, NPY with sidecar, PNG quick look, GeoParquet. Every file appears whole or not at all.

mod cog;
mod npy;
mod png;
mod rows;
mod zarr;

pub use cog::tags_of;
pub use png::save as save_picture;

use std::path::{Path, PathBuf};

use terravec_geo::Window;
use terravec_io::{Codes, Samples};

use crate::error::{Error, Result};
use crate::query::extract::Extraction;
use crate::query::pixels::Pixels;
use crate::vectors;

/// Called after each chunk with (done, all); says how far a long write is.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// What an extraction became.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Written {
    /// The files.
    pub files: Vec<PathBuf>,
    /// Pixels with a vector, over all periods.
    pub valid_pixels: u64,
    /// All pixels, over all periods.
    pub pixels: u64,
}

/// Refuses to replace an output that exists, unless `force`.
///
/// # Errors
/// [`Error::Exists`].
pub fn check_absent(path: &Path, force: bool) -> Result<()> {
    if !force && path.exists() { Err(Error::Exists { path: path.to_path_buf() }) } else { Ok(()) }
}

/// Writes a small file, whole or not at all.
///
/// # Errors
/// If the folder can't be written to.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write;
    let part = terravec_io::atomic::PendingFile::create(path).map_err(Error::write(path))?;
    part.file().write_all(bytes).map_err(Error::write(path))?;
    part.commit().map_err(Error::write(path))
}

/// Writes an extraction to `path`, in the format its extension names: `.tif`, `.zarr`, `.npy`, `.png`, `.parquet`, `.arrow`,
/// `.csv` or `.geojson`. Several periods become one file each (`out_2023.tif`) for GeoTIFF and PNG, a leading axis in NPY, more rows in
/// tables.
///
/// # Errors
/// If the extension is unknown, the output exists and `force` is not given, or reading or writing fails.
pub fn write(plan: &Extraction, path: &Path, force: bool, progress: Progress<'_>) -> Result<Written> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
    match extension.as_str() {
        "tif" | "tiff" => per_period(plan, path, force, |p, file| cog::write(plan, p, file, progress)),
        "png" => per_period(plan, path, force, |p, file| png::write(plan, p, file, progress)),
        "npy" => {
            check_absent(path, force)?;
            npy::write(plan, path, force, progress)
        }
        "zarr" => {
            check_absent(path, force)?;
            zarr::write(plan, path, force, progress)
        }
        "parquet" | "arrow" | "feather" | "csv" | "geojson" => {
            check_absent(path, force)?;
            rows::write(plan, path, progress)
        }
        other => Err(Error::query(
            format!("{}: `.{other}` is no format an extraction can be written in", path.display()),
            "use .tif, .zarr, .npy, .png, .parquet, .arrow, .csv or .geojson",
        )),
    }
}

/// One file per period.
fn per_period(
    plan: &Extraction,
    path: &Path,
    force: bool,
    one: impl Fn(usize, &Path) -> Result<u64>,
) -> Result<Written> {
    let names: Vec<PathBuf> = plan
        .periods
        .iter()
        .map(|period| match period {
            Some(year) if plan.periods.len() > 1 => with_suffix(path, &format!("_{year}")),
            _ => path.to_path_buf(),
        })
        .collect();
    for name in &names {
        check_absent(name, force)?;
    }
    let mut valid = 0;
    for (p, name) in names.iter().enumerate() {
        valid += one(p, name)?;
    }
    Ok(Written { files: names, valid_pixels: valid, pixels: total(plan) })
}

/// The numbers of a chunk as they go into a file, and how many of its pixels have a vector.
fn numbers(plan: &Extraction, period: usize, window: Window) -> Result<(Codes, u64)> {
    let pixels = plan.read(period, window)?;
    let valid = vectors::valid(pixels.status()).count();
    if valid < pixels.status().len() && !plan.tells_missing() {
        return Err(Error::query(
            "some pixels have no vector, and no code says so",
            "choose a window inside the tiles, or a table (.parquet) of the pixels that have one",
        ));
    }
    let codes = match pixels {
        Pixels::Vectors(v) => Codes::new(Samples::F32(v.data), v.bands, v.height, v.width),
        Pixels::Codes(c, _) => c,
    };
    Ok((codes, valid as u64))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}{suffix}.{extension}"))
}

fn total(plan: &Extraction) -> u64 {
    (plan.grid.width * plan.grid.height * plan.periods.len()) as u64
}
