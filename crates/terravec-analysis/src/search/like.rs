//! From what people point at (a place, an id, a box, examples) to vectors to look for.

use terravec::estimate::{self, Estimate};
use terravec::patch::{Condition, Near, PatchQuery};
use terravec::query::sample::{Sampled, Values};
use terravec::{
    Area, Dataset, Error, Extraction, PatchDataset, Request, Result, SampleRequest, Status, Years,
};
use terravec_geo::LonLatBox;
use terravec_io::vector::Points;

use super::probe;
use super::query::{Metric, Query};
use crate::rows::Stream;

/// What the rows looked for should be like.
#[derive(Debug, Clone)]
pub enum Like {
    /// What lies at these places.
    Places(Points),
    /// The row of a table with this id.
    Id(String),
    /// These vectors.
    Vectors(Vec<Vec<f32>>),
    /// The mean of what lies in this box.
    Mean(LonLatBox),
}

/// How several examples make one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Combine {
    /// With p and n the means of positive and negative examples: 2p − n; p where there are no negative ones.
    #[default]
    Mean,
    /// The greatest similarity to any positive example.
    Max,
    /// A ridge regression of +1 on positive and −1 on negative examples: w · x + b.
    Probe,
}

impl std::str::FromStr for Combine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "mean" => Ok(Self::Mean),
            "max" => Ok(Self::Max),
            "probe" => Ok(Self::Probe),
            other => Err(format!("`{other}` is no way to use examples: mean, max or probe")),
        }
    }
}

/// Examples with their vectors, and where they lie.
#[derive(Debug, Clone, Default)]
pub struct Examples {
    /// One vector per example that has one.
    pub vectors: Vec<Vec<f32>>,
    /// Where they were asked for, or the centres of the rows that answered, (lon, lat); empty for vectors and means.
    pub places: Vec<(f64, f64)>,
    /// What should be known about them: examples without a vector, rows that are near rather than there.
    pub notes: Vec<String>,
}

impl Like {
    /// Looks the vectors up.
    ///
    /// # Errors
    /// If none is there, an id is unknown, or the dataset holds several years and none is named.
    pub fn examples(&self, dataset: &Dataset, years: &Years) -> Result<Examples> {
        match self {
            Self::Vectors(vectors) => Ok(Examples { vectors: vectors.clone(), ..Examples::default() }),
            Self::Places(points) => at_places(dataset, points, years),
            Self::Id(id) => with_id(dataset, id, years),
            Self::Mean(bbox) => mean_of(dataset, *bbox, years),
        }
    }
}

impl Like {
    /// What looking the vectors up costs.
    ///
    /// # Errors
    /// If reading can't be planned, or a header or footer can't be read.
    pub fn estimate(&self, dataset: &Dataset, years: &Years) -> Result<Estimate> {
        match (self, dataset) {
            (Self::Vectors(_), _) => Ok([].into_iter().sum()),
            (Self::Places(points), _) => {
                // As in `at_places`, where the nearest row answers if none contains the place.
                let near = match dataset {
                    Dataset::Patch(_) => Near::Nearest { count: 1, within: None },
                    _ => Near::Containing,
                };
                let request = SampleRequest { years: years.clone(), near, ..SampleRequest::default() };
                estimate::sample(dataset, points, &request)
            }
            (Self::Id(id), Dataset::Patch(patches)) => estimate::rows(patches, &of_id(patches, id, years)?),
            (Self::Id(_), other) => Err(no_ids(other)),
            (Self::Mean(bbox), _) => {
                let (query, request) = in_box(*bbox, years);
                estimate::part(dataset, &query, &request)
            }
        }
    }
}

