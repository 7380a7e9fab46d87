//! Search, change, clusters and bases of datasets.

use std::path::PathBuf;
use std::sync::Arc;

use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray2};
use pyo3::prelude::*;
use rayon::prelude::*;
use serde_json::json;
use terravec::{Area, Dataset as Opened, Extraction, Provenance, Request};
use terravec_analysis::change::{Change, Measure, Rule, trajectories};
use terravec_analysis::cluster::{self, Sample, Settings};
use terravec_analysis::index::Index;
use terravec_analysis::pca::Projection;
use terravec_analysis::raster;
use terravec_analysis::rows::Stream;
use terravec_analysis::search::{Ask, Like};

use crate::arrays::{check_rows, metric};
use crate::dataset::Dataset;
use crate::places::{Points, Regions};
use crate::remote::Told;
use crate::request::{RowsArgument, area, parse_box, parse_crs, patch_query, years};
use crate::table::Table;
use crate::{errors, work};

/// (bbox, year, crs, resolution).
pub(crate) type WhereArgument = (Option<String>, Option<String>, Option<String>, Option<f64>);

/// The request to read a raster with.
pub(crate) fn request(py: Python<'_>, place: WhereArgument, regions: Option<&Regions>) -> PyResult<Request> {
    let (bbox, year, crs, resolution) = place;
    Ok(Request {
        area: area(py, bbox, regions, true, false)?,
        years: years(py, year)?,
        crs: crs.map(|c| parse_crs(py, &c)).transpose()?,
        resolution,
        ..Request::default()
    })
}

fn measure(py: Python<'_>, name: &str) -> PyResult<Measure> {
    match name {
        "angle" => Ok(Measure::Angle),
        "l2" => Ok(Measure::L2),
        other => Err(errors::usage(py, format!("measure={other:?} is unknown"), "angle or l2")),
    }
}

/// What is similar.
#[pyfunction]
#[pyo3(signature = (dataset, like, ids, vectors, mean_of, negative, by, metric_name, k, exclude, keep_vectors, place,
    regions, like_year, rows, map, force, index, dry_run, progress=None))]
