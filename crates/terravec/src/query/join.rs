//! `join`: several products, of any kinds, at the same points or the same patches.
//!
//! Every product keeps its own columns, its own status and its own provenance: vectors of different spaces stand side by side in a
//! row and are never mixed.

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array, UInt64Array};
use arrow::compute::take;
use geo_types::MultiPolygon;
use terravec_io::vector::{Points, Regions};
use terravec_io::{DType, Samples};

use super::extract::Request;
use super::reduce::{Reduce, Reduced, reduce};
use super::sample::{Sampled, Values};
use crate::dataset::{Dataset, SampleRequest};
use crate::error::{Error, Result};
use crate::patch::{Near, Patches, Tally, align};
use crate::provenance::Provenance;
use crate::table::rows_at;
use crate::time::{Interval, Years};
use crate::vectors::Status;

/// What each product says at each place: rows are places in their order, periods inside.
#[derive(Debug)]
pub struct Joined {
    /// Where, and the caller's own columns.
    pub places: Places,
    /// The periods asked for; `None` alone where no year was asked for.
    pub periods: Vec<Option<i32>>,
    /// One per product, in the order given.
    pub parts: Vec<Part>,
    /// What was left out of tables.
    pub tally: Tally,
}

/// The places of a join.
#[derive(Debug)]
pub enum Places {
    /// Points.
    Points(Points),
    /// Footprints, with their centres.
    Patches {
        /// The footprints and their table's own columns.
        regions: Regions,
        /// Longitude of the centres, degrees.
        lon: Vec<f64>,
        /// Latitude of the centres.
        lat: Vec<f64>,
    },
}

/// What one product says.
#[derive(Debug)]
pub struct Part {
    /// What its columns are called after: the product's id, with `_2` behind where it comes twice.
    pub name: String,
    /// Per row: whether there is a vector.
    pub status: Vec<Status>,
    /// Per row: when it holds.
    pub intervals: Vec<Option<Interval>>,
    /// Per row, `dimension` numbers.
    pub values: Values,
    /// Numbers per vector.
    pub dimension: usize,
    /// What else it says of each row.
    pub extra: Vec<(String, ArrayRef)>,
    /// Where its vectors come from.
    pub provenance: Provenance,
}

/// How a join is made.
#[derive(Debug, Clone, Default)]
pub struct JoinRequest {
    /// What is asked of each product.
    pub sample: SampleRequest,
    /// Only places where every product has a vector, instead of all places.
    pub inner: bool,
    /// How vectors of the pixels in a footprint become one; mean if not said.
    pub reduce: Option<Reduce>,
    /// Whether every pixel that a footprint touches counts, instead of those whose centre is inside.
    pub all_touched: bool,
}

/// Joins `datasets` at points.
///
/// # Errors
/// If a dataset holds several years and none is named, or can't answer.
pub fn join_points(datasets: &[Dataset], points: Points, request: &JoinRequest) -> Result<Joined> {
    check(datasets, request)?;
    let periods = periods(&request.sample.years);
    let mut parts = Vec::new();
    let mut tally = Tally::default();
    for dataset in datasets {
        parts.push(at_points(dataset, &points, &periods, request, &mut tally)?);
    }
    finish(Places::Points(points), periods, parts, tally, request.inner)
}

/// Joins `datasets` at the footprints of `patches`, whose own vectors come first: pixels in a footprint become one vector, tables and encoders answer
/// at its centre.
///
/// # Errors
/// As [`join_points`]; also if patches are of several vector lengths.
pub fn join_patches(datasets: &[Dataset], patches: Footprints, request: &JoinRequest) -> Result<Joined> {
    check(datasets, request)?;
    let periods = periods(&request.sample.years);
    let Footprints { regions, lon, lat, own, tally } = patches;
    let mut tally = tally;
    let mut parts = vec![spread(own, &vec![Some(0); periods.len()], 1)?];
    let centres = Points {
        lon: lon.clone(),
        lat: lat.clone(),
        columns: regions.columns.project(&[])?,
        origin: "footprints".into(),
        warnings: Vec::new(),
    };
    for dataset in datasets {
        parts.push(match dataset {
            Dataset::Raster(_) => in_footprints(dataset, &regions, &periods, request)?,
            _ => at_points(dataset, &centres, &periods, request, &mut tally)?,
        });
    }
    finish(Places::Patches { regions, lon, lat }, periods, parts, tally, request.inner)
}

