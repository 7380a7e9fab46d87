//! Learners: from vectors with labels to a predictor, and the file that keeps it.
//!
//! A [`Fit`] says how to learn, a [`Predictor`] is what was learnt, a [`Model`] is a predictor that knows its classes and the product it
//! belongs to. Everything is deterministic under a seed, whatever the number of threads: random numbers belong to a tree or a network, and sums
//! are taken over pieces of a fixed size in a fixed order.

mod applicability;
mod array;
mod boosting;
mod cells;
mod centroid;
mod forest;
mod grow;
mod knn;
mod labels;
mod lbfgs;
mod linear;
mod logistic;
mod mlp;
mod model;
mod predictor;
mod ridge;
mod scaler;
mod tables;
mod tree;

pub use applicability::Applicability;
pub(crate) use applicability::quantile;
pub(crate) use cells::class_column;
pub(crate) use labels::draw;
pub use labels::{Dropped, LabelRequest, Labelled, Truth};
pub use model::{ClassLegend, Model, Task, Training};
pub use predictor::Predictor;
pub(crate) use predictor::{STRIPE, argmax};
pub use scaler::Scaler;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use terravec::Result;

use crate::{Matrix, refuse};

/// A way to learn, with its parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Learner {
    /// The `k` nearest training vectors vote; ties go to the first class.
    Knn {
        /// Neighbours.
        k: usize,
        /// Compare directions instead of positions.
        cosine: bool,
    },
    /// Multinomial logistic regression with an L2 penalty, as scikit-learn states it.
    Logistic {
        /// Inverse strength of the penalty.
        c: f64,
    },
    /// Least squares with an L2 penalty; classes become targets of ±1. Without a penalty, the solution of least norm.
    Ridge {
        /// Strength of the penalty; 0 for none.
        alpha: f64,
    },
    /// The class whose mean is nearest.
    Centroid {
        /// Compare directions instead of positions.
        cosine: bool,
    },
    /// Random forest: trees on bootstrap samples, each split choosing among some of the bands.
    Forest {
        /// Trees.
        trees: usize,
        /// Levels at most.
        depth: Option<usize>,
        /// Rows in a leaf at least.
        min_leaf: usize,
    },
    /// Gradient boosting of small trees.
    Boosting {
        /// Rounds: trees per class.
        rounds: usize,
        /// How much of each tree is taken.
        rate: f64,
        /// Levels of a tree.
        depth: usize,
    },
    /// A small neural network (rectified, Adam).
    Mlp {
        /// Widths of the hidden layers.
        hidden: Vec<usize>,
        /// Passes over the data at most.
        epochs: usize,
    },
}

impl Learner {
    /// Names as users write them.
    pub const NAMES: [&'static str; 7] =
        ["knn", "logistic", "ridge", "centroid", "forest", "boosting", "mlp"];

    /// The learner of this name, with the parameters that serve most.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "knn" => Self::Knn { k: 5, cosine: false },
            "logistic" => Self::Logistic { c: 10.0 },
            "ridge" | "linear" => Self::Ridge { alpha: if name == "linear" { 0.0 } else { 1.0 } },
            "centroid" => Self::Centroid { cosine: false },
            "forest" => Self::Forest { trees: 100, depth: None, min_leaf: 1 },
            "boosting" => Self::Boosting { rounds: 100, rate: 0.1, depth: 5 },
            "mlp" => Self::Mlp { hidden: vec![64, 32], epochs: 200 },
            _ => return None,
        })
    }

    /// The learner of this name with some parameters, named as the fields are: `{"k": 3}`.
    ///
    /// # Errors
    /// If there is no such learner, it has no such parameter, or a value is of another kind.
    pub fn with(name: &str, parameters: &Map<String, Value>) -> Result<Self> {
        let broken = |what: String| refuse(what, "see the parameters of the learner");
        let plain = Self::from_name(name).ok_or_else(|| {
            refuse(format!("there is no learner `{name}`"), format!("one of {}", Self::NAMES.join(", ")))
        })?;
        let mut all = serde_json::to_value(&plain).map_err(|e| broken(e.to_string()))?;
        for (key, value) in parameters {
            let Some(own) = all.get_mut(key).filter(|_| key != "name") else {
                return Err(broken(format!("{name} has no parameter `{key}`")));
            };
            *own = value.clone();
        }
        let learner: Self = serde_json::from_value(all).map_err(|e| broken(format!("{name}: {e}")))?;
        learner.check()?;
        Ok(learner)
    }

    /// Whether it can learn numbers as well as classes.
    #[must_use]
    pub fn regresses(&self) -> bool {
        !matches!(self, Self::Logistic { .. } | Self::Centroid { .. })
    }

    fn check(&self) -> Result<()> {
        let bad = match self {
            Self::Knn { k, .. } if *k == 0 => "k must be at least 1",
            Self::Logistic { c } if !(c.is_finite() && *c > 0.0) => "C must be a positive number",
            Self::Ridge { alpha } if !(alpha.is_finite() && *alpha >= 0.0) => "alpha must be 0 or more",
            Self::Forest { trees, .. } if !(1..=10_000).contains(trees) => "take 1 to 10 000 trees",
            Self::Boosting { rounds, .. } if !(1..=10_000).contains(rounds) => "take 1 to 10 000 rounds",
            Self::Boosting { rate, .. } if !(*rate > 0.0 && *rate <= 1.0) => "the rate lies in (0, 1]",
            Self::Boosting { depth, .. } if !(1..=20).contains(depth) => "take trees of 1 to 20 levels",
            Self::Mlp { hidden, .. }
                if hidden.iter().any(|h| !(1..=4096).contains(h)) || hidden.len() > 8 =>
            {
                "take at most 8 hidden layers of 1 to 4096 units"
            }
            Self::Mlp { epochs: 0, .. } => "take at least one epoch",
            _ => return Ok(()),
        };
        Err(refuse(bad, "see the options of the learner"))
    }
}

