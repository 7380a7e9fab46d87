//! Rows as JSON and as text: for the command line, and for formats that are text.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int64Type, TimeUnit, TimestampMillisecondType, UInt64Type,
};
use serde_json::{Map, Value, json};

use super::error::VectorError;

/// Every row as a JSON object. Times are ISO 8601, missing values null; bytes, and so the geometry, are left out.
///
/// # Errors
/// If a column is of a type that has no JSON.
pub fn json_records(batch: &RecordBatch) -> Result<Value, VectorError> {
    let rows = records(batch).map_err(|what| VectorError::Rows { what })?;
    Ok(Value::Array(rows.map(Value::Object).collect()))
}

/// The rows, as objects of all columns that have JSON.
pub(super) fn records(batch: &RecordBatch) -> Result<impl Iterator<Item = Map<String, Value>>, String> {
    let mut columns = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if let Some(cells) = Cells::new(column)? {
            columns.push((field.name().clone(), cells));
        }
    }
    let row = move |i| columns.iter().map(|(name, cells)| (name.clone(), cells.json(i))).collect();
    Ok((0..batch.num_rows()).map(row))
}

/// A column, made ready to give its cells as JSON or text.
pub(super) enum Cells {
    Bool(BooleanArray),
    Int(Int64Array),
    UInt(UInt64Array),
    Float32(Float32Array),
    Float64(Float64Array),
    Text(StringArray),
    Time(TimestampMillisecondArray),
    /// Items of every row, in one column.
    List(ArrayRef, Box<Cells>, Ranges),
}

/// Where the items of a row of a list are.
pub(super) enum Ranges {
    Fixed(usize),
    Offsets(Vec<usize>),
}

impl Cells {
    /// `None` for bytes, which have no text.
    pub(super) fn new(column: &ArrayRef) -> Result<Option<Self>, String> {
        let to = |t: &DataType| cast(column, t).map_err(|e| e.to_string());
        let list = |values: &ArrayRef, ranges| {
            let inner = Self::new(values)?;
            Ok::<_, String>(inner.map(|inner| Self::List(column.clone(), Box::new(inner), ranges)))
        };
        #[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation)] // Arrow checks sizes and offsets
        Ok(Some(match column.data_type() {
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => {
                return Ok(None);
            }
            DataType::Boolean => Self::Bool(column.as_boolean().clone()),
            DataType::UInt64 => Self::UInt(column.as_primitive::<UInt64Type>().clone()),
            t if t.is_integer() => Self::Int(to(&DataType::Int64)?.as_primitive::<Int64Type>().clone()),
            DataType::Float16 | DataType::Float32 => {
                Self::Float32(to(&DataType::Float32)?.as_primitive::<Float32Type>().clone())
            }
            DataType::Float64 => Self::Float64(column.as_primitive::<Float64Type>().clone()),
            DataType::Timestamp(..) => {
                let ms = to(&DataType::Timestamp(TimeUnit::Millisecond, None))?;
                Self::Time(ms.as_primitive::<TimestampMillisecondType>().clone())
            }
            DataType::FixedSizeList(_, size) => {
                return list(column.as_fixed_size_list().values(), Ranges::Fixed(*size as usize));
            }
            DataType::List(_) => {
                let l = column.as_list::<i32>();
                let offsets = l.value_offsets().iter().map(|o| *o as usize).collect();
                return list(l.values(), Ranges::Offsets(offsets));
            }
            DataType::LargeList(_) => {
                let l = column.as_list::<i64>();
                let offsets = l.value_offsets().iter().map(|o| *o as usize).collect();
                return list(l.values(), Ranges::Offsets(offsets));
            }
            other => {
                let text =
                    to(&DataType::Utf8).map_err(|_| format!("a column of type {other} has no text"))?;
                Self::Text(text.as_string::<i32>().clone())
            }
        }))
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Bool(a) => a.is_null(row),
            Self::Int(a) => a.is_null(row),
            Self::UInt(a) => a.is_null(row),
            Self::Float32(a) => a.is_null(row),
            Self::Float64(a) => a.is_null(row),
            Self::Text(a) => a.is_null(row),
            Self::Time(a) => a.is_null(row),
            Self::List(a, ..) => a.is_null(row),
        }
    }

    /// A cell; null where it is missing or no finite number.
    pub(super) fn json(&self, row: usize) -> Value {
        if self.is_null(row) {
            return Value::Null;
        }
        match self {
            Self::Bool(a) => json!(a.value(row)),
            Self::Int(a) => json!(a.value(row)),
            Self::UInt(a) => json!(a.value(row)),
            // The shortest decimal that reads back as the same float32, which `as f64` would blow up.
            Self::Float32(a) => a.value(row).to_string().parse().map_or(Value::Null, |v: f64| json!(v)),
            Self::Float64(a) => json!(a.value(row)),
            Self::Text(a) => json!(a.value(row)),
            Self::Time(a) => Value::String(iso(a.value(row))),
            Self::List(_, inner, ranges) => Value::Array(ranges.of(row).map(|i| inner.json(i)).collect()),
        }
    }

    /// A cell as text, empty where it is missing.
    pub(super) fn text(&self, row: usize) -> String {
        if self.is_null(row) {
            return String::new();
        }
        match self {
            Self::Float32(a) => a.value(row).to_string(),
            Self::Float64(a) => a.value(row).to_string(),
            Self::Text(a) => a.value(row).to_string(),
            Self::Time(a) => iso(a.value(row)),
            _ => self.json(row).to_string(),
        }
    }

    /// The items of a row of a fixed-size list as text, empty where the row is missing.
    pub(super) fn items(&self, row: usize) -> impl Iterator<Item = String> {
        let (inner, range) = match self {
            Self::List(_, inner, ranges) => (Some(inner), ranges.of(row)),
            _ => (None, 0..0),
        };
        let missing = self.is_null(row);
        range.map(move |i| match inner {
            Some(inner) if !missing => inner.text(i),
            _ => String::new(),
        })
    }
}

