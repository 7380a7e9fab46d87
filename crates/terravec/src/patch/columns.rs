//! Which columns of a table hold what: as the product's descriptor says, else by the names that tables of vectors use.

use arrow::datatypes::{DataType, Schema};
use terravec_io::table::PlaceColumns;

use crate::catalog::{Descriptor, TableSpec};
use crate::error::{Error, Result};

/// Names of vector columns in tables that nobody described.
const VECTORS: [&str; 6] = ["embedding", "embeddings", "emb", "vector", "vectors", "features"];
/// Names of columns of time.
const TIMES: [&str; 5] = ["datetime", "date", "timestamp", "time", "year"];
/// Names of columns of ids.
const IDS: [&str; 6] = ["id", "unique_id", "chips_id", "chip_id", "fid", "index"];
/// Names of columns of longitude and of latitude.
const LONS: [&str; 5] = ["lon", "longitude", "centre_lon", "center_lon", "lng"];
const LATS: [&str; 4] = ["lat", "latitude", "centre_lat", "center_lat"];
/// Numbered columns that are taken for one vector: at least this many.
const MIN_NUMBERED: usize = 8;

/// Where the vector is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum VectorColumns {
    /// In one column.
    One(usize),
    /// In a column per number.
    Many(Vec<usize>),
}

/// What the columns of one table are: numbers of columns of its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) vector: VectorColumns,
    pub(crate) places: PlaceColumns,
    /// A column of boxes that describe the geometry.
    pub(crate) covering: Option<usize>,
    pub(crate) time: Option<usize>,
    pub(crate) id: Option<usize>,
}

impl Columns {
    /// Finds the columns of `schema`, of which `geometry` and `covering` are those that the file itself names.
    ///
    /// # Errors
    /// If there is no vector or no place.
    pub(crate) fn find(
        product: &Descriptor,
        schema: &Schema,
        geometry: Option<usize>,
        covering: Option<usize>,
        file: &dyn std::fmt::Display,
    ) -> Result<Self> {
        let spec = product.table.clone().unwrap_or_default();
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let find = |name: &str| names.iter().position(|n| n.eq_ignore_ascii_case(name));
        let first = |listed: &[String], usual: &[&str]| {
            let listed = listed.iter().find_map(|n| find(n));
            // A product that lists names has said what it has.
            listed.or_else(|| product.table.is_none().then(|| usual.iter().find_map(|n| find(n)))?)
        };
        let lacks = |what: &str, wanted: String| {
            let known = names.iter().take(40).copied().collect::<Vec<_>>().join(", ");
            Error::open(
                format!("{file}: no column of {what} is known; it has {known}"),
                format!(
                    "{wanted}, or describe the table in a TOML file (see `catalog/README.md`) and pass it with --catalog"
                ),
            )
        };
        let (lon, lat) = (first(&spec.lon, &LONS), first(&spec.lat, &LATS));
        let geometry = spec.geometry.iter().find_map(|n| find(n)).or(geometry);
        let boxes = spec.bbox.iter().find_map(|n| find(n)).or(covering);
        let places = match (geometry, lon.zip(lat), boxes) {
            (Some(g), _, _) => PlaceColumns::Geometry(g),
            (None, Some((lon, lat)), _) => PlaceColumns::LonLat(lon, lat),
            (None, None, Some(b)) => PlaceColumns::Box(b),
            (None, None, None) => {
                return Err(lacks("places", "rename them `geometry`, or `lon` and `lat`".into()));
            }
        };
        // Of a table that nobody described, a name alone makes no time: `timestamp` may count seconds.
        let is_time = |c: &usize| match schema.field(*c).data_type() {
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => true,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => true,
            t => t.is_integer() && names[*c].eq_ignore_ascii_case("year"),
        };
        let (time, id) = (first(&spec.time, &TIMES), first(&spec.id, &IDS));
        let time = time.filter(|c| product.table.is_some() || is_time(c));
        let taken = [geometry, lon, lat, boxes, time, id];
        let vector = match first(&spec.vector, &VECTORS) {
            Some(column) => VectorColumns::One(column),
            None => {
                numbered(&spec, schema, &taken).or_else(|| only_list(product, schema)).ok_or_else(|| {
                    lacks(
                        "vectors",
                        format!("rename it `{}`", spec.vector.first().map_or("embedding", String::as_str)),
                    )
                })?
            }
        };
        Ok(Self { vector, places, covering: boxes.filter(|_| geometry.is_some()), time, id })
    }

