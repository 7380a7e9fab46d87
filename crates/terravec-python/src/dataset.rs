//! An opened dataset and its verbs.

use std::path::PathBuf;
use std::sync::Arc;

use numpy::PyArray1;
use pyo3::prelude::*;
use serde_json::json;
use terravec::dataset::Tile;
use terravec::patch::PatchQuery;
use terravec::query::sample::{Place, locate};
use terravec::{Area, Extraction, OpenOptions, PatchDataset, RasterDataset, Request, table};
use terravec_geo::{Affine, Grid};

use crate::catalog::catalog;
use crate::places::{Points, Regions};
use crate::plan::Plan;
use crate::request::{
    GridArgument, RowsArgument, area, parse_box, parse_crs, parse_reduce, parse_resampling, patch_query,
    sample_request, years,
};
use crate::table::Table;
use crate::{errors, work};

/// A product opened somewhere.
#[pyclass(frozen, module = "terravec._native")]
pub(crate) struct Dataset(pub(crate) Arc<terravec::Dataset>);

impl Dataset {
    /// The dataset, in a month where one is given.
    pub(crate) fn at(&self, py: Python<'_>, month: Option<u8>) -> PyResult<Arc<terravec::Dataset>> {
        match month {
            None => Ok(Arc::clone(&self.0)),
            Some(_) => (*self.0).clone().at_month(month).map(Arc::new).map_err(|e| errors::raise(py, &e)),
        }
    }

    fn raster(&self, py: Python<'_>) -> PyResult<&RasterDataset> {
        match &*self.0 {
            terravec::Dataset::Raster(d) => Ok(d),
            other => {
                Err(errors::usage(py, format!("{} has no tiles", other.product().id), "ask for a raster"))
            }
        }
    }

    pub(crate) fn patches(&self, py: Python<'_>) -> PyResult<PatchDataset> {
        match &*self.0 {
            terravec::Dataset::Patch(d) => Ok(d.clone()),
            other => Err(errors::usage(
                py,
                format!("{} is no table of vectors", other.product().id),
                "ask for a raster",
            )),
        }
    }
}

#[pymethods]
impl Dataset {
    /// Opens what `spec` names.
    #[new]
    fn new(
        py: Python<'_>,
        spec: String,
        paths: Vec<PathBuf>,
        cache_dir: Option<PathBuf>,
        block_cache: usize,
        depth: Option<usize>,
        at: Option<&str>,
    ) -> PyResult<Self> {
        crate::remote::cache_for(py, cache_dir.as_ref())?;
        let mut options = OpenOptions::new(catalog(py, &paths)?);
        options.cache_dir = cache_dir;
        options.block_cache = block_cache;
        options.depth = depth;
        if let Some(at) = at {
            options.at = Some(at.parse().map_err(|e: String| errors::usage(py, e, ""))?);
        }
        work::run(py, None, move |_| terravec::Dataset::open(&spec, &options)).map(|d| Self(Arc::new(d)))
    }

