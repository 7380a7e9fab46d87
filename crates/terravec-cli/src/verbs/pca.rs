//! `pca`: one basis for many pictures.

use std::path::PathBuf;

use serde_json::json;
use terravec::{Dataset, Extraction};
use terravec_analysis::cluster::Sample;
use terravec_analysis::pca::Projection;
use terravec_analysis::raster;
use terravec_analysis::rows::Stream;

use super::estimate::settled;
use super::look_at::{extent, read_text, save_text};
use super::{Outcome, check_outputs, dataset, row_query};
use crate::args::{Cli, Pca};
use crate::report::{Bar, Failure, print_json};

pub(crate) fn run(cli: &Cli, args: &Pca) -> Outcome {
    let outputs = args.output.iter().chain(&args.save).map(PathBuf::as_path);
    check_outputs(&args.bound, outputs, args.place.force)?;
    if let Some(path) = args.output.as_ref().filter(|_| !args.bound.dry_run) {
        raster::check(path, args.place.force)?;
    }
    let dataset = dataset(cli, &args.dataset.dataset, None)?;
    let (area, request) = extent(&args.place)?;
    if !matches!(dataset, Dataset::Patch(_)) {
        super::extract::table_only(&args.rows)?;
    }
    let query = row_query(&args.rows, area, args.place.part.year.as_deref(), false)?;
    // The basis is fitted on a sample of all that is there, and then all of it written.
    let passes = u32::from(args.basis.is_none()) + u32::from(args.output.is_some());
    let cost = || Ok(terravec::estimate::part(&dataset, &query, &request)?.times(passes));
    if settled(cli, &args.bound, cost)? {
        return Ok(());
    }
    let bar = Bar::new("reading", cli.quiet);
    let progress = |done, all| if all == 0 { bar.count(done as u64) } else { bar.set(done, all) };
    let saved = args
        .basis
        .as_deref()
        .map(|file| Ok::<_, Failure>(Projection::from_json(&read_text(file)?)?))
        .transpose()?;
    let fit = |mut stream: Stream<'_>| -> terravec::Result<Projection> {
        let sample = Sample::draw(&mut stream, args.sample, args.seed)?;
        Projection::fit(&sample, args.components, stream.provenance())
    };
    let basis = if let Dataset::Patch(patches) = &dataset {
        if args.output.is_some() {
            return Err(Failure::usage(
                "colours are for rasters, and the dataset is a table",
                "leave -o out, and keep the basis with --save",
            ));
        }
        match saved {
            Some(basis) => basis,
            None => fit(Stream::of_rows(patches.scan(&query)?, &progress))?,
        }
    } else {
        let plan = Extraction::plan(dataset.gridded()?, &request)?;
        let basis = match saved {
            Some(basis) => basis,
            None => fit(Stream::of_pixels(&plan, &progress)?)?,
        };
        if let Some(path) = &args.output {
            basis.write(&plan, path, args.place.force, args.scores, &progress)?;
        }
        basis
    };
    drop(bar);
    if let Some(file) = &args.save {
        save_text(file, &basis.to_json())?;
    }
    say(cli, args, &basis);
    Ok(())
}

fn say(cli: &Cli, args: &Pca, basis: &Projection) {
    let explained = basis.cumulative();
    if cli.json() {
        print_json(&json!({
            "components": basis.components.len(), "explained": explained, "variance": basis.variance,
            "total_variance": basis.total_variance, "stretch": basis.stretch, "sample_rows": basis.sample_rows,
            "sampled_from": basis.sampled_from, "seed": basis.seed, "output": args.output, "save": args.save,
            "provenance": basis.provenance,
        }));
        return;
    }
    println!(
        "{} components, fitted on {} of {} vectors, explain {:.1} % of the variance",
        basis.components.len(),
        basis.sample_rows,
        basis.sampled_from,
        100.0 * explained.last().copied().unwrap_or_default()
    );
    for path in args.output.iter().chain(&args.save) {
        println!("{}", path.display());
    }
    if let Some(text) = &basis.provenance.attribution {
        println!("{text}");
    }
}
