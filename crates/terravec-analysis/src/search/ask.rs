//! A whole question, as faces put it: like what, where, how many; answered by a table or by a map.

use std::path::Path;

use rayon::prelude::*;
use terravec::estimate::{self, Estimate};
use terravec::patch::PatchQuery;
use terravec::sink::Progress;
use terravec::{Dataset, Error, Extraction, Pixels, Request, Result, Status, Years};
use terravec_geo::{Crs, Transform};
use terravec_io::{Codes, DType, Samples};

use super::like::{Combine, Like, combine};
use super::query::{Metric, Query};
use super::run::{Answer, Options, check_k, search};
use crate::raster::{self, Content, Spec};
use crate::rows::{Stream, row_major};

/// Like what, where, how many.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What is looked for.
    pub positive: Vec<Like>,
    /// What is not.
    pub negative: Vec<Like>,
    /// How examples make one question.
    pub combine: Combine,
    /// What "similar" means.
    pub metric: Metric,
    /// Which rows or pixels are looked at; of rasters only the area and the years count.
    pub rows: PatchQuery,
    /// The year of the examples, where it is not that of the rows.
    pub example_years: Option<Years>,
    /// The CRS in which pixels are looked at.
    pub crs: Option<Crs>,
    /// The size of pixels in units of the CRS.
    pub resolution: Option<f64>,
    /// Results wanted.
    pub k: usize,
    /// Leave out what lies at the places of the examples.
    pub exclude: bool,
    /// Keep vectors in the answer.
    pub vectors: bool,
}

impl Default for Ask {
    fn default() -> Self {
        Self {
            positive: Vec::new(),
            negative: Vec::new(),
            combine: Combine::Mean,
            metric: Metric::Cosine,
            rows: PatchQuery::default(),
            example_years: None,
            crs: None,
            resolution: None,
            k: 10,
            exclude: false,
            vectors: false,
        }
    }
}

/// A question with its vectors.
#[derive(Debug, Clone)]
pub struct Question {
    /// What is looked for.
    pub query: Query,
    /// Where the examples lie, (lon, lat).
    pub places: Vec<(f64, f64)>,
    /// What should be known about them.
    pub notes: Vec<String>,
}

impl Ask {
    /// Looks the examples up.
    ///
    /// # Errors
    /// If one of them can't be found, or they make no question.
    pub fn question(&self, dataset: &Dataset) -> Result<Question> {
        let years = self.example_years.as_ref().unwrap_or(&self.rows.years);
        let (mut places, mut notes) = (Vec::new(), Vec::new());
        let mut all = |likes: &[Like]| -> Result<Vec<Vec<f32>>> {
            let mut vectors = Vec::new();
            for like in likes {
                let found = like.examples(dataset, years)?;
                vectors.extend(found.vectors);
                places.extend(found.places);
                notes.extend(found.notes);
            }
            Ok(vectors)
        };
        let (positive, negative) = (all(&self.positive)?, all(&self.negative)?);
        let query = combine(&positive, &negative, self.combine, self.metric)?;
        Ok(Question { query, places, notes })
    }

    /// The best rows or pixels.
    ///
    /// # Errors
    /// If the question makes no sense, nothing is there to compare, or reading fails.
    pub fn run(&self, dataset: &Dataset, progress: Progress<'_>) -> Result<Answer> {
        check_k(self.k)?;
        let question = self.question(dataset)?;
        let mut options = Options { k: self.k, vectors: self.vectors, ..Options::default() };
        let mut answer = if let Dataset::Patch(patches) = dataset {
            if self.exclude {
                options.not_at.clone_from(&question.places);
            }
            search(Stream::of_rows(patches.scan(&self.rows)?, progress), &question.query, &options)?
        } else {
            let plan = self.plan(dataset)?;
            if self.exclude {
                options.not_pixels = pixels_at(&plan, &question.places)?;
            }
            search(Stream::of_pixels(&plan, progress)?, &question.query, &options)?
        };
        answer.notes.splice(0..0, question.notes);
        Ok(answer)
    }

    /// What looking the examples up costs.
    ///
    /// # Errors
    /// If reading can't be planned, or a header or footer can't be read.
    pub fn estimate_question(&self, dataset: &Dataset) -> Result<Estimate> {
        let years = self.example_years.as_ref().unwrap_or(&self.rows.years);
        self.positive.iter().chain(&self.negative).map(|like| like.estimate(dataset, years)).sum()
    }

