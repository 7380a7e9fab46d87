//! `fill_value` in all the forms that it has.

use half::f16;
use serde_json::Value;

use super::element::Element;
use crate::DType;

/// The bytes (little-endian) of an element that was never written.
pub(super) fn bytes(value: &Value, element: &Element) -> Result<Vec<u8>, String> {
    let bad = || format!("fill value {value} is none of type {element}");
    if value.is_null() {
        // Zarr v2: nothing is said. Readers agree on zero.
        return Ok(vec![0; element.size().unwrap_or(0)]);
    }
    Ok(match element {
        Element::Bool => match (value.as_bool(), value.as_f64()) {
            (Some(b), _) => vec![u8::from(b)],
            (None, Some(n)) if n == 0.0 || n == 1.0 => vec![u8::from(n == 1.0)],
            _ => return Err(bad()),
        },
        Element::Number(DType::F64) => float(value, 8).ok_or_else(bad)?.to_le_bytes().to_vec(),
        Element::Number(DType::F32) => match hex(value, 4) {
            Some(bits) => (bits as u32).to_le_bytes().to_vec(),
            None => (float(value, 0).ok_or_else(bad)? as f32).to_le_bytes().to_vec(),
        },
        Element::Number(DType::F16) => match hex(value, 2) {
            Some(bits) => (bits as u16).to_le_bytes().to_vec(),
            None => f16::from_f64(float(value, 0).ok_or_else(bad)?).to_le_bytes().to_vec(),
        },
        Element::Number(_) | Element::I64 | Element::U64 => integer(value, element).ok_or_else(bad)?,
        Element::Time { .. } if value.as_str() == Some("NaT") => i64::MIN.to_le_bytes().to_vec(),
        Element::Time { .. } => value.as_i64().ok_or_else(bad)?.to_le_bytes().to_vec(),
        Element::Text => {
            value.as_str().map(|s| s.as_bytes().to_vec()).or_else(|| zero(value)).ok_or_else(bad)?
        }
        // Whatever text stands for nothing: only its absence matters here.
        Element::Bytes(n) => vec![0; *n],
        Element::Utf32(n) => vec![0; 4 * n],
    })
}

/// Zero stands for empty text in old stores.
fn zero(value: &Value) -> Option<Vec<u8>> {
    (value.as_f64() == Some(0.0)).then(Vec::new)
}

/// The bits of `"0x…"`, most significant first, of `size` bytes.
fn hex(value: &Value, size: usize) -> Option<u64> {
    let digits = value.as_str()?.strip_prefix("0x")?;
    (digits.len() == 2 * size).then(|| u64::from_str_radix(digits, 16).ok())?
}

fn float(value: &Value, hex_size: usize) -> Option<f64> {
    match value.as_str() {
        None => value.as_f64(),
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some(_) if hex_size == 8 => hex(value, 8).map(f64::from_bits),
        Some(_) => None,
    }
}

fn integer(value: &Value, element: &Element) -> Option<Vec<u8>> {
    // Some writers put 0.0 where they mean 0.
    let whole = || value.as_f64().filter(|v| v.fract() == 0.0 && v.abs() < 9e15).map(|v| v as i128);
    let n: i128 = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from)).or_else(whole)?;
    Some(match element {
        Element::Number(DType::U8) => u8::try_from(n).ok()?.to_le_bytes().to_vec(),
        Element::Number(DType::I8) => i8::try_from(n).ok()?.to_le_bytes().to_vec(),
        Element::Number(DType::U16) => u16::try_from(n).ok()?.to_le_bytes().to_vec(),
        Element::Number(DType::I16) => i16::try_from(n).ok()?.to_le_bytes().to_vec(),
        Element::Number(DType::U32) => u32::try_from(n).ok()?.to_le_bytes().to_vec(),
        Element::Number(DType::I32) => i32::try_from(n).ok()?.to_le_bytes().to_vec(),
        Element::I64 => i64::try_from(n).ok()?.to_le_bytes().to_vec(),
        Element::U64 => u64::try_from(n).ok()?.to_le_bytes().to_vec(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_forms_are_understood() {
        let f32 = Element::Number(DType::F32);
        let read = |v: Value, e: &Element| bytes(&v, e);
        assert_eq!(read(json!("Infinity"), &f32).unwrap(), f32::INFINITY.to_le_bytes());
        assert_eq!(read(json!("0x7fc00000"), &f32).unwrap(), f32::NAN.to_le_bytes());
        assert!(f32::from_le_bytes(read(json!("NaN"), &f32).unwrap().try_into().unwrap()).is_nan());
        assert_eq!(read(json!(null), &f32).unwrap(), [0; 4]);
        assert_eq!(read(json!(-128), &Element::Number(DType::I8)).unwrap(), [0x80]);
        assert_eq!(read(json!(0.0), &Element::Number(DType::I8)).unwrap(), [0]);
        assert_eq!(read(json!(u64::MAX), &Element::U64).unwrap(), [255; 8]);
        assert_eq!(read(json!(true), &Element::Bool).unwrap(), [1]);
        for bad in [json!(300), json!("0x00"), json!(0.5), json!({})] {
            assert!(read(bad.clone(), &Element::Number(DType::I8)).is_err(), "{bad}");
        }
        assert!(read(json!("+inf"), &f32).is_err());
    }
}
