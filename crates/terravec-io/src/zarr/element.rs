//! Types of array elements: those that vectors are made of, and those that coordinates need beside them.

use serde_json::Value;

use crate::DType;

/// The type of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Element {
    /// A number that a vector can be made of.
    Number(DType),
    /// A truth value of one byte.
    Bool,
    /// A 64-bit integer.
    I64,
    /// A 64-bit unsigned integer.
    U64,
    /// A time since 1970, or a span of time, as a 64-bit count of `scale` units (`ns`, `D`, `Y`, …).
    Time {
        /// The unit as NumPy writes it.
        unit: String,
        /// Units per count.
        scale: i64,
    },
    /// Text in a fixed number of bytes, ended by zeros.
    Bytes(usize),
    /// Text of a fixed number of 32-bit characters, ended by zeros.
    Utf32(usize),
    /// Text of any length.
    Text,
}

impl Element {
    /// Bytes per element; `None` for text of any length.
    #[must_use]
    pub fn size(&self) -> Option<usize> {
        Some(match self {
            Self::Number(dtype) => dtype.size(),
            Self::Bool => 1,
            Self::I64 | Self::U64 | Self::Time { .. } => 8,
            Self::Bytes(n) => *n,
            Self::Utf32(n) => 4 * n,
            Self::Text => return None,
        })
    }

    /// Bytes that are turned around together between byte orders.
    pub(super) fn word(&self) -> usize {
        match self {
            Self::Number(dtype) => dtype.size(),
            Self::I64 | Self::U64 | Self::Time { .. } => 8,
            Self::Utf32(_) => 4,
            Self::Bool | Self::Bytes(_) | Self::Text => 1,
        }
    }

    /// The type that `zarr.json` names.
    pub(super) fn of_v3(value: &Value) -> Result<Self, String> {
        let name = value.as_str().or_else(|| value.get("name")?.as_str()).unwrap_or_default();
        let option = |key: &str| value.get("configuration").and_then(|c| c.get(key));
        let length = || {
            let n = option("length_bytes").and_then(Value::as_u64).filter(|n| (1..=1 << 20).contains(n));
            n.map(|n| n as usize).ok_or_else(|| format!("data type {value}"))
        };
        Ok(match name {
            "bool" => Self::Bool,
            "int64" => Self::I64,
            "uint64" => Self::U64,
            "string" => Self::Text,
            "fixed_length_utf32" => Self::Utf32(length()?.div_ceil(4)),
            "null_terminated_bytes" => Self::Bytes(length()?),
            "numpy.datetime64" | "numpy.timedelta64" => Self::Time {
                unit: option("unit").and_then(Value::as_str).unwrap_or("generic").to_owned(),
                scale: option("scale_factor").and_then(Value::as_i64).unwrap_or(1),
            },
            name => match DType::from_name(name) {
                Some(dtype) => Self::Number(dtype),
                None => return Err(format!("data type {value}")),
            },
        })
    }

    /// The type that `.zarray` names as NumPy does, and whether its bytes are big-endian. `text` says that objects are text.
    pub(super) fn of_v2(descr: &str, text: bool) -> Result<(Self, bool), String> {
        let bad = || format!("data type {descr}");
        let mut chars = descr.chars();
        let (order, kind) = (chars.next().ok_or_else(bad)?, chars.next().ok_or_else(bad)?);
        if !['<', '>', '|'].contains(&order) {
            return Err(bad());
        }
        let rest = chars.as_str();
        let n = || rest.parse::<usize>().ok().filter(|n| (1..=1 << 20).contains(n)).ok_or_else(bad);
        let element = match kind {
            'b' if rest == "1" => Self::Bool,
            'O' if text => Self::Text,
            'S' => Self::Bytes(n()?),
            'U' => Self::Utf32(n()?),
            'M' | 'm' => {
                let unit = rest.strip_prefix("8[").and_then(|u| u.strip_suffix(']')).ok_or_else(bad)?;
                let digits = unit.len() - unit.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                let scale = if digits == 0 { 1 } else { unit[..digits].parse().map_err(|_| bad())? };
                Self::Time { unit: unit[digits..].to_owned(), scale }
            }
            _ => {
                let name = match kind {
                    'i' => "int",
                    'u' => "uint",
                    'f' => "float",
                    _ => return Err(bad()),
                };
                match (kind, n()? * 8) {
                    ('i', 64) => Self::I64,
                    ('u', 64) => Self::U64,
                    (_, bits) => {
                        DType::from_name(&format!("{name}{bits}")).map(Self::Number).ok_or_else(bad)?
                    }
                }
            }
        };
        Ok((element, order == '>'))
    }
}

impl std::fmt::Display for Element {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(dtype) => write!(f, "{dtype}"),
            Self::Bool => f.write_str("bool"),
            Self::I64 => f.write_str("int64"),
            Self::U64 => f.write_str("uint64"),
            Self::Time { unit, scale: 1 } => write!(f, "time[{unit}]"),
            Self::Time { unit, scale } => write!(f, "time[{scale}{unit}]"),
            Self::Bytes(n) => write!(f, "bytes[{n}]"),
            Self::Utf32(n) => write!(f, "utf32[{n}]"),
            Self::Text => f.write_str("string"),
        }
    }
}
