//! Steps that look at numbers rather than bytes.

use half::f16;
use pco::standalone::simple_decompress;

use crate::DType;
use crate::zarr::element::Element;

/// Changes the byte order of words of `size` bytes.
pub(super) fn turn_around(bytes: &mut [u8], size: usize) {
    if size > 1 {
        bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
}

/// Makes numbers of differences: each is added to the one before.
pub(super) fn undo_delta(bytes: &mut [u8], element: &Element) {
    macro_rules! sums {
        ($t:ty, $add:expr) => {{
            let mut sum = <$t>::default();
            for word in bytes.as_chunks_mut::<{ size_of::<$t>() }>().0 {
                sum = $add(sum, <$t>::from_le_bytes(*word));
                *word = sum.to_le_bytes();
            }
        }};
    }
    match element {
        Element::Number(DType::U8 | DType::I8) | Element::Bool => sums!(u8, u8::wrapping_add),
        Element::Number(DType::U16 | DType::I16) => sums!(u16, u16::wrapping_add),
        Element::Number(DType::U32 | DType::I32) => sums!(u32, u32::wrapping_add),
        Element::I64 | Element::U64 | Element::Time { .. } => sums!(u64, u64::wrapping_add),
        Element::Number(DType::F16) => sums!(f16, |a, b| a + b),
        Element::Number(DType::F32) => sums!(f32, |a, b| a + b),
        Element::Number(DType::F64) => sums!(f64, |a, b| a + b),
        Element::Bytes(_) | Element::Utf32(_) | Element::Text => {}
    }
}

/// The bytes of numbers that pcodec packed.
pub(super) fn unpack(bytes: &[u8], element: &Element) -> Result<Vec<u8>, String> {
    macro_rules! unpack {
        ($t:ty) => {
            simple_decompress::<$t>(bytes)
                .map_err(|e| format!("pcodec: {e}"))?
                .into_iter()
                .flat_map(<$t>::to_le_bytes)
                .collect()
        };
    }
    Ok(match element {
        Element::Number(DType::U16) => unpack!(u16),
        Element::Number(DType::I16) => unpack!(i16),
        Element::Number(DType::U32) => unpack!(u32),
        Element::Number(DType::I32) => unpack!(i32),
        Element::Number(DType::F16) => unpack!(f16),
        Element::Number(DType::F32) => unpack!(f32),
        Element::Number(DType::F64) => unpack!(f64),
        Element::I64 => unpack!(i64),
        Element::U64 => unpack!(u64),
        other => return Err(format!("pcodec does not pack {other}")),
    })
}
