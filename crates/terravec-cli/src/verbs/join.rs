//! `sample` of several datasets, or at patches: one row per place, each product in columns of its own.

use std::collections::BTreeMap;
use std::path::Path;

use terravec::location::TimeNeed;
use terravec::query::join::Part;
use terravec::{
    Area, Dataset, JoinRequest, Joined, SampleRequest, Status, estimate, join_patches, join_points, table,
};
use terravec_io::vector::{self, write_table};

use super::estimate::settled_each;
use super::sample::{PRINTED, read_points, request};
use super::{Outcome, bbox, dataset, row_query};
use crate::args::{Cli, Sample};
use crate::report::{Failure, print_json};

pub(crate) fn run(cli: &Cli, args: &Sample) -> Outcome {
    let datasets = open_all(cli, args)?;
    let asked = JoinRequest {
        sample: request(args)?,
        inner: args.inner,
        reduce: args.reduce.map(Into::into),
        all_touched: false,
    };
    let joined = match (&args.points, &args.patches) {
        (Some(points), _) => {
            let points = read_points(points)?;
            let each = || estimate::at_points(&datasets, &points, &asked);
            if settled_each(cli, &args.bound, &args.datasets, each)? {
                return Ok(());
            }
            join_points(&datasets, points, &asked)?
        }
        (None, Some(spec)) => match at_patches(cli, args, spec, &datasets, &asked)? {
            Some(joined) => joined,
            None => return Ok(()),
        },
        (None, None) => unreachable!("clap asks for one of them"),
    };
    if let Some(warning) = joined.tally.warning() {
        eprintln!("warning: {warning}");
    }
    write(cli, args.output.as_deref(), joined)
}

fn open_all(cli: &Cli, args: &Sample) -> Result<Vec<Dataset>, Failure> {
    let datasets: Vec<Dataset> =
        args.datasets.iter().map(|spec| dataset(cli, spec, None)).collect::<Result<_, _>>()?;
    let seasonal = |d: &Dataset| matches!(d, Dataset::Location(e) if e.time() == TimeNeed::Month);
    if args.month.is_some() && !datasets.iter().any(seasonal) {
        return Err(Failure::usage("--month is for location encoders of the seasons", "leave it out"));
    }
    let at_month = |d: Dataset| if seasonal(&d) { d.at_month(args.month) } else { Ok(d) };
    Ok(datasets.into_iter().map(at_month).collect::<terravec::Result<_>>()?)
}

fn at_patches(
    cli: &Cli,
    args: &Sample,
    spec: &str,
    datasets: &[Dataset],
    asked: &JoinRequest,
) -> Result<Option<Joined>, Failure> {
    let Dataset::Patch(patches) = dataset(cli, spec, None)? else {
        return Err(Failure::usage(
            format!("--patches {spec}: it is no table of patches"),
            "name a patch product, and others to join it with",
        ));
    };
    let area = bbox(args.bbox.as_deref())?.map_or(Area::All, Area::Box);
    let mut query = row_query(&args.rows, area, None, args.codes)?;
    if patches.is_dated()? {
        query.years = asked.sample.years.clone();
    }
    // Years, times and conditions choose patches; the other tables answer at their centres, in the years asked for.
    let others = SampleRequest {
        years: asked.sample.years.clone(),
        codes: args.codes,
        near: asked.sample.near,
        on_bad: asked.sample.on_bad,
        ..SampleRequest::default()
    };
    let asked = JoinRequest { sample: others, ..asked.clone() };
    let names: Vec<String> = std::iter::once(spec.to_owned()).chain(args.datasets.iter().cloned()).collect();
    let each = || estimate::at_patches(datasets, &patches, &query, &asked);
    if settled_each(cli, &args.bound, &names, each)? {
        return Ok(None);
    }
    Ok(Some(join_patches(datasets, patches.footprints(&query)?, &asked)?))
}

fn counts(part: &Part) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for s in &part.status {
        *counts.entry(s.name()).or_default() += 1;
    }
    counts
}

fn write(cli: &Cli, output: Option<&Path>, joined: Joined) -> Outcome {
    let rows = joined.rows();
    let provenances: Vec<terravec::Provenance> = joined.parts.iter().map(|p| p.provenance.clone()).collect();
    let names: Vec<String> = joined.parts.iter().map(|p| p.name.clone()).collect();
    let statuses: Vec<BTreeMap<&str, usize>> = joined.parts.iter().map(counts).collect();
    let nothing: Vec<String> = joined
        .parts
        .iter()
        .filter(|p| rows > 0 && !p.status.contains(&Status::Valid))
        .map(|p| p.name.clone())
        .collect();
    let batch = table::joined(joined)?;
    let by_product: serde_json::Map<String, serde_json::Value> =
        names.iter().zip(&statuses).map(|(n, s)| (n.clone(), serde_json::json!(s))).collect();
    if let Some(out) = output {
        let spec = table::joined_spec(&provenances.iter().collect::<Vec<_>>());
        write_table(out, std::iter::once(batch), &spec)?;
        if cli.json() {
            print_json(&serde_json::json!({
                "output": out, "rows": rows, "status": by_product, "provenance": provenances,
            }));
        } else {
            println!("{}: {rows} rows", out.display());
            for (name, (counts, provenance)) in names.iter().zip(statuses.iter().zip(&provenances)) {
                let counts: Vec<String> = counts.iter().map(|(s, n)| format!("{n} {s}")).collect();
                println!("  {name}: {}, {} numbers each", counts.join(", "), provenance.dimension);
            }
        }
    } else if cli.json() {
        let records = vector::json_records(&batch)?;
        print_json(&serde_json::json!({ "rows": records, "status": by_product, "provenance": provenances }));
    } else {
        print!("{}", vector::text_table(&batch.slice(0, rows.min(PRINTED)))?);
        if rows > PRINTED {
            println!("… {} more rows; name an output with -o", rows - PRINTED);
        }
    }
    if !cli.json() {
        for text in provenances.iter().filter_map(|p| p.attribution.as_ref()) {
            println!("{text}");
        }
    }
    for name in nothing {
        eprintln!("warning: {name} has no vector at any of these places");
    }
    Ok(())
}
