//! A batch of rows, decoded: vectors with their places and times, and what became of rows that have no good vector.

use std::collections::{BTreeMap, HashSet};

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{filter, filter_record_batch, take, take_record_batch};
use geo_types::{Geometry, MultiPolygon};
use terravec_io::table::{PlaceBlock, VectorSpec, VectorState, vectors_of, vectors_of_columns};
use terravec_io::vector::wkb;
use terravec_io::{DType, Samples, with_samples};

use super::PatchDataset;
use super::columns::VectorColumns;
use super::file::OpenFile;
use super::find::Footprint;
use super::scan::PatchQuery;
use crate::catalog::MissingRule;
use crate::codec::decode_table;
use crate::error::{Error, Result};
use crate::query::join::Footprints;
use crate::query::sample::Values;
use crate::table::rows_at;
use crate::time::Interval;
use crate::vectors::Status;

/// What to do with a row whose vector is of another length, not finite or unreadable, or whose place is none on Earth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBad {
    /// Fail, and name the row.
    #[default]
    Fail,
    /// Leave it out, and count it.
    Skip,
}

/// What became of the rows of a scan.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Rows handed out.
    pub rows: u64,
    /// Of these, rows without a vector: it is null, or what the product stores for a missing one.
    pub without_vector: u64,
    /// Rows left out because their centre is that of a row before, where the product's files overlap.
    pub duplicates: u64,
    /// Rows left out for other faults, by fault.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts another answer in.
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.without_vector += other.without_vector;
        self.duplicates += other.duplicates;
        for (fault, n) in &other.skipped {
            *self.skipped.entry(fault.clone()).or_default() += n;
        }
    }

    /// Rows left out for their faults, in words.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let list: Vec<String> =
            self.skipped.iter().map(|(fault, n)| format!("{n} rows left out: {fault}")).collect();
        (!list.is_empty()).then(|| list.join("; "))
    }
}

/// Some rows of a patch product.
#[derive(Debug, Clone)]
pub struct Patches {
    /// The table's own columns: all but vector, geometry and the boxes beside it.
    pub columns: RecordBatch,
    /// Longitude of the centre of each footprint, degrees; NaN where a row has no place.
    pub lon: Vec<f64>,
    /// Latitude of the centre.
    pub lat: Vec<f64>,
    /// Footprints (or points) as well-known binary in degrees.
    pub geometry: BinaryArray,
    /// When each vector holds, where that is known.
    pub intervals: Vec<Option<Interval>>,
    /// Whether a row has a vector.
    pub status: Vec<Status>,
    /// Row-major, `dimension` numbers per row: vectors, NaN where there is none, or codes.
    pub values: Values,
    /// Numbers per vector.
    pub dimension: usize,
    /// Their rows in the file, from 0.
    pub(crate) numbers: Vec<u64>,
}

impl Patches {
    /// Rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.status.len()
    }

    /// The rows `index`, in that order.
    ///
    /// # Errors
    /// If Arrow refuses a column, which would be a fault of ours.
    #[allow(clippy::cast_possible_truncation)] // rows of a batch
    pub fn select(&self, index: &[usize]) -> Result<Self> {
        let rows = UInt32Array::from_iter_values(index.iter().map(|i| *i as u32));
        let samples = |s: &Samples| rows_at(s, self.dimension, index);
        Ok(Self {
            columns: take_record_batch(&self.columns, &rows)?,
            lon: index.iter().map(|i| self.lon[*i]).collect(),
            lat: index.iter().map(|i| self.lat[*i]).collect(),
            geometry: take(&self.geometry, &rows, None)?.as_binary().clone(),
            intervals: index.iter().map(|i| self.intervals[*i]).collect(),
            status: index.iter().map(|i| self.status[*i]).collect(),
            values: match &self.values {
                Values::Codes(c) => Values::Codes(samples(c)),
                Values::Vectors(v) => Values::Vectors(
                    index
                        .iter()
                        .flat_map(|i| &v[i * self.dimension..(i + 1) * self.dimension])
                        .copied()
                        .collect(),
                ),
            },
            dimension: self.dimension,
            numbers: index.iter().map(|i| self.numbers[*i]).collect(),
        })
    }

    /// Makes room for vectors of `dimension` numbers, where no row has one and their length was not known.
    pub(super) fn lengthen(&mut self, dimension: usize) {
        if self.dimension == 0 {
            let len = self.rows() * dimension;
            self.dimension = dimension;
            self.values = match &self.values {
                Values::Vectors(_) => Values::Vectors(vec![f32::NAN; len]),
                Values::Codes(c) => Values::Codes(Samples::filled(c.dtype(), len, 0.0)),
            };
        }
    }
}

/// What a scan remembers between batches.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) tally: Tally,
    /// Centres seen, in units of the product's tolerance; `None` where duplicates are kept.
    pub(crate) seen: Option<HashSet<(i64, i64)>>,
    /// Length of the vectors, once known.
    pub(crate) dimension: Option<usize>,
    /// Type of the codes, once known.
    pub(crate) dtype: Option<DType>,
}

