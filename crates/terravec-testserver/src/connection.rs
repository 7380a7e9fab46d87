//! One connection: requests in, answers out, faults between.

use std::io;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::fault::Fault;
use crate::object::Object;
use crate::request::{Asked, Request};
use crate::{Shared, lock};

/// Longer heads are refused.
const MAX_HEAD: usize = 64 * 1024;

/// Bodies go out in pieces of this size, each paced by the bandwidth.
const PIECE: u64 = 64 * 1024;

/// Whether the connection serves another request.
#[derive(PartialEq, Eq)]
enum After {
    Keep,
    Close,
}

/// Answers requests until the client leaves or a fault ends the connection.
pub(crate) async fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut pending = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = pending.windows(4).position(|w| w == b"\r\n\r\n") {
                break pending.drain(..end + 4).collect::<Vec<_>>();
            }
            if pending.len() > MAX_HEAD || stream.read_buf(&mut pending).await? == 0 {
                return Ok(());
            }
        };
        let Some(request) = std::str::from_utf8(&head).ok().and_then(Request::parse) else {
            return answer(&mut stream, 400, &[], b"bad request\n", true).await;
        };
        if request.method != "GET" && request.method != "HEAD" {
            // A body may follow that nobody would read, so the connection can't go on.
            return answer(&mut stream, 405, &["Connection: close".into()], b"GET and HEAD only\n", true)
                .await;
        }
        if respond(&mut stream, shared, &request).await? == After::Close || request.close {
            return stream.shutdown().await;
        }
    }
}

async fn respond(stream: &mut TcpStream, shared: &Shared, request: &Request) -> io::Result<After> {
    let with_body = request.method == "GET";
    if request.path == "/__stats" {
        let stats = shared.take_stats();
        let body = format!(
            "{{\"requests\":{},\"bytes\":{},\"connections\":{}}}\n",
            stats.requests, stats.bytes, stats.connections
        );
        let kind = ["Content-Type: application/json".to_owned()];
        answer(stream, 200, &kind, body.as_bytes(), with_body).await?;
        return Ok(After::Keep);
    }
    shared.requests.fetch_add(1, Ordering::Relaxed);
    shared.see(request);
    sleep(shared.options.latency).await;
    let fault = lock(&shared.faults).next(request);
    match &fault {
        Some(Fault::Status { status, headers, body }) => {
            answer(stream, *status, headers, body.as_bytes(), with_body).await?;
            return Ok(After::Keep);
        }
        Some(Fault::Hangup) => return Ok(After::Close),
        Some(Fault::Silence(time)) => sleep(*time).await,
        _ => {}
    }
    if let Some(short) = crate::store::answer(&shared.root, &shared.options.store, request) {
        shared.bytes.fetch_add(short.body.len() as u64, Ordering::Relaxed);
        answer(stream, short.status, &short.headers, short.body.as_bytes(), with_body).await?;
        return Ok(After::Keep);
    }
    let path = request.path.strip_prefix("/cdn").unwrap_or(&request.path);
    let Some(object) = Object::open(&shared.root, path) else {
        answer(stream, 404, &[], b"<html><head><title>Not Found</title></head></html>\n", with_body).await?;
        return Ok(After::Keep);
    };
    send(stream, shared, request, object, fault.as_ref()).await
}

