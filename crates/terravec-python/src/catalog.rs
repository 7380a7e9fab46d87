//! What is known of products, and the weights of encoders.

use std::path::PathBuf;

use pyo3::prelude::*;
use serde_json::json;
use terravec::OpenOptions;
use terravec::catalog::{Catalog, Filter};
use terravec::location::download as weights;

use crate::{errors, work};

pub(crate) fn catalog(py: Python<'_>, paths: &[PathBuf]) -> PyResult<Catalog> {
    let mut catalog = Catalog::builtin();
    for path in paths {
        catalog.load_path(path).map_err(|e| errors::raise(py, &e.into()))?;
    }
    Ok(catalog)
}

/// The products, as JSON.
#[pyfunction]
pub(crate) fn products(
    py: Python<'_>,
    paths: Vec<PathBuf>,
    kind: Option<String>,
    year: Option<i32>,
    licence: Option<String>,
    host: Option<String>,
) -> PyResult<String> {
    let kind = kind
        .map(|k| {
            k.parse()
                .map_err(|e| errors::usage(py, format!("kind {k}: {e}"), "pixel, patch, location or region"))
        })
        .transpose()?;
    let catalog = catalog(py, &paths)?;
    Ok(json!(catalog.filter(&Filter { kind, year, licence, host })).to_string())
}

/// A product in full, as JSON.
#[pyfunction]
pub(crate) fn product(py: Python<'_>, id: &str, paths: Vec<PathBuf>) -> PyResult<String> {
    let product = catalog(py, &paths)?.get(id).map_err(|e| errors::raise(py, &e.into()))?;
    Ok(json!(*product).to_string())
}

/// The files that an encoder is computed from, as JSON; fetched into the cache if they are not there, unless `dry_run`.
#[pyfunction]
#[pyo3(signature = (spec, paths, cache_dir, dry_run, force, progress=None))]
pub(crate) fn download(
    py: Python<'_>,
    spec: String,
    paths: Vec<PathBuf>,
    cache_dir: Option<PathBuf>,
    dry_run: bool,
    force: bool,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<String> {
    let mut options = OpenOptions::new(catalog(py, &paths)?);
    options.cache_dir = cache_dir;
    work::run(py, progress.as_ref(), move |steps| {
        let wanted = weights::wanted(&spec, &options)?;
        if !dry_run {
            let mut fetched = Vec::new();
            for file in wanted.iter().filter(|w| force || !w.present) {
                fetched.push(weights::fetch(file, &|done, all| steps.bytes(done, all))?);
            }
            weights::check(&spec, &fetched, &options)?;
        }
        Ok(json!(wanted).to_string())
    })
}