    /// The columns that a vector is read from.
    pub(crate) fn vector(&self) -> Vec<usize> {
        match &self.vector {
            VectorColumns::One(column) => vec![*column],
            VectorColumns::Many(columns) => columns.clone(),
        }
    }

    /// The columns that places are read from.
    pub(crate) fn places(&self) -> Vec<usize> {
        match self.places {
            PlaceColumns::Geometry(column) | PlaceColumns::Box(column) => vec![column],
            PlaceColumns::LonLat(lon, lat) => vec![lon, lat],
        }
    }

    /// The columns that are the table's own: neither vector nor geometry, nor boxes beside it.
    pub(crate) fn own(&self, columns: usize) -> Vec<usize> {
        let vector = self.vector();
        let geometry = match self.places {
            PlaceColumns::Geometry(column) | PlaceColumns::Box(column) => Some(column),
            PlaceColumns::LonLat(..) => None,
        };
        (0..columns)
            .filter(|c| !vector.contains(c) && Some(*c) != geometry && Some(*c) != self.covering)
            .collect()
    }
}

/// A column per number: by the pattern of the descriptor, the columns that come after those taken, or numbered names.
fn numbered(spec: &TableSpec, schema: &Schema, taken: &[Option<usize>]) -> Option<VectorColumns> {
    let free: Vec<usize> = (0..schema.fields().len())
        .filter(|c| {
            !taken.contains(&Some(*c))
                && (schema.field(*c).data_type().is_numeric()
                    || schema.field(*c).data_type() == &DataType::Utf8)
        })
        .collect();
    if let Some(bands) = &spec.vector_columns {
        let names = bands.names();
        if names.is_empty() {
            let count = bands.count as usize;
            return (free.len() >= count).then(|| VectorColumns::Many(free[free.len() - count..].to_vec()));
        }
        let columns = names.iter().map(|n| schema.index_of(n).ok()).collect::<Option<Vec<_>>>()?;
        return Some(VectorColumns::Many(columns));
    }
    // A00, A01, …: the longest run of columns that count up from one prefix.
    let mut best: Vec<usize> = Vec::new();
    let mut run: Vec<usize> = Vec::new();
    let split = |c: usize| {
        let name = schema.field(c).name();
        let digits = name.len() - name.trim_end_matches(|d: char| d.is_ascii_digit()).len();
        let (prefix, number) = name.split_at(name.len() - digits);
        Some((prefix.to_owned(), number.parse::<u32>().ok()?))
    };
    for c in free {
        let follows = run.last().is_some_and(|last| match (split(*last), split(c)) {
            (Some((a, i)), Some((b, j))) => a == b && i.checked_add(1) == Some(j) && c == last + 1,
            _ => false,
        });
        if !follows {
            run.clear();
        }
        run.push(c);
        if run.len() > best.len() {
            best.clone_from(&run);
        }
    }
    (best.len() >= MIN_NUMBERED).then_some(VectorColumns::Many(best))
}

/// The one column of lists of numbers, in a table that nobody described.
fn only_list(product: &Descriptor, schema: &Schema) -> Option<VectorColumns> {
    let is_list = |t: &DataType| match t {
        DataType::FixedSizeList(item, n) => *n > 1 && item.data_type().is_numeric(),
        DataType::List(item) | DataType::LargeList(item) => item.data_type().is_numeric(),
        _ => false,
    };
    let mut lists = (0..schema.fields().len()).filter(|c| is_list(schema.field(*c).data_type()));
    let first = lists.next().filter(|_| product.table.is_none())?;
    lists.next().is_none().then_some(VectorColumns::One(first))
}
