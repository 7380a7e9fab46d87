//! Searching an index: lists by their centres, rows by their codes, the answer by vectors.
//!
//! Codes of one byte bound each score from both sides: the dot product is off by no more than the length of the query times that of
//! what the code leaves of the vector (Cauchy and Schwarz). Rows whose upper bound lies below the k-th best lower bound are
//! ruled out; of the others the stored vectors are read and decide. So within the lists that are looked at the answer is exact.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{Field, Schema};
use bytes::Bytes;
use geo_types::MultiPolygon;
use rayon::prelude::*;
use terravec::patch::PatchQuery;
use terravec::table::PROVENANCE_KEY;
use terravec::{Area, Error, Interval, Result, Years};
use terravec_geo::{LonLatBox, rasterize};
use terravec_io::vector::wkb;

use super::list::{Column, Head, NO_TIME};
use super::manifest::{Index, Recall};
use super::segment::Segment;
use crate::kernel::{CodeQuery, CodeRule, error, scan_codes};
use crate::search::{Answer, Hit, Metric, Query, Top, answer_table, check_k};

/// Lists looked at together while too few rows meet the filter.
const MORE: usize = 16;
/// The recall that lists are chosen for.
const AIM: f64 = 0.95;

/// Which rows count.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    area: Option<LonLatBox>,
    polygons: Vec<MultiPolygon<f64>>,
    spans: Option<Vec<Interval>>,
    time: Option<Interval>,
    not_at: Vec<(f64, f64)>,
}

impl Filter {
    /// What a query asks of place and time; rows at the places `not_at` are left out.
    ///
    /// # Errors
    /// If it asks for columns that an index does not keep.
    pub fn of(query: &PatchQuery, not_at: &[(f64, f64)]) -> Result<Self> {
        if let Some(condition) = query.conditions.first() {
            return Err(Error::query(
                format!("an index keeps places, times and ids, and not `{}`", condition.column),
                "leave the condition out, or search the table itself",
            ));
        }
        let mut own = Self { time: query.time, not_at: not_at.to_vec(), ..Self::default() };
        match &query.area {
            Area::All => {}
            Area::Box(b) => own.area = Some(*b),
            Area::Regions { regions, .. } => own.polygons.clone_from(&regions.polygons),
            Area::Grid(_) => return Err(Error::query("an index has no grid", "give a box or polygons")),
        }
        if let Years::List(years) = &query.years {
            own.spans = Some(years.iter().copied().map(Interval::year).collect());
        }
        Ok(own)
    }

    fn is_none(&self) -> bool {
        self.area.is_none()
            && self.polygons.is_empty()
            && self.spans.is_none()
            && self.time.is_none()
            && self.not_at.is_empty()
    }

    fn keeps(&self, head: &Head<'_>, row: usize) -> bool {
        let place = (head.f64(Column::Lon, row), head.f64(Column::Lat, row));
        let inside = self.area.as_ref().is_none_or(|a| a.contains(place.0, place.1))
            && (self.polygons.is_empty()
                || self.polygons.iter().any(|p| rasterize::contains(p, place.0, place.1)))
            && !self.not_at.contains(&place);
        if !inside || (self.spans.is_none() && self.time.is_none()) {
            return inside;
        }
        let (start_ms, end_ms) = (head.i64(Column::Start, row), head.i64(Column::End, row));
        let own = Interval { start_ms, end_ms };
        start_ms != NO_TIME
            && self.spans.as_ref().is_none_or(|spans| spans.iter().any(|s| s.overlaps(&own)))
            && self.time.is_none_or(|t| t.overlaps(&own))
    }
}

/// A row that may be among the best.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    part: usize,
    row: usize,
    upper: f64,
    lower: f64,
}

/// A list of a segment that was looked at.
struct Looked<'a> {
    segment: &'a Segment,
    list: usize,
    head: Bytes,
}

