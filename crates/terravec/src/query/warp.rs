//! A chunk of any target grid from the layers that cover it: copied where lattices agree, resampled where they don't.
//!
//! The pixel coordinates of every target pixel in the source are exact (no interpolated transform). Seams between zones need
//! no special case: a target pixel takes its vector from the first layer that has one (nearest, bilinear), or the
//! weights of all layers add up (average).

use rayon::prelude::*;
use terravec_geo::{Grid, Transform};

use super::layer::{Layer, Span};
use super::pixels::{Kind, Pixels};
use super::resample::{Accumulator, Footprint, Resampling, area, bilinear};
use crate::dataset::reader::BlockCache;
use crate::error::{Error, Result};
use crate::vectors::Status;

/// What a chunk is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recipe<'a> {
    pub(crate) kind: Kind,
    /// Decoded (or, for codes, stored) bands; all if absent.
    pub(crate) bands: Option<&'a [usize]>,
    /// Bands of the answer.
    pub(crate) depth: usize,
    pub(crate) resampling: Resampling,
    /// Scale means to length 1.
    pub(crate) renormalise: bool,
}

/// Source blocks are averaged in pieces of about this many numbers, so that one coarse target pixel over a whole
/// tile needs no more memory than a fine one.
const PIECE: usize = 16 << 20;
/// Nearest: read single pixels instead of the window when the window holds this many times more.
const SPARSE: usize = 16;

/// Makes the pixels of `target`.
pub(crate) fn chunk(
    layers: &[Layer],
    target: &Grid,
    recipe: Recipe<'_>,
    cache: &BlockCache,
) -> Result<Pixels> {
    let (height, width) = (target.height, target.width);
    let mut out = Pixels::empty(recipe.kind, recipe.depth, height, width, Status::Outside);
    let mut sums: Option<Accumulator> = None;
    for layer in layers {
        if out.status().iter().all(|s| *s == Status::Valid) {
            break;
        }
        if let Some((col, row)) = layer.anchor.same_lattice(target) {
            let pixels = layer.read(
                Span { col, row, width, height },
                recipe.bands,
                recipe.kind,
                recipe.depth,
                cache,
            )?;
            out.paste(&pixels, 0, 0);
            continue;
        }
        let to_layer = Transform::new(&target.crs, &layer.anchor.crs)
            .map_err(Error::geo(format!("from {} to {}", target.crs, layer.anchor.crs)))?;
        let inverse = layer.anchor.affine.inverse().ok_or_else(|| {
            Error::query(
                "the source grid has no extent",
                "check the georeference of the files with `terravec info`",
            )
        })?;
        let place = |points: Vec<(f64, f64)>| -> Vec<(f64, f64)> {
            let mut out = points;
            out.par_chunks_mut(1 << 14).for_each(|part| {
                let (mut xs, mut ys): (Vec<f64>, Vec<f64>) = part.iter().copied().unzip();
                to_layer.points(&mut xs, &mut ys);
                for (p, (x, y)) in part.iter_mut().zip(xs.into_iter().zip(ys)) {
                    *p = inverse.apply(x, y);
                }
            });
            out
        };
        match (recipe.resampling, recipe.kind) {
            (Resampling::Average, Kind::Vectors) => {
                let acc = sums.get_or_insert_with(|| Accumulator::new(recipe.depth, height, width));
                average(layer, &footprints(&place(corners(target)), width, height), recipe, acc, cache)?;
            }
            (Resampling::Bilinear, Kind::Vectors) => {
                let at = place(centres(target));
                if let Some(span) = span_of(&at, 1, layer) {
                    let Pixels::Vectors(source) =
                        layer.read(span, recipe.bands, recipe.kind, recipe.depth, cache)?
                    else {
                        unreachable!("asked for vectors")
                    };
                    let mut means = bilinear(&shift(&at, span), &source).means(&source, height, width);
                    if recipe.renormalise {
                        means.normalise();
                    }
                    out.paste(&Pixels::Vectors(means), 0, 0);
                }
            }
            _ => nearest(layer, &place(centres(target)), recipe, &mut out, cache)?,
        }
    }
    if let Some(acc) = sums {
        let mut means = acc.finish();
        if recipe.renormalise {
            means.normalise();
        }
        out.paste(&Pixels::Vectors(means), 0, 0);
    }
    Ok(out)
}

#[allow(clippy::cast_precision_loss)]
fn centres(grid: &Grid) -> Vec<(f64, f64)> {
    (0..grid.height)
        .flat_map(|r| (0..grid.width).map(move |c| (c as f64 + 0.5, r as f64 + 0.5)))
        .map(|(c, r)| grid.affine.apply(c, r))
        .collect()
}

#[allow(clippy::cast_precision_loss)]
fn corners(grid: &Grid) -> Vec<(f64, f64)> {
    (0..=grid.height)
        .flat_map(|r| (0..=grid.width).map(move |c| (c as f64, r as f64)))
        .map(|(c, r)| grid.affine.apply(c, r))
        .collect()
}

/// Each target pixel's four corners, in source pixels.
fn footprints(corners: &[(f64, f64)], width: usize, height: usize) -> Vec<Option<Footprint>> {
    let mut out = Vec::with_capacity(width * height);
    for r in 0..height {
        for c in 0..width {
            let i = r * (width + 1) + c;
            let corners = [corners[i], corners[i + 1], corners[i + width + 2], corners[i + width + 1]];
            let finite = corners.iter().all(|(x, y)| x.is_finite() && y.is_finite());
            out.push(finite.then_some(Footprint { corners }));
        }
    }
    out
}

