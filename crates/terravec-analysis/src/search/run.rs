//! A search over a stream: the table of the best rows, in memory bounded by a block and the rows of the answer.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch, StringArray, UInt32Array};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{Field, Float64Type, Schema};
use terravec::patch::align;
use terravec::{Error, Provenance, Result};

use super::flat::{Rows, nearest};
use super::query::Query;
use super::top::{Hit, Top};
use crate::rows::{Block, Stream};

/// The most rows that can be asked for.
pub const MOST: usize = 100_000;

/// How many, and which not.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Rows wanted, 1 to [`MOST`].
    pub k: usize,
    /// Rows whose centre is one of these places (lon, lat) are left out.
    pub not_at: Vec<(f64, f64)>,
    /// Pixels (column, row) that are left out, in all periods.
    pub not_pixels: Vec<(usize, usize)>,
    /// Whether the vectors stay in the answer.
    pub vectors: bool,
}

/// What was found.
#[derive(Debug)]
pub struct Answer {
    /// `rank` (from 1), `similarity`, `score` or `distance`, then the columns of the row, and `link` to a map of the place.
    pub table: RecordBatch,
    /// Rows that were compared.
    pub searched: u64,
    /// Rows or pixels that have no vector.
    pub without_vector: u64,
    /// Rows without a score: vectors of length 0 have no direction.
    pub without_score: u64,
    /// What should be known about it.
    pub notes: Vec<String>,
    /// Where the vectors come from.
    pub provenance: Provenance,
}

/// Refuses a number of rows that makes no sense.
///
/// # Errors
/// If it is 0 or more than [`MOST`].
pub fn check_k(k: usize) -> Result<()> {
    if (1..=MOST).contains(&k) {
        return Ok(());
    }
    Err(Error::query(format!("{k} results are asked for"), format!("ask for 1 to {MOST}")))
}

/// The rows of `stream` that are most similar to `query`.
///
/// # Errors
/// If the stream has no vector or vectors of another length, or can't be read.
pub fn search(mut stream: Stream<'_>, query: &Query, options: &Options) -> Result<Answer> {
    check_k(options.k)?;
    let mut top = Top::new(options.k, f64::NEG_INFINITY);
    let mut kept = Kept::default();
    let (mut searched, mut without_score) = (0, 0);
    while let Some(block) = stream.step()? {
        query.check(block.dim)?;
        let keep = options.keep(&block);
        searched += keep.as_ref().map_or(block.rows(), |k| k.iter().filter(|k| **k).count()) as u64;
        let rows = Rows::F32(&block.values);
        let found = nearest(rows, query, options.k, top.threshold(), block.first, keep.as_deref());
        without_score += found.without_score;
        found.hits.into_iter().for_each(|hit| top.push(hit));
        kept.add(&stream, &block, &mut top, options)?;
    }
    if searched == 0 {
        return Err(Error::query(
            "nothing that is asked for has a vector to compare",
            "widen the area, the time or the conditions",
        ));
    }
    let hits = top.sorted();
    let mut notes: Vec<String> = stream.warning().into_iter().collect();
    if without_score > 0 {
        notes.push(format!("{without_score} vectors of length 0 have no direction and are left out"));
    }
    if hits.len() < options.k {
        notes.push(format!("only {} of {} results: no more rows are there", hits.len(), options.k));
    }
    Ok(Answer {
        table: answer_table(&kept.rows_of(&hits)?, &hits, query)?,
        searched,
        without_vector: stream.without_vector,
        without_score,
        notes,
        provenance: stream.provenance(),
    })
}

impl Options {
    fn keep(&self, block: &Block) -> Option<Vec<bool>> {
        if self.not_at.is_empty() && self.not_pixels.is_empty() {
            return None;
        }
        let kept = |row| {
            block.centre(row).is_none_or(|c| !self.not_at.contains(&c))
                && block.pixel(row).is_none_or(|(_, col, row)| !self.not_pixels.contains(&(col, row)))
        };
        Some((0..block.rows()).map(kept).collect())
    }
}

/// Rows that are, or were, among the best: their columns are read while their block is there.
#[derive(Default)]
struct Kept {
    batches: Vec<RecordBatch>,
    /// Where a row stands: batch, row.
    places: HashMap<u64, (usize, usize)>,
}

