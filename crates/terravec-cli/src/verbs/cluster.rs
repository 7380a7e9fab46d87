//! `cluster`: k-means on a sample, then labels everywhere.

use std::path::PathBuf;

use serde_json::json;
use terravec::{Dataset, Extraction, estimate};
use terravec_analysis::cluster::{Clusters, Labelled, Sample, Settings};
use terravec_analysis::rows::Stream;

use super::estimate::settled;
use super::look_at::{extent, read_text, save_text};
use super::{Outcome, check_outputs, dataset, row_query};
use crate::args::{Cli, Cluster};
use crate::report::{Bar, Failure, print_json};

pub(crate) fn run(cli: &Cli, args: &Cluster) -> Outcome {
    let outputs = args.output.iter().chain(&args.save).map(PathBuf::as_path);
    check_outputs(&args.bound, outputs, args.place.force)?;
    let dataset = dataset(cli, &args.dataset.dataset, None)?;
    let source = Source::open(args, &dataset)?;
    // A sample is drawn from all that is there, and then all of it labelled.
    let passes = u32::from(args.clusters.is_none()) + u32::from(args.output.is_some());
    if settled(cli, &args.bound, || Ok(source.estimate()?.times(passes)))? {
        return Ok(());
    }
    let bar = Bar::new("clustering", cli.quiet);
    let progress = |done, all| if all == 0 { bar.count(done as u64) } else { bar.set(done, all) };
    let clusters = if let Some(file) = &args.clusters {
        Clusters::from_json(&read_text(file)?)?
    } else {
        let mut stream = source.stream(&progress)?;
        let sample = Sample::draw(&mut stream, args.sample, args.seed)?;
        let unit = dataset.product().unit_length == Some(true);
        let settings = Settings {
            spherical: args.spherical || (unit && !args.euclidean),
            starts: args.starts,
            seed: args.seed,
            ..Settings::new(args.k.unwrap_or_default())
        };
        Clusters::fit(&sample, &settings, stream.provenance())?
    };
    let labelled = match (&args.output, &source) {
        (None, _) => None,
        (Some(path), Source::Pixels(plan)) => Some(clusters.map(plan, path, args.place.force, &progress)?),
        (Some(path), Source::Rows(..)) => {
            Some(clusters.table(source.stream(&progress)?, path, args.place.force)?)
        }
    };
    drop(bar);
    if let Some(file) = &args.save {
        save_text(file, &clusters.to_json())?;
    }
    say(cli, args, &clusters, labelled.as_ref());
    Ok(())
}

/// What is clustered.
enum Source<'a> {
    Rows(&'a terravec::PatchDataset, terravec::patch::PatchQuery),
    Pixels(Box<Extraction>),
}

impl<'a> Source<'a> {
    fn open(args: &Cluster, dataset: &'a Dataset) -> Result<Self, Failure> {
        let (area, request) = extent(&args.place)?;
        if let Dataset::Patch(patches) = dataset {
            return Ok(Self::Rows(
                patches,
                row_query(&args.rows, area, args.place.part.year.as_deref(), false)?,
            ));
        }
        super::extract::table_only(&args.rows)?;
        Ok(Self::Pixels(Box::new(Extraction::plan(dataset.gridded()?, &request)?)))
    }

    fn estimate(&self) -> terravec::Result<estimate::Estimate> {
        match self {
            Self::Rows(patches, query) => estimate::rows(patches, query),
            Self::Pixels(plan) => estimate::extract(plan),
        }
    }

    fn stream<'s>(&'s self, progress: terravec::sink::Progress<'s>) -> Result<Stream<'s>, Failure> {
        Ok(match self {
            Self::Rows(patches, query) => Stream::of_rows(patches.scan(query)?, progress),
            Self::Pixels(plan) => Stream::of_pixels(plan, progress)?,
        })
    }
}

fn say(cli: &Cli, args: &Cluster, clusters: &Clusters, labelled: Option<&Labelled>) {
    if cli.json() {
        print_json(&json!({
            "clusters": clusters.centres.len(), "spherical": clusters.spherical, "inertia": clusters.inertia,
            "iterations": clusters.iterations, "sample_rows": clusters.sample_rows, "sampled_from": clusters.sampled_from,
            "seed": clusters.seed, "output": args.output, "save": args.save, "labelled": labelled,
            "provenance": clusters.provenance,
        }));
        return;
    }
    println!(
        "{} clusters by {}, fitted on {} of {} vectors: inertia {:.4}",
        clusters.centres.len(),
        if clusters.spherical { "direction" } else { "distance" },
        clusters.sample_rows,
        clusters.sampled_from,
        clusters.inertia
    );
    if let (Some(labelled), Some(path)) = (labelled, &args.output) {
        let counts: Vec<String> = labelled.counts.iter().take(20).map(ToString::to_string).collect();
        let more = if labelled.counts.len() > 20 { ", …" } else { "" };
        println!(
            "{}: {}{more} in each; {} without a vector",
            path.display(),
            counts.join(", "),
            labelled.without_vector
        );
    }
    if let Some(text) = &clusters.provenance.attribution {
        println!("{text}");
    }
}
