//! `sample`: vectors at points.

use std::collections::BTreeMap;
use std::path::Path;

use terravec::sink::check_absent;
use terravec::{Status, sample, table};
use terravec_io::vector::{self, Points, TableSpec, write_table};

use super::{Dataset, Outcome, dataset, writable, years};
use crate::args::{Cli, Sample};
use crate::report::{Failure, print_json};

/// Rows printed when no output is named.
const PRINTED: usize = 20;

pub(crate) fn run(cli: &Cli, args: &Sample) -> Outcome {
    if let Some(out) = &args.output {
        check_absent(out, args.force)?;
        writable(out)?;
    }
    let points = read_points(&args.points)?;
    let years = years(args.year.as_deref())?;
    for warning in &points.warnings {
        eprintln!("warning: {warning}");
    }
    let (sampled, covered) = match dataset(cli, &args.dataset.dataset, args.month)? {
        Dataset::Location(_) if args.codes => {
            return Err(Failure::usage("a location encoder has no codes", "leave --codes out"));
        }
        Dataset::Location(encoder) => {
            (encoder.sample(points, &years)?, "Location encoders cover every place.".to_string())
        }
        Dataset::Raster(dataset) => {
            let sampled = sample(&dataset, points, &years, args.codes)?;
            let none = !sampled.status.contains(&Status::Valid);
            let covered = if none { dataset.covered_beside(&sampled.points) } else { String::new() };
            (sampled, covered)
        }
    };
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for s in &sampled.status {
        *counts.entry(s.name()).or_default() += 1;
    }
    let provenance = sampled.provenance.clone();
    let names = sampled.band_names.clone();
    let rows = sampled.status.len();
    let none = rows > 0 && !sampled.status.contains(&Status::Valid);
    let batch = table::sampled(sampled)?;
    if let Some(out) = &args.output {
        let spec = TableSpec {
            metadata: vec![(table::PROVENANCE_KEY.to_string(), provenance.to_json())],
            vector_names: names,
            ..TableSpec::default()
        };
        write_table(out, std::iter::once(batch), &spec)?;
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
    if none {
        eprintln!("warning: no point has a vector. {covered}");
    }
    Ok(())
}

fn attribution(provenance: &terravec::Provenance) {
    if let Some(text) = &provenance.attribution {
        println!("{text}");
    }
}

/// A file of points, or `LON,LAT`.
fn read_points(text: &str) -> Result<Points, Failure> {
    if Path::new(text).exists() {
        return Ok(vector::read_points(Path::new(text))?);
    }
    vector::parse_point(text).map_err(|e| {
        Failure::usage(format!("--points {text}: {e}"), "name a file that exists, or write LON,LAT")
    })
}
