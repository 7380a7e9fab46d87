//! The arguments of `change`, `cluster` and `pca`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Bound, Dataset, Part, Rows};

/// Where, when and on which grid.
#[derive(Debug, Args)]
pub(crate) struct Where {
    #[command(flatten)]
    pub(crate) part: Part,
    /// Target CRS, such as EPSG:3035 [default: the tiles' own].
    #[arg(long)]
    pub(crate) crs: Option<String>,
    /// Pixel size in units of the target CRS [default: the product's own].
    #[arg(long)]
    pub(crate) resolution: Option<f64>,
    /// Replace outputs that exist.
    #[arg(long, alias = "overwrite")]
    pub(crate) force: bool,
}

/// How two vectors differ.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Measure {
    /// The angle between them, in degrees.
    Angle,
    /// Their distance.
    L2,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    terravec change alphaearth=ROOT --year 2018,2024 --bbox W,S,E,N --map change.tif -k 100 -o most.geojson\n  \
    terravec change alphaearth=ROOT --year 2018..2024 --trajectories fields.geojson -o years.csv")]
pub(crate) struct Change {
    #[command(flatten)]
    pub(crate) dataset: Dataset,
    /// The later year lies in another dataset of the same product and version: `--year` then names the one of each.
    #[arg(long, value_name = "DATASET")]
    pub(crate) with: Option<String>,
    #[command(flatten)]
    pub(crate) place: Where,
    /// How two vectors differ.
    #[arg(long, value_enum, default_value = "angle")]
    pub(crate) measure: Measure,
    /// A pixel has changed beyond the median of stable ones and so many of their (robust) standard deviations.
    #[arg(long, value_name = "N", default_value_t = 3.0)]
    pub(crate) deviations: f64,
    /// Or beyond this percentile of stable pixels.
    #[arg(long, value_name = "P", conflicts_with = "deviations")]
    pub(crate) percentile: Option<f64>,
    /// Polygons where nothing changed, which tell what chance looks like [default: all pixels].
    #[arg(long, value_name = "FILE")]
    pub(crate) stable: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) bound: Bound,
    /// The map, .tif (COG) or .png: angle or distance, p-value, and 1 where changed.
    #[arg(long, value_name = "FILE")]
    pub(crate) map: Option<PathBuf>,
    /// How many of the most changed pixels, up to 100 000.
    #[arg(short, value_name = "K", default_value_t = 10)]
    pub(crate) k: usize,
    /// The mean vector of each of these polygons from year to year, instead of pixels.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["map", "stable", "with", "region", "bbox", "country"])]
    pub(crate) trajectories: Option<PathBuf>,
    /// Output of the most changed pixels, or of the trajectories: .parquet, .arrow, .csv or .geojson [default: print].
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    terravec cluster alphaearth=ROOT --year 2024 --bbox W,S,E,N -k 8 -o clusters.tif --save clusters.json")]
pub(crate) struct Cluster {
    #[command(flatten)]
    pub(crate) dataset: Dataset,
    #[command(flatten)]
    pub(crate) place: Where,
    #[command(flatten)]
    pub(crate) rows: Rows,
    #[command(flatten)]
    pub(crate) bound: Bound,
    /// How many clusters.
    #[arg(short, value_name = "K", required_unless_present = "clusters")]
    pub(crate) k: Option<usize>,
    /// Compare directions [default: for products whose vectors have length 1].
    #[arg(long)]
    pub(crate) spherical: bool,
    /// Compare distances.
    #[arg(long, conflicts_with = "spherical")]
    pub(crate) euclidean: bool,
    /// Vectors, drawn at random, that clusters are fitted on.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub(crate) sample: usize,
    /// Fits from different seeds, of which the best counts.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) starts: usize,
    /// The seed of the sample and the starts.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Clusters that were saved, instead of new ones.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["k", "save"])]
    pub(crate) clusters: Option<PathBuf>,
    /// Keep the clusters as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<PathBuf>,
    /// Output: .tif (COG) or .png of rasters; .parquet, .arrow, .csv or .geojson of rows.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    terravec pca alphaearth=ROOT --year 2024 --bbox W,S,E,N --save basis.json -o colours.tif\n  \
    terravec pca alphaearth=ROOT --year 2023 --bbox W,S,E,N --basis basis.json -o before.png")]
pub(crate) struct Pca {
    #[command(flatten)]
    pub(crate) dataset: Dataset,
    #[command(flatten)]
    pub(crate) place: Where,
    #[command(flatten)]
    pub(crate) rows: Rows,
    #[command(flatten)]
    pub(crate) bound: Bound,
    /// Components.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 3)]
    pub(crate) components: usize,
    /// Vectors, drawn at random, that the basis is fitted on.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub(crate) sample: usize,
    /// The seed of the sample.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// A basis that was saved, instead of a new one.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["components", "save"])]
    pub(crate) basis: Option<PathBuf>,
    /// Keep the basis as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<PathBuf>,
    /// Write the components themselves (float32) to a .tif instead of colours.
    #[arg(long, requires = "output")]
    pub(crate) scores: bool,
    /// Colours, or components, of a raster: .tif (COG) or .png.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}
