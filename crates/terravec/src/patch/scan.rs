//! `scan`: the rows of a patch product that a question asks for, streamed in bounded memory.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use geo_types::MultiPolygon;
use terravec_geo::{BBox, LonLatBox, TURNS, polygon};

use super::file::{Batches, OpenFile, Table};
use super::rows::{Chunk, Memory, OnBad, Patches, Reading, Tally};
use super::{Condition, PatchDataset, touches};
use crate::error::{Error, Result};
use crate::interrupt::Watch;
use crate::provenance::Provenance;
use crate::query::extract::Area;
use crate::query::{bounds_of, meets};
use crate::time::{Interval, Years};

/// Which rows are asked for.
#[derive(Debug, Clone)]
pub struct PatchQuery {
    /// Rows whose footprint touches this.
    pub area: Area,
    /// Rows that hold at some time in these years.
    pub years: Years,
    /// Rows that hold at some time in this span.
    pub time: Option<Interval>,
    /// Rows that meet all of these.
    pub conditions: Vec<Condition>,
    /// The stored codes instead of decoded vectors.
    pub codes: bool,
    /// What to do with rows that have no good vector or place.
    pub on_bad: OnBad,
    /// Keep rows that stand in two files of a product whose files overlap.
    pub keep_duplicates: bool,
}

impl Default for PatchQuery {
    fn default() -> Self {
        Self {
            area: Area::All,
            years: Years::All,
            time: None,
            conditions: Vec::new(),
            codes: false,
            on_bad: OnBad::Fail,
            keep_duplicates: false,
        }
    }
}

/// Row groups of a file that may hold rows asked for.
pub(crate) struct Part {
    pub(crate) file: usize,
    pub(crate) open: Arc<OpenFile>,
    pub(crate) groups: Vec<usize>,
}

/// Rows of a patch product, batch by batch.
pub struct Scan<'a> {
    dataset: &'a PatchDataset,
    query: PatchQuery,
    area: Option<LonLatBox>,
    spans: Option<Vec<Interval>>,
    memory: Memory,
    /// The next file to look at.
    next: usize,
    current: Option<Current>,
    /// Files that rows were read from.
    used: Vec<usize>,
    /// Rows to hand out: those without a vector at the start wait until the length of vectors is known.
    ready: VecDeque<Patches>,
}

struct Current {
    index: usize,
    open: Arc<OpenFile>,
    interval: Option<Interval>,
    columns: Vec<usize>,
    batches: Batches,
    /// Row numbers that are still to come.
    rows: Box<dyn Iterator<Item = u64> + Send>,
    /// Whether rows are still to be compared with the query: a text table was not looked through before.
    unfiltered: bool,
}

impl std::fmt::Debug for Scan<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scan").field("query", &self.query).finish_non_exhaustive()
    }
}

