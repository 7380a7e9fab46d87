//! A predictor with all it needs to be used right: classes, bands, the product it was learnt on, how it was assessed. One JSON file.
//!
//! Arrays are base64 of little-endian numbers. Whatever is read is checked before it is used; nothing in the file is run.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use terravec::{Error, Provenance, Result, sink};
use terravec_io::atomic::PendingFile;

use super::{Applicability, Dropped, Fit, Labelled, Learner, Predictor, Truth};
use crate::refuse;

const FORMAT: &str = "terravec-model";
const FORMAT_VERSION: u32 = 1;
/// A longer file is refused.
const MAX_BYTES: u64 = 1 << 31;

/// A class of a map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassLegend {
    /// Its name.
    pub name: String,
    /// The number that stands for it in a raster.
    pub code: u16,
    /// Red, green, blue.
    pub colour: [u8; 3],
}

/// What a model predicts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// One of these classes.
    Classes(Vec<ClassLegend>),
    /// A number of this name.
    Value(String),
}

/// What a model was learnt from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Labelled vectors.
    pub rows: usize,
    /// The column of labels.
    pub column: String,
    /// Labels that could not be used.
    pub dropped: Dropped,
    /// Rows of each class.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub per_class: Vec<usize>,
}

/// A predictor that knows what it is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    format: String,
    format_version: u32,
    /// What it predicts.
    pub task: Task,
    /// How it was learnt.
    pub fit: Fit,
    /// The bands, in order.
    pub bands: Vec<String>,
    /// Where its vectors came from: the product and version it is for.
    pub vectors: Provenance,
    /// What it was learnt from.
    pub training: Training,
    /// Figures of cross-validation, where there was one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub assessment: Option<Value>,
    /// Where it may be applied.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub applicability: Option<Applicability>,
    /// What was learnt.
    pub learnt: Predictor,
}

impl Model {
    /// Learns from all of `labelled`. `column` names the labels.
    ///
    /// # Errors
    /// As [`Fit::fit`].
    pub fn learn(fit: &Fit, labelled: &Labelled, column: &str) -> Result<Self> {
        let learnt = fit.fit(&labelled.x, labelled.truth.target())?;
        let (task, per_class) = match &labelled.truth {
            Truth::Classes { names, codes, of } => {
                let classes = names.iter().zip(codes).enumerate();
                let legend = classes.map(|(i, (name, code))| ClassLegend {
                    name: name.clone(),
                    code: *code,
                    colour: colour(i),
                });
                let mut per_class = vec![0; names.len()];
                of.iter().for_each(|c| per_class[*c as usize] += 1);
                (Task::Classes(legend.collect()), per_class)
            }
            Truth::Values(_) => (Task::Value(column.to_owned()), Vec::new()),
        };
        Ok(Self {
            format: FORMAT.into(),
            format_version: FORMAT_VERSION,
            task,
            fit: fit.clone(),
            bands: labelled.x.names().to_vec(),
            vectors: labelled.provenance.clone(),
            training: Training {
                rows: labelled.rows(),
                column: column.to_owned(),
                dropped: labelled.dropped,
                per_class,
            },
            assessment: None,
            applicability: None,
            learnt,
        })
    }

    /// The classes; none for values.
    #[must_use]
    pub fn classes(&self) -> &[ClassLegend] {
        match &self.task {
            Task::Classes(classes) => classes,
            Task::Value(_) => &[],
        }
    }

    /// Gives classes other colours, by name.
    ///
    /// # Errors
    /// If there is no such class.
    pub fn paint(&mut self, colours: &[(String, [u8; 3])]) -> Result<()> {
        let known: Vec<String> = self.classes().iter().map(|c| c.name.clone()).collect();
        let Task::Classes(classes) = &mut self.task else {
            return Err(refuse("a model of values has no colours", "leave them out"));
        };
        for (name, colour) in colours {
            let Some(class) = classes.iter_mut().find(|c| c.name == *name) else {
                return Err(refuse(
                    format!("there is no class `{name}` to colour"),
                    format!("classes: {}", known.join(", ")),
                ));
            };
            class.colour = *colour;
        }
        Ok(())
    }

    /// Refuses vectors that are not of the product and version that the model learnt, unless `mix` says that this is meant.
    ///
    /// # Errors
    /// If they differ, or the bands do, which no choice makes right.
    pub fn check_vectors(&self, vectors: &Provenance, bands: &[String], mix: bool) -> Result<()> {
        let said = |p: &Provenance| match &p.version {
            Some(version) => format!("{} {version}", p.product),
            None => p.product.clone(),
        };
        if bands.len() != self.bands.len() {
            return Err(refuse(
                format!("the model takes {} numbers, and the vectors have {}", self.bands.len(), bands.len()),
                "predict on the bands that the model was learnt on",
            ));
        }
        if vectors.values != self.vectors.values {
            return Err(refuse("the model was learnt on vectors, not on codes", "leave --codes out"));
        }
        if mix {
            return Ok(());
        }
        if !self.vectors.same_space(vectors) {
            return Err(refuse(
                format!("the model was learnt on {}, not on {}", said(&self.vectors), said(vectors)),
                "learn one for this product; or, if both hold the same vectors, pass --allow-mix",
            ));
        }
        if bands != self.bands {
            return Err(refuse(
                "the bands have other names or another order than those the model was learnt on",
                "ask for the same bands; or, if they are the same, pass --allow-mix",
            ));
        }
        Ok(())
    }

