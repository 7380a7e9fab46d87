//! SatCLIP (Klemmer et al., arXiv 2311.17179): spherical harmonics, then a sinusoidal network (SIREN).
//!
//! Layout and order of operations from github microsoft/satclip (MIT) and PyPI `rangegeo` 0.1.0 (MIT), which agree:
//! `nnet.layers.{i}` are sin(w₀(Wx+b)) with w₀ = 30 in the first and 1 in the others, `nnet.last_layer` is linear. The
//! number of degrees follows from the first layer's width. The reference runs in float64, and so does this by default.

use crate::dense::Dense;
use crate::error::LocationError;
use crate::features::{Harmonics, HarmonicsKind};
use crate::model::{Model, Places, Scratch, room};
use crate::real::Real;
use crate::sine::sines;
use crate::weights::Weights;

#[derive(Debug)]
pub(crate) struct SatClip<T> {
    harmonics: Harmonics,
    layers: Vec<Dense<T>>,
    last: Dense<T>,
}

impl<T: Real> SatClip<T> {
    pub(crate) fn load(weights: &mut Weights) -> Result<Self, LocationError> {
        for (setting, supported) in [("le_type", "sphericalharmonics"), ("pe_type", "siren")] {
            if let Some(found) = weights.text(setting).filter(|t| *t != supported) {
                return Err(weights.setting_fault(setting, format!("is `{found}`, not `{supported}`")));
            }
        }
        let kind = match weights.text("harmonics_calculation") {
            None | Some("analytic") => HarmonicsKind::Analytic,
            Some("closed-form") => HarmonicsKind::ClosedForm,
            Some(other) => {
                let what = format!("is `{other}`, neither `analytic` nor `closed-form`");
                return Err(weights.setting_fault("harmonics_calculation", what));
            }
        };
        let prefix = weights.prefix(&["model.location.", "location.", ""], "nnet.last_layer.weight");
        let mut layers: Vec<Dense<T>> = Vec::new();
        while layers.is_empty() || weights.contains(&format!("{prefix}nnet.layers.{}.weight", layers.len())) {
            let name = format!("{prefix}nnet.layers.{}", layers.len());
            let layer = weights.dense(&name, layers.last().map(Dense::outputs))?;
            layers.push(layer);
        }
        let last = weights.dense(&format!("{prefix}nnet.last_layer"), layers.last().map(Dense::outputs))?;
        let inputs = layers[0].inputs();
        let degrees = inputs.isqrt();
        let harmonics = Harmonics::new(kind, degrees).filter(|_| degrees * degrees == inputs);
        let harmonics = harmonics.ok_or_else(|| {
            let name = format!("{prefix}nnet.layers.0.weight");
            let expected = "[hidden, L²] with L ≤ 40, one column per spherical harmonic".into();
            weights.shape_fault(&name, vec![layers[0].outputs(), inputs], expected)
        })?;
        Ok(Self { harmonics, layers, last })
    }
}

impl<T: Real> Model<T> for SatClip<T> {
    fn dim(&self) -> usize {
        self.last.outputs()
    }

    fn parameters(&self) -> usize {
        self.layers.iter().chain([&self.last]).map(Dense::parameters).sum()
    }

    fn encode(&self, places: Places<'_>, scratch: &mut Scratch<T>, out: &mut [T]) {
        let Scratch { a, b, .. } = scratch;
        let n = self.harmonics.dim();
        let mut features = vec![0.0; n];
        for ((lon, lat), row) in places.iter().zip(room(a, places.len() * n).chunks_exact_mut(n)) {
            self.harmonics.evaluate(lon, lat, &mut features);
            row.iter_mut().zip(&features).for_each(|(r, &f)| *r = T::of(f));
        }
        for (i, layer) in self.layers.iter().enumerate() {
            layer.forward(a, b);
            let w0 = T::of(if i == 0 { 30.0 } else { 1.0 });
            sines(b, w0);
            std::mem::swap(a, b);
        }
        self.last.forward_into(a, out);
    }
}
