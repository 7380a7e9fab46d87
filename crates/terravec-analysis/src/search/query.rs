//! What is looked for: one or more vectors, and what "similar" means.

use std::fmt;
use std::str::FromStr;

use terravec::{Error, Result};

use crate::kernel::{error, exact_dot, exact_square_distance};

/// What "similar" means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Metric {
    /// The cosine of the angle between two vectors, −1 to 1.
    #[default]
    Cosine,
    /// Their dot product.
    Dot,
    /// The Euclidean distance between them; less is more similar.
    L2,
}

impl Metric {
    /// `cosine`, `dot` or `l2`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::Dot => "dot",
            Self::L2 => "l2",
        }
    }

    /// The column of an answer: `similarity`, `score` or `distance`.
    #[must_use]
    pub fn column(self) -> &'static str {
        match self {
            Self::Cosine => "similarity",
            Self::Dot => "score",
            Self::L2 => "distance",
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Metric {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Cosine, Self::Dot, Self::L2]
            .into_iter()
            .find(|m| m.name() == text)
            .ok_or_else(|| format!("`{text}` is no metric: cosine, dot or l2"))
    }
}

/// A vector that is looked for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) vector: Vec<f32>,
    pub(crate) length: f64,
    square: f64,
}

/// What is looked for. A row's score is that of the vector it is most similar to.
#[derive(Debug, Clone)]
pub struct Query {
    metric: Metric,
    pub(crate) wanted: Vec<Wanted>,
    /// Added to scores that are shown.
    offset: f64,
}

impl Query {
    /// Looks for what is similar to any of `vectors`.
    ///
    /// # Errors
    /// If there is none, they differ in length, hold NaN or infinite numbers, or have no direction where that is compared.
    pub fn new(metric: Metric, vectors: Vec<Vec<f32>>) -> Result<Self> {
        let wrong = |what: String| Error::query(what, "give a vector of the dataset, all numbers finite");
        let dim = vectors.first().map_or(0, Vec::len);
        if dim == 0 {
            return Err(wrong("there is no vector to look for".into()));
        }
        let mut wanted = Vec::with_capacity(vectors.len());
        for vector in vectors {
            if vector.len() != dim {
                return Err(wrong(format!(
                    "vectors of {dim} and of {} numbers are looked for",
                    vector.len()
                )));
            }
            if !vector.iter().all(|v| v.is_finite()) {
                return Err(wrong("the vector that is looked for holds NaN or infinite numbers".into()));
            }
            let square = exact_dot(&vector, &vector);
            let length = square.sqrt();
            if metric == Metric::Cosine && length == 0.0 {
                return Err(Error::query(
                    "the vector that is looked for is zero, and has no direction",
                    "give another example, or compare with the metric l2",
                ));
            }
            wanted.push(Wanted { vector, length, square });
        }
        Ok(Self { metric, wanted, offset: 0.0 })
    }

