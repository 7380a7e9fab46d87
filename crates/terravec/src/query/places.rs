//! The places a question is about, to be compared with very many boxes: whether a file may matter to it.

use std::collections::HashMap;

use geo_types::MultiPolygon;
use terravec_geo::polygon::{bounds, touches_box};
use terravec_geo::{BBox, LonLatBox};
use terravec_io::vector::{Points, Regions};

use super::extract::Area;
use super::target::bounds_of;
use crate::error::Result;

/// Cells of the lookup grid, degrees.
const CELL: f64 = 0.5;

/// Places on the Earth.
#[derive(Debug, Clone)]
pub(crate) enum Places {
    /// All of it.
    Everywhere,
    /// What touches one of these boxes, by the cells that each covers, and the polygon in it, where there are polygons. Points are boxes
    /// without extent.
    Boxes { boxes: Vec<LonLatBox>, polygons: Vec<MultiPolygon<f64>>, cells: HashMap<(i16, i16), Vec<u32>> },
}

impl Places {
    /// Points, or boxes.
    pub(crate) fn of_boxes(boxes: Vec<LonLatBox>) -> Self {
        let mut cells: HashMap<_, Vec<u32>> = HashMap::new();
        for (i, b) in boxes.iter().enumerate() {
            let number = u32::try_from(i).unwrap_or(u32::MAX);
            each_cell(b, |cell| {
                cells.entry(cell).or_default().push(number);
                false
            });
        }
        Self::Boxes { boxes, polygons: Vec::new(), cells }
    }

    /// The places of these points; those without one are left out.
    pub(crate) fn of_points(points: &Points) -> Self {
        let at = points.lon.iter().zip(&points.lat).filter(|(lon, lat)| lon.is_finite() && lat.is_finite());
        Self::of_boxes(at.map(|(x, y)| LonLatBox { west: *x, south: *y, east: *x, north: *y }).collect())
    }

    /// The places of an area. Of polygons that are not to be cut out, the box around them.
    ///
    /// # Errors
    /// If it holds no polygon, or is a grid that lies nowhere.
    pub(crate) fn of_area(area: &Area) -> Result<Self> {
        let whole = bounds_of(area)?;
        let Area::Regions { regions, mask: true, .. } = area else {
            return Ok(whole.map_or(Self::Everywhere, |b| Self::of_boxes(vec![b])));
        };
        let parts: Vec<(LonLatBox, MultiPolygon<f64>)> = parts(regions).collect();
        let (boxes, shapes) = parts.into_iter().unzip();
        let mut places = Self::of_boxes(boxes);
        if let Self::Boxes { polygons, .. } = &mut places {
            *polygons = shapes;
        }
        Ok(places)
    }

    /// Whether `other` touches one of them.
    pub(crate) fn touch(&self, other: &LonLatBox) -> bool {
        let Self::Boxes { boxes, polygons, cells } = self else { return true };
        let mut near: Vec<usize> = Vec::new();
        let found = each_cell(other, |cell| {
            let here = cells.get(&cell).into_iter().flatten().map(|&i| i as usize);
            near.extend(here.filter(|&i| boxes[i].intersects(other)));
            polygons.is_empty() && !near.is_empty()
        });
        near.sort_unstable();
        near.dedup();
        found || near.into_iter().any(|i| other.split().iter().any(|b| reaches(&polygons[i], b)))
    }

    /// The boxes; `None` for everywhere.
    pub(crate) fn boxes(&self) -> Option<&[LonLatBox]> {
        match self {
            Self::Everywhere => None,
            Self::Boxes { boxes, .. } => Some(boxes),
        }
    }

    /// The smallest box around all; `None` for everywhere.
    pub(crate) fn bounds(&self) -> Option<LonLatBox> {
        let boxes = self.boxes()?;
        let join = |a: LonLatBox, b: &LonLatBox| LonLatBox {
            west: a.west.min(if b.crosses_antimeridian() { -180.0 } else { b.west }),
            south: a.south.min(b.south),
            east: a.east.max(if b.crosses_antimeridian() { 180.0 } else { b.east }),
            north: a.north.max(b.north),
        };
        match boxes {
            [one] => Some(*one),
            [first, rest @ ..] => Some(rest.iter().fold(join(*first, first), join)),
            [] => None,
        }
    }
}

