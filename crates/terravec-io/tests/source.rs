//! Sources give the right bytes or a clear error within bounded time, whatever the host does.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tempfile::TempDir;
use terravec_io::source::{
    self, Counting, HttpOptions, HttpSource, LocalSource, Location, MemorySource, Source, SourceError,
};
use terravec_testserver::{Fault, Options, Rule, Server};

const SIZE: u64 = 9_000_000;

/// Bytes that differ at every place near enough to be confused with another.
fn object(size: u64) -> Vec<u8> {
    (0..size).map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u8).collect()
}

fn at(bytes: &[u8], range: &Range<u64>) -> Vec<u8> {
    bytes[range.start as usize..range.end as usize].to_vec()
}

/// A folder with `a.bin` of [`SIZE`] bytes and `small.bin` of 5000, served.
struct Host {
    folder: TempDir,
    server: Server,
    bytes: Vec<u8>,
}

impl Host {
    fn new(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bytes = object(SIZE);
        fs::write(folder.path().join("a.bin"), &bytes).unwrap();
        fs::write(folder.path().join("small.bin"), &bytes[..5000]).unwrap();
        let server = Server::start(folder.path(), options).unwrap();
        Self { folder, server, bytes }
    }

    fn plain() -> Self {
        Self::new(Options::default())
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.server.url())
    }

    /// A source that loses patience soon.
    fn source(&self, path: &str) -> HttpSource {
        let options = HttpOptions {
            stall_timeout: Duration::from_millis(600),
            retry_for: Duration::from_secs(10),
            max_tries: 4,
            hedge: false,
        };
        HttpSource::new(&self.url(path), options).unwrap()
    }
}

/// Reads four scattered ranges and compares them; the error if there is one.
fn read_some(host: &Host, path: &str) -> Result<(), SourceError> {
    let source = host.source(path);
    let ranges = [10..5000, 1_000_000..1_400_000, 3_000_000..3_001_000, SIZE - 1000..SIZE];
    let parts = source.read_ranges(&ranges)?;
    for (range, part) in ranges.iter().zip(&parts) {
        assert_eq!(part[..], at(&host.bytes, range), "{path} {range:?}");
    }
    assert_eq!(source.len()?, SIZE);
    Ok(())
}

fn within<T>(seconds: f64, what: &str, run: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let result = run();
    let took = begin.elapsed().as_secs_f64();
    println!("{what}: {took:.3} s");
    assert!(took < seconds, "{what} took {took:.2} s");
    result
}

#[test]
fn faults_that_pass_leave_no_trace() {
    let host = Host::plain();
    let long = Duration::from_secs(30);
    for fault in [
        Fault::status(503),
        Fault::status(500),
        Fault::status(408),
        Fault::too_many("1"),
        Fault::Reset(100),
        Fault::Reset(0),
        Fault::Truncate(100),
        Fault::WrongLength(7),
        Fault::WrongLength(-1),
        Fault::WrongRange(1),
        Fault::NoContentRange,
        Fault::Stall { after: 100, time: long },
        Fault::Silence(long),
        Fault::Hangup,
    ] {
        host.server.set_faults([Rule::times(3, fault.clone())]);
        host.server.take_stats();
        within(8.0, &format!("{fault:?}"), || {
            read_some(&host, "a.bin").unwrap_or_else(|e| panic!("{fault:?}: {e}"));
        });
        assert_eq!(host.server.stats().requests, 4 + 3, "{fault:?}: each failure is asked for again, once");
    }
}

