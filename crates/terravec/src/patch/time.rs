//! When the vector of a row holds: from its column of time, its folders, its file's name, or the product's one period.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use terravec_io::table::partition_values;

use crate::catalog::{Descriptor, IntervalRule};
use crate::dataset::fixed_interval;
use crate::time::{Interval, parse_time};

/// The rule of a product; `None` where nobody described it: the column alone says.
fn rule(product: &Descriptor) -> Option<IntervalRule> {
    product.time.as_ref().map(|t| t.interval)
}

/// When all rows of a file hold, where its name or its folders say so.
pub(crate) fn of_file(product: &Descriptor, path: &str) -> Option<Interval> {
    if let Some(fixed) = fixed_interval(product) {
        return Some(fixed);
    }
    if rule(product) == Some(IntervalRule::None) {
        return None;
    }
    let values = partition_values(path);
    let key = |name: &str| values.iter().rev().find(|(k, _)| k == name).map(|(_, v)| v.as_str());
    let name = product.tiles.as_ref().and_then(|t| t.parse(path));
    let named = |group: &str| name.as_ref().and_then(|n| n.get(group)).map(str::to_owned);
    let number = |text: Option<String>| text?.parse::<i32>().ok();
    let year = number(key("year").map(str::to_owned).or_else(|| named("year")))
        .filter(|y| (1900..=2200).contains(y));
    let month = number(key("month").map(str::to_owned).or_else(|| named("month")));
    if let Some(date) = named("date").and_then(|d| parse_time(&d)) {
        return Some(date);
    }
    if let Some((start, end)) = named("start").zip(named("end"))
        && let Some((start, end)) = parse_time(&start).zip(parse_time(&end))
    {
        // Names give the first day and the day after the last, or the same day twice.
        return Some(Interval { start_ms: start.start_ms, end_ms: end.start_ms.max(start.end_ms) });
    }
    match (year, month) {
        (Some(year), Some(month)) => Interval::month(year, month),
        (Some(year), None) => Some(Interval::year(year)),
        _ => None,
    }
}

/// When rows hold.
#[derive(Debug, Default)]
pub(crate) struct Times {
    /// Of each row, where that is known.
    pub(crate) intervals: Vec<Option<Interval>>,
    /// Rows whose time can't be read, and why.
    pub(crate) problems: BTreeMap<usize, String>,
}

impl Times {
    fn all(interval: Option<Interval>, rows: usize) -> Self {
        Self { intervals: vec![interval; rows], ..Self::default() }
    }
}

/// When each row holds.
///
/// # Errors
/// A sentence, if the column is of a type that holds no times.
pub(crate) fn of_rows(
    product: &Descriptor,
    file: Option<Interval>,
    column: Option<&ArrayRef>,
    rows: usize,
) -> Result<Times, String> {
    let rule = rule(product);
    if rule == Some(IntervalRule::None) {
        return Ok(Times::all(None, rows));
    }
    if rule == Some(IntervalRule::Fixed) && file.is_some() {
        return Ok(Times::all(file, rows));
    }
    let Some(column) = column else { return Ok(Times::all(file, rows)) };
    let mut times = Times::default();
    for (i, stated) in intervals(column)?.into_iter().enumerate() {
        let stated = stated.unwrap_or_else(|what| {
            times.problems.insert(i, what);
            None
        });
        times.intervals.push(match (rule, stated) {
            (_, None) => file,
            (Some(IntervalRule::CalendarYear), Some(row)) => Some(Interval::year(row.start_year())),
            (Some(IntervalRule::CalendarMonth), Some(row)) => Some(row.whole_month()),
            (_, row) => row,
        });
    }
    Ok(times)
}

/// What a row states, or why that is no time.
type Stated = Result<Option<Interval>, String>;

