//! Points and polygons from files, Arrow tables, arrays and texts.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Float64Array, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use pyo3_arrow::input::AnyRecordBatch;
use terravec_io::vector::{self, VectorError};

use crate::{errors, stream};

/// Places with the caller's columns.
#[pyclass(frozen, module = "terravec._native")]
pub(crate) struct Points(pub(crate) vector::Points);

/// Polygons with the caller's columns.
#[pyclass(frozen, module = "terravec._native")]
pub(crate) struct Regions(pub(crate) vector::Regions);

#[pymethods]
impl Points {
    fn __len__(&self) -> usize {
        self.0.lon.len()
    }

    /// What was noticed while reading.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.0.warnings.clone()
    }

    /// The file they come from, or what stands for it.
    #[getter]
    fn origin(&self) -> String {
        self.0.origin.clone()
    }

    /// Longitude and latitude, NaN where there is no place.
    fn lonlat<'py>(&self, py: Python<'py>) -> (Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<f64>>) {
        (PyArray1::from_slice(py, &self.0.lon), PyArray1::from_slice(py, &self.0.lat))
    }

    /// Some of them, by number.
    fn take(&self, py: Python<'_>, numbers: Vec<u64>) -> PyResult<Self> {
        let all = &self.0;
        let rows = numbers.len();
        let index: Option<Vec<usize>> =
            numbers.iter().map(|&i| usize::try_from(i).ok().filter(|i| *i < all.lon.len())).collect();
        let index =
            index.ok_or_else(|| errors::usage(py, "there are not as many points".into(), "count from 0"))?;
        let columns = if all.columns.num_columns() == 0 {
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            RecordBatch::try_new_with_options(all.columns.schema(), Vec::new(), &options)
        } else {
            take_record_batch(&all.columns, &UInt64Array::from(numbers))
        };
        let columns = columns.map_err(|e| errors::raise(py, &e.into()))?;
        let pick = |v: &[f64]| index.iter().map(|&i| v[i]).collect();
        Ok(Self(vector::Points {
            lon: pick(&all.lon),
            lat: pick(&all.lat),
            columns,
            origin: all.origin.clone(),
            warnings: Vec::new(),
        }))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        let make = py.import("terravec._native")?.getattr("points_of_bytes")?;
        let bytes =
            self.place_table().and_then(|t| stream::write(&t)).map_err(|e| errors::raise(py, &e.into()))?;
        Ok((make, (PyBytes::new(py, &bytes),)))
    }
}

impl Points {
    /// The caller's columns and a geometry.
    fn place_table(&self) -> Result<RecordBatch, ArrowError> {
        let places = self.0.lon.iter().zip(&self.0.lat);
        let shapes = places.map(|(x, y)| (!x.is_nan()).then(|| vector::wkb::point(*x, *y)));
        let geometry: ArrayRef = Arc::new(shapes.collect::<BinaryArray>());
        let extension = ("ARROW:extension:name".to_string(), "geoarrow.wkb".to_string());
        let field =
            Field::new("__terravec_place__", DataType::Binary, true).with_metadata([extension].into());
        let schema = self.0.columns.schema();
        let fields = schema.fields().iter().cloned().chain([Arc::new(field)]).collect::<Vec<_>>();
        let columns = self.0.columns.columns().iter().cloned().chain([geometry]).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
    }
}

#[pymethods]
impl Regions {
    fn __len__(&self) -> usize {
        self.0.polygons.len()
    }

    /// What was noticed while reading.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.0.warnings.clone()
    }
}

/// Runs `read` with the interpreter let go.
fn reading<T: Send>(py: Python<'_>, read: impl FnOnce() -> Result<T, VectorError> + Send) -> PyResult<T> {
    py.detach(read).map_err(|e| errors::raise(py, &e.into()))
}

fn table(py: Python<'_>, input: AnyRecordBatch) -> PyResult<(SchemaRef, Vec<RecordBatch>)> {
    let (batches, schema) = py.detach(|| input.into_table())?.into_inner();
    Ok((schema, batches))
}