/// Each polygon with the box around it: parts of a country may lie far from one another.
fn parts(regions: &Regions) -> impl Iterator<Item = (LonLatBox, MultiPolygon<f64>)> {
    regions.polygons.iter().flat_map(|m| m.iter()).filter_map(|p| {
        let b = bounds(p)?;
        let lonlat = LonLatBox { west: b.min_x, south: b.min_y, east: b.max_x, north: b.max_y };
        Some((lonlat, MultiPolygon(vec![p.clone()])))
    })
}

/// Whether a polygon touches a box, which may reach beyond 180 degrees, as may the polygon.
pub(crate) fn reaches(polygon: &MultiPolygon<f64>, b: &BBox) -> bool {
    b.turned().iter().any(|b| touches_box(polygon, b))
}

/// Calls `found` with each cell that a box covers, until it says that this is enough.
#[allow(clippy::cast_possible_truncation)] // at most ±720
fn each_cell(b: &LonLatBox, mut found: impl FnMut((i16, i16)) -> bool) -> bool {
    let cell = |v: f64| (v.clamp(-540.0, 540.0) / CELL).floor() as i16;
    // 180 and -180 degrees are one place.
    let round = |x: i16| x.rem_euclid((360.0 / CELL) as i16);
    b.split().iter().any(|part| {
        (cell(part.min_x)..=cell(part.max_x))
            .any(|x| (cell(part.min_y)..=cell(part.max_y)).any(|y| found((round(x), y))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use geo_types::polygon;

    fn boxed(west: f64, south: f64, east: f64, north: f64) -> LonLatBox {
        LonLatBox { west, south, east, north }
    }

    #[test]
    fn what_touches_is_found_whatever_its_cell() {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut any = |size: f64| {
            let (x, y) = (rng.f64() * 360.0 - 180.0, rng.f64() * 170.0 - 85.0);
            let east = x + rng.f64() * size;
            boxed(x, y, if east > 180.0 { east - 360.0 } else { east }, y + rng.f64() * size)
        };
        let boxes: Vec<_> = (0..200).map(|i| any(if i % 2 == 0 { 0.0 } else { 8.0 })).collect();
        let places = Places::of_boxes(boxes.clone());
        let mut touched = 0;
        for _ in 0..4000 {
            let other = any(6.0);
            let truth = boxes.iter().any(|b| b.intersects(&other));
            assert_eq!(places.touch(&other), truth, "{other:?}");
            touched += usize::from(truth);
        }
        assert!(
            Places::of_boxes(vec![boxed(-180.0, 0.0, -180.0, 0.0)]).touch(&boxed(179.0, -1.0, 180.0, 1.0))
        );
        assert!(touched > 200 && touched < 3800);
        assert!(Places::Everywhere.touch(&boxed(0.0, 0.0, 1.0, 1.0)));
        assert!(!Places::of_boxes(Vec::new()).touch(&boxed(0.0, 0.0, 1.0, 1.0)));
    }

    #[test]
    fn of_polygons_the_box_is_not_enough() {
        let strip = polygon![(x: 0.0, y: 0.0), (x: 1.0, y: 0.0), (x: 21.0, y: 20.0), (x: 20.0, y: 20.0)];
        let area = |mask| {
            let columns =
                arrow::array::RecordBatch::new_empty(std::sync::Arc::new(arrow::datatypes::Schema::empty()));
            let regions =
                Regions { polygons: vec![MultiPolygon(vec![strip.clone()])], columns, warnings: Vec::new() };
            Area::Regions { regions, mask, all_touched: false }
        };
        let (cut, whole) = (Places::of_area(&area(true)).unwrap(), Places::of_area(&area(false)).unwrap());
        for (b, touches) in [
            (boxed(10.0, 9.0, 11.0, 10.0), true),
            (boxed(2.0, 15.0, 4.0, 17.0), false),
            (boxed(30.0, 0.0, 31.0, 1.0), false),
        ] {
            assert_eq!(cut.touch(&b), touches, "{b}");
            // Where nothing is cut away, all of the window is wanted.
            assert_eq!(whole.touch(&b), b.west < 25.0, "{b}");
        }
    }

    #[test]
    fn bounds_hold_all() {
        assert_eq!(
            Places::of_boxes(vec![boxed(179.0, 0.0, -179.0, 1.0)]).bounds(),
            Some(boxed(179.0, 0.0, -179.0, 1.0))
        );
        let two = Places::of_boxes(vec![boxed(179.0, 0.0, -179.0, 1.0), boxed(3.0, 4.0, 5.0, 6.0)]);
        assert_eq!(two.bounds(), Some(boxed(-180.0, 0.0, 180.0, 6.0)));
        assert_eq!(Places::Everywhere.bounds(), None);
    }
}
