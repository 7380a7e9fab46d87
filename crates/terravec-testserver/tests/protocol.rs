//! The server speaks HTTP/1.1 as it should, and breaks it only as told. Spoken to in plain bytes, so that no
//! client library can paper over a mistake.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use terravec_testserver::{Fault, Options, Rule, Server, Stats};

fn host(options: Options) -> (TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("a b")).unwrap();
    fs::write(folder.path().join("a b/x.tif"), "0123456789").unwrap();
    let server = Server::start(folder.path(), options).unwrap();
    (folder, server)
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.url().trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream
}

/// Sends requests over one connection and reads until the server closes it.
fn talk(server: &Server, text: &str) -> String {
    let mut stream = connect(server);
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get(server: &Server, target: &str, headers: &str) -> String {
    talk(server, &format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n"))
}

#[test]
fn parts_wholes_and_heads() {
    let (_folder, server) = host(Options::default());
    let whole = get(&server, "/a%20b/x.tif", "");
    assert!(whole.starts_with("HTTP/1.1 200 OK\r\n") && whole.ends_with("\r\n\r\n0123456789"), "{whole}");
    for header in [
        "Accept-Ranges: bytes",
        "Content-Length: 10",
        "Content-Type: image/tiff",
        "ETag: \"",
        "Last-Modified: ",
    ] {
        assert!(whole.contains(header), "{header} in {whole}");
    }
    let part = get(&server, "/a%20b/x.tif", "range: bytes=2-4\r\n");
    assert!(part.starts_with("HTTP/1.1 206 ") && part.contains("Content-Range: bytes 2-4/10\r\n"), "{part}");
    assert!(part.ends_with("\r\n\r\n234"), "{part}");
    assert!(get(&server, "/a%20b/x.tif", "Range: bytes=-3\r\n").ends_with("\r\n\r\n789"));
    let beyond = get(&server, "/a%20b/x.tif", "Range: bytes=10-\r\n");
    assert!(
        beyond.starts_with("HTTP/1.1 416 ") && beyond.contains("Content-Range: bytes */10\r\n"),
        "{beyond}"
    );

    let etag = whole.split("ETag: ").nth(1).unwrap().split("\r\n").next().unwrap();
    let same = get(&server, "/a%20b/x.tif", &format!("Range: bytes=0-0\r\nIf-Range: {etag}\r\n"));
    assert!(same.starts_with("HTTP/1.1 206 "), "{same}");
    let other = get(&server, "/a%20b/x.tif", "Range: bytes=0-0\r\nIf-Range: \"other\"\r\n");
    assert!(other.starts_with("HTTP/1.1 200 "), "{other}");

    let head = talk(&server, "HEAD /a%20b/x.tif HTTP/1.0\r\n\r\n");
    assert!(head.contains("Content-Length: 10\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    for path in ["/none", "/a%20b", "/", "/../x", "/%2e%2e/x", "//etc/passwd"] {
        assert!(get(&server, path, "").starts_with("HTTP/1.1 404 "), "{path}");
    }
    assert!(talk(&server, "POST / HTTP/1.1\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 405 "));
    assert!(talk(&server, "nonsense\r\n\r\n").starts_with("HTTP/1.1 400 "));
}

#[test]
fn one_connection_serves_many_and_is_counted() {
    let (_folder, server) = host(Options { latency: Duration::from_millis(20), ..Options::default() });
    let one = "GET /a%20b/x.tif HTTP/1.1\r\nRange: bytes=0-3\r\n";
    let begin = Instant::now();
    let answers = talk(&server, &format!("{one}\r\n{one}\r\n{one}Connection: close\r\n\r\n"));
    assert!(begin.elapsed() >= Duration::from_millis(60));
    assert_eq!(answers.matches("0123").count(), 3);
    assert_eq!(server.stats(), Stats { requests: 3, bytes: 12, connections: 1 });
    assert!(get(&server, "/__stats", "").ends_with("{\"requests\":3,\"bytes\":12,\"connections\":2}\n"));
    assert_eq!(server.take_stats(), Stats::default());
}

#[test]
fn the_bandwidth_is_shared() {
    let (folder, server) = host(Options { bandwidth: Some(1_000_000), ..Options::default() });
    fs::write(folder.path().join("big"), vec![b'x'; 100_000]).unwrap();
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| assert!(get(&server, "/big", "").len() > 100_000));
        }
    });
    let took = begin.elapsed().as_secs_f64();
    assert!((0.28..2.0).contains(&took), "{took}");
}

#[test]
fn faults_strike_when_told() {
    let (_folder, server) = host(Options::default());
    let path = "/a%20b/x.tif";
    let status = |target: &str| get(&server, target, "").get(9..12).map(str::to_owned);
    server.set_faults([Rule::times(2, Fault::status(503)).after(1).at("x.tif")]);
    assert_eq!([0; 4].map(|_| status(path).unwrap()), ["200", "503", "503", "200"]);
    server.set_faults([]);
    let asked = format!("{path}?fault=retry-after:7&times=1");
    assert!(get(&server, &asked, "").contains("\r\nRetry-After: 7\r\n"));
    assert_eq!(status(&asked).unwrap(), "200");

    let truncated = get(&server, &format!("{path}?fault=truncate:4"), "");
    assert!(
        truncated.contains("Content-Length: 10\r\n") && truncated.ends_with("\r\n\r\n0123"),
        "{truncated}"
    );
    let longer = get(&server, &format!("{path}?fault=length:5"), "");
    assert!(longer.contains("Content-Length: 15\r\n") && longer.ends_with("0123456789"), "{longer}");
    let chunked = get(&server, &format!("{path}?fault=chunked"), "Range: bytes=0-1\r\n");
    assert!(
        chunked.ends_with("a\r\n0123456789\r\n0\r\n\r\n") && !chunked.contains("Content-Length"),
        "{chunked}"
    );
    assert_eq!(get(&server, &format!("{path}?fault=hangup"), ""), "");

    let mut stream = connect(&server);
    write!(stream, "GET {path}?fault=reset:4 HTTP/1.1\r\n\r\n").unwrap();
    let mut got = Vec::new();
    let error = stream.read_to_end(&mut got).unwrap_err();
    assert!(error.kind() == ErrorKind::ConnectionReset && got.ends_with(b"0123"), "{error}");

    let begin = Instant::now();
    assert!(get(&server, &format!("{path}?fault=silence:200"), "").ends_with("0123456789"));
    assert!(begin.elapsed() >= Duration::from_millis(200));
}
