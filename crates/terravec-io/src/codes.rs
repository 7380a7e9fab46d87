//! Stored numbers as they lie in a file: `Codes`.
//!
//! Codes are not values. Nothing here averages, compares or interpolates them; the engine's codecs turn
//! them into vectors first. That is why this type has no arithmetic.

use half::f16;

/// The type of a stored number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum DType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F16,
    F32,
    F64,
}

impl DType {
    /// All types.
    pub const ALL: [Self; 9] =
        [Self::U8, Self::I8, Self::U16, Self::I16, Self::U32, Self::I32, Self::F16, Self::F32, Self::F64];

    /// Bytes per number.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// The NumPy name: `uint8`, `float32`, ….
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::U8 => "uint8",
            Self::I8 => "int8",
            Self::U16 => "uint16",
            Self::I16 => "int16",
            Self::U32 => "uint32",
            Self::I32 => "int32",
            Self::F16 => "float16",
            Self::F32 => "float32",
            Self::F64 => "float64",
        }
    }

    /// The type with this NumPy name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|d| d.name() == name)
    }

    /// Whether the numbers are floating point.
    #[must_use]
    pub fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::F32 | Self::F64)
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A flat run of stored numbers of one type.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Samples {
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    U32(Vec<u32>),
    I32(Vec<i32>),
    F16(Vec<f16>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// Runs `$body` with `$v` bound to the typed vector inside a [`Samples`].
#[macro_export]
macro_rules! with_samples {
    ($samples:expr, $v:ident => $body:expr) => {
        match $samples {
            $crate::Samples::U8($v) => $body,
            $crate::Samples::I8($v) => $body,
            $crate::Samples::U16($v) => $body,
            $crate::Samples::I16($v) => $body,
            $crate::Samples::U32($v) => $body,
            $crate::Samples::I32($v) => $body,
            $crate::Samples::F16($v) => $body,
            $crate::Samples::F32($v) => $body,
            $crate::Samples::F64($v) => $body,
        }
    };
}

macro_rules! from_vec {
    ($($variant:ident: $t:ty),*) => {
        $(impl From<Vec<$t>> for Samples {
            fn from(v: Vec<$t>) -> Self {
                Self::$variant(v)
            }
        })*
    };
}
from_vec!(U8: u8, I8: i8, U16: u16, I16: i16, U32: u32, I32: i32, F16: f16, F32: f32, F64: f64);

impl Samples {
    /// `len` copies of `value`, cast to `dtype` (saturating).
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn filled(dtype: DType, len: usize, value: f64) -> Self {
        match dtype {
            DType::U8 => Self::U8(vec![value as u8; len]),
            DType::I8 => Self::I8(vec![value as i8; len]),
            DType::U16 => Self::U16(vec![value as u16; len]),
            DType::I16 => Self::I16(vec![value as i16; len]),
            DType::U32 => Self::U32(vec![value as u32; len]),
            DType::I32 => Self::I32(vec![value as i32; len]),
            DType::F16 => Self::F16(vec![f16::from_f64(value); len]),
            DType::F32 => Self::F32(vec![value as f32; len]),
            DType::F64 => Self::F64(vec![value; len]),
        }
    }

    /// The type of the numbers.
    #[must_use]
    pub fn dtype(&self) -> DType {
        match self {
            Self::U8(_) => DType::U8,
            Self::I8(_) => DType::I8,
            Self::U16(_) => DType::U16,
            Self::I16(_) => DType::I16,
            Self::U32(_) => DType::U32,
            Self::I32(_) => DType::I32,
            Self::F16(_) => DType::F16,
            Self::F32(_) => DType::F32,
            Self::F64(_) => DType::F64,
        }
    }

    /// How many numbers.
    #[must_use]
    pub fn len(&self) -> usize {
        with_samples!(self, v => v.len())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers of little-endian bytes.
    #[must_use]
    pub fn from_le_bytes(dtype: DType, bytes: Vec<u8>) -> Self {
        macro_rules! wide {
            ($t:ty) => {
                bytes.as_chunks().0.iter().map(|b| <$t>::from_le_bytes(*b)).collect::<Vec<$t>>().into()
            };
        }
        match dtype {
            DType::U8 => Self::U8(bytes),
            DType::I8 => Self::I8(bytes.into_iter().map(u8::cast_signed).collect()),
            DType::U16 => wide!(u16),
            DType::I16 => wide!(i16),
            DType::U32 => wide!(u32),
            DType::I32 => wide!(i32),
            DType::F16 => wide!(f16),
            DType::F32 => wide!(f32),
            DType::F64 => wide!(f64),
        }
    }

    /// The columns of a table of `width` columns, one after the other: pixel by pixel becomes band by band.
    ///
    /// # Panics
    /// If `width` is 0.
    #[must_use]
    pub fn transposed(&self, width: usize) -> Self {
        /// Numbers handled at a time, so that they stay in the nearest cache.
        const NEAR: usize = 16 * 1024;
        with_samples!(self, v => {
            let rows = v.len() / width;
            let step = (NEAR / width).clamp(16, 1024);
            let mut out = v.clone();
            for (i, run) in v.chunks(step * width).enumerate() {
                for (b, column) in out.chunks_exact_mut(rows.max(1)).enumerate() {
                    for (o, row) in column[i * step..].iter_mut().zip(run.chunks_exact(width)) {
                        *o = row[b];
                    }
                }
            }
            Self::from(out)
        })
    }

    /// The numbers as little-endian bytes.
    #[must_use]
    pub fn to_le_bytes(&self) -> Vec<u8> {
        match self {
            Self::U8(v) => v.clone(),
            Self::I8(v) => v.iter().map(|x| x.cast_unsigned()).collect(),
            other => {
                let mut out = Vec::with_capacity(other.len() * other.dtype().size());
                with_samples!(other, v => v.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes())));
                out
            }
        }
    }
}

/// Stored numbers with their shape: (band, y, x), C order, north row first.
#[derive(Debug, Clone, PartialEq)]
pub struct Codes {
    /// The numbers, `bands * height * width` of them.
    pub samples: Samples,
    /// Bands, the slowest axis.
    pub bands: usize,
    /// Rows.
    pub height: usize,
    /// Columns, the fastest axis.
    pub width: usize,
    /// What the codes of each pixel are to be multiplied with, `height * width`, where the product keeps that apart.
    pub scales: Option<Vec<f32>>,
}

impl Codes {
    /// Wraps `samples`.
    ///
    /// # Panics
    /// If the number of samples is not `bands * height * width`.
    #[must_use]
    pub fn new(samples: Samples, bands: usize, height: usize, width: usize) -> Self {
        assert_eq!(samples.len(), bands * height * width, "shape does not fit the samples");
        Self { samples, bands, height, width, scales: None }
    }

    /// The same with a scale for each pixel.
    ///
    /// # Panics
    /// If there are not `height * width` of them.
    #[must_use]
    pub fn with_scales(self, scales: Vec<f32>) -> Self {
        assert_eq!(scales.len(), self.height * self.width, "one scale per pixel");
        Self { scales: Some(scales), ..self }
    }

    /// `value` everywhere.
    #[must_use]
    pub fn filled(dtype: DType, bands: usize, height: usize, width: usize, value: f64) -> Self {
        Self::new(Samples::filled(dtype, bands * height * width, value), bands, height, width)
    }

    /// The type of the numbers.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.samples.dtype()
    }

    /// Only `bands`, in that order.
    ///
    /// # Panics
    /// If a band is not there.
    #[must_use]
    pub fn select(&self, bands: &[usize]) -> Self {
        let n = self.height * self.width;
        let samples = with_samples!(&self.samples, v => {
            let mut out = Vec::with_capacity(bands.len() * n);
            for b in bands {
                out.extend_from_slice(&v[b * n..(b + 1) * n]);
            }
            Samples::from(out)
        });
        Self { scales: self.scales.clone(), ..Self::new(samples, bands.len(), self.height, self.width) }
    }

    /// The part with `height` rows from `row` and `width` columns from `col`, all bands.
    ///
    /// # Panics
    /// If the part is not inside.
    #[must_use]
    pub fn crop(&self, row: usize, col: usize, height: usize, width: usize) -> Self {
        assert!(row + height <= self.height && col + width <= self.width, "the part is not inside");
        let samples = with_samples!(&self.samples, v => {
            let mut out = Vec::with_capacity(self.bands * height * width);
            for b in 0..self.bands {
                for y in row..row + height {
                    let at = (b * self.height + y) * self.width + col;
                    out.extend_from_slice(&v[at..at + width]);
                }
            }
            Samples::from(out)
        });
        let rows = |s: &Vec<f32>| {
            (row..row + height).flat_map(|y| s[y * self.width + col..][..width].to_vec()).collect()
        };
        Self { scales: self.scales.as_ref().map(rows), ..Self::new(samples, self.bands, height, width) }
    }
}
