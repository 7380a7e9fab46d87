//! A column of vectors as stored numbers, whatever it is made of.
//!
//! Products ship vectors as lists of all kinds, as bytes, as text, or as one column per number. Here each becomes one
//! flat run of numbers and a state per row, so that whoever decides what to do about a bad row sees every one of them.

mod cells;
mod lists;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::TableError;
use crate::codes::{DType, Samples};
use crate::with_samples;
pub(super) use cells::float;
use lists::{by_type, numbers};

/// Numbers of a block of vectors of which nobody said how long they are.
const MAX_GUESSED: usize = 1 << 28;

/// What is known of a column of vectors.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct VectorSpec {
    /// The length that is wanted. `None` takes that of the column's type, else of its first vector.
    pub dim: Option<usize>,
    /// The numbers in a column of bytes, little-endian; and the type that text is parsed as (float32 if `None`).
    pub dtype: Option<DType>,
}

/// What a row has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VectorState {
    /// A vector of the wanted length with finite numbers.
    Present,
    /// No vector.
    Null,
    /// A vector of another length; this is it.
    Length(usize),
    /// A number of it is missing, NaN, infinite, or an integer beyond 32 bits.
    NotFinite,
    /// Text or bytes that are no vector.
    Unreadable,
}

/// The vectors of some rows.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorBlock {
    /// Row-major, `dim` numbers for each row. Those of a row that is not [`Present`](VectorState::Present) mean nothing.
    pub samples: Samples,
    /// Numbers per row; 0 where no row has a vector and nothing else tells.
    pub dim: usize,
    /// One per row.
    pub states: Vec<VectorState>,
}

/// The vectors of a column of lists (of any kind, of numbers), of bytes, or of text such as `[0.1, 0.2]`. Numbers keep
/// their type; 64-bit integers become 32-bit ones.
///
/// Nothing is copied where the column holds the only reference to its numbers and they lie row by row, as those that
/// come fresh from a file do: take the column out of its batch and drop the rest.
///
/// # Errors
/// If the column is of a type that holds no vectors, bytes come without [`VectorSpec::dtype`], or the first vector of a
/// column of unknown length is so long that a block of them has no place.
pub fn vectors_of(column: ArrayRef, spec: &VectorSpec) -> Result<VectorBlock, TableError> {
    match column.data_type() {
        DataType::FixedSizeList(..)
        | DataType::List(_)
        | DataType::LargeList(_)
        | DataType::ListView(_)
        | DataType::LargeListView(_) => lists::read(column, spec.dim),
        DataType::FixedSizeBinary(_) | DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            cells::read_bytes(&column, spec)
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => cells::read_text(&column, spec),
        DataType::Null => {
            let dim = spec.dim.unwrap_or(0);
            let samples = Samples::filled(spec.dtype.unwrap_or(DType::F32), column.len() * dim, 0.0);
            Ok(VectorBlock { samples, dim, states: vec![VectorState::Null; column.len()] })
        }
        other => Err(wrong(format!("a column of type {other} holds no vectors"))),
    }
}

/// The vectors of a table with one column per number, in order. Numbers of several types become float64. A row of which
/// all numbers are missing has no vector.
///
/// # Errors
/// If there is no column, they differ in length, or one is not numeric.
pub fn vectors_of_columns(columns: &[ArrayRef]) -> Result<VectorBlock, TableError> {
    let Some(first) = columns.first() else { return Err(wrong("no columns are the vector".into())) };
    if columns.iter().any(|c| c.len() != first.len()) {
        return Err(wrong("the columns of the vector differ in length".into()));
    }
    if let Some(other) = columns.iter().find(|c| !c.data_type().is_numeric()) {
        return Err(wrong(format!("a column of the vector holds {}, not numbers", other.data_type())));
    }
    let same = columns.iter().all(|c| c.data_type() == first.data_type());
    let columns: Result<Vec<ArrayRef>, _> = if same {
        columns.iter().map(|c| numbers(ArrayRef::clone(c))).collect()
    } else {
        columns.iter().map(|c| cast(c, &DataType::Float64).map_err(|e| wrong(e.to_string()))).collect()
    };
    let columns = columns?;
    let (rows, dim) = (columns[0].len(), columns.len());
    let samples = by_type!(columns[0].data_type(), T => {
        let columns: Vec<_> = columns.iter().map(|c| c.as_primitive::<T>().values()).collect();
        Samples::from((0..rows).flat_map(|row| columns.iter().map(move |c| c[row])).collect::<Vec<_>>())
    })?;
    let mut states = vec![VectorState::Present; rows];
    let nullable: Vec<&ArrayRef> = columns.iter().filter(|c| c.null_count() > 0).collect();
    if !nullable.is_empty() {
        for (row, state) in states.iter_mut().enumerate() {
            match nullable.iter().filter(|c| c.is_null(row)).count() {
                0 => {}
                n if n == dim => *state = VectorState::Null,
                _ => *state = VectorState::NotFinite,
            }
        }
    }
    mark_not_finite(&samples, dim, &mut states);
    Ok(VectorBlock { samples, dim, states })
}

/// Turns [`Present`](VectorState::Present) to [`NotFinite`](VectorState::NotFinite) where a number is.
fn mark_not_finite(samples: &Samples, dim: usize, states: &mut [VectorState]) {
    if !samples.dtype().is_float() || dim == 0 {
        return;
    }
    with_samples!(samples, v => {
        for (row, state) in v.chunks_exact(dim).zip(states) {
            if *state == VectorState::Present && !Finite::all(row) {
                *state = VectorState::NotFinite;
            }
        }
    });
}

/// Whether numbers are finite, all at once: the largest bit pattern without its sign tells.
trait Finite: Sized {
    fn all(row: &[Self]) -> bool;
}

macro_rules! finite {
    ($($t:ty, $bits:ty, $infinity:expr;)*) => {
        $(impl Finite for $t {
            fn all(row: &[Self]) -> bool {
                #[allow(clippy::cast_possible_wrap)] // the sign is masked off
                let largest = row.iter().fold(0, |m: $bits, v| m.max(v.to_bits() as $bits & <$bits>::MAX));
                largest < $infinity
            }
        })*
    };
}
finite! {
    half::f16, i16, 0x7c00;
    f32, i32, 0x7f80_0000;
    f64, i64, 0x7ff0_0000_0000_0000;
}
macro_rules! integers {
    ($($t:ty)*) => { $(impl Finite for $t { fn all(_: &[Self]) -> bool { true } })* };
}
integers!(u8 i8 u16 i16 u32 i32);

fn wrong(what: String) -> TableError {
    let help = "name a column of lists, bytes or text of numbers, or one column per number".into();
    TableError::Column { url: String::new(), what, help }
}

/// Refuses a length that one vector would force on all others.
fn guessed(dim: usize, rows: usize) -> Result<usize, TableError> {
    if dim.saturating_mul(rows) > MAX_GUESSED {
        return Err(wrong(format!(
            "its first vector has {dim} numbers, too many to be the length of all {rows}"
        )));
    }
    Ok(dim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_is_found_at_any_place() {
        for n in 1..40 {
            for i in 0..n {
                let mut row = vec![-f32::MAX; n];
                assert!(Finite::all(&row));
                for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    row[i] = bad;
                    assert!(!Finite::all(&row));
                    assert!(!Finite::all(&row.iter().map(|v| f64::from(*v)).collect::<Vec<_>>()));
                    assert!(!Finite::all(&row.iter().map(|v| half::f16::from_f32(*v)).collect::<Vec<_>>()));
                }
            }
        }
    }
}
