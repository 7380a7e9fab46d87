//! What a question costs before it is asked: files, requests, bytes, memory, time and money.
//!
//! The same plans that reads follow say which byte ranges they would fetch. Headers of some files have to be read for that, of at
//! most [`OPENED`] per period; for the rest the mean of those is taken, and the estimate says so.

mod join;
mod raster;
mod table;

use std::iter::Sum;

use terravec_io::source::cache;
use terravec_io::vector::Points;

pub use join::{at_patches, at_points};
pub use raster::{extract, regions};
pub use table::rows;

use crate::cache::{parse_size, show_size};
use crate::dataset::{Dataset, SampleRequest};
use crate::error::{Error, Result};
use crate::patch::PatchQuery;
use crate::query::extract::{Extraction, Request};

/// Files whose headers are read for an estimate.
const OPENED: usize = 24;
/// What reading a header takes.
const HEADER: u64 = 64 * 1024;
/// Two batches as stored, and one decoded: what a reader holds beside its answer.
const READER: u64 = (2 * 32 + 128) << 20;
/// Requests that are in flight together, and what each waits for, seconds: an archive on another continent.
const TOGETHER: f64 = 64.0;
const LATENCY: f64 = 0.1;

/// What a question costs.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Estimate {
    /// Files that are read.
    pub files: usize,
    /// Of those, files whose headers were read to say this. The others are taken to be like them.
    pub files_opened: usize,
    /// Requests, headers included; local files need none, but are counted alike.
    pub requests: u64,
    /// Bytes that are read, headers included, as if nothing was in the cache.
    pub bytes: u64,
    /// Numbers of the answer, as bytes.
    pub answer_bytes: u64,
    /// Memory at the peak, at most about this.
    pub memory: u64,
    /// What the numbers are: `at most …` or `mean of … files`. Where tiles overlap, one may be enough.
    pub basis: String,
    /// Whether it comes over a network, and so is kept by the cache.
    #[serde(skip)]
    remote: bool,
}

/// The line between here and the host.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Line {
    /// Bytes per second.
    pub bandwidth: f64,
    /// What the host's owner, or a requester who pays, is charged per 10⁹ bytes, US dollars.
    pub usd_per_gb: f64,
}

impl Default for Line {
    /// 100 Mbit/s, and Amazon's price of 2026 for traffic to the internet.
    fn default() -> Self {
        Self { bandwidth: 12.5e6, usd_per_gb: 0.09 }
    }
}

impl Line {
    /// Seconds that `estimate` takes on this line, decoding not counted.
    #[must_use]
    pub fn seconds(&self, estimate: &Estimate) -> f64 {
        let rounds = (estimate.requests as f64 / TOGETHER).ceil();
        estimate.bytes as f64 / self.bandwidth + rounds * LATENCY
    }

    /// What the transfer costs whoever pays for it.
    #[must_use]
    pub fn usd(&self, bytes: u64) -> f64 {
        bytes as f64 / 1e9 * self.usd_per_gb
    }

    /// `100Mbit/s`, `12MB/s`, or a number of bytes per second.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse_bandwidth(text: &str) -> Result<f64> {
        let rate = text.trim().trim_end_matches("/s").trim_end_matches("ps");
        let (rate, bits) = match rate.strip_suffix("bit") {
            Some(rate) => (rate, 8.0),
            None => (rate, 1.0),
        };
        match parse_size(rate) {
            Ok(n) if n > 0 => Ok(n as f64 / bits),
            _ => Err(Error::query(
                format!("{text:?} is no bandwidth"),
                "write 100Mbit/s, 12MB/s or a number of bytes per second",
            )),
        }
    }
}

impl Estimate {
    /// Sums what `opened` files cost, and takes `files` to be like them on the whole.
    fn of(opened: &[(u64, u64)], files: usize, answer_bytes: u64, memory: u64) -> Self {
        let (requests, bytes) = opened.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        let scale = if opened.is_empty() { 0.0 } else { files as f64 / opened.len() as f64 };
        let scaled = |n: u64| if opened.len() == files { n } else { (n as f64 * scale).round() as u64 };
        let headers = files as u64;
        Self {
            files,
            files_opened: opened.len(),
            requests: scaled(requests) + headers,
            bytes: scaled(bytes) + headers * HEADER,
            answer_bytes,
            memory,
            basis: if opened.len() == files {
                "at most, by the blocks' places; headers taken as 64 KiB at least".into()
            } else {
                format!("mean of {} files", opened.len())
            },
            remote: false,
        }
    }

    /// Of what is not read, for a reason.
    fn nothing(why: &str) -> Self {
        Self { basis: why.into(), ..Self::of(&[], 0, 0, 0) }
    }

    fn over(self, remote: bool) -> Self {
        Self { remote, ..self }
    }

    /// The same read `times` times, by a verb that looks at everything twice. What comes over a network is fetched once, where there is
    /// a cache that holds it.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        if times == 1 || self.bytes == 0 {
            return self;
        }
        let cache = cache::current().filter(|_| self.remote);
        if cache.is_some_and(|c| self.bytes <= c.options().limit) {
            return Self { basis: format!("{}; read {times} times, fetched once", self.basis), ..self };
        }
        let n = u64::from(times);
        let basis = format!("{}; read {times} times", self.basis);
        Self { requests: self.requests * n, bytes: self.bytes * n, basis, ..self }
    }

    /// With an answer of so many bytes, where it is not the vectors that are read.
    #[must_use]
    pub fn answering(self, bytes: u64) -> Self {
        Self { answer_bytes: bytes, ..self }
    }
}