impl PatchDataset {
    /// Streams the rows that `query` asks for, in the order of files and rows.
    ///
    /// # Errors
    /// If the product has no decode rule (and codes are not asked for), or a region is empty. What goes wrong later comes as the last
    /// item of the iterator.
    pub fn scan(&self, query: &PatchQuery) -> Result<Scan<'_>> {
        if !query.codes {
            self.check_decodes()?;
        }
        self.check_dated(query)?;
        let overlap =
            self.files.len() > 1 && self.product.table.as_ref().is_some_and(|t| t.duplicates.is_some());
        Ok(Scan {
            dataset: self,
            area: bounds_of(&query.area)?,
            spans: spans(query),
            memory: Memory {
                seen: (overlap && !query.keep_duplicates).then(HashSet::new),
                dimension: self.length()?,
                ..Memory::default()
            },
            query: query.clone(),
            next: 0,
            current: None,
            used: Vec::new(),
            ready: VecDeque::new(),
        })
    }

    /// Whether what is known of a file without opening it rules it out.
    pub(super) fn ruled_out(
        &self,
        index: usize,
        query: &PatchQuery,
        spans: Option<&[Interval]>,
        may_lie: &impl Fn(&BBox) -> bool,
    ) -> bool {
        let file = &self.files[index];
        let in_time = |i: &Interval| spans.is_none_or(|s| s.iter().any(|span| span.overlaps(i)));
        // A column of times may say more than the file's name, but not something else.
        file.bounds.as_ref().is_some_and(|b| !may_lie(b))
            || file.interval.as_ref().is_some_and(|i| !in_time(i))
            || !file.meets(&query.conditions)
    }

    /// The row groups of file `index` that may hold what is asked for; `None` if there are none.
    pub(crate) fn part(
        &self,
        index: usize,
        query: &PatchQuery,
        spans: Option<&[Interval]>,
        may_lie: impl Fn(&BBox) -> bool,
    ) -> Result<Option<Part>> {
        if self.ruled_out(index, query, spans, &may_lie) {
            return Ok(None);
        }
        let file = &self.files[index];
        let open = file.open(&self.product, &self.root)?;
        let possible = |group: usize| {
            let Table::Parquet(table) = &open.table else { return true };
            query.conditions.iter().all(|c| {
                let column = open.schema.index_of(&c.column).ok();
                let range = column.and_then(|column| table.group_range(group, column));
                range.is_none_or(|(least, greatest)| c.possible(&least, &greatest))
            })
        };
        let groups: Vec<usize> = (0..open.groups())
            .filter(|g| open.group_box(*g).is_none_or(|b| may_lie(&b)))
            .filter(|g| possible(*g) && self.group_in_time(&open, *g, spans))
            .collect();
        Ok((!groups.is_empty()).then_some(Part { file: index, open, groups }))
    }

    /// Whether a row of the group may hold in one of the spans, by the statistics of its column of time.
    fn group_in_time(&self, open: &OpenFile, group: usize, spans: Option<&[Interval]>) -> bool {
        use terravec_io::table::Bound;
        let (Some(spans), Table::Parquet(table), Some(column)) = (spans, &open.table, open.columns.time)
        else {
            return true;
        };
        let Some((Bound::Time(least), Bound::Time(greatest))) = table.group_range(group, column) else {
            return true;
        };
        // A row may hold for as long as a year around the time it states.
        const YEAR_MS: i64 = 366 * 86_400_000;
        let all = Interval {
            start_ms: (least / 1000).saturating_sub(YEAR_MS),
            end_ms: (greatest / 1000).saturating_add(YEAR_MS),
        };
        spans.iter().any(|span| span.overlaps(&all))
    }

    /// The rows of `batch` that the query asks for.
    pub(crate) fn matches(
        &self,
        open: &OpenFile,
        file: usize,
        query: &PatchQuery,
        area: Option<&LonLatBox>,
        spans: Option<&[Interval]>,
        batch: &RecordBatch,
    ) -> Result<Vec<bool>> {
        let n = batch.num_rows();
        let mut keep = vec![true; n];
        let says = |what: String| {
            Error::query(format!("{}: {what}", open.location), "see `terravec info` for the columns")
        };
        for condition in &query.conditions {
            let Some(column) = batch.column_by_name(&condition.column) else {
                // A key of the folders has ruled out whole files already.
                if self.files[file].keys.iter().any(|(k, _)| *k == condition.column) {
                    continue;
                }
                let names: Vec<&str> = open.schema.fields().iter().map(|f| f.name().as_str()).collect();
                return Err(Error::query(
                    format!("{}: there is no column `{}`", open.location, condition.column),
                    format!("its columns: {}", names.join(", ")),
                ));
            };
            for (keep, meets) in keep.iter_mut().zip(condition.select(column).map_err(says)?) {
                *keep &= meets;
            }
        }
        if let Some(spans) = spans {
            let time = open.columns.time.map(|c| open.schema.field(c).name());
            let column = time.and_then(|name| batch.column_by_name(name));
            let times =
                super::time::of_rows(&self.product, self.files[file].interval, column, n).map_err(says)?;
            for (row, (keep, interval)) in keep.iter_mut().zip(&times.intervals).enumerate() {
                // A row without a time holds at no time that is asked for; one whose time can't be read may.
                *keep &= times.problems.contains_key(&row)
                    || interval.is_some_and(|i| spans.iter().any(|span| span.overlaps(&i)));
            }
        }
        if let Some(area) = area {
            let places = open.placer.places(batch)?;
            let lost: HashSet<usize> = places.problems.iter().map(|p| p.0).collect();
            let polygons: Option<&[MultiPolygon<f64>]> = match &query.area {
                Area::Regions { regions, .. } => Some(&regions.polygons),
                _ => None,
            };
            for (row, keep) in keep.iter_mut().enumerate().filter(|(_, k)| **k) {
                // A row that can't be placed may lie there: it is told of when it is read.
                *keep = lost.contains(&row)
                    || touches(&places.boxes[row], area)
                        && polygons.is_none_or(|p| {
                            TURNS
                                .iter()
                                .filter_map(|turn| places.turned(row, *turn))
                                .any(|g| p.iter().any(|region| polygon::touches(region, &g)))
                        });
            }
        }
        Ok(keep)
    }
}

