//! What was learnt: scores for any vectors, whatever learnt them.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use terravec::Result;
use terravec::interrupt::Watch;

use super::boosting::Boosting;
use super::forest::Forest;
use super::knn::Knn;
use super::linear::{Linear, Ready};
use super::mlp::Mlp;
use super::tree::Trees;
use super::{Fit, Learner, Scaler, Target, centroid, logistic, ridge};
use crate::{Matrix, refuse};

/// Rows predicted by one task.
pub(crate) const STRIPE: usize = 2048;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Kind {
    Linear(Linear),
    Knn(Knn),
    Trees(Trees),
    Mlp(Mlp),
}

/// What was learnt: for every vector, a score per class, or a value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Predictor {
    /// Of learners that can't take it into their weights.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    scaler: Option<Scaler>,
    how: Kind,
    #[serde(skip)]
    ready: Option<ReadyCell>,
}

#[derive(Debug, Clone)]
struct ReadyCell(Ready);

impl PartialEq for ReadyCell {
    /// Made from the weights, which are compared.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

pub(super) fn learn(
    fit: &Fit,
    x: &Matrix,
    target: Target<'_>,
    weights: &[f64],
    scaler: Option<Scaler>,
) -> Result<Predictor> {
    let classes = match target {
        Target::Classes { of, count } => Some((of, count)),
        Target::Values(_) => None,
    };
    let kind = match (&fit.learner, classes) {
        (Learner::Knn { k, cosine }, _) => Kind::Knn(Knn::fit(x, target, weights, *k, *cosine)),
        (Learner::Logistic { c }, Some((of, count))) => {
            let (linear, converged) = logistic::fit(x, of, count, weights, *c)?;
            if !converged {
                return Err(refuse("logistic regression did not settle", "standardise, or take a smaller C"));
            }
            Kind::Linear(linear)
        }
        (Learner::Ridge { alpha }, _) => Kind::Linear(ridge::fit(x, target, weights, *alpha)?),
        (Learner::Centroid { cosine }, Some((of, count))) => {
            Kind::Linear(centroid::fit(x, of, count, *cosine))
        }
        (Learner::Forest { trees, depth, min_leaf }, _) => {
            let forest = Forest { trees: *trees, depth: *depth, min_leaf: *min_leaf, seed: fit.seed };
            Kind::Trees(forest.fit(x, target, weights)?)
        }
        (Learner::Boosting { rounds, rate, depth }, _) => {
            let boosting = Boosting { rounds: *rounds, rate: *rate, depth: *depth, seed: fit.seed };
            Kind::Trees(boosting.fit(x, target, weights)?)
        }
        (Learner::Mlp { hidden, epochs }, _) => {
            Kind::Mlp(Mlp::fit(x, target, weights, (hidden, *epochs), fit.seed)?)
        }
        (Learner::Logistic { .. } | Learner::Centroid { .. }, None) => {
            return Err(refuse("this learner learns classes only", "take another one"));
        }
    };
    Ok(match (kind, scaler) {
        (Kind::Linear(linear), Some(scaler)) => Predictor::new(Kind::Linear(linear.unscaled(&scaler)), None),
        (kind, scaler) => Predictor::new(kind, scaler),
    })
}

impl Predictor {
    fn new(kind: Kind, scaler: Option<Scaler>) -> Self {
        let mut made = Self { scaler, how: kind, ready: None };
        made.prepare();
        made
    }

    fn prepare(&mut self) {
        if let Kind::Linear(linear) = &self.how {
            self.ready = Some(ReadyCell(linear.ready()));
        }
    }

    /// Checks what was read from a file against the length of the vectors and the number of outputs, and makes it ready.
    pub(super) fn check(&mut self, cols: usize, outputs: usize) -> Result<(), &'static str> {
        if let Some(scaler) = &self.scaler {
            scaler.check(cols)?;
        }
        match &self.how {
            Kind::Linear(l) => l.check(cols, outputs)?,
            Kind::Knn(k) => k.check(cols, outputs)?,
            Kind::Trees(t) => t.check(cols, outputs)?,
            Kind::Mlp(m) => m.check(cols, outputs)?,
        }
        self.prepare();
        Ok(())
    }

    /// Numbers that a prediction has.
    #[must_use]
    pub fn outputs(&self) -> usize {
        match &self.how {
            Kind::Linear(l) => l.outputs(),
            Kind::Knn(k) => k.outputs(),
            Kind::Trees(t) => t.outputs(),
            Kind::Mlp(m) => m.outputs(),
        }
    }

    /// Weights (outputs, bands), row-major, and biases for vectors as they are, if the predictor is linear.
    #[must_use]
    pub fn coefficients(&self) -> Option<(&[f64], &[f64])> {
        match &self.how {
            Kind::Linear(l) => Some((&l.weights, &l.bias)),
            _ => None,
        }
    }

    pub(crate) fn linear(&self) -> Option<&Ready> {
        self.ready.as_ref().map(|r| &r.0)
    }

    /// Shares of the classes (sum 1), or values: (rows, outputs), row-major. All numbers of `x` must be finite.
    ///
    /// # Errors
    /// If whoever asked wants no answer any more.
    pub fn scores(&self, x: &Matrix) -> Result<Vec<f32>> {
        let (outputs, cols) = (self.outputs(), x.cols());
        let mut out = vec![0.0; x.rows() * outputs];
        let watch = Watch::current();
        x.data().par_chunks(STRIPE * cols).zip(out.par_chunks_mut(STRIPE * outputs)).try_for_each(
            |(x, out)| {
                watch.check()?;
                self.score_rows(&mut x.to_vec(), x.len() / cols, out);
                Ok::<(), terravec::Error>(())
            },
        )?;
        Ok(out)
    }

    /// Scores (rows, outputs) of row-major `x`, which may be changed, on this thread.
    pub(crate) fn score_rows(&self, x: &mut [f32], rows: usize, out: &mut [f32]) {
        if let Some(scaler) = &self.scaler {
            scaler.apply_rows(x);
        }
        match &self.how {
            Kind::Linear(_) => {
                if let Some(ready) = self.linear() {
                    ready.raw(x, rows, out);
                    for row in out.chunks_exact_mut(self.outputs()) {
                        ready.link().finish(row);
                    }
                }
            }
            Kind::Knn(k) => k.scores(x, rows, out),
            Kind::Trees(t) => t.scores(x, rows, out),
            Kind::Mlp(m) => m.scores(x, rows, out),
        }
    }

    /// The class of greatest share in each row of `scores`, the first of equals.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub fn classes(scores: &[f32], outputs: usize) -> Vec<u32> {
        scores.chunks_exact(outputs.max(1)).map(|row| argmax(row) as u32).collect()
    }
}

/// The greatest number's place, the first of equals.
pub(crate) fn argmax(row: &[f32]) -> usize {
    let mut best = 0;
    for (i, v) in row.iter().enumerate().skip(1) {
        if *v > row[best] {
            best = i;
        }
    }
    best
}
