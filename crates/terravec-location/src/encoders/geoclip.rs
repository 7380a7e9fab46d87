//! GeoCLIP's location encoder (Vivanco Cepeda et al., arXiv 2309.16020): Equal Earth coordinates through random Fourier
//! features at several scales, one perceptron per scale, summed.
//!
//! Layout from PyPI `geoclip` 1.3.0 (MIT): `LocEnc{i}.capsule.0.b` holds the frequencies B of scale i, its features are
//! [cos 2πBv, sin 2πBv]; `capsule.1`, `.3`, `.5` are linear layers with ReLU, `head.0` is linear. The scales themselves
//! (σ = 2⁰, 2⁴, 2⁸) are only in B. The reference projects in float32; with |B| up to 1000 that rounding moves its
//! vectors by up to 10⁻³. Here coordinates and phases are float64 in either precision. The √3 of the projection is the one
//! rounded to float32, which the reference uses in float64 too: with it, both agree to 10⁻⁸.

use std::f64::consts::TAU;

use crate::dense::Dense;
use crate::error::LocationError;
use crate::features::equal_earth_by;
use crate::model::{Model, Places, Scratch, room};
use crate::real::Real;
use crate::weights::Weights;

#[derive(Debug)]
struct Capsule<T> {
    /// (frequencies, 2), kept in `f64` for the phases.
    frequencies: Vec<f64>,
    hidden: [Dense<T>; 3],
    head: Dense<T>,
}

#[derive(Debug)]
pub(crate) struct GeoClip<T> {
    capsules: Vec<Capsule<T>>,
}

impl<T: Real> GeoClip<T> {
    pub(crate) fn load(weights: &mut Weights) -> Result<Self, LocationError> {
        let prefix =
            weights.prefix(&["location_encoder.", "model.location_encoder.", ""], "LocEnc0.capsule.0.b");
        let mut capsules: Vec<Capsule<T>> = Vec::new();
        while capsules.is_empty()
            || weights.contains(&format!("{prefix}LocEnc{}.capsule.0.b", capsules.len()))
        {
            let name = format!("{prefix}LocEnc{}", capsules.len());
            let (_, frequencies) = weights.matrix::<f64>(&format!("{name}.capsule.0.b"), Some(2))?;
            let first = weights.dense(&format!("{name}.capsule.1"), Some(frequencies.len()))?;
            let second = weights.dense(&format!("{name}.capsule.3"), Some(Dense::<T>::outputs(&first)))?;
            let third = weights.dense(&format!("{name}.capsule.5"), Some(Dense::<T>::outputs(&second)))?;
            let head = weights.dense(&format!("{name}.head.0"), Some(Dense::<T>::outputs(&third)))?;
            let capsule = Capsule { frequencies, hidden: [first, second, third], head };
            if let Some(dim) = capsules.first().map(|c| c.head.outputs())
                && dim != capsule.head.outputs()
            {
                let found = vec![capsule.head.outputs(), capsule.head.inputs()];
                let expected = format!("[{dim}, inputs], as in the first capsule");
                return Err(weights.shape_fault(&format!("{name}.head.0.weight"), found, expected));
            }
            capsules.push(capsule);
        }
        Ok(Self { capsules })
    }
}

impl<T: Real> Model<T> for GeoClip<T> {
    fn dim(&self) -> usize {
        self.capsules[0].head.outputs()
    }

    fn parameters(&self) -> usize {
        let dense = |c: &Capsule<T>| c.hidden.iter().chain([&c.head]).map(Dense::parameters).sum::<usize>();
        self.capsules.iter().map(|c| c.frequencies.len() + dense(c)).sum()
    }

    fn encode(&self, places: Places<'_>, scratch: &mut Scratch<T>, out: &mut [T]) {
        let Scratch { a, b, c } = scratch;
        let root3 = f64::from(3f32.sqrt());
        out.fill(T::default());
        for capsule in &self.capsules {
            let n = capsule.frequencies.len();
            for ((lon, lat), row) in places.iter().zip(room(a, places.len() * n).chunks_exact_mut(n)) {
                let (x, y) = equal_earth_by(root3, lon, lat);
                let (cosines, sines) = row.split_at_mut(n / 2);
                let features = cosines.iter_mut().zip(sines);
                for ((cosine, sine), f) in features.zip(capsule.frequencies.chunks_exact(2)) {
                    let (s, c) = (TAU * (f[0] * x + f[1] * y)).sin_cos();
                    (*cosine, *sine) = (T::of(c), T::of(s));
                }
            }
            for layer in &capsule.hidden {
                layer.forward(a, b);
                b.iter_mut().for_each(|v| {
                    if *v < T::default() {
                        *v = T::default();
                    }
                });
                std::mem::swap(a, b);
            }
            capsule.head.forward(a, c);
            out.iter_mut().zip(&*c).for_each(|(o, &v)| *o = o.plus(v));
        }
    }
}
