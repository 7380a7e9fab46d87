//! MIND (Corley et al. 2026): a residual sinusoidal network distilled from AlphaEarth, Climplicit, GeoCLIP and SINR, whose
//! trunk is Matryoshka-trained: any prefix of the vector is a smaller embedding.
//!
//! Layout from github taylor-geospatial/mind (`mind_standalone.py`) and torchgeo-bench (`coordbench/mind.py`, MIT), which
//! agree: Equal Earth coordinates, then, for checkpoints trained with years, sin and cos of (year − 2021)/4 times
//! `year_freqs`; h = sin(30(Wx + b)), then h ← h + sin(Wh + b) per block, then for `mind-head` a linear `head`. Whether
//! there are years follows from the first layer's width. The published default is the trunk's first 64 numbers.

use crate::dense::Dense;
use crate::error::LocationError;
use crate::features::equal_earth;
use crate::model::{Model, Places, Scratch, TimeNeed, room};
use crate::real::Real;
use crate::sine::sines;
use crate::weights::Weights;

#[derive(Debug)]
pub(crate) struct Mind<T> {
    year_frequencies: Vec<f64>,
    first: Dense<T>,
    first_w0: f64,
    blocks: Vec<Dense<T>>,
    head: Option<Dense<T>>,
    dim: usize,
}

impl<T: Real> Mind<T> {
    /// With `head`, the linear head's output, else the trunk's; of either the first `dim` numbers, all when `None`.
    pub(crate) fn load(weights: &mut Weights, head: bool, dim: Option<usize>) -> Result<Self, LocationError> {
        if let Some(found) = weights.text("encoder").filter(|e| !matches!(*e, "siren" | "resiren")) {
            return Err(
                weights.setting_fault("encoder", format!("is `{found}`; only `resiren` is supported"))
            );
        }
        let first_w0 = weights.number("w0_first")?.unwrap_or(30.0);
        let first: Dense<T> = weights.dense("first.linear", None)?;
        let frequencies = match weights.shape("year_freqs") {
            Some(_) => weights.tensor::<f64>("year_freqs")?.values,
            None => vec![],
        };
        let year_frequencies = match first.inputs() {
            2 => vec![],
            n if n == 2 + 2 * frequencies.len() => frequencies,
            n => {
                let expected = format!("[outputs, 2] or [outputs, {}]", 2 + 2 * frequencies.len());
                return Err(weights.shape_fault("first.linear.weight", vec![first.outputs(), n], expected));
            }
        };
        let width = first.outputs();
        let mut blocks = Vec::new();
        while weights.contains(&format!("blocks.{}.linear.weight", blocks.len())) {
            let name = format!("blocks.{}.linear", blocks.len());
            let block: Dense<T> = weights.dense(&name, Some(width))?;
            if block.outputs() != width {
                let expected = format!("[{width}, {width}]");
                return Err(weights.shape_fault(
                    &format!("{name}.weight"),
                    vec![block.outputs(), width],
                    expected,
                ));
            }
            blocks.push(block);
        }
        let head = if head { Some(weights.dense("head", Some(width))?) } else { None };
        let full = head.as_ref().map_or(width, Dense::outputs);
        let dim = dim.unwrap_or(full);
        if dim == 0 || dim > full {
            return Err(LocationError::Option {
                encoder: if head.is_some() { "mind-head" } else { "mind" },
                what: format!("vectors of {dim} numbers were asked for; these weights give 1 to {full}"),
            });
        }
        // Only the outputs kept are computed.
        let head = head.map(|h: Dense<T>| h.truncated(dim));
        if head.is_none()
            && let Some(last) = blocks.pop()
        {
            blocks.push(last.truncated(dim));
        }
        Ok(Self { year_frequencies, first, first_w0, blocks, head, dim })
    }
}

impl<T: Real> Model<T> for Mind<T> {
    fn dim(&self) -> usize {
        self.dim
    }

    fn parameters(&self) -> usize {
        let layers = self.blocks.iter().chain(&self.head).map(Dense::parameters);
        self.first.parameters() + self.year_frequencies.len() + layers.sum::<usize>()
    }

    fn time(&self) -> TimeNeed {
        if self.year_frequencies.is_empty() { TimeNeed::None } else { TimeNeed::Year }
    }

    fn encode(&self, places: Places<'_>, scratch: &mut Scratch<T>, out: &mut [T]) {
        let Scratch { a: h, b, .. } = scratch;
        let (n, years) = (self.first.inputs(), self.year_frequencies.len());
        for (i, ((lon, lat), row)) in
            places.iter().zip(room(b, places.len() * n).chunks_exact_mut(n)).enumerate()
        {
            let (x, y) = equal_earth(lon, lat);
            (row[0], row[1]) = (T::of(x), T::of(y));
            for (j, frequency) in self.year_frequencies.iter().enumerate() {
                let (sine, cosine) = ((places.time[i] - 2021.0) / 4.0 * frequency).sin_cos();
                (row[2 + j], row[2 + years + j]) = (T::of(sine), T::of(cosine));
            }
        }
        self.first.forward(b, h);
        sines(h, T::of(self.first_w0));
        let width = self.first.outputs();
        for block in &self.blocks {
            block.forward(h, b);
            sines(b, T::of(1.0));
            // The last block may be narrower: then only the prefix of h goes on.
            for (row, step) in h.chunks_exact_mut(width).zip(b.chunks_exact(block.outputs())) {
                row.iter_mut().zip(step).for_each(|(v, s)| *v = v.plus(*s));
            }
        }
        match &self.head {
            Some(head) => head.forward_into(h, out),
            None => {
                for (row, vector) in out.chunks_exact_mut(self.dim).zip(h.chunks_exact(width)) {
                    row.copy_from_slice(&vector[..self.dim]);
                }
            }
        }
    }
}
