//! `sample`: the patch that contains a point, or the nearest ones.
//!
//! First the columns of places (and of times and conditions) are read where row groups may hold an answer, then the vectors of the
//! rows found.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, LargeStringArray, RecordBatch, StringArray, UInt32Array,
};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use geo_types::{Geometry, MultiPolygon, Point, Polygon};
use rayon::prelude::*;
use terravec_geo::{BBox, TURNS, polygon};
use terravec_io::table::PlaceBlock;
use terravec_io::vector::Points;
use terravec_io::{DType, Samples};

use super::geodesy::{at_least, at_least_to_box, distance};
use super::rows::{Chunk, Memory, NO_PLACE, NO_TIME, OnBad, Patches, Reading};
use super::scan::{Part, PatchQuery, spans};
use super::{PatchDataset, Tally};
use crate::error::{Error, Result};
use crate::interrupt::Watch;
use crate::query::sample::{Sampled, Values};
use crate::time::{Interval, Years};
use crate::vectors::Status;

/// Which patches answer for a point.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Near {
    /// The one whose footprint contains it, edges included; of several, the one with the nearest centre, of these the latest.
    #[default]
    Containing,
    /// Those with the nearest centres.
    Nearest {
        /// How many.
        count: usize,
        /// None farther than this, metres.
        within: Option<f64>,
    },
}

/// Side of the footprint of a row that is a point.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Footprint {
    pub(crate) metres: Option<f64>,
    pub(crate) degrees: Option<f64>,
}

/// Metres in a degree of latitude where it is shortest, so that footprints are rather too wide when rows are ruled out.
const METRES_PER_DEGREE: f64 = 110_574.0;

impl Footprint {
    pub(crate) fn known(&self) -> bool {
        self.metres.or(self.degrees).is_some()
    }

    /// The square around a centre as a polygon.
    pub(crate) fn polygon(&self, lon: f64, lat: f64) -> Polygon<f64> {
        let b = self.around(lon, lat);
        let corners = [(b.min_x, b.min_y), (b.max_x, b.min_y), (b.max_x, b.max_y), (b.min_x, b.max_y)];
        Polygon::new(corners.into_iter().collect(), Vec::new())
    }

    /// The square around a centre.
    pub(crate) fn around(&self, lon: f64, lat: f64) -> BBox {
        let (dx, dy) = match (self.metres, self.degrees) {
            (Some(side), _) => {
                let dy = side / 2.0 / METRES_PER_DEGREE;
                (dy / lat.to_radians().cos().max(0.01), dy)
            }
            (None, side) => (side.unwrap_or(0.0) / 2.0, side.unwrap_or(0.0) / 2.0),
        };
        BBox { min_x: lon - dx, min_y: lat - dy, max_x: lon + dx, max_y: lat + dy }
    }
}

/// A row that answers for a point.
#[derive(Debug, Clone, Copy)]
struct Hit {
    file: usize,
    row: u64,
    metres: f64,
    start_ms: i64,
    centre: (f64, f64),
}

impl Hit {
    /// Nearer first, then later, then in the order of files and rows.
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        let rest = (std::cmp::Reverse(self.start_ms), self.file, self.row);
        self.metres.total_cmp(&other.metres).then(rest.cmp(&(
            std::cmp::Reverse(other.start_ms),
            other.file,
            other.row,
        )))
    }
}

/// Rows that can't be placed or dated, by file and number, and their fault.
type Lost = BTreeMap<(usize, u64), &'static str>;

/// What one file has for the points, and its rows that could not be looked at.
type Looked = (Vec<(usize, Hit)>, Lost);

/// Points sorted by latitude, so that those in a box are found fast.
struct Places<'a> {
    points: &'a Points,
    by_lat: Vec<usize>,
}

impl<'a> Places<'a> {
    fn new(points: &'a Points) -> Self {
        let placed = |i: &usize| points.lon[*i].is_finite() && points.lat[*i].is_finite();
        let mut by_lat: Vec<usize> = (0..points.lon.len()).filter(placed).collect();
        by_lat.sort_by(|a, b| points.lat[*a].total_cmp(&points.lat[*b]));
        Self { points, by_lat }
    }