impl Sum for Estimate {
    /// One after the other: costs add up, and memory is that of the greediest.
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        let mut parts = parts.filter(|p| p.files > 0 || p.requests > 0 || p.answer_bytes > 0);
        let Some(first) = parts.next() else { return Self::nothing("nothing is read") };
        parts.fold(first, |a, b| Self {
            files: a.files + b.files,
            files_opened: a.files_opened + b.files_opened,
            requests: a.requests + b.requests,
            bytes: a.bytes + b.bytes,
            answer_bytes: a.answer_bytes + b.answer_bytes,
            memory: a.memory.max(b.memory),
            basis: if a.basis.contains(&b.basis) { a.basis } else { format!("{}; {}", a.basis, b.basis) },
            remote: a.remote || b.remote,
        })
    }
}

/// What one pass over a part of a dataset costs: over the rows of a table that `query` asks for, or the pixels that `request` does.
///
/// # Errors
/// If reading can't be planned, or a header or footer can't be read.
pub fn part(dataset: &Dataset, query: &PatchQuery, request: &Request) -> Result<Estimate> {
    match dataset {
        Dataset::Patch(patches) => rows(patches, query),
        other => extract(&Extraction::plan(other.gridded()?, request)?),
    }
}

/// What sampling `points` costs.
///
/// # Errors
/// If a year is not there, or a header or footer can't be read.
pub fn sample(dataset: &Dataset, points: &Points, request: &SampleRequest) -> Result<Estimate> {
    match dataset {
        Dataset::Raster(d) => raster::sample(d, points, &request.years),
        Dataset::Patch(d) => {
            let query = PatchQuery {
                years: request.years.clone(),
                time: request.time,
                conditions: request.conditions.clone(),
                ..PatchQuery::default()
            };
            table::rows_at(d, &query, points, request.near)
        }
        Dataset::Location(_) => {
            Ok(Estimate { memory: READER, ..Estimate::nothing("computed: nothing is read") })
        }
    }
}

/// Refuses to fetch `bytes` where no more than `most` are allowed.
///
/// # Errors
/// If it is more, or `most` is no size.
pub fn allow(bytes: u64, most: Option<&str>) -> Result<()> {
    let Some(most) = most else { return Ok(()) };
    let limit = parse_size(most)?;
    if bytes <= limit {
        return Ok(());
    }
    Err(Error::query(
        format!("this would read about {}, more than --max-bytes {most}", show_size(bytes)),
        "ask for less (a smaller box, fewer years or bands), or allow more; nothing was read but headers",
    ))
}

/// Up to [`OPENED`] of `n` things, spread evenly.
fn spread(n: usize) -> Vec<usize> {
    let count = n.min(OPENED);
    (0..count).map(|i| i * n / count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_stand_for_all() {
        let one = Estimate::of(&[(2, 100), (4, 300)], 4, 0, 0);
        assert_eq!((one.requests, one.bytes, one.files_opened), (12 + 4, 800 + 4 * HEADER, 2));
        assert!(Estimate::of(&[(1, 1)], 1, 0, 0).basis.contains("at most"));
        assert_eq!(Estimate::of(&[], 0, 0, 0).bytes, 0);
        assert_eq!(spread(3), [0, 1, 2]);
        assert_eq!(spread(48)[..3], [0, 2, 4]);
    }

    #[test]
    fn estimates_add_up() {
        let one = Estimate::of(&[(1, 100)], 1, 10, 5);
        let mean = Estimate::of(&[(1, 100)], 2, 20, 7);
        let both: Estimate = [one.clone(), Estimate::nothing("computed"), mean].into_iter().sum();
        assert_eq!((both.files, both.requests, both.bytes), (3, 2 + 4, 300 + 3 * HEADER));
        assert_eq!((both.answer_bytes, both.memory), (30, 7));
        assert!(both.basis.contains("at most") && both.basis.contains("mean of 1 files"));
        // Files here are read again; what came over the network is kept, if there is a cache.
        let twice = one.clone().times(2);
        assert_eq!((twice.bytes, twice.requests, twice.files), (2 * one.bytes, 2 * one.requests, 1));
        assert_eq!(one.clone().times(1), one);
        assert_eq!([].into_iter().sum::<Estimate>().bytes, 0);
    }

    #[test]
    fn lines_have_a_bandwidth_and_a_price() {
        assert_eq!(Line::parse_bandwidth("100Mbit/s").unwrap(), 12.5e6);
        assert_eq!(Line::parse_bandwidth("12MB/s").unwrap(), 12e6);
        assert!(Line::parse_bandwidth("fast").is_err() && Line::parse_bandwidth("0").is_err());
        let line = Line { bandwidth: 1e6, usd_per_gb: 0.1 };
        let estimate = Estimate { bytes: 2_000_000, requests: 65, ..Estimate::of(&[], 0, 0, 0) };
        assert!((line.seconds(&estimate) - 2.2).abs() < 1e-9);
        assert!((line.usd(5_000_000_000) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_limit_is_kept() {
        assert!(allow(10, None).is_ok() && allow(10, Some("10")).is_ok());
        assert!(allow(11, Some("10")).unwrap_err().to_string().contains("--max-bytes"));
        assert!(allow(1, Some("x")).is_err());
    }
}
