//! The persisted list of a folder's tiles, so that a second opening reads one file instead of every header.
//!
//! An index is an Arrow file in the cache, one row per tile. It is trusted only while every folder below the root has the
//! modification time it had (a file added, removed or renamed changes it) and, for folders of moderate size, while every file has its size
//! and time; a tile that is opened is compared with its row in any case.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray,
    UInt8Array, UInt32Array, UInt64Array,
};
use arrow::datatypes::{
    DataType, Field, Float64Type, Int32Type, Int64Type, Schema, UInt8Type, UInt32Type, UInt64Type,
};
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use terravec_geo::{Affine, Crs, Grid, LonLatBox};
use terravec_io::DType;
use terravec_io::atomic::PendingFile;

use super::tile::Tile;
use crate::time::Interval;

/// Raised whenever the columns change.
const VERSION: &str = "1";
/// Folders with fewer tiles are read anew each time: that costs less than keeping an index true.
const MIN_TILES: usize = 64;
/// Above this, single files are not looked at when an index is opened, only folders.
const MAX_STATS: usize = 20_000;

/// Where the index of `root`, opened as the product with this fingerprint, lies in the cache.
fn location(cache: &Path, root: &Path, fingerprint: &str) -> PathBuf {
    let root = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
    let key = fnv(&format!("{}\n{fingerprint}", root.display()));
    cache.join("index").join(format!("{key:016x}.arrow"))
}

/// FNV-1a, 64 bit: a stable name, not a defence.
pub(crate) fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// Milliseconds since 1970; 0 where the file system keeps no time.
pub(crate) fn time_ms(time: Option<SystemTime>) -> i64 {
    time.and_then(|t| t.duration_since(UNIX_EPOCH).ok())
        .and_then(|d| i64::try_from(d.as_millis()).ok())
        .unwrap_or(0)
}

/// Folders that hold tiles, and all between them and the root, with their times in nanoseconds.
fn folders(root: &Path, tiles: &[Tile]) -> Vec<(String, u64)> {
    let mut names = std::collections::BTreeSet::from([String::new()]);
    for tile in tiles {
        let mut at = Path::new(&tile.path).parent();
        while let Some(dir) = at {
            if !names.insert(dir.to_string_lossy().into_owned()) {
                break;
            }
            at = dir.parent();
        }
    }
    names.into_iter().map(|name| (name.clone(), folder_time(&root.join(name)))).collect()
}

fn folder_time(path: &Path) -> u64 {
    fs::metadata(path)
        .and_then(|m| m.modified())
        .ok()
        .and_then(|t| t.duration_since(UNIX_EPOCH).ok())
        .and_then(|d| u64::try_from(d.as_nanos()).ok())
        .unwrap_or(0)
}

/// Reads the index of `root`, if there is one and nothing changed since.
pub(crate) fn load(cache: &Path, root: &Path, fingerprint: &str) -> Option<Vec<Tile>> {
    let reader = FileReader::try_new(File::open(location(cache, root, fingerprint)).ok()?, None).ok()?;
    let schema = reader.schema();
    let meta = schema.metadata();
    if meta.get("version").map(String::as_str) != Some(VERSION) {
        return None;
    }
    let dirs: Vec<(String, u64)> = serde_json::from_str(meta.get("folders")?).ok()?;
    if dirs.iter().any(|(name, time)| *time == 0 || folder_time(&root.join(name)) != *time) {
        return None;
    }
    let mut tiles = Vec::new();
    for batch in reader {
        read_batch(&batch.ok()?, &mut tiles)?;
    }
    if tiles.len() <= MAX_STATS {
        let same = |t: &Tile| {
            fs::metadata(root.join(&t.path))
                .is_ok_and(|m| m.len() == t.size && time_ms(m.modified().ok()) == t.modified_ms)
        };
        if !tiles.iter().all(same) {
            return None;
        }
    }
    Some(tiles)
}

/// Keeps an index of `root` for the next opening. A cache that can't be written is no failure: the next opening is slow again.
pub(crate) fn store(cache: &Path, root: &Path, fingerprint: &str, tiles: &[Tile]) {
    if tiles.len() < MIN_TILES {
        return;
    }
    let path = location(cache, root, fingerprint);
    let write = || -> Option<()> {
        fs::create_dir_all(path.parent()?).ok()?;
        let batch = to_batch(root, tiles)?;
        let part = PendingFile::create(&path).ok()?;
        let mut writer = FileWriter::try_new(part.file(), &batch.schema()).ok()?;
        writer.write(&batch).and_then(|()| writer.finish()).ok()?;
        part.commit().ok()
    };
    let _ = write();
}