impl Index {
    /// The rows most similar to `query` among the `probes` lists nearest to it (all, for an exact answer), more if too few rows meet
    /// the filter.
    ///
    /// # Errors
    /// If the query is of another length or metric, or the index is damaged.
    pub fn search(&self, query: &Query, k: usize, probes: usize, filter: &Filter) -> Result<Answer> {
        check_k(k)?;
        query.check(self.manifest.dimension)?;
        if query.metric() != self.metric {
            return Err(Error::query(
                format!(
                    "the index is one of the metric {}, and {} is asked for",
                    self.metric,
                    query.metric()
                ),
                format!("search by {}, or build another index", self.metric),
            ));
        }
        let order = self.order(query);
        let mut looked: Vec<Looked<'_>> = Vec::new();
        let mut candidates: Vec<Candidate> = Vec::new();
        let (mut searched, mut at) = (0u64, 0usize);
        while at < order.len() && (at < probes || candidates.len() < k) {
            let end = if at < probes { probes.min(order.len()) } else { (at + MORE).min(order.len()) };
            let lists: Vec<(&Segment, usize)> = order[at..end]
                .iter()
                .flat_map(|list| self.segments.iter().map(|s| (s, *list)))
                .filter(|(s, list)| s.rows(*list) > 0)
                .collect();
            let parts: Vec<Result<(Looked<'_>, u64, Vec<Candidate>)>> =
                lists.par_iter().map(|(s, list)| self.look(s, *list, query, k, filter)).collect();
            for part in parts {
                let (one, rows, mut found) = part?;
                found.iter_mut().for_each(|c| c.part = looked.len());
                // Heads without a candidate need not stay.
                if !found.is_empty() {
                    looked.push(one);
                    candidates.extend(found);
                }
                searched += rows;
            }
            at = end;
        }
        let hits = self.decide(query, k, &looked, candidates)?;
        let mut notes = Vec::new();
        if hits.len() < k {
            notes.push(format!("only {} of {k} results: no more rows are there", hits.len()));
        }
        Ok(Answer {
            table: self.table(&hits, &looked, query)?,
            searched,
            without_vector: 0,
            without_score: 0,
            notes,
            provenance: self.manifest.provenance.clone(),
        })
    }

    /// Lists, the most promising first.
    fn order(&self, query: &Query) -> Vec<usize> {
        let centres = Query::new(
            if self.metric == Metric::Cosine { Metric::Dot } else { self.metric },
            query.vectors().map(<[f32]>::to_vec).collect(),
        );
        let Ok(centres) = centres else { unreachable!("the vectors made a query before") };
        let mut order: Vec<Hit> = (0..self.centres.k())
            .map(|list| Hit { score: centres.score(self.centres.centre(list)), row: list as u64 })
            .collect();
        order.sort_by(Hit::order);
        #[allow(clippy::cast_possible_truncation)]
        order.into_iter().map(|h| h.row as usize).collect()
    }

    /// The rows of a list that may be among its `k` best.
    fn look<'a>(
        &self,
        segment: &'a Segment,
        list: usize,
        query: &Query,
        k: usize,
        filter: &Filter,
    ) -> Result<(Looked<'a>, u64, Vec<Candidate>)> {
        let bytes = segment.head(list)?;
        let head = segment.columns(list, &bytes);
        let all = filter.is_none() && self.deleted.is_empty();
        let keep: Vec<usize> = (0..head.len())
            .filter(|row| {
                all || (!self.deleted.contains(&head.u64(Column::Row, *row)) && filter.keeps(&head, *row))
            })
            .collect();
        if keep.is_empty() {
            return Ok((Looked { segment, list, head: bytes.clone() }, 0, Vec::new()));
        }
        let codes = head.codes();
        let mut bounds = vec![(f64::NEG_INFINITY, f64::NEG_INFINITY); head.len()];
        let mut dots = vec![0f32; head.len()];
        let slack = f64::from(error(query.dim()));
        for (vector, length) in query.vectors().zip(query.lengths()) {
            let coded = CodeQuery::new(CodeRule::Linear(1.0), vector);
            scan_codes(&coded, &codes, &mut dots, &mut []);
            let loose = slack + coded.beside();
            for row in &keep {
                let scale = f64::from(head.f32(Column::Scale, *row));
                let own = f64::from(head.f32(Column::Length, *row));
                let residual = f64::from(head.f32(Column::Residual, *row));
                let dot = scale * f64::from(dots[*row]);
                let off = length * (residual + loose * (own + residual));
                let of = |dot: f64| query.score_of(dot, length, own, slack);
                let (upper, lower) = (of(dot + off).0, of(dot - off).1);
                let best = &mut bounds[*row];
                *best = (best.0.max(upper), best.1.max(lower));
            }
        }
        let mut top = Top::new(k, f64::NEG_INFINITY);
        keep.iter().for_each(|row| top.push(Hit { score: bounds[*row].1, row: *row as u64 }));
        let least = if keep.len() >= k {
            top.hits().iter().map(|h| h.score).fold(f64::INFINITY, f64::min)
        } else {
            f64::NEG_INFINITY
        };
        let candidates = keep
            .iter()
            .filter(|row| bounds[**row].0 >= least)
            .map(|row| Candidate { part: 0, row: *row, upper: bounds[*row].0, lower: bounds[*row].1 })
            .collect();
        Ok((Looked { segment, list, head: bytes.clone() }, keep.len() as u64, candidates))
    }

