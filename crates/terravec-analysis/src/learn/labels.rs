//! Vectors with their labels, put together from samples, polygons and tables. Whatever can't be used is left out and counted.

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use terravec::query::sample::{Sampled, Values};
use terravec::{Area, Error, Extraction, Gridded, Pixels, Provenance, Request, Resampling, Result, Status};
use terravec_geo::{Crs, Transform};
use terravec_io::vector::Regions;

use super::Target;
use super::cells::Cells;
use super::scaler::constant_bands;
use crate::{Matrix, refuse};

/// Which labels are meant, and how many of them.
#[derive(Debug, Clone, Default)]
pub struct LabelRequest {
    /// The column of classes or values.
    pub column: String,
    /// Whether it holds values instead of classes.
    pub values: bool,
    /// A column whose rows of one value belong together, for leaving groups out.
    pub group: Option<String>,
    /// Rows of each class at most, drawn under the seed.
    pub per_class: Option<usize>,
    /// Pixels of each polygon at most, drawn under the seed.
    pub per_polygon: Option<usize>,
    /// Seed of what is drawn.
    pub seed: u64,
}

/// Rows that could not be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Dropped {
    /// Without a label.
    pub without_label: usize,
    /// Outside all tiles, or without a place.
    pub outside: usize,
    /// Where the product has no vector (nodata or water).
    pub without_vector: usize,
    /// With a number that is not finite.
    pub not_finite: usize,
    /// Beyond the number of rows asked for per class.
    pub beyond_number: usize,
}

impl Dropped {
    /// A sentence, if anything was left out by need.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let parts = [
            (self.without_label, "have no label"),
            (self.outside, "lie outside the dataset"),
            (self.without_vector, "lie where it has no vector"),
            (self.not_finite, "have numbers that are not finite"),
        ];
        let said: Vec<String> =
            parts.iter().filter(|p| p.0 > 0).map(|(n, what)| format!("{n} {what}")).collect();
        (!said.is_empty()).then(|| format!("labels left out: {}", said.join(", ")))
    }
}

/// The labels themselves.
#[derive(Debug, Clone, PartialEq)]
pub enum Truth {
    /// Classes, sorted: numbers by size, texts by letters.
    Classes {
        /// Their names.
        names: Vec<String>,
        /// What stands for them in a raster: their own number where all are whole numbers from 0 to 65534, else 1, 2, ….
        codes: Vec<u16>,
        /// The class of each row, an index into the names.
        of: Vec<u32>,
    },
    /// Numbers.
    Values(Vec<f64>),
}

impl Truth {
    /// As learners take it.
    #[must_use]
    pub fn target(&self) -> Target<'_> {
        match self {
            Self::Classes { names, of, .. } => Target::Classes { of, count: names.len() },
            Self::Values(v) => Target::Values(v),
        }
    }

    /// The rows `index`.
    #[must_use]
    pub fn select(&self, index: &[usize]) -> Self {
        match self {
            Self::Classes { names, codes, of } => Self::Classes {
                names: names.clone(),
                codes: codes.clone(),
                of: index.iter().map(|i| of[*i]).collect(),
            },
            Self::Values(v) => Self::Values(index.iter().map(|i| v[*i]).collect()),
        }
    }
}

/// Vectors with labels, ready to learn from.
#[derive(Debug, Clone)]
pub struct Labelled {
    /// The vectors.
    pub x: Matrix,
    /// Their labels.
    pub truth: Truth,
    /// Longitude of each, degrees; NaN where unknown.
    pub lon: Vec<f64>,
    /// Latitude of each, degrees.
    pub lat: Vec<f64>,
    /// The group of each, and the groups' names.
    pub groups: Option<(Vec<u32>, Vec<String>)>,
    /// What was left out.
    pub dropped: Dropped,
    /// Where the vectors come from.
    pub provenance: Provenance,
    /// What users should know.
    pub notes: Vec<String>,
}

/// Rows before they are sorted out.
pub(super) struct Raw<'a> {
    pub(super) vectors: &'a [f32],
    pub(super) status: &'a [Status],
    pub(super) columns: &'a RecordBatch,
    pub(super) lon: &'a [f64],
    pub(super) lat: &'a [f64],
}

impl Labelled {
    /// From a sample of one period: one row per point.
    ///
    /// # Errors
    /// If the sample is of codes or several periods, the column is missing, or nothing is left.
    pub fn from_sampled(sampled: &Sampled, request: &LabelRequest) -> Result<Self> {
        let Values::Vectors(vectors) = &sampled.values else {
            return Err(refuse("codes are no vectors to learn from", "sample decoded vectors"));
        };
        if sampled.status.len() != sampled.points.lon.len() {
            return Err(refuse(
                format!("{} labels have {} vectors", sampled.points.lon.len(), sampled.status.len()),
                "choose the year the labels are of with --year",
            ));
        }
        let raw = Raw {
            vectors,
            status: &sampled.status,
            columns: &sampled.points.columns,
            lon: &sampled.points.lon,
            lat: &sampled.points.lat,
        };
        raw.sort_out(sampled.band_names.clone(), sampled.provenance.clone(), request, None)
    }

