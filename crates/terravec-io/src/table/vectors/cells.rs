//! Vectors in one cell: as bytes, or as text.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use half::f16;

use super::{VectorBlock, VectorSpec, VectorState, guessed, mark_not_finite, wrong};
use crate::codes::{DType, Samples};
use crate::table::TableError;
use crate::with_samples;

/// A number in a cell.
trait Number: Copy + Default {
    fn of_bytes(bytes: &[u8]) -> Option<Self>;
    fn of_text(text: &str) -> Option<Self>;
}

macro_rules! numbers {
    ($($t:ty, $text:expr;)*) => {
        $(impl Number for $t {
            fn of_bytes(bytes: &[u8]) -> Option<Self> {
                Some(Self::from_le_bytes(bytes.try_into().ok()?))
            }
            fn of_text(text: &str) -> Option<Self> {
                $text(text)
            }
        })*
    };
}

/// Words for a missing number.
fn is_missing(text: &str) -> bool {
    ["null", "none", "na"].iter().any(|w| text.eq_ignore_ascii_case(w))
}

/// A number as text; a word for a missing one is NaN.
pub(in crate::table) fn float<T: std::str::FromStr>(text: &str) -> Option<T> {
    let text = if is_missing(text) { "nan" } else { text };
    text.parse().ok()
}

fn whole<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

numbers! {
    u8, whole; i8, whole; u16, whole; i16, whole; u32, whole; i32, whole;
    f16, |t| float(t).map(f16::from_f64); f32, float; f64, float;
}

pub(super) fn read_bytes(column: &ArrayRef, spec: &VectorSpec) -> Result<VectorBlock, TableError> {
    let Some(dtype) = spec.dtype else {
        return Err(wrong("a column of bytes does not say which numbers it holds".into()));
    };
    let size = dtype.size();
    let wide = match column.data_type() {
        // Arrow casts only from here to there.
        DataType::FixedSizeBinary(_) => {
            cast(column, &DataType::Binary).and_then(|c| cast(&c, &DataType::LargeBinary))
        }
        _ => cast(column, &DataType::LargeBinary),
    };
    let wide = wide.map_err(|e| wrong(e.to_string()))?;
    let cells = wide.as_binary::<i64>();
    let fixed = match column.data_type() {
        DataType::FixedSizeBinary(n) => usize::try_from(*n).ok().map(|n| n / size),
        _ => None,
    };
    let first = cells.iter().flatten().next().map(|b| b.len() / size);
    let dim = dim_of(spec.dim.or(fixed), first, column.len())?;
    let mut samples = Samples::filled(dtype, dim * column.len(), 0.0);
    let mut states = Vec::with_capacity(column.len());
    with_samples!(&mut samples, out => {
        for (row, cell) in cells.iter().enumerate() {
            states.push(match cell {
                None => VectorState::Null,
                Some(bytes) if bytes.len() % size != 0 => VectorState::Unreadable,
                Some(bytes) if bytes.len() / size != dim => VectorState::Length(bytes.len() / size),
                Some(bytes) => {
                    for (to, from) in out[row * dim..].iter_mut().zip(bytes.chunks_exact(size)) {
                        *to = Number::of_bytes(from).unwrap_or_default();
                    }
                    VectorState::Present
                }
            });
        }
    });
    mark_not_finite(&samples, dim, &mut states);
    Ok(VectorBlock { samples, dim, states })
}

pub(super) fn read_text(column: &ArrayRef, spec: &VectorSpec) -> Result<VectorBlock, TableError> {
    let wide = cast(column, &DataType::LargeUtf8).map_err(|e| wrong(e.to_string()))?;
    let cells = wide.as_string::<i64>();
    let first = cells.iter().flatten().find(|t| !t.trim().is_empty()).map(|t| words(t).count());
    let dim = dim_of(spec.dim, first, column.len())?;
    let mut samples = Samples::filled(spec.dtype.unwrap_or(DType::F32), dim * column.len(), 0.0);
    let mut states = Vec::with_capacity(column.len());
    with_samples!(&mut samples, out => {
        for (row, cell) in cells.iter().enumerate() {
            states.push(match cell {
                None => VectorState::Null,
                Some(text) if text.trim().is_empty() => VectorState::Null,
                Some(text) => parse(text, &mut out[row * dim..(row + 1) * dim]),
            });
        }
    });
    mark_not_finite(&samples, dim, &mut states);
    Ok(VectorBlock { samples, dim, states })
}

fn dim_of(known: Option<usize>, first: Option<usize>, rows: usize) -> Result<usize, TableError> {
    match known {
        Some(dim) => Ok(dim),
        None => guessed(first.unwrap_or(0), rows),
    }
}

/// The words between the brackets, if there are any: JSON, Python, NumPy and PostgreSQL write vectors alike.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let inner = text.trim().trim_start_matches(['[', '(', '{']).trim_end_matches([']', ')', '}']);
    inner.split(|c: char| c == ',' || c == ';' || c.is_whitespace()).filter(|w| !w.is_empty())
}

fn parse<T: Number>(text: &str, out: &mut [T]) -> VectorState {
    let mut n = 0;
    for word in words(text) {
        let Some(number) = T::of_text(word) else { return VectorState::Unreadable };
        if let Some(to) = out.get_mut(n) {
            *to = number;
        }
        n += 1;
    }
    if n == out.len() { VectorState::Present } else { VectorState::Length(n) }
}