/// Sends the object, or the part of it that was asked for.
async fn send(
    stream: &mut TcpStream,
    shared: &Shared,
    request: &Request,
    mut object: Object,
    fault: Option<&Fault>,
) -> io::Result<After> {
    let with_body = request.method == "GET";
    if fault == Some(&Fault::NewEtag) {
        object.etag = format!("\"{:x}\"", shared.requests.load(Ordering::Relaxed));
    }
    let mut headers =
        vec!["Accept-Ranges: bytes".to_owned(), format!("Content-Type: {}", Object::kind(&request.path))];
    if !shared.options.no_validators {
        headers.push(format!("ETag: {}", object.etag));
        headers.push(format!("Last-Modified: {}", object.modified));
    }
    if shared.options.md5 {
        headers.push(format!("x-goog-hash: md5={}", object.md5()?));
    }
    let unchanged = request.header("if-range").is_none_or(|v| v == object.etag || v == object.modified);
    let ranges_ignored = matches!(fault, Some(Fault::IgnoreRange | Fault::Chunked)) || !unchanged;
    let asked = if ranges_ignored { Asked::Whole } else { request.range(object.size) };
    let asked = match fault {
        Some(Fault::NoSuffix(status)) if request.is_suffix() => match (status, asked) {
            (200, _) => Asked::Whole,
            (206, Asked::Part(range)) => Asked::Part(0..range.end - range.start),
            _ => {
                answer(stream, *status, &headers, b"no such ranges\n", with_body).await?;
                return Ok(After::Keep);
            }
        },
        _ => asked,
    };
    let (status, mut body) = match asked {
        Asked::Whole => (200, 0..object.size),
        Asked::Part(range) => (206, range),
        Asked::Nothing => {
            headers.push(format!("Content-Range: bytes */{}", object.size));
            answer(stream, 416, &headers, b"", with_body).await?;
            return Ok(After::Keep);
        }
    };
    if let Some(Fault::WrongRange(shift)) = fault {
        body.start = (body.start + shift).min(body.end.saturating_sub(1));
    }
    if status == 206 && fault != Some(&Fault::NoContentRange) {
        headers.push(format!("Content-Range: bytes {}-{}/{}", body.start, body.end - 1, object.size));
    }
    if fault == Some(&Fault::Chunked) {
        headers.push("Transfer-Encoding: chunked".into());
        stream.write_all(head(200, &headers).as_bytes()).await?;
        return chunks(stream, shared, &mut object, with_body).await;
    }
    let length = body.end - body.start;
    let announced = match fault {
        Some(Fault::WrongLength(delta)) => length.saturating_add_signed(*delta),
        _ => length,
    };
    headers.push(format!("Content-Length: {announced}"));
    stream.write_all(head(status, &headers).as_bytes()).await?;
    if !with_body {
        return Ok(After::Keep);
    }
    let at = |offset: u64| body.start + offset.min(length);
    match fault {
        Some(Fault::Reset(offset)) => {
            copy(stream, shared, &mut object, body.start..at(*offset)).await?;
            // Let the client see these bytes: a reset discards what it has not read.
            sleep(Duration::from_millis(20)).await;
            stream.set_zero_linger()?;
            Err(io::ErrorKind::ConnectionReset.into())
        }
        Some(Fault::Truncate(offset)) => {
            copy(stream, shared, &mut object, body.start..at(*offset)).await?;
            Ok(After::Close)
        }
        Some(Fault::Corrupt) => {
            copy(stream, shared, &mut object, body.start..at(length / 2)).await?;
            stream.write_all(&vec![0xAA; (body.end - at(length / 2)) as usize]).await?;
            Ok(After::Keep)
        }
        Some(Fault::WrongLength(_)) => {
            copy(stream, shared, &mut object, body).await?;
            Ok(After::Close)
        }
        Some(Fault::Stall { after, time }) => {
            let middle = at(*after);
            copy(stream, shared, &mut object, body.start..middle).await?;
            sleep(*time).await;
            copy(stream, shared, &mut object, middle..body.end).await?;
            Ok(After::Keep)
        }
        _ => {
            copy(stream, shared, &mut object, body).await?;
            Ok(After::Keep)
        }
    }
}

async fn copy(
    stream: &mut TcpStream,
    shared: &Shared,
    object: &mut Object,
    range: Range<u64>,
) -> io::Result<()> {
    let mut buffer = vec![0; PIECE.min(range.end - range.start) as usize];
    let mut offset = range.start;
    while offset < range.end {
        let piece = PIECE.min(range.end - offset) as usize;
        object.read(offset, &mut buffer[..piece])?;
        shared.pace(piece).await;
        // Counted before the client can see them, so that a client that is done finds them counted.
        shared.bytes.fetch_add(piece as u64, Ordering::Relaxed);
        stream.write_all(&buffer[..piece]).await?;
        offset += piece as u64;
    }
    Ok(())
}

async fn chunks(
    stream: &mut TcpStream,
    shared: &Shared,
    object: &mut Object,
    with_body: bool,
) -> io::Result<After> {
    let mut offset = 0;
    while with_body && offset < object.size {
        let piece = PIECE.min(object.size - offset);
        stream.write_all(format!("{piece:x}\r\n").as_bytes()).await?;
        copy(stream, shared, object, offset..offset + piece).await?;
        stream.write_all(b"\r\n").await?;
        offset += piece;
    }
    if with_body {
        stream.write_all(b"0\r\n\r\n").await?;
    }
    Ok(After::Keep)
}

/// Sends a short answer.
async fn answer(
    stream: &mut TcpStream,
    status: u16,
    headers: &[String],
    body: &[u8],
    with_body: bool,
) -> io::Result<()> {
    let mut headers = headers.to_vec();
    headers.push(format!("Content-Length: {}", body.len()));
    let mut bytes = head(status, &headers).into_bytes();
    if with_body {
        bytes.extend_from_slice(body);
    }
    stream.write_all(&bytes).await
}

fn head(status: u16, headers: &[String]) -> String {
    let reason = match status {
        200 => "OK",
        206 => "Partial Content",
        302 => "Found",
        404 => "Not Found",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "Status",
    };
    format!("HTTP/1.1 {status} {reason}\r\n{}\r\n\r\n", headers.join("\r\n"))
}