    /// From the pixels whose centre lies in a polygon. Without a group column, those of one polygon are a group.
    ///
    /// # Errors
    /// As [`from_sampled`](Self::from_sampled); also if a tile can't be read.
    pub fn from_regions(
        dataset: &Gridded,
        regions: &Regions,
        base: &Request,
        request: &LabelRequest,
    ) -> Result<Self> {
        let dataset = &dataset.clone().keeping_blocks();
        let mut gathered = Gathered::default();
        for i in 0..regions.polygons.len() {
            gathered.polygon(dataset, regions, i, base, request)?;
        }
        let Some((names, provenance)) = gathered.of else {
            return Err(Error::Outside {
                what: format!("none of the {} polygons touches a tile", regions.polygons.len()),
                covered: "`terravec info` says what the dataset covers".into(),
            });
        };
        let columns = take_record_batch(&regions.columns, &UInt32Array::from(gathered.polygon.clone()))?;
        let raw = Raw {
            vectors: &gathered.vectors,
            status: &vec![Status::Valid; gathered.polygon.len()],
            columns: &columns,
            lon: &gathered.lon,
            lat: &gathered.lat,
        };
        let mut labelled = raw.sort_out(names, provenance, request, Some(&gathered.polygon))?;
        labelled.dropped.outside += gathered.outside;
        labelled.dropped.without_vector += gathered.without_vector;
        if gathered.capped > 0 {
            labelled.notes.push(format!("{} pixels beyond the number per polygon left out", gathered.capped));
        }
        Ok(labelled)
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.x.rows()
    }
}

/// Pixels of polygons, one after the other.
#[derive(Default)]
struct Gathered {
    vectors: Vec<f32>,
    lon: Vec<f64>,
    lat: Vec<f64>,
    polygon: Vec<u32>,
    of: Option<(Vec<String>, Provenance)>,
    outside: usize,
    without_vector: usize,
    capped: usize,
}

impl Gathered {
    #[allow(clippy::cast_possible_truncation)]
    fn polygon(
        &mut self,
        dataset: &Gridded,
        regions: &Regions,
        i: usize,
        base: &Request,
        request: &LabelRequest,
    ) -> Result<()> {
        if regions.polygons[i].0.is_empty() {
            self.outside += 1;
            return Ok(());
        }
        let one = Regions {
            polygons: vec![regions.polygons[i].clone()],
            columns: regions.columns.slice(i, 1),
            warnings: Vec::new(),
        };
        let area = Area::Regions { regions: one, mask: true, all_touched: false };
        let plan = match Extraction::plan(
            dataset.clone(),
            &Request { area, resampling: Resampling::Nearest, ..base.clone() },
        ) {
            Ok(plan) => plan,
            Err(Error::Outside { .. }) => {
                self.outside += 1;
                return Ok(());
            }
            Err(e) => return Err(e),
        };
        if plan.periods.len() != 1 {
            return Err(refuse(
                format!("the labels have vectors of {} years", plan.periods.len()),
                "choose the year the labels are of with --year",
            ));
        }
        let to = Transform::new(&plan.grid.crs, &Crs::wgs84())
            .map_err(|source| Error::Geo { context: format!("from {}", plan.grid.crs), source })?;
        let mut rng = fastrand::Rng::with_seed(request.seed.wrapping_add(i as u64));
        // A reservoir: every pixel has the same chance, and no more are kept than asked for.
        let cap = request.per_polygon.unwrap_or(usize::MAX);
        let (mut seen, mut kept): (usize, Vec<(usize, usize, Vec<f32>)>) = (0, Vec::new());
        for window in plan.chunks(1) {
            let Pixels::Vectors(block) = plan.read(0, window)? else { continue };
            for (p, status) in block.status.iter().enumerate() {
                match status {
                    Status::Valid => {
                        let at = if kept.len() < cap { kept.len() } else { rng.usize(0..=seen) };
                        seen += 1;
                        if at < cap {
                            let vector = block.vector(p).collect();
                            let pixel =
                                (window.col + p % window.width, window.row + p / window.width, vector);
                            if at == kept.len() { kept.push(pixel) } else { kept[at] = pixel }
                        }
                    }
                    Status::Outside => {}
                    Status::Water | Status::Nodata => self.without_vector += 1,
                }
            }
        }
        self.capped += seen - kept.len();
        let (mut xs, mut ys): (Vec<f64>, Vec<f64>) =
            kept.iter().map(|(col, row, _)| plan.grid.center(*col, *row)).unzip();
        to.points(&mut xs, &mut ys);
        self.lon.extend(xs);
        self.lat.extend(ys);
        self.polygon.extend(std::iter::repeat_n(i as u32, kept.len()));
        kept.into_iter().for_each(|(_, _, vector)| self.vectors.extend(vector));
        self.of = Some((plan.band_names.clone(), plan.provenance));
        Ok(())
    }
}

