//! A file of a patch product: known by its path, opened when it is asked about.

use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use terravec_geo::lattice::{geohash, mgrs};
use terravec_geo::{BBox, Crs, lonlat_bbox_of};
use terravec_io::DType;
use terravec_io::source::Location;
use terravec_io::table::{CsvPlan, CsvTable, PlaceColumns, Placer, ReadPlan, TableFile, partition_values};

use super::columns::{Columns, VectorColumns};
use super::condition::Condition;
use crate::catalog::Descriptor;
use crate::error::{Error, Result};
use crate::time::Interval;

/// Degrees by which the box of a key of folders is widened: a row belongs to the cell of its centre and reaches over.
pub(super) const KEY_MARGIN: f64 = 0.1;
/// Rows of a batch.
const BATCH_ROWS: usize = 8192;
/// Numbers of a batch, so that batches of long vectors stay small.
const BATCH_NUMBERS: usize = 4 << 20;

/// A file as the list of files knows it.
#[derive(Debug)]
pub(crate) struct PatchFile {
    /// Path relative to the root.
    pub(crate) path: String,
    /// Keys of its folders.
    pub(crate) keys: Vec<(String, String)>,
    /// When all its rows hold, if its name says so.
    pub(crate) interval: Option<Interval>,
    /// Where all its rows lie, if a manifest or its folders say so.
    pub(crate) bounds: Option<BBox>,
    /// Rows, if a manifest says so.
    pub(crate) rows: Option<u64>,
    open: OnceLock<Arc<OpenFile>>,
}

/// An open file.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) table: Table,
    pub(crate) schema: SchemaRef,
    pub(crate) columns: Columns,
    pub(crate) placer: Placer,
    pub(crate) location: Location,
}

/// The table in a file.
#[derive(Debug)]
pub(crate) enum Table {
    Parquet(TableFile),
    Csv(CsvTable, CsvPlan),
}

/// Batches of a table.
pub(crate) type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

impl PatchFile {
    pub(crate) fn new(product: &Descriptor, path: &str, root: &Location) -> Self {
        let whole = root.join(path);
        // Folders above the root belong to somebody else, but for a file that is the root itself.
        let named = if path.is_empty() { whole.without_query() } else { path };
        let keys = partition_values(named);
        Self {
            path: path.to_owned(),
            interval: super::time::of_file(product, named),
            bounds: box_of_keys(&keys),
            keys,
            rows: None,
            open: OnceLock::new(),
        }
    }

    /// Where its rows lie by its name, if that is all that is known.
    pub(super) fn trust_name(&mut self, product: &Descriptor) {
        self.bounds = self.bounds.or_else(|| box_of_name(product, &self.path));
    }

    /// Opens the file, or takes it as opened before.
    pub(crate) fn open(&self, product: &Descriptor, root: &Location) -> Result<Arc<OpenFile>> {
        if let Some(open) = self.open.get() {
            return Ok(Arc::clone(open));
        }
        let open = Arc::new(OpenFile::open(product, root.join(&self.path))?);
        Ok(Arc::clone(self.open.get_or_init(|| open)))
    }

    /// Whether a key of the folders rules the file out.
    pub(crate) fn meets(&self, conditions: &[Condition]) -> bool {
        conditions.iter().all(|c| self.keys.iter().filter(|(k, _)| *k == c.column).all(|(_, v)| c.meets(v)))
    }
}

impl OpenFile {
    pub(crate) fn open(product: &Descriptor, location: Location) -> Result<Self> {
        let source = location.open()?;
        if is_text(location.file_name()) {
            return Self::open_text(product, location, CsvTable::open(source)?);
        }
        let table = TableFile::open(source)?;
        let schema = Arc::clone(table.schema());
        let geometry = table.geometry();
        let columns = Columns::find(
            product,
            &schema,
            geometry.map(|g| g.column),
            geometry.and_then(|g| g.covering),
            &location,
        )?;
        let placer = Placer::new(&table, columns.places)?;
        Ok(Self { table: Table::Parquet(table), schema, columns, placer, location })
    }

