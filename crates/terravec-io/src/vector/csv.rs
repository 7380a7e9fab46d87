//! CSV and its relatives: longitude and latitude in columns, or a geometry as text.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use arrow::array::{ArrayRef, StringArray, StringBuilder};
use geo_types::Coord;
use terravec_geo::Crs;

use super::cells::{batch, column};
use super::error::VectorError;
use super::features::{Features, RowNames, Shape};
use super::place::{coordinate_columns, lonlat_columns};
use super::{geojson, wkt};
use crate::geoparquet::footer::Reference;

/// Names of columns with a geometry, in the order they are tried; Earth Engine exports GeoJSON as `.geo`.
const GEOMETRY: [&str; 6] = ["geometry", "wkt", "geom", "the_geom", ".geo", "geojson"];
/// A header longer than this is no header.
const HEADER_BYTES: u64 = 1 << 20;

/// Where the places are.
enum Places {
    Columns(usize, usize),
    Text(usize),
}

pub(super) fn read<S: Shape>(path: &Path) -> Result<Features<S>, VectorError> {
    let delimiter = delimiter(path)?;
    let broken = |e: csv::Error| match e.into_kind() {
        csv::ErrorKind::Io(source) => VectorError::Io { path: path.to_path_buf(), source },
        csv::ErrorKind::Utf8 { pos, .. } => {
            let line = pos.map_or_else(String::new, |p| format!("line {}: ", p.line()));
            VectorError::content(path, format!("{line}it is not UTF-8 text"), "save it as UTF-8")
        }
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.map_or(0, |p| p.line());
            let what = format!("line {line}: {len} cells, but the header has {expected_len}");
            VectorError::content(path, what, "quote cells that hold the separator")
        }
        other => VectorError::content(path, format!("it is no CSV: {other:?}"), "check the file"),
    };
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_path(path).map_err(broken)?;
    let names: Vec<String> = reader.headers().map_err(broken)?.iter().map(ToString::to_string).collect();
    let places = places::<S>(path, &names)?;
    let mut text: Vec<StringBuilder> = names.iter().map(|_| StringBuilder::new()).collect();
    let mut lines = Vec::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(broken)? {
        lines.push(record.position().map_or(0, csv::Position::line));
        text.iter_mut().zip(&record).for_each(|(column, cell)| column.append_value(cell));
    }
    let text: Vec<StringArray> = text.iter_mut().map(StringBuilder::finish).collect();
    let mut flattened = false;
    let mut shapes = Vec::with_capacity(lines.len());
    for (row, line) in lines.iter().enumerate() {
        let shape = match places {
            Places::Columns(x, y) => pair::<S>(&names, [x, y], [text[x].value(row), text[y].value(row)]),
            Places::Text(i) => geometry::<S>(text[i].value(row), &mut flattened),
        };
        shapes.push(shape.map_err(|e| {
            VectorError::content(path, format!("line {line}: {e}"), "correct the line, or leave it out")
        })?);
    }
    let dropped = if let Places::Text(i) = places { Some(i) } else { None };
    let columns: Vec<(String, ArrayRef)> = names
        .into_iter()
        .zip(&text)
        .enumerate()
        .filter(|(i, _)| Some(*i) != dropped)
        .map(|(_, (name, cells))| (name, column(cells.iter().map(Option::unwrap_or_default))))
        .collect();
    let columns = batch(columns, shapes.len())
        .map_err(|e| VectorError::content(path, e.to_string(), "check the header"))?;
    let reference = Reference::Known(Crs::wgs84());
    Ok(Features { shapes, columns, reference, names: RowNames::Line(lines), flattened, warnings: Vec::new() })
}

fn delimiter(path: &Path) -> Result<u8, VectorError> {
    let file = File::open(path).map_err(VectorError::io(path))?;
    let mut header = Vec::new();
    BufReader::new(file.take(HEADER_BYTES)).read_until(b'\n', &mut header).map_err(VectorError::io(path))?;
    Ok(separator(&header))
}

/// The separator that a header has most of, outside quotes.
pub(crate) fn separator(header: &[u8]) -> u8 {
    let mut counts = [(b',', 0), (b'\t', 0), (b';', 0), (b'|', 0)];
    let mut quoted = false;
    for byte in header.iter().copied() {
        quoted ^= byte == b'"';
        if let Some((_, n)) = counts.iter_mut().find(|(d, _)| *d == byte && !quoted) {
            *n += 1;
        }
    }
    // Of equals the first, so that a single column is read as CSV.
    counts.iter().rev().max_by_key(|(_, n)| *n).map_or(b',', |(d, _)| *d)
}

fn places<S: Shape>(path: &Path, names: &[String]) -> Result<Places, VectorError> {
    let points = S::IS_PLACE;
    let geometry =
        || GEOMETRY.iter().find_map(|w| names.iter().position(|n| n.trim().eq_ignore_ascii_case(w)));
    let columns = |pair: Option<(usize, usize)>| pair.filter(|_| points).map(|(x, y)| Places::Columns(x, y));
    columns(lonlat_columns(names))
        .or_else(|| geometry().map(Places::Text))
        .or_else(|| columns(coordinate_columns(names)))
        .ok_or_else(|| {
            let has = format!("it has {}", names.join(", "));
            if points {
                let what = format!("no columns of longitude and latitude, and no geometry; {has}");
                VectorError::content(path, what, "name them lon and lat, or give a column `geometry` of WKT")
            } else {
                VectorError::content(
                    path,
                    format!("no column of polygons; {has}"),
                    "give a column `geometry` of WKT",
                )
            }
        })
}

fn pair<S: Shape>(names: &[String], columns: [usize; 2], cells: [&str; 2]) -> Result<Option<S>, String> {
    let cells = cells.map(str::trim);
    if cells == ["", ""] {
        return Ok(None);
    }
    let mut numbers = [0.0f64; 2];
    for i in 0..2 {
        let name = &names[columns[i]];
        numbers[i] = cells[i].parse().map_err(|_| match cells[i] {
            "" => format!("column {name} is empty"),
            text if text.contains(',') => {
                format!("`{text}` in column {name} is not a number; use a decimal point")
            }
            text => format!("`{text}` in column {name} is not a number"),
        })?;
    }
    let [x, y] = numbers;
    Ok(if x.is_nan() && y.is_nan() { None } else { S::at(Coord { x, y }) })
}

fn geometry<S: Shape>(cell: &str, flattened: &mut bool) -> Result<Option<S>, String> {
    let cell = cell.trim();
    if cell.is_empty() {
        return Ok(None);
    }
    let geometry = if cell.starts_with('{') {
        geojson::geometry_of(cell, flattened)?
    } else {
        wkt::read_noting(cell, flattened)?
    };
    S::of(geometry)
}
