//! What goes wrong, and when.

use std::collections::HashMap;
use std::time::Duration;

use crate::request::Request;

/// One way to misbehave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Answer with a status and a body instead of the file.
    Status {
        /// The status.
        status: u16,
        /// Further header lines, such as `Retry-After: 1` or `Location: /b`.
        headers: Vec<String>,
        /// The body.
        body: String,
    },
    /// Reset the connection after this many bytes of the body.
    Reset(u64),
    /// Close the connection in good order after this many bytes of the body.
    Truncate(u64),
    /// Announce this many bytes more (or fewer) than are sent.
    WrongLength(i64),
    /// Send other bytes than the file's in the second half of the body, and nothing that tells so.
    Corrupt,
    /// Send a part that begins this many bytes later than asked, and say so in `Content-Range`.
    WrongRange(u64),
    /// Send 206 without a `Content-Range`.
    NoContentRange,
    /// Send the whole file with status 200.
    IgnoreRange,
    /// Send the whole file with status 200, in chunks and without a length.
    Chunked,
    /// Answer ranges counted from the end with this status: 200 with the whole file, 206 with as many of its first bytes.
    NoSuffix(u16),
    /// Tell another ETag than before.
    NewEtag,
    /// Fall silent for this long after this many bytes of the body.
    Stall {
        /// Bytes sent before.
        after: u64,
        /// How long.
        time: Duration,
    },
    /// Fall silent for this long before the first byte of the answer.
    Silence(Duration),
    /// Close the connection without an answer.
    Hangup,
}

impl Fault {
    /// This status with a short text as its body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Status { status, headers: Vec::new(), body: format!("told to answer {status}\n") }
    }

    /// 429 with `Retry-After`.
    #[must_use]
    pub fn too_many(retry_after: &str) -> Self {
        Self::Status {
            status: 429,
            headers: vec![format!("Retry-After: {retry_after}")],
            body: String::new(),
        }
    }

    /// A redirect to `location`.
    #[must_use]
    pub fn redirect(location: &str) -> Self {
        Self::Status { status: 302, headers: vec![format!("Location: {location}")], body: String::new() }
    }

    /// Reads a fault as written in a query: `status:503`, `retry-after:SECONDS`, `redirect:PATH`, `reset:AT`,
    /// `truncate:AT`, `length:DELTA`, `range:DELTA`, `no-content-range`, `ignore-range`, `chunked`, `no-suffix:STATUS`,
    /// `etag`, `stall:MS` (after 100 bytes), `silence:MS`, `hangup`, `corrupt`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, value) = text.split_once(':').unwrap_or((text, ""));
        let number = || value.parse::<u64>().ok();
        Some(match name {
            "status" => Self::status(value.parse().ok()?),
            "retry-after" => Self::too_many(value),
            "redirect" => Self::redirect(value),
            "reset" => Self::Reset(number()?),
            "truncate" => Self::Truncate(number()?),
            "length" => Self::WrongLength(value.parse().ok()?),
            "range" => Self::WrongRange(number()?),
            "no-content-range" => Self::NoContentRange,
            "ignore-range" => Self::IgnoreRange,
            "chunked" => Self::Chunked,
            "no-suffix" => Self::NoSuffix(value.parse().ok()?),
            "etag" => Self::NewEtag,
            "stall" => Self::Stall { after: 100, time: Duration::from_millis(number()?) },
            "silence" => Self::Silence(Duration::from_millis(number()?)),
            "hangup" => Self::Hangup,
            "corrupt" => Self::Corrupt,
            _ => return None,
        })
    }
}

/// A fault, and the requests it strikes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What happens.
    pub fault: Fault,
    /// Only to requests whose path contains this.
    pub path: String,
    /// After this many such requests went well.
    pub skip: u64,
    /// To this many requests.
    pub times: u64,
    /// Of which only each so-many-th.
    pub every: u64,
}

impl Rule {
    /// `fault` strikes every request.
    #[must_use]
    pub fn always(fault: Fault) -> Self {
        Self::times(u64::MAX, fault)
    }

    /// `fault` strikes the next `times` requests.
    #[must_use]
    pub fn times(times: u64, fault: Fault) -> Self {
        Self { fault, path: String::new(), skip: 0, times, every: 1 }
    }

    /// The same after `skip` requests went well.
    #[must_use]
    pub fn after(self, skip: u64) -> Self {
        Self { skip, ..self }
    }

    /// The same to one request in `every` only.
    #[must_use]
    pub fn every(self, every: u64) -> Self {
        Self { every, ..self }
    }

    /// The same for paths that contain `path` only.
    #[must_use]
    pub fn at(self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self }
    }
}

/// The rules in force, and how often each has been met.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    rules: Vec<Rule>,
    met: Vec<u64>,
    /// Requests seen per address that asks for a fault by its query.
    asked: HashMap<String, u64>,
}

impl Plan {
    pub(crate) fn set(&mut self, rules: Vec<Rule>) {
        self.met = vec![0; rules.len()];
        self.rules = rules;
    }

    /// The fault that strikes this request, if any: its own query's, else that of the first rule that applies.
    pub(crate) fn next(&mut self, request: &Request) -> Option<Fault> {
        if let Some(fault) = request.query("fault").as_deref().and_then(Fault::parse) {
            let number = |name| request.query(name).and_then(|n| n.parse().ok());
            let (skip, times) = (number("skip").unwrap_or(0), number("times").unwrap_or(u64::MAX));
            let met = self.asked.entry(request.target.clone()).or_default();
            *met += 1;
            return (*met > skip && *met - skip <= times).then_some(fault);
        }
        for (rule, met) in self.rules.iter().zip(&mut self.met) {
            if !request.path.contains(&rule.path) {
                continue;
            }
            *met += 1;
            let turn = met.saturating_sub(rule.skip);
            if turn > 0 && turn <= rule.times && turn % rule.every.max(1) == 0 {
                return Some(rule.fault.clone());
            }
        }
        None
    }
}
