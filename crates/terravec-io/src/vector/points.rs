//! Points from GeoParquet, GeoJSON and CSV files, or written as `LON,LAT`.

use std::path::Path;

use arrow::array::ArrayRef;
use geo_types::Geometry;
use terravec_geo::{Crs, Transform};

use super::error::{VectorError, check_place};
use super::text::{Cell, batch, column};
use super::{Points, geojson, geoparquet};

/// Names of coordinate columns, in the order they are tried.
const LON: [&str; 6] = ["lon", "lng", "long", "longitude", "x", "centre_lon"];
const LAT: [&str; 5] = ["lat", "latitude", "y", "centre_lat", "lat_dd"];

/// One point, written `LON,LAT`.
///
/// # Errors
/// If the text is no such pair, or no place on Earth.
pub fn parse_point(text: &str) -> Result<Points, VectorError> {
    let point = |what: String| VectorError::Point { what };
    let (lon, lat) =
        text.split_once(',').ok_or_else(|| point(format!("`{text}` is neither a file nor LON,LAT")))?;
    let number = |t: &str| t.trim().parse::<f64>().map_err(|_| point(format!("`{}` is no number", t.trim())));
    let (lon, lat) = (number(lon)?, number(lat)?);
    check_place(lon, lat).map_err(point)?;
    let columns = batch(Vec::new(), 1).map_err(|e| point(e.to_string()))?;
    Ok(Points { lon: vec![lon], lat: vec![lat], columns, origin: text.to_string(), warnings: Vec::new() })
}

/// Reads points from a file; its extension says how.
///
/// # Errors
/// If the file can't be read, holds no points, or a row is no place on Earth.
pub fn read_points(path: &Path) -> Result<Points, VectorError> {
    match extension(path).as_str() {
        "parquet" | "geoparquet" | "gpq" | "pq" => geoparquet::points(path),
        "geojson" | "json" | "geojsonl" | "ndjson" => {
            let f = geojson::read(path)?;
            of_geometries(path, f.geometries, f.columns, &f.crs, Vec::new())
        }
        "csv" | "tsv" | "txt" => csv(path),
        other => Err(VectorError::content(
            path,
            format!("`.{other}` is no format of points"),
            "give a .parquet, .geojson or .csv file",
        )),
    }
}

pub(super) fn extension(path: &Path) -> String {
    path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase()
}

/// Points of geometries in `crs`; a null geometry has no place.
pub(super) fn of_geometries(
    path: &Path,
    geometries: Vec<Option<Geometry<f64>>>,
    columns: Vec<(String, ArrayRef)>,
    crs: &Crs,
    mut warnings: Vec<String>,
) -> Result<Points, VectorError> {
    let bad = |i: usize, what: String| {
        VectorError::content(
            path,
            format!("row {}: {what}", i + 1),
            "give one point per row, longitude first",
        )
    };
    let (mut lon, mut lat) = (Vec::with_capacity(geometries.len()), Vec::with_capacity(geometries.len()));
    let mut without = 0;
    for (i, geometry) in geometries.iter().enumerate() {
        let (x, y) = match geometry {
            None => {
                without += 1;
                (f64::NAN, f64::NAN)
            }
            Some(Geometry::Point(p)) => (p.x(), p.y()),
            Some(Geometry::MultiPoint(m)) if m.0.len() == 1 => (m.0[0].x(), m.0[0].y()),
            Some(other) => return Err(bad(i, format!("the geometry is a {}, not a point", kind(other)))),
        };
        lon.push(x);
        lat.push(y);
    }
    to_degrees(path, &mut lon, &mut lat, crs, &mut warnings)?;
    for (i, geometry) in geometries.iter().enumerate() {
        if geometry.is_some() {
            check_place(lon[i], lat[i]).map_err(|e| bad(i, e))?;
        }
    }
    if without > 0 {
        warnings
            .push(format!("{}: {without} rows have no geometry; their status is outside", path.display()));
    }
    let rows = lon.len();
    let columns =
        batch(columns, rows).map_err(|e| VectorError::content(path, e.to_string(), "check the file"))?;
    Ok(Points { lon, lat, columns, origin: path.display().to_string(), warnings })
}