#[test]
fn faults_that_stay_end_in_a_clear_error() {
    let host = Host::plain();
    let long = Duration::from_secs(30);
    let cases = [
        (Fault::status(503), "the server answered 503 Service Unavailable (told to answer 503) (4 tries"),
        (Fault::too_many("3600"), "asks to wait 3600 s (1 try"),
        (Fault::Reset(100), "the connection broke after 100 of 4990 bytes"),
        (Fault::Truncate(100), "the connection broke after 100 of 4990 bytes"),
        (Fault::WrongLength(7), "the server announces 4997 bytes where 4990 were asked for"),
        (Fault::WrongRange(1), "sends bytes 11..5000 where 10..5000 were asked for"),
        (Fault::NoContentRange, "does not say which part"),
        (Fault::Stall { after: 100, time: long }, "sent nothing for 0.6 s"),
        (Fault::Silence(long), "sent nothing for 0.6 s"),
        (Fault::Hangup, "the connection broke: "),
        (Fault::status(404), "not found"),
        (Fault::status(410), "not found"),
        (Fault::status(401), "access denied (told to answer 401)"),
        (Fault::status(418), "the server answered 418 (told to answer 418)"),
        (Fault::IgnoreRange, "ignores byte ranges and would send the whole file of 9000000 bytes"),
        (Fault::Chunked, "ignores byte ranges"),
        (Fault::redirect("/case16"), "redirects lead nowhere: too many redirects"),
    ];
    // Each case has a file of its own, so that all can wait at the same time.
    let name = |i: usize| format!("case{i:02}");
    host.server.set_faults(cases.iter().enumerate().map(|(i, (fault, _))| {
        fs::hard_link(host.folder.path().join("a.bin"), host.folder.path().join(name(i))).unwrap();
        Rule::always(fault.clone()).at(&name(i))
    }));
    std::thread::scope(|scope| {
        for (i, (fault, says)) in cases.iter().enumerate() {
            let (host, url) = (&host, host.url(&name(i)));
            scope.spawn(move || {
                let error = within(8.0, &format!("{fault:?}"), || {
                    host.source(&name(i)).read(10..5000).expect_err(&format!("{fault:?}"))
                });
                let message = error.to_string();
                assert!(message.contains(says), "{fault:?}: {message}");
                assert!(message.starts_with(&url) && error.url() == url, "{message}");
                assert!(error.help().is_some() || matches!(error, SourceError::Status { .. }), "{message}");
            });
        }
    });
}

#[test]
fn pages_of_refusal_are_not_shown_raw() {
    let host = Host::plain();
    let page = |status, body: &str| {
        let headers = vec!["Content-Type: text/html".to_owned()];
        host.server.set_faults([Rule::always(Fault::Status { status, headers, body: body.into() })]);
        host.source("a.bin").read(0..10).unwrap_err().to_string()
    };
    let denied = page(403, "<html><head><title>Sign in\n please</title></head><body>…</body></html>");
    assert!(denied.ends_with("a.bin: access denied (Sign in please)"), "{denied}");
    let long = page(403, &format!("<!doctype html>{}", "<p>x".repeat(10_000)));
    assert!(long.ends_with("a.bin: access denied"), "{long}");
    let login = page(200, "<html>sign in</html>");
    assert!(login.contains("a web page instead of the file"), "{login}");
}

#[test]
fn an_object_that_changes_is_noticed() {
    let host = Host::plain();
    let source = host.source("a.bin");
    source.read(0..10).unwrap();
    let before = source.fingerprint().unwrap();
    assert!(
        before.size == SIZE && before.version.as_ref().is_some_and(|v| v.starts_with("etag:\"")),
        "{before:?}"
    );

    host.server.set_faults([Rule::always(Fault::NewEtag)]);
    let error = source.read(100..200).unwrap_err();
    assert!(matches!(&error, SourceError::ObjectChanged { what, .. } if what.contains("ETag")), "{error}");

    host.server.set_faults([]);
    fs::write(host.folder.path().join("a.bin"), object(SIZE - 1)).unwrap();
    host.server.take_stats();
    let error = source.read(100..200).unwrap_err();
    assert!(matches!(&error, SourceError::ObjectChanged { what, .. } if what.contains("8999999")), "{error}");
    assert_eq!(host.server.stats().requests, 1, "not tried again");
    assert_ne!(host.source("a.bin").fingerprint().unwrap(), before);

    // In the middle of one call: the first answers are of one object, the later ones of another.
    host.server.set_faults([Rule::always(Fault::NewEtag).after(2)]);
    let ranges: Vec<_> = (0..20).map(|i| i * 200_000..i * 200_000 + 10).collect();
    assert!(matches!(host.source("a.bin").read_ranges(&ranges), Err(SourceError::ObjectChanged { .. })));
}

#[test]
fn a_host_without_validators_still_has_a_size() {
    let host = Host::new(Options { no_validators: true, ..Options::default() });
    read_some(&host, "a.bin").unwrap();
    assert_eq!(host.source("a.bin").fingerprint().unwrap().version, None);
    let source = host.source("a.bin");
    source.read(0..10).unwrap();
    fs::write(host.folder.path().join("a.bin"), object(SIZE + 1)).unwrap();
    assert!(matches!(source.read(100..200), Err(SourceError::ObjectChanged { .. })));
}

