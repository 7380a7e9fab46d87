//! Geometries as nested lists of coordinates (GeoArrow), as GeoParquet 1.1 has them beside well-known binary.

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type};
use geo_types::{Coord, Geometry, LineString, MultiPoint, MultiPolygon, Point, Polygon};

/// Reads rows of one column.
pub(crate) struct Reader<'a> {
    column: &'a ArrayRef,
    kind: Kind,
    /// One per list level, from outside.
    levels: Vec<&'a ArrayRef>,
    coords: Coords<'a>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Point,
    MultiPoint,
    Polygon,
    MultiPolygon,
}

/// The coordinates below all lists.
enum Coords<'a> {
    /// `struct<x, y, …>`
    Separated { x: &'a Float64Array, y: &'a Float64Array, more: bool },
    /// `fixed_size_list<double>[2..4]`
    Interleaved { values: &'a Float64Array, size: usize },
}

impl<'a> Reader<'a> {
    /// `encoding` is the name in the `geo` footer or of the extension type; a plain struct of x and y is a point.
    pub(crate) fn new(column: &'a ArrayRef, encoding: Option<&str>) -> Result<Self, String> {
        let encoding = encoding.unwrap_or("point").to_ascii_lowercase();
        let (kind, depth) = match encoding.trim_start_matches("geoarrow.") {
            "point" => (Kind::Point, 0),
            "multipoint" => (Kind::MultiPoint, 1),
            "polygon" => (Kind::Polygon, 2),
            "multipolygon" => (Kind::MultiPolygon, 3),
            other => {
                return Err(format!(
                    "geometries of encoding {other} are not supported; points or polygons are needed"
                ));
            }
        };
        let odd = || format!("a column of type {} is no {encoding}", column.data_type());
        let mut levels = Vec::with_capacity(depth);
        let mut inner = column;
        for _ in 0..depth {
            levels.push(inner);
            inner = match inner.data_type() {
                DataType::List(_) => inner.as_list::<i32>().values(),
                DataType::LargeList(_) => inner.as_list::<i64>().values(),
                _ => return Err(odd()),
            };
        }
        let coords = match inner.data_type() {
            DataType::Struct(_) => {
                let s = inner.as_struct();
                let axis = |name| s.column_by_name(name)?.as_primitive_opt::<Float64Type>();
                let (Some(x), Some(y)) = (axis("x"), axis("y")) else { return Err(odd()) };
                Coords::Separated { x, y, more: s.num_columns() > 2 }
            }
            DataType::FixedSizeList(_, size @ 2..=4) => {
                let list = inner.as_fixed_size_list();
                let values = list.values().as_primitive_opt::<Float64Type>().ok_or_else(odd)?;
                #[allow(clippy::cast_sign_loss)]
                Coords::Interleaved { values, size: *size as usize }
            }
            _ => return Err(odd()),
        };
        Ok(Self { column, kind, levels, coords })
    }

    /// Heights or measures are left out.
    pub(crate) fn flattens(&self) -> bool {
        match self.coords {
            Coords::Separated { more, .. } => more,
            Coords::Interleaved { size, .. } => size > 2,
        }
    }

    pub(crate) fn read(&self, row: usize) -> Result<Option<Geometry<f64>>, String> {
        if self.column.is_null(row) {
            return Ok(None);
        }
        Ok(Some(match self.kind {
            Kind::Point => Point(self.coord(row)).into(),
            Kind::MultiPoint => {
                MultiPoint(self.items(0, row)?.map(|i| Point(self.coord(i))).collect()).into()
            }
            Kind::Polygon => self.polygon(0, row)?.into(),
            Kind::MultiPolygon => {
                MultiPolygon(self.items(0, row)?.map(|i| self.polygon(1, i)).collect::<Result<_, _>>()?)
                    .into()
            }
        }))
    }

    fn polygon(&self, level: usize, at: usize) -> Result<Polygon<f64>, String> {
        let ring = |i| Ok(LineString(self.items(level + 1, i)?.map(|j| self.coord(j)).collect()));
        let mut rings = self.items(level, at)?.map(ring).collect::<Result<Vec<_>, String>>()?.into_iter();
        let exterior = rings.next().unwrap_or_else(|| LineString(Vec::new()));
        Ok(Polygon::new(exterior, rings.collect()))
    }

    /// Where the items of list `at` of a level are in the level below.
    fn items(&self, level: usize, at: usize) -> Result<std::ops::Range<usize>, String> {
        let list = self.levels[level];
        if list.is_null(at) {
            return Err("a part of the geometry is null".into());
        }
        #[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation)] // Arrow checks offsets
        Ok(match list.as_list_opt::<i32>() {
            Some(l) => l.value_offsets()[at] as usize..l.value_offsets()[at + 1] as usize,
            None => {
                let offsets = list.as_list::<i64>().value_offsets();
                offsets[at] as usize..offsets[at + 1] as usize
            }
        })
    }

    fn coord(&self, at: usize) -> Coord<f64> {
        match self.coords {
            Coords::Separated { x, y, .. } if x.is_null(at) || y.is_null(at) => {
                Coord { x: f64::NAN, y: f64::NAN }
            }
            Coords::Separated { x, y, .. } => Coord { x: x.value(at), y: y.value(at) },
            Coords::Interleaved { values, size } => {
                Coord { x: values.value(at * size), y: values.value(at * size + 1) }
            }
        }
    }
}
