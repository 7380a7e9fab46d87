//! What the statistics of a row group say about its rows, where they can be trusted.

use arrow::datatypes::{DataType, TimeUnit};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;
use terravec_geo::BBox;

use super::file::TableFile;
use super::places::PlaceColumns;

/// A least or greatest value.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub enum Bound {
    /// Of a column of integers.
    Int(i64),
    /// Of a column of dates or times: microseconds since 1970 in UTC. A time without a zone is taken as UTC.
    Time(i64),
    /// Of a column of text.
    Text(String),
}

/// Names of the corners of a box, west, south, east and north, in the order they are tried.
pub(super) const CORNERS: [[&str; 4]; 3] =
    [["xmin", "ymin", "xmax", "ymax"], ["minx", "miny", "maxx", "maxy"], ["west", "south", "east", "north"]];

impl TableFile {
    /// The box of a row group's geometries, in the CRS that the file claims: from the bounding boxes beside the
    /// geometry, from its native statistics, or from those of its coordinates. `None` where nothing tells it for sure:
    /// the group may then be anywhere. Rows without a geometry are in no box.
    #[must_use]
    pub fn group_box(&self, group: usize) -> Option<BBox> {
        self.group_box_of(group, &PlaceColumns::Geometry(self.geometry()?.column))
    }

    /// The box of a row group's places as `places` has them; otherwise as [`group_box`](Self::group_box).
    #[must_use]
    pub fn group_box_of(&self, group: usize, places: &PlaceColumns) -> Option<BBox> {
        let metadata = self.0.arrow.metadata().row_groups().get(group)?;
        match *places {
            PlaceColumns::Geometry(column) => {
                let corners = self.0.corners.filter(|_| self.geometry().is_some_and(|g| g.column == column));
                let covered = corners
                    .filter(|c| self.covers(metadata, column, c[0]))
                    .and_then(|c| box_of_corners(metadata, c));
                covered.or_else(|| self.native_box(metadata, column))
            }
            PlaceColumns::LonLat(lon, lat) => {
                let only = |column: usize| {
                    let leaves = self.0.leaves.get(column)?;
                    (leaves.len() == 1).then_some(leaves.start)
                };
                box_of_axes(metadata, only(lon)?, only(lat)?)
            }
            PlaceColumns::Box(column) => box_of_corners(metadata, self.corners_of(column)?),
        }
    }

    /// From the least to the greatest value of a column of integers, dates, times or text in a row group. Nulls are
    /// not counted. Texts may be cut, so that the range is wider than the values. `None` where nothing tells it.
    #[must_use]
    pub fn group_range(&self, group: usize, column: usize) -> Option<(Bound, Bound)> {
        let metadata = self.0.arrow.metadata().row_groups().get(group)?;
        let leaves = self.0.leaves.get(column).filter(|l| l.len() == 1)?;
        let statistics = metadata.column(leaves.start).statistics()?;
        let kind = match self.schema().field(column).data_type() {
            DataType::Dictionary(_, values) => values,
            // Dates that the Arrow schema calls Date64 are stored as days.
            DataType::Date64 if matches!(statistics, Statistics::Int32(_)) => &DataType::Date32,
            other => other,
        };
        let (least, greatest) = match kind {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                if statistics.is_min_max_deprecated() {
                    return None; // sorted as signed bytes
                }
                let text = |bytes: Option<&[u8]>| Some(Bound::Text(std::str::from_utf8(bytes?).ok()?.into()));
                (text(statistics.min_bytes_opt())?, text(statistics.max_bytes_opt())?)
            }
            _ => {
                let (least, greatest) = whole_range(statistics, kind)?;
                (bound(least, kind, false)?, bound(greatest, kind, true)?)
            }
        };
        (least <= greatest).then_some((least, greatest))
    }

    /// Whether each geometry has a box, as far as counts of nulls tell.
    fn covers(&self, group: &RowGroupMetaData, geometry: usize, corner: usize) -> bool {
        let nulls = |leaf: usize| group.columns().get(leaf)?.statistics()?.null_count_opt();
        match self.0.leaves.get(geometry) {
            Some(leaves) if leaves.len() == 1 => {
                nulls(leaves.start).zip(nulls(corner)).is_none_or(|(geometries, boxes)| geometries == boxes)
            }
            // Native encodings count their empty parts as nulls, too.
            _ => true,
        }
    }

    /// The leaves of the corners of a column of boxes.
    pub(super) fn corners_of(&self, column: usize) -> Option<[usize; 4]> {
        let leaves = self.0.leaves.get(column)?.clone();
        let columns = self.0.arrow.metadata().file_metadata().schema_descr().columns();
        let leaf = |name: &str| {
            leaves.clone().find(|l| {
                let path = columns[*l].path().parts();
                path.len() == 2 && path[1].eq_ignore_ascii_case(name)
            })
        };
        CORNERS.iter().find_map(|[w, s, e, n]| Some([leaf(w)?, leaf(s)?, leaf(e)?, leaf(n)?]))
    }

    fn native_box(&self, group: &RowGroupMetaData, column: usize) -> Option<BBox> {
        let leaves = self.0.leaves.get(column)?.clone();
        if leaves.len() == 1 {
            let b = group.column(leaves.start).geo_statistics()?.bounding_box()?;
            // A box across the antimeridian has its west east of its east.
            return sound(b.get_xmin(), b.get_ymin(), b.get_xmax(), b.get_ymax());
        }
        let columns = self.0.arrow.metadata().file_metadata().schema_descr().columns();
        let axis = |name: &str| {
            leaves.clone().find(|l| columns[*l].path().parts().last().is_some_and(|last| last == name))
        };
        box_of_axes(group, axis("x")?, axis("y")?)
    }
}

