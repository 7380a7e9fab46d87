//! A column of labels: classes as numbers or texts, or values.

use std::collections::BTreeMap;

use arrow::array::{Array as _, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use terravec::Result;

use super::Truth;
use crate::refuse;

/// The class of each row as text; `None` where there is none.
pub(crate) fn class_column(columns: &RecordBatch, name: &str) -> Result<Vec<Option<String>>> {
    let Cells::Classes(cells) = Cells::of(columns, name, false)? else {
        return Err(refuse(format!("column `{name}` holds no classes"), "name another column"));
    };
    Ok(cells.into_iter().map(|c| c.map(|c| c.text())).collect())
}

/// A class as a cell says it; numbers come before texts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Number(i64),
    Text(String),
}

impl Class {
    fn text(&self) -> String {
        match self {
            Self::Number(n) => n.to_string(),
            Self::Text(t) => t.clone(),
        }
    }
}

/// A column of labels.
pub(super) enum Cells {
    Classes(Vec<Option<Class>>),
    Values(Vec<Option<f64>>),
}

impl Cells {
    pub(super) fn of(columns: &RecordBatch, name: &str, values: bool) -> Result<Self> {
        let Some(column) = columns.column_by_name(name) else {
            let all: Vec<String> = columns.schema().fields().iter().map(|f| f.name().clone()).collect();
            return Err(refuse(
                format!("the labels have no column `{name}`"),
                format!("columns: {}", all.join(", ")),
            ));
        };
        let kind = column.data_type();
        let wrong = |what: &str| {
            refuse(format!("column `{name}` is of type {kind}, which holds no {what}"), "name another column")
        };
        let whole = |v: f64| v.fract() == 0.0 && v.abs() < 9e15;
        if values {
            if !kind.is_numeric() {
                return Err(wrong("values"));
            }
            let numbers = cast(column, &DataType::Float64)?;
            let numbers = numbers.as_primitive::<Float64Type>();
            return Ok(Self::Values(numbers.iter().map(|v| v.filter(|v| v.is_finite())).collect()));
        }
        if kind.is_integer() {
            let numbers = cast(column, &DataType::Int64)?;
            let numbers = numbers.as_primitive::<Int64Type>();
            return Ok(Self::Classes(numbers.iter().map(|v| v.map(Class::Number)).collect()));
        }
        if kind.is_floating() {
            let numbers = cast(column, &DataType::Float64)?;
            let numbers = numbers.as_primitive::<Float64Type>();
            if numbers.iter().flatten().any(|v| v.is_finite() && !whole(v)) {
                return Err(refuse(
                    format!("column `{name}` holds fractions, which are no classes"),
                    "use `regress` for values",
                ));
            }
            #[allow(clippy::cast_possible_truncation)]
            let class = |v: f64| v.is_finite().then_some(Class::Number(v as i64));
            return Ok(Self::Classes(numbers.iter().map(|v| v.and_then(class)).collect()));
        }
        let texts = cast(column, &DataType::Utf8).map_err(|_| wrong("classes"))?;
        let texts = texts.as_string_opt::<i32>().ok_or_else(|| wrong("classes"))?;
        let class = |t: &str| (!t.trim().is_empty()).then(|| Class::Text(t.trim().to_owned()));
        Ok(Self::Classes(
            (0..texts.len()).map(|i| texts.is_valid(i).then(|| texts.value(i)).and_then(class)).collect(),
        ))
    }

    pub(super) fn has(&self, row: usize) -> bool {
        match self {
            Self::Classes(c) => c[row].is_some(),
            Self::Values(v) => v[row].is_some(),
        }
    }

    /// The labels of rows that have one.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub(super) fn truth(&self, rows: &[usize]) -> Truth {
        let cells = match self {
            Self::Values(v) => return Truth::Values(rows.iter().filter_map(|i| v[*i]).collect()),
            Self::Classes(c) => c,
        };
        let mut numbers: BTreeMap<&Class, u32> =
            rows.iter().filter_map(|i| cells[*i].as_ref()).map(|c| (c, 0)).collect();
        numbers.values_mut().zip(0..).for_each(|(n, i)| *n = i);
        let code = |class: &&Class| match class {
            Class::Number(n) if (0..65535).contains(n) => Some(*n as u16),
            _ => None,
        };
        let own: Option<Vec<u16>> = numbers.keys().map(code).collect();
        Truth::Classes {
            names: numbers.keys().map(|c| c.text()).collect(),
            codes: own.unwrap_or_else(|| (1..=numbers.len()).map(|i| i as u16).collect()),
            of: rows.iter().filter_map(|i| cells[*i].as_ref()).map(|c| numbers[c]).collect(),
        }
    }
}
