//! What a location encoder takes and gives, and the files it is made of. The order of coordinates differs and is the
//! main source of error.

use serde::{Deserialize, Serialize};

/// Input and output of a model that turns coordinates into vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderSpec {
    /// The network that computes it, as [`terravec_location::EncoderId`] names it. Absent: not to be run here.
    pub architecture: Option<String>,
    /// The order the original model expects. Callers always give (lon, lat).
    pub input: CoordinateOrder,
    /// What is done to degrees before the network.
    pub scaling: String,
    /// Float type the original computes in, where that changes results.
    pub precision: Option<Precision>,
    /// A second input.
    #[serde(default)]
    pub time: EncoderTime,
    /// The network, in words.
    pub network: Option<String>,
    /// Lengths the output can have; the product's `dimension` is the default one.
    pub dimensions: Vec<u32>,
}

/// Order of two coordinates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CoordinateOrder {
    /// (longitude, latitude).
    LonLat,
    /// (latitude, longitude).
    LatLon,
}

/// Float type of a computation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32 bits.
    Float32,
    /// 64 bits.
    Float64,
}

/// Time as an input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncoderTime {
    /// None.
    #[default]
    None,
    /// A month of the year.
    Month,
    /// A year, if given.
    OptionalYear,
}

/// A file that an encoder is computed from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightsFile {
    /// Its name: in the cache, and in a folder given as `ID=FOLDER`.
    pub file: String,
    /// What it is for.
    #[serde(default)]
    pub role: WeightsRole,
    /// The variant that it belongs to. Absent: all of them.
    pub variant: Option<String>,
    /// Its address, `http` or `https`.
    pub url: String,
    /// Its size.
    pub bytes: Option<u64>,
    /// Its SHA-256, 64 hexadecimal digits.
    pub sha256: Option<String>,
}

/// What a file of an encoder is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightsRole {
    /// The weights of the network.
    #[default]
    Network,
    /// The database that it retrieves from.
    Database,
}
