//! Where and when the pixels of an array hold: CRS, transform and years from whichever convention its metadata follow.
//!
//! Read are `proj:` and `spatial:` (all revisions, on the array or its group), GDAL's `_CRS`, CF grid mappings and coordinates, and the
//! `tessera:` attributes of older stores.

use chrono::{DateTime, Datelike, NaiveDate};
use serde_json::Value;
use terravec_geo::{Affine, Crs, Grid};
use terravec_io::zarr::{Array, Attributes, Element, Group};

use super::zarr::Axes;
use crate::catalog::{CrsRule, Descriptor};
use crate::error::{Error, Result};

/// What says something of an array: itself, its group, the root of the store.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) array: &'a Array,
    pub(super) group: Option<&'a Group>,
    pub(super) root: Option<&'a Group>,
}

impl<'a> Scope<'a> {
    /// An attribute of the array, else of its group.
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        let own = self.array.metadata().attributes.get(key);
        own.or_else(|| self.group?.attributes().get(key)).filter(|v| !v.is_null())
    }

    /// An attribute of the array, its group, or the root.
    pub(super) fn anywhere(&self, key: &str) -> Option<&'a Value> {
        self.get(key).or_else(|| self.root?.attributes().get(key))
    }

    /// All attributes, the array's first.
    pub(super) fn all(&self) -> impl Iterator<Item = &'a Attributes> {
        let groups = [self.group, self.root].into_iter().flatten();
        std::iter::once(&self.array.metadata().attributes).chain(groups.map(Group::attributes))
    }

    fn beside(&self, name: &str) -> Result<Option<Array>> {
        Ok(self.group.map(|g| g.array(name)).transpose()?.flatten())
    }
}

const TIMES: [&str; 4] = ["time", "year", "years", "t"];
const YS: [&str; 6] = ["y", "northing", "lat", "latitude", "row", "rows"];
const XS: [&str; 6] = ["x", "easting", "lon", "longitude", "col", "cols"];

/// Which axis is which: by `spatial:dimensions`, by name, else by the usual order. `None` where the array is no raster. With
/// `banded`, an axis of bands must be left.
pub(super) fn axes(scope: Scope<'_>, banded: bool) -> Option<Axes> {
    let meta = scope.array.metadata();
    let names: Vec<Option<String>> =
        meta.dimension_names.iter().map(|n| n.as_ref().map(|n| n.to_ascii_lowercase())).collect();
    let n = names.len();
    let spatial: Vec<&str> = scope
        .get("spatial:dimensions")
        .and_then(Value::as_array)
        .map_or(Vec::new(), |l| l.iter().filter_map(Value::as_str).collect());
    let find = |stated: Option<&&str>, usual: &[&str]| {
        let is = |name: &Option<String>, want: &str| name.as_deref() == Some(want);
        let stated = stated.map(|s| s.to_ascii_lowercase());
        let by_stated = stated.and_then(|s| names.iter().position(|name| is(name, &s)));
        by_stated.or_else(|| names.iter().position(|name| usual.iter().any(|u| is(name, u))))
    };
    let nameless = names.iter().all(Option::is_none);
    let (y, x, time) = if nameless {
        if n < 2 + usize::from(banded) || n > 4 {
            return None;
        }
        (n - 2, n - 1, (n == 3 + usize::from(banded)).then_some(0))
    } else {
        (find(spatial.first(), &YS)?, find(spatial.get(1), &XS)?, find(None, &TIMES))
    };
    let rest: Vec<usize> = (0..n).filter(|a| ![Some(y), Some(x), time].contains(&Some(*a))).collect();
    let long: Vec<usize> = rest.iter().copied().filter(|a| meta.shape[*a] > 1).collect();
    let band = match (banded, &long[..], &rest[..]) {
        (true, [one], _) | (true, [], [one]) => Some(*one),
        (false, [], _) => None,
        _ => return None,
    };
    Some(Axes { time, band, y, x })
}

