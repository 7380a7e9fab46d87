//! A table of vectors: handed over as an Arrow stream, its numbers as a buffer, both without a copy.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule};
use pyo3_arrow::buffer::PyArrowBuffer;
use pyo3_arrow::ffi::{ArrayIterator, to_stream_pycapsule};
use pyo3_arrow::input::AnyRecordBatch;
use terravec::Provenance;
use terravec::sink::check_absent;
use terravec::table::{self, PROVENANCE_KEY};
use terravec_io::vector::{TableSpec, write_table};

use crate::{errors, stream, work};

/// The names of a status, in the order of their numbers.
const STATUSES: [&str; 4] = ["valid", "water", "nodata", "outside"];

/// One row per place and period.
#[pyclass(frozen, module = "terravec._native")]
pub(crate) struct Table {
    batch: RecordBatch,
    /// Names of the numbers of a vector.
    names: Vec<String>,
    /// What users should know.
    notes: Vec<String>,
}

impl Table {
    pub(crate) fn new(batch: RecordBatch, names: Vec<String>, notes: Vec<String>) -> Self {
        Self { batch, names, notes }
    }

    pub(crate) fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }
}

#[pymethods]
impl Table {
    /// A table made before, with the names of its vectors' numbers.
    #[staticmethod]
    fn of(input: AnyRecordBatch, names: Vec<String>) -> PyResult<Self> {
        let (batches, schema) = input.into_table()?.into_inner();
        let batch = arrow::compute::concat_batches(&schema, &batches);
        Ok(Self::new(batch.map_err(pyo3_arrow::error::PyArrowError::from)?, names, Vec::new()))
    }

    fn __len__(&self) -> usize {
        self.batch.num_rows()
    }

    /// A table that was pickled.
    #[staticmethod]
    fn of_bytes(py: Python<'_>, bytes: &[u8], names: Vec<String>) -> PyResult<Self> {
        let all =
            stream::read(bytes).and_then(|(schema, parts)| arrow::compute::concat_batches(&schema, &parts));
        Ok(Self::new(all.map_err(|e| errors::raise(py, &e.into()))?, names, Vec::new()))
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>, Vec<String>))> {
        let make = py.get_type::<Self>().getattr("of_bytes")?;
        let bytes = stream::write(&self.batch).map_err(|e| errors::raise(py, &e.into()))?;
        Ok((make, (PyBytes::new(py, &bytes), self.names.clone())))
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let rows: ArrayRef = Arc::new(StructArray::from(self.batch.clone()));
        let schema = self.batch.schema();
        let field =
            Field::new_struct("", schema.fields().clone(), false).with_metadata(schema.metadata().clone());
        let reader = ArrayIterator::new(std::iter::once(Ok(rows)), Arc::new(field));
        Ok(to_stream_pycapsule(py, Box::new(reader), requested_schema)?)
    }

    /// (name, Arrow type) of every column.
    #[getter]
    fn columns(&self) -> Vec<(String, String)> {
        self.batch.schema().fields().iter().map(|f| (f.name().clone(), f.data_type().to_string())).collect()
    }

    #[getter]
    fn bands(&self) -> Vec<String> {
        self.names.clone()
    }

    #[getter]
    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    /// Provenance as JSON.
    #[getter]
    fn provenance(&self) -> String {
        self.batch.schema_ref().metadata().get(PROVENANCE_KEY).cloned().unwrap_or_default()
    }

    /// The first rows as aligned text.
    fn text(&self, py: Python<'_>, rows: usize) -> PyResult<String> {
        let head = self.batch.slice(0, rows.min(self.batch.num_rows()));
        terravec_io::vector::text_table(&head).map_err(|e| errors::raise(py, &e.into()))
    }

    /// The numbers of a column of vectors: a buffer, NumPy's name of their type and (rows, dimension).
    fn vectors(&self, name: &str) -> Option<(PyArrowBuffer, &'static str, usize, usize)> {
        let column = self.batch.column_by_name(name)?;
        let list = column.as_fixed_size_list_opt()?;
        let values = list.values();
        let name = match values.data_type() {
            DataType::UInt8 => "uint8",
            DataType::Int8 => "int8",
            DataType::UInt16 => "uint16",
            DataType::Int16 => "int16",
            DataType::UInt32 => "uint32",
            DataType::Int32 => "int32",
            DataType::Float16 => "float16",
            DataType::Float32 => "float32",
            DataType::Float64 => "float64",
            _ => return None,
        };
        let depth = usize::try_from(list.value_length()).ok()?;
        let data = values.to_data();
        let size = data.data_type().primitive_width()?;
        let bytes = data.buffers()[0].slice_with_length(data.offset() * size, data.len() * size);
        Some((PyArrowBuffer::new(bytes), name, list.len(), depth))
    }

    /// A float64 or uint64 column's numbers, where it has no missing ones.
    fn numbers(&self, name: &str) -> Option<(PyArrowBuffer, &'static str)> {
        let column = self.batch.column_by_name(name)?;
        let kind = match column.data_type() {
            DataType::Float64 => "float64",
            DataType::UInt64 => "uint64",
            _ => return None,
        };
        let data = column.to_data();
        (data.null_count() == 0).then(|| {
            (PyArrowBuffer::new(data.buffers()[0].slice_with_length(data.offset() * 8, data.len() * 8)), kind)
        })
    }

    /// A column of statuses, as numbers.
    fn status<'py>(&self, py: Python<'py>, name: &str) -> Option<Bound<'py, numpy::PyArray1<u8>>> {
        let column = self.batch.column_by_name(name)?.as_any().downcast_ref::<StringArray>()?;
        let code = |s: Option<&str>| STATUSES.iter().position(|n| Some(*n) == s).unwrap_or(0);
        #[allow(clippy::cast_possible_truncation)] // four of them
        let codes = column.iter().map(|s| code(s) as u8).collect();
        Some(numpy::PyArray1::from_vec(py, codes))
    }

    /// Writes the table, in the format the extension names.
    fn write(&self, py: Python<'_>, path: PathBuf, force: bool) -> PyResult<()> {
        let (batch, names, provenance) = (self.batch.clone(), self.names.clone(), self.provenance());
        work::run(py, None, move |_| {
            check_absent(&path, force)?;
            let spec = match serde_json::from_str::<Provenance>(&provenance) {
                Ok(one) => table::spec(&one, names, false),
                Err(_) => TableSpec {
                    metadata: vec![(PROVENANCE_KEY.to_string(), provenance)],
                    ..TableSpec::default()
                },
            };
            Ok(write_table(&path, std::iter::once(batch), &spec)?)
        })
    }
}
