//! When a product holds. Intervals are half-open: a calendar year is `[Y-01-01, Y+1-01-01)`.

use chrono::{NaiveDate, NaiveTime};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The time of a product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeSpec {
    /// What span one vector speaks of.
    pub scope: TimeScope,
    /// How the interval of a vector is found.
    pub interval: IntervalRule,
    /// First and last year published, both included.
    pub years: Option<[i32; 2]>,
    /// The intervals, where they are no whole years.
    #[serde(default)]
    pub intervals: Vec<Interval>,
    /// Not every place has every year.
    #[serde(default)]
    pub sparse: bool,
    /// What to know about it.
    pub note: Option<String>,
}

/// What span one vector speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeScope {
    /// A year.
    Annual,
    /// A month.
    Monthly,
    /// One image or mosaic.
    Snapshot,
    /// No time at all.
    Static,
}

/// How the interval of a vector is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IntervalRule {
    /// The calendar year of its file or row.
    CalendarYear,
    /// The calendar month of its file or row.
    CalendarMonth,
    /// One of `intervals`.
    Fixed,
    /// Its row (or file name) gives the date of the image.
    Acquisition,
    /// It has none.
    None,
}

/// A span of days, the end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// First day.
    pub start: Date,
    /// Day after the last.
    pub end: Date,
}

/// A day of the Gregorian calendar, written `2019-03-01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Date {
    /// Year, 1 to 9999.
    pub year: i32,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, from 1.
    pub day: u8,
}

impl TimeSpec {
    /// Whether vectors for this calendar year, or part of it, are published.
    #[must_use]
    pub fn covers_year(&self, year: i32) -> bool {
        self.years.is_some_and(|[first, last]| (first..=last).contains(&year))
            || self.intervals.iter().any(|interval| interval.overlaps_year(year))
    }

    /// The intervals that a request for this calendar year means; empty where nothing is published.
    ///
    /// Fixed intervals that overlap the year come whole; a calendar year is itself. Products that date each
    /// row answer with the whole year as the window to select rows by. A product without `years` is taken to
    /// have any.
    #[must_use]
    pub fn intervals_for(&self, year: i32) -> Vec<Interval> {
        match self.interval {
            IntervalRule::None => Vec::new(),
            IntervalRule::Fixed => {
                self.intervals.iter().copied().filter(|interval| interval.overlaps_year(year)).collect()
            }
            _ if self.years.is_none() || self.covers_year(year) => {
                Interval::calendar_year(year).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }
}

impl Interval {
    /// `[Y-01-01, Y+1-01-01)`; none outside the years 1 to 9998.
    #[must_use]
    pub fn calendar_year(year: i32) -> Option<Self> {
        Some(Self { start: Date::new(year, 1, 1)?, end: Date::new(year.checked_add(1)?, 1, 1)? })
    }

    /// Whether a day of this calendar year is in it.
    #[must_use]
    pub fn overlaps_year(&self, year: i32) -> bool {
        Self::calendar_year(year).is_some_and(|whole| self.start < whole.end && whole.start < self.end)
    }
}

impl Date {
    /// The day, if the calendar has it.
    #[must_use]
    pub fn new(year: i32, month: u8, day: u8) -> Option<Self> {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => return None,
        };
        ((1..=9999).contains(&year) && (1..=days).contains(&day)).then_some(Self { year, month, day })
    }

    /// Milliseconds from 1970-01-01 to its midnight, UTC.
    #[must_use]
    pub fn unix_ms(self) -> i64 {
        let day = NaiveDate::from_ymd_opt(self.year, self.month.into(), self.day.into()).unwrap_or_default();
        day.and_time(NaiveTime::MIN).and_utc().timestamp_millis()
    }
}

impl TryFrom<String> for Date {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parse = || {
            let bytes = text.as_bytes();
            let digits = |range: std::ops::Range<usize>| -> Option<u32> {
                let part = bytes.get(range)?;
                part.iter()
                    .all(u8::is_ascii_digit)
                    .then(|| part.iter().fold(0, |n, b| n * 10 + u32::from(b - b'0')))
            };
            (bytes.len() == 10 && bytes[4] == b'-' && bytes[7] == b'-').then_some(())?;
            let year = i32::try_from(digits(0..4)?).ok()?;
            Self::new(year, u8::try_from(digits(5..7)?).ok()?, u8::try_from(digits(8..10)?).ok()?)
        };
        parse().ok_or_else(|| format!("{text:?} is no day: write it as 2019-03-01"))
    }
}

impl From<Date> for String {
    fn from(date: Date) -> Self {
        date.to_string()
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl TimeScope {
    /// The word in descriptors.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Annual => "annual",
            Self::Monthly => "monthly",
            Self::Snapshot => "snapshot",
            Self::Static => "static",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_count_from_1970() {
        let ms = |y, m, d| Date::new(y, m, d).map(Date::unix_ms);
        assert_eq!(ms(1970, 1, 1), Some(0));
        assert_eq!(ms(2000, 2, 29), Some(951_782_400_000));
        assert_eq!(ms(2024, 1, 1), Some(1_704_067_200_000));
        assert_eq!(ms(2025, 1, 1), Some(1_735_689_600_000));
        assert_eq!(ms(1969, 12, 31), Some(-86_400_000));
        assert_eq!(ms(2023, 2, 29), None);
        assert_eq!(ms(2023, 13, 1), None);
    }

    #[test]
    fn days_are_written_one_way() {
        assert_eq!(Date::try_from("2019-03-01".to_owned()), Ok(Date { year: 2019, month: 3, day: 1 }));
        for bad in ["2019-3-1", "2019-02-30", "+019-03-01", "2019/03/01", "", "2019-03-01T00"] {
            assert!(Date::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
