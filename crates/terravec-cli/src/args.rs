//! The command line as data: every verb and flag, from which help is made.

mod index;
mod learn;
mod look;
mod search;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use terravec_io::icechunk::At;

pub(crate) use index::{Index, IndexBuild, Indexed};
pub(crate) use learn::{Areas, Assess, Classify, Fit, Labels, LearnerArgs, Predict, Regress};
pub(crate) use look::{Change, Cluster, Measure, Pca, Where};
pub(crate) use search::{Combine, Metric, Search};

/// Earth embeddings: sample, extract and convert any product, right by construction.
///
/// DATASET is `ID=ROOT` or `ID@VARIANT=ROOT` (a product and where a copy of it lies), or a file, folder or URL that is
/// recognised by what it holds. A location encoder is `ID=WEIGHTS`, or `ID` alone once its weights are downloaded. Exit codes: 0 done, 1 failed, 2 usage.
#[derive(Debug, Parser)]
#[command(name = "terravec", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
    /// A descriptor file, or a folder of them, to know besides the built-in products (repeatable).
    #[arg(long, global = true, value_name = "FILE|DIR")]
    pub(crate) catalog: Vec<PathBuf>,
    /// Where indexes, and what comes over the network, are kept [default: $TERRAVEC_CACHE_DIR, else the user's cache folder].
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Only the first N numbers of each vector, of stores whose vectors may be cut short (Matryoshka).
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) depth: Option<u32>,
    /// State of an Icechunk repository: branch=NAME, tag=NAME or snapshot=ID [default: branch=main].
    #[arg(long, global = true, value_name = "STATE", value_parser = str::parse::<At>)]
    pub(crate) at: Option<At>,
    /// The most the cache holds of what comes over the network, such as 20GB [default: $TERRAVEC_CACHE_SIZE, else 10GB].
    #[arg(long, global = true, value_name = "SIZE")]
    pub(crate) cache_size: Option<String>,
    /// Keep nothing of what comes over the network, and ask for all of it [default: $TERRAVEC_NO_CACHE].
    #[arg(long, global = true)]
    pub(crate) no_cache: bool,
    /// Ask no host: use what the cache has, or fail [default: $TERRAVEC_OFFLINE].
    #[arg(long, global = true)]
    pub(crate) offline: bool,
    /// Print machine-readable JSON on standard output.
    #[arg(long, global = true)]
    json: bool,
    /// No progress bar.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

impl Cli {
    pub(crate) fn json(&self) -> bool {
        self.json
    }
}

/// Verbs that read, and say what it would cost.
pub(crate) const ESTIMATED: [&str; 11] = [
    "sample", "extract", "convert", "download", "search", "index", "classify", "regress", "change",
    "cluster", "pca",
];

/// The arguments, with `--bbox W S E N` made one word, `--bbox W,S,E,N`, and `estimate VERB …` as `VERB … --dry-run`.
pub(crate) fn joined(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut out: Vec<OsString> = Vec::new();
    let mut arguments: Vec<OsString> = arguments.collect();
    if arguments.get(1).is_some_and(|a| a == "estimate")
        && arguments.get(2).is_some_and(|a| ESTIMATED.iter().any(|v| a == v))
    {
        arguments.remove(1);
        arguments.push("--dry-run".into());
    }
    let mut rest = arguments.into_iter().peekable();
    while let Some(argument) = rest.next() {
        let is_bbox = ["--bbox", "--mean-of", "--bbox-mean"].iter().any(|b| argument == *b);
        out.push(argument);
        if !is_bbox {
            continue;
        }
        let number =
            |a: &OsString| a.to_str().is_some_and(|t| t.trim_end_matches(',').parse::<f64>().is_ok());
        let mut numbers: Vec<String> = Vec::new();
        while numbers.len() < 4
            && let Some(next) = rest.next_if(number)
        {
            numbers.push(next.to_string_lossy().trim_end_matches(',').to_string());
        }
        if !numbers.is_empty() {
            out.push(numbers.join(",").into());
        }
    }
    out
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the products, or show one in full.
    Products(Products),
    /// What a dataset really holds.
    Info(Dataset),
    /// Which tiles and years a dataset has.
    Coverage(Coverage),
    /// Vectors at points.
    Sample(Sample),
    /// Vectors of a window or of polygons, on their own grid or any other.
    Extract(Extract),
    /// What is similar to a place, a row, a vector or to examples.
    Search(Search),
    /// An index on disk, for search in tables larger than memory.
    #[command(subcommand)]
    Index(Index),
    /// How much the vectors of two years differ, and where more than they do by chance.
    Change(Change),
    /// Clusters of vectors (k-means) as a map of classes, or as a column of a table.
    Cluster(Cluster),
    /// Principal components: one basis for many pictures.
    Pca(Pca),
    /// A dataset in another format: COG, Zarr, NPY, GeoParquet.
    Convert(Convert),
    /// Maps of classes: learn from labels, predict a region, say how good it is.
    #[command(subcommand)]
    Classify(Classify),
    /// The same for numbers.
    #[command(subcommand)]
    Regress(Regress),
    /// A local copy of the files of a region and years, checked, going on where it was interrupted; or the weights of a location
    /// encoder, into the cache.
    Download(Download),
    /// What is kept of what came over the network: look, clear, check.
    Cache(CacheArgs),
    /// What a verb that reads would cost: requests, bytes, memory, time, money. The same as VERB … --dry-run.
    Estimate(EstimateArgs),
}

