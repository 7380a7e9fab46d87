//! Untyped cells to typed columns: what CSV and GeoJSON need.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use serde_json::Value;

/// The narrowest type a cell, or a column, fits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Null,
    Bool,
    /// An integer that a float64 holds exactly.
    Int,
    /// An integer that it does not.
    Long,
    Float,
    Text,
}

impl Kind {
    fn join(self, other: Self) -> Self {
        use Kind::{Float, Int, Long, Null, Text};
        match (self, other) {
            (Null, k) | (k, Null) => k,
            (a, b) if a == b => a,
            (Int, Long) | (Long, Int) => Long,
            (Int, Float) | (Float, Int) => Float,
            _ => Text,
        }
    }

    fn of_integer(v: i64) -> Self {
        if v.unsigned_abs() <= 1 << 53 { Self::Int } else { Self::Long }
    }
}

/// A cell that can be asked for its value as any type; `None` where it has none.
pub(super) trait Cell {
    fn kind(&self) -> Kind;
    fn bool(&self) -> Option<bool>;
    fn int(&self) -> Option<i64>;
    fn float(&self) -> Option<f64>;
    fn text(&self) -> Option<String>;
}

/// A cell of a text file; empty is missing.
impl Cell for &str {
    fn kind(&self) -> Kind {
        let t = self.trim();
        if t.is_empty() {
            return Kind::Null;
        }
        if self.bool().is_some() {
            return Kind::Bool;
        }
        let digits = t.trim_start_matches(['-', '+']);
        // Codes such as 007 and 00E1 are text, not numbers.
        if digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.") {
            return Kind::Text;
        }
        if let Some(v) = self.int() {
            return Kind::of_integer(v);
        }
        // Identifiers of 20 digits would lose some as floats.
        let whole = digits.bytes().all(|b| b.is_ascii_digit());
        if !whole && self.float().is_some() { Kind::Float } else { Kind::Text }
    }

    fn bool(&self) -> Option<bool> {
        match self.trim() {
            "true" | "True" | "TRUE" => Some(true),
            "false" | "False" | "FALSE" => Some(false),
            _ => None,
        }
    }

    fn int(&self) -> Option<i64> {
        self.trim().parse().ok()
    }

    fn float(&self) -> Option<f64> {
        self.trim().parse().ok()
    }

    fn text(&self) -> Option<String> {
        (!self.is_empty()).then(|| (*self).to_string())
    }
}

/// A property of a GeoJSON feature; lists and objects stay JSON, as text.
impl Cell for &Value {
    fn kind(&self) -> Kind {
        match self {
            Value::Null => Kind::Null,
            Value::Bool(_) => Kind::Bool,
            Value::Number(n) if n.is_f64() => Kind::Float,
            Value::Number(n) => n.as_i64().map_or(Kind::Text, Kind::of_integer),
            _ => Kind::Text,
        }
    }

    fn bool(&self) -> Option<bool> {
        self.as_bool()
    }

    fn int(&self) -> Option<i64> {
        self.as_i64()
    }

    fn float(&self) -> Option<f64> {
        self.as_f64()
    }

    fn text(&self) -> Option<String> {
        match self {
            Value::Null => None,
            Value::String(s) => Some(s.clone()),
            other => Some(other.to_string()),
        }
    }
}

/// A column of the narrowest type that holds all cells; of text if there is none.
pub(super) fn column<C: Cell>(cells: impl Iterator<Item = C> + Clone) -> ArrayRef {
    match cells.clone().fold(Kind::Null, |kind, c| kind.join(c.kind())) {
        Kind::Bool => Arc::new(cells.map(|c| c.bool()).collect::<BooleanArray>()),
        Kind::Int | Kind::Long => Arc::new(cells.map(|c| c.int()).collect::<Int64Array>()),
        Kind::Float => Arc::new(cells.map(|c| c.float()).collect::<Float64Array>()),
        Kind::Null | Kind::Text => Arc::new(cells.map(|c| c.text()).collect::<StringArray>()),
    }
}

/// Columns as a batch of `rows` rows, also where there is no column.
pub(super) fn batch(columns: Vec<(String, ArrayRef)>, rows: usize) -> Result<RecordBatch, ArrowError> {
    let fields: Vec<Field> =
        columns.iter().map(|(n, c)| Field::new(n, c.data_type().clone(), true)).collect();
    RecordBatch::try_new_with_options(
        Arc::new(Schema::new(fields)),
        columns.into_iter().map(|(_, c)| c).collect(),
        &RecordBatchOptions::new().with_row_count(Some(rows)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::DataType;

    #[test]
    fn a_column_of_text_gets_the_narrowest_type() {
        for (cells, want) in [
            (&["1", " -2", "", "+3"][..], DataType::Int64),
            (&["1", "2.5", "1e-3", "nan"], DataType::Float64),
            (&["true", "", "False"], DataType::Boolean),
            (&["true", "1"], DataType::Utf8),
            (&["007", "12"], DataType::Utf8),
            (&["0", "-0.5"], DataType::Float64),
            (&["12345678901234567890"], DataType::Utf8),
            (&["9007199254740993"], DataType::Int64),
            (&["9007199254740993", "0.5"], DataType::Utf8),
            (&["", ""], DataType::Utf8),
            (&["2024-01-01"], DataType::Utf8),
        ] {
            let column = column(cells.iter().copied());
            assert_eq!(*column.data_type(), want, "{cells:?}");
            assert_eq!(column.null_count(), cells.iter().filter(|c| c.is_empty()).count());
        }
    }

    #[test]
    fn a_column_of_json_too() {
        let of = |text: &str| {
            let cells: Vec<Value> = serde_json::from_str(text).unwrap();
            column(cells.iter()).data_type().clone()
        };
        assert_eq!(of("[1, null, -2]"), DataType::Int64);
        assert_eq!(of("[1, 2.5]"), DataType::Float64);
        assert_eq!(of("[true, null]"), DataType::Boolean);
        assert_eq!(of(r#"[1, "a"]"#), DataType::Utf8);
        assert_eq!(of("[[1, 2]]"), DataType::Utf8);
        assert_eq!(of("[18446744073709551615]"), DataType::Utf8);
    }
}
