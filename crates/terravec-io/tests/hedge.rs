//! Requests that wait unusually long are asked again, within bounds, and never answered otherwise.

use std::fs;
use std::ops::Range;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use terravec_io::source::{HttpOptions, HttpSource, Source, SourceError};
use terravec_testserver::{Fault, Options, Rule, Server};

const SIZE: u64 = 9_000_000;

struct Host {
    _folder: TempDir,
    server: Server,
    bytes: Vec<u8>,
}

impl Host {
    fn new(latency: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..SIZE).map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u8).collect();
        fs::write(folder.path().join("a.bin"), &bytes).unwrap();
        let options = Options { latency: Duration::from_millis(latency), ..Options::default() };
        let server = Server::start(folder.path(), options).unwrap();
        Self { _folder: folder, server, bytes }
    }

    fn source(&self, hedge: bool) -> HttpSource {
        let url = format!("{}/a.bin", self.server.url());
        HttpSource::new(&url, HttpOptions { hedge, ..HttpOptions::default() }).unwrap()
    }

    fn check(&self, source: &HttpSource, ranges: &[Range<u64>]) {
        for (range, part) in ranges.iter().zip(source.read_ranges(ranges).unwrap()) {
            assert!(part[..] == self.bytes[range.start as usize..range.end as usize], "{range:?}");
        }
    }

    /// Reads ranges one after the other; how long that took.
    fn one_by_one(&self, source: &HttpSource, ranges: &[Range<u64>]) -> Duration {
        let begin = Instant::now();
        ranges.iter().for_each(|range| self.check(source, std::slice::from_ref(range)));
        begin.elapsed()
    }
}

fn ranges(n: u64) -> Vec<Range<u64>> {
    (0..n).map(|i| i * 40_000..i * 40_000 + 5000).collect()
}

const STALL: Duration = Duration::from_secs(15);

#[test]
fn a_stall_is_not_waited_for() {
    let host = Host::new(0);
    host.server.set_faults([Rule::always(Fault::Silence(STALL)).every(15)]);
    let took = host.one_by_one(&host.source(true), &ranges(200));
    // Of 200 requests 14 stalled, and were asked again; a busy machine may add some.
    let extra = host.server.stats().requests - 200;
    assert!((14..=21).contains(&extra), "{extra}");
    assert!(took < STALL, "{took:?}");
}

#[test]
fn many_at_a_time_are_right_and_bounded() {
    let host = Host::new(2);
    host.server.set_faults([Rule::always(Fault::Silence(Duration::from_secs(2))).every(12)]);
    let source = host.source(true);
    for _ in 0..3 {
        host.check(&source, &ranges(200));
    }
    let extra = host.server.stats().requests - 600;
    assert!((1..=61).contains(&extra), "{extra}");
}

#[test]
fn a_host_slow_on_all_is_asked_once() {
    let host = Host::new(600);
    let source = host.source(true);
    for _ in 0..4 {
        host.check(&source, &ranges(64));
    }
    let extra = host.server.stats().requests - 4 * 64;
    assert!(extra <= 4, "{extra}");
}

#[test]
fn a_host_that_turns_slow_is_asked_little_more() {
    let host = Host::new(0);
    let source = host.source(true);
    host.one_by_one(&source, &ranges(60));
    host.server.take_stats();
    host.server.set_faults([Rule::always(Fault::Silence(Duration::from_millis(700)))]);
    for _ in 0..4 {
        host.check(&source, &ranges(64));
    }
    let extra = host.server.stats().requests - 4 * 64;
    assert!((1..=32).contains(&extra), "{extra}");
}

#[test]
fn none_where_it_is_forbidden() {
    let host = Host::new(0);
    let source = host.source(false);
    host.one_by_one(&source, &ranges(30));
    host.server.take_stats();
    // By an option.
    host.server.set_faults([Rule::times(1, Fault::Silence(Duration::from_secs(1)))]);
    host.one_by_one(&source, &ranges(2));
    assert_eq!(host.server.take_stats().requests, 2);
    // By the host.
    let source = host.source(true);
    for busy in [Fault::too_many("0"), Fault::status(429), Fault::status(503)] {
        host.one_by_one(&source, &ranges(30));
        host.server.take_stats();
        let silence = Fault::Silence(Duration::from_secs(1));
        host.server.set_faults([Rule::times(1, busy), Rule::times(1, silence)]);
        host.one_by_one(&source, &ranges(2));
        assert_eq!(host.server.take_stats().requests, 3, "two, and one again");
    }
}

#[test]
fn a_body_under_way_is_not_asked_again() {
    let host = Host::new(0);
    let source = host.source(true);
    let requests = || {
        host.one_by_one(&source, &ranges(30));
        host.server.take_stats();
        host.server.set_faults([Rule::times(1, Fault::Stall { after: 100, time: Duration::from_secs(1) })]);
        host.one_by_one(&source, &ranges(2));
        host.server.stats().requests
    };
    // On a busy machine, another request than the one in question may be asked again.
    assert!((0..3).any(|_| requests() == 2));
}

#[test]
fn the_second_answer_is_checked_like_the_first() {
    let host = Host::new(0);
    let source = host.source(true);
    host.one_by_one(&source, &ranges(30));
    host.server.take_stats();
    // The object changes between the two.
    host.server.set_faults([Rule::times(1, Fault::Silence(STALL)), Rule::always(Fault::NewEtag)]);
    let error = source.read(100_000..100_100).unwrap_err();
    assert!(matches!(error, SourceError::ObjectChanged { .. }), "{error}");
    assert_eq!(host.server.take_stats().requests, 2);
    // A second one that fails for a moment is no failure: the first is still on its way.
    host.server.set_faults([
        Rule::times(1, Fault::Silence(Duration::from_secs(2))),
        Rule::times(1, Fault::status(503)),
    ]);
    host.one_by_one(&source, &ranges(10));
    assert!((11..=12).contains(&host.server.stats().requests));
}