/// The spans of time asked for; `None` for any.
pub(crate) fn spans(query: &PatchQuery) -> Option<Vec<Interval>> {
    let years = match &query.years {
        Years::All => None,
        Years::List(list) => Some(list.iter().copied().map(Interval::year).collect::<Vec<_>>()),
    };
    match (years, query.time) {
        (None, None) => None,
        (None, Some(time)) => Some(vec![time]),
        (Some(years), None) => Some(years),
        (Some(years), Some(time)) => Some(
            years
                .into_iter()
                .filter(|y| y.overlaps(&time))
                .map(|y| Interval {
                    start_ms: y.start_ms.max(time.start_ms),
                    end_ms: y.end_ms.min(time.end_ms),
                })
                .collect(),
        ),
    }
}

impl Scan<'_> {
    /// What became of the rows so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.memory.tally
    }

    /// Where the rows so far come from.
    #[must_use]
    pub fn provenance(&self) -> Provenance {
        self.dataset.answer_to(&self.query, &self.used, self.memory.dimension.unwrap_or(0))
    }

    /// Numbers of a vector; `None` where no row has one.
    #[must_use]
    pub fn dimension(&self) -> Option<usize> {
        self.memory.dimension
    }

    /// Starts the next file that has rows; `false` at the end.
    fn advance(&mut self) -> Result<bool> {
        while self.next < self.dataset.files.len() {
            let index = self.next;
            self.next += 1;
            let area = self.area;
            let asked = &self.query.area;
            let may_lie = |b: &BBox| area.as_ref().is_none_or(|a| touches(b, a)) && meets(asked, b);
            let Some(part) = self.dataset.part(index, &self.query, self.spans.as_deref(), may_lie)? else {
                continue;
            };
            let columns: Vec<usize> = (0..part.open.schema.fields().len())
                .filter(|c| Some(*c) != part.open.columns.covering)
                .collect();
            let is_text = matches!(part.open.table, Table::Csv(..));
            let filtered = self.area.is_some() || self.spans.is_some() || !self.query.conditions.is_empty();
            let rows = if filtered && !is_text { Some(self.wanted(&part)?) } else { None };
            if rows.as_ref().is_some_and(Vec::is_empty) {
                continue;
            }
            let groups = match &rows {
                // Groups without a row that is wanted need not be touched.
                Some(rows) => {
                    part.groups.iter().copied().filter(|g| any_in(rows, &part.open.group_rows(*g))).collect()
                }
                None => part.groups.clone(),
            };
            let numbers: Vec<Range<u64>> =
                rows.clone().unwrap_or_else(|| groups.iter().map(|g| part.open.group_rows(*g)).collect());
            self.used.push(index);
            self.current = Some(Current {
                index,
                batches: part.open.read(&columns, groups, rows)?,
                interval: self.dataset.files[index].interval,
                columns,
                rows: Box::new(numbers.into_iter().flatten()),
                unfiltered: filtered && is_text,
                open: part.open,
            });
            return Ok(true);
        }
        Ok(false)
    }

    /// The rows of a part that are asked for, found without their vectors.
    fn wanted(&self, part: &Part) -> Result<Vec<Range<u64>>> {
        let open = &part.open;
        let mut columns: Vec<usize> =
            self.query.conditions.iter().filter_map(|c| open.schema.index_of(&c.column).ok()).collect();
        if self.area.is_some() {
            columns.extend_from_slice(&open.columns.places());
        }
        if self.spans.is_some() {
            columns.extend(open.columns.time);
        }
        columns.sort_unstable();
        columns.dedup();
        let groups: Vec<Range<u64>> = part.groups.iter().map(|g| open.group_rows(*g)).collect();
        if columns.is_empty() {
            // The file's name has told all there is to tell, or there is nothing to tell by.
            let none = RecordBatch::new_empty(Arc::new(arrow::datatypes::Schema::empty()));
            self.dataset.matches(open, part.file, &self.query, None, None, &none)?;
            let known = self.spans.is_none() || self.dataset.files[part.file].interval.is_some();
            return Ok(if known { groups } else { Vec::new() });
        }
        let mut numbers = groups.into_iter().flatten();
        let mut wanted: Vec<Range<u64>> = Vec::new();
        for batch in open.read(&columns, part.groups.clone(), None)? {
            let batch = batch?;
            let spans = self.spans.as_deref();
            let keep =
                self.dataset.matches(open, part.file, &self.query, self.area.as_ref(), spans, &batch)?;
            // In this order: the other way round, a number would be lost with every batch.
            for (keep, number) in keep.into_iter().zip(numbers.by_ref()) {
                match wanted.last_mut() {
                    Some(last) if keep && last.end == number => last.end += 1,
                    _ if keep => wanted.push(number..number + 1),
                    _ => {}
                }
            }
        }
        Ok(wanted)
    }

    fn step(&mut self) -> Result<Option<Patches>> {
        loop {
            if self.current.is_none() && !self.advance()? {
                return Ok(None);
            }
            let Some(current) = &mut self.current else { continue };
            let Some(batch) = current.batches.next() else {
                self.current = None;
                continue;
            };
            let mut batch = batch?;
            let mut numbers: Vec<u64> = current.rows.by_ref().take(batch.num_rows()).collect();
            let file = current.index;
            if current.unfiltered {
                let spans = self.spans.as_deref();
                let keep = self.dataset.matches(
                    &current.open,
                    file,
                    &self.query,
                    self.area.as_ref(),
                    spans,
                    &batch,
                )?;
                let mut kept = keep.iter();
                numbers.retain(|_| *kept.next().unwrap_or(&false));
                batch = arrow::compute::filter_record_batch(&batch, &keep.into())?;
            }
            if batch.num_rows() == 0 {
                continue;
            }
            let reading = Reading { codes: self.query.codes, on_bad: self.query.on_bad };
            let chunk = Chunk {
                file: &current.open,
                interval: current.interval,
                columns: &current.columns,
                numbers: &numbers,
                batch,
            };
            return self.dataset.decode(chunk, reading, &mut self.memory).map(Some);
        }
    }
}

impl Iterator for Scan<'_> {
    type Item = Result<Patches>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.front().is_none_or(|p| p.dimension == 0) {
            match Watch::current().check().and_then(|()| self.step()) {
                Ok(Some(patches)) => {
                    self.ready.iter_mut().for_each(|p| p.lengthen(patches.dimension));
                    self.ready.push_back(patches);
                }
                end => {
                    self.current = None;
                    self.next = self.dataset.files.len();
                    match end {
                        Err(e) => {
                            self.ready.clear();
                            return Some(Err(e));
                        }
                        Ok(_) => break,
                    }
                }
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

/// Whether some of `rows` (ascending) lies in `group`.
fn any_in(rows: &[Range<u64>], group: &Range<u64>) -> bool {
    let first = rows.partition_point(|r| r.end <= group.start);
    rows.get(first).is_some_and(|r| r.start < group.end)
}
