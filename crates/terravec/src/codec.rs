//! How stored codes become vectors, and where a vector is missing.
//!
//! A [`Decoder`] is the only way from [`Codes`] to [`Vectors`]. Formulas and their sources:
//!
//! * *signed square* (AlphaEarth): `v = sign(q) · (|q| / 127.5)²`; −128 in any band masks the pixel
//!   (Google, "AlphaEarth Foundations on Google Cloud Storage" readme).
//! * *FSQ* (Embedded Seamless Data): `digit = ⌊code / basis⌋ mod level`, `v = (digit − ⌊level/2⌋) / ⌊level/2⌋`; a pixel
//!   whose codes are all 0 is missing (arXiv 2601.11183).
//! * *per-pixel scale* (Tessera): `v = q · s` in float32, with one `s` per pixel; an `s` that is not finite, or outside the product's bounds,
//!   says that the pixel is missing, and why (geotessera's readme and registry).
//! * *identity* and *linear*: the number itself, or `q · scale + offset`.

use half::f16;
use rayon::prelude::*;
use terravec_io::{Codes, DType, Samples, with_samples};

use crate::catalog::{CodecSpec, Descriptor, MissingRule as Rule, ScaleMeaning};
use crate::vectors::{Status, Vectors};

/// A stored number, as float64.
pub(crate) trait Number: Copy + Send + Sync {
    fn to_f64(self) -> f64;
}

macro_rules! number {
    ($($t:ty),*) => { $(impl Number for $t { fn to_f64(self) -> f64 { f64::from(self) } })* };
}
number!(u8, i8, u16, i16, u32, i32, f16, f32, f64);

/// Whether a stored number is this one.
#[allow(clippy::float_cmp)]
pub(crate) fn is_number(stored: impl Number, value: f64) -> bool {
    stored.to_f64() == value
}

/// `sign(q) · (|q| / scale)^power`, in float64: the published values to the bit for `scale` 127.5 and `power` 2.
#[must_use]
pub fn signed_power(code: f64, scale: f64, power: f64) -> f64 {
    let x = code / scale;
    #[allow(clippy::float_cmp)]
    if power == 2.0 { x * x.abs() } else { x.abs().powf(power).copysign(x) }
}

/// The code nearest to `value` under [`signed_power`], within ±127.
#[must_use]
fn signed_power_code(value: f64, scale: f64, power: f64) -> f64 {
    #[allow(clippy::float_cmp)]
    let root = if power == 2.0 { value.abs().sqrt() } else { value.abs().powf(1.0 / power) };
    (root * scale).round().min(127.0).copysign(value)
}

/// Which pixels of a block are missing, by the product's rule and the file's own nodata value.
#[derive(Debug, Clone, Copy, PartialEq)]
enum MissingRule {
    /// A number that marks the pixel when any band holds it.
    AnyBand(f64),
    /// Zero in every (code) band.
    AllZero,
    /// A non-finite number in any band.
    NonFinite,
}

/// Turns the codes of one product's raster into vectors.
#[derive(Debug, Clone)]
pub struct Decoder {
    product: String,
    codec: CodecSpec,
    rules: Vec<MissingRule>,
    unit_length: bool,
    dimension: usize,
    stored_bands: usize,
}

/// Why a raster can't be decoded as a product.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CodecError {
    /// The decode rule is unknown, so there are no vectors.
    #[error("{product}: no decode rule is published ({reason}), so its codes have no values")]
    Unpublished {
        /// Product id.
        product: String,
        /// What is known.
        reason: String,
    },
    /// The product needs an extra array that this format does not carry.
    #[error("{product}: its codec `{codec}` does not decode a raster")]
    NotARaster {
        /// Product id.
        product: String,
        /// Codec name.
        codec: &'static str,
    },
    /// The product needs more than the numbers of a row.
    #[error("{product}: its codec does not decode the rows of a table")]
    NotARow {
        /// Product id.
        product: String,
    },
    /// Bands or type differ from what the product stores.
    #[error("{what}: expected {expected}, found {found}")]
    Layout {
        /// What was looked at.
        what: String,
        /// What the product stores.
        expected: String,
        /// What the file holds.
        found: String,
    },
}

