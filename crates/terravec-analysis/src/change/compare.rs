//! Two periods on one grid: distances, what is stable, the most changed pixels, the map.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Float64Array, RecordBatch};
use arrow::datatypes::{Field, Schema};
use rayon::prelude::*;
use serde::Serialize;
use terravec::estimate::{self, Estimate};
use terravec::sink::Progress;
use terravec::table::{self, PixelRows};
use terravec::{
    Area, Error, Extraction, Gridded, Interval, Provenance, Request, Result, Status, Vectors, Years,
};
use terravec_geo::{Crs, Transform, Window, wrap_lon};
use terravec_io::{Codes, DType, Samples};

use super::robust::{Counts, Ranks};
use crate::pca::{named, window_of};
use crate::raster::{self, Content, Spec};
use crate::search::{Hit, Top, check_k, ranked};

/// How two vectors differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// The angle between them, degrees, 0 to 180.
    #[default]
    Angle,
    /// Their Euclidean distance.
    L2,
}

impl Measure {
    /// `angle` or `distance`.
    #[must_use]
    pub fn column(self) -> &'static str {
        match self {
            Self::Angle => "angle",
            Self::L2 => "distance",
        }
    }

    /// Of two vectors; NaN where one has no direction.
    #[must_use]
    pub fn of(self, a: impl Iterator<Item = f32>, b: impl Iterator<Item = f32>) -> f64 {
        let (mut dot, mut aa, mut bb, mut square) = (0f64, 0f64, 0f64, 0f64);
        for (x, y) in a.zip(b) {
            let (x, y) = (f64::from(x), f64::from(y));
            dot += x * y;
            aa += x * x;
            bb += y * y;
            square += (x - y) * (x - y);
        }
        match self {
            // A vector and itself make no angle, whatever rounding says.
            Self::Angle if square == 0.0 && aa > 0.0 => 0.0,
            Self::Angle => (dot / (aa * bb).sqrt()).clamp(-1.0, 1.0).acos().to_degrees(),
            Self::L2 => square.sqrt(),
        }
    }
}

/// From where on a pixel counts as changed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// The median of stable pixels and so many of their standard deviations (1.4826 × the median absolute deviation).
    Deviations(f64),
    /// This percentile (0 to 100) of stable pixels.
    Percentile(f64),
}

/// What stable pixels look like, and what is more.
#[derive(Debug, Clone, Serialize)]
pub struct Statistics {
    /// How vectors are compared.
    pub measure: Measure,
    /// The earlier and the later year.
    pub years: [Option<i32>; 2],
    /// Pixels with a vector in both years.
    pub pixels: u64,
    /// Pixels with none in at least one.
    pub without_vector: u64,
    /// Stable pixels that the threshold rests on.
    pub stable_pixels: u64,
    /// Their median.
    pub median: f64,
    /// 1.4826 × their median absolute deviation.
    pub deviation: f64,
    /// The rule.
    pub rule: Rule,
    /// What it comes to.
    pub threshold: f64,
    /// Pixels above.
    pub changed_pixels: u64,
}

/// Two periods of one product on one grid.
#[derive(Debug)]
pub struct Change {
    before: Side,
    after: Side,
    measure: Measure,
}

#[derive(Debug)]
struct Side {
    plan: Arc<Extraction>,
    period: usize,
}

impl Side {
    fn year(&self) -> Option<i32> {
        self.plan.periods[self.period]
    }
}

impl Change {
    /// Plans a comparison of two years of `dataset` in an area.
    ///
    /// # Errors
    /// If the request does not name two years, or reading can't be planned.
    pub fn plan(dataset: Gridded, request: &Request, measure: Measure) -> Result<Self> {
        let plan = Arc::new(Extraction::plan(dataset, request)?);
        let [_, _] = plan.periods[..] else {
            return Err(Error::query(
                format!("a change lies between two years, and {} are asked for", plan.periods.len()),
                "name two, such as 2018,2024",
            ));
        };
        let side = |period| Side { plan: Arc::clone(&plan), period };
        Ok(Self { before: side(0), after: side(1), measure })
    }

