//! `sample`: vectors at points.

use std::collections::BTreeMap;
use std::path::Path;

use terravec::patch::Near;
use terravec::{Area, SampleRequest, table};
use terravec_io::vector::{self, Points, write_table};

use super::estimate::settled;
use super::{Outcome, check_outputs, dataset, row_query};
use crate::args::{Cli, Sample};
use crate::report::{Failure, print_json};

/// Rows printed when no output is named.
pub(super) const PRINTED: usize = 20;

pub(crate) fn run(cli: &Cli, args: &Sample) -> Outcome {
    check_outputs(&args.bound, args.output.as_deref(), args.force)?;
    let (spec, points) = match (args.datasets.as_slice(), &args.points) {
        ([spec], Some(points)) => (spec, points),
        _ => return super::join::run(cli, args),
    };
    if args.inner {
        return Err(Failure::usage("--inner is for a join of several datasets", "leave it out"));
    }
    let dataset = dataset(cli, spec, args.month)?;
    let (points, request) = (read_points(points)?, request(args)?);
    if settled(cli, &args.bound, || terravec::estimate::sample(&dataset, &points, &request))? {
        return Ok(());
    }
    let (sampled, tally) = dataset.sample(points, &request)?;
    if let Some(warning) = tally.warning() {
        eprintln!("warning: {warning}");
    }
    let nothing = dataset.why_nothing(&sampled);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for s in &sampled.status {
        *counts.entry(s.name()).or_default() += 1;
    }
    let provenance = sampled.provenance.clone();
    let names = sampled.band_names.clone();
    let rows = sampled.status.len();
    let batch = table::sampled(sampled)?;
    if let Some(out) = &args.output {
        write_table(out, std::iter::once(batch), &table::spec(&provenance, names, false))?;
        if cli.json() {
            print_json(
                &serde_json::json!({ "output": out, "rows": rows, "status": counts, "provenance": provenance }),
            );
        } else {
            let counts: Vec<String> = counts.iter().map(|(s, n)| format!("{n} {s}")).collect();
            println!(
                "{}: {rows} rows ({}), {} numbers each",
                out.display(),
                counts.join(", "),
                provenance.dimension
            );
            attribution(&provenance);
        }
    } else if cli.json() {
        let records = vector::json_records(&batch)?;
        print_json(&serde_json::json!({ "rows": records, "status": counts, "provenance": provenance }));
    } else {
        print!("{}", vector::text_table(&batch.slice(0, rows.min(PRINTED)))?);
        if rows > PRINTED {
            println!("… {} more rows; name an output with -o", rows - PRINTED);
        }
        attribution(&provenance);
    }
    if let Some(covered) = nothing {
        eprintln!("warning: no point has a vector. {covered}");
    }
    Ok(())
}

fn attribution(provenance: &terravec::Provenance) {
    if let Some(text) = &provenance.attribution {
        println!("{text}");
    }
}

/// What is asked of each dataset.
pub(super) fn request(args: &Sample) -> Result<SampleRequest, Failure> {
    let query = row_query(&args.rows, Area::All, args.year.as_deref(), args.codes)?;
    if let Some(within) = args.within.filter(|w| w.is_nan() || *w < 0.0) {
        return Err(Failure::usage(format!("--within {within}: no distance"), "write metres, such as 5000"));
    }
    let near = |k: u32| Near::Nearest { count: k as usize, within: args.within };
    Ok(SampleRequest {
        years: query.years,
        codes: args.codes,
        near: args.nearest.map_or(Near::Containing, near),
        time: query.time,
        conditions: query.conditions,
        on_bad: query.on_bad,
    })
}

/// A file of points, or `LON,LAT`.
pub(super) fn read_points(text: &str) -> Result<Points, Failure> {
    if Path::new(text).exists() {
        let points = vector::read_points(Path::new(text))?;
        for warning in &points.warnings {
            eprintln!("warning: {warning}");
        }
        return Ok(points);
    }
    vector::parse_point(text).map_err(|e| {
        Failure::usage(format!("--points {text}: {e}"), "name a file that exists, or write LON,LAT")
    })
}