#[test]
fn a_small_file_is_taken_whole_from_a_server_without_ranges() {
    let host = Host::plain();
    for fault in [Fault::IgnoreRange, Fault::Chunked] {
        host.server.set_faults([Rule::always(fault)]);
        host.server.take_stats();
        let source = host.source("small.bin");
        assert_eq!(source.read(100..200).unwrap()[..], host.bytes[100..200]);
        assert_eq!(source.len().unwrap(), 5000);
        assert_eq!(source.read(4000..5000).unwrap()[..], host.bytes[4000..5000]);
        assert!(matches!(source.read(4000..5001), Err(SourceError::BeyondEnd { size: 5000, .. })));
        assert_eq!(host.server.stats().requests, 1);
        let source = host.source("small.bin");
        assert!(matches!(source.read(5000..5001), Err(SourceError::BeyondEnd { size: 5000, .. })));
    }
}

#[test]
fn latency_is_hidden() {
    let host = Host::new(Options { latency: Duration::from_millis(30), ..Options::default() });
    let source = host.source("a.bin");
    let ranges: Vec<_> = (0..64).map(|i| i * 90_000..i * 90_000 + 40_000).collect();
    let parts = within(0.5, "64 ranges", || source.read_ranges(&ranges).unwrap());
    for (range, part) in ranges.iter().zip(parts) {
        assert_eq!(part[..], at(&host.bytes, range));
    }
    let first = host.server.take_stats();
    assert_eq!((first.requests, first.bytes), (64, 64 * 40_000), "no HEAD, and not a byte too many");

    // Two more rounds of 64, over the same connections.
    let ranges: Vec<_> = (0..128).map(|i| i * 45_000..i * 45_000 + 20_000).collect();
    within(0.5, "128 ranges", || source.read_ranges(&ranges).unwrap());
    let second = host.server.take_stats();
    assert_eq!(second.requests, 128);
    assert!(second.connections <= 32, "connections are used again: {second:?}");
}

#[test]
fn the_size_comes_with_the_head() {
    let host = Host::plain();
    let source = host.source("a.bin");
    assert_eq!(source.len().unwrap(), SIZE);
    assert_eq!(source.read(0..16_384).unwrap()[..], host.bytes[..16_384]);
    source.fingerprint().unwrap();
    let stats = host.server.take_stats();
    assert_eq!((stats.requests, stats.bytes), (1, 65_536));
    // Half of it is here, the rest is not.
    assert_eq!(source.read(65_000..66_000).unwrap()[..], host.bytes[65_000..66_000]);
    assert_eq!(host.server.stats().requests, 1);

    // Threads that ask at once share the answer.
    let source = Arc::new(host.source("a.bin"));
    host.server.take_stats();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(source.len().unwrap(), SIZE));
        }
    });
    assert_eq!(host.server.stats().requests, 1);
}

#[test]
fn near_ranges_share_a_request_within_the_waste_bound() {
    let host = Host::plain();
    let counts = |ranges: &[Range<u64>]| {
        let source = Counting::new(host.source("a.bin"));
        host.server.take_stats();
        let parts = source.read_ranges(ranges).unwrap();
        for (range, part) in ranges.iter().zip(parts) {
            assert_eq!(part[..], at(&host.bytes, range));
        }
        let stats = host.server.take_stats();
        assert_eq!(source.requests(), stats.requests);
        assert_eq!(source.bytes(), ranges.iter().map(|r| r.end - r.start).sum::<u64>());
        (stats.requests, stats.bytes)
    };
    // Blocks of a GeoTIFF, eight bytes apart, out of order, one twice.
    assert_eq!(counts(&[50_000..99_992, 0..49_992, 100_000..150_000, 0..49_992]), (1, 150_000));
    // Overlapping.
    assert_eq!(counts(&[0..1000, 500..2000]), (1, 2000));
    // Too far apart.
    assert_eq!(counts(&[0..1000, 20_000..21_000]), (2, 2000));
    // All near, but one request for all would read half of it for nothing: two by two.
    let sparse: Vec<_> = (0..100).map(|i| i * 20_000..i * 20_000 + 10_000).collect();
    assert_eq!(counts(&sparse), (50, 50 * 30_000));
    // Gaps of a tenth are bridged, up to requests of 4 MiB.
    let dense: Vec<_> = (0..400).map(|i| i * 20_000..i * 20_000 + 18_000).collect();
    assert_eq!(counts(&dense).0, 2);
    // A long run is cut in pieces and comes back whole.
    assert_eq!(counts(&[0..SIZE]), (3, SIZE));
    // Nothing asked for, nothing sent.
    assert_eq!(counts(&[5..5, SIZE..SIZE]), (0, 0));
    assert_eq!(counts(&[]), (0, 0));
}

