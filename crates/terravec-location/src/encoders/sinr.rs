//! SINR (Cole et al., ICML 2023, arXiv 2306.02564): the trunk of a species range model.
//!
//! Layout from github elijahcole/sinr (MIT) and PyPI `rshf` 0.2.2: inputs sin πx, sin πy, cos πx, cos πy with x = lon/180,
//! y = lat/90, in this order; `feats.0` linear with ReLU, then blocks x ← x + relu(W₂ relu(W₁x)) at `feats.2`, `feats.3`, ….
//! The vector is the trunk's output; the species head `class_emb` is not used. Checkpoints that also take environmental
//! rasters (24 inputs) are refused: their input is not a place alone.

use std::f64::consts::PI;

use crate::dense::Dense;
use crate::error::LocationError;
use crate::model::{Model, Places, Scratch, room};
use crate::real::Real;
use crate::weights::Weights;

#[derive(Debug)]
pub(crate) struct Sinr<T> {
    first: Dense<T>,
    blocks: Vec<(Dense<T>, Dense<T>)>,
}

impl<T: Real> Sinr<T> {
    pub(crate) fn load(weights: &mut Weights) -> Result<Self, LocationError> {
        let first: Dense<T> = weights.dense("feats.0", Some(4))?;
        let width = first.outputs();
        let mut blocks = Vec::new();
        while weights.contains(&format!("feats.{}.w1.weight", blocks.len() + 2)) {
            let name = format!("feats.{}", blocks.len() + 2);
            let inner: Dense<T> = weights.dense(&format!("{name}.w1"), Some(width))?;
            let outer: Dense<T> = weights.dense(&format!("{name}.w2"), Some(inner.outputs()))?;
            if outer.outputs() != width {
                let found = vec![outer.outputs(), outer.inputs()];
                return Err(weights.shape_fault(
                    &format!("{name}.w2.weight"),
                    found,
                    format!("[{width}, inputs]"),
                ));
            }
            blocks.push((inner, outer));
        }
        Ok(Self { first, blocks })
    }
}

impl<T: Real> Model<T> for Sinr<T> {
    fn dim(&self) -> usize {
        self.first.outputs()
    }

    fn parameters(&self) -> usize {
        let blocks = self.blocks.iter().map(|(inner, outer)| inner.parameters() + outer.parameters());
        self.first.parameters() + blocks.sum::<usize>()
    }

    fn encode(&self, places: Places<'_>, scratch: &mut Scratch<T>, out: &mut [T]) {
        let Scratch { a, b, .. } = scratch;
        for ((lon, lat), row) in places.iter().zip(room(a, places.len() * 4).chunks_exact_mut(4)) {
            let ((sx, cx), (sy, cy)) = ((lon / 180.0 * PI).sin_cos(), (lat / 90.0 * PI).sin_cos());
            row.copy_from_slice(&[sx, sy, cx, cy].map(T::of));
        }
        self.first.forward_into(a, out);
        relu(out);
        for (inner, outer) in &self.blocks {
            inner.forward(out, a);
            relu(a);
            outer.forward(a, b);
            relu(b);
            out.iter_mut().zip(&*b).for_each(|(x, &y)| *x = x.plus(y));
        }
    }
}

fn relu<T: Real>(values: &mut [T]) {
    for v in values {
        if *v < T::default() {
            *v = T::default();
        }
    }
}