    fn at(&self, i: usize) -> (f64, f64) {
        (self.points.lon[i], self.points.lat[i])
    }

    /// The points in a box, edges included; a box may reach over ±180.
    fn inside(&self, b: BBox) -> impl Iterator<Item = usize> + '_ {
        let lat = |i: &usize| self.points.lat[*i];
        let from = self.by_lat.partition_point(|i| lat(i) < b.min_y);
        let to = self.by_lat.partition_point(|i| lat(i) <= b.max_y).max(from);
        self.by_lat[from..to].iter().copied().filter(move |i| {
            let lon = self.points.lon[*i];
            TURNS.iter().any(|turn| lon + turn >= b.min_x && lon + turn <= b.max_x)
        })
    }
}

impl PatchDataset {
    /// The patches at `points`; the area of `query` is left alone. A row for each point, year asked for, and rank.
    ///
    /// # Errors
    /// If the product has no decode rule (and codes are not asked for), a file can't be read, or rows are points whose
    /// footprint nobody states and one is to contain a point.
    pub fn sample(&self, points: Points, query: &PatchQuery, near: Near) -> Result<(Sampled, Tally)> {
        if !query.codes {
            self.check_decodes()?;
        }
        self.check_dated(query)?;
        let periods: Vec<Option<i32>> = match &query.years {
            Years::All => vec![None],
            Years::List(list) => list.iter().copied().map(Some).collect(),
        };
        let ranks = match near {
            Near::Containing => 1,
            Near::Nearest { count, .. } => count.max(1),
        };
        let places = Places::new(&points);
        let mut lost = Lost::new();
        let mut slots: Vec<Option<Hit>> = vec![None; points.lon.len() * periods.len() * ranks];
        for (p, period) in periods.iter().enumerate() {
            let one =
                PatchQuery { years: period.map_or(Years::All, |y| Years::List(vec![y])), ..query.clone() };
            let times = spans(&one);
            let hits = match near {
                Near::Containing => self.containing(&places, &one, times.as_deref(), &mut lost)?,
                Near::Nearest { count, within } => self.nearest(
                    &places,
                    &one,
                    times.as_deref(),
                    (count.max(1), within.unwrap_or(f64::INFINITY)),
                    &mut lost,
                )?,
            };
            for (point, hits) in hits.into_iter().enumerate() {
                for (rank, hit) in hits.into_iter().enumerate() {
                    slots[(point * periods.len() + p) * ranks + rank] = Some(hit);
                }
            }
        }
        let mut memory = Memory { dimension: self.length()?, ..Memory::default() };
        for fault in lost.values() {
            *memory.tally.skipped.entry((*fault).to_owned()).or_default() += 1;
        }
        let found = self.fetch(&slots, query, &mut memory)?;
        let rows = slots.len();
        let period_of = |row: usize| periods[row / ranks % periods.len()];
        let mut status = vec![Status::Outside; rows];
        let mut intervals: Vec<Option<Interval>> =
            (0..rows).map(|r| period_of(r).map(Interval::year)).collect();
        let mut index: Vec<Option<(usize, usize)>> = vec![None; rows];
        let mut ids: Vec<Option<String>> = vec![None; rows];
        for (row, hit) in slots.iter().enumerate().filter_map(|(row, hit)| Some((row, hit.as_ref()?))) {
            // A row that was left out for its fault is in no batch.
            status[row] = Status::Nodata;
            if let Some(&(piece, at)) = found.rows.get(&(hit.file, hit.row)) {
                let patches = &found.pieces[piece];
                status[row] = patches.status[at];
                intervals[row] = patches.intervals[at].or(intervals[row]);
                ids[row] = found.ids[piece]
                    .as_ref()
                    .and_then(|c| c.is_valid(at).then(|| c.as_string::<i64>().value(at).to_owned()));
                index[row] = (status[row] == Status::Valid).then_some((piece, at));
            }
        }
        let dimension = memory.dimension.unwrap_or(0);
        let values = gather(
            &found.pieces,
            &index,
            dimension,
            query.codes.then_some(self.product.dtype.unwrap_or(DType::F32)),
        );
        let number = |f: fn(&Hit) -> f64| -> ArrayRef {
            Arc::new(slots.iter().map(|h| h.as_ref().map(f)).collect::<Float64Array>())
        };
        let mut extra: Vec<(String, ArrayRef)> = vec![
            ("patch_id".into(), Arc::new(StringArray::from(ids))),
            ("patch_lon".into(), number(|h| h.centre.0)),
            ("patch_lat".into(), number(|h| h.centre.1)),
            ("distance_m".into(), number(|h| h.metres)),
        ];
        if ranks > 1 {
            let rank = (0..rows).map(|r| u32::try_from(r % ranks + 1).unwrap_or(u32::MAX));
            extra.push(("rank".into(), Arc::new(UInt32Array::from_iter_values(rank))));
        }
        let mut used: Vec<usize> = slots.iter().flatten().map(|h| h.file).collect();
        used.sort_unstable();
        used.dedup();
        let request = serde_json::json!({
            "verb": "sample", "points": points.lon.len(), "from": points.origin,
            "nearest": if near == Near::Containing { serde_json::Value::Null } else { ranks.into() },
            "where": query.conditions.iter().map(ToString::to_string).collect::<Vec<_>>(),
        });
        let mut provenance = self.provenance(&used, dimension, query.codes, request);
        provenance.years = years(&intervals, &status);
        let sampled = Sampled {
            points,
            periods,
            status,
            intervals,
            values,
            band_names: (0..dimension).map(|i| format!("e{i}")).collect(),
            extra,
            provenance,
        };
        Ok((sampled, memory.tally))
    }

