//! `index`: an index on disk, built and changed.

use std::collections::HashSet;
use std::path::Path;

use serde_json::json;
use terravec::{Dataset, Extraction, Request, estimate};
use terravec_analysis::index::{Build, Index, Source};
use terravec_analysis::rows::Stream;

use super::estimate::settled;
use super::search::metric;
use super::{Outcome, area, check_outputs, dataset, output_of, row_query, years};
use crate::args::{self, Cli, IndexBuild, Indexed};
use crate::report::{Bar, Failure, print_json};

pub(crate) fn run(cli: &Cli, verb: &args::Index) -> Outcome {
    match verb {
        args::Index::Build(args) => build(cli, args),
        args::Index::Add(args) => {
            let added = with_source(cli, &args.what, 1, |source| {
                Index::add(&args.index, source, megabytes(&args.what))
            })?;
            added.map_or(Ok(()), |added| say(cli, &args.index, "added", Some(added)))
        }
        args::Index::Delete(args) => {
            let ids: HashSet<String> = args.id.iter().cloned().collect();
            let gone = Index::delete(&args.index, &ids)?;
            say(cli, &args.index, "deleted", Some(gone))
        }
        args::Index::Compact(args) => {
            Index::compact(&args.index)?;
            say(cli, &args.index, "compacted", None)
        }
        args::Index::Info(args) => say(cli, &args.index, "", None),
    }
}

fn megabytes(what: &Indexed) -> usize {
    what.memory as usize * (1 << 20)
}

fn build(cli: &Cli, args: &IndexBuild) -> Outcome {
    let output = output_of(args.output.as_ref());
    check_outputs(&args.what.bound, [output], args.force)?;
    let how = Build {
        metric: metric(args.metric),
        lists: args.lists,
        memory: megabytes(&args.what),
        seed: args.seed,
    };
    // A sample is drawn first, then rows are put into lists.
    let built = with_source(cli, &args.what, 2, |source| Index::build(source, output, args.force, &how))?;
    built.map_or(Ok(()), |_| say(cli, output, "", None))
}

/// Runs `work`, which reads them so many times, on the rows that are to be indexed; not in a dry run.
fn with_source<T>(
    cli: &Cli,
    what: &Indexed,
    passes: u32,
    work: impl FnOnce(&Source<'_>) -> terravec::Result<T>,
) -> Result<Option<T>, Failure> {
    let dataset = dataset(cli, &what.dataset.dataset, None)?;
    let area = area(&what.part.place)?;
    let request =
        Request { area: area.clone(), years: years(what.part.year.as_deref())?, ..Request::default() };
    let query = row_query(&what.rows, area, what.part.year.as_deref(), false)?;
    if !matches!(dataset, Dataset::Patch(_)) {
        super::extract::table_only(&what.rows)?;
    }
    if settled(cli, &what.bound, || Ok(estimate::part(&dataset, &query, &request)?.times(passes)))? {
        return Ok(None);
    }
    let bar = Bar::new("indexing", cli.quiet);
    let progress = |done, all| if all == 0 { bar.count(done as u64) } else { bar.set(done, all) };
    if let Dataset::Patch(patches) = &dataset {
        let stream = || Ok(Stream::of_rows(patches.scan(&query)?, &progress));
        return Ok(Some(work(&Source { stream: &stream, id: patches.id_column()? })?));
    }
    let plan = Extraction::plan(dataset.gridded()?, &request)?;
    let stream = || Stream::of_pixels(&plan, &progress);
    Ok(Some(work(&Source { stream: &stream, id: None })?))
}

fn say(cli: &Cli, dir: &Path, what: &str, count: Option<u64>) -> Outcome {
    let index = Index::open(dir)?;
    let m = index.manifest();
    if cli.json() {
        print_json(&json!({
            "index": dir, "metric": m.metric, "dimension": m.dimension, "lists": m.lists, "probes": m.probes,
            "rows": m.rows, "deleted": m.deleted, "without_direction": m.without_direction, "recall": m.recall,
            "changed": count, "provenance": m.provenance,
        }));
        return Ok(());
    }
    if let Some(count) = count {
        println!("{count} rows {what}");
    }
    println!(
        "{}: {} rows of {} ({} numbers) in {} lists, by {}",
        dir.display(),
        m.rows - m.deleted,
        m.provenance.product,
        m.dimension,
        m.lists,
        m.metric
    );
    if let Some((recall, (probes, part))) = m.recall.as_ref().and_then(|r| Some((r, r.measured.last()?))) {
        println!(
            "recall@{} {part:.3}, measured with {} of its rows, where {probes} lists are looked at",
            recall.k, recall.queries
        );
    }
    if let Some(text) = &m.provenance.attribution {
        println!("{text}");
    }
    Ok(())
}