    fn open_text(product: &Descriptor, location: Location, table: CsvTable) -> Result<Self> {
        let fields = table.columns().iter().map(|n| Field::new(n, DataType::Utf8, true));
        let found = Columns::find(product, &Schema::new(fields.collect::<Vec<_>>()), None, None, &location)?;
        let (VectorColumns::Many(vector), PlaceColumns::LonLat(lon, lat)) = (&found.vector, found.places)
        else {
            return Err(Error::open(
                format!(
                    "{location}: a text table needs columns of longitude and latitude, and a column per number"
                ),
                "name them in a descriptor (`table.lon`, `table.lat`, `table.vector_columns`)",
            ));
        };
        let mut name = "embedding".to_owned();
        while table.columns().contains(&name) {
            name.push('_');
        }
        let plan = CsvPlan {
            vector: vector.clone(),
            name,
            dtype: if product.dtype == Some(DType::F64) { DType::F64 } else { DType::F32 },
            numbers: vec![lon, lat],
            batch_rows: (BATCH_NUMBERS / vector.len().max(1)).clamp(1, BATCH_ROWS),
        };
        let placer = Placer::lon_lat(&table.columns()[lon], &table.columns()[lat]);
        let schema = table.schema(&plan)?;
        let at = |c: usize| schema.index_of(&table.columns()[c]).map_err(Error::Arrow);
        let columns = Columns {
            vector: VectorColumns::One(schema.index_of(&plan.name)?),
            places: PlaceColumns::LonLat(at(lon)?, at(lat)?),
            covering: None,
            time: found.time.map(at).transpose()?,
            id: found.id.map(at).transpose()?,
        };
        Ok(Self { table: Table::Csv(table, plan), schema, columns, placer, location })
    }

    /// Row groups with their rows, as numbers of rows of the file; a text table is one group of unknown length.
    pub(crate) fn groups(&self) -> usize {
        match &self.table {
            Table::Parquet(table) => table.groups(),
            Table::Csv(..) => 1,
        }
    }

    /// Rows of the file, where it can be told without reading it.
    pub(crate) fn rows(&self) -> Option<u64> {
        match &self.table {
            Table::Parquet(table) => Some(table.rows()),
            Table::Csv(..) => None,
        }
    }

    /// Where the rows of a group lie, degrees; `None` where nothing tells it.
    pub(crate) fn group_box(&self, group: usize) -> Option<BBox> {
        let Table::Parquet(table) = &self.table else { return None };
        self.placer.box_in_degrees(&table.group_box_of(group, &self.columns.places)?)
    }

    /// Where all rows lie, degrees; `None` where nothing tells it.
    pub(crate) fn bounds(&self) -> Option<BBox> {
        let Table::Parquet(table) = &self.table else { return None };
        let stated = || self.placer.box_in_degrees(&table.geometry()?.bounds?);
        let groups = || {
            (0..self.groups())
                .filter(|g| !table.group_rows(*g).is_empty())
                .map(|g| self.group_box(g))
                .reduce(|a, b| Some(a?.union(&b?)))
                .flatten()
        };
        groups().or_else(stated)
    }

    /// Streams `columns` (numbers of the schema) of the rows `rows` of `groups`. A text table always comes whole.
    pub(crate) fn read(
        &self,
        columns: &[usize],
        groups: Vec<usize>,
        rows: Option<Vec<std::ops::Range<u64>>>,
    ) -> Result<Batches> {
        match &self.table {
            Table::Parquet(table) => {
                let numbers: usize = columns.iter().map(|c| width(self.schema.field(*c).data_type())).sum();
                let batch_rows = (BATCH_NUMBERS / numbers.max(1)).clamp(64, BATCH_ROWS);
                let plan = ReadPlan { columns: columns.to_vec(), groups, rows, batch_rows };
                Ok(Box::new(table.read(&plan)?.map(|batch| Ok(batch?))))
            }
            Table::Csv(table, plan) => {
                let columns = columns.to_vec();
                Ok(Box::new(table.read(plan)?.map(move |batch| Ok(batch?.project(&columns)?))))
            }
        }
    }

