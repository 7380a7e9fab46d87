//! `change`: two years compared, or polygons followed through years.

use std::path::PathBuf;

use serde_json::json;
use terravec::{Area, Dataset, Error, Request};
use terravec_analysis::change::{Change, Measure, Rule, trajectories};
use terravec_analysis::raster;

use super::estimate::settled;
use super::look_at::extent;
use super::search::put;
use super::{Outcome, check_outputs, dataset, regions};
use crate::args::{self, Cli};
use crate::report::{Bar, Failure};

pub(crate) fn run(cli: &Cli, args: &args::Change) -> Outcome {
    let outputs = args.output.iter().chain(&args.map).map(PathBuf::as_path);
    check_outputs(&args.bound, outputs, args.place.force)?;
    if let Some(path) = args.map.as_ref().filter(|_| !args.bound.dry_run) {
        raster::check(path, args.place.force)?;
    }
    let dataset = dataset(cli, &args.dataset.dataset, None)?;
    let measure = match args.measure {
        args::Measure::Angle => Measure::Angle,
        args::Measure::L2 => Measure::L2,
    };
    let (_, request) = extent(&args.place)?;
    if let Some(file) = &args.trajectories {
        let regions = regions(file)?;
        let cost = || terravec::estimate::regions(&dataset.gridded()?, &regions, false, &request);
        if settled(cli, &args.bound, cost)? {
            return Ok(());
        }
        let (batch, provenance) = trajectories(dataset.gridded()?, &regions, &request, measure)?;
        let summary = format!("{} rows of {} polygons", batch.num_rows(), regions.polygons.len());
        let counts = json!({ "polygons": regions.polygons.len(), "provenance": provenance });
        return put(cli, &batch, args.output.as_deref(), &provenance, Vec::new(), counts, &summary);
    }
    compare(cli, args, &dataset, &request, measure)
}

fn compare(
    cli: &Cli,
    args: &args::Change,
    dataset: &Dataset,
    request: &Request,
    measure: Measure,
) -> Outcome {
    let other = args.with.as_deref().map(|spec| super::dataset(cli, spec, None)).transpose()?;
    let plan = |request: &Request| -> Result<Change, Failure> {
        Ok(match &other {
            None => Change::plan(dataset.gridded()?, request, measure)?,
            Some(other) => Change::of_two(dataset.gridded()?, other.gridded()?, request, measure)?,
        })
    };
    let change = plan(request)?;
    let stable = args
        .stable
        .as_deref()
        .map(|file| {
            let area = Area::Regions { regions: regions(file)?, mask: true, all_touched: false };
            plan(&Request { area, ..request.clone() })
        })
        .transpose()?;
    let answer = args.k as u64 * 64;
    let cost = || Ok(change.estimate(stable.as_ref(), args.map.is_some())?.answering(answer));
    if settled(cli, &args.bound, cost)? {
        return Ok(());
    }
    let rule = args.percentile.map_or(Rule::Deviations(args.deviations), Rule::Percentile);
    let bar = Bar::new("comparing", cli.quiet);
    let progress = |done, all| bar.set(done, all);
    if args.k == 0 {
        return Err(Error::query("0 results are asked for", "ask for 1 to 100000").into());
    }
    let (statistics, most) = change.measure(stable.as_ref(), rule, args.k, &progress)?;
    if let Some(map) = &args.map {
        change.map(&statistics, &most, map, args.place.force, &progress)?;
    }
    drop(bar);
    let batch = change.most(&most)?;
    let unit = if measure == Measure::Angle { "°" } else { "" };
    #[allow(clippy::cast_precision_loss)]
    let share = 100.0 * statistics.changed_pixels as f64 / statistics.pixels as f64;
    let summary = format!(
        "{} of {} pixels ({share:.2} %) changed by more than {:.3}{unit} (stable: median {:.3}{unit}, deviation {:.3}{unit}); the {} most changed are listed",
        statistics.changed_pixels,
        statistics.pixels,
        statistics.threshold,
        statistics.median,
        statistics.deviation,
        batch.num_rows()
    );
    let counts = json!({ "statistics": statistics, "map": args.map, "provenance": change.provenance() });
    put(cli, &batch, args.output.as_deref(), &change.provenance(), Vec::new(), counts, &summary)?;
    if let (false, Some(map)) = (cli.json(), &args.map) {
        println!("{}", map.display());
    }
    Ok(())
}
