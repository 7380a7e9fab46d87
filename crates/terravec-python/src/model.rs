//! Models: learnt from tables or arrays, applied to tables, arrays and regions.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use serde_json::json;
use terravec::Error;
use terravec_analysis::Matrix;
use terravec_analysis::assess::study;
use terravec_analysis::learn::{self, LabelRequest, Labelled, Learner};
use terravec_analysis::map::{Outputs, predict, predictions};

use crate::plan::Plan;
use crate::table::Table;
use crate::{errors, work};

/// A predictor that knows its classes and its product.
#[pyclass(frozen, module = "terravec._native")]
pub(crate) struct Model {
    model: Arc<learn::Model>,
    notes: Vec<String>,
}

/// A label as Python has it.
#[derive(FromPyObject)]
pub(crate) enum Label {
    Int(i64),
    Float(f64),
    Text(String),
    Missing(Option<bool>),
}

/// (learner, its parameters as JSON, standardise, balanced, seed).
type HowArgument = (String, String, bool, bool, u64);
/// (whether to cross-validate, folds, metres of a block).
type FoldsArgument = (bool, usize, Option<f64>);

fn how(py: Python<'_>, (name, parameters, standardise, balanced, seed): HowArgument) -> PyResult<learn::Fit> {
    let parameters = serde_json::from_str(&parameters)
        .map_err(|e| errors::usage(py, format!("parameters of {name}: {e}"), "give numbers"))?;
    let learner = Learner::with(&name, &parameters).map_err(|e| errors::raise(py, &e))?;
    Ok(learn::Fit { learner, standardise, balanced, seed })
}

fn learnt(
    fit: &learn::Fit,
    labelled: &Labelled,
    column: &str,
    (assess, folds, block): FoldsArgument,
) -> Result<Model, Error> {
    let model = if assess {
        study(fit, labelled, column, folds, block)?.0
    } else {
        learn::Model::learn(fit, labelled, column)?
    };
    Ok(Model { model: Arc::new(model), notes: labelled.notes.clone() })
}

/// A column of labels: whole numbers, numbers or texts, whichever holds all.
fn column(labels: Vec<Label>) -> ArrayRef {
    if labels.iter().any(|l| matches!(l, Label::Text(_))) {
        let text = |l| match l {
            Label::Text(t) => Some(t),
            Label::Int(i) => Some(i.to_string()),
            Label::Float(f) => Some(f.to_string()),
            Label::Missing(b) => b.map(|b| b.to_string()),
        };
        Arc::new(labels.into_iter().map(text).collect::<StringArray>())
    } else if labels.iter().any(|l| matches!(l, Label::Float(_))) {
        #[allow(clippy::cast_precision_loss)]
        let number = |l| match l {
            Label::Int(i) => Some(i as f64),
            Label::Float(f) => Some(f),
            _ => None,
        };
        Arc::new(labels.into_iter().map(number).collect::<Float64Array>())
    } else {
        let whole = |l| if let Label::Int(i) = l { Some(i) } else { None };
        Arc::new(labels.into_iter().map(whole).collect::<Int64Array>())
    }
}

fn matrix(x: &PyReadonlyArray2<'_, f32>, names: Option<&[String]>) -> Result<Matrix, Error> {
    let x = x.as_array();
    let names = names.map_or_else(|| (0..x.ncols()).map(|i| format!("e{i}")).collect(), <[String]>::to_vec);
    if names.len() != x.ncols() {
        return Err(Error::Query {
            what: format!("the model takes {} numbers, and the vectors have {}", names.len(), x.ncols()),
            help: "give vectors of the model's product".into(),
        });
    }
    Matrix::new(x.iter().copied().collect(), names)
}

/// Learns from a table whose own columns hold the labels.
#[pyfunction]
pub(crate) fn learn_table(
    py: Python<'_>,
    table: &Table,
    column: String,
    group: Option<String>,
    values: bool,
    learner: HowArgument,
    folds: FoldsArgument,
) -> PyResult<Model> {
    let fit = how(py, learner)?;
    let (batch, names) = (table.batch().clone(), table.names().to_vec());
    work::run(py, None, move |_| {
        let request =
            LabelRequest { column: column.clone(), values, group, seed: fit.seed, ..LabelRequest::default() };
        learnt(&fit, &Labelled::from_table(&batch, names, &request)?, &column, folds)
    })
}

/// Learns from arrays.
#[pyfunction]
pub(crate) fn learn_arrays(
    py: Python<'_>,
    x: PyReadonlyArray2<'_, f32>,
    labels: Vec<Label>,
    groups: Option<Vec<Label>>,
    places: Option<(PyReadonlyArray1<'_, f64>, PyReadonlyArray1<'_, f64>)>,
    values: bool,
    learner: HowArgument,
    folds: FoldsArgument,
) -> PyResult<Model> {
    let fit = how(py, learner)?;
    let x = matrix(&x, None).map_err(|e| errors::raise(py, &e))?;
    let unknown = || vec![f64::NAN; x.rows()];
    let (lon, lat) = places.map_or_else(
        || (unknown(), unknown()),
        |(lon, lat)| (lon.as_array().to_vec(), lat.as_array().to_vec()),
    );
    let group = groups.as_ref().map(|_| "group".to_owned());
    let columns = [("label", Some(labels)), ("group", groups)];
    let columns = columns.into_iter().filter_map(|(name, cells)| Some((name, column(cells?))));
    let columns = RecordBatch::try_from_iter(columns)
        .map_err(|_| errors::usage(py, "labels and groups differ in number".into(), "give one per vector"))?;
    work::run(py, None, move |_| {
        let request =
            LabelRequest { column: "label".into(), values, group, seed: fit.seed, ..LabelRequest::default() };
        learnt(&fit, &Labelled::from_arrays(&x, &columns, (&lon, &lat), &request)?, "label", folds)
    })
}

