//! What every reader yields: a shape or none per row, the caller's columns, the CRS. Here it becomes points or regions
//! in degrees.

use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use geo_types::{Coord, Geometry, LineString, MultiPolygon, Polygon};

use super::error::VectorError;
use super::place::{check_place, to_degrees};
use super::{Points, Regions};
use crate::geoparquet::footer::Reference;

/// What a reader is asked for.
pub(super) trait Shape: Sized {
    /// Its name in messages.
    const WANTED: &'static str;
    /// Whether a pair of columns can hold it.
    const IS_PLACE: bool;
    /// The shape in a geometry; `None` where it is empty.
    fn of(geometry: Geometry<f64>) -> Result<Option<Self>, String>;
    /// The shape at a coordinate pair, if a pair is such a shape.
    fn at(coord: Coord<f64>) -> Option<Self>;
}

impl Shape for Coord<f64> {
    const WANTED: &'static str = "point";
    const IS_PLACE: bool = true;

    fn of(geometry: Geometry<f64>) -> Result<Option<Self>, String> {
        let coord = match geometry {
            Geometry::Point(p) => p.0,
            Geometry::MultiPoint(m) if m.0.is_empty() => return Ok(None),
            Geometry::MultiPoint(m) if m.0.len() == 1 => m.0[0].0,
            Geometry::MultiPoint(m) => {
                return Err(format!("the geometry is a MultiPoint of {} points, not a point", m.0.len()));
            }
            other => return Err(format!("the geometry is a {}, not a point", name(&other))),
        };
        // Well-known binary and GeoArrow write an empty point as a pair of NaN.
        Ok((!(coord.x.is_nan() && coord.y.is_nan())).then_some(coord))
    }

    fn at(coord: Coord<f64>) -> Option<Self> {
        Some(coord)
    }
}

impl Shape for MultiPolygon<f64> {
    const WANTED: &'static str = "polygon";
    const IS_PLACE: bool = false;

    fn of(geometry: Geometry<f64>) -> Result<Option<Self>, String> {
        let mut parts = match geometry {
            Geometry::Polygon(p) => vec![p],
            Geometry::MultiPolygon(m) => m.0,
            other => return Err(format!("the geometry is a {}, not a polygon", name(&other))),
        };
        parts.retain(|p| !p.exterior().0.is_empty());
        for ring in parts.iter().flat_map(|p| std::iter::once(p.exterior()).chain(p.interiors())) {
            if ring.0.len() < 4 {
                return Err(format!(
                    "a ring has {} vertices; with the first repeated it needs 4",
                    ring.0.len()
                ));
            }
        }
        Ok((!parts.is_empty()).then_some(Self(parts)))
    }

    fn at(_: Coord<f64>) -> Option<Self> {
        None
    }
}

fn name(geometry: &Geometry<f64>) -> &'static str {
    match geometry {
        Geometry::Point(_) => "Point",
        Geometry::Line(_) | Geometry::LineString(_) => "LineString",
        Geometry::MultiLineString(_) => "MultiLineString",
        Geometry::Polygon(_) | Geometry::Rect(_) | Geometry::Triangle(_) => "Polygon",
        Geometry::MultiPolygon(_) => "MultiPolygon",
        Geometry::MultiPoint(_) => "MultiPoint",
        Geometry::GeometryCollection(_) => "GeometryCollection",
    }
}

/// How rows are called in messages.
#[derive(Debug)]
pub(super) enum RowNames {
    Row,
    Feature,
    /// Lines of a text file, the header being line 1.
    Line(Vec<u64>),
}

impl RowNames {
    pub(super) fn of(&self, index: usize) -> String {
        match self {
            Self::Row => format!("row {}", index + 1),
            Self::Feature => format!("feature {}", index + 1),
            Self::Line(lines) => format!("line {}", lines.get(index).copied().unwrap_or_default()),
        }
    }
}

/// The rows of a file, in its own CRS.
pub(super) struct Features<S> {
    pub(super) shapes: Vec<Option<S>>,
    pub(super) columns: RecordBatch,
    pub(super) reference: Reference,
    pub(super) names: RowNames,
    /// Heights or measures were left out.
    pub(super) flattened: bool,
    pub(super) warnings: Vec<String>,
}

impl<S> Features<S> {
    /// Moves coordinates, given as row and place, to degrees, and checks each.
    fn locate(
        &mut self,
        path: &Path,
        rows: &[usize],
        xs: &mut [f64],
        ys: &mut [f64],
    ) -> Result<(), VectorError> {
        let (names, reference) = (&self.names, &self.reference);
        let bad = |i: usize, what: String| {
            let help = match reference {
                Reference::Unknown => "the file does not say its CRS: write it with one, or in degrees",
                Reference::Known(_) => "correct the row, or leave it out; degrees, longitude before latitude",
            };
            VectorError::content(path, format!("{}: {what}", names.of(rows[i])), help)
        };
        if let Some(i) = (0..xs.len()).find(|&i| !(xs[i].is_finite() && ys[i].is_finite())) {
            return Err(bad(i, format!("the coordinates ({}, {}) are not finite", xs[i], ys[i])));
        }
        let moved = to_degrees(xs, ys, reference)
            .map_err(|e| VectorError::content(path, e, "give the file in longitude and latitude"))?;
        for i in 0..xs.len() {
            if !(xs[i].is_finite() && ys[i].is_finite()) {
                return Err(bad(i, "the coordinates have no place on Earth in the file's CRS".into()));
            }
            (xs[i], ys[i]) = check_place(xs[i], ys[i]).map_err(|e| bad(i, e))?;
        }
        self.warnings.extend(moved);
        Ok(())
    }

