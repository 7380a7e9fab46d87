//! Answers as Arrow tables: the caller's columns, place, time, status, product and the vector, with provenance.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, FixedSizeListArray, Float32Array, Float64Array, Int32Array, RecordBatch,
    StringArray, TimestampMillisecondArray, UInt32Array, UInt64Array,
};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::{Field, FieldRef, Schema};
use geo_types::MultiPolygon;
use terravec_io::vector::{TableSpec, wkb};
use terravec_io::{Samples, with_samples};

use crate::error::Result;
use crate::patch::Patches;
use crate::provenance::Provenance;
use crate::query::join::{Joined, Places};
use crate::query::reduce::Reduced;
use crate::query::sample::{Sampled, Values};
use crate::time::Interval;
use crate::vectors::Status;

/// Footer key of the provenance JSON.
pub const PROVENANCE_KEY: &str = "terravec";

/// A column and its field.
type Column = (FieldRef, ArrayRef);

fn column(name: &str, array: ArrayRef) -> Column {
    (Arc::new(Field::new(name, array.data_type().clone(), true)), array)
}

/// Vectors, row-major, as a fixed-size list; rows whose status is not valid are null.
fn vectors(name: &str, values: ArrayRef, depth: usize, status: &[Status]) -> Result<Column> {
    let item = Arc::new(Field::new("element", values.data_type().clone(), true));
    let valid = NullBuffer::from(status.iter().map(|s| *s == Status::Valid).collect::<Vec<bool>>());
    let size =
        i32::try_from(depth).map_err(|_| arrow::error::ArrowError::SchemaError("vector too long".into()))?;
    Ok(column(name, Arc::new(FixedSizeListArray::try_new(item, size, values, Some(valid))?)))
}

fn numbers(samples: Samples) -> ArrayRef {
    use arrow::array::PrimitiveArray;
    use arrow::datatypes as t;
    macro_rules! arms {
        ($($v:ident: $t:ty),*) => {
            match samples {
                $(Samples::$v(v) => Arc::new(PrimitiveArray::<$t>::new(ScalarBuffer::from(v), None)) as ArrayRef,)*
            }
        };
    }
    arms!(
        U8: t::UInt8Type, I8: t::Int8Type, U16: t::UInt16Type, I16: t::Int16Type, U32: t::UInt32Type,
        I32: t::Int32Type, F16: t::Float16Type, F32: t::Float32Type, F64: t::Float64Type
    )
}

fn times(intervals: &[Option<Interval>]) -> [Column; 2] {
    let of = |f: fn(&Interval) -> i64| -> ArrayRef {
        Arc::new(
            intervals
                .iter()
                .map(|i| i.as_ref().map(f))
                .collect::<TimestampMillisecondArray>()
                .with_timezone("UTC"),
        )
    };
    [column("time_start", of(|i| i.start_ms)), column("time_end", of(|i| i.end_ms))]
}

fn statuses(status: &[Status]) -> Column {
    column("status", Arc::new(StringArray::from_iter_values(status.iter().map(|s| s.name()))))
}

fn product(provenance: &Provenance, rows: usize) -> Column {
    column("product", Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&provenance.product, rows))))
}

/// The caller's columns, each row repeated once per period; names that clash with ours get a `_` behind.
fn callers(columns: &RecordBatch, rows: usize, periods: usize, ours: &[&str]) -> Result<Vec<Column>> {
    #[allow(clippy::cast_possible_truncation)]
    let index = UInt32Array::from_iter_values((0..rows as u32).flat_map(|i| std::iter::repeat_n(i, periods)));
    let schema = columns.schema();
    let mut names: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
    for i in 0..names.len() {
        while ours.contains(&names[i].as_str()) || names[..i].contains(&names[i]) {
            names[i].push('_');
        }
    }
    schema
        .fields()
        .iter()
        .zip(columns.columns())
        .zip(names)
        .map(|((field, array), name)| {
            let field = field.as_ref().clone().with_name(name).with_nullable(true);
            Ok((Arc::new(field), take(array, &index, None)?))
        })
        .collect()
}

fn batch(columns: Vec<Column>, provenance: &Provenance) -> Result<RecordBatch> {
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    let metadata = HashMap::from([(PROVENANCE_KEY.to_string(), provenance.to_json())]);
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields).with_metadata(metadata)), arrays)?)
}

const OURS: [&str; 12] = [
    "lon",
    "lat",
    "x",
    "y",
    "status",
    "time_start",
    "time_end",
    "product",
    "pixels",
    "embedding",
    "codes",
    "geometry",
];

