//! Stores of objects as their clients see them: addresses, lists, credentials that stay with their host, doors in turn.

use std::fs;
use std::time::Duration;

use tempfile::TempDir;
use terravec_io::source::{
    HttpOptions, HttpSource, Location, Source, SourceError, Vars, list_with, open_with,
};
use terravec_testserver::{Fault, Options, Rule, Server, StoreOptions};

fn bytes(n: u32) -> Vec<u8> {
    (0..n).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect()
}

/// A bucket, a container and a repository with the same files.
fn tree() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for folder in ["bucket", "datasets/o/r/main", "datasets/o/r/v2"] {
        for file in ["a/one.tif", "a/x=1/two & more.tif", "b/three.csv", "top.txt"] {
            let path = root.path().join(folder).join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes(100_000)).unwrap();
        }
    }
    root
}

fn server(root: &TempDir, store: StoreOptions) -> Server {
    Server::start(root.path(), Options { store, ..Options::default() }).unwrap()
}

fn patient() -> HttpOptions {
    HttpOptions {
        stall_timeout: Duration::from_millis(500),
        retry_for: Duration::from_secs(4),
        max_tries: 4,
        hedge: false,
    }
}

fn paths(root: &str, vars: &Vars) -> Vec<String> {
    list_with(&Location::new(root), vars).unwrap().into_iter().map(|e| e.path).collect()
}

#[test]
fn every_store_is_listed_page_by_page_and_read() {
    let root = tree();
    let host = server(&root, StoreOptions { page: 1, ..StoreOptions::default() });
    let url = host.url();
    let cases: [(&str, Vars); 4] = [
        ("s3://bucket/a", Vars::only([("AWS_ENDPOINT_URL", url)])),
        ("gs://bucket/a", Vars::only([("STORAGE_EMULATOR_HOST", url)])),
        ("az://bucket/a", Vars::only([("AZURE_STORAGE_ENDPOINT", url), ("AZURE_STORAGE_ACCOUNT", "acc")])),
        ("hf://datasets/o/r/a", Vars::only([("HF_ENDPOINT", url)])),
    ];
    for (address, vars) in cases {
        assert_eq!(paths(address, &vars), ["one.tif", "x=1/two & more.tif"], "{address}");
        assert!(
            host.take_seen().iter().all(|s| s.authorization.is_none()),
            "{address}: nothing to sign with"
        );
        for file in ["one.tif", "x=1/two & more.tif"] {
            let location = format!("{address}/{file}");
            let source = open_with(&location, &vars).unwrap();
            assert_eq!(source.url(), location);
            assert_eq!(source.len().unwrap(), 100_000);
            assert_eq!(source.read(70_000..90_000).unwrap()[..], bytes(100_000)[70_000..90_000]);
        }
        let missing = open_with(&format!("{address}/none.tif"), &vars).unwrap().read(0..1);
        assert!(matches!(missing, Err(SourceError::NotFound { .. })), "{address}: {missing:?}");
        let nothing = list_with(&Location::new(format!("{address}/nowhere")), &vars);
        assert!(matches!(nothing, Err(SourceError::NotFound { .. })), "{address}: {nothing:?}");
    }
    let all = Vars::only([("AWS_ENDPOINT_URL", url)]);
    assert_eq!(paths("s3://bucket", &all).len(), 4);
    assert_eq!(paths("s3://bucket/", &all), paths("s3://bucket", &all));
    assert_eq!(paths("hf://datasets/o/r@v2", &Vars::only([("HF_ENDPOINT", url)])).len(), 4);
}

#[test]
fn a_list_that_leads_elsewhere_is_refused_whole() {
    let root = tree();
    for lie in ["a/../../etc/passwd", "a//b", "elsewhere", "a/.", "a/c:\\x", "/abs"] {
        let host = server(&root, StoreOptions { lies: vec![lie.into()], ..StoreOptions::default() });
        let vars = Vars::only([("AWS_ENDPOINT_URL", host.url())]);
        let refused = list_with(&Location::new("s3://bucket/a"), &vars);
        assert!(matches!(refused, Err(SourceError::BadAnswer { .. })), "{lie}: {refused:?}");
    }
}