#[test]
fn ranges_beyond_the_end_and_absurd_ones_are_refused() {
    let host = Host::plain();
    for range in [SIZE..SIZE + 1, SIZE - 10..SIZE + 1, 0..u64::MAX, 1 << 60..1 << 61] {
        host.server.take_stats();
        let error = host.source("a.bin").read(range.clone()).unwrap_err();
        assert!(matches!(error, SourceError::BeyondEnd { size: SIZE, .. }), "{range:?}: {error}");
        assert_eq!(host.server.stats().requests, 1, "{range:?}");
    }
    #[allow(clippy::reversed_empty_ranges)]
    let error = host.source("a.bin").read(10..5).unwrap_err();
    assert!(matches!(error, SourceError::BadRange { .. }), "{error}");

    fs::write(host.folder.path().join("empty"), b"").unwrap();
    let empty = host.source("empty");
    assert_eq!(empty.len().unwrap(), 0);
    assert!(matches!(empty.read(0..1), Err(SourceError::BeyondEnd { size: 0, .. })));
    assert!(matches!(host.source("empty").read(0..1), Err(SourceError::BeyondEnd { size: 0, .. })));
}

#[test]
fn calls_come_from_any_thread() {
    use rayon::prelude::*;
    let host = Host::plain();
    let source: Arc<dyn Source> = source::open(&host.url("a.bin")).unwrap();
    let starts: Vec<u64> = (0..200).map(|i| i * 29_000).collect();
    starts.par_iter().for_each(|&start| {
        let range = start..start + 5000;
        assert_eq!(source.read(range.clone()).unwrap()[..], at(&host.bytes, &range));
    });
    for runtime in [
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap(),
    ] {
        let source = Arc::clone(&source);
        let read = async move { source.read(7..77).unwrap() };
        let part: Bytes = runtime.block_on(async { tokio::spawn(read).await.unwrap() });
        assert_eq!(part[..], host.bytes[7..77]);
    }
}

#[test]
fn redirects_are_followed_and_queries_sent() {
    let host = Host::plain();
    host.server.set_faults([Rule::always(Fault::redirect("/a.bin")).at("/elsewhere")]);
    assert_eq!(host.source("elsewhere").read(5..50).unwrap()[..], host.bytes[5..50]);
    host.server.set_faults([]);
    host.server.take_stats();
    read_some(&host, "a.bin?fault=status:503&times=2").unwrap();
    assert_eq!(host.server.stats().requests, 6, "the server saw the query");
}

#[test]
fn a_slow_line_is_no_fault() {
    let host = Host::new(Options { bandwidth: Some(1_000_000), ..Options::default() });
    // Takes longer than the stall timeout, but is never silent.
    let part = host.source("a.bin").read(0..1_500_000).unwrap();
    assert_eq!(part[..], host.bytes[..1_500_000]);
    assert_eq!(host.server.stats().requests, 1);
}

#[test]
fn credentials_are_never_shown() {
    let host = Host::plain();
    let url = host.url("none.bin?X-Amz-Signature=hunter2").replace("http://", "http://me:hunter2@");
    let source = source::open(&url).unwrap();
    let error = source.read(0..1).unwrap_err();
    assert!(matches!(error, SourceError::NotFound { .. }), "{error}");
    // Debug output ends up in logs.
    let all = format!("{} {error} {error:?} {:?} {source:?}", source.url(), error.help());
    assert!(!all.contains("hunter2") && all.contains("X-Amz-Signature=REDACTED"), "{all}");
}

#[test]
fn a_dead_host_is_given_up_soon() {
    let source = source::open("http://127.0.0.1:1/a.bin").unwrap();
    let error = within(5.0, "a refused connection", || source.len().unwrap_err());
    let message = error.to_string();
    assert!(
        message.contains("can't connect: Connection refused") && message.contains("3 tries"),
        "{message}"
    );
    assert!(error.help().unwrap().contains("check the address"));
}

