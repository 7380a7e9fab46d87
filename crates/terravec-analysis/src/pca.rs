//! One basis of principal components for many pictures: fitted once on a stated sample, saved, and applied everywhere alike.
//!
//! Colours are the first three components, each from the 2nd to the 98th percentile of the sample. A basis fitted anew for
//! every view would make colours mean something else in each.

use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use terravec::pca::{Basis, Gram};
use terravec::sink::Progress;
use terravec::{Error, Extraction, Pixels, Provenance, Result, Status, Vectors};
use terravec_geo::Window;
use terravec_io::{Codes, DType, Samples};

use crate::cluster::Sample;
use crate::colour::{between, percentiles};
use crate::raster::{self, Content, Spec};

const FORMAT: &str = "terravec-pca";
/// More numbers than this are no vector of an embedding.
const MOST: usize = 1 << 20;

/// A basis as it is saved: JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Projection {
    format: String,
    /// Version of the format.
    version: u32,
    /// Mean vector of the sample.
    pub mean: Vec<f64>,
    /// Components of length 1, the one of largest variance first; the loading of largest size is positive.
    pub components: Vec<Vec<f64>>,
    /// Variance along each.
    pub variance: Vec<f64>,
    /// Variance over all directions.
    pub total_variance: f64,
    /// The 2nd and 98th percentile of the sample along each.
    pub stretch: Vec<[f64; 2]>,
    /// Vectors that it was fitted on.
    pub sample_rows: usize,
    /// Vectors that these were drawn from.
    pub sampled_from: u64,
    /// The seed of the draw.
    pub seed: u64,
    /// Where the vectors come from.
    pub provenance: Provenance,
}

impl Projection {
    /// The first `n` components of a sample.
    ///
    /// # Errors
    /// If `n` is 0 or more than the numbers of a vector, or all vectors are the same.
    pub fn fit(sample: &Sample, n: usize, provenance: Provenance) -> Result<Self> {
        if n == 0 || n > sample.dim {
            return Err(Error::query(
                format!("{n} components of vectors of {} numbers are asked for", sample.dim),
                format!("ask for 1 to {}", sample.dim),
            ));
        }
        let mut gram = Gram::new(sample.dim);
        gram.add_rows(&sample.values);
        let basis = gram.basis(n).ok_or_else(|| {
            Error::query("the sample has no finite vectors", "leave faulty rows out, or choose another area")
        })?;
        if basis.total_variance <= 0.0 {
            return Err(Error::query(
                "all vectors of the sample are the same, and no direction tells them apart",
                "fit on a larger area",
            ));
        }
        let scores: Vec<Vec<f64>> =
            sample.values.par_chunks_exact(sample.dim).map(|row| basis.scores(row)).collect();
        let stretch = (0..n)
            .map(|c| {
                #[allow(clippy::cast_possible_truncation)]
                let column: Vec<f32> = scores.iter().map(|s| s[c] as f32).collect();
                percentiles(&column, [0.02, 0.98]).map(f64::from)
            })
            .collect();
        let Basis { mean, components, variance, total_variance } = basis;
        Ok(Self {
            format: FORMAT.into(),
            version: 1,
            mean,
            components,
            variance,
            total_variance,
            stretch,
            sample_rows: sample.rows(),
            sampled_from: sample.of,
            seed: sample.seed,
            provenance,
        })
    }