fn to_batch(root: &Path, tiles: &[Tile]) -> Option<RecordBatch> {
    let f64s =
        |f: fn(&Tile) -> f64| -> ArrayRef { Arc::new(Float64Array::from_iter_values(tiles.iter().map(f))) };
    let time = |f: fn(&Interval) -> i64| -> ArrayRef {
        Arc::new(tiles.iter().map(|t| t.interval.as_ref().map(f)).collect::<Int64Array>())
    };
    let u32s = |f: fn(&Tile) -> usize| -> Option<ArrayRef> {
        let values = tiles.iter().map(|t| u32::try_from(f(t)).ok()).collect::<Option<Vec<_>>>()?;
        Some(Arc::new(UInt32Array::from(values)))
    };
    let crs: DictionaryArray<Int32Type> =
        tiles.iter().map(|t| crs_text(&t.grid.crs)).collect::<Vec<_>>().iter().map(String::as_str).collect();
    let dtype = tiles
        .iter()
        .map(|t| DType::ALL.iter().position(|d| *d == t.dtype).and_then(|i| u8::try_from(i).ok()));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("path", Arc::new(StringArray::from_iter_values(tiles.iter().map(|t| &t.path)))),
        ("crs", Arc::new(crs)),
        ("x0", f64s(|t| t.grid.affine.c)),
        ("y0", f64s(|t| t.grid.affine.f)),
        ("dx", f64s(|t| t.grid.affine.a)),
        ("dy", f64s(|t| t.grid.affine.e)),
        ("width", u32s(|t| t.grid.width)?),
        ("height", u32s(|t| t.grid.height)?),
        ("west", f64s(|t| t.lonlat.west)),
        ("south", f64s(|t| t.lonlat.south)),
        ("east", f64s(|t| t.lonlat.east)),
        ("north", f64s(|t| t.lonlat.north)),
        ("start", time(|i| i.start_ms)),
        ("end", time(|i| i.end_ms)),
        ("bands", u32s(|t| t.bands)?),
        ("dtype", Arc::new(dtype.collect::<Option<Vec<u8>>>().map(UInt8Array::from)?)),
        ("size", Arc::new(UInt64Array::from_iter_values(tiles.iter().map(|t| t.size)))),
        ("modified", Arc::new(Int64Array::from_iter_values(tiles.iter().map(|t| t.modified_ms)))),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|(n, c)| Field::new(*n, c.data_type().clone(), c.is_nullable())).collect();
    let metadata = [
        ("version".to_string(), VERSION.to_string()),
        ("folders".to_string(), serde_json::to_string(&folders(root, tiles)).ok()?),
    ];
    let schema = Schema::new(fields).with_metadata(metadata.into());
    RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, c)| c).collect()).ok()
}

fn crs_text(crs: &Crs) -> String {
    crs.epsg().map_or_else(|| crs.to_projjson().to_string(), |code| format!("EPSG:{code}"))
}

fn read_batch(batch: &RecordBatch, tiles: &mut Vec<Tile>) -> Option<()> {
    let column = |name: &str| batch.column_by_name(name);
    let f64s = |name: &str| column(name)?.as_primitive_opt::<Float64Type>();
    let u32s = |name: &str| column(name)?.as_primitive_opt::<UInt32Type>();
    let i64s = |name: &str| column(name)?.as_primitive_opt::<Int64Type>();
    let path = column("path")?.as_string_opt::<i32>()?;
    let crs = column("crs")?.as_dictionary_opt::<Int32Type>()?;
    if crs.values().data_type() != &DataType::Utf8 {
        return None;
    }
    let systems: Vec<Crs> =
        crs.values().as_string::<i32>().iter().map(|t| Crs::parse(t?).ok()).collect::<Option<_>>()?;
    let (x0, y0, dx, dy) = (f64s("x0")?, f64s("y0")?, f64s("dx")?, f64s("dy")?);
    let (width, height, bands) = (u32s("width")?, u32s("height")?, u32s("bands")?);
    let (west, south, east, north) = (f64s("west")?, f64s("south")?, f64s("east")?, f64s("north")?);
    let (start, end, modified) = (i64s("start")?, i64s("end")?, i64s("modified")?);
    let dtype = column("dtype")?.as_primitive_opt::<UInt8Type>()?;
    let size = column("size")?.as_primitive_opt::<UInt64Type>()?;
    tiles.reserve(batch.num_rows());
    for i in 0..batch.num_rows() {
        tiles.push(Tile {
            path: path.value(i).to_string(),
            step: 0,
            grid: Grid {
                crs: systems.get(crs.key(i)?)?.clone(),
                affine: Affine::new(dx.value(i), 0.0, x0.value(i), 0.0, dy.value(i), y0.value(i)),
                width: width.value(i) as usize,
                height: height.value(i) as usize,
            },
            lonlat: LonLatBox {
                west: west.value(i),
                south: south.value(i),
                east: east.value(i),
                north: north.value(i),
            },
            interval: start.is_valid(i).then(|| Interval { start_ms: start.value(i), end_ms: end.value(i) }),
            bands: bands.value(i) as usize,
            dtype: *DType::ALL.get(usize::from(dtype.value(i)))?,
            size: size.value(i),
            modified_ms: modified.value(i),
        });
    }
    Some(())
}
