//! Indexes on disk.

use std::collections::HashSet;
use std::path::PathBuf;

use pyo3::prelude::*;
use serde_json::json;
use terravec_analysis::index::{Build, Index};

use crate::analysis::{Source, WhereArgument};
use crate::arrays::metric;
use crate::dataset::Dataset;
use crate::places::Regions;
use crate::request::RowsArgument;
use crate::work;

/// Builds an index.
#[pyfunction]
#[pyo3(signature = (dataset, path, force, metric_name, lists, memory, seed, place, regions, rows, progress=None))]
pub(crate) fn index_build(
    py: Python<'_>,
    dataset: &Dataset,
    path: PathBuf,
    force: bool,
    metric_name: &str,
    lists: Option<usize>,
    memory: usize,
    seed: u64,
    place: WhereArgument,
    regions: Option<&Regions>,
    rows: RowsArgument,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<()> {
    let how = Build { metric: metric(py, metric_name)?, lists, memory, seed };
    let source = Source::of(py, dataset, place, regions, rows)?;
    work::run(py, progress.as_ref(), move |steps| {
        let tell = |done, all| steps.set(done, if all == 0 { done } else { all });
        source.index(&tell, |rows| Index::build(rows, &path, force, &how)).map(|_| ())
    })
}

/// Adds rows; how many.
#[pyfunction]
pub(crate) fn index_add(
    py: Python<'_>,
    path: PathBuf,
    dataset: &Dataset,
    memory: usize,
    place: WhereArgument,
    regions: Option<&Regions>,
    rows: RowsArgument,
) -> PyResult<u64> {
    let source = Source::of(py, dataset, place, regions, rows)?;
    work::run(py, None, move |_| source.index(&|_, _| (), |rows| Index::add(&path, rows, memory)))
}

/// Deletes rows; how many.
#[pyfunction]
pub(crate) fn index_delete(py: Python<'_>, path: PathBuf, ids: HashSet<String>) -> PyResult<u64> {
    work::run(py, None, move |_| Index::delete(&path, &ids))
}

/// Merges segments.
#[pyfunction]
pub(crate) fn index_compact(py: Python<'_>, path: PathBuf) -> PyResult<()> {
    work::run(py, None, move |_| Index::compact(&path))
}

/// What an index says of itself, as JSON.
#[pyfunction]
pub(crate) fn index_info(py: Python<'_>, path: PathBuf) -> PyResult<String> {
    work::run(py, None, move |_| Ok(json!(Index::open(&path)?.manifest()).to_string()))
}
