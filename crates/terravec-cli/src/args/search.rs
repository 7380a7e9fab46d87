//! The arguments of `search`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Bound, Dataset, Part, Rows};

/// What "similar" means.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Metric {
    /// The cosine of the angle between vectors.
    Cosine,
    /// Their dot product.
    Dot,
    /// Their distance.
    L2,
}

/// How examples make one question.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Combine {
    /// Twice the mean of positive examples minus the mean of negative ones.
    Mean,
    /// The greatest similarity to any positive example.
    Max,
    /// A ridge regression of +1 and −1 on the examples.
    Probe,
}

#[derive(Debug, Args)]
#[command(
    group = clap::ArgGroup::new("wanted").required(true).multiple(true)
        .args(["like", "id", "vector", "mean_of", "positive"]),
    after_help = "Examples:\n  \
        terravec search alphaearth=ROOT --like -88.768,44.295 --year 2024 -k 20 --exclude-self -o similar.parquet\n  \
        terravec search clay-v0=ROOT --id 17 -k 100 --bbox -166.5,65.6,-165.5,65.8 --where 'date<2022-07-01'\n  \
        terravec search alphaearth=ROOT --positive yes.geojson --negative no.geojson --by probe --map likely.tif"
)]
pub(crate) struct Search {
    #[command(flatten)]
    pub(crate) dataset: Dataset,
    /// What lies here is looked for (repeatable).
    #[arg(long, value_name = "LON,LAT", allow_hyphen_values = true)]
    pub(crate) like: Vec<String>,
    /// The row of a table with this id is looked for (repeatable).
    #[arg(long)]
    pub(crate) id: Vec<String>,
    /// A vector that is looked for: a .npy or .json file, a table of vectors, or numbers between commas (repeatable).
    #[arg(long, value_name = "FILE|NUMBERS", allow_hyphen_values = true)]
    pub(crate) vector: Vec<String>,
    /// The mean of the vectors in this box is looked for: west,south,east,north in degrees.
    #[arg(long, visible_alias = "bbox-mean", value_name = "W,S,E,N", allow_hyphen_values = true)]
    pub(crate) mean_of: Option<String>,
    /// What lies at these points is looked for: a GeoParquet, GeoJSON or CSV file, or LON,LAT (repeatable).
    #[arg(long, value_name = "FILE|LON,LAT", allow_hyphen_values = true)]
    pub(crate) positive: Vec<String>,
    /// What lies at these points is not looked for (repeatable).
    #[arg(long, value_name = "FILE|LON,LAT", allow_hyphen_values = true)]
    pub(crate) negative: Vec<String>,
    /// How several examples make one question.
    #[arg(long, value_enum, default_value = "mean")]
    pub(crate) by: Combine,
    /// The year of the examples, where it is another than that of the search.
    #[arg(long, value_name = "YEAR")]
    pub(crate) like_year: Option<String>,
    /// What "similar" means.
    #[arg(long, value_enum, default_value = "cosine")]
    pub(crate) metric: Metric,
    /// How many results, 1 to 100 000.
    #[arg(short, value_name = "K", default_value_t = 10)]
    pub(crate) k: usize,
    /// Look in this index instead of the table itself.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["map", "vectors"])]
    pub(crate) index: Option<PathBuf>,
    /// With --index: how many of its lists to look at; all give the exact answer [default: what it chose when it was built].
    #[arg(long, value_name = "N", requires = "index")]
    pub(crate) probes: Option<usize>,
    /// Leave out what lies at the places of the examples.
    #[arg(long)]
    pub(crate) exclude_self: bool,
    #[command(flatten)]
    pub(crate) part: Part,
    #[command(flatten)]
    pub(crate) rows: Rows,
    /// Of rasters: the CRS of the pixels that are compared, such as EPSG:3035 [default: the tiles' own].
    #[arg(long)]
    pub(crate) crs: Option<String>,
    /// Of rasters: their size in units of the CRS [default: the product's own].
    #[arg(long)]
    pub(crate) resolution: Option<f64>,
    /// Keep the vectors in the results.
    #[arg(long)]
    pub(crate) vectors: bool,
    #[command(flatten)]
    pub(crate) bound: Bound,
    /// Write the similarity of every pixel, too: .tif (COG) or .png.
    #[arg(long, value_name = "FILE")]
    pub(crate) map: Option<PathBuf>,
    /// Output: .parquet, .arrow, .csv or .geojson [default: print].
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Replace outputs that exist.
    #[arg(long, alias = "overwrite")]
    pub(crate) force: bool,
}
