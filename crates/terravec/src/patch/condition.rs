//! Conditions on the columns of a table: `cloud_percent<10`, `collection=sentinel-2-l2a`.

use std::cmp::Ordering;
use std::fmt;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type};
use terravec_io::table::Bound;

use crate::time::parse_time;

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Longer ones first: `<=` is no `<`.
const OPS: [(&str, Op); 8] = [
    ("!=", Op::Unequal),
    ("<=", Op::LessOrEqual),
    (">=", Op::GreaterOrEqual),
    ("==", Op::Equal),
    ("<>", Op::Unequal),
    ("<", Op::Less),
    (">", Op::Greater),
    ("=", Op::Equal),
];

/// A column compared with a value. A row without a value in the column does not meet it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Name of the column, or of a key of the folders (`year=2024/`).
    pub column: String,
    op: Op,
    value: String,
}

impl Condition {
    /// Parses `COLUMN OP VALUE`, OP one of `=`, `!=`, `<`, `<=`, `>`, `>=`. Numbers are compared as numbers, times as
    /// times, everything else as text.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let at = text.find(['=', '!', '<', '>']).ok_or("there is no comparison in it")?;
        let (column, rest) = text.split_at(at);
        let (sign, op) =
            OPS.iter().find(|(sign, _)| rest.starts_with(sign)).ok_or("there is no comparison in it")?;
        let (column, value) = (column.trim(), rest[sign.len()..].trim());
        if column.is_empty() {
            return Err("no column is named".into());
        }
        let value =
            value.strip_prefix(['\'', '"']).and_then(|v| v.strip_suffix(['\'', '"'])).unwrap_or(value);
        Ok(Self { column: column.into(), op: *op, value: value.into() })
    }

    fn holds(&self, order: Option<Ordering>) -> bool {
        let Some(order) = order else { return false };
        match self.op {
            Op::Equal => order.is_eq(),
            Op::Unequal => order.is_ne(),
            Op::Less => order.is_lt(),
            Op::LessOrEqual => order.is_le(),
            Op::Greater => order.is_gt(),
            Op::GreaterOrEqual => order.is_ge(),
        }
    }

    /// Whether a text meets it; compared as numbers where both are.
    pub(crate) fn meets(&self, text: &str) -> bool {
        let numbers = number(text).zip(number(&self.value));
        self.holds(numbers.map_or_else(|| Some(text.cmp(&self.value)), |(a, b)| a.partial_cmp(&b)))
    }

    /// The rows of `column` that meet it.
    ///
    /// # Errors
    /// A sentence, if the column can't be compared with the value.
    pub(crate) fn select(&self, column: &ArrayRef) -> Result<Vec<bool>, String> {
        let cannot =
            |what: &str| format!("column {} holds {what}, and `{}` is none", self.column, self.value);
        let to = |t: &DataType| cast(column, t).map_err(|e| format!("column {}: {e}", self.column));
        Ok(match column.data_type() {
            DataType::Boolean => {
                let wanted: bool =
                    self.value.to_ascii_lowercase().parse().map_err(|_| cannot("true or false"))?;
                column.as_boolean().iter().map(|v| self.holds(v.map(|v| v.cmp(&wanted)))).collect()
            }
            t if t.is_integer() && self.value.parse::<i128>().is_ok() => {
                let wanted: i128 = self.value.parse().map_err(|_| cannot("whole numbers"))?;
                // Wide enough for uint64.
                to(&DataType::Decimal128(20, 0))?
                    .as_primitive::<Decimal128Type>()
                    .iter()
                    .map(|v| self.holds(v.map(|v| v.cmp(&wanted))))
                    .collect()
            }
            t if t.is_numeric() => {
                let wanted: f64 = self.value.parse().map_err(|_| cannot("numbers"))?;
                to(&DataType::Float64)?
                    .as_primitive::<Float64Type>()
                    .iter()
                    .map(|v| self.holds(v.and_then(|v| v.partial_cmp(&wanted))))
                    .collect()
            }
            t if t.is_temporal() => {
                let wanted = parse_time(&self.value).ok_or_else(|| cannot("times"))?.start_ms;
                super::time::milliseconds(column)?
                    .into_iter()
                    .map(|v| self.holds(v.map(|v| v.cmp(&wanted))))
                    .collect()
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => {
                let text = to(&DataType::LargeUtf8)?;
                text.as_string::<i64>().iter().map(|v| v.is_some_and(|v| self.meets(v))).collect()
            }
            other => return Err(format!("column {} holds {other}, which can't be compared", self.column)),
        })
    }

    /// Whether some value from `least` to `greatest` may meet it.
    pub(crate) fn possible(&self, least: &Bound, greatest: &Bound) -> bool {
        let order = |bound: &Bound| match bound {
            Bound::Int(v) => match self.value.parse::<i128>() {
                Ok(w) => Some(i128::from(*v).cmp(&w)),
                #[allow(clippy::cast_precision_loss)]
                Err(_) => self.value.parse::<f64>().ok().and_then(|w| (*v as f64).partial_cmp(&w)),
            },
            Bound::Time(us) => parse_time(&self.value).map(|w| us.cmp(&w.start_ms.saturating_mul(1000))),
            // Texts that are numbers are compared as such, which the order of texts says nothing about.
            Bound::Text(v) if number(&self.value).is_none() => Some(v.as_str().cmp(&self.value)),
            Bound::Text(_) => None,
        };
        let (Some(low), Some(high)) = (order(least), order(greatest)) else { return true };
        match self.op {
            Op::Equal => low.is_le() && high.is_ge(),
            Op::Unequal => true,
            Op::Less => low.is_lt(),
            Op::LessOrEqual => low.is_le(),
            Op::Greater => high.is_gt(),
            Op::GreaterOrEqual => high.is_ge(),
        }
    }
}