/// The CRS of an array.
///
/// # Errors
/// If nothing says it, or what does is not understood.
pub(super) fn crs(scope: Scope<'_>, product: Option<&Descriptor>) -> Result<Crs> {
    let place = scope.array.place();
    let understood = |crs: Result<Crs, terravec_geo::GeoError>| crs.map_err(Error::geo(place.clone()));
    for key in ["proj:code", "proj:epsg", "proj:wkt2", "proj:projjson", "crs", "crs_wkt", "spatial_ref"] {
        if let Some(crs) = scope.get(key).and_then(stated_crs) {
            return understood(crs);
        }
    }
    if let Some(gdal) = scope.get("_CRS").and_then(Value::as_object) {
        for key in ["projjson", "wkt", "url"] {
            if let Some(crs) = gdal.get(key).and_then(stated_crs) {
                return understood(crs);
            }
        }
    }
    let mapping = scope.get("grid_mapping").and_then(Value::as_str);
    for name in mapping.into_iter().chain(["spatial_ref", "crs"]) {
        // Only a named one is worth a look in a store that can't be listed.
        if mapping.is_none() && scope.group.is_none_or(|g| g.names().is_none()) {
            break;
        }
        let Some(variable) = scope.beside(name)? else { continue };
        let said = &variable.metadata().attributes;
        if let Some(crs) =
            ["crs_wkt", "spatial_ref", "epsg_code"].iter().find_map(|k| stated_crs(said.get(*k)?))
        {
            return understood(crs);
        }
    }
    if let Some(zone) = scope.anywhere("tessera:utm_zone").and_then(Value::as_u64) {
        return understood(Crs::utm(u8::try_from(zone).unwrap_or(0), false));
    }
    let group = scope.group.map_or("", |g| g.path().rsplit('/').next().unwrap_or_default());
    if let Some((zone, south)) = zone_of(group) {
        return understood(Crs::utm(zone, south));
    }
    if let Some(CrsRule::Code(code)) = product.and_then(|p| Some(&p.grid.as_ref()?.crs)) {
        return understood(Crs::parse(code));
    }
    Err(Error::open(
        format!("{place}: nothing says in which CRS it is"),
        "it needs the attribute proj:code (such as \"EPSG:32633\"), or another convention that states the CRS",
    ))
}

/// A CRS as a code, a number, WKT or PROJJSON.
fn stated_crs(value: &Value) -> Option<Result<Crs, terravec_geo::GeoError>> {
    match value {
        Value::Number(n) => u32::try_from(n.as_u64()?).ok().map(Crs::from_epsg),
        Value::String(s) => Some(Crs::parse(s)),
        Value::Object(_) => Some(Crs::from_projjson(value)),
        _ => None,
    }
}

/// The zone that a group is named after: `utm07`, `33N`, `1S`.
fn zone_of(name: &str) -> Option<(u8, bool)> {
    let lower = name.to_ascii_lowercase();
    let (digits, south) = match lower.strip_prefix("utm") {
        Some(rest) => (rest.trim_start_matches(['_', '-']), false),
        None => (lower.strip_suffix('n').or(lower.strip_suffix('s'))?, lower.ends_with('s')),
    };
    let zone = digits.parse().ok().filter(|z| (1..=60).contains(z))?;
    (digits.len() <= 2).then_some((zone, south))
}