/// The places of a join at patches.
#[derive(Debug)]
pub struct Footprints {
    regions: Regions,
    lon: Vec<f64>,
    lat: Vec<f64>,
    own: Part,
    tally: Tally,
}

impl Footprints {
    /// From rows of a patch product; points become the squares that the product's resolution says.
    ///
    /// # Errors
    /// If there is no row, or the size of footprints is not known.
    pub(crate) fn of(
        rows: &[Patches],
        polygon: impl Fn(&Patches, usize) -> Result<MultiPolygon<f64>>,
        provenance: Provenance,
        tally: Tally,
    ) -> Result<Self> {
        let Some(first) = rows.first() else {
            return Err(Error::query("there is no patch there", "ask for another area or time"));
        };
        let dimension = first.dimension;
        let schema = first.columns.schema();
        let columns = rows.iter().map(|r| align(&r.columns, &schema)).collect::<Result<Vec<_>>>()?;
        let columns = arrow::compute::concat_batches(&schema, &columns)?;
        let mut polygons = Vec::new();
        let (mut lon, mut lat, mut status, mut intervals) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut values = Vec::new();
        for patches in rows {
            for row in 0..patches.rows() {
                polygons.push(polygon(patches, row)?);
            }
            lon.extend_from_slice(&patches.lon);
            lat.extend_from_slice(&patches.lat);
            status.extend_from_slice(&patches.status);
            intervals.extend_from_slice(&patches.intervals);
            match &patches.values {
                Values::Vectors(v) if patches.dimension == dimension => values.extend_from_slice(v),
                _ => return Err(Error::query("codes can't be joined at patches", "leave --codes out")),
            }
        }
        let own = Part {
            name: provenance.product.clone(),
            status,
            intervals,
            values: Values::Vectors(values),
            dimension,
            extra: Vec::new(),
            provenance,
        };
        Ok(Self { regions: Regions { polygons, columns, warnings: Vec::new() }, lon, lat, own, tally })
    }
}

fn check(datasets: &[Dataset], request: &JoinRequest) -> Result<()> {
    if let Near::Nearest { count, .. } = request.sample.near
        && count > 1
        && datasets.iter().any(|d| matches!(d, Dataset::Patch(_)))
    {
        return Err(Error::query(
            "a join takes one patch per place",
            "ask for --nearest 1, or sample the table alone",
        ));
    }
    Ok(())
}

fn periods(years: &Years) -> Vec<Option<i32>> {
    match years {
        Years::All => vec![None],
        Years::List(list) => list.iter().copied().map(Some).collect(),
    }
}

/// Which of the periods asked for a dataset can be asked about; `None` for one that is the same in all of them.
fn known(dataset: &Dataset, periods: &[Option<i32>]) -> Result<Option<Vec<i32>>> {
    let asked: Vec<i32> = periods.iter().copied().flatten().collect();
    match dataset {
        Dataset::Patch(d) => Ok((!asked.is_empty() && d.is_dated()?).then_some(asked)),
        Dataset::Location(d) if d.time() == terravec_location::TimeNeed::Year => Ok(Some(asked)),
        Dataset::Location(_) => Ok(None),
        Dataset::Raster(d) => {
            let held = d.years();
            match (asked.is_empty(), held.as_slice()) {
                (_, []) | (true, [_]) => Ok(None),
                (true, several) => Err(Error::query(
                    format!("{} holds several years, and a join has one row per place", d.product().id),
                    format!(
                        "name one or more with --year: {}",
                        several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
                    ),
                )),
                (false, held) => Ok(Some(asked.into_iter().filter(|y| held.contains(y)).collect())),
            }
        }
    }
}

/// For each period asked for, the period of the answer that it is.
fn sources(known: Option<&[i32]>, periods: &[Option<i32>]) -> Vec<Option<usize>> {
    periods
        .iter()
        .map(|p| match (known, p) {
            (None, _) => Some(0),
            (Some(years), Some(year)) => years.iter().position(|y| y == year),
            (Some(_), None) => Some(0),
        })
        .collect()
}

