//! `classify` and `regress`: learn, predict, assess.

mod area;
mod fit;
mod predict;
mod show;

use terravec::{Area, Dataset, Request, SampleRequest, estimate};
use terravec_analysis::learn::{self, LabelRequest, Labelled, Learner};
use terravec_io::vector;

use super::estimate::settled;
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
    let given = serde_json::json!({
        "k": args.k,
        "cosine": args.cosine.then_some(true),
        "c": args.c,
        "alpha": args.alpha,
        "trees": args.trees,
        "depth": args.depth,
        "min_leaf": args.min_leaf,
        "rounds": args.rounds,
        "rate": args.rate,
        "hidden": args.hidden,
        "epochs": args.epochs,
    });
    let mut given = given.as_object().cloned().unwrap_or_default();
    given.retain(|_, value| !value.is_null());
    let learner = Learner::with(name, &given)
        .map_err(|e| Failure::usage(format!("--learner: {e}"), e.help().unwrap_or_default()))?;
    let mut fit = learn::Fit::new(learner);
    fit.standardise = args.standardise;
    fit.balanced = args.balanced;
    fit.seed = args.seed;
    Ok(fit)
}

/// Labels with their vectors, `None` in a dry run. What can't be used is said.
fn labelled(cli: &Cli, args: &Labels, seed: u64, values: bool) -> Result<Option<Labelled>, Failure> {
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
            let request_points = SampleRequest { years, ..SampleRequest::default() };
            if settled(cli, &args.bound, || estimate::sample(&dataset, &points, &request_points))? {
                return Ok(None);
            }
            let (sampled, tally) = dataset.sample(points, &request_points)?;
            say(tally.warning().as_slice());
            Labelled::from_sampled(&sampled, &request)?
        }
        Err(no_points) => {
            // What the file says of its points is the better message, unless it has polygons.
            let Ok(regions) = vector::read_regions(&args.labels) else { return Err(no_points.into()) };
            say(&regions.warnings);
            let base = Request { area: Area::All, years, ..Request::default() };
            let cost = || estimate::regions(&dataset.gridded()?, &regions, false, &base);
            if settled(cli, &args.bound, cost)? {
                return Ok(None);
            }
            Labelled::from_regions(&dataset.gridded()?, &regions, &base, &request)?
        }
    };
    say(&labelled.notes);
    Ok(Some(labelled))
}

fn say(notes: &[String]) {
    for note in notes {
        eprintln!("warning: {note}");
    }
}
