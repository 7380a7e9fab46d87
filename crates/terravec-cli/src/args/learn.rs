//! Arguments of `classify` and `regress`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Bound, Dataset, Place, Target};

#[derive(Debug, Subcommand)]
pub(crate) enum Classify {
    /// Learn classes from labelled points or polygons; says how good it is at random and elsewhere.
    #[command(
        after_help = "Example:\n  terravec classify fit alphaearth=/data/aef --labels points.csv --column crop \
                            --group region -o crops.json"
    )]
    Fit(Fit),
    /// Predict a region (COG) or points (table) with a model that `fit` has written.
    #[command(after_help = "Example:\n  terravec classify predict alphaearth=/data/aef --model crops.json \
                            --bbox -88.8,44.2,-88.7,44.3 --year 2024 -o crops.tif --picture crops.png")]
    Predict(Predict),
    /// Cross-validate without writing a model, or measure a model on other labels.
    #[command(
        after_help = "Examples:\n  terravec classify assess alphaearth=/data/aef --labels points.csv --column crop --few 1,10\n  \
                            terravec classify assess alphaearth=/data/aef --labels others.csv --column crop --model crops.json"
    )]
    Assess(Assess),
    /// Areas of classes with confidence intervals, from a map and a reference sample drawn at random within its classes.
    #[command(
        after_help = "Example:\n  terravec classify area crops.tif --reference checked.csv --column crop"
    )]
    Area(Areas),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Regress {
    /// Learn numbers from labelled points or polygons; says how good it is at random and elsewhere.
    #[command(
        after_help = "Example:\n  terravec regress fit alphaearth=/data/aef --labels plots.csv --column biomass -o biomass.json"
    )]
    Fit(Fit),
    /// Predict a region (COG) or points (table) with a model that `fit` has written.
    #[command(after_help = "Example:\n  terravec regress predict alphaearth=/data/aef --model biomass.json \
                            --bbox -88.8,44.2,-88.7,44.3 --year 2024 -o biomass.tif")]
    Predict(Predict),
    /// Cross-validate without writing a model, or measure a model on other labels.
    Assess(Assess),
}

/// Which labels.
#[derive(Debug, Args)]
pub(crate) struct Labels {
    #[command(flatten)]
    pub(crate) dataset: Dataset,
    /// Labelled points or polygons: a GeoParquet, GeoJSON or CSV file.
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: PathBuf,
    #[command(flatten)]
    pub(crate) bound: Bound,
    /// The column of labels.
    #[arg(long, value_name = "NAME")]
    pub(crate) column: String,
    /// A column whose rows of one value are held out together, such as a region or a field [default: the polygons].
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Option<String>,
    /// The year the labels are of.
    #[arg(long)]
    pub(crate) year: Option<String>,
    /// Labels of each class at most, drawn at random.
    #[arg(long, value_name = "N")]
    pub(crate) per_class: Option<usize>,
    /// Pixels of each polygon at most, drawn at random.
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(crate) per_polygon: usize,
    /// Folds of cross-validation.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(2..=100))]
    pub(crate) folds: u16,
    /// Hold blocks of this size out together, in metres [default: groups if there are any, else regions].
    #[arg(long, value_name = "METRES")]
    pub(crate) block: Option<f64>,
}