    /// Plans a comparison of one year of a dataset with one year of another, such as a folder apart.
    ///
    /// # Errors
    /// If their vectors are not of one product and version, or one of them has several years there.
    fn between(
        before: Gridded,
        after: Gridded,
        request: &Request,
        later: &Years,
        measure: Measure,
    ) -> Result<Self> {
        let first = Extraction::plan(before, request)?;
        let grid = Request {
            area: Area::Grid(first.grid.clone()),
            years: later.clone(),
            crs: None,
            resolution: None,
            ..request.clone()
        };
        let second = Extraction::plan(after, &grid)?;
        let (a, b) = (&first.provenance, &second.provenance);
        if !a.same_space(b) || a.dimension != b.dimension {
            return Err(Error::query(
                format!("vectors of {} can't be compared with those of {}", named(a), named(b)),
                "compare years of one product and version",
            ));
        }
        if let Some(several) = [&first, &second].into_iter().find(|p| p.periods.len() > 1) {
            return Err(Error::query(
                format!("{} years of {} are asked for", several.periods.len(), named(&several.provenance)),
                "name one year of each",
            ));
        }
        let side = |plan| Side { plan: Arc::new(plan), period: 0 };
        Ok(Self { before: side(first), after: side(second), measure })
    }

    /// The same with the two years of `request`, the earlier from one dataset and the later from the other.
    ///
    /// # Errors
    /// As [`Self::between`], or if the request does not name two years.
    pub fn of_two(before: Gridded, after: Gridded, request: &Request, measure: Measure) -> Result<Self> {
        let two = match &request.years {
            Years::List(years) => years.as_slice(),
            Years::All => &[],
        };
        let [first, second] = *two else {
            return Err(Error::query(
                format!("with two datasets the year of each is to be named, and {} are", two.len()),
                "name two, such as 2018,2024",
            ));
        };
        let request = Request { years: Years::List(vec![first]), ..request.clone() };
        Self::between(before, after, &request, &Years::List(vec![second]), measure)
    }

    fn grid_plan(&self) -> &Extraction {
        &self.before.plan
    }

    /// Distances of a window, NaN where a year has no vector.
    fn distances(&self, window: Window) -> Result<Vec<f32>> {
        let read = |side: &Side| window_of(&side.plan, side.period, window);
        let (a, b) = (read(&self.before)?, read(&self.after)?);
        #[allow(clippy::cast_possible_truncation)]
        let one = |i: usize| {
            let both = a.status[i] == Status::Valid && b.status[i] == Status::Valid;
            if both { self.measure.of(a.vector(i), b.vector(i)) as f32 } else { f32::NAN }
        };
        Ok(rows(&a).flat_map_iter(|row| row.map(one)).collect())
    }

