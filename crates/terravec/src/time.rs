//! When a vector is valid: half-open intervals, and the `--year` grammar.
//!
//! An annual product covers `[1 January, 1 January of the next year)`. A product without a stated period has no interval,
//! and none is invented for it.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime};
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

    /// The calendar month `month` (1 to 12) of `year`.
    #[must_use]
    pub fn month(year: i32, month: i32) -> Option<Self> {
        let first = |year: i32, month: i32| {
            Some(midnight_ms(NaiveDate::from_ymd_opt(year, u32::try_from(month).ok()?, 1)?))
        };
        let end = if month == 12 { first(year + 1, 1) } else { first(year, month + 1) };
        Some(Self { start_ms: first(year, month)?, end_ms: end? })
    }

    /// The day in which the millisecond `ms` since 1970 lies.
    #[must_use]
    pub fn day(ms: i64) -> Self {
        const DAY: i64 = 86_400_000;
        let start_ms = ms.div_euclid(DAY).saturating_mul(DAY);
        Self { start_ms, end_ms: start_ms.saturating_add(DAY) }
    }

    /// The calendar month in which the interval starts.
    #[must_use]
    pub fn whole_month(&self) -> Self {
        let start = date(self.start_ms);
        i32::try_from(start.month()).ok().and_then(|m| Self::month(start.year(), m)).unwrap_or(*self)
    }

    /// Whether both have a moment in common.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start_ms < other.end_ms && other.start_ms < self.end_ms
    }

    /// Parses `2022-06-01..2022-07-01` (the end excluded), a day, a month or a year.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let one = |part: &str| parse_time(part).ok_or_else(|| format!("`{}` is no time", part.trim()));
        let Some((start, end)) = text.split_once("..") else { return one(text) };
        let all = Self { start_ms: one(start)?.start_ms, end_ms: one(end)?.start_ms };
        if all.start_ms >= all.end_ms {
            return Err(format!("the span {text} has no time in it: its end is excluded"));
        }
        Ok(all)
    }

    /// The calendar year in which the interval starts.
    #[must_use]
    pub fn start_year(&self) -> i32 {
        date(self.start_ms).year()
    }
}

/// Midnight of 1 January, in milliseconds since 1970.
fn new_year_ms(year: i32) -> i64 {
    midnight_ms(NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or_default())
}

fn midnight_ms(day: NaiveDate) -> i64 {
    day.and_time(NaiveTime::MIN).and_utc().timestamp_millis()
}

/// The span that a text names: a year, a month or a day is all of it, a time of day its millisecond. Times without a
/// zone are UTC.
pub(crate) fn parse_time(text: &str) -> Option<Interval> {
    let text = text.trim();
    let sane = |i: Interval| (1900..=2200).contains(&i.start_year()).then_some(i);
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        let ms = moment.timestamp_millis();
        return sane(Interval { start_ms: ms, end_ms: ms + 1 });
    }
    for format in [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y%m%dT%H%M%S",
        "%Y%m%dT%H%M%SZ",
        "%Y-%m-%d %H:%M:%S%.f%:z",
    ] {
        if let Ok(moment) = NaiveDateTime::parse_from_str(text, format) {
            let ms = moment.and_utc().timestamp_millis();
            return sane(Interval { start_ms: ms, end_ms: ms + 1 });
        }
    }
    for format in ["%Y-%m-%d", "%Y%m%d", "%Y/%m/%d"] {
        if let Ok(day) = NaiveDate::parse_from_str(text, format) {
            return sane(Interval::day(midnight_ms(day)));
        }
    }
    let number = |part: &str| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<i32>().ok())?;
    match text.split_once('-') {
        Some((year, month)) if year.len() == 4 && month.len() == 2 => {
            sane(Interval::month(number(year)?, number(month)?)?)
        }
        None if text.len() == 4 => sane(Interval::year(number(text)?)),
        _ => None,
    }
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
        assert_eq!(Interval::month(2023, 12).unwrap().to_string(), "[2023-12-01, 2024-01-01)");
        assert_eq!(Interval::month(2023, 13), None);
    }

    #[test]
    fn times_are_spans() {
        let of = |text: &str| parse_time(text).map(|i| (i.start_ms, i.end_ms - i.start_ms));
        const DAY: i64 = 86_400_000;
        assert_eq!(of("2022-06-10"), Some((19_153 * DAY, DAY)));
        assert_eq!(of("20220610"), of("2022-06-10"));
        assert_eq!(of("2022-06").unwrap().1, 30 * DAY);
        assert_eq!(of("2024").unwrap().1, 366 * DAY);
        let moment = Some((19_153 * DAY + 37_821_000, 1));
        for text in
            ["2022-06-10T10:30:21Z", "20220610T103021", "2022-06-10 10:30:21", "2022-06-10T12:30:21+02:00"]
        {
            assert_eq!(of(text), moment, "{text}");
        }
        for bad in ["", "22", "June", "2022-13-01", "99999999", "2022-6"] {
            assert_eq!(of(bad), None, "{bad}");
        }
        assert_eq!(Interval::parse("2022-06-01..2022-07-01"), Ok(Interval::month(2022, 6).unwrap()));
        assert!(Interval::parse("2022..2021").is_err() && Interval::parse("2022..2022").is_err());
    }
}