    /// `raster`, `table` or `encoder`: how it holds its vectors.
    #[getter]
    fn form(&self) -> &'static str {
        match &*self.0 {
            terravec::Dataset::Raster(_) => "raster",
            terravec::Dataset::Patch(_) => "table",
            terravec::Dataset::Location(_) => "encoder",
        }
    }

    /// The descriptor, as JSON.
    #[getter]
    fn product(&self) -> String {
        json!(self.0.product()).to_string()
    }

    /// What it holds, as JSON.
    fn info(&self, py: Python<'_>) -> PyResult<String> {
        let own = Arc::clone(&self.0);
        work::run(py, None, move |_| {
            Ok(match &*own {
                terravec::Dataset::Raster(d) => json!(d.summary()?).to_string(),
                terravec::Dataset::Patch(d) => json!(d.summary()?).to_string(),
                terravec::Dataset::Location(d) => json!(d.summary()?).to_string(),
            })
        })
    }

    /// Its tiles or files, as JSON.
    fn coverage(
        &self,
        py: Python<'_>,
        bbox: Option<String>,
        regions: Option<&Regions>,
        year: Option<String>,
    ) -> PyResult<String> {
        let (area, years) = (area(py, bbox, regions, true, false)?, years(py, year)?);
        if let terravec::Dataset::Location(d) = &*self.0 {
            return Err(errors::usage(
                py,
                format!("{} is computed at any place and has no files to list", d.product().id),
                "ask for vectors at points with sample()",
            ));
        }
        let own = Arc::clone(&self.0);
        work::run(py, None, move |_| match &*own {
            terravec::Dataset::Raster(_) => {
                Ok(json!(terravec::coverage::coverage(&own, &area, &years)?.files).to_string())
            }
            terravec::Dataset::Patch(d) => Ok(json!(d.coverage(&area, &years)?).to_string()),
            terravec::Dataset::Location(_) => unreachable!("it has no files"),
        })
    }

    /// The grids of its tiles with their years.
    fn tiles(&self, py: Python<'_>, bbox: Option<String>, year: Option<String>) -> PyResult<Vec<TileFacts>> {
        let (raster, years) = (self.raster(py)?.clone(), years(py, year)?);
        let area = bbox.map(|b| parse_box(py, &b)).transpose()?;
        let whole = area.map_or(terravec::Area::All, terravec::Area::Box);
        let asked = years.clone();
        let raster = work::run(py, None, move |_| raster.narrowed(&whole, &asked))?;
        let periods = raster.periods(&years).map_err(|e| errors::raise(py, &e))?;
        let ids = periods.into_iter().flat_map(|p| raster.select(p, area.as_ref()));
        Ok(ids.map(|id| tile_facts(&raster.tiles()[id])).collect())
    }

    /// The tile (-1 for none), column and row in it of points in one period, and the tiles.
    fn locate<'py>(
        &self,
        py: Python<'py>,
        points: &Points,
        year: Option<String>,
    ) -> PyResult<(Numbers<'py>, Numbers<'py>, Numbers<'py>, Vec<TileFacts>)> {
        let (raster, years) = (self.raster(py)?.clone(), years(py, year)?);
        let given = points.0.clone();
        let raster = {
            let years = years.clone();
            work::run(py, None, move |_| raster.narrowed_to(&given, &years))?
        };
        let periods = raster.periods(&years).map_err(|e| errors::raise(py, &e))?;
        let [period] = periods[..] else {
            let what = format!("{} holds several years", raster.product().id);
            return Err(errors::usage(py, what, "name one with year="));
        };
        let (points, own) = (points.0.clone(), raster.clone());
        let found = work::run(py, None, move |_| locate(&own, &points, period))?;
        let mut seen: Vec<usize> = found.iter().flatten().map(|p| p.tile).collect();
        seen.sort_unstable();
        seen.dedup();
        let column = |f: &dyn Fn(&Place) -> usize| {
            #[allow(clippy::cast_possible_wrap)] // pixels of a tile
            let numbers = found.iter().map(|p| p.as_ref().map_or(-1, |p| f(p) as i64)).collect();
            PyArray1::from_vec(py, numbers)
        };
        let number = |p: &Place| seen.binary_search(&p.tile).unwrap_or_default();
        let tiles = seen.iter().map(|id| tile_facts(&raster.tiles()[*id])).collect();
        Ok((column(&number), column(&|p| p.col), column(&|p| p.row), tiles))
    }

    /// Vectors at points.
    fn sample(
        &self,
        py: Python<'_>,
        points: &Points,
        year: Option<String>,
        month: Option<u8>,
        codes: bool,
        nearest: Option<usize>,
        within: Option<f64>,
        rows: RowsArgument,
    ) -> PyResult<Table> {
        let own = self.at(py, month)?;
        let points = points.0.clone();
        let request = sample_request(py, year, codes, nearest, within, rows)?;
        work::run(py, None, move |_| {
            let (sampled, tally) = own.sample(points, &request)?;
            let nothing = own.why_nothing(&sampled).map(|why| format!("no point has a vector. {why}"));
            let names = sampled.band_names.clone();
            let notes = tally.warning().into_iter().chain(nothing).collect();
            Ok(Table::new(table::sampled(sampled)?, names, notes))
        })
    }

    /// What sampling would cost, as JSON.
    fn estimate_sample(
        &self,
        py: Python<'_>,
        points: &Points,
        year: Option<String>,
        nearest: Option<usize>,
        bandwidth: Option<String>,
    ) -> PyResult<String> {
        let (own, points) = (Arc::clone(&self.0), points.0.clone());
        let request = sample_request(py, year, false, nearest, None, (None, Vec::new(), false))?;
        work::run(py, None, move |_| {
            crate::remote::told(&terravec::estimate::sample(&own, &points, &request)?, bandwidth.as_deref())
        })
    }

    /// What reading rows of a table would cost, as JSON.
    fn estimate_rows(
        &self,
        py: Python<'_>,
        bbox: Option<String>,
        regions: Option<&Regions>,
        year: Option<String>,
        bandwidth: Option<String>,
    ) -> PyResult<String> {
        let own = Arc::clone(&self.0);
        let mut query = patch_query(py, year, false, (None, Vec::new(), false))?;
        query.area = area(py, bbox, regions, true, false)?;
        work::run(py, None, move |_| match &*own {
            terravec::Dataset::Patch(d) => {
                crate::remote::told(&terravec::estimate::rows(d, &query)?, bandwidth.as_deref())
            }
            _ => Err(terravec::Error::Query { what: "no table".into(), help: "estimate a window".into() }),
        })
    }

    /// Rows of a table.
    #[pyo3(signature = (bbox, regions, year, codes, keep_duplicates, rows, progress=None))]
    fn rows(
        &self,
        py: Python<'_>,
        bbox: Option<String>,
        regions: Option<&Regions>,
        year: Option<String>,
        codes: bool,
        keep_duplicates: bool,
        rows: RowsArgument,
        progress: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Table> {
        let patches = self.patches(py)?;
        let query = PatchQuery {
            area: area(py, bbox, regions, true, false)?,
            keep_duplicates,
            ..patch_query(py, year, codes, rows)?
        };
        work::run(py, progress.as_ref(), move |steps| {
            let (batch, read) = patches.read(&query, &|n| steps.count(n))?;
            let names = (0..read.dimension).map(|i| format!("e{i}")).collect();
            Ok(Table::new(batch, names, read.tally.warning().into_iter().collect()))
        })
    }

    /// Writes rows of a table; what became of them, as JSON.
    #[pyo3(signature = (path, force, bbox, regions, year, codes, keep_duplicates, rows, progress=None))]
    fn write_rows(
        &self,
        py: Python<'_>,
        path: PathBuf,
        force: bool,
        bbox: Option<String>,
        regions: Option<&Regions>,
        year: Option<String>,
        codes: bool,
        keep_duplicates: bool,
        rows: RowsArgument,
        progress: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Vec<String>> {
        let patches = self.patches(py)?;
        let query = PatchQuery {
            area: area(py, bbox, regions, true, false)?,
            keep_duplicates,
            ..patch_query(py, year, codes, rows)?
        };
        work::run(py, progress.as_ref(), move |steps| {
            let written = patches.write(&query, &path, force, &|n| steps.count(n))?;
            Ok(written.tally.warning().into_iter().collect())
        })
    }

    /// Plans an extraction from a raster or an encoder.
    fn plan(
        &self,
        py: Python<'_>,
        bbox: Option<String>,
        regions: Option<&Regions>,
        grid: Option<GridArgument>,
        year: Option<String>,
        month: Option<u8>,
        crs: Option<String>,
        resolution: Option<f64>,
        resampling: &str,
        bands: Option<Vec<String>>,
        codes: bool,
        mask: bool,
        all_touched: bool,
    ) -> PyResult<Plan> {
        let own = self.at(py, month)?;
        let gridded = own.gridded().map_err(|e| errors::raise(py, &e))?;
        let area = match grid {
            None => area(py, bbox, regions, mask, all_touched)?,
            Some((crs, [a, b, c, d, e, f], width, height)) => {
                let grid = Grid::new(parse_crs(py, &crs)?, Affine { a, b, c, d, e, f }, width, height);
                Area::Grid(grid.map_err(|e| errors::usage(py, e.to_string(), "give a north-up grid"))?)
            }
        };
        let request = Request {
            area,
            years: years(py, year)?,
            crs: crs.map(|c| parse_crs(py, &c)).transpose()?,
            resolution,
            resampling: parse_resampling(py, resampling)?,
            codes,
            bands,
        };
        work::run(py, None, move |_| Extraction::plan(gridded, &request)).map(Plan::new)
    }

    /// One vector per polygon.
    fn reduce(
        &self,
        py: Python<'_>,
        regions: &Regions,
        how: &str,
        year: Option<String>,
        month: Option<u8>,
        resolution: Option<f64>,
        all_touched: bool,
    ) -> PyResult<Table> {
        let how = parse_reduce(py, how)?;
        let gridded = self.at(py, month)?.gridded().map_err(|e| errors::raise(py, &e))?;
        let regions = regions.0.clone();
        let request = Request { years: years(py, year)?, resolution, ..Request::default() };
        work::run(py, None, move |_| {
            let reduced = terravec::reduce(gridded, &regions, all_touched, &request, how)?;
            let names = reduced.band_names.clone();
            Ok(Table::new(table::reduced(reduced)?, names, Vec::new()))
        })
    }
}

/// A column of whole numbers.
type Numbers<'py> = Bound<'py, PyArray1<i64>>;

/// (CRS, transform, width, height, year) of a tile.
type TileFacts = (String, [f64; 6], usize, usize, Option<i32>);

fn tile_facts(tile: &Tile) -> TileFacts {
    let a = &tile.grid.affine;
    let transform = [a.a, a.b, a.c, a.d, a.e, a.f];
    (tile.grid.crs.to_string(), transform, tile.grid.width, tile.grid.height, tile.year())
}