/// Coordinates of `crs` to degrees. A CRS in metres over coordinates that all look like degrees is not believed.
pub(super) fn to_degrees(
    path: &Path,
    xs: &mut [f64],
    ys: &mut [f64],
    crs: &Crs,
    warnings: &mut Vec<String>,
) -> Result<(), VectorError> {
    let degrees = Crs::wgs84();
    if *crs == degrees || crs.is_geographic() && crs.epsg() == Some(4326) {
        return Ok(());
    }
    let looks = |x: f64, y: f64| !x.is_finite() || (x.abs() <= 180.0 && y.abs() <= 90.0);
    let any = xs.iter().any(|x| x.is_finite());
    if !crs.is_geographic() && any && xs.iter().zip(ys.iter()).all(|(x, y)| looks(*x, *y)) {
        warnings.push(format!(
            "{}: it claims {crs}, but its coordinates are degrees; read as degrees",
            path.display()
        ));
        return Ok(());
    }
    let to = Transform::new(crs, &degrees)
        .map_err(|e| VectorError::content(path, e.to_string(), "give the file in longitude and latitude"))?;
    to.points(xs, ys);
    Ok(())
}

pub(super) fn kind(g: &Geometry<f64>) -> &'static str {
    match g {
        Geometry::Point(_) => "point",
        Geometry::Line(_) | Geometry::LineString(_) | Geometry::MultiLineString(_) => "line",
        Geometry::Polygon(_) | Geometry::MultiPolygon(_) | Geometry::Rect(_) | Geometry::Triangle(_) => {
            "polygon"
        }
        Geometry::MultiPoint(_) => "multi-point",
        Geometry::GeometryCollection(_) => "geometry collection",
    }
}

/// The columns that hold longitude and latitude, by name.
pub(super) fn coordinate_columns(names: &[String]) -> Option<(usize, usize)> {
    let find = |wanted: &[&str]| {
        wanted.iter().find_map(|w| names.iter().position(|n| n.trim().eq_ignore_ascii_case(w)))
    };
    Some((find(&LON)?, find(&LAT)?))
}

fn csv(path: &Path) -> Result<Points, VectorError> {
    let text = std::fs::read_to_string(path).map_err(VectorError::io(path))?;
    let text = text.trim_start_matches('\u{feff}');
    let first = text.lines().next().unwrap_or("");
    let delimiter = [b',', b'\t', b';']
        .into_iter()
        .max_by_key(|d| first.bytes().filter(|b| b == d).count())
        .unwrap_or(b',');
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
    let broken = |e: csv::Error| {
        VectorError::content(path, e.to_string(), "check that every row has as many cells as the header")
    };
    let names: Vec<String> = reader.headers().map_err(broken)?.iter().map(ToString::to_string).collect();
    let (x, y) = coordinate_columns(&names).ok_or_else(|| {
        VectorError::content(
            path,
            format!("no columns of longitude and latitude; it has {}", names.join(", ")),
            "name them lon and lat",
        )
    })?;
    let mut cells: Vec<Vec<String>> = vec![Vec::new(); names.len()];
    for record in reader.records() {
        for (column, cell) in cells.iter_mut().zip(record.map_err(broken)?.iter()) {
            column.push(cell.to_string());
        }
    }
    let mut lon = Vec::new();
    let mut lat = Vec::new();
    let mut without = 0;
    for (i, (a, b)) in cells[x].iter().zip(&cells[y]).enumerate() {
        // Line 1 is the header.
        let bad = |what: String| {
            VectorError::content(path, format!("line {}: {what}", i + 2), "correct the line, or leave it out")
        };
        if a.trim().is_empty() && b.trim().is_empty() {
            without += 1;
            lon.push(f64::NAN);
            lat.push(f64::NAN);
            continue;
        }
        let number = |t: &str, name: &str| {
            t.trim()
                .parse::<f64>()
                .ok()
                .filter(|v| v.is_finite())
                .ok_or_else(|| bad(format!("`{t}` in column {name} is no number")))
        };
        let (a, b) = (number(a, &names[x])?, number(b, &names[y])?);
        check_place(a, b).map_err(bad)?;
        lon.push(a);
        lat.push(b);
    }
    let mut warnings = Vec::new();
    if without > 0 {
        warnings
            .push(format!("{}: {without} rows have no coordinates; their status is outside", path.display()));
    }
    let columns = names
        .into_iter()
        .zip(cells)
        .enumerate()
        .filter(|(i, _)| *i != x && *i != y)
        .map(|(_, (name, raw))| {
            let guessed: Vec<Cell> = raw.iter().map(|t| Cell::guess(t)).collect();
            let values = column(&guessed, Some(&raw));
            (name, values)
        })
        .collect();
    let rows = lon.len();
    let columns =
        batch(columns, rows).map_err(|e| VectorError::content(path, e.to_string(), "check the header"))?;
    Ok(Points { lon, lat, columns, origin: path.display().to_string(), warnings })
}
