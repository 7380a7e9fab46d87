//! Rows of a patch product as a table file, written in bounded memory.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::{cast, concat_batches, interleave_record_batch};
use arrow::datatypes::{DataType, SchemaRef};
use terravec_io::vector::{TableSpec, TableWriter, hilbert_order};

use super::scan::{PatchQuery, spans};
use super::{PatchDataset, Patches, Tally, touches};
use crate::error::{Error, Result};
use crate::provenance::Provenance;
use crate::query::target::bounds_of;
use crate::sink::check_absent;
use crate::table;

/// Up to this many bytes of rows are put into the order of a Hilbert curve; more are written in the order of the files.
const SORTED_BYTES: usize = 64 << 20;
/// Rows handed to the writer at once.
const WRITE_ROWS: usize = 8192;

/// What an extraction of rows became.
#[derive(Debug, Clone)]
pub struct WrittenRows {
    /// What became of the rows.
    pub tally: Tally,
    /// Numbers per vector.
    pub dimension: usize,
    /// Where the rows come from.
    pub provenance: Provenance,
}

impl PatchDataset {
    /// Writes the rows that `query` asks for to `path`, in the format its extension names: `.parquet`, `.arrow`, `.csv` or
    /// `.geojson`. `progress` is told the rows written so far.
    ///
    /// GeoParquet gets a column of bounding boxes, and results of up to 64 MiB are put into the order of a Hilbert curve.
    ///
    /// # Errors
    /// If nothing matches, the output exists and `force` is not given, or reading or writing fails.
    pub fn write(
        &self,
        query: &PatchQuery,
        path: &Path,
        force: bool,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<WrittenRows> {
        check_absent(path, force)?;
        let used = self.used(query)?;
        let mut scan = self.scan(query)?;
        let mut out = Output { path, force, spec: TableSpec::default(), schema: None, writer: None };
        let mut waiting: Vec<(RecordBatch, Vec<f64>, Vec<f64>)> = Vec::new();
        let mut bytes = 0;
        let mut provenance = None;
        let mut sorting = is_parquet(path);
        while let Some(patches) = scan.next() {
            let patches: Patches = patches?;
            let provenance =
                provenance.get_or_insert_with(|| self.answer_to(query, &used, patches.dimension));
            out.spec =
                table::spec(provenance, (0..patches.dimension).map(|i| format!("e{i}")).collect(), true);
            let (lon, lat) = (patches.lon.clone(), patches.lat.clone());
            let batch = table::patches(patches, provenance)?;
            progress(scan.tally().rows);
            if !sorting {
                out.write(&batch)?;
                continue;
            }
            bytes += batch.get_array_memory_size();
            waiting.push((batch, lon, lat));
            if bytes > SORTED_BYTES {
                sorting = false;
                for (batch, ..) in waiting.drain(..) {
                    out.write(&batch)?;
                }
            }
        }
        let Some(provenance) = provenance else {
            return Err(self.no_row());
        };
        if let Some((first, ..)) = waiting.first() {
            let schema = first.schema();
            let lon: Vec<f64> = waiting.iter().flat_map(|(_, lon, _)| lon.iter().copied()).collect();
            let lat: Vec<f64> = waiting.iter().flat_map(|(.., lat)| lat.iter().copied()).collect();
            let aligned = waiting.iter().map(|(b, ..)| align(b, &schema)).collect::<Result<Vec<_>>>()?;
            drop(waiting);
            let batches: Vec<&RecordBatch> = aligned.iter().collect();
            let places: Vec<(usize, usize)> = aligned
                .iter()
                .enumerate()
                .flat_map(|(b, a)| (0..a.num_rows()).map(move |r| (b, r)))
                .collect();
            for part in hilbert_order(&lon, &lat).chunks(WRITE_ROWS) {
                let part: Vec<(usize, usize)> = part.iter().map(|i| places[*i as usize]).collect();
                out.write(&interleave_record_batch(&batches, &part)?)?;
            }
        }
        out.finish()?;
        let dimension = scan.dimension().unwrap_or(0);
        Ok(WrittenRows { tally: scan.tally().clone(), dimension, provenance })
    }
}

impl PatchDataset {
    /// Reads the rows that `query` asks for into memory, as one table in the order of files and rows. `progress` is told the rows
    /// read so far.
    ///
    /// # Errors
    /// If nothing matches, or reading fails.
    pub fn read(
        &self,
        query: &PatchQuery,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(RecordBatch, WrittenRows)> {
        let used = self.used(query)?;
        let mut scan = self.scan(query)?;
        let mut batches = Vec::new();
        while let Some(patches) = scan.next() {
            let patches = patches?;
            let provenance = self.answer_to(query, &used, patches.dimension);
            batches.push(table::patches(patches, &provenance)?);
            progress(scan.tally().rows);
        }
        let first = batches.first().ok_or_else(|| self.no_row())?.schema();
        let aligned = batches.iter().map(|b| align(b, &first)).collect::<Result<Vec<_>>>()?;
        let dimension = scan.dimension().unwrap_or(0);
        let provenance = self.answer_to(query, &used, dimension);
        Ok((
            concat_batches(&first, &aligned)?,
            WrittenRows { tally: scan.tally().clone(), dimension, provenance },
        ))
    }

    /// The files that may hold rows asked for.
    fn used(&self, query: &PatchQuery) -> Result<Vec<usize>> {
        let area = bounds_of(&query.area)?;
        let times = spans(query);
        let mut used = Vec::new();
        for index in 0..self.files.len() {
            let near = |b: &terravec_geo::BBox| area.as_ref().is_none_or(|a| touches(b, a));
            if self.part(index, query, times.as_deref(), near)?.is_some() {
                used.push(index);
            }
        }
        Ok(used)
    }

    /// Provenance of the rows that `query` asks for.
    pub(super) fn answer_to(&self, query: &PatchQuery, used: &[usize], dimension: usize) -> Provenance {
        let mut provenance = self.provenance(used, dimension, query.codes, describe(query));
        provenance.years = years_asked(query);
        provenance
    }

    fn no_row(&self) -> Error {
        Error::Outside { what: "no row is what is asked for".into(), covered: self.covered() }
    }
}

/// The file, from the first batch on.
struct Output<'a> {
    path: &'a Path,
    force: bool,
    spec: TableSpec,
    schema: Option<SchemaRef>,
    writer: Option<TableWriter>,
}

impl Output<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let schema = Arc::clone(self.schema.get_or_insert_with(|| batch.schema()));
        let batch = align(batch, &schema)?;
        match &mut self.writer {
            Some(writer) => writer.write(&batch)?,
            None => self.writer.insert(TableWriter::create(self.path, &schema, &self.spec)?).write(&batch)?,
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        if let Some(writer) = self.writer {
            check_absent(self.path, self.force)?;
            writer.finish()?;
        }
        Ok(())
    }
}