#[derive(Debug, Args)]
pub(crate) struct Products {
    /// Show this product in full.
    pub(crate) id: Option<String>,
    /// Only products of this kind.
    #[arg(long, value_name = "pixel|patch|location|region")]
    pub(crate) kind: Option<String>,
    /// Only products with vectors of this year.
    #[arg(long)]
    pub(crate) year: Option<i32>,
    /// Only products whose licence contains this text.
    #[arg(long, alias = "license", value_name = "TEXT")]
    pub(crate) licence: Option<String>,
    /// Only products with a host that contains this text.
    #[arg(long, value_name = "TEXT")]
    pub(crate) host: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Dataset {
    /// ID=ROOT, or a file, folder or URL.
    pub(crate) dataset: String,
}

/// Where: a box, polygons or a country.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Only what touches this box: west,south,east,north in degrees, as one text or four numbers.
    #[arg(long, value_name = "W,S,E,N", allow_hyphen_values = true)]
    pub(crate) bbox: Option<String>,
    /// Only what lies in these polygons (files and rows: that touch them): a GeoJSON, GeoParquet or CSV (WKT) file.
    #[arg(long, value_name = "FILE", visible_alias = "aoi", aliases = ["boundary", "region-file"], conflicts_with = "bbox")]
    pub(crate) region: Option<PathBuf>,
    /// The same in a country: an ISO 3166 code (KE, KEN) or an English name. Borders are Natural Earth's at 1:50m, generalised by a
    /// kilometre or two.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["bbox", "region"])]
    pub(crate) country: Option<String>,
}

impl Place {
    pub(crate) fn is_said(&self) -> bool {
        self.bbox.is_some() || self.region.is_some() || self.country.is_some()
    }
}

