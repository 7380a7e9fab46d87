//! Vectors as a stream of row-major blocks, whether they lie in the rows of a table or on the pixels of a raster.
//!
//! Search, clusters, indexes and bases all look at every vector once, and do not care where it lies; only the rows of an answer
//! are asked for their place, time and columns.

use arrow::array::RecordBatch;
use terravec::patch::{Patches, Scan};
use terravec::query::sample::Values;
use terravec::sink::Progress;
use terravec::table::{self, PixelRows};
use terravec::{Error, Extraction, Interval, Pixels, Provenance, Result, Status};
use terravec_geo::{Crs, Transform, Window, wrap_lon};
use terravec_io::Samples;

/// Some vectors, all finite, and where they lie.
#[derive(Debug)]
pub struct Block {
    /// Row-major, `dim` numbers per row.
    pub values: Vec<f32>,
    /// Numbers per vector.
    pub dim: usize,
    /// The place in the stream of its first row, counted over rows that have a vector.
    pub first: u64,
    origin: Origin,
}

#[derive(Debug)]
enum Origin {
    /// Rows of a table; their own vectors were moved out of them.
    Patches(Box<Patches>),
    /// Pixels of a window, as numbers of its pixels.
    Pixels { period: usize, window: Window, index: Vec<u32> },
}

impl Block {
    /// Rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.values.len() / self.dim.max(1)
    }

    /// The vector of a row.
    #[must_use]
    pub fn vector(&self, row: usize) -> &[f32] {
        &self.values[row * self.dim..(row + 1) * self.dim]
    }

    /// Centres of rows of a table, (lon, lat) in degrees; `None` for pixels.
    #[must_use]
    pub fn centre(&self, row: usize) -> Option<(f64, f64)> {
        match &self.origin {
            Origin::Patches(p) => Some((p.lon[row], p.lat[row])),
            Origin::Pixels { .. } => None,
        }
    }

    /// The pixel (period, column, row) of the plan's grid that a row is; `None` for tables.
    #[must_use]
    pub fn pixel(&self, row: usize) -> Option<(usize, usize, usize)> {
        match &self.origin {
            Origin::Patches(_) => None,
            Origin::Pixels { period, window, index } => {
                let i = index[row] as usize;
                Some((*period, window.col + i % window.width, window.row + i / window.width))
            }
        }
    }

    /// The table's own columns; `None` for pixels.
    #[must_use]
    pub fn columns(&self) -> Option<&RecordBatch> {
        match &self.origin {
            Origin::Patches(p) => Some(&p.columns),
            Origin::Pixels { .. } => None,
        }
    }
}

/// Where and when rows are.
#[derive(Debug, Clone)]
pub struct Places {
    /// Longitudes and latitudes, degrees.
    pub lonlat: (Vec<f64>, Vec<f64>),
    /// When they hold, where that is known.
    pub intervals: Vec<Option<Interval>>,
}

/// Vectors of a dataset, block by block, in the order of files and rows, or of periods, chunks and pixels.
pub struct Stream<'a> {
    from: From<'a>,
    next: u64,
    /// Rows or pixels without a vector so far.
    pub without_vector: u64,
    progress: Progress<'a>,
}

enum From<'a> {
    Patches(Box<Scan<'a>>),
    Pixels { plan: &'a Extraction, chunks: Vec<Window>, job: usize, to_lonlat: Box<Transform> },
}

impl std::fmt::Debug for Stream<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("next", &self.next).finish_non_exhaustive()
    }
}

impl<'a> Stream<'a> {
    /// Of the rows of a scan. `progress` hears of the rows so far (their number twice, as the end is not known).
    #[must_use]
    pub fn of_rows(scan: Scan<'a>, progress: Progress<'a>) -> Self {
        Self { from: From::Patches(Box::new(scan)), next: 0, without_vector: 0, progress }
    }

    /// Of the pixels of a plan, which must be one of vectors.
    ///
    /// # Errors
    /// If the grid's CRS has no way to degrees.
    pub fn of_pixels(plan: &'a Extraction, progress: Progress<'a>) -> Result<Self> {
        let to_lonlat = Transform::new(&plan.grid.crs, &Crs::wgs84())
            .map_err(|source| Error::Geo { context: "to lon/lat".into(), source })?;
        let from = From::Pixels { plan, chunks: plan.chunks(1), job: 0, to_lonlat: Box::new(to_lonlat) };
        Ok(Self { from, next: 0, without_vector: 0, progress })
    }

    /// Where the vectors so far come from.
    #[must_use]
    pub fn provenance(&self) -> Provenance {
        match &self.from {
            From::Patches(scan) => scan.provenance(),
            From::Pixels { plan, .. } => plan.provenance.clone(),
        }
    }

