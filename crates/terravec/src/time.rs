//! When a vector is valid: half-open intervals, and the `--year` grammar.
//!
//! An annual product covers `[1 January, 1 January of the next year)`. A product without a stated period has no interval,
//! and none is invented for it.

use serde::{Deserialize, Serialize};

/// A half-open interval `[start, end)`, in milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Interval {
    /// First millisecond inside.
    pub start_ms: i64,
    /// First millisecond after.
    pub end_ms: i64,
}

const DAY_MS: i64 = 86_400_000;

/// Days from 1970-01-01 to a proleptic Gregorian date (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y - era * 400;
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z - era * 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, day)
}

impl Interval {
    /// The calendar year `year`.
    #[must_use]
    pub fn year(year: i32) -> Self {
        let y = i64::from(year);
        Self { start_ms: days_from_civil(y, 1, 1) * DAY_MS, end_ms: days_from_civil(y + 1, 1, 1) * DAY_MS }
    }

    /// From `YYYY-MM-DD` dates; `end` is the first day after.
    #[must_use]
    pub fn from_dates(start: &str, end: &str) -> Option<Self> {
        let interval = Self { start_ms: parse_date(start)?, end_ms: parse_date(end)? };
        (interval.start_ms < interval.end_ms).then_some(interval)
    }

    /// The calendar year in which the interval starts.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub fn start_year(&self) -> i32 {
        civil_from_days(self.start_ms.div_euclid(DAY_MS)).0 as i32
    }
}

fn parse_date(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, '-');
    let year: i64 = parts.next()?.parse().ok()?;
    let month: i64 = parts.next()?.parse().ok()?;
    let day: i64 = parts.next()?.parse().ok()?;
    let days = days_from_civil(year, month, day);
    (civil_from_days(days) == (year, month, day)).then_some(days * DAY_MS)
}

fn format_day(ms: i64) -> String {
    let (y, m, d) = civil_from_days(ms.div_euclid(DAY_MS));
    format!("{y:04}-{m:02}-{d:02}")
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}, {})", format_day(self.start_ms), format_day(self.end_ms))
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
        assert_eq!(leap.end_ms - leap.start_ms, 366 * DAY_MS);
        assert_eq!(leap.start_ms, 1_704_067_200_000);
        assert_eq!(leap.to_string(), "[2024-01-01, 2025-01-01)");
        assert_eq!(Interval::year(1969).start_year(), 1969);
        let togo = Interval::from_dates("2019-03-01", "2020-03-01").unwrap();
        assert_eq!(togo.to_string(), "[2019-03-01, 2020-03-01)");
        assert!(Interval::from_dates("2019-02-30", "2020-03-01").is_none());
        assert!(Interval::from_dates("2020-03-01", "2019-03-01").is_none());
    }
}