/// Which part of a dataset.
#[derive(Debug, Args)]
pub(crate) struct Part {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Years: 2024, 2018..2024 or 2018,2020 [default: all].
    #[arg(long)]
    pub(crate) year: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Coverage {
    #[command(flatten)]
    pub(crate) dataset: Dataset,
    #[command(flatten)]
    pub(crate) part: Part,
    /// Footprints as GeoJSON (.geojson), or a map (.png).
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Replace an output that exists.
    #[arg(long, alias = "overwrite")]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Sample {
    /// ID=ROOT, or a file, folder or URL; several are joined, each in columns of its own.
    #[arg(required = true, value_name = "DATASET")]
    pub(crate) datasets: Vec<String>,
    /// Points: a GeoParquet, GeoJSON or CSV file, or LON,LAT.
    #[arg(
        long,
        value_name = "FILE|LON,LAT",
        allow_hyphen_values = true,
        required_unless_present = "patches"
    )]
    pub(crate) points: Option<String>,
    /// The patches of this dataset instead of points: their own vectors, and beside them the pixels in their footprints
    /// as one vector, and what tables and encoders say at their centres.
    #[arg(long, value_name = "DATASET", conflicts_with = "points")]
    pub(crate) patches: Option<String>,
    /// With --patches: only those that touch this box: west,south,east,north in degrees.
    #[arg(long, value_name = "W,S,E,N", allow_hyphen_values = true, requires = "patches")]
    pub(crate) bbox: Option<String>,
    /// With --patches: how the vectors of the pixels in a footprint become one [default: mean].
    #[arg(long, value_enum, requires = "patches")]
    pub(crate) reduce: Option<Reduce>,
    /// Of several datasets: only places where all have a vector.
    #[arg(long)]
    pub(crate) inner: bool,
    /// Years: 2024, 2018..2024 or 2018,2020 [default: all].
    #[arg(long)]
    pub(crate) year: Option<String>,
    #[command(flatten)]
    pub(crate) rows: Rows,
    /// Of tables: the patches with the K nearest centres, instead of the one that contains a point.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) nearest: Option<u32>,
    /// With --nearest: none farther than this, in metres.
    #[arg(long, value_name = "METRES", requires = "nearest")]
    pub(crate) within: Option<f64>,
    /// Month (1 to 12), for location encoders of the seasons.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=12))]
    pub(crate) month: Option<u8>,
    /// The stored codes instead of decoded vectors.
    #[arg(long)]
    pub(crate) codes: bool,
    #[command(flatten)]
    pub(crate) bound: Bound,
    /// Output: .parquet, .arrow, .csv or .geojson [default: print].
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Replace an output that exists.
    #[arg(long, alias = "overwrite")]
    pub(crate) force: bool,
}

