//! `classify` and `regress`: learn, predict, assess.

mod area;
mod fit;
mod predict;
mod show;

use terravec::{Area, Dataset, Request, SampleRequest};
use terravec_analysis::learn::{self, LabelRequest, Labelled, Learner};
use terravec_io::vector;

use super::{Outcome, dataset, years};
use crate::args::{Classify, Cli, Labels, LearnerArgs, Regress};
use crate::report::Failure;

pub(crate) fn classify(cli: &Cli, verb: &Classify) -> Outcome {
    match verb {
        Classify::Fit(args) => fit::fit(cli, args, false),
        Classify::Predict(args) => predict::run(cli, args, false),
        Classify::Assess(args) => fit::assess(cli, args, false),
        Classify::Area(args) => area::run(cli, args),
    }
}

pub(crate) fn regress(cli: &Cli, verb: &Regress) -> Outcome {
    match verb {
        Regress::Fit(args) => fit::fit(cli, args, true),
        Regress::Predict(args) => predict::run(cli, args, true),
        Regress::Assess(args) => fit::assess(cli, args, true),
    }
}

/// How to learn, as the arguments say.
fn how(args: &LearnerArgs, values: bool) -> Result<learn::Fit, Failure> {
    let name = args.learner.as_deref().unwrap_or(if values { "ridge" } else { "logistic" });
    let mut learner = Learner::from_name(name).ok_or_else(|| {
        Failure::usage(
            format!("--learner {name}: there is none"),
            format!("one of {}", Learner::NAMES.join(", ")),
        )
    })?;
    let mut used: Vec<&str> = Vec::new();
    macro_rules! set {
        ($field:expr, $given:expr, $flag:literal) => {
            used.push($flag);
            if let Some(given) = $given.clone() {
                *$field = given;
            }
        };
    }
    let cosine = args.cosine.then_some(true);
    match &mut learner {
        Learner::Knn { k, cosine: c } => {
            set!(k, args.k, "-k");
            set!(c, cosine, "--cosine");
        }
        Learner::Logistic { c } => {
            set!(c, args.c, "-c");
        }
        Learner::Ridge { alpha } => {
            set!(alpha, args.alpha, "--alpha");
        }
        Learner::Centroid { cosine: c } => {
            set!(c, cosine, "--cosine");
        }
        Learner::Forest { trees, depth, min_leaf } => {
            set!(trees, args.trees, "--trees");
            set!(depth, args.depth.map(Some), "--depth");
            set!(min_leaf, args.min_leaf, "--min-leaf");
        }
        Learner::Boosting { rounds, rate, depth } => {
            set!(rounds, args.rounds, "--rounds");
            set!(rate, args.rate, "--rate");
            set!(depth, args.depth, "--depth");
        }
        Learner::Mlp { hidden, epochs } => {
            set!(hidden, args.hidden, "--hidden");
            set!(epochs, args.epochs, "--epochs");
        }
    }
    let given = [
        (args.k.is_some(), "-k"),
        (args.cosine, "--cosine"),
        (args.c.is_some(), "-c"),
        (args.alpha.is_some(), "--alpha"),
        (args.trees.is_some(), "--trees"),
        (args.depth.is_some(), "--depth"),
        (args.min_leaf.is_some(), "--min-leaf"),
        (args.rounds.is_some(), "--rounds"),
        (args.rate.is_some(), "--rate"),
        (args.hidden.is_some(), "--hidden"),
        (args.epochs.is_some(), "--epochs"),
    ];
    if let Some((_, flag)) = given.iter().find(|(given, flag)| *given && !used.contains(flag)) {
        return Err(Failure::usage(
            format!("{flag} is not for {name}"),
            "leave it out, or choose another --learner",
        ));
    }
    let mut fit = learn::Fit::new(learner);
    fit.standardise |= args.standardise;
    fit.balanced = args.balanced;
    fit.seed = args.seed;
    Ok(fit)
}

/// Labels with their vectors. What can't be used is said.
fn labelled(cli: &Cli, args: &Labels, seed: u64, values: bool) -> Result<Labelled, Failure> {
    let request = LabelRequest {
        column: args.column.clone(),
        values,
        group: args.group.clone(),
        per_class: args.per_class,
        per_polygon: Some(args.per_polygon),
        seed,
    };
    let dataset: Dataset = dataset(cli, &args.dataset.dataset, None)?;
    let years = years(args.year.as_deref())?;
    let labelled = match vector::read_points(&args.labels) {
        Ok(points) => {
            say(&points.warnings);
            let (sampled, tally) =
                dataset.sample(points, &SampleRequest { years, ..SampleRequest::default() })?;
            say(tally.warning().as_slice());
            Labelled::from_sampled(&sampled, &request)?
        }
        Err(no_points) => {
            // What the file says of its points is the better message, unless it has polygons.
            let Ok(regions) = vector::read_regions(&args.labels) else { return Err(no_points.into()) };
            say(&regions.warnings);
            let base = Request { area: Area::All, years, ..Request::default() };
            Labelled::from_regions(&dataset.gridded()?, &regions, &base, &request)?
        }
    };
    say(&labelled.notes);
    Ok(labelled)
}

fn say(notes: &[String]) {
    for note in notes {
        eprintln!("warning: {note}");
    }
}