fn at_points(
    dataset: &Dataset,
    points: &Points,
    periods: &[Option<i32>],
    request: &JoinRequest,
    tally: &mut Tally,
) -> Result<Part> {
    let known = known(dataset, periods)?;
    let Some(asked) = asked_of(dataset, known.as_deref(), &request.sample) else {
        return missing(dataset, points.lon.len() * periods.len());
    };
    let (sampled, more) = dataset.sample(points.clone(), &asked)?;
    tally.add(&more);
    let own = sampled.status.len() / points.lon.len().max(1);
    let sources = sources(known.as_deref(), periods);
    spread(part(sampled), &sources, own)
}

/// What a dataset of a join is asked at points; `None` of a raster that holds none of the years asked for.
fn asked_of(dataset: &Dataset, known: Option<&[i32]>, sample: &SampleRequest) -> Option<SampleRequest> {
    // Options that only tables have are meant for the tables of the join.
    let asked = match dataset {
        Dataset::Patch(_) => sample.clone(),
        _ => SampleRequest { codes: sample.codes, ..SampleRequest::default() },
    };
    let years = match known {
        Some([]) if matches!(dataset, Dataset::Raster(_)) => return None,
        None | Some([]) => Years::All,
        Some(years) => Years::List(years.to_vec()),
    };
    Some(SampleRequest { years, ..asked })
}

/// The same, for an estimate.
///
/// # Errors
/// As [`join_points`].
pub(crate) fn asked(dataset: &Dataset, request: &JoinRequest) -> Result<Option<SampleRequest>> {
    let known = known(dataset, &periods(&request.sample.years))?;
    Ok(asked_of(dataset, known.as_deref(), &request.sample))
}

/// A raster that holds none of the years asked for.
fn missing(dataset: &Dataset, rows: usize) -> Result<Part> {
    let provenance = dataset.gridded()?.provenance(&[])?;
    Ok(Part {
        name: provenance.product.clone(),
        status: vec![Status::Outside; rows],
        intervals: vec![None; rows],
        values: Values::Vectors(vec![f32::NAN; rows * provenance.dimension]),
        dimension: provenance.dimension,
        extra: Vec::new(),
        provenance,
    })
}

fn part(sampled: Sampled) -> Part {
    Part {
        name: sampled.provenance.product.clone(),
        status: sampled.status,
        intervals: sampled.intervals,
        values: sampled.values,
        dimension: sampled.band_names.len(),
        extra: sampled.extra,
        provenance: sampled.provenance,
    }
}

fn in_footprints(
    dataset: &Dataset,
    regions: &Regions,
    periods: &[Option<i32>],
    request: &JoinRequest,
) -> Result<Part> {
    if request.sample.codes {
        return Err(Error::query("codes can't be reduced: they are not values", "leave --codes out"));
    }
    if let Some(row) = regions.polygons.iter().position(crosses) {
        return Err(Error::query(
            format!("the footprint of patch {} crosses the antimeridian, and its pixels lie apart", row + 1),
            "leave such patches out with --bbox: one box on each side of 180",
        ));
    }
    let known = known(dataset, periods)?;
    if known.as_ref().is_some_and(Vec::is_empty) {
        return missing(dataset, regions.polygons.len() * periods.len());
    }
    let how = request.reduce.unwrap_or(Reduce::Mean);
    let asked = Request { years: known.clone().map_or(Years::All, Years::List), ..Request::default() };
    let reduced: Reduced = match reduce(dataset.gridded()?, regions, request.all_touched, &asked, how) {
        Err(Error::Outside { .. }) => return missing(dataset, regions.polygons.len() * periods.len()),
        other => other?,
    };
    let own = reduced.periods.len();
    let part = Part {
        name: reduced.provenance.product.clone(),
        status: reduced.status,
        intervals: reduced.intervals,
        values: Values::Vectors(reduced.values),
        dimension: reduced.band_names.len(),
        extra: vec![("pixels".into(), std::sync::Arc::new(UInt64Array::from(reduced.pixels)))],
        provenance: reduced.provenance,
    };
    spread(part, &sources(known.as_deref(), periods), own)
}

/// Whether a footprint lies on both sides of 180 degrees: it goes beyond, or seems to span the globe.
fn crosses(footprint: &MultiPolygon<f64>) -> bool {
    let lons = || footprint.iter().flat_map(|p| p.exterior().coords()).map(|c| c.x);
    let (west, east) = lons().fold((f64::INFINITY, f64::NEG_INFINITY), |(w, e), x| (w.min(x), e.max(x)));
    west < -180.0 || east > 180.0 || east - west > 180.0
}