impl Ranges {
    fn of(&self, row: usize) -> std::ops::Range<usize> {
        match self {
            Self::Fixed(size) => row * size..(row + 1) * size,
            Self::Offsets(o) => o[row]..o[row + 1],
        }
    }
}

fn iso(ms: i64) -> String {
    let time = chrono::DateTime::from_timestamp_millis(ms).unwrap_or_default();
    time.format(if ms % 1000 == 0 { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S%.3fZ" }).to_string()
}

/// A few rows as aligned text; vectors are shortened.
///
/// # Errors
/// If a column is of a type that has no text.
pub fn text_table(batch: &RecordBatch) -> Result<String, VectorError> {
    let mut columns = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let Some(cells) = Cells::new(column).map_err(|what| VectorError::Rows { what })? else { continue };
        let rows = (0..batch.num_rows()).map(|row| shown(&cells.json(row)));
        columns.push(std::iter::once(field.name().clone()).chain(rows).collect::<Vec<String>>());
    }
    let width = |column: &Vec<String>| column.iter().map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = columns.iter().map(width).collect();
    let mut out = String::new();
    for line in 0..=batch.num_rows() {
        let cells: Vec<String> =
            columns.iter().zip(&widths).map(|(c, w)| format!("{:<w$}", c[line])).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    Ok(out)
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "–".into(),
        Value::String(s) => s.trim_end_matches("T00:00:00Z").into(),
        Value::Array(v) if v.len() > 3 => {
            let first =
                v.iter().take(3).map(|x| x.as_f64().map_or_else(|| x.to_string(), |x| format!("{x:.4}")));
            format!("[{}, … {} numbers]", first.collect::<Vec<_>>().join(", "), v.len())
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_iso() {
        assert_eq!(iso(0), "1970-01-01T00:00:00Z");
        assert_eq!(iso(1_709_210_096_789), "2024-02-29T12:34:56.789Z");
        assert_eq!(iso(-1), "1969-12-31T23:59:59.999Z");
    }
}