pub(crate) fn search_dataset(
    dataset: &Dataset,
    py: Python<'_>,
    like: Vec<PyRef<'_, Points>>,
    ids: Vec<String>,
    vectors: Option<PyReadonlyArray2<'_, f32>>,
    mean_of: Option<String>,
    negative: Vec<PyRef<'_, Points>>,
    by: &str,
    metric_name: &str,
    k: usize,
    exclude: bool,
    keep_vectors: bool,
    place: WhereArgument,
    regions: Option<&Regions>,
    like_year: Option<String>,
    rows: RowsArgument,
    map: Option<PathBuf>,
    force: bool,
    index: Option<(PathBuf, Option<usize>)>,
    dry_run: bool,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<Told<Table>> {
    let mut positive: Vec<Like> = like.iter().map(|p| Like::Places(p.0.clone())).collect();
    positive.extend(ids.into_iter().map(Like::Id));
    positive.extend(
        vectors.map(|v| Like::Vectors(v.as_array().rows().into_iter().map(|r| r.to_vec()).collect())),
    );
    positive.extend(mean_of.map(|b| parse_box(py, &b)).transpose()?.map(Like::Mean));
    let request = request(py, place.clone(), regions)?;
    let ask = Ask {
        positive,
        negative: negative.iter().map(|p| Like::Places(p.0.clone())).collect(),
        combine: by.parse().map_err(|e: String| errors::usage(py, e, "mean, max or probe"))?,
        metric: metric(py, metric_name)?,
        rows: terravec::patch::PatchQuery { area: request.area, ..patch_query(py, place.1, false, rows)? },
        example_years: like_year.map(|y| years(py, Some(y))).transpose()?,
        crs: request.crs,
        resolution: request.resolution,
        k,
        exclude,
        vectors: keep_vectors,
    };
    let own = Arc::clone(&dataset.0);
    work::run(py, progress.as_ref(), move |steps| {
        if dry_run {
            return Told::estimate(&match index {
                Some(_) => ask.estimate_question(&own)?,
                None => ask.estimate(&own, map.is_some())?,
            });
        }
        let tell = |done, all| steps.set(done, if all == 0 { done } else { all });
        let answer = match index {
            Some((dir, probes)) => Index::open(&dir)?.ask(&ask, &own, probes)?,
            None => ask.run(&own, &tell)?,
        };
        if let Some(path) = map {
            ask.map(&own, &path, force, &tell)?;
        }
        let names = (0..answer.provenance.dimension).map(|i| format!("e{i}")).collect();
        Ok(Told::Done(Table::new(answer.table, names, answer.notes)))
    })
}

/// The most changed pixels, and the statistics as JSON.
#[pyfunction]
#[pyo3(signature = (dataset, other, place, regions, stable, measure_name, deviations, percentile, k, map, force, dry_run, progress=None))]
pub(crate) fn change_dataset(
    dataset: &Dataset,
    py: Python<'_>,
    other: Option<PyRef<'_, Dataset>>,
    place: WhereArgument,
    regions: Option<&Regions>,
    stable: Option<&Regions>,
    measure_name: &str,
    deviations: f64,
    percentile: Option<f64>,
    k: usize,
    map: Option<PathBuf>,
    force: bool,
    dry_run: bool,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<Told<(Table, String)>> {
    let measure = measure(py, measure_name)?;
    let request = request(py, place, regions)?;
    let stable = stable.map(|r| area(py, None, Some(r), true, false)).transpose()?;
    let (own, other) = (Arc::clone(&dataset.0), other.map(|d| Arc::clone(&d.0)));
    let rule = percentile.map_or(Rule::Deviations(deviations), Rule::Percentile);
    work::run(py, progress.as_ref(), move |steps| {
        let tell = |done, all| steps.set(done, all);
        if let Some(path) = map.as_ref().filter(|_| !dry_run) {
            raster::check(path, force)?;
        }
        let plan = |area: Area| -> terravec::Result<Change> {
            let request = Request { area, ..request.clone() };
            match &other {
                None => Change::plan(own.gridded()?, &request, measure),
                Some(other) => Change::of_two(own.gridded()?, other.gridded()?, &request, measure),
            }
        };
        let change = plan(request.area.clone())?;
        let stable = stable.map(&plan).transpose()?;
        if dry_run {
            let estimate = change.estimate(stable.as_ref(), map.is_some())?.answering(k as u64 * 64);
            return Told::estimate(&estimate);
        }
        let (statistics, most) = change.measure(stable.as_ref(), rule, k, &tell)?;
        if let Some(path) = &map {
            change.map(&statistics, &most, path, force, &tell)?;
        }
        let table = Table::new(change.most(&most)?, Vec::new(), Vec::new());
        Ok(Told::Done((table, json!(statistics).to_string())))
    })
}

/// The mean vector of polygons from year to year.
#[pyfunction]
pub(crate) fn trajectories_of(
    dataset: &Dataset,
    py: Python<'_>,
    regions: &Regions,
    place: WhereArgument,
    measure_name: &str,
) -> PyResult<Table> {
    let (measure, request) = (measure(py, measure_name)?, request(py, place, None)?);
    let (own, regions) = (Arc::clone(&dataset.0), regions.0.clone());
    work::run(py, None, move |_| {
        let (batch, _) = trajectories(own.gridded()?, &regions, &request, measure)?;
        Ok(Table::new(batch, Vec::new(), Vec::new()))
    })
}

/// Clusters of a sample.
#[pyfunction]
#[pyo3(signature = (dataset, k, spherical, starts, seed, sample, place, regions, rows, progress=None))]
pub(crate) fn cluster_dataset(
    dataset: &Dataset,
    py: Python<'_>,
    k: usize,
    spherical: Option<bool>,
    starts: usize,
    seed: u64,
    sample: usize,
    place: WhereArgument,
    regions: Option<&Regions>,
    rows: RowsArgument,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<Clusters> {
    let source = Source::of(py, dataset, place, regions, rows)?;
    let unit = dataset.0.product().unit_length == Some(true);
    work::run(py, progress.as_ref(), move |steps| {
        let tell = |done, all| steps.set(done, if all == 0 { done } else { all });
        source.with(&tell, |stream| {
            let drawn = Sample::draw(stream, sample, seed)?;
            let settings =
                Settings { spherical: spherical.unwrap_or(unit), starts, seed, ..Settings::new(k) };
            cluster::Clusters::fit(&drawn, &settings, stream.provenance())
        })
    })
    .map(|c| Clusters(Arc::new(c)))
}

/// Principal components of a sample.
#[pyfunction]
#[pyo3(signature = (dataset, n, seed, sample, place, regions, rows, progress=None))]
pub(crate) fn pca_dataset(
    dataset: &Dataset,
    py: Python<'_>,
    n: usize,
    seed: u64,
    sample: usize,
    place: WhereArgument,
    regions: Option<&Regions>,
    rows: RowsArgument,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<Basis> {
    let source = Source::of(py, dataset, place, regions, rows)?;
    work::run(py, progress.as_ref(), move |steps| {
        let tell = |done, all| steps.set(done, if all == 0 { done } else { all });
        source.with(&tell, |stream| {
            let drawn = Sample::draw(stream, sample, seed)?;
            Projection::fit(&drawn, n, stream.provenance())
        })
    })
    .map(Basis::new)
}

/// What a sample is drawn from.
pub(crate) struct Source {
    dataset: Arc<Opened>,
    request: Request,
    query: terravec::patch::PatchQuery,
}

impl Source {
    pub(crate) fn of(
        py: Python<'_>,
        dataset: &Dataset,
        place: WhereArgument,
        regions: Option<&Regions>,
        rows: RowsArgument,
    ) -> PyResult<Self> {
        let year = place.1.clone();
        let request = request(py, place, regions)?;
        let query =
            terravec::patch::PatchQuery { area: request.area.clone(), ..patch_query(py, year, false, rows)? };
        Ok(Self { dataset: Arc::clone(&dataset.0), request, query })
    }

    pub(crate) fn with<T>(
        &self,
        progress: terravec::sink::Progress<'_>,
        work: impl FnOnce(&mut Stream<'_>) -> terravec::Result<T>,
    ) -> terravec::Result<T> {
        match &*self.dataset {
            Opened::Patch(patches) => work(&mut Stream::of_rows(patches.scan(&self.query)?, progress)),
            other => {
                let plan = Extraction::plan(other.gridded()?, &self.request)?;
                work(&mut Stream::of_pixels(&plan, progress)?)
            }
        }
    }

    pub(crate) fn index<T>(
        &self,
        progress: terravec::sink::Progress<'_>,
        work: impl FnOnce(&terravec_analysis::index::Source<'_>) -> terravec::Result<T>,
    ) -> terravec::Result<T> {
        use terravec_analysis::index::Source as Indexed;
        match &*self.dataset {
            Opened::Patch(patches) => {
                let stream = || Ok(Stream::of_rows(patches.scan(&self.query)?, progress));
                work(&Indexed { stream: &stream, id: patches.id_column()? })
            }
            other => {
                let plan = Extraction::plan(other.gridded()?, &self.request)?;
                let stream = || Stream::of_pixels(&plan, progress);
                work(&Indexed { stream: &stream, id: None })
            }
        }
    }
}

/// What so many passes over a part of a dataset would cost, as JSON.
#[pyfunction]
pub(crate) fn estimate_part(
    py: Python<'_>,
    dataset: &Dataset,
    place: WhereArgument,
    regions: Option<&Regions>,
    rows: RowsArgument,
    passes: u32,
) -> PyResult<String> {
    let source = Source::of(py, dataset, place, regions, rows)?;
    work::run(py, None, move |_| {
        let one = terravec::estimate::part(&source.dataset, &source.query, &source.request)?;
        crate::remote::told(&one.times(passes), None)
    })
}

/// What reading the pixels in polygons would cost, as JSON.
#[pyfunction]
pub(crate) fn estimate_regions(
    py: Python<'_>,
    dataset: &Dataset,
    regions: &Regions,
    place: WhereArgument,
    all_touched: bool,
) -> PyResult<String> {
    let request = request(py, place, None)?;
    let (own, regions) = (Arc::clone(&dataset.0), regions.0.clone());
    work::run(py, None, move |_| {
        let estimate = terravec::estimate::regions(&own.gridded()?, &regions, all_touched, &request)?;
        crate::remote::told(&estimate, None)
    })
}

/// Fitted clusters.
#[pyclass(frozen, module = "terravec._native")]
pub(crate) struct Clusters(Arc<cluster::Clusters>);

impl Clusters {
    pub(crate) fn fit(
        py: Python<'_>,
        sample: Sample,
        settings: Settings,
        provenance: Provenance,
    ) -> PyResult<Self> {
        work::scoped(py, || cluster::Clusters::fit(&sample, &settings, provenance)).map(|c| Self(Arc::new(c)))
    }
}

#[pymethods]
impl Clusters {
    #[staticmethod]
    fn of_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        let read = cluster::Clusters::from_json(text).map_err(|e| errors::raise(py, &e))?;
        Ok(Self(Arc::new(read)))
    }

    fn json(&self) -> String {
        self.0.to_json()
    }

    /// The cluster of each row.
    fn labels<'py>(
        &self,
        py: Python<'py>,
        array: PyReadonlyArray2<'py, f32>,
    ) -> PyResult<Bound<'py, PyArray1<u32>>> {
        let values = check_rows(py, &array, self.0.centres[0].len())?;
        let labels = work::scoped(py, || Ok(self.0.labels(values)))?;
        Ok(PyArray1::from_vec(py, labels))
    }

    /// Labels of a dataset into a file; counts as JSON.
    #[pyo3(signature = (dataset, path, force, place, regions, rows, progress=None))]
    fn write(
        &self,
        py: Python<'_>,
        dataset: &Dataset,
        path: PathBuf,
        force: bool,
        place: WhereArgument,
        regions: Option<&Regions>,
        rows: RowsArgument,
        progress: Option<Bound<'_, PyAny>>,
    ) -> PyResult<String> {
        let source = Source::of(py, dataset, place, regions, rows)?;
        let own = Arc::clone(&self.0);
        work::run(py, progress.as_ref(), move |steps| {
            let tell = |done, all| steps.set(done, if all == 0 { done } else { all });
            let labelled = match &*source.dataset {
                Opened::Patch(patches) => {
                    own.table(Stream::of_rows(patches.scan(&source.query)?, &tell), &path, force)?
                }
                other => {
                    own.map(&Extraction::plan(other.gridded()?, &source.request)?, &path, force, &tell)?
                }
            };
            Ok(json!(labelled).to_string())
        })
    }
}

/// A fitted basis of principal components.
#[pyclass(frozen, module = "terravec._native")]
pub(crate) struct Basis(Arc<Projection>);

impl Basis {
    pub(crate) fn new(projection: Projection) -> Self {
        Self(Arc::new(projection))
    }
}

#[pymethods]
impl Basis {
    #[staticmethod]
    fn of_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        Projection::from_json(text).map(Self::new).map_err(|e| errors::raise(py, &e))
    }

    fn json(&self) -> String {
        self.0.to_json()
    }

    /// Components of each row, (rows, components).
    fn scores<'py>(
        &self,
        py: Python<'py>,
        array: PyReadonlyArray2<'py, f32>,
    ) -> PyResult<Bound<'py, PyArray2<f64>>> {
        let (dim, n) = (self.0.mean.len(), self.0.components.len());
        let values = check_rows(py, &array, dim)?;
        let scores: Vec<f64> = work::scoped(py, || {
            Ok(values.par_chunks_exact(dim).flat_map_iter(|row| self.0.scores_of(row)).collect())
        })?;
        PyArray1::from_vec(py, scores).reshape([values.len() / dim, n])
    }

    /// Colours, or components, of a raster into a file.
    #[pyo3(signature = (dataset, path, force, scores, place, regions, progress=None))]
    fn write(
        &self,
        py: Python<'_>,
        dataset: &Dataset,
        path: PathBuf,
        force: bool,
        scores: bool,
        place: WhereArgument,
        regions: Option<&Regions>,
        progress: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let request = request(py, place, regions)?;
        let (own, data) = (Arc::clone(&self.0), Arc::clone(&dataset.0));
        work::run(py, progress.as_ref(), move |steps| {
            let plan = Extraction::plan(data.gridded()?, &request)?;
            own.write(&plan, &path, force, scores, &|done, all| steps.set(done, all))
        })
    }
}
