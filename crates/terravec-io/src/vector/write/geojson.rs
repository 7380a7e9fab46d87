//! GeoJSON: a FeatureCollection with the footer keys as members; vectors are lists.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use geo_types::{Geometry, LineString, Polygon};
use serde_json::{Value, json};

use super::{Out, Sink, TableSpec, bytes_of, geometries};
use crate::vector::rows::records;
use crate::vector::wkb;

struct GeoJson {
    out: Out,
    geometry: String,
    first: bool,
}

pub(super) fn start(mut out: Out, _: &SchemaRef, spec: &TableSpec) -> Result<Box<dyn Sink>, String> {
    let io = |e: std::io::Error| e.to_string();
    write!(out, "{{\"type\":\"FeatureCollection\",").map_err(io)?;
    for (key, value) in &spec.metadata {
        let value: Value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.clone()));
        write!(out, "{}:{value},", Value::String(key.clone())).map_err(io)?;
    }
    write!(out, "\"features\":[").map_err(io)?;
    Ok(Box::new(GeoJson { out, geometry: spec.geometry.clone(), first: true }))
}

impl Sink for GeoJson {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), String> {
        let shapes = batch.column_by_name(&self.geometry).map(geometries).transpose()?;
        for (row, properties) in records(batch)?.enumerate() {
            let geometry = match shapes.as_ref().and_then(|g| bytes_of(g, row)) {
                Some(bytes) => geometry(&wkb::read(bytes)?),
                None => Value::Null,
            };
            let feature = json!({ "type": "Feature", "geometry": geometry, "properties": properties });
            let before = if self.first { "\n" } else { ",\n" };
            write!(self.out, "{before}{feature}").map_err(|e| e.to_string())?;
            self.first = false;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), String> {
        writeln!(self.out, "\n]}}").map_err(|e| e.to_string())?;
        super::flush(self.out)
    }
}

fn geometry(shape: &Geometry<f64>) -> Value {
    let ring = |line: &LineString<f64>| json!(line.0.iter().map(|c| [c.x, c.y]).collect::<Vec<_>>());
    let rings = |p: &Polygon<f64>| {
        json!(std::iter::once(p.exterior()).chain(p.interiors()).map(ring).collect::<Vec<_>>())
    };
    match shape {
        Geometry::Point(p) => json!({ "type": "Point", "coordinates": [p.x(), p.y()] }),
        Geometry::MultiPoint(m) => {
            json!({ "type": "MultiPoint", "coordinates": m.iter().map(|p| [p.x(), p.y()]).collect::<Vec<_>>() })
        }
        Geometry::Polygon(p) => json!({ "type": "Polygon", "coordinates": rings(p) }),
        Geometry::MultiPolygon(m) => {
            json!({ "type": "MultiPolygon", "coordinates": m.iter().map(rings).collect::<Vec<_>>() })
        }
        _ => Value::Null,
    }
}