/// How to learn.
#[derive(Debug, Args)]
pub(crate) struct LearnerArgs {
    /// knn, logistic, ridge, linear, centroid, forest, boosting or mlp [default: logistic; for numbers ridge].
    #[arg(long, value_name = "NAME")]
    pub(crate) learner: Option<String>,
    /// knn: neighbours [default: 5].
    #[arg(short, long, value_name = "K")]
    pub(crate) k: Option<usize>,
    /// knn, centroid: compare directions instead of positions.
    #[arg(long)]
    pub(crate) cosine: bool,
    /// logistic: inverse strength of the penalty [default: 10].
    #[arg(short, long, value_name = "C")]
    pub(crate) c: Option<f64>,
    /// ridge: strength of the penalty [default: 1].
    #[arg(long)]
    pub(crate) alpha: Option<f64>,
    /// forest: trees [default: 100].
    #[arg(long, value_name = "N")]
    pub(crate) trees: Option<usize>,
    /// forest, boosting: levels of a tree [default: any; boosting 5].
    #[arg(long, value_name = "N")]
    pub(crate) depth: Option<usize>,
    /// forest: labels in a leaf at least [default: 1].
    #[arg(long, value_name = "N")]
    pub(crate) min_leaf: Option<usize>,
    /// boosting: rounds [default: 100].
    #[arg(long, value_name = "N")]
    pub(crate) rounds: Option<usize>,
    /// boosting: how much of each tree is taken [default: 0.1].
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// mlp: widths of the hidden layers [default: 64,32].
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    pub(crate) hidden: Option<Vec<usize>>,
    /// mlp: passes over the labels at most [default: 200].
    #[arg(long, value_name = "N")]
    pub(crate) epochs: Option<usize>,
    /// Bring every band to mean 0 and deviation 1 first.
    #[arg(long)]
    pub(crate) standardise: bool,
    /// Let every class weigh the same.
    #[arg(long)]
    pub(crate) balanced: bool,
    /// Seed of all that is random.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Fit {
    #[command(flatten)]
    pub(crate) labels: Labels,
    #[command(flatten)]
    pub(crate) learner: LearnerArgs,
    /// Leave cross-validation out; the model then knows no area of applicability.
    #[arg(long)]
    pub(crate) no_assess: bool,
    /// Colours of classes: a JSON file such as {"water": "#419bdf"}.
    #[arg(long, value_name = "FILE")]
    pub(crate) colours: Option<PathBuf>,
    /// The model, one JSON file.
    #[arg(short, long, value_name = "FILE", required_unless_present = "dry_run")]
    pub(crate) output: Option<PathBuf>,
    /// Replace a model that exists.
    #[arg(long, alias = "overwrite")]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Assess {
    #[command(flatten)]
    pub(crate) labels: Labels,
    #[command(flatten)]
    pub(crate) learner: LearnerArgs,
    /// Measure this model on the labels instead of cross-validating.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// Also learn from so many labels of each class alone and predict the rest, again and again: 1,10,100.
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    pub(crate) few: Vec<usize>,
    /// With --few: how often.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) trials: usize,
    /// Measure although the model was learnt on another product, version or bands.
    #[arg(long)]
    pub(crate) allow_mix: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Predict {
    #[command(flatten)]
    pub(crate) dataset: Dataset,
    /// The model.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) place: Place,
    /// Points instead of a region: a file, or LON,LAT.
    #[arg(long, value_name = "FILE|LON,LAT", allow_hyphen_values = true, conflicts_with_all = ["bbox", "region", "country", "quality", "picture", "polygons", "inside_only"])]
    pub(crate) points: Option<String>,
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) bound: Bound,
    /// Also write how sure the map is: a COG of the winning class's share, the entropy, and how unlike the labels a pixel is.
    #[arg(long, value_name = "FILE.tif")]
    pub(crate) quality: Option<PathBuf>,
    /// Also write a picture of the classes with a legend.
    #[arg(long, value_name = "FILE.png")]
    pub(crate) picture: Option<PathBuf>,
    /// Also write the classes as polygons: .parquet or .geojson.
    #[arg(long, value_name = "FILE")]
    pub(crate) polygons: Option<PathBuf>,
    /// Leave out pixels unlike anything the model has learnt from (outside its area of applicability).
    #[arg(long)]
    pub(crate) inside_only: bool,
    /// Predict although the model was learnt on another product, version or bands.
    #[arg(long)]
    pub(crate) allow_mix: bool,
    /// Output: .tif (COG); with --points a table (.parquet, .arrow, .csv, .geojson).
    #[arg(short, long, value_name = "FILE", required_unless_present = "dry_run")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Areas {
    /// The map, a COG that `predict` has written.
    #[arg(value_name = "MAP")]
    pub(crate) map: String,
    /// Reference points: a GeoParquet, GeoJSON or CSV file. They must be drawn at random within each class of the map.
    #[arg(long, value_name = "FILE")]
    pub(crate) reference: PathBuf,
    /// Their column of classes.
    #[arg(long, value_name = "NAME")]
    pub(crate) column: String,
}
