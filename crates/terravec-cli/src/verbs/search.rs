//! `search`: what is similar.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use serde_json::json;
use terravec::{Dataset, Provenance, read_vectors, table};
use terravec_analysis::index::Index;
use terravec_analysis::raster;
use terravec_analysis::rows::Stream;
use terravec_analysis::search::{Answer, Ask, Combine, Like, Metric};
use terravec_geo::Crs;
use terravec_io::vector::{self, write_table};

use super::estimate::settled;
use super::sample::{PRINTED, read_points};
use super::{Outcome, area, bbox, check_outputs, dataset, row_query, years};
use crate::args::{self, Cli, Search};
use crate::report::{Bar, Failure, print_json};

pub(crate) fn run(cli: &Cli, args: &Search) -> Outcome {
    let outputs = args.output.iter().chain(&args.map).map(PathBuf::as_path);
    check_outputs(&args.bound, outputs, args.force)?;
    if let Some(path) = args.map.as_ref().filter(|_| !args.bound.dry_run) {
        raster::check(path, args.force)?;
    }
    let dataset = dataset(cli, &args.dataset.dataset, None)?;
    let ask = ask(cli, args, &dataset)?;
    let cost = || match &args.index {
        // The index is here; only examples come from the dataset.
        Some(_) => ask.estimate_question(&dataset),
        None => ask.estimate(&dataset, args.map.is_some()),
    };
    if settled(cli, &args.bound, cost)? {
        return Ok(());
    }
    let bar = Bar::new("searching", cli.quiet);
    let progress = |done, all| if all == 0 { bar.count(done as u64) } else { bar.set(done, all) };
    let answer = match &args.index {
        Some(dir) => Index::open(dir)?.ask(&ask, &dataset, args.probes)?,
        None => ask.run(&dataset, &progress)?,
    };
    let mapped = args.map.as_deref().map(|map| ask.map(&dataset, map, args.force, &progress)).transpose()?;
    drop(bar);
    say(cli, args, &answer, mapped)
}

fn ask(cli: &Cli, args: &Search, dataset: &Dataset) -> Result<Ask, Failure> {
    let mut positive = Vec::new();
    for text in args.like.iter().chain(&args.positive) {
        positive.push(Like::Places(read_points(text)?));
    }
    positive.extend(args.id.iter().map(|id| Like::Id(id.clone())));
    for text in &args.vector {
        positive.push(Like::Vectors(vectors(cli, text, dataset)?));
    }
    positive.extend(bbox(args.mean_of.as_deref())?.map(Like::Mean));
    let negative = args
        .negative
        .iter()
        .map(|text| Ok(Like::Places(read_points(text)?)))
        .collect::<Result<_, Failure>>()?;
    let area = area(&args.part.place)?;
    Ok(Ask {
        positive,
        negative,
        combine: match args.by {
            args::Combine::Mean => Combine::Mean,
            args::Combine::Max => Combine::Max,
            args::Combine::Probe => Combine::Probe,
        },
        metric: metric(args.metric),
        rows: row_query(&args.rows, area, args.part.year.as_deref(), false)?,
        example_years: args.like_year.as_deref().map(|y| years(Some(y))).transpose()?,
        crs: crs(args.crs.as_deref())?,
        resolution: args.resolution,
        k: args.k,
        exclude: args.exclude_self,
        vectors: args.vectors,
    })
}

pub(super) fn metric(metric: args::Metric) -> Metric {
    match metric {
        args::Metric::Cosine => Metric::Cosine,
        args::Metric::Dot => Metric::Dot,
        args::Metric::L2 => Metric::L2,
    }
}

/// A CRS by its name.
pub(super) fn crs(text: Option<&str>) -> Result<Option<Crs>, Failure> {
    let parse =
        |t: &str| Crs::parse(t).map_err(|e| Failure::usage(format!("--crs {t}: {e}"), "write EPSG:n"));
    text.map(parse).transpose()
}

/// Vectors from numbers, an array, or a table of the same product.
fn vectors(cli: &Cli, text: &str, dataset: &Dataset) -> Result<Vec<Vec<f32>>, Failure> {
    let is_table = ["parquet", "geoparquet", "gpq", "csv"]
        .iter()
        .any(|e| Path::new(text).extension().is_some_and(|own| own.eq_ignore_ascii_case(e)));
    if !is_table {
        return Ok(read_vectors(text)?);
    }
    let Dataset::Patch(patches) = super::dataset(cli, text, None)? else {
        return Err(Failure::usage(
            format!("--vector {text}: no table of vectors"),
            "give a table, or numbers",
        ));
    };
    let other = &patches.product().id;
    if other != "table" && *other != dataset.product().id {
        return Err(Failure::usage(
            format!(
                "--vector {text}: vectors of {other} can't be compared with those of {}",
                dataset.product().id
            ),
            "take them from the same product",
        ));
    }
    let mut stream = Stream::of_rows(patches.scan(&terravec::patch::PatchQuery::default())?, &|_, _| ());
    let mut out = Vec::new();
    while let Some(block) = stream.step()? {
        out.extend((0..block.rows()).map(|row| block.vector(row).to_vec()));
    }
    Ok(out)
}

fn say(cli: &Cli, args: &Search, answer: &Answer, mapped: Option<u64>) -> Outcome {
    for note in &answer.notes {
        eprintln!("note: {note}");
    }
    let counts = json!({
        "searched": answer.searched,
        "without_vector": answer.without_vector,
        "without_score": answer.without_score,
        "notes": answer.notes,
        "map": args.map,
        "map_pixels": mapped,
        "provenance": answer.provenance,
    });
    let summary = format!(
        "{} of {} vectors compared{}",
        answer.table.num_rows(),
        answer.searched,
        match answer.without_vector {
            0 => String::new(),
            n => format!(", {n} places have none"),
        }
    );
    let names = (0..answer.provenance.dimension).map(|i| format!("e{i}")).collect();
    put(cli, &answer.table, args.output.as_deref(), &answer.provenance, names, counts, &summary)?;
    if let (false, Some(map)) = (cli.json(), &args.map) {
        println!("{}: {} pixels", map.display(), mapped.unwrap_or_default());
    }
    Ok(())
}

/// A table of results: into a file, as JSON, or printed.
pub(super) fn put(
    cli: &Cli,
    batch: &RecordBatch,
    output: Option<&Path>,
    provenance: &Provenance,
    names: Vec<String>,
    mut counts: serde_json::Value,
    summary: &str,
) -> Outcome {
    if let Some(out) = output {
        write_table(out, std::iter::once(batch.clone()), &table::spec(provenance, names, false))?;
        if cli.json() {
            counts["output"] = json!(out);
            counts["results"] = json!(batch.num_rows());
            print_json(&counts);
            return Ok(());
        }
        println!("{}: {summary}", out.display());
    } else if cli.json() {
        counts["rows"] = vector::json_records(batch)?;
        print_json(&counts);
        return Ok(());
    } else {
        let shown: Vec<usize> = batch
            .schema()
            .fields()
            .iter()
            .enumerate()
            .filter(|(_, f)| !["x", "y", "product", "link"].contains(&f.name().as_str()))
            .map(|(i, _)| i)
            .collect();
        print!("{}", vector::text_table(&batch.project(&shown)?.slice(0, batch.num_rows().min(PRINTED)))?);
        if batch.num_rows() > PRINTED {
            println!("… {} more rows; name an output with -o", batch.num_rows() - PRINTED);
        }
        println!("{summary}");
    }
    if let Some(text) = &provenance.attribution {
        println!("{text}");
    }
    Ok(())
}
