//! Numbers in a model file: base64 of little-endian bytes, which JSON carries exactly and without growing much.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize, Serializer};

/// An array of numbers of one type.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Array<T>(pub(crate) Vec<T>);

/// A number with a fixed size in bytes.
pub(crate) trait Number: Copy {
    fn put(self, out: &mut Vec<u8>);
    fn all(bytes: &[u8]) -> Option<Vec<Self>>;
}

macro_rules! number {
    ($($t:ty),*) => {
        $(impl Number for $t {
            fn put(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn all(bytes: &[u8]) -> Option<Vec<Self>> {
                let (numbers, rest) = bytes.as_chunks::<{ size_of::<$t>() }>();
                rest.is_empty().then(|| numbers.iter().map(|b| Self::from_le_bytes(*b)).collect())
            }
        })*
    };
}
number!(u16, u32, f32, f64);

impl<T: Number> Serialize for Array<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(size_of_val(self.0.as_slice()));
        self.0.iter().for_each(|v| v.put(&mut bytes));
        serializer.serialize_str(&STANDARD.encode(bytes))
    }
}

impl<'de, T: Number> Deserialize<'de> for Array<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
        T::all(&bytes).map(Self).ok_or_else(|| D::Error::custom("an array ends within a number"))
    }
}

impl<T> std::ops::Deref for Array<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_as_they_were() {
        let a = Array(vec![0.1f64, -0.0, f64::MAX]);
        let text = serde_json::to_string(&a).unwrap();
        assert_eq!(serde_json::from_str::<Array<f64>>(&text).unwrap(), a);
        assert!(serde_json::from_str::<Array<f64>>("\"AAAA\"").is_err());
        assert!(serde_json::from_str::<Array<f64>>("\"?\"").is_err());
    }
}
