//! A quick look: three bands, or the first three principal components, as an RGBA picture. Nodata is transparent.
//!
//! Bands are stretched between the 2nd and 98th percentile of the picture.

use std::io::BufWriter;
use std::path::Path;

use terravec_io::atomic::PendingFile;

use super::Progress;
use crate::error::{Error, Result};
use crate::pca::Gram;
use crate::query::extract::Extraction;
use crate::query::pixels::{Kind, Pixels};
use crate::vectors::{Vectors, valid as with_vector};

/// More pixels than this in one picture are refused.
const MAX_PIXELS: usize = 1 << 28;

pub(super) fn write(plan: &Extraction, period: usize, path: &Path, progress: Progress<'_>) -> Result<u64> {
    if let Kind::Codes(..) = plan.kind {
        return Err(Error::query("a picture needs values, not codes", "leave --codes out, or write a .tif"));
    }
    let (w, h) = (plan.grid.width, plan.grid.height);
    if w * h > MAX_PIXELS {
        return Err(Error::query(
            format!("a picture of {w}×{h} pixels is too large"),
            "ask for a coarser --resolution",
        ));
    }
    let chunks = plan.chunks(1);
    let passes = if plan.band_names.len() > 3 { 2 } else { 1 };
    let all = chunks.len() * passes;
    let read = |window, done: usize| -> Result<Vectors> {
        let pixels = plan.read(period, window)?;
        progress(done + 1, all);
        match pixels {
            Pixels::Vectors(v) => Ok(v),
            Pixels::Codes(..) => unreachable!("codes are refused above"),
        }
    };
    let basis = if passes == 2 {
        let mut gram = Gram::new(plan.band_names.len());
        for (i, window) in chunks.iter().enumerate() {
            gram.add(&read(*window, i)?);
        }
        gram.basis(3)
    } else {
        None
    };
    let depth = basis.as_ref().map_or(plan.band_names.len().min(3), |b| b.components.len());
    let mut planes = vec![vec![f32::NAN; w * h]; depth];
    let mut valid = 0u64;
    for (i, window) in chunks.iter().enumerate() {
        let block = read(*window, chunks.len() * (passes - 1) + i)?;
        valid += with_vector(&block.status).count() as u64;
        let block = basis.as_ref().map_or_else(|| block.clone(), |b| b.project(&block));
        for (plane, b) in planes.iter_mut().zip(0..) {
            for r in 0..window.height {
                plane[(window.row + r) * w + window.col..][..window.width]
                    .copy_from_slice(&block.band(b)[r * window.width..(r + 1) * window.width]);
            }
        }
    }
    let stretched: Vec<Vec<u8>> = planes.iter().map(|p| stretch(p)).collect();
    let mut rgba = Vec::with_capacity(4 * w * h);
    for i in 0..w * h {
        let at = |b: usize| stretched.get(b).or(stretched.last()).map_or(0, |p| p[i]);
        // Two bands show as red and green; one as grey.
        let blue = if depth == 2 { 0 } else { at(2) };
        rgba.extend_from_slice(&[at(0), at(1), blue, if planes[0][i].is_nan() { 0 } else { 255 }]);
    }
    save(path, w, h, &rgba)?;
    Ok(valid)
}

/// 2nd to 98th percentile of the valid numbers to 0…255.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn stretch(plane: &[f32]) -> Vec<u8> {
    let mut sorted: Vec<f32> = plane.iter().copied().filter(|v| !v.is_nan()).collect();
    sorted.sort_unstable_by(f32::total_cmp);
    let at = |q: f64| {
        sorted.get((q * (sorted.len().saturating_sub(1)) as f64).round() as usize).copied().unwrap_or(0.0)
    };
    let (low, high) = (at(0.02), at(0.98));
    let span = if high > low { high - low } else { 1.0 };
    plane
        .iter()
        .map(|v| if v.is_nan() { 0 } else { ((v - low) / span * 255.0).round().clamp(0.0, 255.0) as u8 })
        .collect()
}

/// Writes a picture of `width` × `height` pixels of red, green, blue and alpha, row by row.
///
/// # Errors
/// If the file can't be written; nothing is left then.
pub fn save(path: &Path, width: usize, height: usize, rgba: &[u8]) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let size = |n: usize| u32::try_from(n).map_err(std::io::Error::other);
        let part = PendingFile::create(path)?;
        let mut encoder = png::Encoder::new(BufWriter::new(part.file()), size(width)?, size(height)?);
        encoder.set_color(png::ColorType::Rgba);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(rgba)?;
        writer.finish()?;
        part.commit()
    };
    write().map_err(Error::write(path))
}
