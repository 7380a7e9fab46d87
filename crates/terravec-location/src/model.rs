//! What every architecture is to the code that drives it: a map from a batch of places to rows of numbers.

use crate::real::Real;

/// A batch of checked places.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places<'a> {
    pub(crate) lon: &'a [f64],
    pub(crate) lat: &'a [f64],
    /// Years or months, one per place; empty for models without time.
    pub(crate) time: &'a [f64],
}

impl Places<'_> {
    pub(crate) fn len(&self) -> usize {
        self.lon.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (f64, f64)> {
        self.lon.iter().copied().zip(self.lat.iter().copied())
    }
}

/// Buffers that live as long as a thread's share of the work.
#[derive(Debug, Default)]
pub(crate) struct Scratch<T> {
    pub(crate) a: Vec<T>,
    pub(crate) b: Vec<T>,
    pub(crate) c: Vec<T>,
}

/// What a model needs to know of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeNeed {
    /// Nothing: its vectors do not change.
    None,
    /// A calendar year.
    Year,
    /// A month of the year, 1–12.
    Month,
}

pub(crate) trait Model<T: Real>: Send + Sync + std::fmt::Debug {
    /// The length of a vector.
    fn dim(&self) -> usize;

    fn time(&self) -> TimeNeed {
        TimeNeed::None
    }

    /// How many numbers it computes with that came from its weights.
    fn parameters(&self) -> usize;

    /// How many places to encode at once: enough for the matrix products to pay, few enough for the caches.
    fn batch(&self) -> usize {
        512
    }

    /// Encodes a batch into `out`, row-major, of `places.len()` × [`Model::dim`] numbers.
    fn encode(&self, places: Places<'_>, scratch: &mut Scratch<T>, out: &mut [T]);
}

/// Clears a buffer and makes room for `n` numbers.
pub(crate) fn room<T: Real>(buffer: &mut Vec<T>, n: usize) -> &mut [T] {
    buffer.clear();
    buffer.resize(n, T::default());
    buffer
}