#[pymethods]
impl Model {
    /// Reads a model file.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let model = work::run(py, None, move |_| learn::Model::load(&path))?;
        Ok(Self { model: Arc::new(model), notes: Vec::new() })
    }

    /// A model that was pickled.
    #[staticmethod]
    fn of_bytes(py: Python<'_>, bytes: &[u8]) -> PyResult<Self> {
        let model = learn::Model::from_bytes("model", bytes).map_err(|e| errors::raise(py, &e))?;
        Ok(Self { model: Arc::new(model), notes: Vec::new() })
    }

    fn to_bytes(&self, py: Python<'_>) -> PyResult<Vec<u8>> {
        self.model.to_bytes().map_err(|e| errors::raise(py, &e))
    }

    fn save(&self, py: Python<'_>, path: PathBuf, force: bool) -> PyResult<()> {
        let model = Arc::clone(&self.model);
        work::run(py, None, move |_| model.save(&path, force))
    }

    #[getter]
    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    /// All but the predictor itself, as JSON.
    #[getter]
    fn facts(&self) -> String {
        let m = &self.model;
        json!({
            "summary": m.summary(), "task": m.task, "fit": m.fit, "bands": m.bands, "vectors": m.vectors, "training": m.training,
            "assessments": m.assessment, "applicability_threshold": m.applicability.as_ref().map(|a| a.threshold),
        })
        .to_string()
    }

    /// Weights (outputs, bands) and biases of a linear model.
    fn coefficients<'py>(&self, py: Python<'py>) -> PyResult<Option<Coefficients<'py>>> {
        let Some((weights, bias)) = self.model.learnt.coefficients() else { return Ok(None) };
        let shape = [bias.len(), self.model.bands.len()];
        Ok(Some((PyArray1::from_slice(py, weights).reshape(shape)?, PyArray1::from_slice(py, bias))))
    }

    /// Shares of the classes, or values: (rows, outputs). Rows that are not finite have NaN.
    fn scores<'py>(
        &self,
        py: Python<'py>,
        x: PyReadonlyArray2<'_, f32>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let x = matrix(&x, Some(&self.model.bands)).map_err(|e| errors::raise(py, &e))?;
        let (rows, outputs) = (x.rows(), self.model.learnt.outputs());
        let model = Arc::clone(&self.model);
        let scores = work::run(py, None, move |_| {
            let finite: Vec<usize> = (0..rows).filter(|i| x.row(*i).iter().all(|v| v.is_finite())).collect();
            let found = model.learnt.scores(&x.select(&finite))?;
            let mut all = vec![f32::NAN; rows * outputs];
            for (i, row) in finite.iter().zip(found.chunks_exact(outputs)) {
                all[i * outputs..(i + 1) * outputs].copy_from_slice(row);
            }
            Ok(all)
        })?;
        PyArray1::from_vec(py, scores).reshape([rows, outputs])
    }

    /// The table with what is predicted instead of its vectors.
    fn rows(&self, py: Python<'_>, table: &Table, mix: bool) -> PyResult<Table> {
        let (model, batch, names) = (Arc::clone(&self.model), table.batch().clone(), table.names().to_vec());
        work::run(py, None, move |_| {
            let provenance = batch.schema_ref().metadata().get(terravec::table::PROVENANCE_KEY);
            match provenance.and_then(|p| serde_json::from_str(p).ok()) {
                Some(vectors) => model.check_vectors(&vectors, &names, mix)?,
                None if mix => {}
                None => {
                    return Err(Error::Query {
                        what: "the table does not say which product its vectors are of".into(),
                        help: "give a table that terravec has made, or pass --allow-mix".into(),
                    });
                }
            }
            Ok(Table::new(predictions(&model, &batch)?, Vec::new(), Vec::new()))
        })
    }

    /// Predicts a planned extraction into files; what became of it, as JSON. The files: map, quality, picture, polygons.
    #[pyo3(signature = (plan, files, inside_only, mix, force, progress=None))]
    fn map(
        &self,
        py: Python<'_>,
        plan: &Plan,
        files: [Option<PathBuf>; 4],
        inside_only: bool,
        mix: bool,
        force: bool,
        progress: Option<Bound<'_, PyAny>>,
    ) -> PyResult<String> {
        let (model, plan) = (Arc::clone(&self.model), plan.planned());
        if plan.periods.len() != 1 {
            return Err(errors::usage(
                py,
                "there are vectors of several years".into(),
                "choose one with --year",
            ));
        }
        let mapped = work::run(py, progress.as_ref(), move |steps| {
            model.check_vectors(&plan.provenance, &plan.band_names, mix)?;
            let [map, quality, picture, polygons] = files.each_ref().map(Option::as_deref);
            let outputs = Outputs { map, quality, picture, polygons, inside_only };
            outputs.check_absent(force)?;
            predict(&model, &plan, 0, &outputs, &|done, all| steps.set(done, all))
        })?;
        Ok(json!(mapped).to_string())
    }
}

type Coefficients<'py> = (Bound<'py, PyArray2<f64>>, Bound<'py, PyArray1<f64>>);