#[test]
fn local_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a b.bin");
    let bytes = object(10_000);
    fs::write(&path, &bytes).unwrap();
    let text = path.to_str().unwrap();
    let address = url::Url::from_file_path(&path).unwrap();
    assert!(address.as_str().contains("%20"));
    for source in [source::open(text).unwrap(), source::open(address.as_str()).unwrap()] {
        assert_eq!((source.url(), source.len().unwrap()), (text, 10_000));
        let ranges = [9_000..10_000, 0..10, 5..5, 20_000..20_000, 3..9_999];
        for (range, part) in ranges.iter().zip(source.read_ranges(&ranges).unwrap()) {
            let want = if range.is_empty() { Vec::new() } else { at(&bytes, range) };
            assert_eq!(part[..], want);
        }
        assert!(matches!(source.read(9_999..10_001), Err(SourceError::BeyondEnd { size: 10_000, .. })));
        assert!(matches!(source.read(0..u64::MAX), Err(SourceError::BeyondEnd { .. })));
        #[allow(clippy::reversed_empty_ranges)]
        let reversed = source.read(5..4);
        assert!(matches!(reversed, Err(SourceError::BadRange { .. })));
    }

    let source = LocalSource::open(&path).unwrap();
    let before = source.fingerprint().unwrap();
    assert_eq!(source::list(&location(folder.path())).unwrap()[0].fingerprint(), before);
    fs::File::options().write(true).open(&path).unwrap().set_len(5000).unwrap();
    assert_ne!(source.fingerprint().unwrap(), before);
    let error = source.read(4000..6000).unwrap_err();
    assert!(matches!(error, SourceError::ObjectChanged { .. }), "{error}");

    let missing = folder.path().join("none");
    assert!(matches!(source::open(missing.to_str().unwrap()), Err(SourceError::NotFound { .. })));
    assert!(matches!(LocalSource::open(folder.path()), Err(SourceError::IsFolder { .. })));
    assert!(matches!(LocalSource::open(path.join("below")), Err(SourceError::NotFound { .. })));
}

#[test]
fn memory() {
    let source = MemorySource::new("m", object(100));
    assert_eq!((source.url(), source.len().unwrap()), ("m", 100));
    assert_eq!(source.read(10..20).unwrap()[..], object(100)[10..20]);
    assert_eq!(source.read(500..500).unwrap().len(), 0);
    assert!(matches!(source.read(99..101), Err(SourceError::BeyondEnd { size: 100, .. })));
    assert_eq!(source.fingerprint().unwrap().size, 100);
}

fn location(path: &Path) -> Location {
    Location::new(path.to_str().unwrap())
}

fn names(root: &Path) -> Vec<String> {
    source::list(&location(root)).unwrap().into_iter().map(|entry| entry.path).collect()
}

#[test]
fn folders_are_listed_below_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("b/c")).unwrap();
    fs::create_dir(root.join("empty")).unwrap();
    for name in ["z.tif", "b/c/1.tif", "b/10.tif", "b/9.tif", "a.tif"] {
        fs::write(root.join(name), name).unwrap();
    }
    assert_eq!(names(root), ["a.tif", "b/10.tif", "b/9.tif", "b/c/1.tif", "z.tif"]);
    let entries = source::list(&location(root)).unwrap();
    assert!(entries[1].size == 8 && entries[1].modified.is_some());
    let joined = location(root).join(&entries[3].path);
    assert_eq!(joined.open().unwrap().read(0..9).unwrap(), "b/c/1.tif");

    let web = source::list(&Location::new("https://host/root")).unwrap_err();
    assert!(web.to_string().contains("can't be listed") && web.help().unwrap().contains("index"));
    assert!(matches!(source::list(&location(&root.join("none"))), Err(SourceError::NotFound { .. })));
    assert!(matches!(source::list(&location(&root.join("a.tif"))), Err(SourceError::NotFolder { .. })));
}

#[cfg(unix)]
#[test]
fn links_are_followed_once() {
    use std::os::unix::fs::symlink;
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = folder.path();
    fs::create_dir(root.join("real")).unwrap();
    fs::write(root.join("real/1"), "1").unwrap();
    fs::write(outside.path().join("2"), "22").unwrap();
    symlink(root, root.join("real/loop")).unwrap();
    symlink(root.join("real"), root.join("again")).unwrap();
    symlink(outside.path(), root.join("out")).unwrap();
    symlink(root, outside.path().join("back")).unwrap();
    symlink(root.join("real/1"), root.join("file")).unwrap();
    symlink(root.join("nowhere"), root.join("broken")).unwrap();
    assert_eq!(names(root), ["file", "out/2", "real/1"]);
}
