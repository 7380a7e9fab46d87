//! What a patch dataset holds, for `info` and `coverage`: told from names, manifests and footers, without reading a vector.

use std::collections::BTreeMap;

use rayon::prelude::*;
use terravec_geo::BBox;
use terravec_io::table::PlaceColumns;

use super::columns::VectorColumns;
use super::file::Table;
use super::scan::{PatchQuery, spans};
use super::{PatchDataset, touches};
use crate::dataset::at_once;
use crate::error::Result;
use crate::query::extract::Area;
use crate::query::{bounds_of, meets};
use crate::time::Years;

/// What a patch dataset holds.
#[derive(Debug, Clone, serde::Serialize)]
pub struct PatchSummary {
    /// Product id.
    pub product: String,
    /// Product name.
    pub name: String,
    /// Version or variant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `patch` or `region`.
    pub kind: String,
    /// Where it was opened, without credentials.
    pub root: String,
    /// Files.
    pub files: usize,
    /// Rows, where footers or a manifest tell.
    pub rows: Option<u64>,
    /// Row groups of the first file.
    pub row_groups: usize,
    /// Files per year, where names tell; `""` where they don't.
    pub years: BTreeMap<String, usize>,
    /// What the vectors' times mean, in words.
    pub time: String,
    /// The column of vectors; several where each number has its own.
    pub vector: String,
    /// Numbers of a vector, where known without reading one.
    pub dimension: Option<usize>,
    /// Type of the column.
    pub stored: String,
    /// Decode rule.
    pub decode: String,
    /// Whether codes have values.
    pub decodes: bool,
    /// Whether vectors have length 1.
    pub unit_length: Option<bool>,
    /// The columns of places.
    pub places: String,
    /// The CRS that the first file claims for them.
    pub crs: String,
    /// All columns with their types.
    pub columns: Vec<(String, String)>,
    /// Keys of the folders.
    pub partitions: Vec<String>,
    /// West, south, east, north in degrees, where footers or a manifest tell.
    pub bbox: Option<[f64; 4]>,
    /// Licence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Text to show with results.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribution: Option<String>,
    /// What the first file's `emb` footer says of its model and dates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emb: Option<serde_json::Value>,
    /// What was noticed while opening.
    pub notes: Vec<String>,
}

/// A file, for `coverage`.
#[derive(Debug, Clone, serde::Serialize)]
pub struct PatchFileSummary {
    /// Path relative to the root.
    pub path: String,
    /// The year its rows start in, where its name tells.
    pub year: Option<i32>,
    /// When its rows hold, where its name tells.
    pub interval: Option<String>,
    /// Rows, where told.
    pub rows: Option<u64>,
    /// West, south, east, north in degrees, where told.
    pub bbox: Option<[f64; 4]>,
}

/// Files of a host that are opened to say more of them than their names do.
pub(super) const MANY: usize = 200;

fn corners(b: &BBox) -> [f64; 4] {
    [b.min_x, b.min_y, b.max_x, b.max_y]
}

