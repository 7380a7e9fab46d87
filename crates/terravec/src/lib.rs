//! Earth embeddings as products: opened, sampled, extracted and converted, right by construction.
//!
//! ```no_run
//! use terravec::catalog::Catalog;
//! use terravec::{Dataset, OpenOptions, SampleRequest, Years};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let options = OpenOptions::new(Catalog::builtin());
//! let dataset = Dataset::open("alphaearth=/data/aef", &options)?;
//! let points = terravec_io::vector::parse_point("-88.77,44.29")?;
//! let request = SampleRequest { years: Years::parse("2024")?, ..SampleRequest::default() };
//! let (sampled, _) = dataset.sample(points, &request)?;
//! println!("{:?}", sampled.status);
//! # Ok(())
//! # }
//! ```

pub mod cache;
pub mod catalog;
pub mod codec;
mod country;
pub mod coverage;
pub mod dataset;
mod error;
pub mod estimate;
mod given;
pub mod interrupt;
pub mod location;
pub mod mirror;
pub mod patch;
pub mod pca;
mod provenance;
pub mod query;
pub mod sink;
pub mod table;
mod time;
mod vectors;

pub use country::country;
pub use dataset::{Dataset, OpenOptions, RasterDataset, SampleRequest};
pub use error::{Error, Result};
pub use given::read_vectors;
pub use location::{LocationDataset, LocationSummary};
pub use patch::PatchDataset;
pub use provenance::Provenance;
pub use query::extract::{Area, Extraction, Request};
pub use query::gridded::Gridded;
pub use query::join::{JoinRequest, Joined, join_patches, join_points};
pub use query::pixels::{Kind, Pixels};
pub use query::reduce::{Reduce, reduce};
pub use query::resample::Resampling;
pub use query::sample::sample;
pub use query::stack::Stack;
pub use time::{Interval, Years};
pub use vectors::{Status, Vectors};