    /// Looks at every pixel once: what stable ones look like, the threshold, and the `k` most changed. `stable` is the same
    /// comparison where nothing changed, if that is known; else all pixels count as stable.
    ///
    /// # Errors
    /// If no pixel has a vector in both years, or reading fails.
    pub fn measure(
        &self,
        stable: Option<&Self>,
        rule: Rule,
        k: usize,
        progress: Progress<'_>,
    ) -> Result<(Statistics, Most)> {
        if k > 0 {
            check_k(k)?;
        }
        if let Rule::Deviations(v) | Rule::Percentile(v) = rule
            && (!v.is_finite() || v < 0.0 || (matches!(rule, Rule::Percentile(_)) && v > 100.0))
        {
            return Err(Error::query(
                format!("the threshold {v} is none"),
                "give deviations, or a percentile up to 100",
            ));
        }
        let (mut all, mut top, mut without) = (Counts::default(), Top::new(k, f64::NEG_INFINITY), 0u64);
        let chunks = self.grid_plan().chunks(1);
        let width = self.grid_plan().grid.width;
        for (done, window) in chunks.iter().enumerate() {
            let distances = self.distances(*window)?;
            without += distances.iter().filter(|d| d.is_nan()).count() as u64;
            all.add(&distances);
            for (i, d) in distances.iter().enumerate().filter(|(_, d)| !d.is_nan()) {
                let (row, col) = (window.row + i / window.width, window.col + i % window.width);
                top.push(Hit { score: f64::from(*d), row: (row * width + col) as u64 });
            }
            progress(done + 1, chunks.len());
        }
        if all.count() == 0 {
            return Err(Error::query(
                "no pixel there has a vector in both years",
                "see `terravec coverage` for the years of each tile",
            ));
        }
        let known = stable.map(|s| s.counts()).transpose()?;
        let stable = known.as_ref().unwrap_or(&all);
        if stable.count() == 0 {
            return Err(Error::query(
                "no stable pixel has a vector in both years",
                "choose another stable region",
            ));
        }
        let (median, deviation) = (stable.quantile(0.5), stable.deviation());
        let threshold = match rule {
            Rule::Deviations(n) => median + n * deviation,
            Rule::Percentile(p) => stable.quantile(p / 100.0),
        };
        #[allow(clippy::cast_possible_truncation)]
        let cut = threshold as f32;
        let statistics = Statistics {
            measure: self.measure,
            years: [self.before.year(), self.after.year()],
            pixels: all.count(),
            without_vector: without,
            stable_pixels: stable.count(),
            median,
            deviation,
            rule,
            threshold,
            changed_pixels: all.above(cut),
        };
        Ok((statistics, Most { hits: top.sorted(), ranks: stable.ranks() }))
    }

    /// What measuring costs, with what is known to be `stable`, and the map, for which both years are read a second time.
    ///
    /// # Errors
    /// If a header can't be read.
    pub fn estimate(&self, stable: Option<&Self>, map: bool) -> Result<Estimate> {
        let sides = |change: &Self| -> Result<Estimate> {
            let mut plans = vec![&change.before.plan];
            if !Arc::ptr_eq(plans[0], &change.after.plan) {
                plans.push(&change.after.plan);
            }
            plans.into_iter().map(|plan| estimate::extract(plan)).sum()
        };
        let own = sides(self)?.times(1 + u32::from(map));
        Ok(std::iter::once(own).chain(stable.map(sides).transpose()?).sum())
    }

    fn counts(&self) -> Result<Counts> {
        let mut counts = Counts::default();
        for window in self.grid_plan().chunks(1) {
            counts.add(&self.distances(window)?);
        }
        Ok(counts)
    }

    /// The provenance of both years.
    #[must_use]
    pub fn provenance(&self) -> Provenance {
        let mut own = self.grid_plan().provenance.clone();
        own.years = [&self.before, &self.after].into_iter().filter_map(Side::year).collect();
        if !Arc::ptr_eq(&self.before.plan, &self.after.plan) {
            own.sources.extend(self.after.plan.provenance.sources.iter().cloned());
        }
        own
    }

