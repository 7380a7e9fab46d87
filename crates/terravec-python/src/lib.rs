//! The native half of the Python package: the engine's verbs as they are, with Arrow and NumPy at the edge.
//!
//! Everything that makes it feel like Python (what may be given as points, how results show themselves) is in `python/terravec`; here
//! are only calls that need the engine. Every read runs [`work::run`], so that other Python threads go on and Ctrl-C is heard.

// Arguments and results are as PyO3 hands them over.
#![allow(clippy::needless_pass_by_value, clippy::too_many_arguments, clippy::type_complexity)]

mod analysis;
mod arrays;
mod catalog;
mod dataset;
mod errors;
mod index;
mod join;
mod model;
mod places;
mod plan;
mod remote;
mod request;
mod stream;
mod table;
mod work;

use pyo3::prelude::*;

/// The engine, as the package's Python half calls it. Not for users.
#[pymodule]
mod _native {
    #[pymodule_export]
    use super::analysis::{
        Basis, Clusters, change_dataset, cluster_dataset, estimate_part, estimate_regions, pca_dataset,
        search_dataset, trajectories_of,
    };
    #[pymodule_export]
    use super::arrays::{fit_basis, fit_clusters, search_bits, search_codes, search_vectors};
    #[pymodule_export]
    use super::catalog::{download, product, products};
    #[pymodule_export]
    use super::dataset::Dataset;
    #[pymodule_export]
    use super::index::{index_add, index_build, index_compact, index_delete, index_info};
    #[pymodule_export]
    use super::join::join;
    #[pymodule_export]
    use super::model::{Model, learn_arrays, learn_table};
    #[pymodule_export]
    use super::places::{
        Points, Regions, country, points_of_arrays, points_of_bytes, points_of_geojson, points_of_table,
        read_points, read_regions, regions_of_geojson, regions_of_table, regions_of_wkb,
    };
    #[pymodule_export]
    use super::plan::Plan;
    #[pymodule_export]
    use super::remote::{cache, cache_use, mirror, mirror_verify};
    #[pymodule_export]
    use super::table::Table;
    use super::*;

    /// Runs the `terravec` command with these arguments, the program's name first; gives its exit code.
    #[pyfunction]
    fn cli(py: Python<'_>, arguments: Vec<std::ffi::OsString>) -> u8 {
        py.detach(|| terravec_cli::run(arguments.into_iter()))
    }

    #[pymodule_init]
    fn init(m: &Bound<'_, PyModule>) -> PyResult<()> {
        m.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
