//! How a product's stored numbers become values, said in data. The arithmetic lives in the engine's codecs.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The decode rule. `q` is a stored number, `v` its value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CodecSpec {
    /// `v = q`.
    Identity,
    /// `v = sign(q) · |q / scale|^power`; the code `nodata` stands for no value.
    SignedSquare {
        /// 127.5 for AlphaEarth.
        scale: f64,
        /// 2 for AlphaEarth.
        power: f64,
        /// −128 for AlphaEarth.
        nodata: i64,
    },
    /// `v = q · s`, with `s` from another array, one per pixel.
    PerPixelScale {
        /// Name of the array of scales (Zarr), or what a file name ends in (NPY).
        scale_array: String,
        /// Scales at or below are corrupt.
        valid_min_exclusive: f64,
        /// Scales at or above are corrupt.
        valid_max_exclusive: f64,
        /// What a scale of +∞ means.
        infinite: ScaleMeaning,
        /// What a scale of NaN means.
        nan: ScaleMeaning,
    },
    /// Finite scalar quantisation: one code holds several digits, one per level.
    ///
    /// `digit_k = (q / Π_{j<k} levels_j) mod levels_k`, `v_k = (digit_k − half_k) / half_k`,
    /// `half_k = floor(levels_k / 2)`. The vector is `codes_per_pixel` codes of `levels.len()` values each.
    Fsq {
        /// Number of steps of each value in a code, least significant first.
        levels: Vec<u32>,
        /// Codes per pixel: bands `1..=codes_per_pixel`.
        codes_per_pixel: u32,
        /// A band (counted from 1) that is no code but a quality count.
        qa_band: Option<u32>,
    },
    /// `v = q · scale + offset`.
    Linear {
        /// The factor.
        scale: f64,
        /// The summand.
        offset: f64,
    },
    /// Each bit is the sign of a value; the values themselves are gone. Compared by counting unequal bits.
    SignBits {
        /// Bits per vector.
        bits: u32,
        /// How two vectors are compared.
        distance: BitDistance,
    },
    /// Nobody published the rule: the product opens as codes.
    Unknown {
        /// Why, for the reader.
        reason: String,
    },
}

/// What an unusable per-pixel scale says about its pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScaleMeaning {
    /// The pixel is water, left out on purpose.
    Water,
    /// The pixel has no data.
    Nodata,
}

/// How vectors of bits are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BitDistance {
    /// The number of unequal bits.
    Hamming,
}

/// How a missing vector is told from a present one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MissingRule {
    /// None is missing: what is stored holds.
    None,
    /// A stored NaN.
    Nan,
    /// This code, in any band.
    Value(f64),
    /// A vector of zeros.
    ZeroVector,
    /// Zero in every code of the pixel (bands that are no codes aside).
    AllZeroCodes,
    /// An unusable per-pixel scale, as the codec says.
    Scale,
}

impl CodecSpec {
    /// Whether codes can be turned into values at all.
    #[must_use]
    pub fn decodes(&self) -> bool {
        !matches!(self, Self::Unknown { .. } | Self::SignBits { .. })
    }

    /// Stored bands this rule needs for a vector of `dimension` numbers, bands that are no codes included.
    #[must_use]
    pub fn bands_for(&self, dimension: u32) -> u32 {
        match self {
            Self::Fsq { codes_per_pixel, qa_band, .. } => {
                codes_per_pixel.max(&qa_band.unwrap_or(0)).to_owned()
            }
            Self::SignBits { bits, .. } => bits.div_ceil(8),
            _ => dimension,
        }
    }
}

/// The rule as a formula.
impl fmt::Display for CodecSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity => write!(f, "v = q (stored values are the vector)"),
            Self::SignedSquare { scale, power, nodata } => {
                write!(f, "v = sign(q) · |q / {scale}|^{power}; q = {nodata} is no value")
            }
            Self::PerPixelScale {
                scale_array, valid_min_exclusive: min, valid_max_exclusive: max, ..
            } => {
                write!(f, "v = q · s, with s = {scale_array} at the pixel; valid where {min} < s < {max}")
            }
            Self::Fsq { levels, codes_per_pixel, qa_band } => {
                let list = levels.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
                write!(
                    f,
                    "v[k] = (digit[k] − half[k]) / half[k], where digit[k] is the k-th digit of q in the mixed base \
                     ({list}), lowest first, and half[k] = floor(base[k] / 2); {codes_per_pixel} codes per pixel"
                )?;
                match qa_band {
                    Some(band) => write!(f, "; band {band} is quality, not a code"),
                    None => Ok(()),
                }
            }
            Self::Linear { scale, offset } => write!(f, "v = q · {scale} + {offset}"),
            Self::SignBits { bits, .. } => {
                write!(f, "{bits} sign bits; compare by Hamming distance, the values cannot be restored")
            }
            Self::Unknown { reason } => write!(f, "unknown, opens as codes: {reason}"),
        }
    }
}

/// The rule as half a sentence.
impl fmt::Display for MissingRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => write!(f, "none declared"),
            Self::Nan => write!(f, "NaN"),
            Self::Value(code) => write!(f, "code {code} in any band"),
            Self::ZeroVector => write!(f, "a vector of zeros"),
            Self::AllZeroCodes => write!(f, "all codes of the pixel are 0"),
            Self::Scale => write!(f, "an unusable scale"),
        }
    }
}

impl fmt::Display for ScaleMeaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Water => "water",
            Self::Nodata => "no data",
        })
    }
}
