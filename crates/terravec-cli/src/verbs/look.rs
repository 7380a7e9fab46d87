//! `products`, `info`, `coverage`: what there is.

use serde_json::json;
use terravec::LocationDataset;
use terravec::catalog::{Filter, WeightsRole, render};

use super::{Dataset, Outcome, bbox, catalog, dataset, years};
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
    let dataset = match dataset(cli, &args.dataset, None)? {
        Dataset::Raster(dataset) => dataset,
        Dataset::Location(encoder) => return info_location(cli, &encoder),
    };
    let summary = dataset.summary()?;
    if cli.json() {
        print_json(&summary);
        return Ok(());
    }
    line("product", &format!("{} ({})", summary.product, summary.name));
    line("root", &summary.root);
    let years: Vec<String> =
        summary.years.iter().filter(|(y, _)| !y.is_empty()).map(|(y, n)| format!("{y}: {n}")).collect();
    let years = if years.is_empty() { String::new() } else { format!(" ({})", years.join(", ")) };
    line("tiles", &format!("{}{years}", summary.tiles));
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
    if let Some(l) = &summary.licence {
        line("licence", l);
    }
    if let Some(a) = &summary.attribution {
        line("attribution", a);
    }
    for note in &summary.notes {
        line("note", note);
    }
    Ok(())
}

fn line(name: &str, text: &str) {
    println!("{name:<12} {text}");
}

fn info_location(cli: &Cli, encoder: &LocationDataset) -> Outcome {
    let summary = encoder.summary()?;
    if cli.json() {
        print_json(&summary);
        return Ok(());
    }
    line("product", &format!("{} ({})", summary.product, summary.name));
    if let Some(version) = &summary.version {
        line("version", version);
    }
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
    let dataset = match dataset(cli, &args.dataset.dataset, None)? {
        Dataset::Raster(dataset) => dataset,
        Dataset::Location(encoder) => return coverage_location(cli, &encoder),
    };
    let area = bbox(args.bbox.as_deref())?;
    let periods = dataset.periods(&years(args.year.as_deref())?)?;
    let mut rows = Vec::new();
    for period in periods {
        for id in dataset.select(period, area.as_ref()) {
            let tile = &dataset.tiles()[id];
            let b = &tile.lonlat;
            rows.push(json!({
                "path": tile.path,
                "year": period,
                "crs": tile.grid.crs.to_string(),
                "width": tile.grid.width,
                "height": tile.grid.height,
                "bbox": [b.west, b.south, b.east, b.north],
            }));
        }
    }
    if cli.json() {
        print_json(&json!({ "product": dataset.product().id, "root": dataset.root(), "tiles": rows }));
        return Ok(());
    }
    if rows.is_empty() {
        println!("no tile there. {}", dataset.covered());
    }
    for row in &rows {
        let year = row["year"].as_i64().map_or("-".to_string(), |y| y.to_string());
        println!(
            "{year}  {}  {}  {}",
            row["crs"].as_str().unwrap_or(""),
            row["bbox"],
            row["path"].as_str().unwrap_or("")
        );
    }
    Ok(())
}