impl Decoder {
    /// A decoder for `product`'s rasters of `bands` stored bands of type `dtype`, whose file states `nodata`.
    ///
    /// # Errors
    /// If the product's codec does not apply to such a raster.
    pub fn new(
        product: &Descriptor,
        bands: usize,
        dtype: DType,
        nodata: Option<f64>,
    ) -> Result<Self, CodecError> {
        let layout = |expected: String, found: String| CodecError::Layout {
            what: format!("a raster taken for product `{}`", product.id),
            expected,
            found,
        };
        let mut rules = Vec::new();
        let mut codec = product.codec.clone();
        let (stored, dimension) = match &codec {
            CodecSpec::Fsq { levels, codes_per_pixel, qa_band } => {
                if dtype.is_float() {
                    return Err(layout("unsigned integer codes".into(), dtype.to_string()));
                }
                let stored = qa_band
                    .map_or(*codes_per_pixel as usize, |q| (q as usize).max(*codes_per_pixel as usize));
                (stored, *codes_per_pixel as usize * levels.len())
            }
            CodecSpec::SignedSquare { nodata, .. } => {
                if dtype.is_float() {
                    // Mirrors of int8 products that were decoded before they were written.
                    codec = CodecSpec::Identity;
                } else {
                    if dtype != DType::I8 {
                        return Err(layout("int8 codes, or decoded floats".into(), dtype.to_string()));
                    }
                    #[allow(clippy::cast_precision_loss)]
                    rules.push(MissingRule::AnyBand(*nodata as f64));
                }
                (bands, bands)
            }
            CodecSpec::PerPixelScale { .. } => {
                // Mirrors that were decoded before they were written.
                if dtype.is_float() {
                    codec = CodecSpec::Identity;
                }
                (bands, bands)
            }
            CodecSpec::SignBits { .. } => {
                return Err(CodecError::NotARaster { product: product.id.clone(), codec: "sign_bits" });
            }
            CodecSpec::Identity | CodecSpec::Linear { .. } | CodecSpec::Unknown { .. } => (bands, bands),
        };
        if bands < stored {
            return Err(layout(format!("{stored} bands"), format!("{bands} bands")));
        }
        if let Some(expected) = product.dimension
            && !matches!(codec, CodecSpec::Fsq { .. })
            && stored != expected as usize
        {
            return Err(layout(format!("{expected} bands"), format!("{stored} bands")));
        }
        match product.missing {
            Some(Rule::Value(value)) => rules.push(MissingRule::AnyBand(value)),
            Some(Rule::ZeroVector | Rule::AllZeroCodes) => rules.push(MissingRule::AllZero),
            Some(Rule::None | Rule::Nan | Rule::Scale) | None => {}
        }
        // Where only a vector of zeros is missing, a single 0 is a number like any other, whatever the file states.
        let legal = |v: f64| v == 0.0 && rules.contains(&MissingRule::AllZero);
        if let Some(value) = nodata.filter(|v| v.is_finite() && !legal(*v)) {
            rules.push(MissingRule::AnyBand(value));
        }
        if dtype.is_float() {
            rules.push(MissingRule::NonFinite);
        }
        rules.dedup();
        Ok(Self {
            product: product.id.clone(),
            codec,
            rules,
            unit_length: product.unit_length == Some(true),
            dimension,
            stored_bands: bands,
        })
    }

    /// Length of a decoded vector.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Bands in the file.
    #[must_use]
    pub fn stored_bands(&self) -> usize {
        self.stored_bands
    }

    /// Whether decoded vectors have length 1, so that means of them are renormalised.
    #[must_use]
    pub fn unit_length(&self) -> bool {
        self.unit_length
    }

