//! Untyped cells to typed columns: what CSV and GeoJSON need.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;

/// A cell as it was found.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

impl Cell {
    /// A cell of text, as the type it looks like.
    pub(super) fn guess(text: &str) -> Self {
        let t = text.trim();
        if t.is_empty() {
            return Self::Null;
        }
        match t {
            "true" | "True" | "TRUE" => return Self::Bool(true),
            "false" | "False" | "FALSE" => return Self::Bool(false),
            _ => {}
        }
        // Codes such as 007 are text, not numbers.
        let digits = t.trim_start_matches(['-', '+']);
        let padded = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
        if !padded {
            if let Ok(v) = t.parse::<i64>() {
                return Self::Int(v);
            }
            if let Ok(v) = t.parse::<f64>()
                && v.is_finite()
            {
                return Self::Float(v);
            }
        }
        Self::Text(text.to_string())
    }

    fn text(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Bool(b) => Some(b.to_string()),
            Self::Int(i) => Some(i.to_string()),
            Self::Float(f) => Some(f.to_string()),
            Self::Text(t) => Some(t.clone()),
        }
    }
}

/// A column of the narrowest type that holds all cells. `raw` gives the text a cell was guessed from, where there is one.
pub(super) fn column(cells: &[Cell], raw: Option<&[String]>) -> ArrayRef {
    let all = |f: fn(&Cell) -> bool| cells.iter().all(|c| matches!(c, Cell::Null) || f(c));
    if all(|c| matches!(c, Cell::Bool(_))) && cells.iter().any(|c| matches!(c, Cell::Bool(_))) {
        return Arc::new(
            cells
                .iter()
                .map(|c| if let Cell::Bool(b) = c { Some(*b) } else { None })
                .collect::<BooleanArray>(),
        );
    }
    if all(|c| matches!(c, Cell::Int(_))) && cells.iter().any(|c| matches!(c, Cell::Int(_))) {
        return Arc::new(
            cells.iter().map(|c| if let Cell::Int(i) = c { Some(*i) } else { None }).collect::<Int64Array>(),
        );
    }
    if all(|c| matches!(c, Cell::Int(_) | Cell::Float(_)))
        && cells.iter().any(|c| matches!(c, Cell::Float(_)))
    {
        #[allow(clippy::cast_precision_loss)]
        let value = |c: &Cell| match c {
            Cell::Int(i) => Some(*i as f64),
            Cell::Float(f) => Some(*f),
            _ => None,
        };
        return Arc::new(cells.iter().map(value).collect::<Float64Array>());
    }
    Arc::new(
        cells
            .iter()
            .enumerate()
            .map(|(i, c)| match (c, raw) {
                (Cell::Null, _) => None,
                (_, Some(raw)) => Some(raw[i].clone()),
                (c, None) => c.text(),
            })
            .collect::<StringArray>(),
    )
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