impl PatchDataset {
    /// What the dataset holds.
    ///
    /// # Errors
    /// If a file can't be opened.
    pub fn summary(&self) -> Result<PatchSummary> {
        let open = self.files[0].open(&self.product, &self.root)?;
        let schema = &open.schema;
        let name = |c: usize| schema.field(c).name().clone();
        let files = self.coverage(&Area::All, &Years::All)?;
        let mut years = BTreeMap::new();
        for file in &files {
            *years.entry(file.year.map_or(String::new(), |y| y.to_string())).or_insert(0) += 1;
        }
        let (vector, stored) = match &open.columns.vector {
            VectorColumns::One(c) => (name(*c), schema.field(*c).data_type().to_string()),
            VectorColumns::Many(list) => (
                format!("{} … {}", name(list[0]), name(list[list.len() - 1])),
                format!("{} columns", list.len()),
            ),
        };
        let places = match open.columns.places {
            PlaceColumns::Geometry(c) | PlaceColumns::Box(c) => name(c),
            PlaceColumns::LonLat(lon, lat) => format!("{}, {}", name(lon), name(lat)),
        };
        let (crs, emb) = match &open.table {
            Table::Parquet(table) => (
                table.geometry().map_or("degrees".to_owned(), |g| {
                    g.crs.as_ref().map_or("none stated".to_owned(), ToString::to_string)
                }),
                table.metadata("emb").and_then(|text| serde_json::from_str(text).ok()),
            ),
            Table::Csv(..) => ("degrees".to_owned(), None),
        };
        let time = self.product.time.as_ref();
        let mut partitions: Vec<String> = Vec::new();
        for (key, _) in self.files.iter().flat_map(|f| &f.keys) {
            if !partitions.contains(key) {
                partitions.push(key.clone());
            }
        }
        let bbox = files.iter().filter(|f| f.rows != Some(0)).map(|f| f.bbox).reduce(|a, b| {
            let (a, b) = (a?, b?);
            Some([a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])])
        });
        Ok(PatchSummary {
            product: self.product.id.clone(),
            name: self.product.name.clone(),
            version: self.variant.as_ref().map(|v| v.id.clone()),
            kind: self.product.kind.name().to_owned(),
            root: self.root.to_string(),
            files: files.len(),
            rows: files.iter().map(|f| f.rows).sum(),
            row_groups: open.groups(),
            years,
            time: match (time, open.columns.time) {
                (Some(t), _) => format!(
                    "{}{}",
                    t.scope.name(),
                    t.note.as_ref().map_or(String::new(), |n| format!(": {n}"))
                ),
                (None, Some(c)) => format!("column `{}`", name(c)),
                (None, None) => "not stated".to_owned(),
            },
            vector,
            dimension: self.dimension().or_else(|| open.stated_length()),
            stored,
            decode: self.product.codec.to_string(),
            decodes: self.product.codec.decodes(),
            unit_length: self.product.unit_length,
            places,
            crs,
            columns: schema.fields().iter().map(|f| (f.name().clone(), f.data_type().to_string())).collect(),
            partitions,
            bbox: bbox.flatten(),
            licence: self.product.licence.clone(),
            attribution: self.product.attribution.clone(),
            emb,
            notes: self.notes.clone(),
        })
    }

    /// The files that may have rows in an area and in some years, with what names, manifests and footers tell of them.
    ///
    /// # Errors
    /// If a file can't be opened.
    pub fn coverage(&self, asked: &Area, years: &Years) -> Result<Vec<PatchFileSummary>> {
        let area = bounds_of(asked)?;
        let query = PatchQuery { years: years.clone(), ..PatchQuery::default() };
        let times = spans(&query);
        // Of many files far away, names or a catalogue have to say enough.
        let many = self.root.is_remote() && self.files.len() > MANY;
        let summary = |index: &usize| -> Result<Option<PatchFileSummary>> {
            let index = *index;
            let may_lie = |b: &BBox| area.as_ref().is_none_or(|a| touches(b, a)) && meets(asked, b);
            let file = &self.files[index];
            let any = area.is_some() || times.is_some();
            let known = file.bounds.is_some() && (file.rows.is_some() || many);
            let out = match any {
                true if known && many => self.ruled_out(index, &query, times.as_deref(), &may_lie),
                true => self.part(index, &query, times.as_deref(), may_lie)?.is_none(),
                false => false,
            };
            if out {
                return Ok(None);
            }
            let open = if known { None } else { Some(file.open(&self.product, &self.root)?) };
            let exact = open.as_ref().and_then(|o| o.bounds());
            Ok(Some(PatchFileSummary {
                path: file.path.clone(),
                year: file.interval.map(|i| i.start_year()),
                interval: file.interval.map(|i| i.to_string()),
                rows: file.rows.or_else(|| open.as_ref()?.rows()),
                bbox: exact.or(file.bounds).as_ref().map(corners),
            }))
        };
        let all: Vec<usize> = (0..self.files.len()).collect();
        let files: Vec<Result<Option<PatchFileSummary>>> = match self.root.is_remote() {
            true => at_once(&all, summary)?,
            false => all.par_iter().map(summary).collect(),
        };
        files.into_iter().filter_map(Result::transpose).collect()
    }
}
