//! Climplicit (Dollinger et al., arXiv 2504.05089): climate at a place and month, as a residual sinusoidal network whose
//! first layer is an H-SIREN.
//!
//! Layout from PyPI `rshf` 0.2.2 (`rshf/climplicit`) and github ecovision-uzh/climplicit: inputs are lon/180, lat/90,
//! sin 2πm/12, cos 2πm/12. Layer i computes g = Wx + b, averages it with the g of the layer before where their widths
//! agree, and passes on sin(w₀ g); the first passes on sin(30 sinh 2g). `last_layer` is linear.
//! The reference's vector without a month is that of March, June, September and December joined: `climplicit-seasons`.

use std::f64::consts::TAU;

use crate::dense::Dense;
use crate::error::LocationError;
use crate::model::{Model, Places, Scratch, TimeNeed, room};
use crate::real::Real;
use crate::sine::sines;
use crate::weights::Weights;

#[derive(Debug)]
pub(crate) struct Climplicit<T> {
    layers: Vec<Dense<T>>,
    last: Dense<T>,
    seasons: bool,
}

impl<T: Real> Climplicit<T> {
    /// With `seasons`, four months joined into one vector; else one month, which must be given.
    pub(crate) fn load(weights: &mut Weights, seasons: bool) -> Result<Self, LocationError> {
        let prefix =
            weights.prefix(&["location_encoder.", "model.location_encoder.", ""], "last_layer.weight");
        let mut layers: Vec<Dense<T>> = Vec::new();
        while layers.is_empty() || weights.contains(&format!("{prefix}layers.{}.weight", layers.len())) {
            let inputs = layers.last().map_or(4, Dense::outputs);
            let layer = weights.dense(&format!("{prefix}layers.{}", layers.len()), Some(inputs))?;
            layers.push(layer);
        }
        let last = weights.dense(&format!("{prefix}last_layer"), layers.last().map(Dense::outputs))?;
        Ok(Self { layers, last, seasons })
    }

    /// The vectors of one month per place, into `out` with a row length of `stride` from column `column`.
    fn month(
        &self,
        places: Places<'_>,
        month: impl Fn(usize) -> f64,
        scratch: &mut Scratch<T>,
        out: &mut [T],
        (stride, column): (usize, usize),
    ) {
        // `a`: activations; `b`: g of this layer; `c`: g of the layer before.
        let Scratch { a, b, c } = scratch;
        for (i, ((lon, lat), row)) in
            places.iter().zip(room(a, places.len() * 4).chunks_exact_mut(4)).enumerate()
        {
            let (sine, cosine) = (month(i) / 12.0 * TAU).sin_cos();
            row.copy_from_slice(&[lon / 180.0, lat / 90.0, sine, cosine].map(T::of));
        }
        c.clear();
        for (i, layer) in self.layers.iter().enumerate() {
            layer.forward(a, b);
            if b.len() == c.len() {
                let half = T::of(0.5);
                b.iter_mut().zip(&*c).for_each(|(g, &before)| *g = half.times(g.plus(before)));
            }
            a.clear();
            if i == 0 {
                let two = T::of(2.0);
                a.extend(b.iter().map(|&g| two.times(g).hyperbolic_sine()));
                sines(a, T::of(30.0));
            } else {
                a.extend_from_slice(b);
                sines(a, T::of(1.0));
            }
            std::mem::swap(b, c);
        }
        let dim = self.last.outputs();
        self.last.forward(a, b);
        for (row, vector) in out.chunks_exact_mut(stride).zip(b.chunks_exact(dim)) {
            row[column..column + dim].copy_from_slice(vector);
        }
    }
}

impl<T: Real> Model<T> for Climplicit<T> {
    fn dim(&self) -> usize {
        self.last.outputs() * if self.seasons { 4 } else { 1 }
    }

    fn parameters(&self) -> usize {
        self.layers.iter().chain([&self.last]).map(Dense::parameters).sum()
    }

    fn time(&self) -> TimeNeed {
        if self.seasons { TimeNeed::None } else { TimeNeed::Month }
    }

    fn encode(&self, places: Places<'_>, scratch: &mut Scratch<T>, out: &mut [T]) {
        let stride = self.dim();
        if self.seasons {
            for (i, month) in [3.0, 6.0, 9.0, 12.0].into_iter().enumerate() {
                self.month(places, |_| month, scratch, out, (stride, i * self.last.outputs()));
            }
        } else {
            self.month(places, |i| places.time[i], scratch, out, (stride, 0));
        }
    }
}