/// Faults of rows.
pub(crate) const NO_PLACE: &str = "a place that is none on Earth or can't be read";
pub(crate) const NO_TIME: &str = "a time that can't be read";

/// Centres that agree to this many degrees are one, where a product's files overlap.
const SAME_CENTRE: f64 = 1e-7;

/// How rows are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) codes: bool,
    pub(crate) on_bad: OnBad,
}

/// A batch as it comes from a file.
pub(crate) struct Chunk<'a> {
    pub(crate) file: &'a OpenFile,
    /// When all rows of the file hold, if its name says so.
    pub(crate) interval: Option<Interval>,
    /// The columns of the schema that the batch has, in its order.
    pub(crate) columns: &'a [usize],
    /// Its rows, as numbers of rows of the file.
    pub(crate) numbers: &'a [u64],
    pub(crate) batch: RecordBatch,
}

impl PatchDataset {
    /// Decodes a batch. Rows that are left out are counted in `memory`.
    pub(crate) fn decode(&self, chunk: Chunk<'_>, reading: Reading, memory: &mut Memory) -> Result<Patches> {
        let Chunk { file, interval, columns, numbers, batch } = chunk;
        let at = |c: usize| columns.iter().position(|x| *x == c);
        let bad = |row: usize, what: &str| file.bad_row(numbers.get(row).map_or(row as u64, |n| *n), what);
        let places = file.placer.places(&batch)?;
        let own: Vec<usize> =
            file.columns.own(file.schema.fields().len()).into_iter().filter_map(at).collect();
        let mut rest = batch.project(&own)?;
        let time = file.columns.time.and_then(at).map(|c| batch.column(c).clone());
        let vector: Vec<ArrayRef> =
            file.columns.vector().into_iter().filter_map(at).map(|c| batch.column(c).clone()).collect();
        // The numbers are taken over without a copy where nothing else holds them.
        drop(batch);
        let dim = memory.dimension;
        let block = match (&file.columns.vector, vector.len()) {
            (VectorColumns::One(_), 1) => {
                let column = vector.into_iter().next().unwrap_or_else(|| unreachable!("one column"));
                vectors_of(column, &VectorSpec { dim, dtype: self.product.dtype })?
            }
            _ => vectors_of_columns(&vector)?,
        };
        let rows = block.states.len();
        if let Some(wanted) = self.dimension().filter(|d| *d != block.dim && rows > 0) {
            return Err(Error::open(
                format!(
                    "{}: vectors of {} numbers; {} has {wanted}",
                    file.location, block.dim, self.product.id
                ),
                "open it as another product or variant (ID@VARIANT=PATH), or by its path alone",
            ));
        }
        memory.dimension = memory.dimension.or(Some(block.dim).filter(|d| *d > 0));
        // Why a row is left out; the first reason counts.
        let mut faults: BTreeMap<usize, String> = BTreeMap::new();
        for (row, state) in block.states.iter().enumerate() {
            let fault = match state {
                VectorState::Present | VectorState::Null => continue,
                VectorState::Length(n) => format!("a vector of {n} numbers instead of {}", block.dim),
                VectorState::NotFinite => "a vector with NaN or infinite numbers".to_owned(),
                VectorState::Unreadable => "a vector that can't be read".to_owned(),
            };
            if *state == VectorState::NotFinite && self.product.missing == Some(MissingRule::Nan) {
                continue;
            }
            if reading.on_bad == OnBad::Fail {
                return Err(bad(row, &fault));
            }
            faults.insert(row, fault);
        }
        for (row, what) in &places.problems {
            if reading.on_bad == OnBad::Fail {
                return Err(bad(*row, what));
            }
            faults.entry(*row).or_insert_with(|| NO_PLACE.to_owned());
        }
        let times = super::time::of_rows(&self.product, interval, time.as_ref(), rows)
            .map_err(|what| bad(0, &format!("its column of time: {what}")))?;
        for (row, what) in &times.problems {
            if reading.on_bad == OnBad::Fail {
                return Err(bad(*row, what));
            }
            faults.entry(*row).or_insert_with(|| NO_TIME.to_owned());
        }
        let intervals = times.intervals;
        let mut keep = vec![true; rows];
        for (row, fault) in faults {
            keep[row] = false;
            *memory.tally.skipped.entry(fault).or_default() += 1;
        }
        if let Some(seen) = &mut memory.seen {
            for (row, keep) in
                keep.iter_mut().enumerate().filter(|(row, k)| **k && places.lon[*row].is_finite())
            {
                if !seen.insert(centre_key(&places, row)) {
                    *keep = false;
                    memory.tally.duplicates += 1;
                }
            }
        }
        let kept: Vec<usize> = (0..keep.len()).filter(|i| keep[*i]).collect();
        let status: Vec<Status> = kept
            .iter()
            .map(|i| match block.states[*i] {
                VectorState::Present if !self.is_missing(&block.samples, *i, block.dim) => Status::Valid,
                _ => Status::Nodata,
            })
            .collect();
        memory.tally.rows += kept.len() as u64;
        memory.tally.without_vector += status.iter().filter(|s| **s != Status::Valid).count() as u64;
        let samples =
            if kept.len() == keep.len() { block.samples } else { rows_at(&block.samples, block.dim, &kept) };
        if reading.codes && *memory.dtype.get_or_insert(samples.dtype()) != samples.dtype() {
            return Err(Error::open(
                format!(
                    "{}: codes of {}, where another file has {}",
                    file.location,
                    samples.dtype(),
                    memory.dtype.unwrap_or(DType::F32)
                ),
                "ask for vectors, or keep files of one type in a folder",
            ));
        }
        let values = self.values(samples, &status, block.dim, reading.codes, file)?;
        let mut geometry = places.wkb();
        if kept.len() < keep.len() {
            let mask = BooleanArray::from(keep);
            rest = filter_record_batch(&rest, &mask)?;
            geometry = filter(&geometry, &mask)?.as_binary::<i32>().clone();
        }
        Ok(Patches {
            columns: rest,
            lon: kept.iter().map(|i| places.lon[*i]).collect(),
            lat: kept.iter().map(|i| places.lat[*i]).collect(),
            geometry,
            intervals: kept.iter().map(|i| intervals[*i]).collect(),
            status,
            values,
            dimension: block.dim,
            numbers: kept.iter().filter_map(|i| numbers.get(*i).copied()).collect(),
        })
    }

