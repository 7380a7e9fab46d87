//! The cache gives the bytes that the host has, asks for none of them twice, and takes nothing that was tampered with.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use terravec_io::source::cache::{Cache, CacheOptions};
use terravec_io::source::{HttpOptions, HttpSource, Source, SourceError};
use terravec_testserver::{Fault, Options, Rule, Server};

const SIZE: u64 = 3_000_000;

fn bytes(seed: u64) -> Vec<u8> {
    (0..SIZE).map(|i| ((i + seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u8).collect()
}

struct Host {
    folder: TempDir,
    cache: TempDir,
    server: Server,
    bytes: Vec<u8>,
}

impl Host {
    fn new(options: Options) -> Self {
        let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let bytes = bytes(0);
        fs::write(folder.path().join("a.bin"), &bytes).unwrap();
        let server = Server::start(folder.path(), options).unwrap();
        Self { folder, cache, server, bytes }
    }

    fn options(&self) -> CacheOptions {
        CacheOptions::new(self.cache.path())
    }

    fn open_in(&self, cache: &Cache) -> Arc<dyn Source> {
        let url = format!("{}/a.bin", self.server.url());
        let options = HttpOptions {
            stall_timeout: Duration::from_millis(500),
            retry_for: Duration::from_secs(3),
            max_tries: 3,
            hedge: false,
        };
        Arc::new(cache.wrap(HttpSource::new(&url, options).unwrap(), &url))
    }

    /// As another process would.
    fn open(&self) -> Arc<dyn Source> {
        self.open_in(&Cache::new(self.options()))
    }

    fn check(&self, source: &dyn Source, ranges: &[std::ops::Range<u64>]) {
        let parts = source.read_ranges(ranges).unwrap();
        for (range, part) in ranges.iter().zip(parts) {
            assert!(part[..] == self.bytes[range.start as usize..range.end as usize], "{range:?}");
        }
    }

    fn entries(&self) -> Vec<PathBuf> {
        fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
            for item in fs::read_dir(folder).into_iter().flatten().flatten() {
                if item.path().is_dir() {
                    walk(&item.path(), found);
                } else if item.file_name() != "about.json" {
                    found.push(item.path());
                }
            }
        }
        let mut found = Vec::new();
        walk(self.cache.path(), &mut found);
        found.sort();
        found
    }
}

const SOME: [std::ops::Range<u64>; 4] =
    [5..9000, 1_000_000..1_400_000, 2_000_000..2_000_001, SIZE - 100..SIZE];

#[test]
fn what_was_read_is_not_asked_for_again() {
    let host = Host::new(Options::default());
    host.check(&*host.open(), &SOME);
    let cold = host.server.take_stats();
    assert_eq!(cold.requests, 4, "as without a cache");
    assert_eq!(cold.bytes, SOME.iter().map(|r| r.end - r.start).sum::<u64>(), "not a byte more");
    let again = host.open();
    host.check(&*again, &SOME);
    assert_eq!(again.len().unwrap(), SIZE);
    assert_eq!(host.server.take_stats().requests, 0);
    // What overlaps is asked for in part.
    let wider = [0..9100, 1_200_000..1_500_000];
    host.check(&*again, &wider);
    // Near ranges share a request, here as elsewhere.
    assert_eq!(host.server.take_stats().bytes, 9100 + 100_000);
    host.check(&*host.open(), &wider);
    assert_eq!(host.server.take_stats().requests, 0);
    assert!(again.read(SIZE - 1..SIZE + 1).is_err() && again.read(10..10).unwrap().is_empty());
}

#[test]
fn the_size_brings_the_head_along() {
    let host = Host::new(Options::default());
    assert_eq!(host.open().len().unwrap(), SIZE);
    assert_eq!(host.server.take_stats().requests, 1);
    host.check(&*host.open(), &[0..60_000]);
    assert_eq!(host.server.take_stats().requests, 0);
}

#[test]
fn an_entry_that_was_tampered_with_is_a_miss_and_goes() {
    let host = Host::new(Options::default());
    host.check(&*host.open(), &SOME);
    let entries = host.entries();
    assert_eq!(entries.len(), 4);
    // Other bytes, cut short, made longer, and one moved to another's place.
    let mut other = fs::read(&entries[0]).unwrap();
    other[0] ^= 1;
    fs::write(&entries[0], &other).unwrap();
    let short = fs::read(&entries[1]).unwrap();
    fs::write(&entries[1], &short[..short.len() - 1]).unwrap();
    fs::write(&entries[2], vec![7; 1000]).unwrap();
    host.server.take_stats();
    host.check(&*host.open(), &SOME);
    assert_eq!(host.server.take_stats().requests, 3);
    host.check(&*host.open(), &SOME);
    assert_eq!(host.server.take_stats().requests, 0);
    let name = |p: &Path| p.file_name().unwrap().to_str().unwrap().to_owned();
    let moved = entries[0].with_file_name("3e8-3e9");
    let single = entries.iter().find(|e| name(e) == "1e8480-1e8481").unwrap();
    fs::copy(single, &moved).unwrap();
    let verified = Cache::new(host.options()).verify().unwrap();
    assert_eq!((verified.good, verified.removed), (4, 1));
    assert!(!moved.exists());
    fs::copy(single, &moved).unwrap();
    host.check(&*host.open(), &[1000..1001]);
}

#[test]
fn an_object_that_changed_is_read_anew_or_refused_never_mixed() {
    let host = Host::new(Options::default());
    host.check(&*host.open(), &SOME);
    let new = bytes(99);
    fs::write(host.folder.path().join("a.bin"), &new).unwrap();
    // Believed for a while: bytes of the old state alone, until a byte is missing.
    let believing = host.open();
    host.check(&*believing, &SOME);
    let e = believing.read(500_000..500_010).unwrap_err();
    assert!(matches!(e, SourceError::ObjectChanged { .. }), "{e}");
    // The next one knows better.
    assert_eq!(host.open().read(500_000..500_010).unwrap()[..], new[500_000..500_010]);
    assert_eq!(host.open().read(5..9000).unwrap()[..], new[5..9000]);
    // Without belief, the host is asked first.
    fs::write(host.folder.path().join("a.bin"), &host.bytes).unwrap();
    let strict = Cache::new(CacheOptions { trust: Duration::ZERO, ..host.options() });
    host.check(&*host.open_in(&strict), &SOME);
    host.server.take_stats();
    host.check(&*host.open_in(&strict), &SOME);
    assert_eq!(host.server.take_stats().bytes, 1, "one byte tells that nothing changed");
    // Nothing was handed out yet: no reason to fail.
    host.open().read(0..10).unwrap();
    fs::write(host.folder.path().join("a.bin"), &new).unwrap();
    let fresh = host.open();
    assert_eq!(fresh.read(700_000..700_010).unwrap()[..], new[700_000..700_010]);
}

#[test]
fn nothing_wrong_enters() {
    let long = Duration::from_secs(30);
    for fault in [
        Fault::status(503),
        Fault::status(403),
        Fault::Reset(100),
        Fault::Truncate(100),
        Fault::WrongLength(7),
        Fault::WrongRange(1),
        Fault::NoContentRange,
        Fault::Stall { after: 100, time: long },
        Fault::Silence(long),
        Fault::Hangup,
        Fault::Status { status: 200, headers: vec!["Content-Type: text/html".into()], body: "<html>".into() },
    ] {
        // A host for each fault: no connection that an earlier one has broken is used again, and counted, by the next.
        let host = Host::new(Options::default());
        host.server.set_faults([Rule::always(fault.clone()).after(1)]);
        let cache = Cache::new(host.options());
        let source = host.open_in(&cache);
        source.read(0..100).unwrap();
        let e = source.read_ranges(&SOME[1..]).unwrap_err();
        assert!(!e.to_string().is_empty());
        let verified = cache.verify().unwrap();
        assert_eq!((verified.good, verified.removed), (1, 0), "{fault:?}: only what came before it");
        host.server.set_faults([]);
        host.check(&*host.open(), &[0..100]);
        cache.clear().unwrap();
    }
    // A host that tells no state from another: nothing is kept.
    let blind = Host::new(Options { no_validators: true, ..Options::default() });
    blind.check(&*blind.open(), &SOME);
    blind.check(&*blind.open(), &SOME);
    assert_eq!((blind.server.stats().requests, blind.entries().len()), (8, 0));
}

#[test]
fn what_is_not_there_is_remembered_for_a_while() {
    let host = Host::new(Options::default());
    let path = host.folder.path().join("a.bin");
    fs::remove_file(&path).unwrap();
    let gone = |cache: &CacheOptions| host.open_in(&Cache::new(cache.clone())).read(0..1).unwrap_err();
    assert!(matches!(gone(&host.options()), SourceError::NotFound { .. }));
    assert!(matches!(gone(&host.options()), SourceError::NotFound { .. }));
    assert!(matches!(gone(&CacheOptions { offline: true, ..host.options() }), SourceError::NotFound { .. }));
    assert_eq!(host.server.take_stats().requests, 1);
    fs::write(&path, &host.bytes).unwrap();
    let strict = Cache::new(CacheOptions { trust: Duration::ZERO, ..host.options() });
    host.check(&*host.open_in(&strict), &SOME);
    host.check(&*host.open(), &SOME);
}

#[test]
fn offline_says_what_is_missing() {
    let host = Host::new(Options::default());
    let offline = || host.open_in(&Cache::new(CacheOptions { offline: true, ..host.options() }));
    let e = offline().len().unwrap_err();
    assert!(matches!(&e, SourceError::Offline { .. }) && e.to_string().contains("nothing of it"), "{e}");
    host.check(&*host.open(), &SOME);
    host.server.take_stats();
    host.check(&*offline(), &SOME);
    let e = offline().read_ranges(&[0..5, 1_000_000..1_500_000]).unwrap_err();
    assert!(e.to_string().contains("bytes 0..5, bytes 1400000..1500000"), "{e}");
    assert!(e.help().unwrap().contains("without --offline"));
    assert_eq!(host.server.stats().requests, 0);
}

#[test]
fn a_full_cache_forgets_what_was_used_longest_ago() {
    let host = Host::new(Options::default());
    let cache = Cache::new(CacheOptions { limit: 1_000_000, ..host.options() });
    let source = host.open_in(&cache);
    for i in 0..20 {
        host.check(&*source, &[i * 140_000..i * 140_000 + 100_000]);
        std::thread::sleep(Duration::from_millis(5));
        // Used all the time, hence kept.
        host.check(&*source, &[0..100_000]);
    }
    let info = cache.info().unwrap();
    assert!(info.bytes <= 1_100_000 && info.entries >= 5 && info.objects == 1, "{info:?}");
    host.server.take_stats();
    host.check(&*host.open(), &[0..100_000, 19 * 140_000..19 * 140_000 + 100_000]);
    assert_eq!(host.server.take_stats().requests, 0);
    assert!(cache.clear().unwrap() > 0);
    assert_eq!(cache.info().unwrap().bytes, 0);
    host.check(&*host.open(), &SOME);
}

#[test]
fn many_share_one_cache() {
    let host = Host::new(Options::default());
    let bytes = &host.bytes;
    std::thread::scope(|scope| {
        for worker in 0..8u64 {
            let (host, small) = (&host, CacheOptions { limit: 500_000, ..host.options() });
            scope.spawn(move || {
                let cache = Cache::new(small);
                let mut random = fastrand::Rng::with_seed(worker);
                for _ in 0..40 {
                    let source = host.open_in(&cache);
                    let start = random.u64(0..SIZE - 60_000);
                    let range = start..start + random.u64(1..60_000);
                    let part = source.read(range.clone()).unwrap();
                    assert!(part[..] == bytes[range.start as usize..range.end as usize]);
                }
            });
        }
    });
    assert_eq!(Cache::new(host.options()).verify().unwrap().removed, 0);
}