    /// The best containing row of each point.
    fn containing(
        &self,
        places: &Places<'_>,
        query: &PatchQuery,
        times: Option<&[Interval]>,
        lost: &mut Lost,
    ) -> Result<Vec<Vec<Hit>>> {
        let footprint = self.footprint();
        // Boxes of centres miss what their footprints reach.
        let reach = |b: &BBox| {
            let (a, c) = (footprint.around(b.min_x, b.min_y), footprint.around(b.max_x, b.max_y));
            let lat = b.min_y.abs().max(b.max_y.abs());
            let wide = footprint.around(0.0, lat).max_x;
            BBox { min_x: b.min_x - wide, min_y: a.min_y, max_x: b.max_x + wide, max_y: c.max_y }
        };
        let near = |b: &BBox| places.inside(reach(b)).next().is_some();
        let watch = Watch::current();
        let found: Vec<Result<Looked>> = (0..self.files.len())
            .into_par_iter()
            .map(|file| {
                watch.check()?;
                let Some(part) = self.part(file, query, times, near)? else {
                    return Ok(Default::default());
                };
                let (mut hits, mut lost) = (Vec::new(), Lost::new());
                self.look(&part, part.groups.clone(), query, times, &mut lost, |rows, block, starts| {
                    for (at, number) in rows {
                        let b = block.boxes[*at];
                        let is_point = b.min_x == b.max_x && b.min_y == b.max_y;
                        if is_point && !footprint.known() {
                            return Err(Error::query(
                                format!(
                                    "{}: its rows are points, and nobody states the size of their footprints",
                                    part.open.location
                                ),
                                "ask for the nearest instead: --nearest 1",
                            ));
                        }
                        let centre = (block.lon[*at], block.lat[*at]);
                        let candidates = if is_point { footprint.around(centre.0, centre.1) } else { b };
                        let mut shape = None;
                        for point in places.inside(candidates) {
                            let (lon, lat) = places.at(point);
                            let inside = is_point || {
                                let shape = shape.get_or_insert_with(|| polygons(block, *at));
                                TURNS
                                    .iter()
                                    .any(|turn| polygon::touches(shape, &Point::new(lon + turn, lat).into()))
                            };
                            if inside {
                                let metres = distance((lon, lat), centre);
                                hits.push((
                                    point,
                                    Hit { file, row: *number, metres, start_ms: starts[*at], centre },
                                ));
                            }
                        }
                    }
                    Ok(())
                })?;
                Ok((hits, lost))
            })
            .collect();
        let mut best: Vec<Vec<Hit>> = vec![Vec::new(); places.points.lon.len()];
        for found in found {
            let (hits, unread) = found?;
            lost.extend(unread);
            for (point, hit) in hits {
                match best[point].first_mut() {
                    Some(old) if hit.order(old).is_lt() => *old = hit,
                    Some(_) => {}
                    None => best[point].push(hit),
                }
            }
        }
        Ok(best)
    }