    /// What the answer costs, and with it the map, for which everything is read a second time.
    ///
    /// # Errors
    /// As [`Self::run`], but for what only vectors tell.
    pub fn estimate(&self, dataset: &Dataset, map: bool) -> Result<Estimate> {
        check_k(self.k)?;
        let (passes, examples) = (1 + u32::from(map), self.estimate_question(dataset)?);
        if !matches!(dataset, Dataset::Patch(_)) {
            self.no_rows(dataset)?;
        }
        let looked = estimate::part(dataset, &self.rows, &self.request())?;
        // A score, a place and what else the row says.
        let answer = self.k as u64 * 64;
        Ok([examples.times(passes).answering(0), looked.times(passes).answering(answer)].into_iter().sum())
    }

    fn no_rows(&self, dataset: &Dataset) -> Result<()> {
        if self.rows.time.is_none() && self.rows.conditions.is_empty() {
            return Ok(());
        }
        Err(Error::query(
            format!("times and conditions are for tables, and {} is none", dataset.product().id),
            "leave them out",
        ))
    }

    fn request(&self) -> Request {
        Request {
            area: self.rows.area.clone(),
            years: self.rows.years.clone(),
            crs: self.crs.clone(),
            resolution: self.resolution,
            ..Request::default()
        }
    }

    fn plan(&self, dataset: &Dataset) -> Result<Extraction> {
        self.no_rows(dataset)?;
        Extraction::plan(dataset.gridded()?, &self.request())
    }

    /// The similarity of every pixel as a COG or a picture; how many pixels have one.
    ///
    /// # Errors
    /// If the dataset is a table, holds several years there and none is named, or reading or writing fails.
    pub fn map(&self, dataset: &Dataset, path: &Path, force: bool, progress: Progress<'_>) -> Result<u64> {
        raster::check(path, force)?;
        let plan = self.plan(dataset)?;
        if plan.periods.len() > 1 {
            return Err(Error::query(
                format!("{} has vectors of {} years there", dataset.product().id, plan.periods.len()),
                "name one year for the map",
            ));
        }
        let query = self.question(dataset)?.query;
        query.check(plan.band_names.len())?;
        let mut provenance = plan.provenance.clone();
        provenance.request = serde_json::json!({
            "verb": "search", "metric": query.metric().name(), "bands": plan.band_names.len(), "of": provenance.request,
        });
        let spec = Spec {
            path,
            force,
            bands: vec![query.metric().column().to_string()],
            content: Content::Numbers,
            dtype: DType::F32,
            provenance,
            tags: Vec::new(),
        };
        let mut there = 0;
        raster::write(&plan, &spec, progress, &mut |window| {
            let Pixels::Vectors(vectors) = plan.read(0, window)? else {
                unreachable!("vectors are asked for")
            };
            #[allow(clippy::cast_possible_truncation)]
            let index: Vec<u32> = (0..vectors.pixels() as u32)
                .filter(|i| vectors.status[*i as usize] == Status::Valid)
                .collect();
            there += index.len() as u64;
            let rows = row_major(&vectors, &index);
            #[allow(clippy::cast_possible_truncation)]
            let scores: Vec<f32> =
                rows.par_chunks_exact(query.dim()).map(|x| query.shown(query.score(x)) as f32).collect();
            let mut out = vec![f32::NAN; vectors.pixels()];
            for (i, score) in index.iter().zip(scores) {
                out[*i as usize] = score;
            }
            Ok(Codes::new(Samples::F32(out), 1, window.height, window.width))
        })?;
        Ok(there)
    }
}

/// Pixels (column, row) of a plan's grid in which places lie.
fn pixels_at(plan: &Extraction, places: &[(f64, f64)]) -> Result<Vec<(usize, usize)>> {
    let to = Transform::new(&Crs::wgs84(), &plan.grid.crs)
        .map_err(|source| Error::Geo { context: format!("to {}", plan.grid.crs), source })?;
    let (mut xs, mut ys): (Vec<f64>, Vec<f64>) = places.iter().copied().unzip();
    to.points(&mut xs, &mut ys);
    Ok(xs.iter().zip(&ys).filter_map(|(x, y)| plan.grid.pixel_at(*x, *y)).collect())
}