/// The grid of an array, north-up, and whether the array's rows begin in the south.
///
/// # Errors
/// If nothing says where the pixels lie, or they lie in no regular grid.
pub(super) fn grid(scope: Scope<'_>, axes: &Axes, product: Option<&Descriptor>) -> Result<(Grid, bool)> {
    let place = scope.array.place();
    let crs = crs(scope, product)?;
    let shape = &scope.array.metadata().shape;
    let size =
        |n: u64| usize::try_from(n).map_err(|_| Error::open(format!("{place}: too large"), "read a part"));
    let (height, mut width) = (size(shape[axes.y])?, size(shape[axes.x])?);
    let [a, b, mut c, d, mut e, mut f] = match stated_transform(scope) {
        Some(transform) => transform,
        None => match coordinates(scope, axes)? {
            Some(transform) => transform,
            None => described(product, width, height).ok_or_else(|| {
                Error::open(
                    format!("{place}: nothing says where its pixels lie"),
                    "it needs the attribute spatial:transform, or coordinates for both axes",
                )
            })?,
        },
    };
    let stated = [a, b, c, d, e, f];
    if scope.get("spatial:registration").and_then(Value::as_str) == Some("node") {
        (c, f) = (c - a / 2.0, f - e / 2.0);
    }
    if !stated.iter().all(|v| v.is_finite()) || b != 0.0 || d != 0.0 || a <= 0.0 || e == 0.0 {
        return Err(Error::open(
            format!("{place}: the transform {stated:?} is turned or mirrored, which is not read"),
            "warp the store to a north-up grid first",
        ));
    }
    if let Some([h, w]) = scope.get("spatial:shape").and_then(Value::as_array).map(Vec::as_slice) {
        if (h.as_u64(), w.as_u64()) != (Some(height as u64), Some(width as u64)) {
            return Err(Error::open(
                format!("{place}: spatial:shape says {h} × {w} pixels, the array has {height} × {width}"),
                "the metadata of the store contradict one another: ask who made it",
            ));
        }
    }
    let south_up = e > 0.0;
    if south_up {
        (f, e) = (f + e * height as f64, -e);
    }
    // Columns beyond the antimeridian repeat those at the other side.
    if crs.is_geographic() && c >= -180.0 - a && c + a * width as f64 > 180.0 + a {
        width = (((180.0 - c) / a).ceil() as usize).min(width);
    }
    let grid = Grid::new(crs, Affine::new(a, 0.0, c, 0.0, e, f), width, height);
    Ok((grid.map_err(Error::geo(place))?, south_up))
}

fn stated_transform(scope: Scope<'_>) -> Option<[f64; 6]> {
    let list = scope.get("spatial:transform").or_else(|| scope.get("proj:transform"))?.as_array()?;
    let numbers: Vec<f64> = list.iter().take(6).filter_map(Value::as_f64).collect();
    numbers.try_into().ok()
}

fn described(product: Option<&Descriptor>, width: usize, height: usize) -> Option<[f64; 6]> {
    let grid = product?.grid.as_ref()?;
    let fits = grid.shape? == [width as u64, height as u64];
    grid.affine.filter(|_| fits)
}

/// The transform of coordinates, which are those of pixel centres.
fn coordinates(scope: Scope<'_>, axes: &Axes) -> Result<Option<[f64; 6]>> {
    let names = &scope.array.metadata().dimension_names;
    let line = |axis: usize| -> Result<Option<(f64, f64)>> {
        let Some(name) = &names[axis] else { return Ok(None) };
        let Some(array) = scope.beside(name)? else { return Ok(None) };
        let values = array.numbers()?;
        let [first, .., last] = values[..] else { return Ok(None) };
        let step = (last - first) / (values.len() - 1) as f64;
        let even =
            values.iter().enumerate().all(|(i, v)| (first + i as f64 * step - v).abs() <= 1e-3 * step.abs());
        if values.len() as u64 != scope.array.metadata().shape[axis] || !even || step == 0.0 {
            return Err(Error::open(
                format!("{}: its {} coordinates are no regular grid", array.place(), values.len()),
                "only regular grids are read",
            ));
        }
        Ok(Some((first - step / 2.0, step)))
    };
    Ok(match (line(axes.x)?, line(axes.y)?) {
        (Some((c, a)), Some((f, e))) => Some([a, 0.0, c, 0.0, e, f]),
        _ => None,
    })
}

