//! `products`, `info`, `coverage`: what there is.

use std::collections::BTreeMap;

use serde_json::json;
use terravec::catalog::{Filter, WeightsRole, render};
use terravec::dataset::Summary;
use terravec::patch::PatchSummary;
use terravec::sink::check_absent;
use terravec::{Area, Dataset, LocationDataset, PatchDataset, Years};

use super::{Outcome, area, catalog, dataset, years};
use crate::args::{self, Cli, Coverage, Products};
use crate::report::{Failure, print_json};

pub(crate) fn products(cli: &Cli, args: &Products) -> Outcome {
    let catalog = catalog(cli)?;
    if let Some(id) = &args.id {
        let product = catalog.get(id)?;
        if cli.json() {
            print_json(&*product);
        } else {
            print!("{}", render::page(&product));
        }
        return Ok(());
    }
    let kind = args
        .kind
        .as_deref()
        .map(|k| {
            k.parse()
                .map_err(|e| Failure::usage(format!("--kind {k}: {e}"), "pixel, patch, location or region"))
        })
        .transpose()?;
    let filter = Filter { kind, year: args.year, licence: args.licence.clone(), host: args.host.clone() };
    let found = catalog.filter(&filter);
    if cli.json() {
        print_json(&found);
    } else if found.is_empty() {
        println!("no product matches");
    } else {
        print!("{}", render::table(&found));
    }
    Ok(())
}

pub(crate) fn info(cli: &Cli, args: &args::Dataset) -> Outcome {
    match dataset(cli, &args.dataset, None)? {
        Dataset::Raster(d) => raster_info(cli, &d.summary()?),
        Dataset::Patch(d) => table_info(cli, &d.summary()?),
        Dataset::Location(d) => {
            info_location(cli, &d)?;
        }
    }
    Ok(())
}

fn line(name: &str, text: &str) {
    println!("{name:<12} {text}");
}

fn notes(licence: Option<&String>, attribution: Option<&String>, notes: &[String]) {
    if let Some(l) = licence {
        line("licence", l);
    }
    if let Some(a) = attribution {
        line("attribution", a);
    }
    for note in notes {
        line("note", note);
    }
}

/// `2023: 4, 2024: 5` in brackets, of files whose year is known.
fn per_year(years: &BTreeMap<String, usize>) -> String {
    let years: Vec<String> =
        years.iter().filter(|(y, _)| !y.is_empty()).map(|(y, n)| format!("{y}: {n}")).collect();
    if years.is_empty() { String::new() } else { format!(" ({})", years.join(", ")) }
}

fn table_info(cli: &Cli, summary: &PatchSummary) {
    if cli.json() {
        print_json(summary);
        return;
    }
    let version = summary.version.as_ref().map_or(String::new(), |v| format!("@{v}"));
    line("product", &format!("{}{version} ({})", summary.product, summary.name));
    line("root", &summary.root);
    line("files", &format!("{}{}", summary.files, per_year(&summary.years)));
    let rows = summary.rows.map_or("not told by the files".to_owned(), |n| n.to_string());
    line("rows", &format!("{rows} ({} row groups in the first file)", summary.row_groups));
    let unit = if summary.unit_length == Some(true) { ", unit length" } else { "" };
    let length = summary.dimension.map_or("? numbers".to_owned(), |d| format!("{d} numbers"));
    match summary.decodes {
        true => line("vectors", &format!("{length}{unit}: {}", summary.decode)),
        false => line("vectors", &format!("none: {}", summary.decode)),
    }
    line("stored", &format!("`{}`: {}", summary.vector, summary.stored));
    line("places", &format!("`{}`, {}", summary.places, summary.crs));
    line("time", &summary.time);
    let columns: Vec<&str> = summary.columns.iter().map(|(n, _)| n.as_str()).collect();
    line(
        "columns",
        &match columns.as_slice() {
            many if many.len() > 20 => format!("{}, … ({} in all)", many[..20].join(", "), many.len()),
            few => few.join(", "),
        },
    );
    if !summary.partitions.is_empty() {
        line("folders", &summary.partitions.join(", "));
    }
    match &summary.bbox {
        Some(b) => line("bbox", &format!("{:.6},{:.6},{:.6},{:.6}", b[0], b[1], b[2], b[3])),
        None => line("bbox", "not told by the files"),
    }
    notes(summary.licence.as_ref(), summary.attribution.as_ref(), &summary.notes);
}

fn raster_info(cli: &Cli, summary: &Summary) {
    if cli.json() {
        print_json(summary);
        return;
    }
    line("product", &format!("{} ({})", summary.product, summary.name));
    line("root", &summary.root);
    line("tiles", &format!("{}{}", summary.tiles, per_year(&summary.years)));
    let nodata = summary.nodata.map_or(String::new(), |v| format!(", nodata {v}"));
    line("stored", &format!("{} bands of {}{nodata}", summary.stored_bands, summary.dtype));
    line(
        "bands",
        &match summary.bands.as_slice() {
            [first, .., last] => format!("{first} … {last}"),
            few => few.join(", "),
        },
    );
    let unit = if summary.unit_length == Some(true) { ", unit length" } else { "" };
    match summary.dimension {
        Some(d) => line("vectors", &format!("{d} numbers{unit}: {}", summary.decode)),
        None => line("vectors", &format!("none: {}", summary.decode)),
    }
    let crs = match summary.crs.as_slice() {
        many if many.len() > 6 => format!("{}, … ({} in all)", many[..6].join(", "), many.len()),
        few => few.join(", "),
    };
    line("crs", &crs);
    line("resolution", &format!("{} × {}", summary.resolution.0, summary.resolution.1));
    if let Some(g) = &summary.grid {
        let a = g.transform;
        line("grid", &format!("{} × {} pixels, upper left corner {}, {}", g.width, g.height, a[2], a[5]));
    }
    let b = summary.bbox;
    line("bbox", &format!("{:.6},{:.6},{:.6},{:.6}", b[0], b[1], b[2], b[3]));
    line("layout", &summary.layout);
    notes(summary.licence.as_ref(), summary.attribution.as_ref(), &summary.notes);
}