/// A text that is a number beyond doubt: `9e1` may be a name, and of twenty digits some would be lost.
fn number(text: &str) -> Option<f64> {
    let plain = text.len() <= 15 && text.bytes().all(|b| b.is_ascii_digit() || b"+-.".contains(&b));
    plain.then(|| text.parse().ok())?
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = OPS.iter().rev().find(|(_, op)| *op == self.op).map_or("=", |(sign, _)| *sign);
        write!(f, "{}{sign}{}", self.column, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Date32Array, Float32Array, Int64Array, StringArray, UInt64Array};
    use std::sync::Arc;

    fn select(text: &str, column: &ArrayRef) -> Vec<bool> {
        Condition::parse(text).unwrap().select(column).unwrap()
    }

    #[test]
    fn values_are_compared_as_what_they_are() {
        let numbers: ArrayRef =
            Arc::new(Float32Array::from(vec![Some(9.0), Some(10.0), None, Some(f32::NAN)]));
        assert_eq!(select("cloud <= 9.5", &numbers), [true, false, false, false]);
        assert_eq!(select("cloud!=9", &numbers), [false, true, false, false]);
        let big: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX, i64::MAX - 1]));
        assert_eq!(select(&format!("id={}", i64::MAX), &big), [true, false]);
        let text: ArrayRef = Arc::new(StringArray::from(vec![Some("a=b"), Some("c"), None]));
        assert_eq!(select("name='a=b'", &text), [true, false, false]);
        let huge: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX, 5]));
        assert_eq!(select("id>9", &huge), [true, false]);
        let names: ArrayRef = Arc::new(StringArray::from(vec!["9e1", "90", "090"]));
        assert_eq!(select("geohash=90", &names), [false, true, true]);
        assert_eq!(select("geohash=9e1", &names), [true, false, false]);
        let days: ArrayRef = Arc::new(Date32Array::from(vec![19_000, 19_100]));
        assert_eq!(select("date>=2022-04-01", &days), [false, true]);
    }

    #[test]
    fn what_is_no_condition_is_said() {
        for bad in ["", "cloud", "=3"] {
            assert!(Condition::parse(bad).is_err(), "{bad}");
        }
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        assert!(Condition::parse("a=x").unwrap().select(&numbers).unwrap_err().contains("`x`"));
    }

    #[test]
    fn a_range_rules_out_only_what_it_must() {
        let possible = |text: &str, a: i64, b: i64| {
            Condition::parse(text).unwrap().possible(&Bound::Int(a), &Bound::Int(b))
        };
        assert!(
            possible("x=5", 1, 9)
                && !possible("x=5", 6, 9)
                && !possible("x<1", 1, 9)
                && possible("x<=1", 1, 9)
        );
        assert!(possible("x<9007199254740993", 1 << 53, i64::MAX), "beyond the whole numbers of float64");
        assert!(!possible("x>9", 1, 9) && possible("x!=5", 5, 5));
        let text = |c: &str, a: &str, b: &str| {
            Condition::parse(c).unwrap().possible(&Bound::Text(a.into()), &Bound::Text(b.into()))
        };
        assert!(text("g=9x", "9w", "9z") && !text("g=9x", "a", "b") && text("g=10", "9", "99"));
    }
}