fn at_places(dataset: &Dataset, points: &Points, years: &Years) -> Result<Examples> {
    let request = SampleRequest { years: years.clone(), ..SampleRequest::default() };
    let mut out = Examples::default();
    let mut sampled = dataset.sample(points.clone(), &request);
    let contained =
        |s: &Result<(Sampled, _)>| s.as_ref().is_ok_and(|(s, _)| s.status.contains(&Status::Valid));
    // Rows that are points have no footprint that could contain a place: the nearest one answers.
    if matches!(dataset, Dataset::Patch(_)) && !contained(&sampled) {
        let request = SampleRequest { near: Near::Nearest { count: 1, within: None }, ..request };
        sampled = dataset.sample(points.clone(), &request);
        if let Ok((found, _)) = &sampled
            && let Some(metres) = column(found, "distance_m")
        {
            let far = metres.iter().copied().fold(0.0, f64::max);
            out.notes.push(format!("no row contains the place: the nearest one is taken, {far:.0} m away"));
        }
    }
    let (sampled, _) = sampled?;
    let per_point = sampled.status.len() / points.lon.len().max(1);
    if per_point > 1 {
        return Err(Error::query(
            format!("{} has vectors of {per_point} years there", dataset.product().id),
            "name the year of the example",
        ));
    }
    let Values::Vectors(values) = &sampled.values else { unreachable!("vectors are asked for") };
    let dim = sampled.band_names.len();
    let own = column(&sampled, "patch_lon").zip(column(&sampled, "patch_lat"));
    let mut without = 0;
    for (i, status) in sampled.status.iter().enumerate() {
        if *status == Status::Valid {
            out.vectors.push(values[i * dim..(i + 1) * dim].to_vec());
            out.places.push(match &own {
                Some((lon, lat)) => (lon[i], lat[i]),
                None => (points.lon[i], points.lat[i]),
            });
        } else {
            without += 1;
        }
    }
    if out.vectors.is_empty() {
        let why = dataset.why_nothing(&sampled).unwrap_or_default();
        return Err(Error::Outside {
            what: format!("there is no vector at {}", places(points)),
            covered: why,
        });
    }
    if without > 0 {
        out.notes.push(format!("{without} of {} examples have no vector and are left out", points.lon.len()));
    }
    Ok(out)
}

fn places(points: &Points) -> String {
    match (points.lon.as_slice(), points.lat.as_slice()) {
        ([lon], [lat]) => format!("{lon},{lat}"),
        (all, _) => format!("any of {} places", all.len()),
    }
}

/// A column of numbers that the dataset says of each row.
fn column(sampled: &Sampled, name: &str) -> Option<Vec<f64>> {
    use arrow::array::{Array, AsArray};
    let (_, array) = sampled.extra.iter().find(|(n, _)| n == name)?;
    let numbers = array.as_primitive_opt::<arrow::datatypes::Float64Type>()?;
    Some((0..numbers.len()).map(|i| if numbers.is_valid(i) { numbers.value(i) } else { f64::NAN }).collect())
}

fn with_id(dataset: &Dataset, id: &str, years: &Years) -> Result<Examples> {
    let Dataset::Patch(patches) = dataset else { return Err(no_ids(dataset)) };
    let query = of_id(patches, id, years)?;
    let name = query.conditions[0].column.clone();
    let mut stream = Stream::of_rows(patches.scan(&query)?, &|_, _| ());
    let mut out = Examples::default();
    while let Some(block) = stream.step()? {
        for row in 0..block.rows() {
            out.vectors.push(block.vector(row).to_vec());
            out.places.extend(block.centre(row));
        }
    }
    match out.vectors.len() {
        0 => Err(Error::query(
            format!("no row of {} with a vector has the {name} {id}", patches.root()),
            "see `terravec info` for the columns, and `terravec extract` for the rows",
        )),
        1 => Ok(out),
        n => {
            out.notes.push(format!("{n} rows have the {name} {id}"));
            Ok(out)
        }
    }
}

fn no_ids(dataset: &Dataset) -> Error {
    Error::query(format!("{} is no table, and its pixels have no ids", dataset.product().id), "name a place")
}

/// The question for the rows with an id.
fn of_id(patches: &PatchDataset, id: &str, years: &Years) -> Result<PatchQuery> {
    let name = patches.id_column()?.ok_or_else(|| {
        Error::query(
            format!("no column of {} is known to hold ids", patches.root()),
            "name a place, or rename a column `id`",
        )
    })?;
    let condition = Condition::parse(&format!("{name}={id}"))
        .map_err(|e| Error::query(format!("the id {id}: {e}"), "give it as it stands in the table"))?;
    Ok(PatchQuery { years: years.clone(), conditions: vec![condition], ..PatchQuery::default() })
}

/// The question for all that lies in a box, of tables and of rasters.
fn in_box(bbox: LonLatBox, years: &Years) -> (PatchQuery, Request) {
    let area = Area::Box(bbox);
    (
        PatchQuery { area: area.clone(), years: years.clone(), ..PatchQuery::default() },
        Request { area, years: years.clone(), ..Request::default() },
    )
}