#[test]
fn credentials_open_what_is_closed() {
    let root = tree();
    let closed =
        |secret: &str| server(&root, StoreOptions { secret: Some(secret.into()), ..StoreOptions::default() });
    let host = closed("AKID/");
    let keys = [
        ("AWS_ENDPOINT_URL", host.url()),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "s3cr3t"),
    ];
    assert_eq!(paths("s3://bucket/b", &Vars::only(keys)), ["three.csv"]);
    let without = open_with("s3://bucket/top.txt", &Vars::only([("AWS_ENDPOINT_URL", host.url())])).unwrap();
    let refused = without.read(0..1).unwrap_err();
    assert!(
        matches!(&refused, SourceError::Denied { message, .. } if message == "Access Denied"),
        "{refused}"
    );
    let other = Vars::only([keys[0], ("AWS_ACCESS_KEY_ID", "EXPIRED"), keys[2]]);
    let refused = open_with("s3://bucket/top.txt", &other).unwrap().read(0..1).unwrap_err();
    assert!(!format!("{refused} {refused:?} {:?}", refused.help()).contains("s3cr3t"));

    let host = closed("Bearer hf_x");
    let vars = Vars::only([("HF_ENDPOINT", host.url()), ("HF_TOKEN", "hf_x")]);
    assert_eq!(paths("hf://datasets/o/r/b", &vars), ["three.csv"]);
    let host = closed("Bearer ya29");
    let vars = Vars::only([("STORAGE_EMULATOR_HOST", host.url()), ("GOOGLE_OAUTH_ACCESS_TOKEN", "ya29")]);
    assert_eq!(paths("gs://bucket/b", &vars), ["three.csv"]);
    let host = closed("SharedKey acc:");
    let account = [("AZURE_STORAGE_ENDPOINT", host.url()), ("AZURE_STORAGE_ACCOUNT", "acc")];
    let vars = Vars::only([account[0], account[1], ("AZURE_STORAGE_KEY", "c2VjcmV0")]);
    assert_eq!(paths("az://bucket/b", &vars), ["three.csv"]);
    let host = closed("sig=abc");
    let vars = Vars::only([
        ("AZURE_STORAGE_ENDPOINT", host.url()),
        account[1],
        ("AZURE_STORAGE_SAS_TOKEN", "?sv=1&sig=abc"),
    ]);
    assert_eq!(paths("az://bucket/b", &vars), ["three.csv"]);
    let source = open_with("az://bucket/top.txt", &vars).unwrap();
    assert_eq!(source.read(0..5).unwrap()[..], bytes(5));
    assert!(!format!("{source:?} {}", source.url()).contains("abc"));
}