impl Raw<'_> {
    /// Keeps what has a label and a vector, and counts the rest. Without a group column, rows of one of `own_groups` are a group.
    pub(super) fn sort_out(
        &self,
        names: Vec<String>,
        provenance: Provenance,
        request: &LabelRequest,
        own_groups: Option<&[u32]>,
    ) -> Result<Labelled> {
        let depth = names.len();
        let labels = Cells::of(self.columns, &request.column, request.values)?;
        let mut dropped = Dropped::default();
        let mut kept: Vec<usize> = Vec::new();
        for (i, status) in self.status.iter().enumerate() {
            let reason = match status {
                _ if !labels.has(i) => &mut dropped.without_label,
                Status::Outside => &mut dropped.outside,
                Status::Water | Status::Nodata => &mut dropped.without_vector,
                Status::Valid if self.vectors[i * depth..(i + 1) * depth].iter().any(|v| !v.is_finite()) => {
                    &mut dropped.not_finite
                }
                Status::Valid => {
                    kept.push(i);
                    continue;
                }
            };
            *reason += 1;
        }
        if kept.is_empty() {
            let why = dropped.warning().unwrap_or_else(|| "there are no labels".into());
            return Err(refuse(
                format!("no label has a vector: {why}"),
                "check the place and year of the labels against `terravec coverage`",
            ));
        }
        let mut truth = labels.truth(&kept);
        if let (Truth::Classes { names, of, .. }, Some(n)) = (&truth, request.per_class) {
            let chosen = draw(of, names.len(), n, request.seed);
            dropped.beyond_number = kept.len() - chosen.len();
            truth = truth.select(&chosen);
            kept = chosen.into_iter().map(|i| kept[i]).collect();
        }
        let groups = match (&request.group, own_groups) {
            (Some(column), _) => {
                let Cells::Classes(cells) = Cells::of(self.columns, column, false)? else {
                    return Err(refuse(format!("column `{column}` holds no groups"), "name another one"));
                };
                if let Some(i) = kept.iter().find(|i| cells[**i].is_none()) {
                    return Err(refuse(
                        format!("row {} has no `{column}`", i + 1),
                        "every labelled row needs a group",
                    ));
                }
                let Truth::Classes { names, of, .. } = Cells::Classes(cells).truth(&kept) else {
                    return Err(refuse("groups are no numbers", "name another column"));
                };
                Some((of, names))
            }
            (None, Some(own)) => {
                let of: Vec<u32> = kept.iter().map(|i| own[*i]).collect();
                let most = of.iter().copied().max().unwrap_or(0);
                Some((of, (0..=most).map(|i| format!("polygon {}", i + 1)).collect()))
            }
            (None, None) => None,
        };
        let mut data = Vec::with_capacity(kept.len() * depth);
        kept.iter().for_each(|i| data.extend_from_slice(&self.vectors[i * depth..(i + 1) * depth]));
        let x = Matrix::new(data, names)?;
        let mut notes: Vec<String> = dropped.warning().into_iter().collect();
        let constant = constant_bands(&x);
        if !constant.is_empty() {
            let n = constant.len();
            notes.push(format!("{n} bands are the same everywhere and tell nothing ({}, …)", constant[0]));
        }
        if let Truth::Classes { names, of, .. } = &truth {
            if names.len() < 2 {
                return Err(refuse(
                    format!("all labels are of one class, `{}`", names.first().map_or("", String::as_str)),
                    "give examples of at least two classes",
                ));
            }
            if names.len() > usize::from(u16::MAX) {
                return Err(refuse(
                    format!("column `{}` has {} classes", request.column, names.len()),
                    "is it a column of values? then use `regress`",
                ));
            }
            for (k, name) in names.iter().enumerate() {
                if of.iter().filter(|c| **c as usize == k).count() < 2 {
                    notes.push(format!("class `{name}` has one example only"));
                }
            }
        }
        let pick = |v: &[f64]| kept.iter().map(|i| v[*i]).collect();
        Ok(Labelled {
            x,
            truth,
            lon: pick(self.lon),
            lat: pick(self.lat),
            groups,
            dropped,
            provenance,
            notes,
        })
    }
}

/// `n` rows of each class, or all where there are fewer, in order.
pub(crate) fn draw(of: &[u32], classes: usize, n: usize, seed: u64) -> Vec<usize> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut out = Vec::new();
    for class in 0..classes {
        let mut rows: Vec<usize> = (0..of.len()).filter(|i| of[*i] as usize == class).collect();
        rng.shuffle(&mut rows);
        out.extend(rows.into_iter().take(n));
    }
    out.sort_unstable();
    out
}