    /// Reads a saved basis.
    ///
    /// # Errors
    /// If it is none, or its parts do not fit together.
    pub fn from_json(text: &str) -> Result<Self> {
        let wrong = |what: String| Error::query(what, "make it with `terravec pca`");
        let own: Self = serde_json::from_str(text)
            .map_err(|e| wrong(format!("no basis of principal components: {e}")))?;
        let (d, n) = (own.mean.len(), own.components.len());
        let fits = own.format == FORMAT
            && own.version == 1
            && (1..=MOST).contains(&d)
            && (1..=d).contains(&n)
            && own.components.iter().all(|c| c.len() == d)
            && own.variance.len() == n
            && own.stretch.len() == n
            && own.mean.iter().chain(own.components.iter().flatten()).all(|v| v.is_finite());
        if fits { Ok(own) } else { Err(wrong("the parts of the basis do not fit together".into())) }
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Refuses vectors of another product or version.
    ///
    /// # Errors
    /// If they are.
    pub fn check(&self, provenance: &Provenance) -> Result<()> {
        if self.provenance.same_space(provenance) && self.mean.len() == provenance.dimension {
            return Ok(());
        }
        Err(Error::query(
            format!(
                "the basis was fitted on {}, {} numbers; these are vectors of {}, {} numbers",
                named(&self.provenance),
                self.mean.len(),
                named(provenance),
                provenance.dimension
            ),
            "fit one on this product and version",
        ))
    }

    /// The part of the variance that each component, and all before it, explain.
    #[must_use]
    pub fn cumulative(&self) -> Vec<f64> {
        let mut sum = 0.0;
        self.variance
            .iter()
            .map(|v| {
                sum += v;
                sum / self.total_variance
            })
            .collect()
    }

    fn basis(&self) -> Basis {
        Basis {
            mean: self.mean.clone(),
            components: self.components.clone(),
            variance: self.variance.clone(),
            total_variance: self.total_variance,
        }
    }

    /// Scores of one vector.
    #[must_use]
    pub fn scores_of(&self, vector: &[f32]) -> Vec<f64> {
        self.components
            .iter()
            .map(|c| c.iter().zip(vector).zip(&self.mean).map(|((a, v), m)| a * (f64::from(*v) - m)).sum())
            .collect()
    }

    /// Writes colours, or the components themselves, of one period as COG or picture.
    ///
    /// # Errors
    /// If the vectors are of another product, there are several periods, or reading or writing fails.
    pub fn write(
        &self,
        plan: &Extraction,
        path: &Path,
        force: bool,
        scores: bool,
        progress: Progress<'_>,
    ) -> Result<()> {
        self.check(&plan.provenance)?;
        if plan.periods.len() > 1 {
            return Err(Error::query(
                format!("{} years are there", plan.periods.len()),
                "name one for the picture",
            ));
        }
        let (bands, content, dtype) = if scores {
            ((1..=self.components.len()).map(|i| format!("pc{i}")).collect(), Content::Numbers, DType::F32)
        } else {
            (["red", "green", "blue"].map(String::from).to_vec(), Content::Colours, DType::U8)
        };
        let basis = serde_json::json!({
            "explained": self.cumulative(), "stretch": self.stretch, "sample_rows": self.sample_rows,
            "sampled_from": self.sampled_from,
        });
        let spec = Spec {
            path,
            force,
            bands,
            content,
            dtype,
            provenance: plan.provenance.clone(),
            tags: vec![("TERRAVEC_PCA".into(), basis.to_string())],
        };
        raster::write(plan, &spec, progress, &mut |window| {
            let vectors = window_of(plan, 0, window)?;
            Ok(if scores { self.scores(&vectors) } else { self.colours(&vectors) })
        })
    }

    /// Scores of a window: (component, y, x), NaN where there is no vector.
    #[must_use]
    pub fn scores(&self, vectors: &Vectors) -> Codes {
        let scores = self.basis().project(vectors);
        Codes::new(Samples::F32(scores.data), scores.bands, scores.height, scores.width)
    }

    /// The first three components of a window as red, green and blue, 1 to 255; 0 where there is no vector. Fewer components show
    /// as grey, or as red and green.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn colours(&self, vectors: &Vectors) -> Codes {
        let first = Self { components: self.components.iter().take(3).cloned().collect(), ..self.clone() };
        let scores = first.basis().project(vectors);
        let n = scores.pixels();
        let mut out = vec![0u8; 3 * n];
        for (band, plane) in out.chunks_exact_mut(n.max(1)).enumerate() {
            let source = if scores.bands == 1 { 0 } else { band };
            for (i, o) in plane.iter_mut().enumerate() {
                if scores.status[i] == Status::Valid {
                    *o = match self.stretch.get(source) {
                        Some([low, high]) if source < scores.bands => {
                            let part = between(scores.band(source)[i], *low as f32, *high as f32);
                            (1.0 + 254.0 * part).round() as u8
                        }
                        _ => 1,
                    };
                }
            }
        }
        Codes::new(Samples::U8(out), 3, scores.height, scores.width)
    }
}

/// A product with its version.
pub(crate) fn named(p: &Provenance) -> String {
    p.version.as_ref().map_or_else(|| p.product.clone(), |v| format!("{}@{v}", p.product))
}

/// The vectors of a window of a plan.
pub(crate) fn window_of(plan: &Extraction, period: usize, window: Window) -> Result<Vectors> {
    match plan.read(period, window)? {
        Pixels::Vectors(v) => Ok(v),
        Pixels::Codes(..) => Err(Error::query("the raster is read as codes, not vectors", "ask for vectors")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provenance() -> Provenance {
        serde_json::from_value(serde_json::json!({
            "product": "p", "dimension": 2, "decode": "", "values": "vectors", "years": [], "sources": [],
            "request": null, "software": ""
        }))
        .unwrap()
    }

    #[test]
    fn a_saved_basis_gives_the_same_colours() {
        let mut random = fastrand::Rng::with_seed(6);
        let values: Vec<f32> = (0..500)
            .flat_map(|_| {
                let t = random.f32();
                [t, 2.0 * t + 0.01 * random.f32()]
            })
            .collect();
        let sample = Sample { values: values.clone(), dim: 2, of: 500, without_vector: 0, seed: 0 };
        let fitted = Projection::fit(&sample, 2, provenance()).unwrap();
        assert!(fitted.cumulative()[0] > 0.99 && (fitted.cumulative()[1] - 1.0).abs() < 1e-9);
        let again = Projection::from_json(&fitted.to_json()).unwrap();
        assert_eq!(again, fitted);
        let (x, y): (Vec<f32>, Vec<f32>) = values.chunks_exact(2).map(|p| (p[0], p[1])).unzip();
        let mut status = vec![Status::Valid; 500];
        status[7] = Status::Nodata;
        let block = Vectors { data: [x, y].concat(), status, bands: 2, height: 20, width: 25 };
        let Samples::U8(colours) = again.colours(&block).samples else { panic!("bytes") };
        assert_eq!((colours[7], colours[507], colours[1007]), (0, 0, 0));
        assert!(colours[..500].iter().filter(|c| **c == 255).count() >= 10);
        assert!(again.check(&Provenance { version: Some("2".into()), ..provenance() }).is_err());
    }

    #[test]
    fn what_has_no_components_is_refused() {
        let sample = |values: Vec<f32>| Sample { values, dim: 2, of: 3, without_vector: 0, seed: 0 };
        assert!(Projection::fit(&sample(vec![0.5; 6]), 1, provenance()).is_err());
        assert!(Projection::fit(&sample(vec![0.1, 0.2, 0.3, 0.4, 0.0, 0.0]), 3, provenance()).is_err());
        assert!(Projection::from_json("{}").is_err());
        let broken =
            Projection::fit(&sample(vec![0.1, 0.2, 0.3, 0.5, 0.0, 0.0]), 1, provenance()).unwrap().to_json();
        assert!(Projection::from_json(&broken.replace("\"mean\": [", "\"mean\": [1.0,")).is_err());
    }
}
