//! Change between two years of one product and version: how far vectors turned or moved, and where that is more than stable
//! places do.
//!
//! Most of an area does not change between two years, so the median and the median absolute deviation of all its pixels describe
//! those that are stable, unless the caller names them.

mod compare;
mod robust;
mod trajectory;

pub use compare::{Change, Measure, Most, Rule, Statistics};
pub use robust::{Counts, Ranks};
pub use trajectory::trajectories;