/// The year of each step along the time axis; `None` where the array has no such axis and nothing states its year.
///
/// # Errors
/// If there are several steps and nothing says when they are, or two in one year.
pub(super) fn years(scope: Scope<'_>, axes: &Axes) -> Result<Vec<Option<i32>>> {
    let meta = scope.array.metadata();
    let place = scope.array.place();
    let sane = |y: i32| (1900..=2200).contains(&y).then_some(y);
    let stated = || {
        let value = ["tessera:year", "geoemb:year", "year"].iter().find_map(|k| scope.get(k))?;
        let number = value.as_i64().or_else(|| value.as_str()?.parse().ok())?;
        sane(i32::try_from(number).ok()?)
    };
    let folder = || {
        let path = scope.array.place();
        let mut parts: Vec<&str> = path.split('/').rev().skip(1).collect();
        parts.truncate(2);
        parts.iter().find_map(|p| sane(p.trim_end_matches(".zarr").parse().ok()?))
    };
    let steps = axes.time.map_or(1, |t| meta.shape[t] as usize);
    let mut years: Option<Vec<i32>> = None;
    if let (Some(t), Some(_)) = (axes.time, scope.group)
        && let Some(name) = &meta.dimension_names[t]
        && let Some(array) = scope.beside(name)?
    {
        let read = array.numbers()?.into_iter().map(|v| year_of(&array, v).and_then(sane)).collect();
        years = Some(Option::ok_or_else(read, || {
            Error::open(
                format!("{}: not all of its values are years or times", array.place()),
                "a time axis holds years, or times since a stated day",
            )
        })?);
    }
    let years = match years {
        Some(years) => years,
        None if steps == 1 => return Ok(vec![stated().or_else(folder)]),
        None => {
            let list = scope.anywhere("years").and_then(Value::as_array);
            let list: Option<Vec<i32>> =
                list.map(|l| l.iter().filter_map(|v| sane(i32::try_from(v.as_i64()?).ok()?)).collect());
            list.unwrap_or_default()
        }
    };
    if years.len() != steps {
        return Err(Error::open(
            format!("{place}: {} years are stated for {steps} steps in time", years.len()),
            "the store needs a coordinate array named like its time axis",
        ));
    }
    let mut sorted = years.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() < years.len() {
        return Err(Error::open(
            format!("{place}: several steps in time lie in one year, which is not read yet"),
            "give each period a store of its own",
        ));
    }
    Ok(years.into_iter().map(Some).collect())
}

/// The year of a value of a time coordinate: itself, or that of the moment it counts to.
fn year_of(array: &Array, value: f64) -> Option<i32> {
    let meta = array.metadata();
    let count = (value.fract() == 0.0 && value.abs() < 9e15).then_some(value as i64)?;
    if let Element::Time { unit, scale } = &meta.element {
        return since(unit, count.checked_mul(*scale)?, NaiveDate::default());
    }
    match meta.attributes.get("units").and_then(Value::as_str) {
        Some(units) if units.contains(" since ") => {
            let (unit, day) = units.split_once(" since ")?;
            let day = day.get(..10).unwrap_or(day);
            since(unit, count, day.parse().ok()?)
        }
        _ => i32::try_from(count).ok(),
    }
}

/// The year `count` units after the beginning of `day`.
fn since(unit: &str, count: i64, day: NaiveDate) -> Option<i32> {
    let seconds = |each: i64| count.checked_mul(each);
    let seconds = match unit.trim() {
        "Y" | "years" | "year" => return i32::try_from(count).ok()?.checked_add(day.year()),
        "M" | "months" => return i32::try_from(count.div_euclid(12)).ok()?.checked_add(day.year()),
        "W" | "weeks" => seconds(7 * 86_400)?,
        "D" | "days" | "day" => seconds(86_400)?,
        "h" | "hours" | "hour" => seconds(3600)?,
        "m" | "minutes" | "minute" => seconds(60)?,
        "s" | "seconds" | "second" => count,
        "ms" | "milliseconds" => count.div_euclid(1000),
        "us" | "microseconds" => count.div_euclid(1_000_000),
        "ns" | "nanoseconds" => count.div_euclid(1_000_000_000),
        _ => return None,
    };
    let start = day.and_hms_opt(0, 0, 0)?.and_utc().timestamp();
    Some(DateTime::from_timestamp(start.checked_add(seconds)?, 0)?.year())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_named_after_zones() {
        assert_eq!(zone_of("utm07"), Some((7, false)));
        assert_eq!(zone_of("33N"), Some((33, false)));
        assert_eq!(zone_of("1S"), Some((1, true)));
        for other in ["utm", "utm61", "embeddings", "s", "2020s", "0N"] {
            assert_eq!(zone_of(other), None, "{other}");
        }
    }

    #[test]
    fn times_have_years() {
        let day: NaiveDate = "1970-01-01".parse().unwrap();
        assert_eq!(since("days", 19_723, day), Some(2024));
        assert_eq!(since("ns", 1_704_067_200_000_000_000, day), Some(2024));
        assert_eq!(since("Y", 54, day), Some(2024));
        assert_eq!(since("days", -1, "2018-01-01".parse().unwrap()), Some(2017));
        assert_eq!(since("fortnights", 1, day), None);
    }
}
