//! `extract` and `convert`: windows, polygons and whole datasets as files.

use std::path::Path;
use terravec::query::reduce::reduce;
use terravec::sink::{self, Written, check_absent};

use terravec::patch::PatchQuery;
use terravec::{Area, Dataset, Extraction, Gridded, PatchDataset, Request, estimate, table};
use terravec_geo::Crs;
use terravec_io::vector::write_table;

use super::estimate::settled;
use super::{Outcome, area, dataset, output_of, row_query, writable, years};
use crate::args::{Bound, Cli, Convert, Extract, Resampling, Rows, Target};
use crate::report::{Bar, Failure, print_json};

pub(crate) fn run(cli: &Cli, args: &Extract) -> Outcome {
    let output = output_of(args.output.as_ref());
    if !args.bound.dry_run {
        writable(output)?;
    }
    if !args.place.is_said() {
        return Err(Failure::usage(
            "where to extract is not said",
            "give --bbox W,S,E,N, --region FILE or --country NAME (`terravec convert` takes all)",
        ));
    }
    let mut area = area(&args.place)?;
    if let Area::Regions { mask, all_touched, .. } = &mut area {
        (*mask, *all_touched) = (!args.no_mask, args.all_touched);
    }
    let dataset = dataset(cli, &args.dataset.dataset, args.month)?;
    if let Dataset::Patch(patches) = &dataset {
        if args.no_mask || args.all_touched {
            return Err(Failure::usage(
                "--no-mask and --all-touched are for rasters, and the dataset is a table",
                "leave them out",
            ));
        }
        raster_only(&args.target, args.reduce.is_some())?;
        let query = row_query(&args.rows, area, args.target.year.as_deref(), args.codes)?;
        if settled(cli, &args.bound, || estimate::rows(patches, &query))? {
            return Ok(());
        }
        return write_rows(cli, patches, &query, output, args.target.force);
    }
    table_only(&args.rows)?;
    let request = request(&args.target, area, args.codes)?;
    if let (Some(how), Area::Regions { regions, .. }) = (args.reduce, &request.area) {
        let cost = || estimate::regions(&dataset.gridded()?, regions, args.all_touched, &request);
        if settled(cli, &args.bound, cost)? {
            return Ok(());
        }
        check_absent(output, args.target.force)?;
        let reduced = reduce(dataset.gridded()?, regions, args.all_touched, &request, how.into())?;
        let provenance = reduced.provenance.clone();
        let spec = table::spec(&provenance, reduced.band_names.clone(), false);
        let batch = table::reduced(reduced)?;
        let rows = batch.num_rows();
        write_table(output, std::iter::once(batch), &spec)?;
        if cli.json() {
            print_json(&serde_json::json!({ "files": [output], "rows": rows, "provenance": provenance }));
        } else {
            println!("{}: {rows} rows", output.display());
            print_attribution(&provenance);
        }
        return Ok(());
    }
    if of_grid(cli, &args.bound, &dataset, &request)? {
        return Ok(());
    }
    write(cli, dataset.gridded()?, &request, output, args.target.force)
}

/// Whether it was a dry run; plans only where that, or a limit, is asked for.
fn of_grid(cli: &Cli, bound: &Bound, dataset: &Dataset, request: &Request) -> Result<bool, Failure> {
    settled(cli, bound, || estimate::extract(&Extraction::plan(dataset.gridded()?, request)?))
}

/// Options that only rasters have.
fn raster_only(target: &Target, reduce: bool) -> Outcome {
    let given = [
        (target.crs.is_some(), "--crs"),
        (target.resolution.is_some(), "--resolution"),
        (target.bands.is_some(), "--bands"),
        (!matches!(target.resampling, Resampling::Nearest), "--resampling"),
        (reduce, "--reduce"),
    ];
    match given.iter().find(|(given, _)| *given) {
        Some((_, name)) => {
            Err(Failure::usage(format!("{name} is for rasters, and the dataset is a table"), "leave it out"))
        }
        None => Ok(()),
    }
}

/// Options that only tables have.
pub(super) fn table_only(rows: &Rows) -> Outcome {
    let given = [
        (rows.time.is_some(), "--time"),
        (!rows.conditions.is_empty(), "--where"),
        (rows.skip_bad, "--skip-bad"),
    ];
    match given.iter().find(|(given, _)| *given) {
        Some((_, name)) => {
            Err(Failure::usage(format!("{name} is for tables, and the dataset is none"), "leave it out"))
        }
        None => Ok(()),
    }
}

