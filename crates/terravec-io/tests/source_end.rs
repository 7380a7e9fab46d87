//! The end of an object comes in one round trip where its host can count from there, and comes anyway where not.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use terravec_io::source::cache::{Cache, CacheOptions};
use terravec_io::source::{
    Counting, HttpOptions, HttpSource, LocalSource, MemorySource, Source, SourceError, Vars, open_with,
};
use terravec_testserver::{Fault, Options, Rule, Server};

const SIZE: u64 = 5_000_000;
const SMALL: u64 = 3000;

struct Host {
    folder: TempDir,
    server: Server,
    bytes: Vec<u8>,
}

impl Host {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..SIZE).map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u8).collect();
        fs::create_dir(folder.path().join("c")).unwrap();
        for (name, size) in [("a.bin", SIZE), ("small.bin", SMALL), ("empty.bin", 0), ("c/a.bin", SIZE)] {
            fs::write(folder.path().join(name), &bytes[..size as usize]).unwrap();
        }
        let server = Server::start(folder.path(), Options::default()).unwrap();
        Self { folder, server, bytes }
    }

    fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.server.url())
    }

    fn source(&self, name: &str) -> HttpSource {
        let stall_timeout = Duration::from_millis(500);
        let options =
            HttpOptions { stall_timeout, retry_for: Duration::from_secs(3), ..HttpOptions::default() };
        HttpSource::new(&self.url(name), options).unwrap()
    }

    fn check(&self, source: &dyn Source, size: u64, n: u64) {
        let want = &self.bytes[(size - size.min(n)) as usize..size as usize];
        assert!(source.read_last(n).unwrap()[..] == *want, "{} {n}", source.url());
        assert_eq!(source.len().unwrap(), size);
    }
}

#[test]
fn one_request_brings_the_end_and_the_size() {
    let host = Host::new();
    let source = host.source("a.bin");
    host.check(&source, SIZE, 100_000);
    assert!(source.fingerprint().unwrap().version.is_some());
    assert!(source.read(SIZE - 90_000..SIZE - 80_000).unwrap()[..] == host.bytes[4_910_000..4_920_000]);
    host.check(&source, SIZE, 10);
    let stats = host.server.take_stats();
    assert_eq!((stats.requests, stats.bytes), (1, 100_000));
    host.check(&source, SIZE, 200_000);
    assert_eq!(host.server.take_stats().requests, 1, "more than is kept");
    // Of a small object all comes, whatever was asked for.
    let source = host.source("small.bin");
    host.check(&source, SMALL, 10);
    host.check(&source, SMALL, 4000);
    assert!(source.read(0..SMALL).unwrap()[..] == host.bytes[..SMALL as usize]);
    assert_eq!(host.server.take_stats().requests, 1);
    // Threads that ask at once share the answer.
    let source = Arc::new(host.source("a.bin"));
    std::thread::scope(|scope| {
        (0..8).for_each(|_| drop(scope.spawn(|| host.check(&source, SIZE, 1000))));
    });
    assert_eq!(host.server.take_stats().requests, 1);
    host.check(&host.source("empty.bin"), 0, 10);
    assert!(host.source("a.bin").read_last(0).unwrap().is_empty());
    let error = host.source("none.bin").read_last(5).unwrap_err();
    assert!(matches!(error, SourceError::NotFound { .. }), "{error}");
}

#[test]
fn hosts_that_do_not_count_from_the_end_are_asked_for_the_size() {
    for status in [200, 206, 400, 405, 416, 501] {
        // A host each, as it is remembered what one can't do.
        let host = Host::new();
        host.server.set_faults([Rule::always(Fault::NoSuffix(status))]);
        let source = host.source("a.bin");
        host.check(&source, SIZE, 1000);
        let first = host.server.take_stats().requests;
        assert!(first <= 3, "{status}: {first}");
        host.check(&host.source("a.bin"), SIZE, 1000);
        assert_eq!(host.server.take_stats().requests, 2, "{status}: it is not asked again what it can't do");
        host.check(&host.source("small.bin"), SMALL, 1000);
        host.check(&host.source("empty.bin"), 0, 10);
    }
    // All of a small file comes from a server that knows no ranges.
    let host = Host::new();
    host.server.set_faults([Rule::always(Fault::IgnoreRange)]);
    host.check(&host.source("small.bin"), SMALL, 1000);
    assert_eq!(host.server.stats().requests, 1);
    assert!(matches!(host.source("a.bin").read_last(9).unwrap_err(), SourceError::RangesIgnored { .. }));
}

