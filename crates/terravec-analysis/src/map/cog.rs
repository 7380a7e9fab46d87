//! Predictions as COGs: classes with their colours, values and sureness as float32.

use std::path::Path;

use terravec::sink::tags_of;
use terravec::{Extraction, Provenance, Result};
use terravec_geo::Window;
use terravec_io::tiff::{CogSpec, CogWriter};
use terravec_io::{Codes, DType, Samples};

use crate::learn::{ClassLegend, Model};
use crate::raster::{BLOCK, Content, halve, write_window};

/// The number in the file that stands for "no class".
pub(super) fn nodata(classes: &[ClassLegend]) -> u16 {
    if fits_u8(classes) { u16::from(u8::MAX) } else { u16::MAX }
}

fn fits_u8(classes: &[ClassLegend]) -> bool {
    classes.iter().all(|c| c.code < u16::from(u8::MAX))
}

fn tags(model: &Model, plan: &Extraction, period: usize) -> Vec<(String, String)> {
    let mut provenance: Provenance = plan.provenance.clone();
    provenance.years = plan.periods[period].into_iter().collect();
    let mut tags = tags_of(&provenance);
    tags.push(("TERRAVEC_MODEL".to_string(), model.summary()));
    tags
}

/// A COG of classes: uint8 where their numbers fit, else uint16, with their colours, and their names in the tag `TERRAVEC_CLASSES`.
pub(super) fn of_classes(model: &Model, plan: &Extraction, period: usize, path: &Path) -> Result<CogWriter> {
    let classes = model.classes();
    let dtype = if fits_u8(classes) { DType::U8 } else { DType::U16 };
    let mut palette = vec![[0; 3]; classes.iter().map(|c| usize::from(c.code) + 1).max().unwrap_or(0)];
    let mut legend = serde_json::Map::new();
    for class in classes {
        palette[usize::from(class.code)] = class.colour;
        let [r, g, b] = class.colour;
        let colour = format!("#{r:02x}{g:02x}{b:02x}");
        legend.insert(class.code.to_string(), serde_json::json!({ "name": class.name, "colour": colour }));
    }
    let mut tags = tags(model, plan, period);
    tags.push(("TERRAVEC_CLASSES".into(), serde_json::Value::Object(legend).to_string()));
    let spec = CogSpec {
        block: BLOCK,
        nodata: Some(f64::from(nodata(classes))),
        band_names: vec!["class".into()],
        tags,
        palette,
        ..CogSpec::new(plan.grid.clone(), 1, dtype)
    };
    Ok(CogWriter::create(path, spec)?)
}

/// A COG of float32 bands, NaN where there is no vector.
pub(super) fn of_numbers(
    model: &Model,
    plan: &Extraction,
    period: usize,
    path: &Path,
    names: &[&str],
) -> Result<CogWriter> {
    let mut tags = tags(model, plan, period);
    if let Some(a) = model.applicability.as_ref().filter(|_| names.contains(&"dissimilarity")) {
        tags.push((
            "TERRAVEC_APPLICABILITY".into(),
            format!("inside where dissimilarity <= {}", a.threshold),
        ));
    }
    let spec = CogSpec {
        block: BLOCK,
        nodata: Some(f64::NAN),
        band_names: names.iter().map(ToString::to_string).collect(),
        tags,
        ..CogSpec::new(plan.grid.clone(), names.len(), DType::F32)
    };
    Ok(CogWriter::create(path, spec)?)
}

/// Writes classes of a window, given as indices.
pub(super) fn write_classes(
    writer: &CogWriter,
    classes: &[ClassLegend],
    window: Window,
    of: &[u16],
) -> Result<()> {
    let empty = nodata(classes);
    let code = |i: &u16| classes.get(usize::from(*i)).map_or(empty, |c| c.code);
    #[allow(clippy::cast_possible_truncation)] // checked by `fits_u8`
    let samples = if fits_u8(classes) {
        Samples::U8(of.iter().map(|i| code(i) as u8).collect())
    } else {
        Samples::U16(of.iter().map(code).collect())
    };
    write_window(writer, window, &Codes::new(samples, 1, window.height, window.width))
}

/// Writes bands of a window.
pub(super) fn write_numbers(writer: &CogWriter, window: Window, bands: &[&[f32]]) -> Result<()> {
    write_window(
        writer,
        window,
        &Codes::new(Samples::F32(bands.concat()), bands.len(), window.height, window.width),
    )
}

/// Overviews of classes: the class of most of the four pixels, the first of equals; no class only where none has one.
pub(super) fn halve_classes(codes: &Codes) -> Codes {
    match &codes.samples {
        Samples::U8(v) => {
            Codes::new(Samples::U8(modes(v, codes, u8::MAX)), 1, half(codes.height), half(codes.width))
        }
        Samples::U16(v) => {
            Codes::new(Samples::U16(modes(v, codes, u16::MAX)), 1, half(codes.height), half(codes.width))
        }
        _ => unreachable!("classes are uint8 or uint16"),
    }
}

fn half(n: usize) -> usize {
    n.div_ceil(2)
}

fn modes<T: Copy + PartialEq>(values: &[T], codes: &Codes, empty: T) -> Vec<T> {
    four(codes, |at| {
        let mut own = [empty; 4];
        let mut n = 0;
        for i in at.iter().flatten().filter(|i| values[**i] != empty) {
            own[n] = values[*i];
            n += 1;
        }
        let count = |v: T| own[..n].iter().filter(|o| **o == v).count();
        // The last of equals wins in `max_by_key`, so they are asked backwards.
        own[..n].iter().rev().copied().max_by_key(|v| count(*v)).unwrap_or(empty)
    })
}

/// Overviews of numbers: the mean of those that are there.
pub(super) fn halve_numbers(codes: &Codes) -> Codes {
    halve(codes, Content::Numbers)
}

/// One number from every two by two pixels, some of which are beyond the edge.
fn four<T>(codes: &Codes, one: impl Fn([Option<usize>; 4]) -> T) -> Vec<T> {
    let mut out = Vec::with_capacity(half(codes.height) * half(codes.width));
    for row in (0..codes.height).step_by(2) {
        for col in (0..codes.width).step_by(2) {
            let at = |dy: usize, dx: usize| {
                let inside = row + dy < codes.height && col + dx < codes.width;
                inside.then(|| (row + dy) * codes.width + col + dx)
            };
            out.push(one([at(0, 0), at(0, 1), at(1, 0), at(1, 1)]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overviews_of_classes_vote() {
        let codes = Codes::new(Samples::U8(vec![1, 2, 255, 2, 3, 255, 255, 255, 4]), 1, 3, 3);
        let halved = halve_classes(&codes);
        assert_eq!(halved.samples, Samples::U8(vec![2, 255, 255, 4]));
        let tie = Codes::new(Samples::U8(vec![5, 1, 1, 5]), 1, 2, 2);
        assert_eq!(halve_classes(&tie).samples, Samples::U8(vec![5]));
    }

    #[test]
    fn overviews_of_numbers_are_means_of_what_is_there() {
        let codes = Codes::new(Samples::F32(vec![1.0, 3.0, f32::NAN, f32::NAN]), 1, 2, 2);
        assert_eq!(halve_numbers(&codes).samples, Samples::F32(vec![2.0]));
    }
}
