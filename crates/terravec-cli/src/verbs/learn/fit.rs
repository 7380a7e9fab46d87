//! `fit` and `assess`.

use std::path::Path;

use terravec_analysis::assess::{Assessment, FewShot, cross_validate, default_folds, few_shot, score, study};
use terravec_analysis::learn::{self, Labelled, Model};

use super::super::{Outcome, check_outputs, output_of};
use super::{how, labelled, say, show};
use crate::args::{Assess, Cli, Fit};
use crate::report::{Failure, print_json};

pub(super) fn fit(cli: &Cli, args: &Fit, values: bool) -> Outcome {
    let output = output_of(args.output.as_ref());
    check_outputs(&args.labels.bound, [output], args.force)?;
    let fit = how(&args.learner, values)?;
    let colours = args.colours.as_deref().map(read_colours).transpose()?;
    let Some(labelled) = labelled(cli, &args.labels, args.learner.seed, values)? else { return Ok(()) };
    let column = &args.labels.column;
    let (mut model, assessments) = if args.no_assess {
        (Model::learn(&fit, &labelled, column)?, Vec::new())
    } else {
        study(&fit, &labelled, column, usize::from(args.labels.folds), args.labels.block)?
    };
    if let Some(colours) = colours {
        model.paint(&colours)?;
    }
    model.save(output, args.force)?;
    if cli.json() {
        print_json(&serde_json::json!({
            "output": output,
            "model": model.summary(),
            "training": model.training,
            "notes": labelled.notes,
            "assessments": assessments,
            "applicability_threshold": model.applicability.as_ref().map(|a| a.threshold),
            "vectors": model.vectors,
        }));
        return Ok(());
    }
    println!("{}: {}", output.display(), model.summary());
    show::assessments(&assessments);
    super::super::extract::print_attribution(&labelled.provenance);
    Ok(())
}

pub(super) fn assess(cli: &Cli, args: &Assess, values: bool) -> Outcome {
    let fit = how(&args.learner, values)?;
    let model = args.model.as_deref().map(Model::load).transpose()?;
    let Some(labelled) = labelled(cli, &args.labels, args.learner.seed, values)? else { return Ok(()) };
    let (assessments, notes) = match &model {
        Some(model) => {
            model.check_vectors(&labelled.provenance, labelled.x.names(), args.allow_mix)?;
            let (assessment, notes) = score(model, &labelled)?;
            (vec![assessment], notes)
        }
        None => (every(&fit, &labelled, args)?, Vec::new()),
    };
    say(&notes);
    let few: Vec<FewShot> = match &model {
        None => {
            args.few.iter().map(|n| few_shot(&fit, &labelled, *n, args.trials)).collect::<Result<_, _>>()?
        }
        Some(_) if !args.few.is_empty() => {
            return Err(Failure::usage("--few learns anew, and --model is learnt", "give one of them"));
        }
        Some(_) => Vec::new(),
    };
    if cli.json() {
        print_json(&serde_json::json!({
            "rows": labelled.rows(),
            "dropped": labelled.dropped,
            "notes": labelled.notes.iter().chain(&notes).collect::<Vec<_>>(),
            "assessments": assessments,
            "few_shot": few,
        }));
        return Ok(());
    }
    show::assessments(&assessments);
    show::few(&few);
    Ok(())
}

fn every(fit: &learn::Fit, labelled: &Labelled, args: &Assess) -> Result<Vec<Assessment>, Failure> {
    let folds = default_folds(labelled, usize::from(args.labels.folds), args.labels.block, fit.seed)?;
    Ok(folds.iter().map(|f| cross_validate(fit, labelled, f)).collect::<Result<_, _>>()?)
}

/// Colours by class, as `#rrggbb`.
fn read_colours(path: &Path) -> Result<Vec<(String, [u8; 3])>, Failure> {
    let bad = |what: String| {
        Failure::usage(format!("{}: {what}", path.display()), "write {\"water\": \"#419bdf\", …}")
    };
    let text = std::fs::read_to_string(path).map_err(|e| bad(e.to_string()))?;
    let map: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
    map.into_iter()
        .map(|(class, colour)| {
            let hex = colour.as_str().and_then(|c| c.strip_prefix('#')).filter(|h| h.len() == 6);
            let number = hex.and_then(|h| u32::from_str_radix(h, 16).ok());
            let number = number.ok_or_else(|| bad(format!("{colour} is no colour")))?;
            let [_, r, g, b] = number.to_be_bytes();
            Ok((class, [r, g, b]))
        })
        .collect()
}