/// The table of a sample.
///
/// # Errors
/// If Arrow refuses a column, which would be a fault of ours.
pub fn sampled(s: Sampled) -> Result<RecordBatch> {
    let rows = s.status.len();
    // Rows of one point: periods, and ranks of patches.
    let periods = rows / s.points.lon.len().max(1);
    let each = |v: &[f64]| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(v.iter().flat_map(|x| std::iter::repeat_n(*x, periods))))
    };
    let points = s.points.lon.iter().zip(&s.points.lat);
    let geometry = BinaryArray::from_iter(points.flat_map(|(x, y)| {
        std::iter::repeat_n((x.is_finite() && y.is_finite()).then(|| wkb::point(*x, *y)), periods)
    }));
    let ours: Vec<&str> = OURS.into_iter().chain(s.extra.iter().map(|(name, _)| name.as_str())).collect();
    let mut columns = callers(&s.points.columns, s.points.lon.len(), periods, &ours)?;
    columns.push(column("lon", each(&s.points.lon)));
    columns.push(column("lat", each(&s.points.lat)));
    columns.push(statuses(&s.status));
    columns.extend(times(&s.intervals));
    columns.push(product(&s.provenance, rows));
    columns.extend(s.extra.iter().map(|(name, array)| column(name, Arc::clone(array))));
    let (name, samples) = match s.values {
        Values::Vectors(v) => ("embedding", Samples::F32(v)),
        Values::Codes(c) => ("codes", c),
    };
    columns.push(vectors(name, numbers(samples), s.band_names.len(), &s.status)?);
    columns.push(column("geometry", Arc::new(geometry)));
    batch(columns, &s.provenance)
}

/// The table of a reduction.
///
/// # Errors
/// If Arrow refuses a column, which would be a fault of ours.
pub fn reduced(r: Reduced) -> Result<RecordBatch> {
    let periods = r.periods.len();
    let rows = r.regions.polygons.len() * periods;
    let mut columns = callers(&r.regions.columns, r.regions.polygons.len(), periods, &OURS)?;
    columns.push(statuses(&r.status));
    columns.extend(times(&r.intervals));
    columns.push(product(&r.provenance, rows));
    columns.push(column("pixels", Arc::new(UInt64Array::from(r.pixels))));
    columns.push(vectors("embedding", numbers(Samples::F32(r.values)), r.band_names.len(), &r.status)?);
    let shapes = r.regions.polygons.iter().map(wkb::multi_polygon);
    let shapes: Vec<Vec<u8>> = shapes.flat_map(|g| std::iter::repeat_n(g, periods)).collect();
    let geometry = BinaryArray::from_iter_values(shapes);
    columns.push(column("geometry", Arc::new(geometry)));
    batch(columns, &r.provenance)
}

/// One row per pixel that has a vector.
#[derive(Debug)]
pub struct PixelRows {
    /// Pixel centres in the grid's CRS.
    pub xy: (Vec<f64>, Vec<f64>),
    /// Pixel centres in degrees.
    pub lonlat: (Vec<f64>, Vec<f64>),
    /// When.
    pub interval: Option<Interval>,
    /// Row-major numbers.
    pub values: Samples,
    /// Whether the numbers are codes.
    pub codes: bool,
    /// What the codes of each row are to be multiplied with, where the product keeps that apart.
    pub scales: Option<Vec<f32>>,
    /// Bands.
    pub depth: usize,
}

/// The table of a block of pixels.
///
/// # Errors
/// If Arrow refuses a column, which would be a fault of ours.
pub fn pixels(p: PixelRows, provenance: &Provenance) -> Result<RecordBatch> {
    let rows = p.xy.0.len();
    let geometry =
        BinaryArray::from_iter_values(p.lonlat.0.iter().zip(&p.lonlat.1).map(|(x, y)| wkb::point(*x, *y)));
    let f64s = |v: Vec<f64>| -> ArrayRef { Arc::new(Float64Array::from(v)) };
    let mut columns = vec![
        column("x", f64s(p.xy.0)),
        column("y", f64s(p.xy.1)),
        column("lon", f64s(p.lonlat.0)),
        column("lat", f64s(p.lonlat.1)),
    ];
    columns.extend(times(&vec![p.interval; rows]));
    columns.push(product(provenance, rows));
    if let Some(scales) = p.scales {
        columns.push(column("scale", Arc::new(Float32Array::from(scales))));
    }
    let name = if p.codes { "codes" } else { "embedding" };
    columns.push(vectors(name, numbers(p.values), p.depth, &vec![Status::Valid; rows])?);
    columns.push(column("geometry", Arc::new(geometry)));
    batch(columns, provenance)
}

