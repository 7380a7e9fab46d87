//! Encoders without weights, to measure the others against.

use crate::features::{Harmonics, HarmonicsKind};
use crate::model::{Model, Places, Scratch};
use crate::real::Real;

/// sin lat, cos lat, sin lon, cos lon: the `sincos` baseline of torchgeo-bench's CoordBench.
#[derive(Debug)]
pub(crate) struct SinCos;

impl<T: Real> Model<T> for SinCos {
    fn dim(&self) -> usize {
        4
    }

    fn parameters(&self) -> usize {
        0
    }

    fn encode(&self, places: Places<'_>, _: &mut Scratch<T>, out: &mut [T]) {
        for ((lon, lat), row) in places.iter().zip(out.chunks_exact_mut(4)) {
            let ((sx, cx), (sy, cy)) = (lon.to_radians().sin_cos(), lat.to_radians().sin_cos());
            row.copy_from_slice(&[sy, cy, sx, cx].map(T::of));
        }
    }
}

/// Orthonormal real spherical harmonics over longitude and colatitude.
#[derive(Debug)]
pub(crate) struct Spherical(Harmonics);

impl Spherical {
    /// Harmonics with l < `degrees`.
    pub(crate) fn new(degrees: usize) -> Option<Self> {
        Harmonics::new(HarmonicsKind::Geographic, degrees).map(Self)
    }
}

impl<T: Real> Model<T> for Spherical {
    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn parameters(&self) -> usize {
        0
    }

    fn encode(&self, places: Places<'_>, _: &mut Scratch<T>, out: &mut [T]) {
        let mut features = vec![0.0; self.0.dim()];
        for ((lon, lat), row) in places.iter().zip(out.chunks_exact_mut(features.len())) {
            self.0.evaluate(lon, lat, &mut features);
            row.iter_mut().zip(&features).for_each(|(r, &f)| *r = T::of(f));
        }
    }
}