    /// The nearest rows of each point, nearest first.
    fn nearest(
        &self,
        places: &Places<'_>,
        query: &PatchQuery,
        times: Option<&[Interval]>,
        (count, within): (usize, f64),
        lost: &mut Lost,
    ) -> Result<Vec<Vec<Hit>>> {
        let once = self.product.table.as_ref().is_some_and(|t| t.duplicates.is_some());
        let bound = |b: Option<&BBox>, point: usize| b.map_or(0.0, |b| at_least_to_box(places.at(point), b));
        let lowest =
            |b: Option<&BBox>| places.by_lat.iter().map(|p| bound(b, *p)).fold(f64::INFINITY, f64::min);
        // Files are opened only if their manifest or folders leave it possible.
        let parts: Vec<Result<Option<Part>>> = (0..self.files.len())
            .into_par_iter()
            .map(|file| self.part(file, query, times, |b| lowest(Some(b)) <= within))
            .collect();
        let parts: Vec<Part> = parts.into_iter().filter_map(Result::transpose).collect::<Result<_>>()?;
        let mut groups: Vec<(f64, usize, usize, Option<BBox>)> = Vec::new();
        for (p, part) in parts.iter().enumerate() {
            for group in &part.groups {
                let b = part.open.group_box(*group);
                groups.push((lowest(b.as_ref()), p, *group, b));
            }
        }
        groups.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let mut best: Vec<Vec<Hit>> = vec![Vec::new(); places.points.lon.len()];
        for (_, p, group, b) in groups {
            let farthest = |hits: &[Hit]| hits.get(count - 1).map_or(within, |h| h.metres);
            let mut wanting = vec![false; best.len()];
            for &i in &places.by_lat {
                wanting[i] = bound(b.as_ref(), i) <= farthest(&best[i]);
            }
            if !wanting.contains(&true) {
                continue;
            }
            let part = &parts[p];
            self.look(part, vec![group], query, times, lost, |rows, block, starts| {
                let mut rows = rows.to_vec();
                rows.sort_by(|a, b| block.lat[a.0].total_cmp(&block.lat[b.0]));
                best.par_iter_mut().enumerate().filter(|(i, _)| wanting[*i]).for_each(|(point, hits)| {
                    let place = places.at(point);
                    // Whether something nearer may come beyond this row, further north or south.
                    let mut consider = |(at, number): &(usize, u64)| {
                        let centre = (block.lon[*at], block.lat[*at]);
                        if at_least(place, centre) <= farthest(hits) {
                            let metres = distance(place, centre);
                            let hit =
                                Hit { file: part.file, row: *number, metres, start_ms: starts[*at], centre };
                            insert(hits, hit, (count, within), once);
                        }
                        at_least(place, (place.0, centre.1)) <= farthest(hits)
                    };
                    let (south, north) = rows.split_at(rows.partition_point(|r| block.lat[r.0] < place.1));
                    let _ = north.iter().all(&mut consider) | south.iter().rev().all(&mut consider);
                });
                Ok(())
            })?;
        }
        Ok(best)
    }

