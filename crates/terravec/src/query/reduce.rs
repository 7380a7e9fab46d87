//! One vector per polygon: mean, median or medoid of the decoded vectors inside.
//!
//! The median is taken band by band. The medoid is the member with the least sum of squared distances to all others,
//! which is the member nearest to their mean. Mean and median are scaled to length 1 where the product's vectors have that length.

use terravec_io::vector::Regions;

use super::extract::{Area, Extraction, Request};
use super::gridded::Gridded;
use super::pixels::Pixels;
use super::resample::Resampling;
use crate::error::{Error, Result};
use crate::provenance::Provenance;
use crate::time::Interval;
use crate::vectors::{Status, Vectors};

/// How vectors inside a polygon become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduce {
    /// Mean.
    Mean,
    /// Median of each band.
    Median,
    /// The most central member.
    Medoid,
}

impl Reduce {
    /// `mean`, `median` or `medoid`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Median => "median",
            Self::Medoid => "medoid",
        }
    }
}

/// Numbers that median and medoid may keep in memory.
const MAX_KEPT: usize = 1 << 29;

/// One row per polygon and period: polygons in their order, periods inside.
#[derive(Debug)]
pub struct Reduced {
    /// The polygons, as given.
    pub regions: Regions,
    /// The periods.
    pub periods: Vec<Option<i32>>,
    /// Per row: whether there is a vector.
    pub status: Vec<Status>,
    /// Per row: when.
    pub intervals: Vec<Option<Interval>>,
    /// Per row: how many pixels had a vector.
    pub pixels: Vec<u64>,
    /// Per row, `dimension` numbers, NaN where there is no vector.
    pub values: Vec<f32>,
    /// Names of the bands.
    pub band_names: Vec<String>,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// Reduces `dataset`, a [`RasterDataset`](crate::RasterDataset) or a [`LocationDataset`](crate::LocationDataset), over each
/// polygon of `regions`.
///
/// # Errors
/// If a tile can't be read, or all polygons lie outside the dataset.
pub fn reduce(
    dataset: impl Into<Gridded>,
    regions: &Regions,
    all_touched: bool,
    request: &Request,
    how: Reduce,
) -> Result<Reduced> {
    let all = Area::Regions { regions: regions.clone(), mask: true, all_touched };
    let dataset = dataset.into().narrowed(&all, &request.years)?.keeping_blocks();
    if request.codes {
        return Err(Error::query("codes can't be reduced: they are not values", "leave --codes out"));
    }
    if request.bands.is_some() {
        return Err(Error::query(
            "a reduction needs all bands",
            "leave --bands out, and pick columns afterwards",
        ));
    }
    let periods = dataset.periods(&request.years)?;
    let band_names = dataset.band_names()?;
    let depth = band_names.len();
    let unit = dataset.product().unit_length == Some(true);
    let mut out = Reduced {
        regions: regions.clone(),
        status: Vec::new(),
        intervals: Vec::new(),
        pixels: Vec::new(),
        values: Vec::new(),
        provenance: dataset.provenance(&periods)?,
        periods,
        band_names,
    };
    let (mut sources, mut found) = (Vec::new(), false);
    for plan in each(&dataset, regions, all_touched, request) {
        let plan = plan?;
        for p in 0..out.periods.len() {
            let mut fold = Fold::new(depth, how);
            if let Some(plan) = &plan {
                for window in plan.chunks(1) {
                    if let Pixels::Vectors(v) = plan.read(p, window)? {
                        fold.add(&v)?;
                    }
                }
            }
            out.pixels.push(fold.count);
            out.intervals.push(out.periods[p].map(Interval::year).or_else(|| dataset.interval()));
            match fold.finish(unit) {
                Some(vector) => {
                    out.status.push(Status::Valid);
                    out.values.extend(vector);
                }
                None => {
                    out.status.push(if plan.is_some() && fold.seen {
                        Status::Nodata
                    } else {
                        Status::Outside
                    });
                    out.values.extend(std::iter::repeat_n(f32::NAN, depth));
                }
            }
        }
        if let Some(plan) = plan {
            found = true;
            sources.extend(plan.provenance.sources);
        }
    }
    if !found {
        return Err(Error::Outside {
            what: format!("none of the {} polygons touches a tile", regions.polygons.len()),
            covered: dataset.covered(),
        });
    }
    out.provenance.set_sources(sources);
    out.provenance.years = out.periods.iter().copied().flatten().collect();
    out.provenance.request = serde_json::json!({ "verb": "extract", "reduce": how.name(), "polygons": regions.polygons.len(), "all_touched": all_touched });
    Ok(out)
}

/// How the pixels of each polygon are read; `None` where a row has no geometry, or lies outside.
fn each(
    dataset: &Gridded,
    regions: &Regions,
    all_touched: bool,
    request: &Request,
) -> impl Iterator<Item = Result<Option<Extraction>>> {
    (0..regions.polygons.len()).map(move |i| {
        let one = Regions {
            polygons: vec![regions.polygons[i].clone()],
            columns: regions.columns.slice(i, 1),
            warnings: Vec::new(),
        };
        let request = Request {
            area: Area::Regions { regions: one, mask: true, all_touched },
            resampling: Resampling::Nearest,
            ..request.clone()
        };
        if regions.polygons[i].0.is_empty() {
            return Ok(None);
        }
        match Extraction::plan(dataset.clone(), &request) {
            Ok(plan) => Ok(Some(plan)),
            Err(Error::Outside { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    })
}

/// The plans of those polygons that have one.
pub(crate) fn plans(
    dataset: &Gridded,
    regions: &Regions,
    all_touched: bool,
    request: &Request,
) -> impl Iterator<Item = Result<Extraction>> {
    each(dataset, regions, all_touched, request).filter_map(Result::transpose)
}

/// Vectors of one polygon, coming in blocks.
struct Fold {
    how: Reduce,
    depth: usize,
    sum: Vec<f64>,
    count: u64,
    seen: bool,
    /// Vectors one after the other, for median and medoid.
    kept: Vec<f32>,
}

impl Fold {
    fn new(depth: usize, how: Reduce) -> Self {
        Self { how, depth, sum: vec![0.0; depth], count: 0, seen: false, kept: Vec::new() }
    }

    fn add(&mut self, block: &Vectors) -> Result<()> {
        self.seen |= block.status.iter().any(|s| *s != Status::Outside);
        for i in crate::vectors::valid(&block.status) {
            self.count += 1;
            for (sum, v) in self.sum.iter_mut().zip(block.vector(i)) {
                *sum += f64::from(v);
            }
            if self.how != Reduce::Mean {
                self.kept.extend(block.vector(i));
            }
        }
        if self.kept.len() > MAX_KEPT {
            return Err(Error::query(
                format!(
                    "a polygon holds {} pixels; {} needs them all in memory",
                    self.count,
                    self.how.name()
                ),
                "use --reduce mean, or smaller polygons",
            ));
        }
        Ok(())
    }

    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    fn finish(&mut self, unit: bool) -> Option<Vec<f32>> {
        if self.count == 0 {
            return None;
        }
        let mean: Vec<f64> = self.sum.iter().map(|s| s / self.count as f64).collect();
        let members = || self.kept.chunks_exact(self.depth);
        let vector: Vec<f64> = match self.how {
            Reduce::Mean => mean,
            Reduce::Median => (0..self.depth)
                .map(|b| {
                    let mut band: Vec<f32> = members().map(|v| v[b]).collect();
                    let mid = band.len() / 2;
                    let (low, high, _) = band.select_nth_unstable_by(mid, f32::total_cmp);
                    let high = f64::from(*high);
                    if self.count.is_multiple_of(2) {
                        f64::midpoint(
                            f64::from(low.iter().copied().max_by(f32::total_cmp).unwrap_or(f32::NAN)),
                            high,
                        )
                    } else {
                        high
                    }
                })
                .collect(),
            Reduce::Medoid => {
                let distance =
                    |v: &[f32]| v.iter().zip(&mean).map(|(a, m)| (f64::from(*a) - m).powi(2)).sum::<f64>();
                let best = members().min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
                return Some(best.to_vec());
            }
        };
        let length = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
        let scale = match unit {
            true if length > 0.0 => 1.0 / length,
            true => return None,
            false => 1.0,
        };
        Some(vector.into_iter().map(|v| (v * scale) as f32).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold(how: Reduce, vectors: &[[f32; 2]], unit: bool) -> Option<Vec<f32>> {
        let n = vectors.len();
        let data = (0..2).flat_map(|b| vectors.iter().map(move |v| v[b])).collect();
        let block = Vectors { data, status: vec![Status::Valid; n], bands: 2, height: 1, width: n };
        let mut f = Fold::new(2, how);
        f.add(&block).unwrap();
        f.finish(unit)
    }

    #[test]
    fn reductions() {
        let vs = [[0.0, 0.0], [2.0, 0.0], [10.0, 3.0], [4.0, 1.0]];
        assert_eq!(fold(Reduce::Mean, &vs, false).unwrap(), [4.0, 1.0]);
        assert_eq!(fold(Reduce::Median, &vs, false).unwrap(), [3.0, 0.5]);
        assert_eq!(fold(Reduce::Median, &vs[..3], false).unwrap(), [2.0, 0.0]);
        assert_eq!(fold(Reduce::Medoid, &vs, false).unwrap(), [4.0, 1.0]);
        assert_eq!(fold(Reduce::Mean, &[[3.0, 4.0]], true).unwrap(), [0.6, 0.8]);
        assert_eq!(
            fold(Reduce::Mean, &[[1.0, 0.0], [-1.0, 0.0]], true),
            None,
            "opposite vectors have no mean direction"
        );
        assert_eq!(fold(Reduce::Mean, &[], false), None);
    }
}