/// A batch with the columns of `schema`: files of one product may order them otherwise, or store texts in another way.
///
/// # Errors
/// If one has a column that the other lacks, or a value that the other's type can't hold.
pub fn align(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    if batch.schema().fields() == schema.fields() {
        return Ok(batch.clone());
    }
    let apart = |what: String| Error::open(what, "extract the files apart from one another");
    let lacks = |name: &str| apart(format!("a file has no column `{name}`, which another has"));
    if let Some(more) = batch.schema().fields().iter().find(|f| schema.index_of(f.name()).is_err()) {
        return Err(lacks(more.name()));
    }
    let columns = schema
        .fields()
        .iter()
        .map(|field| {
            let column = batch.column_by_name(field.name()).ok_or_else(|| lacks(field.name()))?;
            let (is, wanted) = (column.data_type(), field.data_type());
            let made = cast(column, wanted)?;
            // A number that is too large becomes null, a fraction is cut off.
            if is != wanted && *is != DataType::Null && cast(&made, is)?.as_ref() != column.as_ref() {
                return Err(apart(format!(
                    "column `{}` holds {is} in one file and {wanted} in another, which can't hold all of it",
                    field.name()
                )));
            }
            Ok(made)
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

fn is_parquet(path: &Path) -> bool {
    path.extension()
        .and_then(|e| e.to_str())
        .is_some_and(|e| super::is_table(&format!("x.{e}")) && !e.eq_ignore_ascii_case("csv"))
}

fn years_asked(query: &PatchQuery) -> Vec<i32> {
    match &query.years {
        crate::time::Years::All => Vec::new(),
        crate::time::Years::List(years) => years.clone(),
    }
}

/// The request, for provenance.
fn describe(query: &PatchQuery) -> serde_json::Value {
    let area = bounds_of(&query.area).ok().flatten();
    serde_json::json!({
        "verb": "extract",
        "bbox": area.map(|b| [b.west, b.south, b.east, b.north]),
        "polygons": matches!(query.area, crate::query::extract::Area::Regions { .. }),
        "time": query.time.map(|t| t.to_string()),
        "where": query.conditions.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
