//! Cross-validation: every row predicted by a model that has not seen its fold.

use serde::Serialize;
use terravec::Result;

use super::bootstrap::{Interval95, bootstrap};
use super::folds::Folds;
use super::metrics::{ClassMetrics, ValueMetrics, calibration_error};
use crate::learn::{Applicability, Fit, Labelled, Model, Predictor, Task, Truth};
use crate::refuse;

/// So many groups are left out one by one; more are dealt out to folds.
const FEW_GROUPS: usize = 20;

/// Figures of classes or of values.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Figures {
    /// Of classes.
    Classes(ClassMetrics),
    /// Of values.
    Values(ValueMetrics),
}

/// Figures of one fold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FoldFigures {
    /// The fold.
    pub name: String,
    /// Held-out rows.
    pub rows: usize,
    /// Accuracy, or R².
    pub score: f64,
    /// Balanced accuracy, or RMSE.
    pub second: f64,
    /// Classes of the fold that no training row had.
    pub unseen: Vec<String>,
}

/// What came out of one way to make folds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Assessment {
    /// How folds were made.
    pub folds: String,
    /// Mean of accuracy, or of R², over the folds.
    pub mean: f64,
    /// Fold by fold.
    pub per_fold: Vec<FoldFigures>,
    /// Of all held-out predictions together.
    pub pooled: Figures,
    /// 95 % interval of the pooled accuracy, or R², by the bootstrap over rows, or over groups where there are more than 20.
    pub interval: Option<Interval95>,
    /// Expected calibration error, of classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration_error: Option<f64>,
    /// Folds left out, as without them one class alone remains.
    pub skipped: Vec<String>,
}

/// Predictions of rows that were held out.
struct Held {
    rows: Vec<usize>,
    scores: Vec<f32>,
}

/// Learns and predicts fold by fold.
///
/// # Errors
/// If a fold can't be learnt without, for another reason than that but one class is left.
pub fn cross_validate(fit: &Fit, labelled: &Labelled, folds: &Folds) -> Result<Assessment> {
    let outputs = labelled.truth.target().outputs();
    let mut all = Held { rows: Vec::new(), scores: Vec::new() };
    let (mut per_fold, mut skipped) = (Vec::new(), Vec::new());
    for (f, name) in folds.names.iter().enumerate() {
        let (train, test) = folds.split(f);
        if test.is_empty() {
            continue;
        }
        let truth = labelled.truth.select(&train);
        if let Truth::Classes { of, .. } = &truth
            && of.iter().all(|c| *c == of[0])
        {
            skipped.push(name.clone());
            continue;
        }
        let learnt = fit.fit(&labelled.x.select(&train), truth.target())?;
        let scores = learnt.scores(&labelled.x.select(&test))?;
        let held = labelled.truth.select(&test);
        let (score, second) = match figures(&held, &scores, outputs) {
            Figures::Classes(m) => (m.accuracy, m.balanced_accuracy),
            Figures::Values(m) => (m.r2, m.rmse),
        };
        let unseen = match (&held, &truth) {
            (Truth::Classes { names, of: held, .. }, Truth::Classes { of, .. }) => (0..names.len())
                .filter(|k| held.iter().any(|c| *c as usize == *k) && of.iter().all(|c| *c as usize != *k))
                .map(|k| names[k].clone())
                .collect(),
            _ => Vec::new(),
        };
        per_fold.push(FoldFigures { name: name.clone(), rows: test.len(), score, second, unseen });
        all.rows.extend(test);
        all.scores.extend(scores);
    }
    if per_fold.is_empty() {
        return Err(refuse(
            format!("{}: no fold can be held out, as one class alone would remain", folds.how),
            "make folds in another way",
        ));
    }
    let truth = labelled.truth.select(&all.rows);
    // Rows of one polygon or field are not independent; they are drawn together where there are enough of them.
    let many = labelled.groups.as_ref().filter(|(_, names)| names.len() > FEW_GROUPS);
    let units: Option<Vec<u32>> = many.map(|(of, _)| all.rows.iter().map(|i| of[*i]).collect());
    #[allow(clippy::cast_precision_loss)]
    let mean = per_fold.iter().map(|f| f.score).sum::<f64>() / per_fold.len() as f64;
    Ok(Assessment {
        folds: folds.how.clone(),
        mean,
        interval: interval(&truth, &all.scores, outputs, units.as_deref(), fit.seed),
        calibration_error: match &truth {
            Truth::Classes { of, .. } => Some(calibration_error(of, &all.scores, outputs)),
            Truth::Values(_) => None,
        },
        pooled: figures(&truth, &all.scores, outputs),
        per_fold,
        skipped,
    })
}