    /// Rows left out of a table for their faults, in words.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        match &self.from {
            From::Patches(scan) => scan.tally().warning(),
            From::Pixels { .. } => None,
        }
    }

    /// The next block with at least one row; `None` at the end.
    ///
    /// # Errors
    /// If a file can't be read.
    pub fn step(&mut self) -> Result<Option<Block>> {
        loop {
            let block = match &mut self.from {
                From::Patches(scan) => {
                    let Some(patches) = scan.next().transpose()? else { return Ok(None) };
                    let all = patches.rows();
                    (self.progress)(self.next as usize + all, 0);
                    let (block, without) = of_patches(patches)?;
                    self.without_vector += without as u64;
                    block
                }
                From::Pixels { plan, chunks, job, .. } => {
                    let all = chunks.len() * plan.periods.len();
                    if *job == all {
                        return Ok(None);
                    }
                    let (period, window) = (*job / chunks.len(), chunks[*job % chunks.len()]);
                    *job += 1;
                    let block = of_pixels(plan, period, window)?;
                    self.without_vector += (window.width * window.height - block.rows()) as u64;
                    (self.progress)(*job, all);
                    block
                }
            };
            if block.rows() > 0 {
                let first = self.next;
                self.next += block.rows() as u64;
                return Ok(Some(Block { first, ..block }));
            }
        }
    }

    /// Where and when the rows of a block of this stream are.
    #[must_use]
    pub fn places(&self, block: &Block) -> Places {
        match (&block.origin, &self.from) {
            (Origin::Patches(p), _) => {
                Places { lonlat: (p.lon.clone(), p.lat.clone()), intervals: p.intervals.clone() }
            }
            (Origin::Pixels { period, .. }, From::Pixels { plan, to_lonlat, .. }) => {
                let centre = |row: usize| {
                    let (_, col, row) = block.pixel(row).unwrap_or_default();
                    plan.grid.center(col, row)
                };
                let (mut lon, mut lat): (Vec<f64>, Vec<f64>) = (0..block.rows()).map(centre).unzip();
                to_lonlat.points(&mut lon, &mut lat);
                lon.iter_mut().for_each(|v| *v = wrap_lon(*v));
                let interval = plan.periods[*period].map(Interval::year).or_else(|| plan.fixed_interval());
                Places { lonlat: (lon, lat), intervals: vec![interval; block.rows()] }
            }
            _ => unreachable!("a block is asked about by the stream it came from"),
        }
    }

    /// Place, time, columns and vectors of some rows of a block of this stream.
    ///
    /// # Errors
    /// If Arrow refuses a column, which would be a fault of ours.
    pub fn table(&self, block: &Block, rows: &[usize]) -> Result<RecordBatch> {
        let values: Vec<f32> = rows.iter().flat_map(|r| block.vector(*r)).copied().collect();
        match (&block.origin, &self.from) {
            (Origin::Patches(patches), From::Patches(scan)) => {
                let mut picked = patches.select(rows)?;
                picked.values = Values::Vectors(values);
                picked.dimension = block.dim;
                table::patches(picked, &scan.provenance())
            }
            (Origin::Pixels { period, .. }, From::Pixels { plan, to_lonlat, .. }) => {
                let centre = |r: &usize| {
                    let (_, col, row) = block.pixel(*r).unwrap_or_default();
                    plan.grid.center(col, row)
                };
                let (xs, ys): (Vec<f64>, Vec<f64>) = rows.iter().map(centre).unzip();
                let (mut lon, mut lat) = (xs.clone(), ys.clone());
                to_lonlat.points(&mut lon, &mut lat);
                lon.iter_mut().for_each(|v| *v = wrap_lon(*v));
                let interval = plan.periods[*period].map(Interval::year).or_else(|| plan.fixed_interval());
                let rows = PixelRows {
                    xy: (xs, ys),
                    lonlat: (lon, lat),
                    interval,
                    values: Samples::F32(values),
                    codes: false,
                    scales: None,
                    depth: block.dim,
                };
                table::pixels(rows, &plan.provenance)
            }
            _ => unreachable!("a block is asked about by the stream it came from"),
        }
    }
}

/// The rows that have a vector, and how many have none.
fn of_patches(mut patches: Patches) -> Result<(Block, usize)> {
    let valid: Vec<usize> = (0..patches.rows()).filter(|i| patches.status[*i] == Status::Valid).collect();
    let without = patches.rows() - valid.len();
    if without > 0 {
        patches = patches.select(&valid)?;
    }
    let dim = patches.dimension;
    let values = match std::mem::replace(&mut patches.values, Values::Vectors(Vec::new())) {
        Values::Vectors(v) => v,
        Values::Codes(_) => {
            return Err(Error::query("the rows hold codes, not vectors", "ask for decoded vectors"));
        }
    };
    // What `select` later picks from is empty.
    patches.dimension = 0;
    Ok((Block { values, dim, first: 0, origin: Origin::Patches(Box::new(patches)) }, without))
}

/// The pixels of a window that have a vector.
#[allow(clippy::cast_possible_truncation)] // chunks have far fewer than 2³² pixels
fn of_pixels(plan: &Extraction, period: usize, window: Window) -> Result<Block> {
    let Pixels::Vectors(vectors) = plan.read(period, window)? else {
        return Err(Error::query("the raster is read as codes, not vectors", "ask for decoded vectors"));
    };
    let index: Vec<u32> =
        (0..vectors.pixels() as u32).filter(|i| vectors.status[*i as usize] == Status::Valid).collect();
    let values = row_major(&vectors, &index);
    Ok(Block { values, dim: vectors.bands, first: 0, origin: Origin::Pixels { period, window, index } })
}

/// Vectors of the pixels `index`, row by row.
#[must_use]
pub fn row_major(vectors: &terravec::Vectors, index: &[u32]) -> Vec<f32> {
    use rayon::prelude::*;
    /// Pixels moved together: their numbers of all bands stay in the cache.
    const TILE: usize = 256;
    let (dim, planes) = (vectors.bands, vectors.pixels());
    let mut values = vec![0f32; index.len() * dim];
    values.par_chunks_mut((TILE * dim).max(1)).zip(index.par_chunks(TILE)).for_each(|(out, index)| {
        for (b, plane) in vectors.data.chunks_exact(planes.max(1)).enumerate() {
            for (row, i) in index.iter().enumerate() {
                out[row * dim + b] = plane[*i as usize];
            }
        }
    });
    values
}