    /// Reads the places of some groups, and hands `visit` the rows that the query leaves (place in the batch, number in the
    /// file) and when they start. Rows that can't be placed or dated are put into `lost`, or fail.
    fn look(
        &self,
        part: &Part,
        groups: Vec<usize>,
        query: &PatchQuery,
        times: Option<&[Interval]>,
        lost: &mut Lost,
        mut visit: impl FnMut(&[(usize, u64)], &PlaceBlock, &[i64]) -> Result<()>,
    ) -> Result<()> {
        let open = &part.open;
        let mut columns = open.columns.places();
        columns.extend(query.conditions.iter().filter_map(|c| open.schema.index_of(&c.column).ok()));
        columns.extend(open.columns.time);
        columns.sort_unstable();
        columns.dedup();
        let mut numbers =
            groups.iter().map(|g| open.group_rows(*g)).collect::<Vec<_>>().into_iter().flatten();
        for batch in open.read(&columns, groups, None)? {
            let batch: RecordBatch = batch?;
            let numbers: Vec<u64> = numbers.by_ref().take(batch.num_rows()).collect();
            let keep = self.matches(open, part.file, query, None, times, &batch)?;
            let block = open.placer.places(&batch)?;
            let time = open.columns.time.and_then(|c| batch.column_by_name(open.schema.field(c).name()));
            let times =
                super::time::of_rows(&self.product, self.files[part.file].interval, time, batch.num_rows())
                    .map_err(|what| {
                    Error::query(format!("{}: {what}", open.location), "correct the column of time")
                })?;
            let unplaced = block.problems.iter().map(|(row, what)| (*row, what, NO_PLACE));
            let undated = times.problems.iter().map(|(row, what)| (*row, what, NO_TIME));
            for (row, what, fault) in unplaced.chain(undated).filter(|(row, ..)| keep[*row]) {
                if query.on_bad == OnBad::Fail {
                    return Err(open.bad_row(numbers[row], what));
                }
                lost.entry((part.file, numbers[row])).or_insert(fault);
            }
            let rows: Vec<(usize, u64)> = (0..batch.num_rows())
                .filter(|i| keep[*i] && block.lon[*i].is_finite() && !times.problems.contains_key(i))
                .map(|i| (i, numbers[i]))
                .collect();
            let starts: Vec<i64> =
                times.intervals.iter().map(|t| t.map_or(i64::MIN, |t| t.start_ms)).collect();
            visit(&rows, &block, &starts)?;
        }
        Ok(())
    }

    /// Reads the rows that were found.
    fn fetch(&self, slots: &[Option<Hit>], query: &PatchQuery, memory: &mut Memory) -> Result<Found> {
        let mut by_file: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        for hit in slots.iter().flatten() {
            by_file.entry(hit.file).or_default().push(hit.row);
        }
        let mut found = Found::default();
        for (file, mut rows) in by_file {
            rows.sort_unstable();
            rows.dedup();
            let open = self.files[file].open(&self.product, &self.root)?;
            let mut columns = open.columns.vector();
            columns.extend(open.columns.places());
            columns.extend(open.columns.time);
            columns.extend(open.columns.id);
            columns.sort_unstable();
            columns.dedup();
            let groups: Vec<usize> = (0..open.groups())
                .filter(|g| {
                    let range = open.group_rows(*g);
                    let first = rows.partition_point(|r| *r < range.start);
                    rows.get(first).is_some_and(|r| *r < range.end)
                })
                .collect();
            let is_text = matches!(open.table, super::file::Table::Csv(..));
            let ranges: Vec<Range<u64>> = rows.iter().map(|r| *r..r + 1).collect();
            let mut numbers: Box<dyn Iterator<Item = u64>> =
                if is_text { Box::new(0..u64::MAX) } else { Box::new(rows.clone().into_iter()) };
            for batch in open.read(&columns, groups, (!is_text).then_some(ranges))? {
                let mut batch = batch?;
                let mut here: Vec<u64> = numbers.by_ref().take(batch.num_rows()).collect();
                if is_text {
                    let keep: Vec<bool> = here.iter().map(|n| rows.binary_search(n).is_ok()).collect();
                    batch = arrow::compute::filter_record_batch(&batch, &keep.clone().into())?;
                    let mut kept = keep.into_iter();
                    here.retain(|_| kept.next().unwrap_or(false));
                }
                let chunk = Chunk {
                    file: &open,
                    interval: self.files[file].interval,
                    columns: &columns,
                    numbers: &here,
                    batch,
                };
                let reading = Reading { codes: query.codes, on_bad: query.on_bad };
                let patches = self.decode(chunk, reading, memory)?;
                let piece = found.pieces.len();
                for (at, number) in patches.numbers.iter().enumerate() {
                    found.rows.insert((file, *number), (piece, at));
                }
                let id =
                    open.columns.id.and_then(|c| patches.columns.column_by_name(open.schema.field(c).name()));
                found.ids.push(id.map(texts).transpose()?);
                found.pieces.push(patches);
            }
        }
        Ok(found)
    }
}

