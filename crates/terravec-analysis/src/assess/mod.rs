//! How good is it: folds, cross-validation, figures with intervals, areas from a reference sample.
//!
//! Neighbouring places have similar vectors and similar labels. Folds drawn at random therefore flatter a model; folds that keep places together
//! tell what it does elsewhere. Both are always shown.

mod area;
mod bootstrap;
mod cross;
mod few;
mod folds;
mod metrics;

pub use area::{AreaEstimate, Estimate, Stratum, areas};
pub use bootstrap::{Interval95, bootstrap};
pub use cross::{Assessment, Figures, FoldFigures, cross_validate, default_folds, score, study};
pub use few::{FewShot, few_shot};
pub use folds::Folds;
pub use metrics::{ClassFigures, ClassMetrics, ValueMetrics, calibration_error};