/// The smallest window on the layer's lattice that holds all of `at` plus `margin` pixels, cut to the layer's tiles.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn span_of(at: &[(f64, f64)], margin: i64, layer: &Layer) -> Option<Span> {
    let extent = extent(layer)?;
    let (mut c0, mut r0, mut c1, mut r1) =
        (f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY);
    for &(c, r) in at {
        if c.is_finite() && r.is_finite() {
            (c0, c1, r0, r1) = (c0.min(c), c1.max(c), r0.min(r), r1.max(r));
        }
    }
    if c0 > c1 {
        return None;
    }
    let limit = |v: f64| v.floor().clamp(-1e15, 1e15) as i64;
    let (col, row) = (limit(c0) - margin, limit(r0) - margin);
    let (width, height) = ((limit(c1) + margin + 1 - col) as usize, (limit(r1) + margin + 1 - row) as usize);
    Span { col, row, width, height }.intersection(&extent)
}

#[allow(clippy::cast_possible_wrap, clippy::cast_sign_loss, clippy::cast_possible_truncation)]
fn extent(layer: &Layer) -> Option<Span> {
    let col = layer.tiles.iter().map(|t| t.1.col).min()?;
    let row = layer.tiles.iter().map(|t| t.1.row).min()?;
    let right = layer.tiles.iter().map(|t| t.1.col + t.1.width as i64).max()?;
    let bottom = layer.tiles.iter().map(|t| t.1.row + t.1.height as i64).max()?;
    Some(Span { col, row, width: (right - col) as usize, height: (bottom - row) as usize })
}

#[allow(clippy::cast_precision_loss)]
fn shift(at: &[(f64, f64)], span: Span) -> Vec<(f64, f64)> {
    at.iter().map(|(c, r)| (c - span.col as f64, r - span.row as f64)).collect()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]
fn nearest(
    layer: &Layer,
    at: &[(f64, f64)],
    recipe: Recipe<'_>,
    out: &mut Pixels,
    cache: &BlockCache,
) -> Result<()> {
    let Some(span) = span_of(at, 0, layer) else { return Ok(()) };
    let (_, height, width) = out.shape();
    let cell = |&(c, r): &(f64, f64)| {
        let (c, r) = (c.floor() as i64 - span.col, r.floor() as i64 - span.row);
        (c >= 0 && r >= 0 && (c as usize) < span.width && (r as usize) < span.height).then_some((c, r))
    };
    let finite = |p: &(f64, f64)| p.0.is_finite() && p.1.is_finite();
    if span.width * span.height <= SPARSE * at.len() {
        let source = layer.read(span, recipe.bands, recipe.kind, recipe.depth, cache)?;
        let index: Vec<Option<u32>> = at
            .iter()
            .map(|p| {
                if finite(p) {
                    cell(p).map(|(c, r)| (r as usize * span.width + c as usize) as u32)
                } else {
                    None
                }
            })
            .collect();
        out.paste(&source.gather(&index, height, width), 0, 0);
        return Ok(());
    }
    for (id, place, _) in layer.touching(span) {
        let mut points = Vec::new();
        let mut index: Vec<Option<u32>> = vec![None; at.len()];
        for (i, p) in at.iter().enumerate() {
            if out.status()[i] == Status::Valid || !finite(p) {
                continue;
            }
            let (c, r) = (p.0.floor() as i64 - place.col, p.1.floor() as i64 - place.row);
            if c >= 0 && r >= 0 && c < place.width as i64 && r < place.height as i64 {
                index[i] = Some(points.len() as u32);
                points.push((c as usize, r as usize));
            }
        }
        if !points.is_empty() {
            let pixels = layer.dataset.reader(id)?.read_points(&points, recipe.bands, recipe.kind.form())?;
            out.paste(&pixels.gather(&index, height, width), 0, 0);
        }
    }
    Ok(())
}

/// Adds a layer to the running sums, reading its part of the source piece by piece.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]
fn average(
    layer: &Layer,
    footprints: &[Option<Footprint>],
    recipe: Recipe<'_>,
    acc: &mut Accumulator,
    cache: &BlockCache,
) -> Result<()> {
    let ends: Vec<(f64, f64)> = footprints.iter().flatten().flat_map(|f| f.corners).collect();
    let Some(span) = span_of(&ends, 0, layer) else { return Ok(()) };
    let side = ((PIECE / recipe.depth.max(1)) as f64).sqrt().max(64.0) as usize / 64 * 64;
    for row in (0..span.height).step_by(side) {
        for col in (0..span.width).step_by(side) {
            let piece = Span {
                col: span.col + col as i64,
                row: span.row + row as i64,
                width: side.min(span.width - col),
                height: side.min(span.height - row),
            };
            if layer.touching(piece).next().is_none() {
                continue;
            }
            let Pixels::Vectors(source) =
                layer.read(piece, recipe.bands, Kind::Vectors, recipe.depth, cache)?
            else {
                unreachable!("asked for vectors")
            };
            let weights = area(footprints, &source, (piece.col, piece.row), acc);
            acc.add(&weights, &source);
        }
    }
    Ok(())
}
