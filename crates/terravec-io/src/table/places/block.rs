//! Shapes of the rows of a batch, and where they are.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, Float64Array, LargeBinaryArray, LargeStringArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use geo_types::{Geometry, LineString, MultiPolygon, Point, Polygon};
use terravec_geo::{BBox, Transform};

use super::coords::{Coords, NOWHERE};
use super::frame::Frame;
use crate::geoparquet::native;
use crate::table::bounds::CORNERS;
use crate::vector::{wkb, wkt};

/// The places of some rows.
#[derive(Debug, Clone)]
pub struct PlaceBlock {
    /// Bounds of each row, degrees; NaN where it has no place. Those of a footprint across the antimeridian go beyond
    /// ±180: 179.9 to 180.1.
    pub boxes: Vec<BBox>,
    /// Longitude of the centre of the bounds, within ±180; NaN where there is no place.
    pub lon: Vec<f64>,
    /// Latitude of the centre of the bounds.
    pub lat: Vec<f64>,
    /// Rows of the batch whose place can't be read or is none on Earth, and why. Rows without a geometry are not among
    /// them.
    pub problems: Vec<(usize, String)>,
    shapes: Shapes,
    way: Option<Transform>,
}

/// What the rows have, as it stands in the file.
#[derive(Debug, Clone)]
pub(super) enum Shapes {
    Points([Float64Array; 2]),
    /// West, south, east, north, and which rows have a box.
    Boxes(Box<[Float64Array; 4]>, Option<NullBuffer>),
    Binary(LargeBinaryArray),
    Text(LargeStringArray),
    Native(ArrayRef, Option<String>),
}

impl Shapes {
    pub(super) fn of_geometry(column: &ArrayRef, encoding: Option<&str>) -> Result<Self, String> {
        let wide = |to: &DataType| cast(column, to).map_err(|e| e.to_string());
        Ok(match column.data_type() {
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
                Self::Binary(wide(&DataType::LargeBinary)?.as_binary().clone())
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Self::Text(wide(&DataType::LargeUtf8)?.as_string().clone())
            }
            _ => {
                native::Reader::new(column, encoding)?;
                Self::Native(ArrayRef::clone(column), encoding.map(String::from))
            }
        })
    }

    pub(super) fn of_lon_lat(columns: [&ArrayRef; 2]) -> Result<Self, String> {
        let [lon, lat] = columns.map(numbers);
        Ok(Self::Points([lon?, lat?]))
    }

    pub(super) fn of_boxes(column: &ArrayRef) -> Result<Self, String> {
        let Some(boxes) = column.as_struct_opt() else {
            return Err(format!("{} is no struct of corners", column.data_type()));
        };
        let corner = |name: &str| {
            let i = boxes.column_names().iter().position(|n| n.eq_ignore_ascii_case(name))?;
            Some(boxes.column(i))
        };
        let corners = CORNERS.iter().find_map(|names| {
            let [w, s, e, n] = names.map(corner);
            Some([w?, s?, e?, n?])
        });
        let Some(corners) = corners else { return Err("it has no corners xmin, ymin, xmax and ymax".into()) };
        let [w, s, e, n] = corners.map(numbers);
        Ok(Self::Boxes(Box::new([w?, s?, e?, n?]), boxes.nulls().cloned()))
    }

    fn len(&self) -> usize {
        match self {
            Self::Points([lon, _]) => lon.len(),
            Self::Boxes(corners, _) => corners[0].len(),
            Self::Binary(a) => a.len(),
            Self::Text(a) => a.len(),
            Self::Native(a, _) => a.len(),
        }
    }

    /// The coordinates of all rows.
    pub(super) fn coords(&self) -> Coords {
        let mut out = Coords::default();
        for row in 0..self.len() {
            let read = match self {
                Self::Points([lon, lat]) => {
                    out.push(number(lon, row), number(lat, row));
                    Ok(())
                }
                Self::Boxes(corners, valid) => {
                    if valid.as_ref().is_none_or(|v| v.is_valid(row)) {
                        let [w, s, e, n] = corners.each_ref().map(|c| number(c, row));
                        // West of a box across the antimeridian is east of its east.
                        out.push(w, s);
                        out.push(if e < w { e + 360.0 } else { e }, n);
                    }
                    Ok(())
                }
                Self::Binary(a) if a.is_valid(row) => {
                    wkb::visit(a.value(row), &mut |x, y| out.push(x, y)).map(|_| ())
                }
                _ => self.geometry(row).map(|g| g.iter().for_each(|g| out.push_geometry(g))),
            };
            out.end_row(read);
        }
        out
    }

    /// The shape of a row.
    fn geometry(&self, row: usize) -> Result<Option<Geometry<f64>>, String> {
        Ok(match self {
            Self::Points([lon, lat]) => {
                let (x, y) = (number(lon, row), number(lat, row));
                (!(x.is_nan() && y.is_nan())).then(|| Point::new(x, y).into())
            }
            Self::Boxes(corners, valid) => {
                let [w, s, e, n] = corners.each_ref().map(|c| number(c, row));
                let e = if e < w { e + 360.0 } else { e };
                let ring = LineString::from(vec![(w, s), (e, s), (e, n), (w, n), (w, s)]);
                valid.as_ref().is_none_or(|v| v.is_valid(row)).then(|| Polygon::new(ring, Vec::new()).into())
            }
            Self::Binary(a) => a.is_valid(row).then(|| wkb::read(a.value(row))).transpose()?,
            Self::Text(a) => a.is_valid(row).then(|| wkt::read(a.value(row))).transpose()?,
            Self::Native(a, encoding) => native::Reader::new(a, encoding.as_deref())?.read(row)?,
        })
    }
}

