//! A model over a planned extraction: what is read of a chunk is predicted and written before the next one is read.

use std::path::Path;

use serde::Serialize;
use terravec::sink::{Progress, check_absent};
use terravec::{Extraction, Pixels, Result};
use terravec_geo::Window;

use super::chunk::{NO_CLASS, Wanted, score};
use super::{cog, picture, polygons};
use crate::learn::{Model, Task};
use crate::raster::BLOCK;
use crate::refuse;

/// Pixels that a picture or polygons may be made of: their classes are held in memory.
const MAX_HELD: usize = 1 << 29;

/// What to write.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outputs<'a> {
    /// A COG of classes or values.
    pub map: Option<&'a Path>,
    /// A COG of float32 bands: `probability` (share of the winning class), `entropy` (0 sure, 1 not at all), `dissimilarity`.
    pub quality: Option<&'a Path>,
    /// A picture of the classes with a legend, PNG.
    pub picture: Option<&'a Path>,
    /// Polygons of the classes, a table.
    pub polygons: Option<&'a Path>,
    /// Whether pixels outside the area of applicability get no class or value.
    pub inside_only: bool,
}

impl Outputs<'_> {
    fn paths(&self) -> impl Iterator<Item = &Path> {
        [self.map, self.quality, self.picture, self.polygons].into_iter().flatten()
    }

    /// Refuses to replace files, unless `force`.
    ///
    /// # Errors
    /// If one exists.
    pub fn check_absent(&self, force: bool) -> Result<()> {
        self.paths().try_for_each(|p| check_absent(p, force))
    }
}

/// Pixels of a class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassCount {
    /// The class.
    pub name: String,
    /// Its number in the map.
    pub code: u16,
    /// Pixels.
    pub pixels: u64,
}

/// What a prediction became.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mapped {
    /// All pixels.
    pub pixels: u64,
    /// Pixels with a vector.
    pub valid_pixels: u64,
    /// Of those, how many lie outside the area of applicability, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outside_applicability: Option<u64>,
    /// Pixels of each class.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassCount>,
    /// Polygons written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub polygons: Option<u64>,
}

/// Predicts one period of `plan` (an index into its periods).
///
/// The model must have been checked against the plan's vectors: see [`Model::check_vectors`].
///
/// # Errors
/// If reading or writing fails, or an output does not fit the model.
pub fn predict(
    model: &Model,
    plan: &Extraction,
    period: usize,
    outputs: &Outputs<'_>,
    progress: Progress<'_>,
) -> Result<Mapped> {
    let (width, height) = (plan.grid.width, plan.grid.height);
    let is_classes = matches!(model.task, Task::Classes(_));
    if outputs.paths().next().is_none() {
        return Err(refuse("no output is named", "name at least one"));
    }
    if !is_classes && (outputs.picture.is_some() || outputs.polygons.is_some()) {
        return Err(refuse("pictures and polygons are for classes", "write a COG of values (.tif)"));
    }
    let dissimilar = model.applicability.is_some() && (outputs.quality.is_some() || outputs.inside_only);
    if outputs.inside_only && !dissimilar {
        return Err(refuse(
            "the model has no area of applicability",
            "fit it with cross-validation, which finds the area",
        ));
    }
    let mut names = if is_classes { vec!["probability", "entropy"] } else { Vec::new() };
    if dissimilar {
        names.push("dissimilarity");
    }
    if outputs.quality.is_some() && names.is_empty() {
        return Err(refuse("the model says nothing of its quality", "fit it with cross-validation"));
    }
    let map = match (outputs.map, is_classes) {
        (Some(path), true) => Some(cog::of_classes(model, plan, period, path)?),
        (Some(path), false) => Some(cog::of_numbers(model, plan, period, path, &["value"])?),
        (None, _) => None,
    };
    let quality = outputs.quality.map(|p| cog::of_numbers(model, plan, period, p, &names)).transpose()?;
    let held = outputs.picture.is_some() || outputs.polygons.is_some();
    if held && width * height > MAX_HELD {
        return Err(refuse(
            format!("{width} × {height} pixels are too many for a picture or polygons"),
            "write the map (.tif) alone, or take a smaller region",
        ));
    }
    let mut all = if held { vec![NO_CLASS; width * height] } else { Vec::new() };
    let wanted = Wanted { sureness: outputs.quality.is_some(), dissimilarity: dissimilar };
    let mut counts = vec![0u64; model.classes().len()];
    let (mut valid, mut outside) = (0u64, 0u64);
    let chunks = plan.chunks(BLOCK);
    for (done, window) in chunks.iter().enumerate() {
        let Pixels::Vectors(block) = plan.read(period, *window)? else {
            return Err(refuse("codes are no vectors", "leave --codes out"));
        };
        let there = block.status.iter().filter(|s| **s == terravec::Status::Valid).count() as u64;
        valid += there;
        // Blocks without any vector stay out of the files; readers take them for nodata.
        if there > 0 {
            let mut scored = score(model, &block, wanted)?;
            drop(block);
            if let Some(a) = &model.applicability {
                for (i, d) in scored.dissimilarity.iter().enumerate() {
                    if f64::from(*d) > a.threshold {
                        outside += 1;
                        if outputs.inside_only {
                            if is_classes { scored.class[i] = NO_CLASS } else { scored.first[i] = f32::NAN }
                        }
                    }
                }
            }
            for class in &scored.class {
                if let Some(n) = counts.get_mut(usize::from(*class)) {
                    *n += 1;
                }
            }
            if let Some(writer) = &map {
                if is_classes {
                    cog::write_classes(writer, model.classes(), *window, &scored.class)?;
                } else {
                    cog::write_numbers(writer, *window, &[&scored.first])?;
                }
            }
            if let Some(writer) = &quality {
                let bands = names.iter().map(|n| match *n {
                    "probability" => scored.first.as_slice(),
                    "entropy" => &scored.entropy,
                    _ => &scored.dissimilarity,
                });
                cog::write_numbers(writer, *window, &bands.collect::<Vec<_>>())?;
            }
            if held {
                keep(&mut all, width, *window, &scored.class);
            }
        }
        progress(done + 1, chunks.len());
    }
    if let Some(writer) = map {
        writer.finish(if is_classes { &cog::halve_classes } else { &cog::halve_numbers })?;
    }
    if let Some(writer) = quality {
        writer.finish(&cog::halve_numbers)?;
    }
    if let Some(path) = outputs.picture {
        picture::save(model.classes(), &all, width, height, path)?;
    }
    let polygons = match outputs.polygons {
        Some(path) => Some(polygons::save(model, plan, period, &all, path)?),
        None => None,
    };
    let classes = model.classes().iter().zip(counts);
    Ok(Mapped {
        pixels: (width * height) as u64,
        valid_pixels: valid,
        outside_applicability: dissimilar.then_some(outside),
        classes: classes
            .map(|(c, pixels)| ClassCount { name: c.name.clone(), code: c.code, pixels })
            .collect(),
        polygons,
    })
}

fn keep(all: &mut [u16], width: usize, window: Window, classes: &[u16]) {
    for (r, row) in classes.chunks_exact(window.width).enumerate() {
        let at = (window.row + r) * width + window.col;
        all[at..at + window.width].copy_from_slice(row);
    }
}