/// What is to be learnt, a label per row.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// Classes, numbered from 0.
    Classes {
        /// The class of each row.
        of: &'a [u32],
        /// How many there are.
        count: usize,
    },
    /// Numbers.
    Values(&'a [f64]),
}

impl Target<'_> {
    /// Numbers that a prediction has: one per class, or one.
    #[must_use]
    pub fn outputs(&self) -> usize {
        match self {
            Self::Classes { count, .. } => *count,
            Self::Values(_) => 1,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Classes { of, .. } => of.len(),
            Self::Values(v) => v.len(),
        }
    }
}

/// How to learn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// The learner.
    pub learner: Learner,
    /// Whether bands are first brought to mean 0 and deviation 1.
    pub standardise: bool,
    /// Whether every class weighs the same, however many rows it has.
    pub balanced: bool,
    /// Seed of all that is random.
    pub seed: u64,
}

impl Fit {
    /// With the learner's own parameters.
    #[must_use]
    pub fn new(learner: Learner) -> Self {
        Self { learner, standardise: false, balanced: false, seed: 0 }
    }

    /// Learns `target` from the rows of `x`.
    ///
    /// # Errors
    /// If there are no rows, a number is not finite, there is but one class, or a parameter makes no sense.
    pub fn fit(&self, x: &Matrix, target: Target<'_>) -> Result<Predictor> {
        self.learner.check()?;
        check(x, target)?;
        if matches!(target, Target::Values(_)) && !self.learner.regresses() {
            return Err(refuse(
                "this learner learns classes only",
                "for numbers take ridge, linear, knn, forest, boosting or mlp",
            ));
        }
        let weights = match target {
            Target::Classes { of, count } if self.balanced => balanced(of, count),
            _ => vec![1.0; x.rows()],
        };
        let scaler = self.standardise.then(|| Scaler::of(x));
        let scaled = scaler.as_ref().map(|s| s.apply(x));
        let x = scaled.as_ref().unwrap_or(x);
        predictor::learn(self, x, target, &weights, scaler)
    }
}

/// Weights by which all classes have the same sum: rows / (classes × rows of the class).
#[allow(clippy::cast_precision_loss)]
fn balanced(of: &[u32], count: usize) -> Vec<f64> {
    let mut rows = vec![0usize; count];
    of.iter().for_each(|c| rows[*c as usize] += 1);
    let present = rows.iter().filter(|n| **n > 0).count();
    of.iter().map(|c| of.len() as f64 / (present * rows[*c as usize]) as f64).collect()
}

fn check(x: &Matrix, target: Target<'_>) -> Result<()> {
    if x.rows() == 0 || x.rows() != target.len() {
        return Err(refuse(
            format!("{} vectors with {} labels: there is nothing to learn", x.rows(), target.len()),
            "give one label per vector",
        ));
    }
    if u32::try_from(x.rows()).is_err() {
        return Err(refuse(format!("{} rows are too many", x.rows()), "learn from a sample of them"));
    }
    if let Some(i) = x.data().iter().position(|v| !v.is_finite()) {
        return Err(refuse(
            format!("row {} has a number that is not finite", i / x.cols()),
            "leave rows without a vector out",
        ));
    }
    match target {
        Target::Classes { of, count } => {
            if of.iter().any(|c| *c as usize >= count) {
                return Err(refuse("a class has no name", "number classes from 0"));
            }
            if of.iter().all(|c| *c == of[0]) {
                return Err(refuse("all labels are of one class", "give examples of at least two classes"));
            }
        }
        Target::Values(v) => {
            if let Some(i) = v.iter().position(|v| !v.is_finite()) {
                return Err(refuse(format!("label {i} is not finite"), "leave rows without a label out"));
            }
        }
    }
    Ok(())
}
