//! Search, clusters and bases of arrays, which are read where they lie.

use numpy::{PyArray1, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use terravec::Error;
use terravec::Provenance;
use terravec_analysis::cluster::{Sample, Settings};
use terravec_analysis::kernel::CodeRule;
use terravec_analysis::search::{Hit, Metric, Query, Rows, check_k, nearest_bits, nearest_of_many};

use crate::analysis::{Basis, Clusters};
use crate::{errors, work};

/// Scores and rows of each query, (query, k).
type Neighbours<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>);

pub(crate) fn metric(py: Python<'_>, name: &str) -> PyResult<Metric> {
    name.parse().map_err(|e: String| errors::usage(py, e, "cosine, dot or l2"))
}

fn unordered(py: Python<'_>) -> PyErr {
    errors::usage(py, "the array is not in C order".into(), "give numpy.ascontiguousarray(x)")
}

fn search<'py>(
    py: Python<'py>,
    rows: Rows<'_>,
    dim: usize,
    queries: &PyReadonlyArray2<'_, f32>,
    k: usize,
    name: &str,
) -> PyResult<Neighbours<'py>> {
    let metric = metric(py, name)?;
    let (count, length) = (queries.shape()[0], queries.shape()[1]);
    let vectors = queries.as_slice().map_err(|_| unordered(py))?;
    if rows.len(dim) == 0 || dim == 0 {
        return Err(errors::usage(py, "the array has no rows".into(), "give at least one"));
    }
    if length == 0 {
        return Err(errors::usage(py, "the queries have no numbers".into(), "give vectors"));
    }
    let found = work::scoped(py, || {
        check_k(k)?;
        let queries: Vec<Query> = vectors
            .chunks_exact(length)
            .map(|q| Query::new(metric, vec![q.to_vec()]))
            .collect::<Result<_, _>>()?;
        nearest_of_many(rows, dim, &queries, k)
    })?;
    // Fewer rows than asked for: -1, without a score.
    let k = k.min(rows.len(dim));
    let shown = |h: &Hit| if metric == Metric::L2 { -h.score } else { h.score };
    let fill = |f: &dyn Fn(&Hit) -> f64, none: f64| -> Vec<f64> {
        found.iter().flat_map(|hits| (0..k).map(|i| hits.get(i).map_or(none, f))).collect()
    };
    let scores = fill(&shown, f64::NAN);
    #[allow(clippy::cast_possible_wrap)]
    let ids: Vec<i64> =
        found.iter().flat_map(|hits| (0..k).map(|i| hits.get(i).map_or(-1, |h| h.row as i64))).collect();
    Ok((
        PyArray1::from_vec(py, scores).reshape([count, k])?.into_any(),
        PyArray1::from_vec(py, ids).reshape([count, k])?.into_any(),
    ))
}

/// The nearest rows of an array of vectors.
#[pyfunction]
pub(crate) fn search_vectors<'py>(
    py: Python<'py>,
    vectors: PyReadonlyArray2<'py, f32>,
    queries: PyReadonlyArray2<'py, f32>,
    k: usize,
    metric: &str,
) -> PyResult<Neighbours<'py>> {
    let dim = vectors.shape()[1];
    let rows = Rows::F32(vectors.as_slice().map_err(|_| unordered(py))?);
    search(py, rows, dim, &queries, k, metric)
}

/// The nearest rows of an array of codes: value = code × scale, or, with a divisor, sign × (code / divisor)².
#[pyfunction]
pub(crate) fn search_codes<'py>(
    py: Python<'py>,
    codes: PyReadonlyArray2<'py, i8>,
    queries: PyReadonlyArray2<'py, f32>,
    k: usize,
    metric: &str,
    scale: f32,
    divisor: Option<f32>,
) -> PyResult<Neighbours<'py>> {
    let number = divisor.unwrap_or(scale);
    if !number.is_finite() || number == 0.0 {
        return Err(errors::usage(py, format!("{number} is no scale of codes"), "give a number"));
    }
    let dim = codes.shape()[1];
    let rule = divisor.map_or(CodeRule::Linear(scale), CodeRule::SignedSquare);
    let rows = Rows::Codes(codes.as_slice().map_err(|_| unordered(py))?, rule);
    search(py, rows, dim, &queries, k, metric)
}