    /// Looks for large values of `weights` · x + `intercept`.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn linear(weights: Vec<f32>, intercept: f64) -> Result<Self> {
        Ok(Self { offset: intercept, ..Self::new(Metric::Dot, vec![weights])? })
    }

    /// Numbers of a vector.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.wanted[0].vector.len()
    }

    /// The vectors that are looked for.
    pub fn vectors(&self) -> impl Iterator<Item = &[f32]> {
        self.wanted.iter().map(|w| w.vector.as_slice())
    }

    /// Their lengths.
    pub(crate) fn lengths(&self) -> impl Iterator<Item = f64> {
        self.wanted.iter().map(|w| w.length)
    }

    /// Bounds of a score, from above and below, of a row with this dot product and of this length (known to a part `slack`).
    pub(crate) fn score_of(&self, dot: f64, wanted: f64, row: f64, slack: f64) -> (f64, f64) {
        match self.metric {
            Metric::Dot => (dot, dot),
            Metric::Cosine => {
                let cosine = dot / (wanted * row);
                ((cosine + slack).min(1.0), (cosine - slack).max(-1.0))
            }
            Metric::L2 => {
                let squares = wanted * wanted + row * row;
                let off = 2.0 * slack * squares;
                let of = |square: f64| -square.max(0.0).sqrt();
                (of(squares - 2.0 * dot - off), of(squares - 2.0 * dot + off))
            }
        }
    }

    /// What "similar" means.
    #[must_use]
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Refuses rows of another length.
    ///
    /// # Errors
    /// If `dim` is not that of the query.
    pub fn check(&self, dim: usize) -> Result<()> {
        if dim == self.dim() {
            return Ok(());
        }
        Err(Error::query(
            format!("a vector of {} numbers is looked for among vectors of {dim}", self.dim()),
            "take the vector from the same product and version",
        ))
    }

    /// The score of a row in float64, larger is better: similarity, or minus the distance. NaN where it has none: a vector of
    /// length 0 has no direction.
    #[must_use]
    pub fn score(&self, row: &[f32]) -> f64 {
        let square = match self.metric {
            Metric::Cosine => exact_dot(row, row),
            _ => 1.0,
        };
        let of = |w: &Wanted| match self.metric {
            // The root of a square is exact, so that a vector's similarity to itself is 1, for all vectors alike.
            Metric::Cosine => (exact_dot(&w.vector, row) / (w.square * square).sqrt()).clamp(-1.0, 1.0),
            Metric::Dot => exact_dot(&w.vector, row),
            Metric::L2 => -exact_square_distance(&w.vector, row).sqrt(),
        };
        let mut scores = self.wanted.iter().map(of);
        let first = scores.next().unwrap_or(f64::NAN);
        scores.fold(first, |best, s| if s > best { s } else { best })
    }

    /// A score as it is shown: similarity, or the distance itself.
    #[must_use]
    pub fn shown(&self, score: f64) -> f64 {
        match self.metric {
            Metric::L2 => -score,
            _ => score + self.offset,
        }
    }
}

/// Squares of lengths below this lose digits in float32; such rows are always computed again.
const TINY: f32 = 1e-30;

/// Rules out rows that can't reach a score, by their float32 dot products and squares of lengths.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sieve {
    metric: Metric,
    /// Factor of the row's length, of 1 + its square, and a constant: see [`Self::may_reach`].
    slope: f32,
    square: f32,
    least: f32,
}

impl Sieve {
    /// For rows that score at least `threshold` against `wanted`. `beside` bounds how far the stored numbers of a row are from
    /// its vector, as a part of its length (0 where they are the same).
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn new(metric: Metric, wanted: &Wanted, threshold: f64, beside: f64) -> Self {
        let e = f64::from(error(wanted.vector.len())) + beside;
        let down = |v: f64| {
            let v = v as f32;
            if v.is_finite() { v - v.abs() * f32::EPSILON } else { v }
        };
        let (slope, square, least) = match metric {
            Metric::Cosine => (down((threshold - e) * wanted.length), 0.0, 0.0),
            Metric::Dot => (down(-e * wanted.length), 0.0, down(threshold)),
            Metric::L2 => {
                let far = threshold * threshold * (1.0 + e);
                let keep = 0.5 * (1.0 - 2.0 * e);
                (0.0, down(keep), down(keep * wanted.length * wanted.length - 0.5 * far))
            }
        };
        Self { metric, slope, square, least }
    }

    /// Whether a row may reach the threshold. NaN may: it is looked at again.
    #[inline(always)]
    pub(crate) fn may_reach(&self, dot: f32, square: f32) -> bool {
        let ruled_out = match self.metric {
            Metric::Cosine | Metric::Dot => dot < self.slope * square.sqrt() + self.least,
            Metric::L2 => dot < self.square * square + self.least,
        };
        !ruled_out || square < TINY
    }
}