fn mean_of(dataset: &Dataset, bbox: LonLatBox, years: &Years) -> Result<Examples> {
    let (query, request) = in_box(bbox, years);
    let mut sum: Vec<f64> = Vec::new();
    let mut count = 0u64;
    let mut add = |stream: &mut Stream<'_>| -> Result<()> {
        while let Some(block) = stream.step()? {
            sum.resize(block.dim, 0.0);
            for row in block.values.chunks_exact(block.dim) {
                sum.iter_mut().zip(row).for_each(|(s, v)| *s += f64::from(*v));
            }
            count += block.rows() as u64;
        }
        Ok(())
    };
    match dataset {
        Dataset::Patch(patches) => {
            add(&mut Stream::of_rows(patches.scan(&query)?, &|_, _| ()))?;
        }
        raster => {
            let plan = Extraction::plan(raster.gridded()?, &request)?;
            if plan.periods.len() > 1 {
                return Err(Error::query(
                    format!("{} has vectors of {} years there", dataset.product().id, plan.periods.len()),
                    "name the year of the example",
                ));
            }
            add(&mut Stream::of_pixels(&plan, &|_, _| ())?)?;
        }
    }
    if count == 0 {
        return Err(Error::query("nothing in the box of the example has a vector", "choose another box"));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    let mean = sum.iter().map(|s| (s / count as f64) as f32).collect();
    Ok(Examples {
        vectors: vec![mean],
        places: Vec::new(),
        notes: vec![format!("the example is the mean of {count} vectors")],
    })
}

/// The question that positive and negative examples ask.
///
/// # Errors
/// If there is no positive example, they differ in length, or a way needs negative ones that are not there.
pub fn combine(positive: &[Vec<f32>], negative: &[Vec<f32>], how: Combine, metric: Metric) -> Result<Query> {
    let dim = positive.first().map_or(0, Vec::len);
    if let Some(other) = positive.iter().chain(negative).find(|v| v.len() != dim) {
        return Err(Error::query(
            format!("examples have vectors of {dim} and of {} numbers", other.len()),
            "take them all from one product and version",
        ));
    }
    match how {
        Combine::Max if !negative.is_empty() => Err(Error::query(
            "the greatest similarity to any example has no place for negative ones",
            "combine them by mean or probe",
        )),
        Combine::Max => Query::new(metric, positive.to_vec()),
        Combine::Mean => {
            let (p, n) = (mean(positive), mean(negative));
            let q =
                if negative.is_empty() { p } else { p.iter().zip(&n).map(|(p, n)| 2.0 * p - n).collect() };
            #[allow(clippy::cast_possible_truncation)]
            Query::new(metric, vec![q.into_iter().map(|v| v as f32).collect()])
        }
        Combine::Probe => probe::fit(positive, negative),
    }
}

#[allow(clippy::cast_precision_loss)]
fn mean(vectors: &[Vec<f32>]) -> Vec<f64> {
    let mut sum = vec![0f64; vectors.first().map_or(0, Vec::len)];
    for vector in vectors {
        sum.iter_mut().zip(vector).for_each(|(s, v)| *s += f64::from(*v));
    }
    sum.iter_mut().for_each(|s| *s /= vectors.len() as f64);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_displaced_from_negative_examples() {
        let query = combine(&[vec![1.0, 0.0], vec![3.0, 0.0]], &[vec![0.0, 2.0]], Combine::Mean, Metric::Dot)
            .unwrap();
        assert_eq!(query.score(&[1.0, 0.0]), 4.0);
        assert_eq!(query.score(&[0.0, 1.0]), -2.0);
        let max = combine(&[vec![1.0, 0.0], vec![0.0, 1.0]], &[], Combine::Max, Metric::Cosine).unwrap();
        assert_eq!((max.score(&[0.0, 5.0]), max.score(&[5.0, 0.0])), (1.0, 1.0));
    }

    #[test]
    fn what_makes_no_question_is_refused() {
        let ones = |n| vec![vec![1.0f32; n]];
        assert!(combine(&ones(2), &ones(3), Combine::Mean, Metric::Cosine).is_err());
        assert!(combine(&ones(2), &ones(2), Combine::Max, Metric::Cosine).is_err());
        assert!(combine(&ones(2), &[], Combine::Probe, Metric::Cosine).is_err());
        assert!(combine(&[], &[], Combine::Mean, Metric::Cosine).is_err());
        assert!(combine(&[vec![f32::NAN]], &[], Combine::Mean, Metric::Cosine).is_err());
        assert!(combine(&[vec![0.0; 3]], &[], Combine::Mean, Metric::Cosine).is_err());
    }
}
