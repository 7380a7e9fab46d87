//! Vectors in lists of every kind.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{ArrowPrimitiveType, DataType};

use super::{VectorBlock, VectorState, guessed, mark_not_finite, wrong};
use crate::codes::Samples;
use crate::table::TableError;

/// Runs `$body` with `$t` as the Arrow type of numbers that [`Samples`] has; an error for other types.
macro_rules! by_type {
    ($kind:expr, $t:ident => $body:expr) => {{
        use arrow::datatypes as types;
        macro_rules! as_type {
            ($of:ident) => {{
                type $t = types::$of;
                Ok($body)
            }};
        }
        match $kind {
            DataType::UInt8 => as_type!(UInt8Type),
            DataType::Int8 => as_type!(Int8Type),
            DataType::UInt16 => as_type!(UInt16Type),
            DataType::Int16 => as_type!(Int16Type),
            DataType::UInt32 => as_type!(UInt32Type),
            DataType::Int32 => as_type!(Int32Type),
            DataType::Float16 => as_type!(Float16Type),
            DataType::Float32 => as_type!(Float32Type),
            DataType::Float64 => as_type!(Float64Type),
            other => Err($crate::table::vectors::wrong(format!("{other} are no numbers of a vector"))),
        }
    }};
}
pub(super) use by_type;

/// The same numbers, in a type that [`Samples`] has; null where one is too large for it.
pub(super) fn numbers(values: ArrayRef) -> Result<ArrayRef, TableError> {
    let to = match values.data_type() {
        DataType::Int64 => DataType::Int32,
        DataType::UInt64 => DataType::UInt32,
        // A column without any number has no type of its own.
        DataType::Null => DataType::Float32,
        _ => return Ok(values),
    };
    cast(&values, &to).map_err(|e| wrong(e.to_string()))
}

/// Where the numbers of each row are.
enum Spans {
    /// Row by row, so many each.
    Fixed(usize),
    Each(Vec<Range<usize>>),
}

impl Spans {
    fn of(&self, row: usize) -> Range<usize> {
        match self {
            Self::Fixed(n) => row * n..(row + 1) * n,
            Self::Each(spans) => spans[row].clone(),
        }
    }
}

pub(super) fn read(column: ArrayRef, dim: Option<usize>) -> Result<VectorBlock, TableError> {
    let rows = column.len();
    let nulls = column.nulls().cloned();
    let (values, spans) = parts(column)?;
    let values = numbers(values)?;
    let valid = |row: usize| nulls.as_ref().is_none_or(|n| n.is_valid(row));
    let dim = match (dim, &spans) {
        (Some(dim), _) => dim,
        (None, Spans::Fixed(dim)) => *dim,
        (None, Spans::Each(_)) => {
            // An empty vector says nothing of the others.
            let lengths = (0..rows).filter(|row| valid(*row)).map(|row| spans.of(row).len());
            let first = lengths.into_iter().find(|n| *n > 0).unwrap_or(0);
            guessed(first, rows)?
        }
    };
    let mut states: Vec<VectorState> = (0..rows)
        .map(|row| match spans.of(row).len() {
            _ if !valid(row) => VectorState::Null,
            n if n != dim => VectorState::Length(n),
            _ => VectorState::Present,
        })
        .collect();
    if let Some(missing) = values.logical_nulls().filter(|n| n.null_count() > 0) {
        mark_missing(&missing, &spans, &mut states);
    }
    let samples = by_type!(values.data_type(), T => {
        let typed = values.as_primitive::<T>().clone();
        drop(values);
        Samples::from(gather(typed, &spans, dim, &states))
    })?;
    mark_not_finite(&samples, dim, &mut states);
    Ok(VectorBlock { samples, dim, states })
}

fn mark_missing(missing: &NullBuffer, spans: &Spans, states: &mut [VectorState]) {
    for (row, state) in states.iter_mut().enumerate() {
        if *state == VectorState::Present && spans.of(row).any(|i| missing.is_null(i)) {
            *state = VectorState::NotFinite;
        }
    }
}

/// Numbers and places, with as few references to the numbers left as possible.
#[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation)] // Arrow checks sizes and offsets
fn parts(column: ArrayRef) -> Result<(ArrayRef, Spans), TableError> {
    macro_rules! lists {
        ($list:expr) => {{
            let list = $list.clone();
            drop(column);
            let (_, offsets, values, _) = list.into_parts();
            let spans = offsets.windows(2).map(|w| w[0] as usize..w[1] as usize).collect();
            (values, regular(spans))
        }};
    }
    macro_rules! views {
        ($list:expr) => {{
            let (_, offsets, sizes, values, _) = $list.clone().into_parts();
            let spans = offsets.iter().zip(&sizes).map(|(at, n)| *at as usize..*at as usize + *n as usize);
            (values, regular(spans.collect()))
        }};
    }
    Ok(match column.data_type() {
        DataType::FixedSizeList(..) => {
            let list = column.as_fixed_size_list().clone();
            drop(column);
            let (_, size, values, _) = list.into_parts();
            (values, Spans::Fixed(size as usize))
        }
        DataType::List(_) => lists!(column.as_list::<i32>()),
        DataType::LargeList(_) => lists!(column.as_list::<i64>()),
        DataType::ListView(_) => views!(column.as_list_view::<i32>()),
        DataType::LargeListView(_) => views!(column.as_list_view::<i64>()),
        other => return Err(wrong(format!("{other} is no list"))),
    })
}

/// Spans that follow each other from 0 with the same length need not be kept.
fn regular(spans: Vec<Range<usize>>) -> Spans {
    let n = spans.first().map_or(0, ExactSizeIterator::len);
    if n > 0 && spans.iter().enumerate().all(|(row, s)| *s == (row * n..(row + 1) * n)) {
        return Spans::Fixed(n);
    }
    Spans::Each(spans)
}

/// The numbers row by row: the column's own where they lie so, else copied.
fn gather<T: ArrowPrimitiveType>(
    values: PrimitiveArray<T>,
    spans: &Spans,
    dim: usize,
    states: &[VectorState],
) -> Vec<T::Native> {
    let wanted = states.len() * dim;
    if matches!(spans, Spans::Fixed(n) if *n == dim) {
        let (_, numbers, _) = values.into_parts();
        return match numbers.into_inner().into_vec::<T::Native>() {
            Ok(mut own) => {
                own.truncate(wanted);
                own
            }
            // Shared with others, or part of something larger.
            Err(shared) => shared.typed_data::<T::Native>()[..wanted].to_vec(),
        };
    }
    let mut out = vec![T::Native::default(); wanted];
    if dim > 0 {
        for (row, to) in out.chunks_exact_mut(dim).enumerate() {
            let span = spans.of(row);
            if span.len() == dim {
                to.copy_from_slice(&values.values()[span]);
            }
        }
    }
    out
}