    /// The most changed pixels: `rank`, `angle` or `distance`, `p_value`, place, and `link`.
    ///
    /// # Errors
    /// If the grid's CRS has no way to degrees.
    pub fn most(&self, most: &Most) -> Result<RecordBatch> {
        let plan = self.grid_plan();
        let to_lonlat = Transform::new(&plan.grid.crs, &Crs::wgs84())
            .map_err(|source| Error::Geo { context: "to lon/lat".into(), source })?;
        #[allow(clippy::cast_possible_truncation)]
        let centre = |h: &Hit| {
            let at = h.row as usize;
            plan.grid.center(at % plan.grid.width, at / plan.grid.width)
        };
        let (xs, ys): (Vec<f64>, Vec<f64>) = most.hits.iter().map(centre).unzip();
        let (mut lon, mut lat) = (xs.clone(), ys.clone());
        to_lonlat.points(&mut lon, &mut lat);
        lon.iter_mut().for_each(|v| *v = wrap_lon(*v));
        let interval = match (self.before.year(), self.after.year()) {
            (Some(a), Some(b)) => Some(Interval {
                start_ms: Interval::year(a.min(b)).start_ms,
                end_ms: Interval::year(a.max(b)).end_ms,
            }),
            _ => None,
        };
        let n = most.hits.len();
        let rows = PixelRows {
            xy: (xs, ys),
            lonlat: (lon, lat),
            interval,
            values: Samples::F32(vec![0.0; n]),
            codes: false,
            scales: None,
            depth: 1,
        };
        let mut batch = table::pixels(rows, &self.provenance())?;
        if let Ok(column) = batch.schema().index_of("embedding") {
            batch.remove_column(column);
        }
        #[allow(clippy::cast_possible_truncation)]
        let p = Float64Array::from_iter_values(most.hits.iter().map(|h| most.ranks.p_value(h.score as f32)));
        let schema = batch.schema();
        let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
        fields.insert(0, Arc::new(Field::new("p_value", arrow::datatypes::DataType::Float64, false)));
        let mut columns = batch.columns().to_vec();
        columns.insert(0, Arc::new(p));
        let schema = Schema::new(fields).with_metadata(schema.metadata().clone());
        let rows = RecordBatch::try_new(Arc::new(schema), columns)?;
        let scores = Float64Array::from_iter_values(most.hits.iter().map(|h| h.score));
        ranked(&rows, self.measure.column(), Arc::new(scores))
    }

    /// The map: `angle` or `distance`, `p_value`, and `changed` (1 above the threshold), as COG or picture.
    ///
    /// # Errors
    /// If the output can't be written or reading fails.
    pub fn map(
        &self,
        statistics: &Statistics,
        most: &Most,
        path: &Path,
        force: bool,
        progress: Progress<'_>,
    ) -> Result<()> {
        let spec = Spec {
            path,
            force,
            bands: vec![self.measure.column().into(), "p_value".into(), "changed".into()],
            content: Content::Numbers,
            dtype: DType::F32,
            provenance: self.provenance(),
            tags: vec![("TERRAVEC_CHANGE".into(), serde_json::to_string(statistics).unwrap_or_default())],
        };
        #[allow(clippy::cast_possible_truncation)]
        let cut = statistics.threshold as f32;
        raster::write(self.grid_plan(), &spec, progress, &mut |window| {
            let distances = self.distances(window)?;
            let each = |f: &(dyn Fn(f32) -> f32 + Sync)| -> Vec<f32> {
                distances.par_iter().map(|d| if d.is_nan() { f32::NAN } else { f(*d) }).collect()
            };
            #[allow(clippy::cast_possible_truncation)]
            let p = each(&|d| most.ranks.p_value(d) as f32);
            let changed = each(&|d| if Counts::is_above(d, cut) { 1.0 } else { 0.0 });
            let data = [distances.clone(), p, changed].concat();
            Ok(Codes::new(Samples::F32(data), 3, window.height, window.width))
        })
    }
}

/// The most changed pixels, and how stable ones rank.
#[derive(Debug, Clone)]
pub struct Most {
    hits: Vec<Hit>,
    ranks: Ranks,
}

/// The pixels of a block, row by row, to be looked at in parallel.
fn rows(block: &Vectors) -> impl IndexedParallelIterator<Item = std::ops::Range<usize>> + use<> {
    let width = block.width;
    (0..block.height).into_par_iter().map(move |row| row * width..(row + 1) * width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angles_and_distances_are_those_of_geometry() {
        let of = |m: Measure, a: [f32; 2], b: [f32; 2]| m.of(a.into_iter(), b.into_iter());
        assert!((of(Measure::Angle, [1.0, 0.0], [0.0, 5.0]) - 90.0).abs() < 1e-12);
        assert_eq!(of(Measure::Angle, [0.3, 0.1], [0.3, 0.1]), 0.0);
        assert!((of(Measure::Angle, [1.0, 0.0], [-2.0, 0.0]) - 180.0).abs() < 1e-12);
        assert!(of(Measure::Angle, [0.0, 0.0], [1.0, 0.0]).is_nan());
        assert_eq!(of(Measure::L2, [0.0, 3.0], [4.0, 0.0]), 5.0);
    }
}