fn box_of_corners(group: &RowGroupMetaData, corners: [usize; 4]) -> Option<BBox> {
    let [w, s, e, n] = corners.map(|leaf| float_range(group, leaf));
    let (w, s, e, n) = (w?, s?, e?, n?);
    // A box across the antimeridian has its west east of its east. One may be among these.
    let across = w.1 > 90.0 && e.0 < -90.0;
    let (west, east) = if across { (w.0.min(-180.0), e.1.max(180.0)) } else { (w.0, e.1) };
    sound(west, s.0, east, n.1)
}

fn box_of_axes(group: &RowGroupMetaData, x: usize, y: usize) -> Option<BBox> {
    let (x, y) = (float_range(group, x)?, float_range(group, y)?);
    sound(x.0, y.0, x.1, y.1)
}

fn sound(min_x: f64, min_y: f64, max_x: f64, max_y: f64) -> Option<BBox> {
    let finite = [min_x, min_y, max_x, max_y].iter().all(|v| v.is_finite());
    (finite && min_x <= max_x && min_y <= max_y).then_some(BBox { min_x, min_y, max_x, max_y })
}

/// From the least to the greatest number of a leaf. Float32 is widened by one step each way: writers that round boxes
/// may have rounded them inwards.
fn float_range(group: &RowGroupMetaData, leaf: usize) -> Option<(f64, f64)> {
    let statistics = group.columns().get(leaf)?.statistics()?;
    let range = match statistics {
        Statistics::Double(s) => (*s.min_opt()?, *s.max_opt()?),
        Statistics::Float(s) => (f64::from(s.min_opt()?.next_down()), f64::from(s.max_opt()?.next_up())),
        _ => return None,
    };
    (range.0 <= range.1).then_some(range)
}

/// Least and greatest value of whole numbers as stored.
#[allow(clippy::cast_sign_loss)] // unsigned numbers are stored in signed ones
fn whole_range(statistics: &Statistics, kind: &DataType) -> Option<(i64, i64)> {
    let unsigned = kind.is_unsigned_integer();
    if unsigned && statistics.is_min_max_deprecated() {
        return None; // sorted as signed numbers
    }
    let of = |a: i64, b: i64| Some((a, b));
    match statistics {
        Statistics::Int32(s) if unsigned => {
            of(i64::from(*s.min_opt()? as u32), i64::from(*s.max_opt()? as u32))
        }
        Statistics::Int32(s) => of(i64::from(*s.min_opt()?), i64::from(*s.max_opt()?)),
        Statistics::Int64(s) if unsigned => {
            of(i64::try_from(*s.min_opt()? as u64).ok()?, i64::try_from(*s.max_opt()? as u64).ok()?)
        }
        Statistics::Int64(s) => of(*s.min_opt()?, *s.max_opt()?),
        _ => None,
    }
}

/// A stored number as a bound; times are rounded away from the values.
fn bound(value: i64, kind: &DataType, up: bool) -> Option<Bound> {
    const DAY: i64 = 86_400_000_000;
    Some(match kind {
        t if t.is_integer() => Bound::Int(value),
        DataType::Date32 => Bound::Time(value.checked_mul(DAY)?),
        DataType::Date64 | DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Bound::Time(value.checked_mul(1000)?)
        }
        DataType::Timestamp(TimeUnit::Second, _) => Bound::Time(value.checked_mul(1_000_000)?),
        DataType::Timestamp(TimeUnit::Microsecond, _) => Bound::Time(value),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let rest = i64::from(up && value.rem_euclid(1000) != 0);
            Bound::Time(value.div_euclid(1000) + rest)
        }
        _ => return None,
    })
}
