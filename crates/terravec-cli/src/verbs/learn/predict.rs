//! `predict`: a region as a COG, or points as a table.

use terravec::{Extraction, SampleRequest, estimate, table};
use terravec_analysis::learn::{Model, Task};
use terravec_analysis::map::{Mapped, Outputs, predict, predictions};
use terravec_io::vector::write_table;

use super::super::estimate::settled;
use super::super::{Outcome, area, check_outputs, dataset, extract, output_of, sample, writable, years};
use super::say;
use crate::args::{Cli, Predict};
use crate::report::{Bar, Failure, print_json};

pub(super) fn run(cli: &Cli, args: &Predict, values: bool) -> Outcome {
    let model = Model::load(&args.model)?;
    if values != matches!(model.task, Task::Value(_)) {
        return Err(Failure::usage(
            format!("{} predicts {}", args.model.display(), if values { "classes" } else { "numbers" }),
            if values { "use `classify predict`" } else { "use `regress predict`" },
        ));
    }
    match &args.points {
        Some(points) => rows(cli, args, &model, points),
        None => region(cli, args, &model),
    }
}

fn region(cli: &Cli, args: &Predict, model: &Model) -> Outcome {
    let output = output_of(args.output.as_ref());
    let outputs = Outputs {
        map: Some(output),
        quality: args.quality.as_deref(),
        picture: args.picture.as_deref(),
        polygons: args.polygons.as_deref(),
        inside_only: args.inside_only,
    };
    let files = [Some(output), args.quality.as_deref(), args.picture.as_deref(), args.polygons.as_deref()];
    let checked = files.into_iter().filter(|_| !args.bound.dry_run);
    for (path, endings) in checked.zip([&["tif", "tiff"][..], &["tif", "tiff"], &["png"], &[]]) {
        let Some(path) = path else { continue };
        writable(path)?;
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
        if !endings.is_empty() && !endings.contains(&ending.as_str()) {
            return Err(Failure::usage(
                format!("{}: it would be a .{} file", path.display(), endings[0]),
                "name it so; --picture is for .png, --polygons for tables",
            ));
        }
    }
    if !args.bound.dry_run {
        outputs.check_absent(args.target.force)?;
    }
    let request = extract::request(&args.target, area(&args.place)?, false)?;
    let dataset = dataset(cli, &args.dataset.dataset, None)?;
    let plan = Extraction::plan(dataset.gridded()?, &request)?;
    model.check_vectors(&plan.provenance, &plan.band_names, args.allow_mix)?;
    if plan.periods.len() != 1 {
        let years: Vec<String> = plan.periods.iter().flatten().map(ToString::to_string).collect();
        return Err(Failure::usage(
            format!("there are vectors of several years: {}", years.join(", ")),
            "choose one with --year",
        ));
    }
    if settled(cli, &args.bound, || estimate::extract(&plan))? {
        return Ok(());
    }
    let bar = Bar::new("predicting", cli.quiet);
    let mapped = predict(model, &plan, 0, &outputs, &|done, all| bar.set(done, all))?;
    drop(bar);
    let files: Vec<_> = files.into_iter().flatten().collect();
    if cli.json() {
        let (grid, a) = (&plan.grid, plan.grid.affine);
        print_json(&serde_json::json!({
            "files": files,
            "grid": { "crs": grid.crs.to_string(), "transform": [a.a, a.b, a.c, a.d, a.e, a.f], "width": grid.width, "height": grid.height },
            "mapped": mapped,
            "model": model.summary(),
            "provenance": plan.provenance,
        }));
        return Ok(());
    }
    for file in files {
        println!("{}", file.display());
    }
    said(&mapped);
    extract::print_attribution(&plan.provenance);
    if mapped.valid_pixels == 0 {
        eprintln!("warning: no pixel there has a vector");
    }
    Ok(())
}

fn said(mapped: &Mapped) {
    println!("{} of {} pixels have a vector", mapped.valid_pixels, mapped.pixels);
    #[allow(clippy::cast_precision_loss)]
    let percent = |n: u64| 100.0 * n as f64 / mapped.valid_pixels.max(1) as f64;
    if let Some(n) = mapped.outside_applicability {
        println!(
            "{n} ({:.1} %) are unlike anything learnt from (outside the area of applicability)",
            percent(n)
        );
    }
    let width = mapped.classes.iter().map(|c| c.name.chars().count()).max().unwrap_or(0);
    for class in &mapped.classes {
        println!(
            "  {:>3} {:<width$} {:>8} {:>5.1} %",
            class.code,
            class.name,
            class.pixels,
            percent(class.pixels)
        );
    }
    if let Some(n) = mapped.polygons {
        println!("{n} polygons");
    }
}

fn rows(cli: &Cli, args: &Predict, model: &Model, points: &str) -> Outcome {
    let target = &args.target;
    let given = [
        (target.crs.is_some(), "--crs"),
        (target.resolution.is_some(), "--resolution"),
        (target.bands.is_some(), "--bands"),
    ];
    if let Some((_, flag)) = given.iter().find(|(given, _)| *given) {
        return Err(Failure::usage(format!("{flag} is for regions"), "leave it out with --points"));
    }
    let output = output_of(args.output.as_ref());
    check_outputs(&args.bound, [output], target.force)?;
    let dataset = dataset(cli, &args.dataset.dataset, None)?;
    let request = SampleRequest { years: years(target.year.as_deref())?, ..SampleRequest::default() };
    let points = sample::read_points(points)?;
    if settled(cli, &args.bound, || estimate::sample(&dataset, &points, &request))? {
        return Ok(());
    }
    let (sampled, tally) = dataset.sample(points, &request)?;
    say(tally.warning().as_slice());
    model.check_vectors(&sampled.provenance, &sampled.band_names, args.allow_mix)?;
    let nothing = dataset.why_nothing(&sampled);
    let provenance = sampled.provenance.clone();
    let valid = sampled.status.iter().filter(|s| **s == terravec::Status::Valid).count();
    let batch = predictions(model, &table::sampled(sampled)?)?;
    let all = batch.num_rows();
    let mut spec = table::spec(&provenance, Vec::new(), false);
    spec.metadata.retain(|(key, _)| key != "emb");
    spec.metadata.push(("terravec_model".to_string(), model.summary()));
    write_table(output, std::iter::once(batch), &spec)?;
    if cli.json() {
        print_json(&serde_json::json!({
            "output": output, "rows": all, "predicted": valid, "model": model.summary(), "provenance": provenance,
        }));
    } else {
        println!("{}: {valid} of {all} rows predicted", output.display());
        extract::print_attribution(&provenance);
    }
    if let Some(covered) = nothing {
        eprintln!("warning: no point has a vector. {covered}");
    }
    Ok(())
}