/// The rows that were read.
#[derive(Default)]
struct Found {
    pieces: Vec<Patches>,
    ids: Vec<Option<ArrayRef>>,
    rows: HashMap<(usize, u64), (usize, usize)>,
}

/// Puts a hit among the nearest; of those that are one where files overlap, the first file's stays.
fn insert(hits: &mut Vec<Hit>, hit: Hit, (count, within): (usize, f64), once: bool) {
    if hit.metres > within {
        return;
    }
    let same = |h: &Hit| once && h.start_ms == hit.start_ms && close(h.centre, hit.centre);
    if let Some(at) = hits.iter().position(same) {
        if (hits[at].file, hits[at].row) <= (hit.file, hit.row) {
            return;
        }
        hits.remove(at);
    }
    hits.insert(hits.partition_point(|h| h.order(&hit).is_lt()), hit);
    hits.truncate(count);
}

/// Ids as text; bytes are written in hexadecimal.
fn texts(column: &ArrayRef) -> Result<ArrayRef> {
    if !column.data_type().is_binary() && !matches!(column.data_type(), DataType::FixedSizeBinary(_)) {
        return Ok(cast(column, &DataType::LargeUtf8)?);
    }
    let format = ArrayFormatter::try_new(column, &FormatOptions::default())?;
    let one = |i: usize| column.is_valid(i).then(|| format.value(i).to_string());
    Ok(Arc::new((0..column.len()).map(one).collect::<LargeStringArray>()))
}

/// Whether two centres are one, where files overlap.
fn close(a: (f64, f64), b: (f64, f64)) -> bool {
    (a.0 - b.0).abs() < 1.5e-7 && (a.1 - b.1).abs() < 1.5e-7
}

fn polygons(block: &PlaceBlock, row: usize) -> MultiPolygon<f64> {
    match block.turned(row, 0.0) {
        Some(Geometry::Polygon(p)) => MultiPolygon(vec![p]),
        Some(Geometry::MultiPolygon(m)) => m,
        _ => MultiPolygon(Vec::new()),
    }
}

/// Years of the vectors found.
fn years(intervals: &[Option<Interval>], status: &[Status]) -> Vec<i32> {
    let valid = intervals.iter().zip(status).filter(|(_, s)| **s == Status::Valid);
    let mut years: Vec<i32> = valid.filter_map(|(i, _)| i.map(|i| i.start_year())).collect();
    years.sort_unstable();
    years.dedup();
    years
}

/// Puts the numbers of the rows together; NaN (codes: 0) where there is none.
fn gather(pieces: &[Patches], index: &[Option<(usize, usize)>], dim: usize, codes: Option<DType>) -> Values {
    let Some(dtype) = codes else {
        let mut out = vec![f32::NAN; index.len() * dim];
        for (to, (piece, at)) in index.iter().enumerate().filter_map(|(i, x)| Some((i, (*x)?))) {
            if let Values::Vectors(v) = &pieces[piece].values {
                out[to * dim..(to + 1) * dim].copy_from_slice(&v[at * dim..(at + 1) * dim]);
            }
        }
        return Values::Vectors(out);
    };
    let dtype = pieces
        .iter()
        .find_map(|p| match &p.values {
            Values::Codes(c) => Some(c.dtype()),
            Values::Vectors(_) => None,
        })
        .unwrap_or(dtype);
    let mut out = Samples::filled(dtype, index.len() * dim, 0.0);
    for (to, (piece, at)) in index.iter().enumerate().filter_map(|(i, x)| Some((i, (*x)?))) {
        macro_rules! copy {
            ($($t:ident),*) => {
                match (&mut out, &pieces[piece].values) {
                    $((Samples::$t(o), Values::Codes(Samples::$t(v))) => {
                        o[to * dim..(to + 1) * dim].copy_from_slice(&v[at * dim..(at + 1) * dim]);
                    })*
                    _ => unreachable!("codes of one answer have one type"),
                }
            };
        }
        copy!(U8, I8, U16, I16, U32, I32, F16, F32, F64);
    }
    Values::Codes(out)
}
