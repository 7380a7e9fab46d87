//! Sources against a real server that misbehaves: the right bytes, or a clear error in a bounded time.

#![allow(clippy::single_range_in_vec_init)] // one range to read is meant

use std::ops::Range;
use std::time::{Duration, Instant};

use rayon::prelude::*;
use terravec_io::source::{HttpOptions, HttpSource, Source, SourceError, list, open};
use terravec_testserver::{Fault, Options, Rule, Server};

const SIZE: usize = 3_000_000;

struct Site {
    _dir: tempfile::TempDir,
    server: Server,
    bytes: Vec<u8>,
}

impl Site {
    fn new(options: Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..SIZE as u64).map(|i| (i.wrapping_mul(0x9e37_79b9) >> 13) as u8).collect();
        std::fs::write(dir.path().join("object.bin"), &bytes).unwrap();
        let server = Server::start(dir.path(), options).unwrap();
        Self { _dir: dir, server, bytes }
    }

    fn source(&self) -> HttpSource {
        let options = HttpOptions {
            stall_timeout: Duration::from_millis(400),
            retry_for: Duration::from_secs(4),
            max_tries: 4,
        };
        HttpSource::new(&format!("{}/object.bin", self.server.url()), options).unwrap()
    }

    fn check(&self, source: &dyn Source, ranges: &[Range<u64>]) -> Result<(), SourceError> {
        let read = source.read_ranges(ranges)?;
        for (range, bytes) in ranges.iter().zip(&read) {
            assert!(
                bytes[..] == self.bytes[range.start as usize..range.end as usize],
                "wrong bytes for {range:?}"
            );
        }
        assert_eq!(read.len(), ranges.len());
        Ok(())
    }
}

fn spread() -> Vec<Range<u64>> {
    (0..64).map(|i| i * 45_000..i * 45_000 + 2_000).collect()
}

#[test]
fn many_ranges_cost_a_few_round_trips() {
    let site = Site::new(Options { latency: Duration::from_millis(30), ..Options::default() });
    let source = site.source();
    let start = Instant::now();
    site.check(&source, &spread()).unwrap();
    let took = start.elapsed();
    assert!(took < Duration::from_millis(500), "{took:?} for 64 ranges at 30 ms");
    assert_eq!(source.len().unwrap(), SIZE as u64);
    let stats = site.server.take_stats();
    assert!(stats.requests <= 65, "{stats:?}: no request but for the ranges");
    // Neighbours come with one request.
    let near: Vec<Range<u64>> = (0..64).map(|i| i * 2_000..i * 2_000 + 2_000).collect();
    site.check(&source, &near).unwrap();
    assert!(site.server.take_stats().requests <= 2);
}

#[test]
fn passing_faults_are_overcome() {
    for fault in [
        Fault::status(503),
        Fault::status(500),
        Fault::too_many("1"),
        Fault::Reset(700),
        Fault::Truncate(700),
        Fault::Hangup,
        Fault::WrongLength(50),
        Fault::Stall { after: 300, time: Duration::from_secs(2) },
        Fault::Silence(Duration::from_secs(2)),
    ] {
        let site = Site::new(Options::default());
        site.server.set_faults([Rule::times(2, fault.clone())]);
        let start = Instant::now();
        site.check(&site.source(), &spread()).unwrap_or_else(|e| panic!("{fault:?}: {e}"));
        assert!(start.elapsed() < Duration::from_secs(10), "{fault:?} took {:?}", start.elapsed());
    }
}

#[test]
fn lasting_faults_are_told_in_a_bounded_time() {
    for fault in [
        Fault::status(403),
        Fault::status(404),
        Fault::status(503),
        Fault::Reset(10),
        Fault::Truncate(10),
        Fault::WrongRange(7),
        Fault::NoContentRange,
        Fault::Hangup,
        Fault::Silence(Duration::from_secs(2)),
    ] {
        let site = Site::new(Options::default());
        site.server.set_faults([Rule::always(fault.clone())]);
        let start = Instant::now();
        let error = site.check(&site.source(), &spread()).expect_err(&format!("{fault:?} went unnoticed"));
        assert!(error.to_string().contains("object.bin"), "{fault:?}: {error}");
        assert!(!error.to_string().contains('<'), "no page of HTML in a message: {error}");
        assert!(start.elapsed() < Duration::from_secs(12), "{fault:?} took {:?}", start.elapsed());
    }
}

#[test]
fn a_server_that_ignores_ranges_is_read_whole_only_if_small() {
    let site = Site::new(Options::default());
    site.server.set_faults([Rule::always(Fault::IgnoreRange)]);
    // Three megabytes are either cut to the ranges or refused; wrong bytes are neither.
    if let Err(e) = site.check(&site.source(), &spread()) {
        assert!(e.to_string().contains("object.bin"), "{e}");
    }
}

#[test]
fn an_object_that_changes_is_noticed() {
    let site = Site::new(Options::default());
    let source = site.source();
    site.check(&source, &[0..1000]).unwrap();
    site.server.set_faults([Rule::always(Fault::NewEtag)]);
    let error = site.check(&source, &[2_000_000..2_001_000]).unwrap_err();
    assert!(matches!(error, SourceError::ObjectChanged { .. }), "{error}");
}

#[test]
fn calls_come_from_anywhere() {
    let site = Site::new(Options::default());
    let source = site.source();
    (0..16u64).into_par_iter().for_each(|i| site.check(&source, &[i * 1000..i * 1000 + 500]).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    runtime.block_on(async { site.check(&source, &[5..50]) }).unwrap();
}

#[test]
fn ranges_beyond_the_end_are_errors() {
    let site = Site::new(Options::default());
    let remote = site.source();
    let local = open(site._dir.path().join("object.bin").to_str().unwrap()).unwrap();
    for source in [&remote as &dyn Source, &*local] {
        site.check(source, &[0..10, 5..5, SIZE as u64 - 1..SIZE as u64]).unwrap();
        assert!(source.read(0..SIZE as u64 + 1).is_err());
        assert_eq!(source.len().unwrap(), SIZE as u64);
    }
    assert!(open(site._dir.path().join("missing.bin").to_str().unwrap()).and_then(|s| s.len()).is_err());
    assert!(open("gopher://host/file").is_err());
    let listed = list(site._dir.path().to_str().unwrap()).unwrap();
    assert_eq!(
        listed.iter().map(|e| (e.path.as_str(), e.size)).collect::<Vec<_>>(),
        [("object.bin", SIZE as u64)]
    );
}