    /// Warnings for people: the file's name in front.
    fn named_warnings(&mut self, path: &Path, consequence: &str) -> Vec<String> {
        let without = self.shapes.iter().filter(|s| s.is_none()).count();
        if without > 0 {
            let rows = if without == 1 { "1 row has" } else { &format!("{without} rows have") };
            self.warnings.push(format!("{rows} no geometry; {consequence}"));
        }
        if self.flattened {
            self.warnings.push("heights or measures of the coordinates are left out".into());
        }
        std::mem::take(&mut self.warnings).into_iter().map(|w| format!("{}: {w}", path.display())).collect()
    }
}

impl Features<Coord<f64>> {
    pub(super) fn into_points(mut self, path: &Path) -> Result<Points, VectorError> {
        let rows: Vec<usize> = (0..self.shapes.len()).filter(|&i| self.shapes[i].is_some()).collect();
        let (mut xs, mut ys): (Vec<f64>, Vec<f64>) = self.shapes.iter().flatten().map(|c| (c.x, c.y)).unzip();
        self.locate(path, &rows, &mut xs, &mut ys)?;
        let (mut lon, mut lat) = (vec![f64::NAN; self.shapes.len()], vec![f64::NAN; self.shapes.len()]);
        for (i, row) in rows.into_iter().enumerate() {
            (lon[row], lat[row]) = (xs[i], ys[i]);
        }
        let warnings = self.named_warnings(path, "kept, with status outside");
        let columns = without_place(&self.columns, &lon, &lat)
            .map_err(|e| VectorError::content(path, e.to_string(), "check the file"))?;
        Ok(Points { lon, lat, columns, origin: path.display().to_string(), warnings })
    }
}

impl Features<MultiPolygon<f64>> {
    pub(super) fn into_regions(mut self, path: &Path) -> Result<Regions, VectorError> {
        let (mut rows, mut xs, mut ys) = (Vec::new(), Vec::new(), Vec::new());
        for (row, shape) in self.shapes.iter().enumerate() {
            for polygon in shape.iter().flatten() {
                let rings = std::iter::once(polygon.exterior()).chain(polygon.interiors());
                for c in rings.flat_map(|r| &r.0) {
                    rows.push(row);
                    xs.push(c.x);
                    ys.push(c.y);
                }
            }
        }
        if rows.is_empty() {
            return Err(VectorError::content(path, "it holds no polygon", "give at least one polygon"));
        }
        self.locate(path, &rows, &mut xs, &mut ys)?;
        let warnings = self.named_warnings(path, "kept, without pixels");
        let mut moved = xs.into_iter().zip(ys);
        let polygons = self
            .shapes
            .into_iter()
            .map(|shape| shape.map_or(MultiPolygon(Vec::new()), |s| place(s, &mut moved)));
        Ok(Regions { polygons: polygons.collect(), columns: self.columns, warnings })
    }
}

/// The same polygons with the next coordinates of `moved`.
fn place(shape: MultiPolygon<f64>, moved: &mut impl Iterator<Item = (f64, f64)>) -> MultiPolygon<f64> {
    let mut ring = |mut line: LineString<f64>| {
        for c in &mut line.0 {
            if let Some((x, y)) = moved.next() {
                *c = Coord { x, y };
            }
        }
        line
    };
    let polygons = shape.0.into_iter().map(|polygon| {
        let (exterior, interiors) = polygon.into_inner();
        let exterior = ring(exterior);
        Polygon::new(exterior, interiors.into_iter().map(&mut ring).collect())
    });
    MultiPolygon(polygons.collect())
}

/// Columns without `lon` and `lat`, where these hold the very numbers of the places; others are the caller's own.
fn without_place(
    columns: &RecordBatch,
    lon: &[f64],
    lat: &[f64],
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let same = |column: &dyn Array, places: &[f64]| {
        column.data_type().is_numeric()
            && cast(column, &DataType::Float64).is_ok_and(|c| {
                let values = c.as_primitive::<Float64Type>();
                // A missing number is no place, and NaN the other way to say so.
                values.iter().zip(places).all(|(v, p)| {
                    v.unwrap_or(f64::NAN).total_cmp(p).is_eq()
                        || v == Some(*p)
                        || (v.is_none_or(f64::is_nan) && p.is_nan())
                })
            })
    };
    let kept: Vec<usize> = columns
        .schema()
        .fields()
        .iter()
        .enumerate()
        .filter(|(i, f)| {
            let column = columns.column(*i);
            !(f.name().trim().eq_ignore_ascii_case("lon") && same(column, lon)
                || f.name().trim().eq_ignore_ascii_case("lat") && same(column, lat))
        })
        .map(|(i, _)| i)
        .collect();
    columns.project(&kept)
}
