//! When a vector is valid: half-open intervals, and the `--year` grammar.
//!
//! An annual product covers `[1 January, 1 January of the next year)`. A product without a stated period has no interval,
//! and none is invented for it.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime};
use serde::{Deserialize, Serialize};

/// A half-open interval `[start, end)`, in milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Interval {
    /// First millisecond inside.
    pub start_ms: i64,
    /// First millisecond after.
    pub end_ms: i64,
}

impl Interval {
    /// The calendar year `year`.
    #[must_use]
    pub fn year(year: i32) -> Self {
        Self { start_ms: new_year_ms(year), end_ms: new_year_ms(year + 1) }
    }

    /// The calendar year in which the interval starts.
    #[must_use]
    pub fn start_year(&self) -> i32 {
        date(self.start_ms).year()
    }
}

/// Midnight of 1 January, in milliseconds since 1970.
fn new_year_ms(year: i32) -> i64 {
    let day = NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or_default();
    day.and_time(NaiveTime::MIN).and_utc().timestamp_millis()
}

fn date(ms: i64) -> NaiveDate {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().date_naive()
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}, {})", date(self.start_ms), date(self.end_ms))
    }
}

/// Which years a query asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Years {
    /// Whatever the dataset holds.
    #[default]
    All,
    /// These, in this order.
    List(Vec<i32>),
}

impl Years {
    /// Parses `2024`, `2018..2024` (both ends included) or `2018,2020`.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let year = |part: &str| {
            part.trim()
                .parse::<i32>()
                .ok()
                .filter(|y| (1900..=2200).contains(y))
                .ok_or_else(|| format!("`{}` is not a year", part.trim()))
        };
        let mut list = Vec::new();
        for part in text.split(',') {
            if let Some((first, last)) = part.split_once("..") {
                let (first, last) = (year(first)?, year(last.trim_start_matches('='))?);
                if first > last {
                    return Err(format!("the range {first}..{last} runs backwards"));
                }
                list.extend(first..=last);
            } else {
                list.push(year(part)?);
            }
        }
        let mut seen = std::collections::HashSet::new();
        list.retain(|y| seen.insert(*y));
        Ok(Self::List(list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_grammar() {
        assert_eq!(Years::parse("2024").unwrap(), Years::List(vec![2024]));
        assert_eq!(Years::parse("2018..2020").unwrap(), Years::List(vec![2018, 2019, 2020]));
        assert_eq!(Years::parse("2020, 2018,2020").unwrap(), Years::List(vec![2020, 2018]));
        assert!(Years::parse("2020..2018").is_err());
        assert!(Years::parse("twenty").is_err());
        assert!(Years::parse("").is_err());
    }

    #[test]
    fn intervals() {
        let leap = Interval::year(2024);
        assert_eq!(leap.end_ms - leap.start_ms, 366 * 86_400_000);
        assert_eq!(leap.start_ms, 1_704_067_200_000);
        assert_eq!(leap.to_string(), "[2024-01-01, 2025-01-01)");
        assert_eq!(Interval::year(1969).start_year(), 1969);
    }
}