    /// The file, as bytes.
    ///
    /// # Errors
    /// If a number has no JSON, which would be a fault of ours.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self)
            .map_err(|e| refuse(format!("the model can't be written: {e}"), "report this"))
    }

    /// The model in the bytes of a file called `name`.
    ///
    /// # Errors
    /// If they are no such file, of a later version, or do not hang together.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self> {
        let broken = |what: &str| refuse(format!("{name}: {what}"), "give a file that `fit` has written");
        let mut model: Self = serde_json::from_slice(bytes).map_err(|e| broken(&format!("no model: {e}")))?;
        if model.format != FORMAT {
            return Err(broken("no model"));
        }
        if model.format_version != FORMAT_VERSION {
            return Err(refuse(
                format!("{name}: a model of format {}, which is not known", model.format_version),
                "use the version of terravec that wrote it, or a later one",
            ));
        }
        let outputs = match &model.task {
            Task::Value(_) => 1,
            Task::Classes(classes) => {
                let mut codes: Vec<u16> = classes.iter().map(|c| c.code).collect();
                codes.sort_unstable();
                codes.dedup();
                if classes.len() < 2 || codes.len() != classes.len() || codes.last() == Some(&u16::MAX) {
                    return Err(broken("its classes contradict one another"));
                }
                classes.len()
            }
        };
        if model.bands.is_empty() || model.bands.len() > 1 << 20 {
            return Err(broken("it has no bands"));
        }
        model.learnt.check(model.bands.len(), outputs).map_err(broken)?;
        if let Some(a) = &model.applicability {
            a.check(model.bands.len()).map_err(broken)?;
        }
        Ok(model)
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// If it exists and `force` is not given, or can't be written.
    pub fn save(&self, path: &Path, force: bool) -> Result<()> {
        sink::check_absent(path, force)?;
        let bytes = self.to_bytes()?;
        let write = || -> std::io::Result<()> {
            let part = PendingFile::create(path)?;
            std::io::Write::write_all(&mut part.file(), &bytes)?;
            part.commit()
        };
        write().map_err(|source| Error::Write { path: path.into(), source })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes), or if it can't be read.
    pub fn load(path: &Path) -> Result<Self> {
        let unread = |e: std::io::Error| {
            refuse(format!("{}: {e}", path.display()), "give a file that `fit` has written")
        };
        let size = std::fs::metadata(path).map_err(unread)?.len();
        if size > MAX_BYTES {
            return Err(refuse(
                format!("{}: {size} bytes are no model", path.display()),
                "give a file that `fit` has written",
            ));
        }
        Self::from_bytes(&path.display().to_string(), &std::fs::read(path).map_err(unread)?)
    }

    /// One line for people.
    #[must_use]
    pub fn summary(&self) -> String {
        let learner = match &self.fit.learner {
            Learner::Knn { k, cosine } => format!("knn, k = {k}{}", if *cosine { ", cosine" } else { "" }),
            Learner::Logistic { c } => format!("logistic, C = {c}"),
            Learner::Ridge { alpha } => format!("ridge, alpha = {alpha}"),
            Learner::Centroid { .. } => "centroid".into(),
            Learner::Forest { trees, .. } => format!("forest of {trees} trees"),
            Learner::Boosting { rounds, .. } => format!("boosting, {rounds} rounds"),
            Learner::Mlp { hidden, .. } => format!("mlp {hidden:?}"),
        };
        let goal = match &self.task {
            Task::Classes(c) => format!("{} classes", c.len()),
            Task::Value(name) => format!("`{name}`"),
        };
        format!("{learner}: {goal} from {} vectors of {}", self.training.rows, self.vectors.product)
    }
}

/// A colour for class `i`: the first are Okabe & Ito's, which most people can tell apart, the rest go round the hues.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn colour(i: usize) -> [u8; 3] {
    const FIRST: [[u8; 3]; 8] = [
        [0, 114, 178],
        [230, 159, 0],
        [0, 158, 115],
        [204, 121, 167],
        [86, 180, 233],
        [213, 94, 0],
        [240, 228, 66],
        [90, 90, 90],
    ];
    if let Some(c) = FIRST.get(i) {
        return *c;
    }
    let hue = (i as f64 * 0.618_034).fract() * 6.0;
    let channel = |shift: f64| {
        let k = (shift + hue) % 6.0;
        (255.0 * (0.85 - 0.55 * k.min(4.0 - k).clamp(0.0, 1.0))) as u8
    };
    [channel(5.0), channel(3.0), channel(1.0)]
}