#[test]
fn azure_is_not_asked() {
    let host = Host::new();
    host.server.set_faults([Rule::always(Fault::NoSuffix(400))]);
    let vars = Vars::only([("AZURE_STORAGE_ENDPOINT", host.server.url()), ("AZURE_STORAGE_ACCOUNT", "acc")]);
    host.check(&*open_with("az://c/a.bin", &vars).unwrap(), SIZE, 1000);
    assert_eq!(host.server.stats().requests, 2);
}

#[test]
fn faults_are_met_as_elsewhere() {
    let host = Host::new();
    for fault in [
        Fault::status(503),
        Fault::Reset(100),
        Fault::Truncate(100),
        Fault::WrongLength(7),
        Fault::Silence(Duration::from_secs(30)),
        Fault::Hangup,
    ] {
        host.server.set_faults([Rule::times(2, fault)]);
        host.check(&host.source("a.bin"), SIZE, 1000);
    }
    let source = host.source("a.bin");
    source.read_last(10).unwrap();
    host.server.set_faults([Rule::always(Fault::NewEtag)]);
    let error = source.read(0..10).unwrap_err();
    assert!(matches!(error, SourceError::ObjectChanged { .. }), "{error}");
    host.server.set_faults([Rule::times(1, Fault::WrongRange(1))]);
    host.check(&host.source("a.bin"), SIZE, 1000);
}

#[test]
fn the_cache_keeps_it_by_its_place() {
    let host = Host::new();
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str, offline: bool| {
        let options = CacheOptions { offline, ..CacheOptions::new(folder.path()) };
        Cache::new(options).wrap(host.source(name), &host.url(name))
    };
    for (name, size) in [("a.bin", SIZE), ("small.bin", SMALL)] {
        host.server.take_stats();
        host.check(&open(name, false), size, 1000);
        assert_eq!(host.server.take_stats().requests, 1);
        host.check(&open(name, false), size, 1000);
        host.check(&open(name, true), size, 2000);
        // The same bytes by another way.
        let (from, to) = (size - 1500, size - 500);
        let part = open(name, true).read(from..to).unwrap();
        assert!(part[..] == host.bytes[from as usize..to as usize]);
        assert_eq!(host.server.take_stats().requests, 0);
    }
    assert!(open("a.bin", true).read(0..10).is_err());
    let error = open("c/a.bin", true).read_last(10).unwrap_err();
    assert!(matches!(error, SourceError::Offline { .. }), "{error}");
    let error = open("none.bin", false).read_last(10).unwrap_err();
    assert!(matches!(error, SourceError::NotFound { .. }), "{error}");
    host.server.take_stats();
    assert!(open("none.bin", false).read_last(10).is_err());
    assert_eq!(host.server.take_stats().requests, 0, "that it is not there is remembered");
    host.check(&open("empty.bin", false), 0, 10);
    // Where the host refuses, too.
    host.server.set_faults([Rule::always(Fault::NoSuffix(501))]);
    host.check(&open("c/a.bin", false), SIZE, 1000);
    host.check(&open("c/a.bin", true), SIZE, 1000);
}

#[test]
fn any_source_has_an_end() {
    let host = Host::new();
    host.check(&LocalSource::open(host.folder.path().join("a.bin")).unwrap(), SIZE, 1000);
    host.check(&LocalSource::open(host.folder.path().join("small.bin")).unwrap(), SMALL, 9000);
    host.check(&MemorySource::new("m", host.bytes.clone()), SIZE, 1000);
    let counting = Counting::new(host.source("a.bin"));
    counting.read_last(100).unwrap();
    assert_eq!((counting.requests(), counting.bytes(), host.server.stats().requests), (1, 100, 1));
}
