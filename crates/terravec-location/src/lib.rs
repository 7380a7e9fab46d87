//! Location encoders: embedding vectors for any place on Earth, from published weights.
//!
//! A location encoder is a small network from (longitude, latitude) to a vector. Each was published with its own order of
//! coordinates, scaling, projection and file layout, which is where silent errors come from. Here all take longitude and
//! latitude in degrees, in this order; what a network wants instead is its own file's business ([`EncoderId`]).
//!
//! Weights are read from safetensors and PyTorch files without running anything in them ([`Weights`]). Networks run as
//! batched matrix products on all threads ([`Encoder::encode`]).

mod dense;
mod encoder;
mod encoders;
mod error;
mod features;
mod model;
mod real;
mod sine;
mod weights;

pub use encoder::{Encoder, EncoderId, Options, Precision, Time};
pub use error::{LocationError, WeightsError};
pub use features::{Harmonics, HarmonicsKind, equal_earth};
pub use model::TimeNeed;
pub use real::Real;
pub use weights::{Setting, Tensor, Weights};
