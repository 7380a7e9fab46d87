//! A model on a block of pixels. Linear models work on bands as they lie; all others on rows, a stripe at a time.

use rayon::prelude::*;
use terravec::interrupt::Watch;
use terravec::{Result, Status, Vectors};

use crate::learn::{Model, STRIPE, argmax};

/// What is asked of a pixel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// How sure the class is.
    pub(crate) sureness: bool,
    /// How far the vector is from those learnt from.
    pub(crate) dissimilarity: bool,
}

/// The answer for a block; nodata where there is no vector.
#[derive(Debug, Default)]
pub(crate) struct Scored {
    /// Class, an index; `u16::MAX` for nodata. Empty for values.
    pub(crate) class: Vec<u16>,
    /// The value, or the share of the winning class; NaN for nodata. Empty if not asked for.
    pub(crate) first: Vec<f32>,
    /// Entropy of the shares over its greatest value, 0 (sure) to 1; NaN for nodata. Empty if not asked for.
    pub(crate) entropy: Vec<f32>,
    /// Dissimilarity index. Empty if not asked for.
    pub(crate) dissimilarity: Vec<f32>,
}

impl Scored {
    fn append(&mut self, mut other: Self) {
        self.class.append(&mut other.class);
        self.first.append(&mut other.first);
        self.entropy.append(&mut other.entropy);
        self.dissimilarity.append(&mut other.dissimilarity);
    }
}

/// No class.
pub(crate) const NO_CLASS: u16 = u16::MAX;

pub(crate) fn score(model: &Model, block: &Vectors, wanted: Wanted) -> Result<Scored> {
    let n = block.pixels();
    let watch = Watch::current();
    let starts: Vec<usize> = (0..n).step_by(STRIPE).collect();
    let parts: Vec<Result<Scored>> = starts
        .par_iter()
        .map(|&from| {
            watch.check()?;
            let count = STRIPE.min(n - from);
            let bands_alone = model.learnt.linear().is_some() && !wanted.sureness && !wanted.dissimilarity;
            Ok(if bands_alone && !model.classes().is_empty() {
                by_bands(model, block, from, count)
            } else {
                by_rows(model, block, from, count, wanted)
            })
        })
        .collect();
    let mut out = Scored::default();
    for part in parts {
        out.append(part?);
    }
    Ok(out)
}

/// Classes alone: the greatest score of a linear model, band by band without turning the block.
#[allow(clippy::cast_possible_truncation)]
fn by_bands(model: &Model, block: &Vectors, from: usize, count: usize) -> Scored {
    let Some(linear) = model.learnt.linear() else { return Scored::default() };
    let outputs = model.learnt.outputs();
    let mut raw = vec![0f32; outputs * count];
    linear.raw_bands(&block.data, block.pixels(), from, count, &mut raw);
    let mut class = vec![0u16; count];
    let (best, others) = raw.split_at_mut(count);
    for (k, scores) in (1..).zip(others.chunks_exact(count)) {
        for ((best, class), score) in best.iter_mut().zip(&mut class).zip(scores) {
            let wins = *score > *best;
            *best = if wins { *score } else { *best };
            *class = if wins { k } else { *class };
        }
    }
    for (class, status) in class.iter_mut().zip(&block.status[from..]) {
        if *status != Status::Valid {
            *class = NO_CLASS;
        }
    }
    Scored { class, ..Scored::default() }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
fn by_rows(model: &Model, block: &Vectors, from: usize, count: usize, wanted: Wanted) -> Scored {
    let outputs = model.learnt.outputs();
    let valid: Vec<usize> = (0..count).filter(|i| block.status[from + i] == Status::Valid).collect();
    let n = block.pixels();
    let mut rows = vec![0f32; valid.len() * block.bands];
    for (b, band) in block.data.chunks_exact(n.max(1)).enumerate() {
        for (row, i) in valid.iter().enumerate() {
            rows[row * block.bands + b] = band[from + i];
        }
    }
    let classes = model.classes().len();
    let fill = |on: bool| if on { vec![f32::NAN; count] } else { Vec::new() };
    let mut out = Scored {
        class: if classes > 0 { vec![NO_CLASS; count] } else { Vec::new() },
        first: fill(wanted.sureness || classes == 0),
        entropy: fill(wanted.sureness && classes > 0),
        dissimilarity: fill(wanted.dissimilarity && model.applicability.is_some()),
    };
    if valid.is_empty() {
        return out;
    }
    if !out.dissimilarity.is_empty()
        && let Some(applicability) = &model.applicability
    {
        let index = applicability.index(&mut rows.clone(), valid.len());
        valid.iter().zip(index).for_each(|(i, d)| out.dissimilarity[*i] = d);
    }
    let mut scores = vec![0f32; valid.len() * outputs];
    model.learnt.score_rows(&mut rows, valid.len(), &mut scores);
    for (i, shares) in valid.iter().zip(scores.chunks_exact(outputs)) {
        let best = if classes > 0 { argmax(shares) } else { 0 };
        if classes > 0 {
            out.class[*i] = best as u16;
        }
        if !out.first.is_empty() {
            out.first[*i] = shares[best];
        }
        if !out.entropy.is_empty() {
            out.entropy[*i] = entropy(shares);
        }
    }
    out
}

/// Entropy of shares over that of equal shares.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn entropy(shares: &[f32]) -> f32 {
    let sum: f32 = shares.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum();
    (sum / (shares.len() as f32).ln()).clamp(0.0, 1.0)
}
