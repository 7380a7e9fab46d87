//! Arguments as the engine's requests.

use pyo3::prelude::*;
use terravec::patch::{Condition, Near, OnBad, PatchQuery};
use terravec::{Area, Interval, Reduce, Resampling, SampleRequest, Years};
use terravec_geo::{Crs, LonLatBox};

use crate::errors;
use crate::places::Regions;

/// (time, conditions, whether rows with a fault are left out): which rows of a table are asked for.
pub(crate) type RowsArgument = (Option<String>, Vec<String>, bool);

/// (CRS, transform, width, height).
pub(crate) type GridArgument = (String, [f64; 6], usize, usize);

pub(crate) fn patch_query(
    py: Python<'_>,
    year: Option<String>,
    codes: bool,
    rows: RowsArgument,
) -> PyResult<PatchQuery> {
    let (time, conditions, skip_bad) = rows;
    let time = time.map(|t| {
        Interval::parse(&t).map_err(|e| {
            errors::usage(py, format!("time {t}: {e}"), "give 2022-06-01..2022-07-01, or 2022-06")
        })
    });
    let conditions = conditions.iter().map(|c| {
        Condition::parse(c)
            .map_err(|e| errors::usage(py, format!("where {c}: {e}"), "give COLUMN=VALUE, COLUMN<VALUE, …"))
    });
    Ok(PatchQuery {
        years: years(py, year)?,
        time: time.transpose()?,
        conditions: conditions.collect::<PyResult<_>>()?,
        codes,
        on_bad: if skip_bad { OnBad::Skip } else { OnBad::Fail },
        ..PatchQuery::default()
    })
}

pub(crate) fn sample_request(
    py: Python<'_>,
    year: Option<String>,
    codes: bool,
    nearest: Option<usize>,
    within: Option<f64>,
    rows: RowsArgument,
) -> PyResult<SampleRequest> {
    let query = patch_query(py, year, codes, rows)?;
    if nearest == Some(0) || (within.is_some() && nearest.is_none()) {
        return Err(errors::usage(
            py,
            "within= needs nearest=, which is at least 1".into(),
            "give nearest=K, and perhaps within=METRES",
        ));
    }
    Ok(SampleRequest {
        years: query.years,
        codes,
        near: nearest.map_or(Near::Containing, |count| Near::Nearest { count, within }),
        time: query.time,
        conditions: query.conditions,
        on_bad: query.on_bad,
    })
}

pub(crate) fn area(
    py: Python<'_>,
    bbox: Option<String>,
    regions: Option<&Regions>,
    mask: bool,
    all_touched: bool,
) -> PyResult<Area> {
    Ok(match (bbox, regions) {
        (None, None) => Area::All,
        (_, Some(r)) => Area::Regions { regions: r.0.clone(), mask, all_touched },
        (Some(b), None) => Area::Box(parse_box(py, &b)?),
    })
}

pub(crate) fn parse_reduce(py: Python<'_>, name: &str) -> PyResult<Reduce> {
    [Reduce::Mean, Reduce::Median, Reduce::Medoid]
        .into_iter()
        .find(|r| r.name() == name)
        .ok_or_else(|| errors::usage(py, format!("{name:?} is no reduction"), "mean, median or medoid"))
}

pub(crate) fn years(py: Python<'_>, text: Option<String>) -> PyResult<Years> {
    text.map_or(Ok(Years::All), |t| {
        Years::parse(&t).map_err(|e| {
            errors::usage(
                py,
                format!("year {t}: {e}"),
                "give 2024, \"2018..2024\", range(2018, 2025) or a list",
            )
        })
    })
}

pub(crate) fn parse_box(py: Python<'_>, text: &str) -> PyResult<LonLatBox> {
    LonLatBox::parse(text)
        .map_err(|e| errors::usage(py, format!("bbox: {e}"), "give west, south, east, north in degrees"))
}

pub(crate) fn parse_crs(py: Python<'_>, text: &str) -> PyResult<Crs> {
    Crs::parse(text).map_err(|e| errors::usage(py, format!("crs {text}: {e}"), "give EPSG:n"))
}

pub(crate) fn parse_resampling(py: Python<'_>, name: &str) -> PyResult<Resampling> {
    [Resampling::Nearest, Resampling::Bilinear, Resampling::Average]
        .into_iter()
        .find(|r| r.name() == name)
        .ok_or_else(|| {
            errors::usage(py, format!("resampling={name:?} is unknown"), "nearest, bilinear or average")
        })
}