impl Kept {
    fn add(&mut self, stream: &Stream<'_>, block: &Block, top: &mut Top, options: &Options) -> Result<()> {
        let hits = top.hits();
        let mut rows: Vec<u64> = hits.iter().map(|h| h.row).filter(|r| *r >= block.first).collect();
        if rows.is_empty() {
            return Ok(());
        }
        rows.sort_unstable();
        #[allow(clippy::cast_possible_truncation)]
        let index: Vec<usize> = rows.iter().map(|r| (r - block.first) as usize).collect();
        let mut batch = stream.table(block, &index)?;
        for name in ["status", "embedding"] {
            if (name != "embedding" || !options.vectors)
                && let Ok(column) = batch.schema().index_of(name)
            {
                batch.remove_column(column);
            }
        }
        if let Some(first) = self.batches.first() {
            batch = align(&batch, &first.schema())?;
        }
        self.places.extend(rows.iter().enumerate().map(|(i, r)| (*r, (self.batches.len(), i))));
        self.batches.push(batch);
        // Those that were overtaken are let go when they are most.
        if self.places.len() > 4 * options.k + 4096 {
            let hits = top.hits().to_vec();
            let batch = self.rows_of(&hits)?;
            self.places = hits.iter().enumerate().map(|(i, h)| (h.row, (0, i))).collect();
            self.batches = vec![batch];
        }
        Ok(())
    }

    fn rows_of(&self, hits: &[Hit]) -> Result<RecordBatch> {
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let at: Vec<(usize, usize)> = hits.iter().map(|h| self.places[&h.row]).collect();
        if batches.is_empty() {
            return Ok(RecordBatch::new_empty(Arc::new(Schema::empty())));
        }
        Ok(interleave_record_batch(&batches, &at)?)
    }
}

/// Ranks and scores before the columns of the rows, and a link behind; columns of the table with these names get a `_` behind.
pub(crate) fn answer_table(rows: &RecordBatch, hits: &[Hit], query: &Query) -> Result<RecordBatch> {
    let scores = Float64Array::from_iter_values(hits.iter().map(|h| query.shown(h.score)));
    ranked(rows, query.metric().column(), Arc::new(scores))
}

/// The same with a column of any name.
pub(crate) fn ranked(rows: &RecordBatch, name: &str, scores: ArrayRef) -> Result<RecordBatch> {
    let ranks = UInt32Array::from_iter_values((1..).take(scores.len()));
    let links = match (rows.column_by_name("lon"), rows.column_by_name("lat")) {
        (Some(lon), Some(lat)) => {
            let (lon, lat) = (lon.as_primitive::<Float64Type>(), lat.as_primitive::<Float64Type>());
            StringArray::from_iter(lon.iter().zip(lat).map(|(x, y)| Some(link(x?, y?))))
        }
        _ => StringArray::new_null(scores.len()),
    };
    let ours: [(&str, ArrayRef); 3] = [("rank", Arc::new(ranks)), (name, scores), ("link", Arc::new(links))];
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    let mut push = |field: Field, column: &ArrayRef| {
        fields.push(field);
        columns.push(Arc::clone(column));
    };
    for (name, column) in &ours[..2] {
        push(Field::new(*name, column.data_type().clone(), false), column);
    }
    let schema = rows.schema();
    for (field, column) in schema.fields().iter().zip(rows.columns()) {
        let clash = ours.iter().any(|(name, _)| name == field.name());
        let field = field.as_ref().clone();
        let own = field.name().clone();
        if own == "geometry" {
            push(Field::new("link", ours[2].1.data_type().clone(), true), &ours[2].1);
        }
        push(if clash { field.with_name(format!("{own}_")) } else { field }, column);
    }
    let schema = Schema::new(fields).with_metadata(schema.metadata().clone());
    Ok(RecordBatch::try_new(Arc::new(schema), columns)?)
}

/// A map of the place.
fn link(lon: f64, lat: f64) -> String {
    format!("https://www.openstreetmap.org/?mlat={lat:.6}&mlon={lon:.6}#map=14/{lat:.6}/{lon:.6}")
}