/// Points of a file, or of a text `LON,LAT`.
#[pyfunction]
pub(crate) fn read_points(py: Python<'_>, source: PathBuf) -> PyResult<Points> {
    let text = source.to_str().filter(|_| !source.exists());
    // A name with an extension, or without a comma, was meant as a file.
    let literal = text.filter(|t| t.contains(',') && source.extension().is_none_or(|e| !e.eq("csv")));
    reading(py, || literal.map_or_else(|| vector::read_points(&source), vector::parse_point)).map(Points)
}

/// Points of anything that gives an Arrow stream.
#[pyfunction]
pub(crate) fn points_of_table(py: Python<'_>, input: AnyRecordBatch) -> PyResult<Points> {
    let (schema, batches) = table(py, input)?;
    reading(py, || vector::points_of("points", &schema, &batches)).map(Points)
}

/// Points at longitudes and latitudes; NaN in both where there is none.
#[pyfunction]
pub(crate) fn points_of_arrays(
    py: Python<'_>,
    lon: PyReadonlyArray1<'_, f64>,
    lat: PyReadonlyArray1<'_, f64>,
) -> PyResult<Points> {
    let column = |v: &PyReadonlyArray1<'_, f64>| -> PyResult<ArrayRef> {
        Ok(Arc::new(Float64Array::from(v.as_array().to_vec())))
    };
    let columns = vec![("lon", column(&lon)?), ("lat", column(&lat)?)];
    let batch = RecordBatch::try_from_iter(columns).map_err(|e| errors::raise(py, &e.into()))?;
    reading(py, || vector::points_of("points", &batch.schema(), std::slice::from_ref(&batch))).map(Points)
}

/// Points that were pickled.
#[pyfunction]
pub(crate) fn points_of_bytes(py: Python<'_>, bytes: &[u8]) -> PyResult<Points> {
    let (schema, batches) = stream::read(bytes).map_err(|e| errors::raise(py, &e.into()))?;
    reading(py, || vector::points_of("points", &schema, &batches)).map(Points)
}

/// Points of a GeoJSON text.
#[pyfunction]
pub(crate) fn points_of_geojson(py: Python<'_>, text: &str) -> PyResult<Points> {
    reading(py, || vector::points_of_geojson("points", text)).map(Points)
}

/// Polygons of a file.
#[pyfunction]
pub(crate) fn read_regions(py: Python<'_>, path: PathBuf) -> PyResult<Regions> {
    reading(py, || vector::read_regions(&path)).map(Regions)
}

/// The borders of a country.
#[pyfunction]
pub(crate) fn country(py: Python<'_>, name: &str) -> PyResult<Regions> {
    terravec::country(name).map(Regions).map_err(|e| errors::raise(py, &e))
}

/// Polygons of anything that gives an Arrow stream.
#[pyfunction]
pub(crate) fn regions_of_table(py: Python<'_>, input: AnyRecordBatch) -> PyResult<Regions> {
    let (schema, batches) = table(py, input)?;
    reading(py, || vector::regions_of("regions", &schema, &batches)).map(Regions)
}

/// Polygons of well-known binary in degrees, one per item.
#[pyfunction]
pub(crate) fn regions_of_wkb(py: Python<'_>, geometries: Vec<Vec<u8>>) -> PyResult<Regions> {
    let column: ArrayRef = Arc::new(BinaryArray::from_iter_values(geometries.iter()));
    let batch =
        RecordBatch::try_from_iter([("geometry", column)]).map_err(|e| errors::raise(py, &e.into()))?;
    reading(py, || vector::regions_of("regions", &batch.schema(), std::slice::from_ref(&batch))).map(Regions)
}

/// Polygons of a GeoJSON text.
#[pyfunction]
pub(crate) fn regions_of_geojson(py: Python<'_>, text: &str) -> PyResult<Regions> {
    reading(py, || vector::regions_of_geojson("regions", text)).map(Regions)
}
