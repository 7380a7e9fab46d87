//! Archives on the web: the cache, mirrors, estimates. Answers are JSON, which the Python half turns into dicts.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use serde_json::json;
use terravec::cache::{CacheSetup, of, use_cache};
use terravec::estimate::{Estimate, Line, allow};
use terravec::mirror::{self as mirrors, MirrorRequest};
use terravec::{Error, OpenOptions};

use crate::catalog::catalog;
use crate::places::Regions;
use crate::request::{area, years};
use crate::{errors, work};

/// Whether a user said how the cache is to be kept; until then each opening may name its folder.
static SAID: AtomicBool = AtomicBool::new(false);

/// The cache that an opening with this folder uses.
pub(crate) fn cache_for(py: Python<'_>, folder: Option<&PathBuf>) -> PyResult<()> {
    if SAID.load(Ordering::Relaxed) {
        return Ok(());
    }
    let setup = CacheSetup { folder: folder.cloned(), ..CacheSetup::default() };
    use_cache(&setup).map_err(|e| errors::raise(py, &e))
}

/// How the cache is kept from now on.
#[pyfunction]
pub(crate) fn cache_use(
    py: Python<'_>,
    folder: Option<PathBuf>,
    size: Option<String>,
    none: bool,
    offline: bool,
) -> PyResult<()> {
    use_cache(&CacheSetup { folder, size, none, offline }).map_err(|e| errors::raise(py, &e))?;
    SAID.store(true, Ordering::Relaxed);
    Ok(())
}

/// `info`, `clear` or `verify`.
#[pyfunction]
pub(crate) fn cache(py: Python<'_>, what: String, folder: Option<PathBuf>) -> PyResult<String> {
    work::run(py, None, move |_| {
        let cache = of(&CacheSetup { folder, ..CacheSetup::default() })?;
        let cache = cache.ok_or_else(|| Error::Query {
            what: "there is no cache".into(),
            help: "name a folder: cache_dir=…".into(),
        })?;
        let failed = |source| Error::Write { path: cache.options().folder.clone(), source };
        Ok(match what.as_str() {
            "clear" => json!({ "cleared": cache.clear().map_err(failed)? }),
            "verify" => json!(cache.verify().map_err(failed)?),
            _ => json!(cache.info().map_err(failed)?),
        }
        .to_string())
    })
}

/// The files of a region and years, fetched into a folder unless `dry_run`.
#[pyfunction]
#[pyo3(signature = (spec, paths, cache_dir, folder, bbox, regions, year, dry_run, force, max_bytes, progress=None))]
pub(crate) fn mirror(
    py: Python<'_>,
    spec: String,
    paths: Vec<PathBuf>,
    cache_dir: Option<PathBuf>,
    folder: PathBuf,
    bbox: Option<String>,
    regions: Option<&Regions>,
    year: Option<String>,
    dry_run: bool,
    force: bool,
    max_bytes: Option<String>,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<String> {
    cache_for(py, cache_dir.as_ref())?;
    let mut options = OpenOptions::new(catalog(py, &paths)?);
    options.cache_dir = cache_dir;
    let request =
        MirrorRequest { area: area(py, bbox, regions, true, false)?, years: years(py, year)?, folder, force };
    work::run(py, progress.as_ref(), move |steps| {
        let plan = mirrors::plan(&terravec::Dataset::open(&spec, &options)?, &request)?;
        if dry_run {
            return Ok(json!(plan).to_string());
        }
        allow(plan.missing_bytes, max_bytes.as_deref())?;
        let report = plan.fetch(&|done, all| steps.bytes(done, all))?;
        Ok(json!({ "folder": request.folder, "files": plan.files.len(), "report": report }).to_string())
    })
}

/// Reads and compares every file of a mirror.
#[pyfunction]
#[pyo3(signature = (folder, progress=None))]
pub(crate) fn mirror_verify(
    py: Python<'_>,
    folder: PathBuf,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<String> {
    work::run(py, progress.as_ref(), move |steps| {
        Ok(json!(mirrors::verify(&folder, &|done, all| steps.bytes(done, all))?).to_string())
    })
}

/// What was done, or what it would cost, as JSON.
#[derive(IntoPyObject)]
pub(crate) enum Told<T> {
    Done(T),
    Estimate(String),
}

impl<T> Told<T> {
    pub(crate) fn estimate(estimate: &Estimate) -> terravec::Result<Self> {
        told(estimate, None).map(Self::Estimate)
    }
}

/// An estimate, with time and money on the line that is given.
pub(crate) fn told(estimate: &Estimate, bandwidth: Option<&str>) -> terravec::Result<String> {
    let mut line = Line::default();
    if let Some(text) = bandwidth {
        line.bandwidth = Line::parse_bandwidth(text)?;
    }
    let mut told = json!(estimate);
    told["seconds"] = json!(line.seconds(estimate));
    told["usd"] = json!(line.usd(estimate.bytes));
    Ok(told.to_string())
}
