//! Clusters: k-means fitted on a stated sample, then applied to a whole raster or table.

mod kmeans;
mod run;
mod sample;

pub use kmeans::{Centres, Settings, Start, fit};
pub use run::{Clusters, Labelled, MOST};
pub use sample::Sample;