fn info_location(cli: &Cli, encoder: &LocationDataset) -> Outcome {
    let summary = encoder.summary()?;
    if cli.json() {
        print_json(&summary);
        return Ok(());
    }
    let version = summary.version.as_ref().map_or(String::new(), |v| format!("@{v}"));
    line("product", &format!("{}{version} ({})", summary.product, summary.name));
    let unit = if summary.unit_length == Some(true) { ", unit length" } else { "" };
    line("vectors", &format!("{} numbers{unit}, for every place on Earth", summary.dimension));
    line("inputs", &summary.inputs.join(", "));
    let parameters = format!("{} parameters, in {}", summary.parameters, summary.precision);
    line("network", &format!("{}: {parameters}", summary.architecture));
    for file in &summary.weights {
        let published = match file.published {
            Some(true) => ", as published",
            Some(false) => ", not the published file",
            None => "",
        };
        let role = match file.role {
            WeightsRole::Network => "weights",
            WeightsRole::Database => "database",
        };
        line(role, &format!("{} ({} bytes{published})", file.path.display(), file.bytes));
        line("sha256", &file.sha256);
    }
    line("licence", summary.licence.as_deref().unwrap_or("unknown"));
    if let Some(a) = &summary.attribution {
        line("attribution", a);
    }
    Ok(())
}

/// An encoder has no tiles: it is there everywhere, and knows all years or none.
fn coverage_location(cli: &Cli, encoder: &LocationDataset) -> Outcome {
    let summary = encoder.summary()?;
    let (product, bbox, time) = (&summary.product, summary.bbox, &summary.time);
    if cli.json() {
        print_json(&json!({ "product": product, "bbox": bbox, "time": time, "tiles": [] }));
        return Ok(());
    }
    let time = match time.as_str() {
        "none" => "its vectors do not change with time".to_owned(),
        other => format!("one vector per {other}, which must be given"),
    };
    println!("{product} covers every place on Earth; {time}");
    Ok(())
}

pub(crate) fn coverage(cli: &Cli, args: &Coverage) -> Outcome {
    let dataset = dataset(cli, &args.dataset.dataset, None)?;
    let (area, years) = (area(&args.part.place)?, years(args.part.year.as_deref())?);
    if let Some(out) = &args.output {
        let covered = || Ok(terravec::coverage::coverage(&dataset, &area, &years)?);
        return coverage_file(cli, covered, args.force, out);
    }
    let dataset = match &dataset {
        Dataset::Raster(d) => d,
        Dataset::Location(d) => return coverage_location(cli, d),
        Dataset::Patch(d) => return coverage_table(cli, d, &area, &years),
    };
    let found = terravec::coverage::coverage(&Dataset::Raster(dataset.clone()), &area, &years)?;
    let (rows, reasons) = (&found.files, &found.reasons);
    if cli.json() {
        let root = dataset.root().to_string();
        print_json(
            &json!({ "product": dataset.product().id, "root": root, "tiles": rows, "reasons": reasons }),
        );
        return Ok(());
    }
    if rows.is_empty() {
        println!("no tile there");
        reasons.iter().for_each(|r| println!("  {r}"));
    }
    for row in rows {
        let year = row.year.map_or("-".to_string(), |y| y.to_string());
        println!("{year}  {}  {}  {}", row.crs.as_deref().unwrap_or("-"), json!(row.bbox), row.path);
    }
    Ok(())
}

/// Footprints or a map, as a file.
fn coverage_file(
    cli: &Cli,
    covered: impl FnOnce() -> Result<terravec::coverage::Coverage, Failure>,
    force: bool,
    out: &std::path::Path,
) -> Outcome {
    check_absent(out, force)?;
    super::writable(out)?;
    let covered = covered()?;
    let bytes = match out.extension().and_then(|e| e.to_str()) {
        Some("geojson" | "json") => covered.geojson().to_string().into_bytes(),
        Some("png") => covered.png()?,
        _ => {
            return Err(Failure::usage(
                format!("{}: neither footprints nor a map", out.display()),
                "name a file that ends in .geojson or .png",
            ));
        }
    };
    terravec::sink::write_bytes(out, &bytes)?;
    if cli.json() {
        print_json(&json!({ "output": out, "files": covered.files.len(), "reasons": covered.reasons }));
        return Ok(());
    }
    println!("{}: {} files", out.display(), covered.files.len());
    covered.reasons.iter().for_each(|r| println!("  {r}"));
    Ok(())
}

fn coverage_table(cli: &Cli, d: &PatchDataset, area: &Area, years: &Years) -> Outcome {
    let files = d.coverage(area, years)?;
    if cli.json() {
        print_json(&json!({ "product": d.product().id, "root": d.root().to_string(), "files": files }));
        return Ok(());
    }
    if files.is_empty() {
        println!("no file there. {}", d.covered());
    }
    for file in files {
        let when = file.interval.unwrap_or("-".into());
        let rows = file.rows.map_or("-".to_owned(), |n| n.to_string());
        let place = file.bbox.map_or("-".to_owned(), |b| format!("{b:?}"));
        println!("{when}  {rows} rows  {place}  {}", file.path);
    }
    Ok(())
}