    /// What is said of a row that has a fault.
    pub(crate) fn bad_row(&self, number: u64, what: &str) -> Error {
        Error::open(
            format!("{}: row {}: {what}", self.location, number + 1),
            "correct the file, or leave such rows out with --skip-bad (they are counted)",
        )
    }

    /// Rows of a group as numbers of rows of the file.
    pub(crate) fn group_rows(&self, group: usize) -> std::ops::Range<u64> {
        match &self.table {
            Table::Parquet(table) => table.group_rows(group),
            Table::Csv(..) => 0..u64::MAX,
        }
    }
}

/// Whether a file of this name is a text table.
pub(crate) fn is_text(name: &str) -> bool {
    ["csv", "tsv", "txt"].contains(&extension(name).as_str())
}

/// Whether a file of this name is a table.
pub(crate) fn is_table(name: &str) -> bool {
    ["parquet", "geoparquet", "gpq", "pq"].contains(&extension(name).as_str()) || is_text(name)
}

fn extension(name: &str) -> String {
    name.rsplit_once('.').map_or(String::new(), |(_, e)| e.to_ascii_lowercase())
}

/// Numbers in a value of this type, as far as the type says.
fn width(data_type: &DataType) -> usize {
    match data_type {
        DataType::FixedSizeList(_, n) => usize::try_from(*n).unwrap_or(1),
        DataType::FixedSizeBinary(n) => usize::try_from(*n / 4).unwrap_or(1),
        DataType::List(_) | DataType::LargeList(_) | DataType::ListView(_) => 1024,
        _ => 1,
    }
}

/// Where the rows of a file lie that is named after a tile of Sentinel-2.
fn box_of_name(product: &Descriptor, path: &str) -> Option<BBox> {
    let square = mgrs::Square::parse(product.tiles.as_ref()?.parse(path)?.get("mgrs")?).ok()?;
    let crs = Crs::utm(square.zone(), square.south()).ok()?;
    let b = lonlat_bbox_of(&crs, &square.sentinel2_bounds()).ok()?;
    let east = if b.crosses_antimeridian() { b.east + 360.0 } else { b.east };
    Some(BBox::new(b.west, b.south, east, b.north).expand(KEY_MARGIN))
}

/// Where rows below folders named after cells lie: `geohash=9x`, `geohash_l2=9x`, `gzd=10T`.
fn box_of_keys(keys: &[(String, String)]) -> Option<BBox> {
    keys.iter()
        .find_map(|(key, value)| {
            if key.starts_with("geohash") {
                geohash::decode(value).ok()
            } else if key == "gzd" {
                mgrs::grid_zone(value)
            } else {
                None
            }
        })
        .map(|b| b.expand(KEY_MARGIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_sentinel_2_tiles_say_where() {
        let product = crate::catalog::Catalog::builtin().get("earth-index-2024").unwrap();
        let named = |name: &str| box_of_name(&product, name);
        // 31UDQ holds Paris; its Sentinel-2 tile reaches from 1.61 to 3.14 E and from 48.66 to 49.65 N.
        let b = named("2024/31UDQ_2024-01-01_2025-01-01.parquet").unwrap();
        assert!((b.min_x - 1.51).abs() < 0.03 && (b.max_x - 3.24).abs() < 0.03, "{b:?}");
        assert!((b.min_y - 48.56).abs() < 0.03 && (b.max_y - 49.75).abs() < 0.03, "{b:?}");
        // Over the antimeridian.
        assert!(named("01GDM_2024-01-01_2025-01-01.parquet").is_some_and(|b| b.min_x < b.max_x));
        assert_eq!(named("21MNT_2024-01-01_2025-01-01.parquet"), None);
        assert_eq!(named("other.parquet"), None);
    }
}
