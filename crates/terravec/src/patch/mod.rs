//! Patch products: tables of vectors, one row per footprint, at any size.
//!
//! A [`PatchDataset`] is a list of files, opened when they are asked about. A question first rules out files (by the keys of
//! their folders, their names, a manifest), then row groups (by their statistics), then rows (by reading the columns of
//! places, times and conditions alone), and reads vectors of the rows that are left.

mod columns;
mod condition;
mod file;
mod find;
mod geodesy;
mod length;
mod manifest;
mod open;
mod rows;
mod scan;
mod summary;
mod time;
mod write;

use std::sync::{Arc, OnceLock};

use terravec_geo::{BBox, LonLatBox};
use terravec_io::source::Location;

pub use condition::Condition;
pub(crate) use file::{PatchFile, is_table};
pub use find::Near;
pub use rows::{OnBad, Patches, Tally};
pub use scan::{PatchQuery, Scan};
pub use summary::{PatchFileSummary, PatchSummary};
pub use write::{WrittenRows, align};

use crate::catalog::{Descriptor, IntervalRule, Variant};
use crate::codec::check_table;
use crate::error::{Error, Result};
use crate::provenance::Provenance;

/// A product whose vectors lie in the rows of tables. Clones share the files.
#[derive(Debug, Clone)]
pub struct PatchDataset {
    product: Arc<Descriptor>,
    variant: Option<Variant>,
    root: Location,
    files: Arc<Vec<PatchFile>>,
    notes: Vec<String>,
    /// Length of the vectors, once it was looked up.
    length: Arc<OnceLock<usize>>,
}

/// What reading the rows of a file costs at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileCost {
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    /// Of these, what rows are found by: columns of places, times and conditions.
    pub(crate) places: u64,
    /// Row groups, and the bytes of the largest.
    pub(crate) groups: usize,
    pub(crate) largest_group: u64,
    pub(crate) rows: u64,
    /// Bytes of the vector of a row.
    pub(crate) row_bytes: u64,
}

impl PatchDataset {
    /// The product.
    #[must_use]
    pub fn product(&self) -> &Descriptor {
        &self.product
    }

    /// Where it was opened.
    #[must_use]
    pub fn root(&self) -> &Location {
        &self.root
    }

    /// Files of the dataset.
    pub(crate) fn file_count(&self) -> usize {
        self.files.len()
    }

    /// What reading the rows of a file costs at most; `None` where it is ruled out.
    pub(crate) fn cost_of(
        &self,
        index: usize,
        query: &PatchQuery,
        may_lie: impl Fn(&BBox) -> bool,
    ) -> Result<Option<FileCost>> {
        let Some(part) = self.part(index, query, scan::spans(query).as_deref(), may_lie)? else {
            return Ok(None);
        };
        let fields = part.open.schema.fields();
        let columns: Vec<usize> = (0..fields.len()).collect();
        Ok(Some(match &part.open.table {
            file::Table::Parquet(table) => {
                // Columns that rows are found by are read twice: for that, and as part of them.
                let mut finding = part.open.columns.places.columns();
                finding.extend(part.open.columns.time.filter(|_| scan::spans(query).is_some()));
                let of_condition = |name: &str| fields.iter().position(|f| f.name() == name);
                finding.extend(query.conditions.iter().filter_map(|c| of_condition(&c.column)));
                finding.sort_unstable();
                finding.dedup();
                let sum =
                    |columns: &[usize]| part.groups.iter().map(|g| table.group_bytes(*g, columns)).sum();
                let (all, places): (u64, u64) = (sum(&columns), sum(&finding));
                let rows = |g: &usize| table.group_rows(*g).end - table.group_rows(*g).start;
                let dimension = self.dimension().or_else(|| part.open.stated_length()).unwrap_or(0) as u64;
                FileCost {
                    // Places are read first, then vectors.
                    requests: 2 * part.groups.len() as u64 + (all + places) / (4 << 20),
                    bytes: all + places,
                    places,
                    groups: part.groups.len(),
                    largest_group: part
                        .groups
                        .iter()
                        .map(|g| table.group_bytes(*g, &columns))
                        .max()
                        .unwrap_or(0),
                    rows: part.groups.iter().map(rows).sum(),
                    row_bytes: dimension * 4,
                }
            }
            file::Table::Csv(..) => {
                let bytes = part.open.location.open()?.len()?;
                // A text of numbers is rather longer than they are.
                let requests = 1 + bytes / (4 << 20);
                FileCost {
                    requests,
                    bytes,
                    places: bytes,
                    groups: 1,
                    largest_group: bytes,
                    rows: bytes,
                    row_bytes: 1,
                }
            }
        }))
    }

