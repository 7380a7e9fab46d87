//! The two precisions networks run in, under one name.

use faer::traits::ComplexField;
use half::{bf16, f16};

/// A floating-point type a network can run in: `f32` or `f64`.
pub trait Real: ComplexField + Copy + Default + Send + Sync + PartialOrd + std::fmt::Debug + 'static {
    /// The nearest value.
    fn of(value: f64) -> Self;
    /// Exactly this value.
    fn wide(self) -> f64;
    /// Hyperbolic sine.
    fn hyperbolic_sine(self) -> Self;
    /// Sum.
    fn plus(self, other: Self) -> Self;
    /// Product.
    fn times(self, other: Self) -> Self;
}

macro_rules! real {
    ($t:ty) => {
        impl Real for $t {
            #[allow(clippy::cast_possible_truncation)]
            fn of(value: f64) -> Self {
                value as $t
            }
            fn wide(self) -> f64 {
                f64::from(self)
            }
            fn hyperbolic_sine(self) -> Self {
                self.sinh()
            }
            fn plus(self, other: Self) -> Self {
                self + other
            }
            fn times(self, other: Self) -> Self {
                self * other
            }
        }
    };
}
real!(f32);
real!(f64);

/// How a file stores its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    F16,
    Bf16,
    F32,
    F64,
}

impl Stored {
    pub(crate) fn size(self) -> usize {
        match self {
            Stored::F16 | Stored::Bf16 => 2,
            Stored::F32 => 4,
            Stored::F64 => 8,
        }
    }

    /// The number in the first bytes of `b` (little endian), of which there must be [`Self::size`].
    pub(crate) fn number(self, b: &[u8]) -> f64 {
        match self {
            Stored::F16 => f16::from_le_bytes([b[0], b[1]]).to_f64(),
            Stored::Bf16 => bf16::from_le_bytes([b[0], b[1]]).to_f64(),
            Stored::F32 => f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
            Stored::F64 => f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]),
        }
    }
}
