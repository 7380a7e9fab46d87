//! Several datasets at the same places.

use std::sync::Arc;

use pyo3::prelude::*;
use serde_json::json;
use terravec::patch::PatchQuery;
use terravec::{JoinRequest, SampleRequest, Status, estimate, join_patches, join_points, table};

use crate::dataset::Dataset;
use crate::places::Points;
use crate::remote::Told;
use crate::request::{RowsArgument, area, parse_reduce, patch_query, sample_request};
use crate::table::Table;
use crate::{errors, work};

/// Several datasets at the same points, or at the patches of another.
#[pyfunction]
pub(crate) fn join(
    py: Python<'_>,
    datasets: Vec<PyRef<'_, Dataset>>,
    points: Option<&Points>,
    patches: Option<&Dataset>,
    bbox: Option<String>,
    year: Option<String>,
    month: Option<u8>,
    codes: bool,
    nearest: Option<usize>,
    within: Option<f64>,
    reduce: Option<String>,
    inner: bool,
    rows: RowsArgument,
    dry_run: bool,
) -> PyResult<Told<Table>> {
    let own: Vec<terravec::Dataset> = datasets
        .iter()
        .map(|d| match &*d.0 {
            terravec::Dataset::Location(_) => d.at(py, month).map(|d| (*d).clone()),
            other => Ok(other.clone()),
        })
        .collect::<PyResult<_>>()?;
    let request = JoinRequest {
        sample: sample_request(py, year.clone(), codes, nearest, within, rows.clone())?,
        inner,
        reduce: reduce.map(|r| parse_reduce(py, &r)).transpose()?,
        all_touched: false,
    };
    let places = match (points, patches) {
        (Some(points), None) => Ok(points.0.clone()),
        (None, Some(patches)) => {
            let query = PatchQuery {
                area: area(py, bbox, None, true, false)?,
                ..patch_query(py, year, codes, rows)?
            };
            Err((patches.patches(py)?, query))
        }
        _ => {
            return Err(errors::usage(
                py,
                "points= and patches= exclude each other".into(),
                "give one of them",
            ));
        }
    };
    work::run(py, None, move |_| {
        // Times and conditions choose patches; the other tables answer at their centres, in the years asked for.
        let at_centres = || {
            let sample = SampleRequest { time: None, conditions: Vec::new(), ..request.sample.clone() };
            JoinRequest { sample, ..request.clone() }
        };
        if dry_run {
            let each = match &places {
                Ok(points) => estimate::at_points(&own, points, &request)?,
                Err((patches, query)) => estimate::at_patches(&own, patches, query, &at_centres())?,
            };
            return Told::estimate(&each.into_iter().sum());
        }
        let joined = match places {
            Ok(points) => join_points(&own, points, &request)?,
            Err((patches, query)) => join_patches(&own, patches.footprints(&query)?, &at_centres())?,
        };
        let nothing =
            joined.parts.iter().filter(|p| !p.status.is_empty() && !p.status.contains(&Status::Valid));
        let nothing = nothing.map(|p| format!("{} has no vector at any of these places", p.name));
        let notes = joined.tally.warning().into_iter().chain(nothing).collect();
        let provenances: Vec<_> = joined.parts.iter().map(|p| p.provenance.clone()).collect();
        let batch = table::joined(joined)?;
        let metadata = [(table::PROVENANCE_KEY.to_string(), json!(provenances).to_string())];
        let schema = Arc::new((*batch.schema()).clone().with_metadata(metadata.into()));
        Ok(Told::Done(Table::new(batch.with_schema(schema)?, Vec::new(), notes)))
    })
}