fn write_rows(cli: &Cli, dataset: &PatchDataset, query: &PatchQuery, output: &Path, force: bool) -> Outcome {
    let bar = Bar::new("reading rows", cli.quiet);
    let written = dataset.write(query, output, force, &|rows| bar.count(rows))?;
    drop(bar);
    if let Some(warning) = written.tally.warning() {
        eprintln!("warning: {warning}");
    }
    let tally = &written.tally;
    if cli.json() {
        print_json(&serde_json::json!({
            "files": [output],
            "rows": tally.rows,
            "tally": tally,
            "dimension": written.dimension,
            "provenance": written.provenance,
        }));
        return Ok(());
    }
    let mut notes = vec![format!("{} numbers each", written.dimension)];
    if tally.without_vector > 0 {
        notes.push(format!("{} without a vector", tally.without_vector));
    }
    if tally.duplicates > 0 {
        notes.push(format!("{} duplicates of overlapping files left out", tally.duplicates));
    }
    println!("{}: {} rows, {}", output.display(), tally.rows, notes.join(", "));
    print_attribution(&written.provenance);
    Ok(())
}

pub(crate) fn convert(cli: &Cli, args: &Convert) -> Outcome {
    let output = output_of(args.output.as_ref());
    if !args.bound.dry_run {
        writable(output)?;
    }
    let dataset = dataset(cli, &args.dataset.dataset, None)?;
    if let Dataset::Patch(patches) = &dataset {
        raster_only(&args.target, false)?;
        let mut query = row_query(&args.rows, Area::All, args.target.year.as_deref(), args.codes)?;
        query.keep_duplicates = args.keep_duplicates;
        if settled(cli, &args.bound, || estimate::rows(patches, &query))? {
            return Ok(());
        }
        return write_rows(cli, patches, &query, output, args.target.force);
    }
    table_only(&args.rows)?;
    let request = request(&args.target, Area::All, args.codes)?;
    if of_grid(cli, &args.bound, &dataset, &request)? {
        return Ok(());
    }
    write(cli, dataset.gridded()?, &request, output, args.target.force)
}

pub(super) fn request(target: &Target, area: Area, codes: bool) -> Result<Request, Failure> {
    let crs = target
        .crs
        .as_deref()
        .map(|text| {
            Crs::parse(text).map_err(|e| Failure::usage(format!("--crs {text}: {e}"), "write EPSG:n"))
        })
        .transpose()?;
    Ok(Request {
        area,
        years: years(target.year.as_deref())?,
        crs,
        resolution: target.resolution,
        resampling: match target.resampling {
            Resampling::Nearest => terravec::Resampling::Nearest,
            Resampling::Bilinear => terravec::Resampling::Bilinear,
            Resampling::Average => terravec::Resampling::Average,
        },
        codes,
        bands: target.bands.clone(),
    })
}

fn write(cli: &Cli, dataset: Gridded, request: &Request, output: &Path, force: bool) -> Outcome {
    let plan = Extraction::plan(dataset, request)?;
    let bar = Bar::new("extracting", cli.quiet);
    let written: Written = sink::write(&plan, output, force, &|done, all| bar.set(done, all))?;
    drop(bar);
    let grid = &plan.grid;
    if cli.json() {
        let a = grid.affine;
        print_json(&serde_json::json!({
            "files": written.files,
            "grid": { "crs": grid.crs.to_string(), "transform": [a.a, a.b, a.c, a.d, a.e, a.f], "width": grid.width, "height": grid.height },
            "years": plan.periods,
            "bands": plan.band_names,
            "pixels": written.pixels,
            "valid_pixels": written.valid_pixels,
            "provenance": plan.provenance,
        }));
    } else {
        for file in &written.files {
            println!("{}", file.display());
        }
        let (rx, ry) = grid.res();
        println!(
            "{} × {} pixels of {rx} × {ry}, {} bands, {}; {} of {} pixels have a vector",
            grid.width,
            grid.height,
            plan.band_names.len(),
            grid.crs,
            written.valid_pixels,
            written.pixels
        );
        print_attribution(&plan.provenance);
    }
    if written.valid_pixels == 0 {
        eprintln!("warning: no pixel there has a vector");
    }
    Ok(())
}

pub(super) fn print_attribution(provenance: &terravec::Provenance) {
    if let Some(text) = &provenance.attribution {
        println!("{text}");
    }
}