    /// Whether codes have values at all.
    #[must_use]
    pub fn decodes(&self) -> bool {
        !matches!(self.codec, CodecSpec::Unknown { .. })
    }

    /// Refuses a product whose codes have no values.
    ///
    /// # Errors
    /// [`CodecError::Unpublished`].
    pub fn check_decodes(&self) -> Result<(), CodecError> {
        match &self.codec {
            CodecSpec::Unknown { reason } => {
                Err(CodecError::Unpublished { product: self.product.clone(), reason: reason.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Whether decoded band `i`, and whether it is missing, comes from stored band `i` alone, so that a few bands can be
    /// read without the others.
    #[must_use]
    pub fn bandwise(&self) -> bool {
        !matches!(self.codec, CodecSpec::Fsq { .. }) && !self.zeros_are_missing()
    }

    /// Whether codes mean nothing without the scale of their pixel.
    #[must_use]
    pub fn scaled(&self) -> bool {
        matches!(self.codec, CodecSpec::PerPixelScale { .. })
    }

    /// Whether a pixel is missing when all its codes are 0.
    #[must_use]
    pub fn zeros_are_missing(&self) -> bool {
        self.rules.contains(&MissingRule::AllZero)
    }

    /// The number of type `dtype` that says in any band that a pixel has no code, if there is one.
    #[must_use]
    pub fn nodata(&self, dtype: DType) -> Option<f64> {
        let stated = self.rules.iter().find_map(|r| match r {
            MissingRule::AnyBand(v) => Some(*v),
            _ => None,
        });
        stated.or(dtype.is_float().then_some(f64::NAN))
    }

    /// Which pixels of `codes` are missing: the file's mask (if any) and the product's rules.
    #[must_use]
    pub fn status(&self, codes: &Codes, mask: Option<&[bool]>) -> Vec<Status> {
        let n = codes.height * codes.width;
        let mut missing = vec![false; n];
        if let Some(mask) = mask {
            for (m, &valid) in missing.iter_mut().zip(mask) {
                *m = !valid;
            }
        }
        let code_bands = match &self.codec {
            CodecSpec::Fsq { codes_per_pixel, .. } => (*codes_per_pixel as usize).min(codes.bands),
            _ => codes.bands,
        };
        for rule in &self.rules {
            with_samples!(&codes.samples, v => mark_missing(v, code_bands, n, *rule, &mut missing));
        }
        let mut status: Vec<Status> =
            missing.into_iter().map(|m| if m { Status::Nodata } else { Status::Valid }).collect();
        if self.scaled() {
            // Codes that come without their scales have no values.
            let none = vec![f32::INFINITY; if codes.scales.is_none() { n } else { 0 }];
            for (status, &scale) in status.iter_mut().zip(codes.scales.as_ref().unwrap_or(&none)) {
                *status = (*status).max(self.status_of_scale(scale));
            }
        }
        status
    }

    /// What a scale says of its pixel. Scales that can't be are as good as none.
    fn status_of_scale(&self, scale: f32) -> Status {
        let CodecSpec::PerPixelScale { valid_min_exclusive, valid_max_exclusive, infinite, nan, .. } =
            &self.codec
        else {
            return Status::Valid;
        };
        let meaning = if scale.is_nan() {
            *nan
        } else if scale.is_infinite() {
            *infinite
        } else if f64::from(scale) > *valid_min_exclusive && f64::from(scale) < *valid_max_exclusive {
            return Status::Valid;
        } else {
            ScaleMeaning::Nodata
        };
        match meaning {
            ScaleMeaning::Water => Status::Water,
            ScaleMeaning::Nodata => Status::Nodata,
        }
    }

    /// Decodes a block. `codes` holds the stored bands (all of them, or any subset where [`Self::bandwise`]);
    /// `mask`, row by row, is true where the file itself says a pixel is valid.
    ///
    /// # Errors
    /// [`CodecError::Unpublished`] where the product has no known decode rule.
    pub fn decode(&self, codes: &Codes, mask: Option<&[bool]>) -> Result<Vectors, CodecError> {
        self.check_decodes()?;
        let status = self.status(codes, mask);
        let n = status.len();
        let (data, bands) = match &self.codec {
            CodecSpec::Fsq { levels, codes_per_pixel, .. } => {
                (fsq(codes, levels, *codes_per_pixel as usize), *codes_per_pixel as usize * levels.len())
            }
            CodecSpec::PerPixelScale { .. } => (scaled(codes), codes.bands),
            codec => (numbers(codec, &codes.samples).unwrap_or_default(), codes.bands),
        };
        let mut vectors = Vectors { data, status, bands, height: codes.height, width: codes.width };
        if vectors.status.iter().any(|s| *s != Status::Valid) {
            for band in vectors.data.chunks_exact_mut(n.max(1)) {
                for (v, s) in band.iter_mut().zip(&vectors.status) {
                    if *s != Status::Valid {
                        *v = f32::NAN;
                    }
                }
            }
        }
        Ok(vectors)
    }

    /// The codes that stand for `vectors`, or `None` where the codec has no inverse.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    fn encode(&self, vectors: &Vectors, dtype: DType) -> Option<Codes> {
        let fill = self.nodata(dtype).unwrap_or(0.0);
        let samples = match (&self.codec, dtype) {
            (CodecSpec::SignedSquare { scale, power, .. }, DType::I8) => Samples::I8(
                vectors
                    .data
                    .iter()
                    .map(|&v| if v.is_nan() { fill } else { signed_power_code(f64::from(v), *scale, *power) } as i8)
                    .collect(),
            ),
            (CodecSpec::Identity, DType::F16) => {
                Samples::F16(vectors.data.iter().map(|&v| f16::from_f32(if v.is_nan() { fill as f32 } else { v })).collect())
            }
            (CodecSpec::Identity, DType::F32) => {
                Samples::F32(vectors.data.iter().map(|&v| if v.is_nan() { fill as f32 } else { v }).collect())
            }
            (CodecSpec::Identity, DType::F64) => {
                Samples::F64(vectors.data.iter().map(|&v| if v.is_nan() { fill } else { f64::from(v) }).collect())
            }
            _ => return None,
        };
        Some(Codes::new(samples, vectors.bands, vectors.height, vectors.width))
    }

    /// Halves a block of codes for an overview: decode, mean of the valid vectors, renormalise where vectors have unit
    /// length, encode. Codes without an inverse keep the upper left pixel of each four.
    #[must_use]
    pub fn halve_codes(&self, codes: &Codes) -> Codes {
        if self.decodes()
            && let Ok(vectors) = self.decode(codes, None)
            && vectors.bands == codes.bands
            && let Some(half) = self.encode(&halve(&vectors, self.unit_length), codes.dtype())
        {
            return half;
        }
        let (h, w) = (codes.height.div_ceil(2), codes.width.div_ceil(2));
        let samples = with_samples!(&codes.samples, v => Samples::from(pick(v, codes, h, w)));
        Codes::new(samples, codes.bands, h, w)
    }
}

fn pick<T: Copy>(v: &[T], codes: &Codes, h: usize, w: usize) -> Vec<T> {
    let mut out = Vec::with_capacity(codes.bands * h * w);
    for b in 0..codes.bands {
        for y in 0..h {
            let row = (b * codes.height + 2 * y) * codes.width;
            out.extend((0..w).map(|x| v[row + 2 * x]));
        }
    }
    out
}

/// Halves a block: each pixel is the mean of the valid vectors among its four, renormalised if `unit_length`.
#[must_use]
pub fn halve(vectors: &Vectors, unit_length: bool) -> Vectors {
    let (h, w) = (vectors.height.div_ceil(2), vectors.width.div_ceil(2));
    let mut out = Vectors::empty(vectors.bands, h, w, Status::Nodata);
    // The four sources of each pixel, the valid ones only, once for all bands.
    let mut sources: Vec<(u8, [u32; 4])> = Vec::with_capacity(h * w);
    for y in 0..h {
        for x in 0..w {
            let (mut n, mut idx) = (0u8, [0u32; 4]);
            for (dy, dx) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let (sy, sx) = (2 * y + dy, 2 * x + dx);
                if sy < vectors.height && sx < vectors.width {
                    let i = sy * vectors.width + sx;
                    if vectors.status[i] == Status::Valid {
                        #[allow(clippy::cast_possible_truncation)]
                        {
                            idx[usize::from(n)] = i as u32;
                        }
                        n += 1;
                    }
                }
            }
            if n > 0 {
                out.status[y * w + x] = Status::Valid;
            }
            sources.push((n, idx));
        }
    }
    let planes = h * w;
    out.data.par_chunks_mut(planes.max(1)).enumerate().for_each(|(b, plane)| {
        let band = vectors.band(b);
        for (v, (n, idx)) in plane.iter_mut().zip(&sources) {
            if *n > 0 {
                let sum: f32 = idx[..usize::from(*n)].iter().map(|&i| band[i as usize]).sum();
                *v = sum / f32::from(*n);
            }
        }
    });
    if unit_length {
        out.normalise();
    }
    out
}

#[allow(clippy::float_cmp)]
fn mark_missing<T: Number>(v: &[T], bands: usize, n: usize, rule: MissingRule, missing: &mut [bool]) {
    if n == 0 {
        return;
    }
    match rule {
        MissingRule::AnyBand(value) => {
            for band in v.chunks_exact(n).take(bands) {
                for (m, q) in missing.iter_mut().zip(band) {
                    *m |= q.to_f64() == value;
                }
            }
        }
        MissingRule::NonFinite => {
            for band in v.chunks_exact(n).take(bands) {
                for (m, q) in missing.iter_mut().zip(band) {
                    *m |= !q.to_f64().is_finite();
                }
            }
        }
        MissingRule::AllZero => {
            let mut zero = vec![true; n];
            for band in v.chunks_exact(n).take(bands) {
                for (z, q) in zero.iter_mut().zip(band) {
                    *z &= q.to_f64() == 0.0;
                }
            }
            for (m, z) in missing.iter_mut().zip(zero) {
                *m |= z;
            }
        }
    }
}

/// Applies a formula number by number; 8-bit codes go through a table.
#[allow(clippy::cast_possible_truncation)]
fn map(samples: &Samples, formula: impl Fn(f64) -> f64 + Sync) -> Vec<f32> {
    const RUN: usize = 1 << 16;
    let mut out = vec![0f32; samples.len()];
    match samples {
        Samples::I8(v) => {
            let table: Vec<f32> = (0..=255u8).map(|b| formula(f64::from(b.cast_signed())) as f32).collect();
            out.par_chunks_mut(RUN).zip(v.par_chunks(RUN)).for_each(|(o, v)| {
                for (o, &q) in o.iter_mut().zip(v) {
                    *o = table[usize::from(q.cast_unsigned())];
                }
            });
        }
        samples => with_samples!(samples, v => {
            out.par_chunks_mut(RUN).zip(v.par_chunks(RUN)).for_each(|(o, v)| {
                for (o, &q) in o.iter_mut().zip(v) {
                    *o = formula(Number::to_f64(q)) as f32;
                }
            });
        }),
    }
    out
}

/// The values of codes that stand each for one number; `None` where they don't.
fn numbers(codec: &CodecSpec, samples: &Samples) -> Option<Vec<f32>> {
    Some(match (codec, samples) {
        (CodecSpec::Identity, Samples::F32(v)) => v.clone(),
        (CodecSpec::Identity, _) => map(samples, |q| q),
        (CodecSpec::Linear { scale, offset }, _) => map(samples, |q| q * scale + offset),
        (CodecSpec::SignedSquare { scale, power, .. }, _) => {
            map(samples, |q| signed_power(q, *scale, *power))
        }
        _ => return None,
    })
}

/// Refuses a product of tables whose codes have no values.
///
/// # Errors
/// [`CodecError::Unpublished`], or [`CodecError::NotARow`] for codecs that need more than the row.
pub(crate) fn check_table(product: &Descriptor) -> Result<(), CodecError> {
    let unpublished =
        |reason: &str| CodecError::Unpublished { product: product.id.clone(), reason: reason.into() };
    match &product.codec {
        CodecSpec::Identity | CodecSpec::Linear { .. } | CodecSpec::SignedSquare { .. } => Ok(()),
        CodecSpec::Unknown { reason } => Err(unpublished(reason)),
        CodecSpec::SignBits { .. } => Err(unpublished(
            "only signs are kept, and the order of bits in a byte is not stated; the codes compare by Hamming distance",
        )),
        CodecSpec::Fsq { .. } | CodecSpec::PerPixelScale { .. } => {
            Err(CodecError::NotARow { product: product.id.clone() })
        }
    }
}

/// The values of the vectors of a table, row-major. Decoded floats of a product of codes are values already.
///
/// # Errors
/// As [`check_table`].
pub(crate) fn decode_table(product: &Descriptor, samples: Samples) -> Result<Vec<f32>, CodecError> {
    check_table(product)?;
    match (samples, &product.codec) {
        (Samples::F32(values), CodecSpec::Identity | CodecSpec::SignedSquare { .. }) => Ok(values),
        (samples, CodecSpec::SignedSquare { .. }) if samples.dtype().is_float() => Ok(map(&samples, |q| q)),
        (samples, codec) => Ok(numbers(codec, &samples).unwrap_or_default()),
    }
}

/// Codes times the scale of their pixel, in float32 as the product's own reader does it.
#[allow(clippy::cast_possible_truncation)]
fn scaled(codes: &Codes) -> Vec<f32> {
    let n = codes.height * codes.width;
    let mut out = vec![f32::NAN; codes.bands * n];
    let Some(scales) = &codes.scales else { return out };
    macro_rules! multiply {
        ($v:expr, $to_f32:expr) => {
            out.par_chunks_mut(n.max(1)).zip($v.par_chunks(n.max(1))).for_each(|(out, band)| {
                for ((o, &q), s) in out.iter_mut().zip(band).zip(scales) {
                    *o = $to_f32(q) * s;
                }
            })
        };
    }
    match &codes.samples {
        // By far the commonest, and worth the processor's own conversion.
        Samples::I8(v) => multiply!(v, f32::from),
        samples => with_samples!(samples, v => multiply!(v, |q| Number::to_f64(q) as f32)),
    }
    out
}

/// Finite scalar quantisation: each code holds one digit per level; decoded band = code index · levels + digit.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn fsq(codes: &Codes, levels: &[u32], codes_per_pixel: usize) -> Vec<f32> {
    let n = codes.height * codes.width;
    let mut out = vec![0f32; codes_per_pixel * levels.len() * n];
    out.par_chunks_mut(n.max(1)).enumerate().for_each(|(plane, out)| {
        let (code_band, digit) = (plane / levels.len(), plane % levels.len());
        let basis: u32 = levels[..digit].iter().product();
        let level = levels[digit];
        let half = f64::from(level / 2);
        with_samples!(&codes.samples, v => {
            for (o, q) in out.iter_mut().zip(&v[code_band * n..(code_band + 1) * n]) {
                let code = Number::to_f64(*q) as u32;
                *o = ((f64::from((code / basis) % level) - half) / half) as f32;
            }
        });
    });
    out
}