/// A number, NaN where it is missing.
fn number(column: &Float64Array, row: usize) -> f64 {
    if column.is_null(row) { f64::NAN } else { column.value(row) }
}

fn numbers(column: &ArrayRef) -> Result<Float64Array, String> {
    if !column.data_type().is_numeric() {
        return Err(format!("{} are no coordinates", column.data_type()));
    }
    Ok(cast(column, &DataType::Float64).map_err(|e| e.to_string())?.as_primitive::<Float64Type>().clone())
}

impl PlaceBlock {
    pub(super) fn new(shapes: Shapes, frame: &Frame) -> Self {
        let way = match frame {
            Frame::Degrees => None,
            Frame::Moved(way) => Some(way.clone()),
        };
        let (places, problems) = shapes.coords().places(way.as_ref());
        let boxes = places.iter().map(|p| p.as_ref().map_or(NOWHERE, |p| p.bounds)).collect();
        let lon = places.iter().map(|p| p.as_ref().map_or(f64::NAN, |p| p.lon)).collect();
        let lat = places.iter().map(|p| p.as_ref().map_or(f64::NAN, |p| p.lat)).collect();
        Self { boxes, lon, lat, problems, shapes, way }
    }

    /// The geometries as well-known binary in degrees (OGC:CRS84), without heights; null where there is no place. Boxes
    /// and pairs of coordinates become polygons and points.
    #[must_use]
    pub fn wkb(&self) -> BinaryArray {
        let mut out = BinaryBuilder::with_capacity(self.lon.len(), self.lon.len() * 21);
        for row in 0..self.lon.len() {
            if self.lon[row].is_nan() {
                out.append_null();
                continue;
            }
            match &self.shapes {
                Shapes::Binary(a)
                    if self.way.is_none() && wkb::visit(a.value(row), &mut |_, _| {}) == Ok(true) =>
                {
                    out.append_value(a.value(row));
                }
                _ => match self.geometry(row).and_then(|g| wkb::write(&g)) {
                    Some(bytes) => out.append_value(bytes),
                    None => out.append_null(),
                },
            }
        }
        out.finish()
    }

    /// The geometry of a row in degrees: a point, multi-point, polygon or multi-polygon. `None` where it has no place.
    #[must_use]
    pub fn geometry(&self, row: usize) -> Option<Geometry<f64>> {
        if self.lon.get(row)?.is_nan() {
            return None;
        }
        let geometry = self.shapes.geometry(row).ok()??;
        match &self.way {
            None => Some(geometry),
            Some(way) => moved(geometry, |x, y| way.points(x, y)),
        }
    }

    /// The geometry of a row within its box, `turn` degrees further east: across the antimeridian in one piece.
    #[must_use]
    pub fn turned(&self, row: usize, turn: f64) -> Option<Geometry<f64>> {
        let west = self.boxes.get(row)?.min_x;
        moved(self.geometry(row)?, |x, _| {
            // Transformed vertices may stand off their box by a rounding.
            x.iter_mut().for_each(|x| *x += if *x < west - 1.0 { turn + 360.0 } else { turn });
        })
    }
}

/// The geometry with all vertices moved; `None` where a point then is nowhere.
fn moved(geometry: Geometry<f64>, way: impl Fn(&mut [f64], &mut [f64])) -> Option<Geometry<f64>> {
    let ring = |line: &LineString<f64>| {
        let (mut xs, mut ys): (Vec<f64>, Vec<f64>) = line.0.iter().map(|c| (c.x, c.y)).unzip();
        way(&mut xs, &mut ys);
        LineString::from(xs.into_iter().zip(ys).collect::<Vec<_>>())
    };
    let polygon =
        |p: &Polygon<f64>| Polygon::new(ring(p.exterior()), p.interiors().iter().map(ring).collect());
    let point = |p: &Point<f64>| {
        let (mut x, mut y) = ([p.x()], [p.y()]);
        way(&mut x, &mut y);
        (x[0].is_finite() && y[0].is_finite()).then(|| Point::new(x[0], y[0]))
    };
    Some(match geometry {
        Geometry::Point(p) => point(&p)?.into(),
        Geometry::MultiPoint(m) => {
            Geometry::MultiPoint(m.0.iter().map(point).collect::<Option<Vec<_>>>()?.into())
        }
        Geometry::Polygon(p) => polygon(&p).into(),
        Geometry::MultiPolygon(m) => MultiPolygon(m.0.iter().map(polygon).collect()).into(),
        _ => return None,
    })
}