    /// Whether a row that is there stands for "no vector".
    fn is_missing(&self, samples: &Samples, row: usize, dim: usize) -> bool {
        let all = |value: f64| {
            let same = with_samples!(samples, v => {
                v[row * dim..(row + 1) * dim].iter().all(|x| crate::codec::is_number(*x, value))
            });
            same && dim > 0
        };
        match self.product.missing {
            Some(MissingRule::ZeroVector | MissingRule::AllZeroCodes) => all(0.0),
            Some(MissingRule::Value(value)) => {
                let any = with_samples!(samples, v => {
                    v[row * dim..(row + 1) * dim].iter().any(|x| crate::codec::is_number(*x, value))
                });
                any
            }
            _ => false,
        }
    }

    fn values(
        &self,
        samples: Samples,
        status: &[Status],
        dim: usize,
        codes: bool,
        file: &OpenFile,
    ) -> Result<Values> {
        if codes {
            return Ok(Values::Codes(samples));
        }
        let mut values =
            decode_table(&self.product, samples).map_err(Error::codec(file.location.to_string()))?;
        for (row, _) in status.iter().enumerate().filter(|(_, s)| **s != Status::Valid) {
            values[row * dim..(row + 1) * dim].fill(f32::NAN);
        }
        Ok(Values::Vectors(values))
    }

    /// The footprints of the rows that `query` asks for, to join other products at. They are all in memory.
    ///
    /// # Errors
    /// As [`PatchDataset::scan`]; also if there is no row, or rows are points of unknown size.
    pub fn footprints(&self, query: &PatchQuery) -> Result<Footprints> {
        let mut scan = self.scan(query)?;
        let rows: Vec<Patches> = scan.by_ref().collect::<Result<_>>()?;
        let dimension = scan.dimension().unwrap_or(0);
        let mut provenance =
            self.provenance(&[], dimension, query.codes, serde_json::json!({ "verb": "join" }));
        provenance.set_sources(vec![self.root.to_string()]);
        let square = self.footprint();
        let polygon = |patches: &Patches, row: usize| -> Result<MultiPolygon<f64>> {
            if patches.geometry.is_null(row) {
                return Ok(MultiPolygon(Vec::new()));
            }
            let shape = wkb::read(patches.geometry.value(row));
            match shape
                .map_err(|e| Error::query(format!("{}: a footprint: {e}", self.root), "correct the file"))?
            {
                Geometry::Polygon(p) => Ok(MultiPolygon(vec![p])),
                Geometry::MultiPolygon(m) => Ok(m),
                Geometry::Point(p) if square.known() => Ok(MultiPolygon(vec![square.polygon(p.x(), p.y())])),
                _ => Err(Error::query(
                    format!(
                        "{}: its rows are points, and nobody states the size of their footprints",
                        self.root
                    ),
                    "give `resolution` in a descriptor (see `catalog/README.md`), or join at points",
                )),
            }
        };
        Footprints::of(&rows, polygon, provenance, scan.tally().clone())
    }

    /// The side of a footprint in metres, where rows are points.
    pub(crate) fn footprint(&self) -> Footprint {
        let resolution = self.product.resolution;
        Footprint { metres: resolution.and_then(|r| r.metres), degrees: resolution.and_then(|r| r.degrees) }
    }
}

/// The centre of a row in whole steps of [`SAME_CENTRE`].
#[allow(clippy::cast_possible_truncation)]
fn centre_key(places: &PlaceBlock, row: usize) -> (i64, i64) {
    let step = |v: f64| (v / SAME_CENTRE).round() as i64;
    (step(places.lon[row]), step(places.lat[row]))
}