/// A column of times as intervals: a day is the day, a time of day its millisecond, a whole number a year.
fn intervals(column: &ArrayRef) -> Result<Vec<Stated>, String> {
    match column.data_type() {
        DataType::Date32 | DataType::Date64 => {
            Ok(milliseconds(column)?.into_iter().map(|t| Ok(t.map(Interval::day))).collect())
        }
        DataType::Timestamp(..) => Ok(milliseconds(column)?
            .into_iter()
            .map(|t| Ok(t.map(|ms| Interval { start_ms: ms, end_ms: ms.saturating_add(1) })))
            .collect()),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => {
            let text = cast(column, &DataType::LargeUtf8).map_err(|e| e.to_string())?;
            let one = |t: Option<&str>| {
                let Some(t) = t.filter(|t| !t.is_empty()) else { return Ok(None) };
                parse_time(t).map(Some).ok_or_else(|| format!("`{t}` is no time"))
            };
            Ok(text.as_string::<i64>().iter().map(one).collect())
        }
        t if t.is_integer() => {
            let years = cast(column, &DataType::Int64).map_err(|e| e.to_string())?;
            let one = |y: Option<i64>| {
                let Some(y) = y else { return Ok(None) };
                let year = i32::try_from(y).ok().filter(|y| (1900..=2200).contains(y));
                year.map(|y| Some(Interval::year(y))).ok_or_else(|| format!("{y} is no year"))
            };
            Ok(years.as_primitive::<Int64Type>().iter().map(one).collect())
        }
        other => Err(format!("{other} is no type of time")),
    }
}

/// A column of dates or timestamps in milliseconds since 1970; a time without a zone is taken as UTC.
pub(crate) fn milliseconds(column: &ArrayRef) -> Result<Vec<Option<i64>>, String> {
    let zone = match column.data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    let ms = cast(column, &DataType::Timestamp(TimeUnit::Millisecond, zone)).map_err(|e| e.to_string())?;
    let ms = cast(&ms, &DataType::Int64).map_err(|e| e.to_string())?;
    Ok(ms.as_primitive::<Int64Type>().iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use arrow::array::{Date32Array, StringArray};
    use std::sync::Arc;

    fn file(product: &str, path: &str) -> Option<String> {
        of_file(&Catalog::builtin().get(product).unwrap(), path).map(|i| i.to_string())
    }

    #[test]
    fn files_say_when_they_hold() {
        let month = file("lgnd-clay-monthly", "geohash=9x/year=2019/month=07/data_0.parquet");
        assert_eq!(month.unwrap(), "[2019-07-01, 2019-08-01)");
        let day = file("clay-v1.5-naip", "wa/2021/m_4007201_ne_18_060_20211105.parquet");
        assert_eq!(day.unwrap(), "[2021-11-05, 2021-11-06)");
        assert_eq!(file("earth-index-2024", "x.parquet").unwrap(), "[2024-01-01, 2025-01-01)");
        let year = file("terrabit", "tile_x=12/tile_y=34/year=2024/part-0.parquet");
        assert_eq!(year.unwrap(), "[2024-01-01, 2025-01-01)");
        assert_eq!(file("majortom-ssl4eo", "embeddings/part_00001-00050.parquet"), None);
    }

    #[test]
    fn rows_say_when_they_hold() {
        let clay = Catalog::builtin().get("clay-v0").unwrap();
        let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(19_153), None]));
        let got = of_rows(&clay, None, Some(&days), 2).unwrap().intervals;
        assert_eq!(got[0].unwrap().to_string(), "[2022-06-10, 2022-06-11)");
        assert_eq!(got[1], None);
        let text: ArrayRef = Arc::new(StringArray::from(vec!["20200501T103021", "never"]));
        let major = Catalog::builtin().get("majortom-ssl4eo").unwrap();
        let got = of_rows(&major, None, Some(&text), 2).unwrap();
        assert!(got.problems[&1].contains("never") && got.problems.len() == 1);
        let lgnd = Catalog::builtin().get("lgnd-clay-monthly").unwrap();
        let one: ArrayRef = Arc::new(StringArray::from(vec!["2020-02-15T00:00:00Z"]));
        assert_eq!(
            of_rows(&lgnd, None, Some(&one), 1).unwrap().intervals[0].unwrap().to_string(),
            "[2020-02-01, 2020-03-01)"
        );
    }
}