#[test]
fn a_refused_key_does_not_keep_from_what_is_open() {
    let root = tree();
    let host = server(&root, StoreOptions::default());
    host.set_faults([Rule::times(1, Fault::status(403))]);
    let vars = Vars::only([
        ("AWS_ENDPOINT_URL", host.url()),
        ("AWS_ACCESS_KEY_ID", "STALE"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
    ]);
    let source = open_with("s3://bucket/top.txt", &vars).unwrap();
    assert_eq!(source.read(0..5).unwrap()[..], bytes(5));
    let seen = host.take_seen();
    assert!(seen[0].authorization.is_some() && seen[1].authorization.is_none());
    source.read(50_000..60_000).unwrap();
    assert!(host.take_seen()[0].authorization.is_none(), "the door that let in is remembered");
}

#[test]
fn credentials_are_for_one_host_alone() {
    let root = tree();
    let other = server(&root, StoreOptions::default());
    let elsewhere = Some(other.url().replace("127.0.0.1", "localhost"));
    let host = server(&root, StoreOptions { elsewhere, ..StoreOptions::default() });
    let vars = Vars::only([("HF_ENDPOINT", host.url()), ("HF_TOKEN", "hf_secret")]);
    let source = open_with("hf://datasets/o/r/top.txt", &vars).unwrap();
    assert_eq!(source.read(10..5000).unwrap()[..], bytes(5000)[10..]);
    assert_eq!(source.read(70_000..70_010).unwrap().len(), 10);
    assert!(host.take_seen().iter().all(|s| s.authorization.as_deref() == Some("Bearer hf_secret")));
    assert_eq!(host.stats().requests, 1, "where the redirect led is remembered");
    let there = other.take_seen();
    assert_eq!(there.len(), 2);
    assert!(there.iter().all(|s| s.authorization.is_none() && !s.target.contains("secret")), "{there:?}");
    // An address that holds no longer is asked for again.
    other.set_faults([Rule::times(1, Fault::status(403))]);
    assert_eq!(source.read(80_000..80_010).unwrap().len(), 10);
    assert_eq!(host.stats().requests, 2);

    // Keys of Amazon and passwords go no further either.
    host.set_faults([Rule::always(Fault::redirect(&format!("{}/bucket/top.txt", other.url())))]);
    let vars = Vars::only([
        ("AWS_ENDPOINT_URL", host.url()),
        ("AWS_ACCESS_KEY_ID", "A"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
        ("AWS_SESSION_TOKEN", "token"),
    ]);
    other.take_seen();
    open_with("s3://bucket/top.txt", &vars).unwrap().read(0..9).unwrap();
    let with_password = host.url().replace("http://", "http://me:pw@");
    open_with(&format!("{with_password}/x"), &vars).unwrap().read(0..9).unwrap();
    assert!(host.take_seen().iter().all(|s| s.authorization.is_some()));
    for seen in other.take_seen() {
        assert!(seen.authorization.is_none(), "{seen:?}");
        assert!(!seen.headers.iter().any(|h| h.starts_with("x-amz") || h == "cookie"), "{seen:?}");
    }
}

#[test]
fn when_one_door_is_shut_the_next_is_tried_and_remembered() {
    let root = tree();
    let (first, second) = (server(&root, StoreOptions::default()), server(&root, StoreOptions::default()));
    let doors = [format!("{}/bucket/top.txt", first.url()), format!("{}/bucket/top.txt", second.url())];
    let doors: Vec<&str> = doors.iter().map(String::as_str).collect();
    for fault in [Fault::status(503), Fault::status(403), Fault::Hangup, Fault::too_many("3600")] {
        let source = HttpSource::with_doors(&doors, patient()).unwrap();
        first.set_faults([Rule::always(fault.clone())]);
        assert_eq!(source.read(5..500).unwrap()[..], bytes(500)[5..], "{fault:?}");
        first.take_stats();
        assert_eq!(source.read(70_000..70_500).unwrap().len(), 500);
        assert_eq!(first.stats().requests, 0, "{fault:?}: the open door is asked first");
    }
    // What is not there is not there: no other door is asked.
    first.set_faults([Rule::always(Fault::status(404))]);
    second.take_stats();
    let missing = HttpSource::with_doors(&doors, patient()).unwrap().read(0..1);
    assert!(matches!(missing, Err(SourceError::NotFound { .. })));
    assert_eq!(second.stats().requests, 0);
    // The second door shows another object: it is not mixed with the first.
    first.set_faults([Rule::always(Fault::status(503)).after(1)]);
    let source = HttpSource::with_doors(&doors, patient()).unwrap();
    source.read(0..10).unwrap();
    second.set_faults([Rule::always(Fault::NewEtag)]);
    let changed = source.read(70_000..70_010).unwrap_err();
    assert!(matches!(changed, SourceError::GaveUp { .. } | SourceError::ObjectChanged { .. }), "{changed}");
}

#[test]
fn a_host_that_asks_for_patience_is_left_alone_by_all() {
    let root = tree();
    let host = server(&root, StoreOptions::default());
    host.set_faults([Rule::times(1, Fault::too_many("1"))]);
    let source = open_with(&format!("{}/bucket/top.txt", host.url()), &Vars::default()).unwrap();
    let begin = std::time::Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| source.read(0..10).unwrap());
        std::thread::sleep(Duration::from_millis(200));
        let other = open_with(&format!("{}/bucket/a/one.tif", host.url()), &Vars::default()).unwrap();
        other.read(0..10).unwrap();
        assert!(begin.elapsed() > Duration::from_millis(900), "{:?}", begin.elapsed());
    });
}
