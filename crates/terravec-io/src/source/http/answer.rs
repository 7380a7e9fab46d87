//! What an answer's status and headers say.

use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_RANGE, ETAG, HeaderMap, HeaderName, LAST_MODIFIED, RETRY_AFTER};
use url::Url;

use super::super::Checksum;
use super::super::store::crypto;

/// What tells one state of an object from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) size: u64,
    pub(super) etag: Option<String>,
    pub(super) modified: Option<String>,
}

impl Identity {
    pub(super) fn new(size: u64, headers: &HeaderMap) -> Self {
        Self { size, etag: text(headers, &ETAG), modified: text(headers, &LAST_MODIFIED) }
    }

    /// How `now` differs from this, if it does. A host that stops telling its tags proves nothing.
    pub(super) fn difference(&self, now: &Self) -> Option<String> {
        if self.size != now.size {
            return Some(format!("it had {} bytes and now has {}", self.size, now.size));
        }
        match (&self.etag, &now.etag, &self.modified, &now.modified) {
            (Some(was), Some(is), _, _) => (was != is).then(|| format!("its ETag was {was} and now is {is}")),
            (_, _, Some(was), Some(is)) => {
                (was != is).then(|| format!("it was last changed {was} and now {is}"))
            }
            _ => None,
        }
    }

    /// The ETag, where it promises equal bytes and so may stand in `If-Range`.
    pub(super) fn strong_etag(&self) -> Option<&str> {
        self.etag.as_deref().filter(|tag| tag.starts_with('"'))
    }
}

/// A header as text.
pub(super) fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(|value| value.trim().to_owned())
}

/// What `Content-Range` says: first byte, one past the last, size of the whole.
pub(super) fn content_range(headers: &HeaderMap) -> Option<(u64, u64, u64)> {
    let value = text(headers, &CONTENT_RANGE)?;
    let (range, size) = value.strip_prefix("bytes")?.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, size) = (first.parse().ok()?, last.parse::<u64>().ok()?, size.parse().ok()?);
    let end = last.checked_add(1)?;
    (first < end && end <= size).then_some((first, end, size))
}

/// The size in the `Content-Range` of an answer that could not give the range.
pub(super) fn unsatisfied_size(headers: &HeaderMap) -> Option<u64> {
    text(headers, &CONTENT_RANGE)?.strip_prefix("bytes")?.trim().strip_prefix("*/")?.parse().ok()
}

/// How long the host asks to wait.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = text(headers, &RETRY_AFTER)?;
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(&value).ok()?.duration_since(SystemTime::now()).ok(),
    }
}

/// A signed address that says nothing of its end is asked for anew after this long.
const SHORT: Duration = Duration::from_secs(300);

/// For how long a signed address holds, with a minute to spare.
pub(super) fn lifetime(url: &Url) -> Duration {
    let get = |name: &str| url.query_pairs().find(|(n, _)| n == name).and_then(|(_, v)| v.parse().ok());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let seconds = get("X-Amz-Expires").or_else(|| get("Expires").map(|at: u64| at.saturating_sub(now)));
    seconds.map_or(SHORT, |s| Duration::from_secs(s.saturating_sub(60)).min(4 * SHORT))
}

/// The checksum of the whole object, where its host publishes one.
pub(super) fn checksum(headers: &HeaderMap) -> Option<Checksum> {
    let get = |name: &'static str| text(headers, &HeaderName::from_static(name));
    let is_hex = |t: &str, n: usize| t.len() == n && t.bytes().all(|b| b.is_ascii_hexdigit());
    // Hugging Face: the tag of what it redirects to is the SHA-256 of large files.
    let linked = get("x-linked-etag").map(|t| t.trim_matches('"').to_ascii_lowercase());
    if let Some(sum) = linked.filter(|t| is_hex(t, 64)) {
        return Some(Checksum::Sha256(sum));
    }
    let md5 = |text: &str| crypto::from_base64(text).filter(|b| b.len() == 16).map(|b| crypto::hex(&b));
    let google = headers.get_all("x-goog-hash").iter().filter_map(|v| v.to_str().ok());
    let google = google.flat_map(|v| v.split(',')).find_map(|v| v.trim().strip_prefix("md5=").and_then(md5));
    let azure = || md5(&get("x-ms-blob-content-md5")?);
    // Amazon: the tag is the MD5 of what was uploaded in one part and is not encrypted with a key of its own.
    let amazon = || {
        get("x-amz-request-id")?;
        let plain = get("x-amz-server-side-encryption").is_none_or(|e| e == "AES256");
        let tag = text(headers, &ETAG)?.trim_matches('"').to_ascii_lowercase();
        (plain && is_hex(&tag, 32)).then_some(tag)
    };
    google.or_else(azure).or_else(amazon).map(Checksum::Md5)
}