/// Which rows of tables of vectors.
#[derive(Debug, Args)]
pub(crate) struct Rows {
    /// Of tables: rows that hold at some time in this span: 2022-06-01..2022-07-01 (end excluded), a day, a month or a year.
    #[arg(long, value_name = "START..END")]
    pub(crate) time: Option<String>,
    /// Of tables: rows that meet this, such as `cloud_percent<10` or `collection=sentinel-2-l2a` (repeatable: all of them).
    #[arg(long = "where", value_name = "COLUMN<VALUE")]
    pub(crate) conditions: Vec<String>,
    /// Of tables: leave rows out whose vector is of another length, not finite or unreadable, or whose place or time can't be
    /// read (they are counted), instead of failing.
    #[arg(long)]
    pub(crate) skip_bad: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Resampling {
    Nearest,
    Bilinear,
    Average,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Reduce {
    Mean,
    Median,
    Medoid,
}

impl From<Reduce> for terravec::Reduce {
    fn from(how: Reduce) -> Self {
        match how {
            Reduce::Mean => Self::Mean,
            Reduce::Median => Self::Median,
            Reduce::Medoid => Self::Medoid,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Target {
    /// Years: 2024, 2018..2024 or 2018,2020 [default: all].
    #[arg(long)]
    pub(crate) year: Option<String>,
    /// Target CRS, such as EPSG:3035 [default: the tiles' own; for location encoders EPSG:4326].
    #[arg(long)]
    pub(crate) crs: Option<String>,
    /// Pixel size in units of the target CRS [default: the product's own; location encoders have none].
    #[arg(long)]
    pub(crate) resolution: Option<f64>,
    /// How decoded vectors move to another grid; means are scaled back to length 1 where the product has unit vectors.
    #[arg(long, value_enum, default_value = "nearest")]
    pub(crate) resampling: Resampling,
    /// Bands by name (A00) or by number from 0, comma-separated [default: all].
    #[arg(long, value_delimiter = ',')]
    pub(crate) bands: Option<Vec<String>>,
    /// Replace outputs that exist.
    #[arg(long, alias = "overwrite")]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Extract {
    #[command(flatten)]
    pub(crate) dataset: Dataset,
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) rows: Rows,
    /// The stored codes instead of decoded vectors.
    #[arg(long)]
    pub(crate) codes: bool,
    /// Month (1 to 12), for location encoders of the seasons.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=12))]
    pub(crate) month: Option<u8>,
    /// With polygons: count every pixel that a polygon touches, not only those whose centre is inside.
    #[arg(long)]
    pub(crate) all_touched: bool,
    /// With polygons: keep the whole window instead of cutting along the polygons.
    #[arg(long)]
    pub(crate) no_mask: bool,
    /// With polygons: one vector for each, written as a table.
    #[arg(long, value_enum, conflicts_with = "bbox")]
    pub(crate) reduce: Option<Reduce>,
    /// Output: .tif (COG), .zarr, .npy, .png, or a table (.parquet, .arrow, .csv, .geojson) of one row per pixel; of tables, a
    /// table of their rows.
    #[arg(short, long, value_name = "FILE", required_unless_present = "dry_run")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) bound: Bound,
}

#[derive(Debug, Args)]
pub(crate) struct Convert {
    #[command(flatten)]
    pub(crate) dataset: Dataset,
    /// Output: .tif (COG), .zarr, .npy, .png, or a table (.parquet, .arrow, .csv, .geojson) of one row per pixel.
    #[arg(required_unless_present = "dry_run")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) bound: Bound,
    /// Keep the stored codes instead of decoding them to float32 vectors.
    #[arg(long)]
    pub(crate) codes: bool,
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) rows: Rows,
    /// Of products whose files overlap: keep rows that stand in two files.
    #[arg(long)]
    pub(crate) keep_duplicates: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EstimateArgs {
    /// The verb and its options: `terravec estimate extract DATASET --bbox …`.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "VERB …")]
    pub(crate) rest: Vec<String>,
}

/// How much may be read, and what it would cost.
#[derive(Debug, Args)]
pub(crate) struct Bound {
    /// Say what it would cost (requests, bytes, memory, time, money), and read nothing but headers.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Fail, before anything but headers is read, if more than this would be: 500MB, 20GB.
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_bytes: Option<String>,
    /// With --dry-run: the line to the host, for the time it takes [default: 100Mbit/s].
    #[arg(long, value_name = "RATE", requires = "dry_run")]
    pub(crate) bandwidth: Option<String>,
    /// With --dry-run: what whoever pays for the transfer is charged per GB, US dollars [default: 0.09].
    #[arg(long, value_name = "USD", requires = "dry_run")]
    pub(crate) price: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct CacheArgs {
    #[arg(value_enum)]
    pub(crate) what: CacheVerb,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum CacheVerb {
    /// How much is kept, and where.
    Info,
    /// Take all of it away (indexes and weights stay).
    Clear,
    /// Check every entry; what was changed or damaged is taken away.
    Verify,
}

#[derive(Debug, Args)]
pub(crate) struct Download {
    /// ID=ROOT, or a folder or URL: its files into -o. ID alone, of a location encoder: its weights into the cache. With
    /// --verify: the folder of a mirror.
    pub(crate) dataset: String,
    /// The folder of the mirror, which is then a root for every verb.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) place: Place,
    /// Years: 2024, 2018..2024 or 2018,2020 [default: all].
    #[arg(long, requires = "output")]
    pub(crate) year: Option<String>,
    /// Read every file of the mirror DATASET and compare it with its checksum; damaged files are taken away.
    #[arg(long, conflicts_with_all = ["output", "dry_run"])]
    pub(crate) verify: bool,
    /// Say what would come from where, how large it is and under which licence, and fetch nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Fetch nothing if more than this would come: 500MB, 20GB.
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_bytes: Option<String>,
    /// Fetch weights again that are there already; replace files that no mirror put there.
    #[arg(long)]
    pub(crate) force: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_may_be_one_word_or_four() {
        let joined = |line: &str| {
            let words = joined(line.split(' ').map(OsString::from));
            words.into_iter().map(|w| w.into_string().unwrap()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(joined("extract x --bbox -1 50 2 51.5 -o y"), "extract x --bbox -1,50,2,51.5 -o y");
        assert_eq!(joined("extract x --bbox -1,50,2,51 -o y"), "extract x --bbox -1,50,2,51 -o y");
        assert_eq!(joined("extract x --bbox -o y"), "extract x --bbox -o y");
        assert_eq!(joined("--bbox 1, 2, 3, 4 5"), "--bbox 1,2,3,4 5");
        assert_eq!(joined("terravec estimate sample x"), "terravec sample x --dry-run");
        assert_eq!(joined("terravec estimate"), "terravec estimate");
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
