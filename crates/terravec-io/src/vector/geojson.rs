//! GeoJSON, whole (RFC 7946) or one feature per line (RFC 8142, with or without record separators).

use std::collections::HashMap;
use std::path::Path;

use arrow::array::ArrayRef;
use geo_types::{Coord, Geometry, LineString, MultiPoint, MultiPolygon, Point, Polygon};
use serde::Deserialize;
use serde_json::{Map, Value};
use terravec_geo::Crs;

use super::cells::{batch, column};
use super::error::VectorError;
use super::features::{Features, RowNames, Shape};
use crate::geoparquet::footer::Reference;

/// A FeatureCollection, a Feature or a bare geometry.
#[derive(Deserialize)]
struct Root {
    r#type: String,
    #[serde(default)]
    crs: Option<Value>,
    features: Option<Vec<Feature>>,
    #[serde(default)]
    id: Option<Value>,
    geometry: Option<RawGeometry>,
    properties: Option<Map<String, Value>>,
    coordinates: Option<Nested>,
}

#[derive(Deserialize)]
struct Feature {
    #[serde(default)]
    id: Option<Value>,
    geometry: Option<RawGeometry>,
    properties: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct RawGeometry {
    r#type: String,
    coordinates: Option<Nested>,
}

/// Coordinates before their depth is known.
enum Nested {
    Number(f64),
    List(Vec<Nested>),
}

impl<'de> Deserialize<'de> for Nested {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NestedVisitor)
    }
}

/// Serde's own way for such types copies every level once more.
struct NestedVisitor;

