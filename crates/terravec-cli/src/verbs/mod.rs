//! One function per verb.

mod download;
mod extract;
mod look;
mod sample;

use std::path::Path;

use terravec::catalog::Catalog;
use terravec::{Gridded, LocationDataset, OpenOptions, RasterDataset, Years, open};
use terravec_geo::LonLatBox;

use crate::args::{Cli, Verb};
use crate::report::Failure;

type Outcome = Result<(), Failure>;

pub(crate) fn run(cli: &Cli) -> Outcome {
    match &cli.verb {
        Verb::Products(args) => look::products(cli, args),
        Verb::Info(args) => look::info(cli, args),
        Verb::Coverage(args) => look::coverage(cli, args),
        Verb::Sample(args) => sample::run(cli, args),
        Verb::Extract(args) => extract::run(cli, args),
        Verb::Convert(args) => extract::convert(cli, args),
        Verb::Download(args) => download::run(cli, args),
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
    options.cache_dir.clone_from(&cli.cache_dir);
    Ok(options)
}

/// What a user's DATASET is.
enum Dataset {
    Raster(RasterDataset),
    Location(LocationDataset),
}

impl Dataset {
    fn gridded(&self) -> Gridded<'_> {
        match self {
            Self::Raster(dataset) => dataset.into(),
            Self::Location(encoder) => encoder.into(),
        }
    }
}

/// Opens DATASET; `month` is for encoders of the seasons.
fn dataset(cli: &Cli, spec: &str, month: Option<u8>) -> Result<Dataset, Failure> {
    let options = options(cli)?;
    if let Some(encoder) = LocationDataset::open(spec, &options)? {
        return Ok(Dataset::Location(encoder.at_month(month)));
    }
    if month.is_some() {
        return Err(Failure::usage("--month is for location encoders of the seasons", "leave it out"));
    }
    Ok(Dataset::Raster(open(spec, &options)?))
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
