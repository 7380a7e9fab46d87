//! AlphaEarth's own index, `aef_index.parquet`: 300 000 tiles without opening one.
//!
//! Columns used: `crs` (`EPSG:32633`), `year`, `utm_west/south/east/north` (outer pixel edges, metres),
//! `wgs84_west/south/east/north` and `path`. Paths are URLs of the publisher; in a mirror the same tail of the path lies below the
//! folder that holds the index.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use terravec_geo::{Affine, Crs, Grid, LonLatBox};
use terravec_io::DType;
use terravec_io::source::Location;

use super::tile::Tile;
use crate::error::{Error, Result};
use crate::time::Interval;

/// The file's name.
pub(crate) const NAME: &str = "aef_index.parquet";
/// AlphaEarth's pixel, metres.
const PIXEL: f64 = 10.0;
const BANDS: usize = 64;
/// Tiles of an index that are looked for on a server before the paths are given up.
const PROBES: usize = 20;

/// Columns of the edges of a tile: of its grid in metres, of its box in degrees.
const EDGES: [&str; 8] = [
    "utm_west",
    "utm_south",
    "utm_east",
    "utm_north",
    "wgs84_west",
    "wgs84_south",
    "wgs84_east",
    "wgs84_north",
];

/// Reads the index in the folder `base`: its tiles, with paths relative to that folder.
///
/// # Errors
/// If it can't be read or lacks a column.
pub(crate) fn read(base: &Location) -> Result<Vec<Tile>> {
    let location = base.join(NAME);
    let src = location.open()?;
    let bytes = src.read(0..src.len()?)?;
    let bad =
        |what: String| Error::open(format!("{location}: {what}"), "fetch the index again from its publisher");
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|e| bad(e.to_string()))?;
    let wanted = || ["crs", "year", "path"].into_iter().chain(EDGES);
    let schema = builder.schema().clone();
    if let Some(missing) = wanted().find(|w| schema.index_of(w).is_err()) {
        return Err(bad(format!("the index has no column `{missing}`")));
    }
    let mask = ProjectionMask::columns(builder.parquet_schema(), wanted());
    let reader =
        builder.with_projection(mask).with_batch_size(65_536).build().map_err(|e| bad(e.to_string()))?;
    let mut tiles = Vec::new();
    let mut systems = HashMap::new();
    for batch in reader {
        let batch = batch.map_err(|e| bad(e.to_string()))?;
        rows(&batch, &mut systems, &mut tiles).map_err(&bad)?;
    }
    relative(base, &mut tiles).map_err(bad)?;
    if let Some(folder) = base.path() {
        keep_present(folder, &mut tiles);
    }
    Ok(tiles)
}

fn rows(
    batch: &RecordBatch,
    systems: &mut HashMap<String, Crs>,
    tiles: &mut Vec<Tile>,
) -> std::result::Result<(), String> {
    let column = |name: &str, to: &DataType| {
        let c = batch.column_by_name(name).ok_or(format!("no column `{name}`"))?;
        let c = cast(c, to).map_err(|e| format!("column `{name}`: {e}"))?;
        if c.null_count() > 0 { Err(format!("column `{name}` has nulls")) } else { Ok(c) }
    };
    let (crs, path) = (column("crs", &DataType::Utf8)?, column("path", &DataType::Utf8)?);
    let (crs, path) = (crs.as_string::<i32>(), path.as_string::<i32>());
    let year = column("year", &DataType::Int64)?;
    let year = year.as_primitive::<Int64Type>();
    let mut edges = Vec::new();
    for name in EDGES {
        edges.push(column(name, &DataType::Float64)?.as_primitive::<Float64Type>().clone());
    }
    for i in 0..batch.num_rows() {
        let e: Vec<f64> = edges.iter().map(|c| c.value(i)).collect();
        let system = match systems.get(crs.value(i)) {
            Some(c) => c.clone(),
            None => {
                let c = Crs::parse(crs.value(i)).map_err(|e| e.to_string())?;
                systems.insert(crs.value(i).to_string(), c.clone());
                c
            }
        };
        let (w, h) = ((e[2] - e[0]) / PIXEL, (e[3] - e[1]) / PIXEL);
        if !(w >= 1.0 && h >= 1.0 && w < 1e6 && h < 1e6) {
            return Err(format!("row for {}: bounds {:?} are no tile", path.value(i), &e[..4]));
        }
        let year = i32::try_from(year.value(i)).map_err(|_| format!("year {} is no year", year.value(i)))?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let (width, height) = (w.round() as usize, h.round() as usize);
        tiles.push(Tile {
            path: path.value(i).to_string(),
            step: 0,
            grid: Grid { crs: system, affine: Affine::north_up(e[0], e[3], PIXEL, PIXEL), width, height },
            lonlat: LonLatBox { west: e[4], south: e[5], east: e[6], north: e[7] },
            interval: Some(Interval::year(year)),
            bands: BANDS,
            dtype: DType::I8,
            size: 0,
            modified_ms: 0,
        });
    }
    Ok(())
}

/// Leaves out tiles that a local mirror does not hold. Every folder is listed once.
fn keep_present(base: &Path, tiles: &mut Vec<Tile>) {
    let mut folders: HashMap<String, HashSet<OsString>> = HashMap::new();
    tiles.retain(|tile| {
        let (folder, name) = tile.path.rsplit_once('/').unwrap_or(("", &tile.path));
        if !folders.contains_key(folder) {
            let files = std::fs::read_dir(base.join(folder)).into_iter().flatten().flatten();
            folders.insert(folder.to_string(), files.map(|f| f.file_name()).collect());
        }
        folders.get(folder).is_some_and(|files| files.contains(OsStr::new(name)))
    });
}

/// Cuts the publisher's prefix from every path: the tail that exists below `base` is found with the first tile that
/// does.
fn relative(base: &Location, tiles: &mut [Tile]) -> std::result::Result<(), String> {
    let exists = |tail: &str| {
        let location = base.join(tail);
        location.path().map_or_else(|| location.open().and_then(|s| s.read(0..16)).is_ok(), Path::is_file)
    };
    let remote = base.is_remote();
    let tail = |path: &str, keep: usize| {
        let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
        (keep <= parts.len()).then(|| parts[parts.len() - keep..].join("/"))
    };
    // A mirror of one area may hold few of the tiles: look at some from everywhere in the index.
    let step = (tiles.len() / PROBES).max(1);
    for probe in tiles.iter().step_by(if remote { step } else { 1 }) {
        let longest = probe.path.split('/').count();
        let found = (1..=longest).rev().find(|&keep| tail(&probe.path, keep).is_some_and(|t| exists(&t)));
        if let Some(keep) = found {
            for tile in tiles.iter_mut() {
                if let Some(t) = tail(&tile.path, keep) {
                    tile.path = t;
                }
            }
            return Ok(());
        }
    }
    Err(format!("no tile of the index lies below {base}"))
}