/// A model against labels that it has not seen. Labels of classes that it does not know are left out, and the notes say so.
///
/// # Errors
/// If the model is not for these labels, or no label is left.
pub fn score(model: &Model, labelled: &Labelled) -> Result<(Assessment, Vec<String>)> {
    let mut notes = Vec::new();
    let (x, truth) = match (&labelled.truth, &model.task) {
        (Truth::Values(_), Task::Value(_)) => (labelled.x.clone(), labelled.truth.clone()),
        (Truth::Classes { names, of, .. }, Task::Classes(classes)) => {
            let known: Vec<Option<u32>> = names
                .iter()
                .map(|n| (0u32..).zip(classes).find(|(_, c)| c.name == *n).map(|(i, _)| i))
                .collect();
            let kept: Vec<usize> = (0..of.len()).filter(|i| known[of[*i] as usize].is_some()).collect();
            if kept.len() < of.len() {
                let unknown: Vec<&str> =
                    names.iter().zip(&known).filter(|(_, k)| k.is_none()).map(|(n, _)| n.as_str()).collect();
                let n = of.len() - kept.len();
                notes.push(format!(
                    "{n} labels are of classes that the model does not know: {}",
                    unknown.join(", ")
                ));
            }
            if kept.is_empty() {
                return Err(refuse(
                    "the model knows none of the labels' classes",
                    "compare `--column` with the column it was learnt from",
                ));
            }
            let truth = Truth::Classes {
                names: classes.iter().map(|c| c.name.clone()).collect(),
                codes: classes.iter().map(|c| c.code).collect(),
                of: kept.iter().filter_map(|i| known[of[*i] as usize]).collect(),
            };
            (labelled.x.select(&kept), truth)
        }
        _ => {
            return Err(refuse(
                "the labels are classes and the model gives values, or the other way round",
                "use `classify` with models of classes, `regress` with models of values",
            ));
        }
    };
    let outputs = model.learnt.outputs();
    let scores = model.learnt.scores(&x)?;
    let pooled = figures(&truth, &scores, outputs);
    let assessment = Assessment {
        folds: "labels given".into(),
        mean: match &pooled {
            Figures::Classes(m) => m.accuracy,
            Figures::Values(m) => m.r2,
        },
        per_fold: Vec::new(),
        interval: interval(&truth, &scores, outputs, None, model.fit.seed),
        calibration_error: match &truth {
            Truth::Classes { of, .. } => Some(calibration_error(of, &scores, outputs)),
            Truth::Values(_) => None,
        },
        pooled,
        skipped: Vec::new(),
    };
    Ok((assessment, notes))
}

fn figures(truth: &Truth, scores: &[f32], outputs: usize) -> Figures {
    match truth {
        Truth::Classes { of, names, .. } => {
            Figures::Classes(ClassMetrics::of(of, &Predictor::classes(scores, outputs), names))
        }
        Truth::Values(v) => {
            let predicted: Vec<f64> = scores.iter().map(|s| f64::from(*s)).collect();
            Figures::Values(ValueMetrics::of(v, &predicted))
        }
    }
}

#[allow(clippy::cast_precision_loss)]
fn interval(
    truth: &Truth,
    scores: &[f32],
    outputs: usize,
    units: Option<&[u32]>,
    seed: u64,
) -> Option<Interval95> {
    match truth {
        Truth::Classes { of, .. } => {
            let predicted = Predictor::classes(scores, outputs);
            let right: Vec<bool> = of.iter().zip(predicted).map(|(t, p)| *t == p).collect();
            bootstrap(right.len(), units, seed, |rows| {
                rows.iter().filter(|i| right[**i]).count() as f64 / rows.len() as f64
            })
        }
        Truth::Values(v) => bootstrap(v.len(), units, seed, |rows| {
            let pick = |f: &dyn Fn(usize) -> f64| rows.iter().map(|i| f(*i)).collect::<Vec<f64>>();
            ValueMetrics::of(&pick(&|i| v[i]), &pick(&|i| f64::from(scores[i]))).r2
        }),
    }
}

/// The two ways to make folds that are always shown: at random, and so that places stay together (groups where there are any, else blocks
/// of `block` metres, else regions).
///
/// # Errors
/// If the labels are too few; also if they lie too close together for spatial folds and `block` asks for them.
pub fn default_folds(labelled: &Labelled, folds: usize, block: Option<f64>, seed: u64) -> Result<Vec<Folds>> {
    let random = match &labelled.truth {
        Truth::Classes { of, .. } => Folds::stratified(of, folds, seed)?,
        Truth::Values(v) => Folds::random(v.len(), folds, seed)?,
    };
    let spatial = match (&labelled.groups, block) {
        (_, Some(metres)) => Some(Folds::blocks(&labelled.lon, &labelled.lat, metres, folds, seed)?),
        (Some((of, names)), None) if (2..=FEW_GROUPS).contains(&names.len()) => {
            Some(Folds::groups(of, names)?)
        }
        (Some((of, _)), None) => Folds::grouped(of, folds, seed).ok(),
        (None, None) => Folds::regions(&labelled.lon, &labelled.lat, folds, seed).ok(),
    };
    Ok([Some(random), spatial].into_iter().flatten().collect())
}

/// Learns from all labels, after cross-validation over [`default_folds`], whose figures and area of applicability the model keeps.
///
/// # Errors
/// As [`cross_validate`] and [`default_folds`].
pub fn study(
    fit: &Fit,
    labelled: &Labelled,
    column: &str,
    folds: usize,
    block: Option<f64>,
) -> Result<(Model, Vec<Assessment>)> {
    let mut model = Model::learn(fit, labelled, column)?;
    let folds = default_folds(labelled, folds, block, fit.seed)?;
    let all: Vec<Assessment> =
        folds.iter().map(|f| cross_validate(fit, labelled, f)).collect::<Result<_>>()?;
    // The last are the spatial ones, where there are any.
    model.applicability = folds.last().and_then(|f| Applicability::of(&labelled.x, &f.of, fit.seed));
    model.assessment = Some(serde_json::json!(all));
    Ok((model, all))
}
