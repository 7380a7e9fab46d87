//! One function per verb.

mod cache;
mod change;
mod cluster;
mod download;
mod estimate;
mod extract;
mod index;
mod join;
mod learn;
mod look;
mod look_at;
mod pca;
mod sample;
mod search;

use std::path::{Path, PathBuf};

use terravec::catalog::Catalog;
use terravec::patch::{Condition, OnBad, PatchQuery};
use terravec::sink::check_absent;
use terravec::{Area, Dataset, Interval, OpenOptions, Years};
use terravec_geo::LonLatBox;
use terravec_io::vector::{self, Regions};

use crate::args::{Bound, Cli, Place, Rows, Verb};
use crate::report::Failure;

type Outcome = Result<(), Failure>;

pub(crate) fn run(cli: &Cli) -> Outcome {
    terravec::cache::use_cache(&cache::setup(cli))?;
    match &cli.verb {
        Verb::Products(args) => look::products(cli, args),
        Verb::Info(args) => look::info(cli, args),
        Verb::Coverage(args) => look::coverage(cli, args),
        Verb::Sample(args) => sample::run(cli, args),
        Verb::Extract(args) => extract::run(cli, args),
        Verb::Search(args) => search::run(cli, args),
        Verb::Index(verb) => index::run(cli, verb),
        Verb::Change(args) => change::run(cli, args),
        Verb::Cluster(args) => cluster::run(cli, args),
        Verb::Pca(args) => pca::run(cli, args),
        Verb::Convert(args) => extract::convert(cli, args),
        Verb::Classify(verb) => learn::classify(cli, verb),
        Verb::Regress(verb) => learn::regress(cli, verb),
        Verb::Download(args) => download::run(cli, args),
        Verb::Cache(args) => cache::run(cli, args),
        Verb::Estimate(args) => Err(Failure::usage(
            format!("there is no estimate of `{}`", args.rest.first().map_or("", |v| v)),
            format!("write: terravec estimate {} …", crate::args::ESTIMATED.join("|")),
        )),
    }
}

fn catalog(cli: &Cli) -> Result<Catalog, Failure> {
    let mut catalog = Catalog::builtin();
    for path in &cli.catalog {
        catalog.load_path(path)?;
    }
    Ok(catalog)
}

fn options(cli: &Cli) -> Result<OpenOptions, Failure> {
    let mut options = OpenOptions::new(catalog(cli)?);
    options.depth = cli.depth.map(|n| n as usize);
    options.at.clone_from(&cli.at);
    options.cache_dir.clone_from(&cli.cache_dir);
    Ok(options)
}

/// Opens DATASET; `month` is for encoders of the seasons.
fn dataset(cli: &Cli, spec: &str, month: Option<u8>) -> Result<Dataset, Failure> {
    Ok(Dataset::open(spec, &options(cli)?)?.at_month(month)?)
}

/// The rows of tables that are asked for.
fn row_query(rows: &Rows, area: Area, year: Option<&str>, codes: bool) -> Result<PatchQuery, Failure> {
    let time = rows
        .time
        .as_deref()
        .map(|t| {
            Interval::parse(t).map_err(|e| {
                Failure::usage(format!("--time {t}: {e}"), "write 2022-06-01..2022-07-01, or 2022-06")
            })
        })
        .transpose()?;
    let conditions = rows
        .conditions
        .iter()
        .map(|c| {
            Condition::parse(c).map_err(|e| {
                Failure::usage(format!("--where {c}: {e}"), "write COLUMN=VALUE, COLUMN<VALUE, …")
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(PatchQuery {
        area,
        years: years(year)?,
        time,
        conditions,
        codes,
        on_bad: if rows.skip_bad { OnBad::Skip } else { OnBad::Fail },
        keep_duplicates: false,
    })
}

fn years(text: Option<&str>) -> Result<Years, Failure> {
    text.map_or(Ok(Years::All), |t| {
        Years::parse(t)
            .map_err(|e| Failure::usage(format!("--year {t}: {e}"), "write 2024, 2018..2024 or 2018,2020"))
    })
}

fn bbox(text: Option<&str>) -> Result<Option<LonLatBox>, Failure> {
    text.map(|t| {
        LonLatBox::parse(t)
            .map_err(|e| Failure::usage(format!("--bbox: {e}"), "write west,south,east,north in degrees"))
    })
    .transpose()
}

/// Polygons of a file; what was noticed is said.
fn regions(file: &Path) -> Result<Regions, Failure> {
    let regions = vector::read_regions(file)?;
    for warning in &regions.warnings {
        eprintln!("warning: {warning}");
    }
    Ok(regions)
}

/// Where: a box, polygons, a country, or everywhere.
fn area(place: &Place) -> Result<Area, Failure> {
    let regions = match (&place.region, &place.country) {
        (Some(file), _) => regions(file)?,
        (None, Some(name)) => terravec::country(name)?,
        (None, None) => return Ok(bbox(place.bbox.as_deref())?.map_or(Area::All, Area::Box)),
    };
    Ok(Area::Regions { regions, mask: true, all_touched: false })
}

/// Where the output goes. It is not said only in a dry run, which writes nothing.
fn output_of(output: Option<&PathBuf>) -> &Path {
    output.map_or(Path::new("."), PathBuf::as_path)
}

/// Sees that outputs can be written, and stand in nobody's way unless they are to be replaced; not in a dry run, which writes none.
fn check_outputs<'a>(bound: &Bound, outputs: impl IntoIterator<Item = &'a Path>, force: bool) -> Outcome {
    for out in outputs.into_iter().filter(|_| !bound.dry_run) {
        check_absent(out, force)?;
        writable(out)?;
    }
    Ok(())
}

/// A path on a folder that exists, so that a long run does not fail at its end.
fn writable(path: &Path) -> Outcome {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if parent.is_dir() {
        Ok(())
    } else {
        Err(Failure::usage(
            format!("{}: the folder {} does not exist", path.display(), parent.display()),
            "make it first",
        ))
    }
}