/// One line out of an error's body: the message of a store's XML, or its code, a page's title, or the first line of plain
/// text. Markup and control characters never reach the terminal.
pub(super) fn brief(body: &[u8]) -> String {
    const MOST: usize = 120;
    let body = String::from_utf8_lossy(body);
    let body = body.trim();
    let line = if body.starts_with('<') {
        ["Message", "title", "Code"].iter().find_map(|tag| element(body, tag)).unwrap_or_default()
    } else {
        body.lines().next().unwrap_or_default()
    };
    let clean: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut clean = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    if clean.contains('<') {
        return String::new();
    }
    if let Some((cut, _)) = clean.char_indices().nth(MOST) {
        clean.truncate(cut);
        clean.push('…');
    }
    clean
}

fn element<'a>(body: &'a str, tag: &str) -> Option<&'a str> {
    let rest = &body[body.find(&format!("<{tag}>"))? + tag.len() + 2..];
    Some(&rest[..rest.find("</")?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn header(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn content_ranges_are_read_or_refused() {
        let range = |value| content_range(&header(CONTENT_RANGE, value));
        assert_eq!(range("bytes 0-99/100"), Some((0, 100, 100)));
        for bad in [
            "bytes 0-99/*",
            "bytes 5-4/100",
            "bytes 0-100/100",
            "bytes */100",
            "0-99/100",
            "bytes 0-18446744073709551615/1",
        ] {
            assert_eq!(range(bad), None, "{bad}");
        }
        assert_eq!(unsatisfied_size(&header(CONTENT_RANGE, "bytes */100")), Some(100));
    }

    #[test]
    fn hosts_say_how_long_to_wait_in_two_ways() {
        assert_eq!(retry_after(&header(RETRY_AFTER, "7")), Some(Duration::from_secs(7)));
        assert!(
            retry_after(&header(RETRY_AFTER, "Fri, 31 Dec 2100 23:59:59 GMT")).unwrap().as_secs() > 1_000_000
        );
        assert_eq!(retry_after(&header(RETRY_AFTER, "Fri, 31 Dec 1999 23:59:59 GMT")), None);
        assert_eq!(retry_after(&header(RETRY_AFTER, "soon")), None);
    }

    #[test]
    fn error_bodies_become_one_clean_line() {
        assert_eq!(
            brief(b"<?xml?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"),
            "Access Denied"
        );
        assert_eq!(brief(b"<Error><Code>NoSuchKey</Code></Error>"), "NoSuchKey");
        assert_eq!(brief(b"<html><head><title>403\n Forbidden</title></head><body>x"), "403 Forbidden");
        assert_eq!(brief(b"<html><body onload=evil()>"), "");
        assert_eq!(brief(b"no such \x1b[31mkey\nsecond line"), "no such [31mkey");
        assert!(brief("ä".repeat(500).as_bytes()).chars().count() == 121);
        assert_eq!(brief(b""), "");
    }

    #[test]
    fn a_weak_tag_is_no_condition_and_a_missing_one_no_proof() {
        let id = |etag: Option<&str>, modified: Option<&str>| Identity {
            size: 1,
            etag: etag.map(Into::into),
            modified: modified.map(Into::into),
        };
        assert_eq!(id(Some("W/\"a\""), None).strong_etag(), None);
        assert_eq!(id(Some("\"a\""), None).difference(&id(None, None)), None);
        assert!(id(Some("\"a\""), Some("x")).difference(&id(Some("\"b\""), Some("x"))).is_some());
        assert!(id(None, Some("x")).difference(&id(Some("\"b\""), Some("y"))).is_some());
    }
}