#[allow(clippy::cast_precision_loss)] // coordinates are float64
impl<'de> serde::de::Visitor<'de> for NestedVisitor {
    type Value = Nested;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("numbers or lists of numbers")
    }

    fn visit_f64<E>(self, v: f64) -> Result<Nested, E> {
        Ok(Nested::Number(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Nested, E> {
        Ok(Nested::Number(v as f64))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Nested, E> {
        Ok(Nested::Number(v as f64))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<Nested, A::Error> {
        let mut out = Vec::new();
        while let Some(item) = items.next_element()? {
            out.push(item);
        }
        Ok(Nested::List(out))
    }
}

pub(super) fn read<S: Shape>(path: &Path) -> Result<Features<S>, VectorError> {
    read_bytes(path, std::fs::read(path).map_err(VectorError::io(path))?)
}

/// Reads the text of a file; `path` is its name in messages.
pub(super) fn read_bytes<S: Shape>(path: &Path, mut bytes: Vec<u8>) -> Result<Features<S>, VectorError> {
    let bad = |what: String| {
        VectorError::content(path, what, "give a GeoJSON FeatureCollection, or a feature per line")
    };
    // Record separators stand where JSON allows a space, a byte order mark does not belong to it.
    bytes.iter_mut().filter(|b| **b == 0x1e).for_each(|b| *b = b' ');
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut features = Vec::new();
    let mut reference = None;
    for root in serde_json::Deserializer::from_slice(bytes).into_iter::<Root>() {
        let root = root.map_err(|e| bad(format!("it is no GeoJSON: {e}")))?;
        if let Some(crs) = &root.crs {
            reference = Some(named_crs(crs).map_err(&bad)?);
        }
        match (root.r#type.as_str(), root.features) {
            ("FeatureCollection", Some(more)) => features.extend(more),
            ("FeatureCollection", None) => return Err(bad("the FeatureCollection has no features".into())),
            ("Feature", _) => {
                features.push(Feature { id: root.id, geometry: root.geometry, properties: root.properties });
            }
            (_, _) => {
                let geometry = RawGeometry { r#type: root.r#type, coordinates: root.coordinates };
                features.push(Feature { id: None, geometry: Some(geometry), properties: None });
            }
        }
    }
    let mut flattened = false;
    let mut shapes = Vec::with_capacity(features.len());
    for (i, feature) in features.iter_mut().enumerate() {
        let shape = match feature.geometry.take() {
            None => Ok(None),
            Some(g) => geometry(g, &mut flattened).and_then(S::of),
        };
        shapes.push(shape.map_err(|e| bad(format!("feature {}: {e}", i + 1)))?);
    }
    let columns = batch(columns(features), shapes.len()).map_err(|e| bad(e.to_string()))?;
    Ok(Features {
        shapes,
        columns,
        reference: reference.unwrap_or_else(|| Reference::Known(Crs::wgs84())),
        names: RowNames::Feature,
        flattened,
        warnings: Vec::new(),
    })
}

/// Properties as columns, in order of appearance; the features' `id`s first, unless a property has that name.
fn columns(features: Vec<Feature>) -> Vec<(String, ArrayRef)> {
    let rows = features.len();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut columns: Vec<(String, Vec<Value>)> = Vec::new();
    let mut ids = Vec::new();
    for (row, feature) in features.into_iter().enumerate() {
        if let Some(id) = feature.id.filter(|id| !id.is_null()) {
            ids.resize(row, Value::Null);
            ids.push(id);
        }
        for (name, value) in feature.properties.into_iter().flatten() {
            let place = *places.entry(name).or_insert_with_key(|name| {
                columns.push((name.clone(), Vec::new()));
                columns.len() - 1
            });
            columns[place].1.resize(row, Value::Null);
            columns[place].1.push(value);
        }
    }
    if !ids.is_empty() && !places.contains_key("id") {
        columns.insert(0, ("id".into(), ids));
    }
    columns
        .into_iter()
        .map(|(name, mut cells)| {
            cells.resize(rows, Value::Null);
            (name, column(cells.iter()))
        })
        .collect()
}

/// A geometry from its own JSON text.
pub(super) fn geometry_of(text: &str, flattened: &mut bool) -> Result<Geometry<f64>, String> {
    let raw: RawGeometry =
        serde_json::from_str(text).map_err(|e| format!("the geometry is no GeoJSON: {e}"))?;
    geometry(raw, flattened)
}

fn geometry(raw: RawGeometry, flattened: &mut bool) -> Result<Geometry<f64>, String> {
    let kind = raw.r#type;
    if !["Point", "MultiPoint", "Polygon", "MultiPolygon"].contains(&kind.as_str()) {
        return Err(format!("the geometry is a {kind}; points or polygons are needed"));
    }
    let coordinates = raw.coordinates.ok_or_else(|| format!("the {kind} has no coordinates"))?;
    let mut coord = |n: Nested| coord(n, flattened);
    let built: Result<Geometry<f64>, String> = match kind.as_str() {
        // An empty point is written as an empty list.
        "Point" if matches!(&coordinates, Nested::List(l) if l.is_empty()) => {
            Ok(MultiPoint(Vec::new()).into())
        }
        "Point" => coord(coordinates).map(|c| Point(c).into()),
        "MultiPoint" => list(coordinates, |n| coord(n).map(Point)).map(|l| MultiPoint(l).into()),
        "Polygon" => polygon(coordinates, &mut coord).map(Into::into),
        _ => list(coordinates, |n| polygon(n, &mut coord)).map(|l| MultiPolygon(l).into()),
    };
    built.map_err(|e| format!("the {kind} is wrong: {e}"))
}

fn list<T>(nested: Nested, item: impl FnMut(Nested) -> Result<T, String>) -> Result<Vec<T>, String> {
    match nested {
        Nested::List(items) => items.into_iter().map(item).collect(),
        Nested::Number(n) => Err(format!("{n} stands where a list should")),
    }
}

fn polygon(
    nested: Nested,
    coord: &mut impl FnMut(Nested) -> Result<Coord<f64>, String>,
) -> Result<Polygon<f64>, String> {
    let mut rings = list(nested, |ring| list(ring, &mut *coord).map(LineString))?.into_iter();
    let exterior = rings.next().unwrap_or_else(|| LineString(Vec::new()));
    Ok(Polygon::new(exterior, rings.collect()))
}

fn coord(nested: Nested, flattened: &mut bool) -> Result<Coord<f64>, String> {
    let numbers = list(nested, |n| match n {
        Nested::Number(v) => Ok(v),
        Nested::List(_) => Err("a list stands where a number should".into()),
    })?;
    let [x, y, rest @ ..] = numbers.as_slice() else {
        return Err(format!("a position has {} numbers; it needs 2", numbers.len()));
    };
    *flattened |= !rest.is_empty();
    Ok(Coord { x: *x, y: *y })
}

/// The CRS of the member `crs`, which GeoJSON had before RFC 7946.
fn named_crs(value: &Value) -> Result<Reference, String> {
    let name = value.pointer("/properties/name").or_else(|| value.pointer("/properties/code"));
    let name = match name {
        Some(Value::String(s)) => s.clone(),
        Some(Value::Number(n)) => n.to_string(),
        _ => return Err(format!("its CRS {value} names none")),
    };
    Crs::parse(&name).map(Reference::Known).map_err(|e| e.to_string())
}
