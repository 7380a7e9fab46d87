//! CSP (Mai et al., ICML 2023, arXiv 2305.01118): Space2Vec grid cells, then a perceptron.
//!
//! Layout and order of operations from github gengchenmai/csp (`main/SpatialRelationEncoder.py`, `module.py`, `models.py`,
//! `utils.py`; no code of it is used): degrees as they are, for each of lon, lat and each wavelength
//! rᵢ = r_min (r_max/r_min)^(i/(n−1)) the pair sin(v/rᵢ), cos(v/rᵢ); then layers `ffn.layers.{i}.linear`, each followed by the
//! activation, the last one too; all but the last with a skip where widths agree and then a layer norm.
//! Radii, activation and skip are in the checkpoint's `params` (fMoW: gelu, iNat: leakyrelu with slope 0.2); they are required
//! because nothing in the tensors shows them. Degrees are not scaled to [−1, 1]: training fed them raw to grid cells
//! (`generate_model_input_feats`), though a notebook in microsoft/satclip scales them.

use crate::dense::Dense;
use crate::error::LocationError;
use crate::model::{Model, Places, Scratch, room};
use crate::real::Real;
use crate::weights::{Setting, Weights};

#[derive(Debug, Clone, Copy)]
enum Activation {
    Gelu,
    LeakyRelu,
    Relu,
    Tanh,
    Sigmoid,
}

#[derive(Debug)]
struct Layer<T> {
    dense: Dense<T>,
    skip: bool,
    norm: Option<(Vec<T>, Vec<T>)>,
}

#[derive(Debug)]
pub(crate) struct Csp<T> {
    /// 1/rᵢ.
    frequencies: Vec<f64>,
    activation: Activation,
    layers: Vec<Layer<T>>,
}

impl<T: Real> Csp<T> {
    pub(crate) fn load(weights: &mut Weights) -> Result<Self, LocationError> {
        for (setting, supported) in [("spa_enc_type", "gridcell"), ("freq_init", "geometric")] {
            if let Some(found) = weights.text(setting).filter(|t| *t != supported) {
                return Err(weights.setting_fault(setting, format!("is `{found}`, not `{supported}`")));
            }
        }
        let activation = match weights.text("spa_f_act") {
            Some("gelu") => Activation::Gelu,
            Some("leakyrelu") => Activation::LeakyRelu,
            Some("relu") => Activation::Relu,
            Some("tanh") => Activation::Tanh,
            Some("sigmoid") => Activation::Sigmoid,
            Some(other) => return Err(weights.setting_fault("spa_f_act", format!("is `{other}`, unknown"))),
            None => return Err(weights.setting_fault("spa_f_act", "is missing; it names the activation")),
        };
        let skip = match weights.settings().get("skip_connection") {
            Some(Setting::Flag(skip)) => *skip,
            Some(Setting::Text(t)) if t == "T" || t == "true" => true,
            Some(Setting::Text(t)) if t == "F" || t == "false" => false,
            _ => return Err(weights.setting_fault("skip_connection", "is missing or neither true nor false")),
        };
        let radius = |name| match weights.number(name)? {
            Some(r) if r > 0.0 && r.is_finite() => Ok(r),
            _ => Err(weights.setting_fault(name, "is missing or not positive")),
        };
        let (min, max) = (radius("min_radius")?, radius("max_radius")?);
        let prefix = weights
            .prefix(&["loc_enc.spa_enc.ffn.", "spa_enc.ffn.", "ffn."], "layers.0.linear.weight")
            .to_string();
        let mut layers: Vec<Layer<T>> = Vec::new();
        while layers.is_empty() || weights.contains(&format!("{prefix}layers.{}.linear.weight", layers.len()))
        {
            let name = format!("{prefix}layers.{}", layers.len());
            let dense = weights
                .dense(&format!("{name}.linear"), layers.last().map(|l: &Layer<T>| l.dense.outputs()))?;
            let norm = if weights.contains(&format!("{name}.layernorm.weight")) {
                let gain = weights.vector(&format!("{name}.layernorm.weight"), dense.outputs())?;
                Some((gain, weights.vector(&format!("{name}.layernorm.bias"), dense.outputs())?))
            } else {
                None
            };
            let skip = skip && dense.inputs() == dense.outputs();
            layers.push(Layer { dense, skip, norm });
        }
        if let Some(last) = layers.last_mut() {
            last.skip = false;
        }
        let inputs = layers[0].dense.inputs();
        let n = inputs / 4;
        if n < 2 || !inputs.is_multiple_of(4) {
            let found = vec![layers[0].dense.outputs(), inputs];
            let expected = "[hidden, 4 × wavelengths], of which there are two or more".into();
            return Err(weights.shape_fault(&format!("{prefix}layers.0.linear.weight"), found, expected));
        }
        let step = (max / min).ln() / (n - 1) as f64;
        let frequencies = (0..n).map(|i| 1.0 / (min * (i as f64 * step).exp())).collect();
        Ok(Self { frequencies, activation, layers })
    }
}