    /// Reads the vectors of what is left, and lets them decide.
    fn decide(
        &self,
        query: &Query,
        k: usize,
        looked: &[Looked<'_>],
        mut candidates: Vec<Candidate>,
    ) -> Result<Vec<(Hit, usize, usize)>> {
        let mut lower = Top::new(k, f64::NEG_INFINITY);
        for (i, c) in candidates.iter().enumerate() {
            lower.push(Hit { score: c.lower, row: i as u64 });
        }
        if candidates.len() >= k {
            let least = lower.hits().iter().map(|h| h.score).fold(f64::INFINITY, f64::min);
            candidates.retain(|c| c.upper >= least);
        }
        candidates.sort_unstable_by_key(|c| (c.part, c.row));
        let groups: Vec<&[Candidate]> = candidates.chunk_by(|a, b| a.part == b.part).collect();
        let scored: Vec<Result<Vec<(Hit, usize, usize)>>> = groups
            .par_iter()
            .map(|group| {
                let part = group[0].part;
                let Looked { segment, list, head } = &looked[part];
                let head = segment.columns(*list, head);
                let rows: Vec<usize> = group.iter().map(|c| c.row).collect();
                let sums: Vec<u32> = rows.iter().map(|row| head.u32(Column::Sum, *row)).collect();
                let vectors = segment.vectors(*list, &rows, &sums)?;
                let one = |(vector, row): (&Vec<f32>, &usize)| {
                    (Hit { score: query.score(vector), row: head.u64(Column::Row, *row) }, part, *row)
                };
                Ok(vectors.iter().zip(&rows).map(one).collect())
            })
            .collect();
        let mut hits: Vec<(Hit, usize, usize)> = Vec::new();
        for part in scored {
            hits.extend(part?);
        }
        hits.retain(|h| !h.0.score.is_nan());
        hits.sort_by(|a, b| a.0.order(&b.0));
        hits.truncate(k);
        Ok(hits)
    }

    /// Measures how well the index answers for some of its own rows, and chooses how many lists to look at.
    pub(super) fn tune(&mut self, seed: u64) -> Result<()> {
        const QUERIES: usize = 64;
        const K: usize = 10;
        let queries = self.some_rows(QUERIES, seed)?;
        let lists = self.manifest.lists;
        let none = Filter::default();
        let exact: Vec<Vec<f64>> =
            queries.iter().map(|q| self.scores(q, K, lists, &none)).collect::<Result<_>>()?;
        let mut measured = Vec::new();
        let mut probes = 1;
        loop {
            let mut right = 0usize;
            let mut all = 0usize;
            for (query, exact) in queries.iter().zip(&exact) {
                // A neighbour is right if it is as near as the exact ones: of ties any will do.
                let worst = exact.last().copied().unwrap_or(f64::NEG_INFINITY);
                let found = self.scores(query, K, probes, &none)?;
                right += found.iter().filter(|s| **s >= worst).count().min(exact.len());
                all += exact.len();
            }
            #[allow(clippy::cast_precision_loss)]
            let recall = if all == 0 { 1.0 } else { right as f64 / all as f64 };
            measured.push((probes, recall));
            if recall >= AIM || probes >= lists {
                break;
            }
            probes = (probes + probes.div_ceil(2)).min(lists);
        }
        self.manifest.probes = probes;
        self.manifest.recall = Some(Recall { k: K, queries: queries.len(), measured });
        self.manifest.save(&self.dir)
    }

    fn scores(&self, query: &Query, k: usize, probes: usize, filter: &Filter) -> Result<Vec<f64>> {
        use arrow::array::AsArray;
        let answer = self.search(query, k, probes, filter)?;
        let column = answer.table.column(1).as_primitive::<arrow::datatypes::Float64Type>();
        Ok(column.values().iter().map(|v| if self.metric == Metric::L2 { -v } else { *v }).collect())
    }

    /// Some rows as queries.
    fn some_rows(&self, most: usize, seed: u64) -> Result<Vec<Query>> {
        let mut random = fastrand::Rng::with_seed(seed);
        let filled: Vec<(&Segment, usize)> = self
            .segments
            .iter()
            .flat_map(|s| (0..self.manifest.lists).map(move |l| (s, l)))
            .filter(|(s, l)| s.rows(*l) > 0)
            .collect();
        let mut queries = Vec::new();
        // Lists by chance, weighed by their rows: rows by chance.
        let mut ends: Vec<usize> = Vec::with_capacity(filled.len());
        let mut all = 0;
        for (segment, list) in &filled {
            all += segment.rows(*list);
            ends.push(all);
        }
        for _ in 0..most.min(all) {
            let at = random.usize(..all);
            let which = ends.partition_point(|end| *end <= at);
            let (segment, list) = filled[which];
            let row = at - (ends[which] - segment.rows(list));
            let bytes = segment.head(list)?;
            let sum = segment.columns(list, &bytes).u32(Column::Sum, row);
            queries.push(Query::new(self.metric, segment.vectors(list, &[row], &[sum])?)?);
        }
        Ok(queries)
    }

    fn table(
        &self,
        hits: &[(Hit, usize, usize)],
        looked: &[Looked<'_>],
        query: &Query,
    ) -> Result<RecordBatch> {
        let heads: Vec<Head<'_>> = looked.iter().map(|l| l.segment.columns(l.list, &l.head)).collect();
        let numbers = |column: Column| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values(hits.iter().map(|(_, p, r)| heads[*p].f64(column, *r))))
        };
        let times = |column: Column| -> ArrayRef {
            let one = |(_, p, r): &(Hit, usize, usize)| {
                Some(heads[*p].i64(column, *r)).filter(|_| heads[*p].i64(Column::Start, *r) != NO_TIME)
            };
            Arc::new(hits.iter().map(one).collect::<TimestampMillisecondArray>().with_timezone("UTC"))
        };
        let ids = hits.iter().map(|(_, p, r)| Some(heads[*p].id(*r)).filter(|id| !id.is_empty()));
        let place = |(_, p, r): &(Hit, usize, usize)| {
            let (x, y) = (heads[*p].f64(Column::Lon, *r), heads[*p].f64(Column::Lat, *r));
            (x.is_finite() && y.is_finite()).then(|| wkb::point(x, y))
        };
        let columns: [(&str, ArrayRef); 6] = [
            ("id", Arc::new(ids.collect::<StringArray>())),
            ("lon", numbers(Column::Lon)),
            ("lat", numbers(Column::Lat)),
            ("time_start", times(Column::Start)),
            ("time_end", times(Column::End)),
            ("geometry", Arc::new(hits.iter().map(place).collect::<BinaryArray>())),
        ];
        let fields: Vec<Field> =
            columns.iter().map(|(name, c)| Field::new(*name, c.data_type().clone(), true)).collect();
        let metadata = [(PROVENANCE_KEY.to_string(), self.manifest.provenance.to_json())];
        let schema = Schema::new(fields).with_metadata(metadata.into());
        let rows = RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|c| c.1).collect())?;
        let scores: Vec<Hit> = hits.iter().map(|h| h.0).collect();
        answer_table(&rows, &scores, query)
    }
}
