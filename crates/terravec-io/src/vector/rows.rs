//! Rows as JSON and as text, for the command line.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type, TimestampMillisecondType};
use serde_json::{Map, Value, json};

use super::error::VectorError;
use super::write::as_f64;

/// Every row as a JSON object. Times are ISO 8601, missing values null, geometry is left to lon and lat.
///
/// # Errors
/// If a column is of a type that has no JSON.
pub fn json_records(batch: &RecordBatch) -> Result<Value, VectorError> {
    let mut rows = records(batch).map_err(|what| VectorError::Point { what })?;
    for row in &mut rows {
        row.remove("geometry");
    }
    Ok(Value::Array(rows.into_iter().map(Value::Object).collect()))
}

pub(super) fn records(batch: &RecordBatch) -> Result<Vec<Map<String, Value>>, String> {
    let schema = batch.schema();
    (0..batch.num_rows())
        .map(|row| {
            schema
                .fields()
                .iter()
                .zip(batch.columns())
                .filter(|(f, _)| !matches!(f.data_type(), DataType::Binary | DataType::LargeBinary))
                .map(|(f, c)| Ok((f.name().clone(), json_value(c, row)?)))
                .collect()
        })
        .collect()
}

/// One cell.
pub(super) fn json_value(column: &ArrayRef, row: usize) -> Result<Value, String> {
    if column.is_null(row) {
        return Ok(Value::Null);
    }
    let one = column.slice(row, 1);
    let to = |t: &DataType| cast(&one, t).map_err(|e| e.to_string());
    Ok(match column.data_type() {
        DataType::Boolean => json!(one.as_boolean().value(0)),
        DataType::Float32 => float32(one.as_primitive::<Float32Type>().value(0)),
        DataType::Float16 | DataType::Float64 => {
            json!(to(&DataType::Float64)?.as_primitive::<Float64Type>().value(0))
        }
        t if t.is_integer() => json!(to(&DataType::Int64)?.as_primitive::<Int64Type>().value(0)),
        DataType::Timestamp(..) => {
            let ms = to(&DataType::Timestamp(arrow::datatypes::TimeUnit::Millisecond, None))?;
            Value::String(iso(ms.as_primitive::<TimestampMillisecondType>().value(0)))
        }
        DataType::FixedSizeList(..) => list(&one.as_fixed_size_list().value(0))?,
        DataType::List(_) => list(&one.as_list::<i32>().value(0))?,
        DataType::LargeList(_) => list(&one.as_list::<i64>().value(0))?,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Value::Null,
        _ => match to(&DataType::Utf8) {
            Ok(text) => json!(text.as_string::<i32>().value(0)),
            Err(_) => Value::Null,
        },
    })
}

fn list(values: &ArrayRef) -> Result<Value, String> {
    if let Some(v) = values.as_primitive_opt::<Float32Type>() {
        return Ok(Value::Array(v.iter().map(|x| x.map_or(Value::Null, float32)).collect()));
    }
    if values.data_type().is_integer() {
        let v = cast(values, &DataType::Int64).map_err(|e| e.to_string())?;
        return Ok(Value::Array(v.as_primitive::<Int64Type>().iter().map(|x| json!(x)).collect()));
    }
    let v = as_f64(values).ok_or_else(|| format!("a list of {} has no JSON", values.data_type()))?;
    Ok(Value::Array(v.iter().map(|x| json!(x)).collect()))
}

/// The shortest decimal that reads back as the same float32.
fn float32(v: f32) -> Value {
    serde_json::from_str(&v.to_string()).unwrap_or(Value::Null)
}

fn iso(ms: i64) -> String {
    let (days, rest) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    // Days to a date, after Howard Hinnant's "chrono-compatible low-level date algorithms".
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    let s = rest / 1000;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", s / 3600, s / 60 % 60, s % 60)
}

/// A few rows as aligned text; vectors are shortened.
///
/// # Errors
/// If a column is of a type that has no text.
pub fn text_table(batch: &RecordBatch) -> Result<String, VectorError> {
    let rows = records(batch).map_err(|what| VectorError::Point { what })?;
    let names: Vec<String> =
        batch.schema().fields().iter().map(|f| f.name().clone()).filter(|n| n != "geometry").collect();
    let cell = |v: Option<&Value>| match v {
        None | Some(Value::Null) => "–".to_string(),
        Some(Value::String(s)) => s.trim_end_matches("T00:00:00Z").to_string(),
        Some(Value::Array(v)) if v.len() > 3 => {
            let part: Vec<String> =
                v.iter().take(3).map(|x| format!("{:.4}", x.as_f64().unwrap_or(f64::NAN))).collect();
            format!("[{}, … {} numbers]", part.join(", "), v.len())
        }
        Some(v) => v.to_string(),
    };
    let mut lines: Vec<Vec<String>> = vec![names.clone()];
    lines.extend(rows.iter().map(|r| names.iter().map(|n| cell(r.get(n))).collect()));
    let widths: Vec<usize> =
        (0..names.len()).map(|i| lines.iter().map(|l| l[i].chars().count()).max().unwrap_or(0)).collect();
    let mut out = String::new();
    for line in lines {
        let padded: Vec<String> = line.iter().zip(&widths).map(|(c, w)| format!("{c:<w$}")).collect();
        out.push_str(padded.join("  ").trim_end());
        out.push('\n');
    }
    Ok(out)
}
