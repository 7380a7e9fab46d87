//! A planned extraction: its grid, and reading it whole, in windows, or into a file.

use std::path::PathBuf;
use std::sync::Arc;

use numpy::{PyArray1, PyArrayMethods};
use pyo3::prelude::*;
use terravec::{Error, Extraction, Kind, Pixels, Stack, Status, sink};
use terravec_geo::Window;
use terravec_io::{Samples, with_samples};

use crate::{errors, work};

/// What is read of a plan: numbers (period, band, y, x) and statuses (period, y, x).
type Arrays<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>);

/// A planned extraction.
#[pyclass(frozen, module = "terravec._native")]
pub(crate) struct Plan(Arc<Extraction>);

impl Plan {
    pub(crate) fn new(extraction: Extraction) -> Self {
        Self(Arc::new(extraction))
    }

    pub(crate) fn planned(&self) -> Arc<Extraction> {
        Arc::clone(&self.0)
    }
}

#[pymethods]
impl Plan {
    /// (text of the CRS, its PROJJSON, transform, width, height).
    #[getter]
    fn grid(&self) -> (String, String, [f64; 6], usize, usize) {
        let (g, a) = (&self.0.grid, &self.0.grid.affine);
        let json = g.crs.to_projjson().to_string();
        (g.crs.to_string(), json, [a.a, a.b, a.c, a.d, a.e, a.f], g.width, g.height)
    }

    /// What reading all of it would cost, as JSON.
    fn estimate(&self, py: Python<'_>, bandwidth: Option<String>) -> PyResult<String> {
        let own = Arc::clone(&self.0);
        work::run(py, None, move |_| {
            crate::remote::told(&terravec::estimate::extract(&own)?, bandwidth.as_deref())
        })
    }

    #[getter]
    fn years(&self) -> Vec<Option<i32>> {
        self.0.periods.clone()
    }

    #[getter]
    fn bands(&self) -> Vec<String> {
        self.0.band_names.clone()
    }

    /// `NumPy`'s name of the numbers' type.
    #[getter]
    fn dtype(&self) -> &'static str {
        match self.0.kind {
            Kind::Vectors => "float32",
            Kind::Codes(dtype, _) => dtype.name(),
        }
    }

    /// The number that stands for "no vector", if there is one.
    #[getter]
    fn nodata(&self) -> Option<f64> {
        self.0.nodata()
    }

    /// Provenance as JSON.
    #[getter]
    fn provenance(&self) -> String {
        self.0.provenance.to_json()
    }

    /// Side of the windows that are read at a time.
    #[getter]
    fn chunk(&self) -> usize {
        self.0.chunks(1).first().map_or(1, |w| w.width.max(w.height))
    }

    /// All of it.
    #[pyo3(signature = (progress=None))]
    fn read<'py>(&self, py: Python<'py>, progress: Option<Bound<'py, PyAny>>) -> PyResult<Arrays<'py>> {
        let plan = Arc::clone(&self.0);
        let stack =
            work::run(py, progress.as_ref(), move |steps| plan.read_all(&|done, all| steps.set(done, all)))?;
        arrays(py, stack)
    }

    /// A window of some periods.
    fn window<'py>(
        &self,
        py: Python<'py>,
        periods: Vec<usize>,
        row: usize,
        col: usize,
        height: usize,
        width: usize,
    ) -> PyResult<Arrays<'py>> {
        let plan = Arc::clone(&self.0);
        let window = Window { col, row, width, height };
        if periods.iter().any(|p| *p >= plan.periods.len())
            || window.end_col() > plan.grid.width
            || window.end_row() > plan.grid.height
        {
            return Err(errors::usage(
                py,
                "the window reaches beyond the array".into(),
                "ask for one inside",
            ));
        }
        let stack = work::run(py, None, move |_| {
            plan.check_unscaled("an array")?;
            let shape = [periods.len(), plan.band_names.len(), height, width];
            let mut parts = periods.iter().map(|p| plan.read(*p, window).map(parts));
            let (mut data, mut status) = parts
                .next()
                .transpose()?
                .ok_or_else(|| Error::Query { what: "no period is asked for".into(), help: String::new() })?;
            for part in parts {
                let (more, its_status) = part?;
                append(&mut data, &more);
                status.extend(its_status);
            }
            Ok(Stack { data, status, shape })
        })?;
        arrays(py, stack)
    }

    /// Writes it, in the format the extension names; what was written, as JSON.
    #[pyo3(signature = (path, force, progress=None))]
    fn write(
        &self,
        py: Python<'_>,
        path: PathBuf,
        force: bool,
        progress: Option<Bound<'_, PyAny>>,
    ) -> PyResult<String> {
        let plan = Arc::clone(&self.0);
        let written = work::run(py, progress.as_ref(), move |steps| {
            sink::write(&plan, &path, force, &|done, all| steps.set(done, all))
        })?;
        Ok(serde_json::json!(written).to_string())
    }
}

fn parts(pixels: Pixels) -> (Samples, Vec<Status>) {
    match pixels {
        Pixels::Vectors(v) => (Samples::F32(v.data), v.status),
        Pixels::Codes(c, status) => (c.samples, status),
    }
}

fn append(all: &mut Samples, more: &Samples) {
    macro_rules! arms {
        ($($t:ident),*) => {
            match (all, more) {
                $((Samples::$t(a), Samples::$t(m)) => a.extend_from_slice(m),)*
                _ => unreachable!("periods of one plan have one type"),
            }
        };
    }
    arms!(U8, I8, U16, I16, U32, I32, F16, F32, F64);
}

/// The vectors become `NumPy`'s as they are.
fn arrays(py: Python<'_>, stack: Stack) -> PyResult<Arrays<'_>> {
    let [periods, _, height, width] = stack.shape;
    let data = with_samples!(stack.data, v => PyArray1::from_vec(py, v).reshape(stack.shape)?.into_any());
    let status: Vec<u8> = stack.status.into_iter().map(|s| s as u8).collect();
    Ok((data, PyArray1::from_vec(py, status).reshape([periods, height, width])?.into_any()))
}