impl<T: Real> Model<T> for Csp<T> {
    fn dim(&self) -> usize {
        self.layers[self.layers.len() - 1].dense.outputs()
    }

    fn parameters(&self) -> usize {
        let norm = |l: &Layer<T>| l.norm.as_ref().map_or(0, |(gain, bias)| gain.len() + bias.len());
        self.layers.iter().map(|l| l.dense.parameters() + norm(l)).sum()
    }

    fn encode(&self, places: Places<'_>, scratch: &mut Scratch<T>, out: &mut [T]) {
        let Scratch { a, b, .. } = scratch;
        let n = self.frequencies.len() * 4;
        for ((lon, lat), row) in places.iter().zip(room(a, places.len() * n).chunks_exact_mut(n)) {
            let angles = [lon, lat].into_iter().flat_map(|v| self.frequencies.iter().map(move |f| v * f));
            for (pair, angle) in row.chunks_exact_mut(2).zip(angles) {
                let (sine, cosine) = angle.sin_cos();
                pair.copy_from_slice(&[T::of(sine), T::of(cosine)]);
            }
        }
        for layer in &self.layers {
            layer.dense.forward(a, b);
            b.iter_mut().for_each(|v| *v = self.activation.apply(*v));
            if layer.skip {
                b.iter_mut().zip(&*a).for_each(|(v, &x)| *v = v.plus(x));
            }
            if let Some((gain, bias)) = &layer.norm {
                b.chunks_exact_mut(gain.len()).for_each(|row| layer_norm(row, gain, bias));
            }
            std::mem::swap(a, b);
        }
        out.copy_from_slice(a);
    }
}

impl Activation {
    fn apply<T: Real>(self, v: T) -> T {
        let x = v.wide();
        T::of(match self {
            Activation::Gelu => 0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2)),
            Activation::LeakyRelu if x < 0.0 => 0.2 * x,
            Activation::Relu if x < 0.0 => 0.0,
            Activation::LeakyRelu | Activation::Relu => x,
            Activation::Tanh => x.tanh(),
            Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        })
    }
}

/// PyTorch's `LayerNorm`: population variance, ε = 10⁻⁵.
fn layer_norm<T: Real>(row: &mut [T], gain: &[T], bias: &[T]) {
    let n = row.len() as f64;
    let mean = row.iter().map(|v| v.wide()).sum::<f64>() / n;
    let variance = row.iter().map(|v| (v.wide() - mean).powi(2)).sum::<f64>() / n;
    let scale = 1.0 / (variance + 1e-5).sqrt();
    for ((v, g), b) in row.iter_mut().zip(gain).zip(bias) {
        *v = T::of((v.wide() - mean) * scale * g.wide() + b.wide());
    }
}
