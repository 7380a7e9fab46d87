//! The registry beside a store of arrays: which of its shards hold vectors, in Parquet files by zone and year (`zone=33S/year=2024/…`).
//!
//! Rows have `tile`, the box `bbox_west`, `bbox_south`, `bbox_east`, `bbox_north` in degrees, whether it was `embedded`, and when it was
//! `assembled_at`: the last word on a tile counts.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use terravec_geo::LonLatBox;
use terravec_io::source::{self, Location, SourceError};
use terravec_io::table::{ReadPlan, TableFile};

use super::Listed;
use crate::dataset::open::at_once;
use crate::dataset::tile::Tile;
use crate::error::{Error, Result};
use crate::query::places::Places;

/// What is said of a tile: when, where, and whether it has vectors.
type Word = (String, LonLatBox, bool);

/// The shards of `tiles` (a zone in a year each) that hold vectors and touch some places; `None` where there is no registry.
///
/// # Errors
/// If the registry can't be read.
pub(crate) fn find(folder: &Location, tiles: &[&Tile], places: &Places) -> Result<Option<Vec<Listed>>> {
    let parts = match source::list(folder) {
        Ok(parts) => parts,
        // A copy of the store alone, or a host that can't list.
        Err(e) if e.is_absence() || matches!(e, SourceError::NotListable { .. }) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let of = |tile: &Tile| {
        let zone = tile.path.rsplit('/').next().unwrap_or_default();
        Some(format!("zone={zone}/year={}/", tile.year()?))
    };
    let wanted: Vec<(&Tile, Location)> = tiles
        .iter()
        .filter_map(|t| Some((*t, of(t)?)))
        .flat_map(|(t, prefix)| {
            let here =
                parts.iter().filter(move |p| p.path.starts_with(&prefix) && p.path.ends_with(".parquet"));
            here.map(move |p| (t, folder.join(&p.path)))
        })
        .collect();
    if wanted.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let mut found: BTreeMap<(&str, i32, String), (Word, &Tile)> = BTreeMap::new();
    for ((tile, _), words) in wanted.iter().zip(at_once(&wanted, |(_, part)| read(part))?) {
        for (name, word) in words? {
            let key = (tile.path.as_str(), tile.year().unwrap_or_default(), name);
            match found.get(&key) {
                Some(((when, ..), _)) if *when >= word.0 => {}
                _ => drop(found.insert(key, (word, tile))),
            }
        }
    }
    let holds = |(_, lonlat, embedded): &Word| *embedded && places.touch(lonlat);
    let listed =
        found.into_iter().filter(|(_, (word, _))| holds(word)).map(|((path, _, name), (word, tile))| {
            Listed {
                path: format!("{path}/{name}"),
                lonlat: word.1,
                interval: tile.interval,
                bytes: None,
                scales_bytes: None,
            }
        });
    Ok(Some(listed.collect()))
}

fn read(part: &Location) -> Result<Vec<(String, Word)>> {
    let bad = |what: String| Error::open(format!("{part}: {what}"), "tell the publisher of the registry");
    let table = TableFile::open(part.open()?)?;
    let names = ["tile", "bbox_west", "bbox_south", "bbox_east", "bbox_north", "embedded", "assembled_at"];
    let at = |name: &&str| {
        table.schema().index_of(name).map_err(|_| bad(format!("the registry has no column `{name}`")))
    };
    let mut columns = names.iter().map(at).collect::<Result<Vec<_>>>()?;
    columns.sort_unstable();
    let plan = ReadPlan { columns, groups: (0..table.groups()).collect(), rows: None, batch_rows: 65_536 };
    let mut words = Vec::new();
    for batch in table.read(&plan)? {
        words_of(&batch?, &mut words).map_err(bad)?;
    }
    Ok(words)
}

fn words_of(batch: &RecordBatch, words: &mut Vec<(String, Word)>) -> Result<(), String> {
    let column = |name: &str, to: &DataType| {
        let column = batch.column_by_name(name).ok_or(format!("no column `{name}`"))?;
        cast(column, to).map_err(|e| format!("column `{name}`: {e}"))
    };
    let tiles = column("tile", &DataType::Utf8)?;
    let embedded = column("embedded", &DataType::Boolean)?;
    let times = times_of(batch)?;
    let edges = ["bbox_west", "bbox_south", "bbox_east", "bbox_north"]
        .map(|n| column(n, &DataType::Float64))
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    for (i, when) in times.into_iter().enumerate() {
        let edge = |e: usize| edges[e].as_primitive::<Float64Type>().value(i);
        if tiles.is_null(i) || edges.iter().any(|e| e.is_null(i)) {
            return Err("a tile has no name or no place".into());
        }
        let lonlat = LonLatBox::new(edge(0), edge(1), edge(2), edge(3)).map_err(|e| e.to_string())?;
        let is = embedded.is_valid(i) && embedded.as_boolean().value(i);
        words.push((tiles.as_string::<i32>().value(i).to_owned(), (when, lonlat, is)));
    }
    Ok(())
}

/// Times that are in order as text: written so, or counted since 1970 (whatever the zone they are shown in).
fn times_of(batch: &RecordBatch) -> Result<Vec<String>, String> {
    let column = batch.column_by_name("assembled_at").ok_or("no column `assembled_at`")?;
    let failed = |e: arrow::error::ArrowError| format!("column `assembled_at`: {e}");
    if let DataType::Timestamp(unit, _) = column.data_type() {
        let ticks = cast(column, &DataType::Int64).map_err(failed)?;
        let micros = |ticks: i64| match unit {
            TimeUnit::Second => ticks.saturating_mul(1_000_000),
            TimeUnit::Millisecond => ticks.saturating_mul(1000),
            TimeUnit::Microsecond => ticks,
            TimeUnit::Nanosecond => ticks / 1000,
        };
        let text = |t: Option<i64>| t.map_or(String::new(), |t| format!("{:020}", micros(t).max(0)));
        return Ok(ticks.as_primitive::<Int64Type>().iter().map(text).collect());
    }
    let texts = cast(column, &DataType::Utf8).map_err(failed)?;
    Ok(texts.as_string::<i32>().iter().map(|t| t.unwrap_or_default().to_owned()).collect())
}