/// The rows of packed bits that differ least from a query: bits and rows.
#[pyfunction]
pub(crate) fn search_bits<'py>(
    py: Python<'py>,
    rows: PyReadonlyArray2<'py, u8>,
    query: PyReadonlyArray1<'py, u8>,
    k: usize,
) -> PyResult<Neighbours<'py>> {
    let (bits, wanted) = (rows.as_slice(), query.as_slice());
    let (Ok(bits), Ok(wanted)) = (bits, wanted) else { return Err(unordered(py)) };
    if wanted.len() != rows.shape()[1] || wanted.is_empty() {
        return Err(errors::usage(
            py,
            format!("{} bytes are looked for among rows of {}", wanted.len(), rows.shape()[1]),
            "take the bits from the same product",
        ));
    }
    let hits = work::scoped(py, || {
        check_k(k)?;
        Ok(nearest_bits(bits, wanted, k))
    })?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
    let (differ, ids): (Vec<i64>, Vec<i64>) = hits.iter().map(|h| (-h.score as i64, h.row as i64)).unzip();
    Ok((PyArray1::from_vec(py, differ).into_any(), PyArray1::from_vec(py, ids).into_any()))
}

/// The rows of an array as a sample, all of them.
pub(crate) fn sample(py: Python<'_>, array: &PyReadonlyArray2<'_, f32>, seed: u64) -> PyResult<Sample> {
    let values = array.as_slice().map_err(|_| unordered(py))?.to_vec();
    let bad =
        values.chunks_exact(array.shape()[1].max(1)).filter(|r| !r.iter().all(|v| v.is_finite())).count();
    if bad > 0 {
        let what = format!("{bad} rows hold NaN or infinite numbers");
        return Err(errors::usage(py, what, "leave them out: x[numpy.isfinite(x).all(axis=1)]"));
    }
    if values.is_empty() {
        return Err(errors::usage(py, "the array has no rows".into(), "give at least one"));
    }
    let of = array.shape()[0] as u64;
    Ok(Sample { values, dim: array.shape()[1], of, without_vector: 0, seed })
}

/// Clusters of the rows of an array.
#[pyfunction]
pub(crate) fn fit_clusters(
    py: Python<'_>,
    array: PyReadonlyArray2<'_, f32>,
    k: usize,
    spherical: bool,
    starts: usize,
    seed: u64,
) -> PyResult<Clusters> {
    let sample = sample(py, &array, seed)?;
    let settings = Settings { spherical, starts, seed, ..Settings::new(k) };
    Clusters::fit(py, sample, settings, Provenance::of_array(array.shape()[1]))
}

/// Principal components of the rows of an array.
#[pyfunction]
pub(crate) fn fit_basis(py: Python<'_>, array: PyReadonlyArray2<'_, f32>, n: usize) -> PyResult<Basis> {
    let sample = sample(py, &array, 0)?;
    let provenance = Provenance::of_array(array.shape()[1]);
    work::scoped(py, || terravec_analysis::pca::Projection::fit(&sample, n, provenance).map(Basis::new))
}

/// Refuses rows of another length.
pub(crate) fn check_rows<'a>(
    py: Python<'_>,
    array: &'a PyReadonlyArray2<'_, f32>,
    dim: usize,
) -> PyResult<&'a [f32]> {
    if array.shape()[1] != dim {
        let e = Error::query(
            format!("vectors of {} numbers; {dim} are expected", array.shape()[1]),
            "take them from the same product",
        );
        return Err(errors::raise(py, &e));
    }
    array.as_slice().map_err(|_| unordered(py))
}
