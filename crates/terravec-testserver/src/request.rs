//! What a client asks.

use std::ops::Range;

/// A request without a body.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query as sent.
    pub(crate) target: String,
    /// Path with percent codes resolved.
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    /// The client wants the connection closed after the answer.
    pub(crate) close: bool,
}

impl Request {
    /// Reads a request's head, up to and with the empty line.
    pub(crate) fn parse(head: &str) -> Option<Self> {
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target, version) = (words.next()?.to_owned(), words.next()?.to_owned(), words.next()?);
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let path = decode(target.split('?').next()?)?;
        let mut request = Self { method, target, path, headers, close: version == "HTTP/1.0" };
        request.close |= request.header("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"));
        Some(request)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Names of all headers, in lower case.
    pub(crate) fn names(&self) -> Vec<String> {
        self.headers.iter().map(|(name, _)| name.clone()).collect()
    }

    /// A parameter of the query.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        let (_, value) =
            query.split('&').filter_map(|pair| pair.split_once('=')).find(|(n, _)| *n == name)?;
        decode(value)
    }

    /// Whether the range is counted from the end.
    pub(crate) fn is_suffix(&self) -> bool {
        self.header("range").is_some_and(|r| r.starts_with("bytes=-"))
    }

    /// The one range asked for, within an object of `size` bytes.
    pub(crate) fn range(&self, size: u64) -> Asked {
        // Several ranges, other units and nonsense may be ignored, says RFC 9110.
        let Some((first, last)) =
            self.header("range").and_then(|r| r.strip_prefix("bytes=")).and_then(|r| r.split_once('-'))
        else {
            return Asked::Whole;
        };
        let range = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
            (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size),
            (Ok(first), Err(_)) if last.trim().is_empty() => first..size,
            (Err(_), Ok(0)) if first.trim().is_empty() => return Asked::Nothing,
            (Err(_), Ok(count)) if first.trim().is_empty() => size.saturating_sub(count)..size,
            _ => return Asked::Whole,
        };
        if range.start < range.end { Asked::Part(range) } else { Asked::Nothing }
    }
}

/// What a `Range` header comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Whole,
    Part(Range<u64>),
    /// No byte of the object: status 416.
    Nothing,
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let code = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(code, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(range: &str) -> Asked {
        Request::parse(&format!("GET /a%20b?x=%2F1&y=2 HTTP/1.1\r\nRange: {range}\r\n\r\n"))
            .unwrap()
            .range(100)
    }

    #[test]
    fn ranges_as_in_rfc_9110() {
        assert_eq!(asked("bytes=0-9"), Asked::Part(0..10));
        assert_eq!(asked("bytes=90-"), Asked::Part(90..100));
        assert_eq!(asked("bytes=90-1000"), Asked::Part(90..100));
        assert_eq!(asked("bytes=-10"), Asked::Part(90..100));
        assert_eq!(asked("bytes=-1000"), Asked::Part(0..100));
        assert_eq!(asked("bytes=100-"), Asked::Nothing);
        assert_eq!(asked("bytes=-0"), Asked::Nothing);
        for ignored in ["bytes=9-0", "bytes=0-1,4-5", "rows=0-1", "bytes=x-y", "bytes=-"] {
            assert_eq!(asked(ignored), Asked::Whole, "{ignored}");
        }
    }

    #[test]
    fn paths_and_queries_are_decoded() {
        let request = Request::parse("GET /a%20b?x=%2F1&y=2 HTTP/1.1\r\nconnection: Close\r\n\r\n").unwrap();
        assert_eq!((request.path.as_str(), request.query("x").as_deref()), ("/a b", Some("/1")));
        assert!(request.close);
        assert!(Request::parse("nonsense\r\n\r\n").is_none());
        assert!(Request::parse("GET /%zz HTTP/1.1\r\n\r\n").is_none());
    }
}