/// Rows of `own` periods per place as rows of the periods asked for.
fn spread(part: Part, sources: &[Option<usize>], own: usize) -> Result<Part> {
    let places = part.status.len() / own.max(1);
    let index: Vec<Option<usize>> =
        (0..places).flat_map(|p| sources.iter().map(move |s| s.map(|s| p * own + s))).collect();
    pick(part, &index)
}

/// The rows `index`; `None` is a row outside.
fn pick(part: Part, index: &[Option<usize>]) -> Result<Part> {
    let status = index.iter().map(|i| i.map_or(Status::Outside, |i| part.status[i])).collect();
    let intervals = index.iter().map(|i| i.and_then(|i| part.intervals[i])).collect();
    let dim = part.dimension;
    let values = match &part.values {
        Values::Vectors(v) => Values::Vectors(
            index
                .iter()
                .flat_map(|i| match i {
                    Some(i) => v[i * dim..(i + 1) * dim].to_vec(),
                    None => vec![f32::NAN; dim],
                })
                .collect(),
        ),
        Values::Codes(c) => {
            let there: Vec<usize> = index.iter().map(|i| i.unwrap_or(0)).collect();
            Values::Codes(if part.status.is_empty() {
                Samples::filled(DType::U8, 0, 0.0)
            } else {
                rows_at(c, dim, &there)
            })
        }
    };
    let rows: UInt32Array = index.iter().map(|i| i.and_then(|i| u32::try_from(i).ok())).collect();
    let extra = part
        .extra
        .iter()
        .map(|(name, array)| Ok((name.clone(), take(array, &rows, None)?)))
        .collect::<Result<_>>()?;
    Ok(Part { status, intervals, values, extra, ..part })
}

fn finish(
    places: Places,
    periods: Vec<Option<i32>>,
    mut parts: Vec<Part>,
    tally: Tally,
    inner: bool,
) -> Result<Joined> {
    for i in 0..parts.len() {
        let base: String =
            parts[i].name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let mut name = base.clone();
        let mut n = 2;
        while parts[..i].iter().any(|p| p.name == name) {
            name = format!("{base}_{n}");
            n += 1;
        }
        parts[i].name = name;
    }
    let joined = Joined { places, periods, parts, tally };
    if inner { joined.complete() } else { Ok(joined) }
}

impl Joined {
    /// Rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.parts.first().map_or(0, |p| p.status.len())
    }

    /// Only places where every product has a vector in every period.
    fn complete(self) -> Result<Self> {
        let n = self.periods.len().max(1);
        let whole = |place: usize| {
            let rows = place * n..(place + 1) * n;
            self.parts.iter().all(|p| p.status[rows.clone()].iter().all(|s| *s == Status::Valid))
        };
        let kept: Vec<usize> = (0..self.rows() / n).filter(|p| whole(*p)).collect();
        let rows: Vec<Option<usize>> = kept.iter().flat_map(|p| (p * n..(p + 1) * n).map(Some)).collect();
        let parts = self.parts.into_iter().map(|p| pick(p, &rows)).collect::<Result<_>>()?;
        let at = UInt32Array::from_iter_values(kept.iter().filter_map(|i| u32::try_from(*i).ok()));
        let of = |v: &[f64]| kept.iter().map(|i| v[*i]).collect::<Vec<f64>>();
        let columns = |batch: &RecordBatch| -> Result<RecordBatch> {
            // Arrow takes rows of columns, and there may be none.
            if batch.num_columns() == 0 {
                let options = RecordBatchOptions::new().with_row_count(Some(at.len()));
                return Ok(RecordBatch::try_new_with_options(batch.schema(), Vec::new(), &options)?);
            }
            Ok(arrow::compute::take_record_batch(batch, &at)?)
        };
        let places = match self.places {
            Places::Points(p) => Places::Points(Points {
                lon: of(&p.lon),
                lat: of(&p.lat),
                columns: columns(&p.columns)?,
                ..p
            }),
            Places::Patches { regions, lon, lat } => Places::Patches {
                lon: of(&lon),
                lat: of(&lat),
                regions: Regions {
                    polygons: kept.iter().map(|i| regions.polygons[*i].clone()).collect(),
                    columns: columns(&regions.columns)?,
                    warnings: regions.warnings,
                },
            },
        };
        Ok(Self { places, parts, ..self })
    }
}