/// The table of a join: the caller's columns, then those of each product, named after it.
///
/// # Errors
/// If Arrow refuses a column, which would be a fault of ours.
pub fn joined(j: Joined) -> Result<RecordBatch> {
    let rows = j.rows();
    let periods = j.periods.len().max(1);
    let each = |v: &[f64]| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(v.iter().flat_map(|x| std::iter::repeat_n(*x, periods))))
    };
    let (own, lon, lat, shapes): (_, _, _, Vec<Option<Vec<u8>>>) = match &j.places {
        Places::Points(p) => {
            let placed = p.lon.iter().zip(&p.lat);
            let shape = |(x, y): (&f64, &f64)| (x.is_finite() && y.is_finite()).then(|| wkb::point(*x, *y));
            (&p.columns, &p.lon, &p.lat, placed.map(shape).collect())
        }
        Places::Patches { regions, lon, lat } => {
            let shape = |m: &MultiPolygon<f64>| (!m.0.is_empty()).then(|| wkb::multi_polygon(m));
            (&regions.columns, lon, lat, regions.polygons.iter().map(shape).collect())
        }
    };
    let mut columns = vec![column("lon", each(lon)), column("lat", each(lat))];
    if j.periods.iter().any(Option::is_some) {
        let years = (0..rows).map(|r| j.periods[r % periods]);
        columns.push(column("year", Arc::new(years.collect::<Int32Array>())));
    }
    for part in j.parts {
        let named = |name: &str| format!("{}_{name}", part.name);
        let [start, end] = times(&part.intervals);
        columns.push(column(&named("status"), statuses(&part.status).1));
        columns.push(column(&named("time_start"), start.1));
        columns.push(column(&named("time_end"), end.1));
        columns.extend(part.extra.iter().map(|(name, array)| column(&named(name), Arc::clone(array))));
        let (name, samples) = match part.values {
            Values::Vectors(v) => ("embedding", Samples::F32(v)),
            Values::Codes(c) => ("codes", c),
        };
        columns.push(vectors(&named(name), numbers(samples), part.dimension, &part.status)?);
    }
    let shapes = shapes.into_iter().flat_map(|g| std::iter::repeat_n(g, periods));
    columns.push(column("geometry", Arc::new(shapes.collect::<BinaryArray>())));
    let ours: Vec<String> = columns.iter().map(|(field, _)| field.name().clone()).collect();
    let ours: Vec<&str> = ours.iter().map(String::as_str).collect();
    let mut all = callers(own, rows / periods, periods, &ours)?;
    all.extend(columns);
    let (fields, arrays): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}

/// How the table of a join is written: with the provenance of each product, in their order.
#[must_use]
pub fn joined_spec(provenances: &[&Provenance]) -> TableSpec {
    let text = serde_json::to_string(provenances).unwrap_or_default();
    TableSpec { metadata: vec![(PROVENANCE_KEY.to_string(), text)], ..TableSpec::default() }
}

/// The table of rows of a patch product: its own columns first.
///
/// # Errors
/// If Arrow refuses a column, which would be a fault of ours.
pub fn patches(p: Patches, provenance: &Provenance) -> Result<RecordBatch> {
    let rows = p.rows();
    let f64s = |v: Vec<f64>| -> ArrayRef { Arc::new(Float64Array::from(v)) };
    let mut columns = callers(&p.columns, rows, 1, &OURS)?;
    columns.push(column("lon", f64s(p.lon)));
    columns.push(column("lat", f64s(p.lat)));
    columns.push(statuses(&p.status));
    columns.extend(times(&p.intervals));
    columns.push(product(provenance, rows));
    let (name, samples) = match p.values {
        Values::Vectors(v) => ("embedding", Samples::F32(v)),
        Values::Codes(c) => ("codes", c),
    };
    columns.push(vectors(name, numbers(samples), p.dimension, &p.status)?);
    columns.push(column("geometry", Arc::new(p.geometry)));
    batch(columns, provenance)
}

/// How a table of vectors is written: with its provenance, and with the `emb` footer that tables of embeddings have.
///
/// `names` are those of the numbers, for formats with a column for each; `covering` asks for a column of bounding boxes.
#[must_use]
pub fn spec(provenance: &Provenance, names: Vec<String>, covering: bool) -> TableSpec {
    let mut emb = serde_json::json!({
        "version": "0.0.1",
        "model": { "id": provenance.product, "name": provenance.model },
        "license": provenance.licence,
        "embedding": {
            "dim": provenance.dimension,
            "quantization": if provenance.values == "codes" { provenance.decode.as_str() } else { "None" },
        },
    });
    if let (Some(first), Some(last)) = (provenance.years.iter().min(), provenance.years.iter().max()) {
        emb["start_datetime"] = format!("{first}-01-01T00:00:00Z").into();
        emb["end_datetime"] = format!("{}-01-01T00:00:00Z", last + 1).into();
    }
    TableSpec {
        metadata: vec![
            (PROVENANCE_KEY.to_string(), provenance.to_json()),
            ("emb".to_string(), emb.to_string()),
        ],
        vector_names: names,
        covering,
        ..TableSpec::default()
    }
}

/// Picks rows `index` of row-major numbers, `dim` to a row.
#[must_use]
pub fn rows_at(samples: &Samples, dim: usize, index: &[usize]) -> Samples {
    with_samples!(samples, v => {
        let mut out = Vec::with_capacity(dim * index.len());
        for &i in index {
            out.extend_from_slice(&v[i * dim..(i + 1) * dim]);
        }
        Samples::from(out)
    })
}

/// Picks pixels `index` of a (band, y, x) block as row-major numbers.
#[must_use]
pub fn rows_of(samples: &Samples, planes: usize, index: &[usize]) -> Samples {
    with_samples!(samples, v => {
        let bands = v.len() / planes.max(1);
        let mut out = Vec::with_capacity(bands * index.len());
        for &i in index {
            out.extend((0..bands).map(|b| v[b * planes + i]));
        }
        Samples::from(out)
    })
}