    /// The name of the table that lists the files, where the product has one.
    pub(crate) fn manifest(&self) -> Option<&str> {
        self.product.table.as_ref()?.manifest.as_deref()
    }

    /// Stored numbers of a row, where the product says so.
    fn dimension(&self) -> Option<usize> {
        let dimension = self.product.dimension_of(self.variant.as_ref())?;
        Some(self.product.codec.bands_for(dimension) as usize)
    }

    /// Whether anything says when rows hold: a column, names of files or folders, or the product.
    ///
    /// # Errors
    /// If the first file can't be opened.
    pub fn is_dated(&self) -> Result<bool> {
        let named = self.files.iter().any(|f| f.interval.is_some());
        let never = self.product.time.as_ref().is_some_and(|t| t.interval == IntervalRule::None);
        Ok(named || (!never && self.files[0].open(&self.product, &self.root)?.columns.time.is_some()))
    }

    /// The column that names rows, where there is one.
    ///
    /// # Errors
    /// If the first file can't be opened.
    pub fn id_column(&self) -> Result<Option<String>> {
        let open = self.files[0].open(&self.product, &self.root)?;
        Ok(open.columns.id.map(|c| open.schema.field(c).name().clone()))
    }

    /// Refuses a question about times where nothing says when rows hold.
    fn check_dated(&self, query: &PatchQuery) -> Result<()> {
        if scan::spans(query).is_some() && !self.is_dated()? {
            return Err(Error::query(
                format!("{} at {}: nothing says when its rows hold", self.product.id, self.root),
                "leave --year and --time out",
            ));
        }
        Ok(())
    }

    /// Refuses vectors where the product publishes no decode rule.
    fn check_decodes(&self) -> Result<()> {
        check_table(&self.product).map_err(Error::codec(self.root.to_string()))
    }

    /// Provenance of an answer made from the files `used`.
    fn provenance(
        &self,
        used: &[usize],
        dimension: usize,
        codes: bool,
        request: serde_json::Value,
    ) -> Provenance {
        let version = self.variant.as_ref().map(|v| v.id.clone());
        let mut provenance = Provenance::new(&self.product, version, dimension, request);
        if codes {
            provenance.values = "codes".into();
        }
        provenance
            .set_sources(used.iter().map(|i| self.root.join(&self.files[*i].path).to_string()).collect());
        provenance
    }

    /// A sentence that says what the dataset covers, as far as footers tell.
    #[must_use]
    pub fn covered(&self) -> String {
        let bounds = self.bounds().map_or_else(
            || "somewhere: its files do not tell where".to_owned(),
            |b| {
                format!(
                    "{:.5},{:.5},{:.5},{:.5} (west, south, east, north)",
                    b.min_x, b.min_y, b.max_x, b.max_y
                )
            },
        );
        format!("{} at {} covers {bounds}; {} files", self.product.id, self.root, self.files.len())
    }

    /// The smallest box over all files, degrees.
    fn bounds(&self) -> Option<BBox> {
        let open = |f: &PatchFile| f.open(&self.product, &self.root).ok();
        let one = |f: &PatchFile| f.bounds.or_else(|| open(f)?.bounds());
        let empty = |f: &&PatchFile| f.bounds.is_none() && open(f).is_some_and(|o| o.rows() == Some(0));
        self.files.iter().filter(|f| !empty(f)).map(one).reduce(|a, b| Some(a?.union(&b?))).flatten()
    }
}

/// Whether a box of rows, which may reach over ±180, touches an area.
pub(crate) fn touches(bounds: &BBox, area: &LonLatBox) -> bool {
    let turned = bounds.turned();
    area.split().iter().any(|part| turned.iter().any(|b| part.intersects(b)))
}
