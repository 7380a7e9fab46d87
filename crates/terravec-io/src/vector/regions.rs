//! Polygons from GeoJSON and GeoParquet files.

use std::path::Path;

use arrow::array::ArrayRef;
use geo_types::{Geometry, LineString, MultiPolygon, Polygon};
use terravec_geo::Crs;

use super::error::{VectorError, check_place};
use super::points::{extension, kind, to_degrees};
use super::text::batch;
use super::{Regions, geojson, geoparquet};

/// Reads polygons from a file; its extension says how.
///
/// # Errors
/// If the file can't be read, or a row is no polygon on Earth.
pub fn read_regions(path: &Path) -> Result<Regions, VectorError> {
    match extension(path).as_str() {
        "parquet" | "geoparquet" | "gpq" | "pq" => geoparquet::regions(path),
        "geojson" | "json" | "geojsonl" | "ndjson" => {
            let f = geojson::read(path)?;
            of_geometries(path, f.geometries, f.columns, &f.crs, Vec::new())
        }
        other => Err(VectorError::content(
            path,
            format!("`.{other}` is no format of polygons"),
            "give a .geojson or .parquet file",
        )),
    }
}

pub(super) fn of_geometries(
    path: &Path,
    geometries: Vec<Option<Geometry<f64>>>,
    columns: Vec<(String, ArrayRef)>,
    crs: &Crs,
    mut warnings: Vec<String>,
) -> Result<Regions, VectorError> {
    let rows = geometries.len();
    let mut polygons = Vec::with_capacity(rows);
    for (i, geometry) in geometries.into_iter().enumerate() {
        let bad = |what: String| {
            VectorError::content(
                path,
                format!("row {}: {what}", i + 1),
                "give one polygon per row, longitude first",
            )
        };
        let multi = match geometry {
            Some(Geometry::Polygon(p)) => MultiPolygon(vec![p]),
            Some(Geometry::MultiPolygon(m)) => m,
            Some(Geometry::Rect(r)) => MultiPolygon(vec![r.to_polygon()]),
            Some(other) => return Err(bad(format!("the geometry is a {}, not a polygon", kind(&other)))),
            None => return Err(bad("there is no geometry; a polygon is needed".into())),
        };
        let mut out = Vec::with_capacity(multi.0.len());
        for p in multi.0 {
            let mut ring = |line: &LineString<f64>| -> Result<LineString<f64>, VectorError> {
                if line.0.len() < 4 {
                    return Err(bad(format!(
                        "a ring has {} vertices; a polygon needs at least 4",
                        line.0.len()
                    )));
                }
                let (mut xs, mut ys): (Vec<f64>, Vec<f64>) = line.0.iter().map(|c| (c.x, c.y)).unzip();
                to_degrees(path, &mut xs, &mut ys, crs, &mut warnings)?;
                for (x, y) in xs.iter().zip(&ys) {
                    check_place(*x, *y).map_err(bad)?;
                }
                Ok(LineString::from(xs.into_iter().zip(ys).collect::<Vec<_>>()))
            };
            let exterior = ring(p.exterior())?;
            let holes = p.interiors().iter().map(ring).collect::<Result<Vec<_>, _>>()?;
            out.push(Polygon::new(exterior, holes));
        }
        polygons.push(MultiPolygon(out));
    }
    if polygons.is_empty() {
        return Err(VectorError::content(
            path,
            "it holds no polygon",
            "give a file with at least one polygon",
        ));
    }
    warnings.dedup();
    let columns =
        batch(columns, rows).map_err(|e| VectorError::content(path, e.to_string(), "check the file"))?;
    Ok(Regions { polygons, columns, warnings })
}
