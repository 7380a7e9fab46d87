//! The arguments of `index`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Bound, Dataset, Metric, Part, Rows};

#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  \
    terravec index build clay-v0=ROOT -o clay.index\n  \
    terravec search clay-v0=ROOT --index clay.index --id 17 -k 20")]
pub(crate) enum Index {
    /// Build an index of the rows of a table, or of the pixels of a raster.
    Build(IndexBuild),
    /// Add rows.
    Add(IndexAdd),
    /// Delete rows by their ids.
    Delete(IndexDelete),
    /// Merge what was added, and take deleted rows out of the files.
    Compact(IndexOf),
    /// What an index holds, and how well it answers.
    Info(IndexOf),
}

/// Which rows are indexed.
#[derive(Debug, Args)]
pub(crate) struct Indexed {
    #[command(flatten)]
    pub(crate) dataset: Dataset,
    #[command(flatten)]
    pub(crate) part: Part,
    #[command(flatten)]
    pub(crate) rows: Rows,
    #[command(flatten)]
    pub(crate) bound: Bound,
    /// Megabytes of rows in memory, about.
    #[arg(long, value_name = "MB", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) memory: u32,
}

#[derive(Debug, Args)]
pub(crate) struct IndexBuild {
    #[command(flatten)]
    pub(crate) what: Indexed,
    /// What "similar" means.
    #[arg(long, value_enum, default_value = "cosine")]
    pub(crate) metric: Metric,
    /// Lists [default: the root of the number of rows].
    #[arg(long, value_name = "N")]
    pub(crate) lists: Option<usize>,
    /// The seed of the sample that centres are fitted on.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Replace an index that exists.
    #[arg(long, alias = "overwrite")]
    pub(crate) force: bool,
    /// The folder of the index.
    #[arg(short, long, value_name = "DIR", required_unless_present = "dry_run")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct IndexAdd {
    /// The folder of the index.
    pub(crate) index: PathBuf,
    #[command(flatten)]
    pub(crate) what: Indexed,
}

#[derive(Debug, Args)]
pub(crate) struct IndexDelete {
    /// The folder of the index.
    pub(crate) index: PathBuf,
    /// The id of a row (repeatable).
    #[arg(long, required = true)]
    pub(crate) id: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct IndexOf {
    /// The folder of the index.
    pub(crate) index: PathBuf,
}
