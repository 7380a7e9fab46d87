//! One range of one object: asked for until it is here, or until asking more makes no sense.

use std::ops::Range;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, IF_RANGE, RANGE};
use reqwest::{Response, StatusCode};
use tokio::time::{sleep, timeout};

use super::super::SourceError;
use super::super::address::Web;
use super::HttpOptions;
use super::answer::{Identity, brief, content_range, retry_after, text, unsatisfied_size};
use super::runtime::{Net, cause};

/// A server that ignores ranges may send a file of up to this size whole; it is then kept.
const WHOLE: u64 = 4 * 1024 * 1024;

/// Waits between tries begin here and double, up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// A host that can't be connected to is rarely there a moment later, and a typing error should show soon.
const CONNECT_TRIES: u32 = 3;

/// Slower than this many bytes per second, a server counts as gone even if it never falls silent.
const SLOWEST: u64 = 8 * 1024;

/// Why a try failed.
enum Trouble {
    /// It will fail again.
    Final(SourceError),
    /// It may work next time.
    Again { what: String, help: &'static str, wait: Option<Duration>, tries: u32 },
}

use Trouble::{Again, Final};

const HELP_BUSY: &str = "the host is overloaded or limits requests: try again later";
const HELP_CONNECT: &str = "check the address and the network connection";
const HELP_BROKEN: &str = "try again; if it fails again, the host or something on the way to it is at fault";

fn broken(what: impl Into<String>) -> Trouble {
    Again { what: what.into(), help: HELP_BROKEN, wait: None, tries: u32::MAX }
}

/// An object, and what its answers have told so far.
pub(super) struct Remote {
    pub(super) web: Web,
    options: HttpOptions,
    pub(super) identity: OnceLock<Identity>,
    /// The first bytes, or all of them where the server would not send less.
    pub(super) head: OnceLock<Bytes>,
}

impl Remote {
    pub(super) fn new(web: Web, options: HttpOptions) -> Self {
        Self { web, options, identity: OnceLock::new(), head: OnceLock::new() }
    }

    /// The bytes of `range`, cut off at the object's end; an error if it starts beyond the end of an object
    /// that has any bytes.
    pub(super) async fn get(&self, net: &Net, range: Range<u64>) -> Result<Bytes, SourceError> {
        let begin = Instant::now();
        let mut attempts = 0;
        // Never silent for longer than the stall timeout, yet too slow to be of use: this ends it.
        let longest = self.options.stall_timeout * 3
            + Duration::from_secs((range.end - range.start).min(u64::from(u32::MAX)) / SLOWEST);
        loop {
            attempts += 1;
            let slot = net.slots.acquire().await;
            let tried = timeout(longest, self.attempt(net, &range)).await;
            drop(slot);
            let trouble = match tried {
                Ok(Ok(bytes)) => return Ok(bytes),
                Ok(Err(trouble)) => trouble,
                Err(_) => broken(format!("the server took more than {} s", longest.as_secs())),
            };
            let (what, help, asked, tries) = match trouble {
                Final(error) => return Err(error),
                Again { what, help, wait, tries } => (what, help, wait, tries),
            };
            let wait = backoff(attempts).max(asked.unwrap_or_default());
            let elapsed = begin.elapsed();
            if attempts >= self.options.max_tries.min(tries) || elapsed + wait > self.options.retry_for {
                let what = match asked {
                    Some(asked) if asked > self.options.retry_for => {
                        format!("{what}, and asks to wait {} s", asked.as_secs())
                    }
                    _ => what,
                };
                let (url, help) = (self.web.shown.clone(), help.to_owned());
                return Err(SourceError::GaveUp { url, what, attempts, elapsed, help });
            }
            sleep(wait).await;
        }
    }

    async fn attempt(&self, net: &Net, range: &Range<u64>) -> Result<Bytes, Trouble> {
        let mut request = net
            .client
            .get(self.web.url.clone())
            .header(RANGE, format!("bytes={}-{}", range.start, range.end - 1))
            // Ranges count in the file's own bytes.
            .header(ACCEPT_ENCODING, "identity");
        if let Some(tag) = self.identity.get().and_then(Identity::strong_etag) {
            request = request.header(IF_RANGE, tag);
        }
        let answer = self.in_time(request.send()).await?.map_err(|e| {
            if e.is_redirect() {
                Final(self.bad(format!("redirects lead nowhere: {}", cause(&e))))
            } else if e.is_connect() {
                let what = format!("can't connect: {}", cause(&e));
                Again { what, help: HELP_CONNECT, wait: None, tries: CONNECT_TRIES }
            } else {
                broken(format!("the connection broke: {}", cause(&e)))
            }
        })?;
        if let Some(coding) = text(answer.headers(), &CONTENT_ENCODING).filter(|c| c != "identity") {
            return Err(Final(self.bad(format!("the server sends the file {coding}-compressed on the way"))));
        }
        match answer.status() {
            StatusCode::PARTIAL_CONTENT => self.part(answer, range).await,
            StatusCode::OK => self.whole(answer, range).await,
            StatusCode::RANGE_NOT_SATISFIABLE => self.beyond(&answer, range),
            _ => Err(self.refusal(answer).await),
        }
    }

    /// 206: the range asked for, less what lies beyond the end.
    async fn part(&self, answer: Response, range: &Range<u64>) -> Result<Bytes, Trouble> {
        let Some((start, end, size)) = content_range(answer.headers()) else {
            return Err(broken("the server does not say which part of the file it sends"));
        };
        self.check(&Identity::new(size, answer.headers()))?;
        if start != range.start || end != range.end.min(size) {
            return Err(broken(format!(
                "the server sends bytes {start}..{end} where {}..{} were asked for",
                range.start, range.end
            )));
        }
        let expected = end - start;
        match answer.content_length() {
            Some(length) if length != expected => {
                Err(broken(format!("the server announces {length} bytes where {expected} were asked for")))
            }
            _ => self.body(answer, expected).await,
        }
    }

    /// 200: all of it, whatever was asked for. Fine if that isn't much.
    async fn whole(&self, answer: Response, range: &Range<u64>) -> Result<Bytes, Trouble> {
        let headers = answer.headers().clone();
        if text(&headers, &CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html")) {
            return Err(Final(self.bad("the server answered with a web page instead of the file".into())));
        }
        let size = answer.content_length();
        if let Some(size) = size {
            self.check(&Identity::new(size, &headers))?;
        }
        let ignored = Final(SourceError::RangesIgnored { url: self.web.shown.clone(), size });
        if size.is_some_and(|size| size > WHOLE) {
            return Err(ignored);
        }
        let body = match size {
            Some(size) => self.body(answer, size).await?,
            None => self.open_ended(answer).await?.ok_or(ignored)?,
        };
        self.check(&Identity::new(body.len() as u64, &headers))?;
        let body = self.head.get_or_init(|| body);
        let end = range.end.min(body.len() as u64);
        if range.start >= end && !body.is_empty() {
            return Err(Final(self.beyond_end(range, body.len() as u64)));
        }
        Ok(body.slice(range.start.min(end) as usize..end as usize))
    }

    /// 416: nothing there to give.
    fn beyond(&self, answer: &Response, range: &Range<u64>) -> Result<Bytes, Trouble> {
        let Some(size) = unsatisfied_size(answer.headers()) else {
            return Err(Final(self.bad(format!("the server has no bytes {}..{}", range.start, range.end))));
        };
        self.check(&Identity::new(size, answer.headers()))?;
        if size == 0 { Ok(Bytes::new()) } else { Err(Final(self.beyond_end(range, size))) }
    }

    async fn refusal(&self, answer: Response) -> Trouble {
        let status = answer.status();
        let wait = retry_after(answer.headers());
        let url = self.web.shown.clone();
        let mut body = Vec::new();
        let mut answer = answer;
        // Whatever explanation arrives in time; the status alone says enough.
        while body.len() < 4096 {
            match self.in_time(answer.chunk()).await {
                Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
                _ => break,
            }
        }
        let message = brief(&body);
        match status.as_u16() {
            404 | 410 => Final(SourceError::NotFound { url }),
            401 | 403 => Final(SourceError::Denied { url, message }),
            408 | 425 | 429 | 500..=599 => {
                let said = if message.is_empty() { String::new() } else { format!(" ({message})") };
                let what = format!("the server answered {status}{said}");
                Again { what, help: HELP_BUSY, wait, tries: u32::MAX }
            }
            status => Final(SourceError::Status { url, status, message }),
        }
    }

    /// A body of exactly `expected` bytes.
    async fn body(&self, mut answer: Response, expected: u64) -> Result<Bytes, Trouble> {
        // Enough for any request this source plans; more is taken only as it arrives.
        let mut bytes = Vec::with_capacity(expected.min(2 * WHOLE) as usize);
        loop {
            match self.in_time(answer.chunk()).await? {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(e) => {
                    let (got, cause) = (bytes.len(), cause(&e));
                    return Err(broken(format!(
                        "the connection broke after {got} of {expected} bytes: {cause}"
                    )));
                }
            }
            if bytes.len() as u64 > expected {
                break;
            }
        }
        if bytes.len() as u64 == expected {
            return Ok(bytes.into());
        }
        Err(broken(format!("the server sent {} bytes where {expected} were announced", bytes.len())))
    }

    /// A body of unannounced length; `None` if it is too long to be taken whole.
    async fn open_ended(&self, mut answer: Response) -> Result<Option<Bytes>, Trouble> {
        let mut bytes = Vec::new();
        loop {
            match self.in_time(answer.chunk()).await? {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => return Ok(Some(bytes.into())),
                Err(e) => return Err(broken(format!("the connection broke: {}", cause(&e)))),
            }
            if bytes.len() as u64 > WHOLE {
                return Ok(None);
            }
        }
    }

    async fn in_time<T>(&self, step: impl Future<Output = T>) -> Result<T, Trouble> {
        let limit = self.options.stall_timeout;
        let silent = |_| broken(format!("the server sent nothing for {:.1} s", limit.as_secs_f64()));
        timeout(limit, step).await.map_err(silent)
    }

    /// The first answer says what the object is; the others must say the same.
    fn check(&self, now: &Identity) -> Result<(), Trouble> {
        match self.identity.get_or_init(|| now.clone()).difference(now) {
            None => Ok(()),
            Some(what) => Err(Final(SourceError::ObjectChanged { url: self.web.shown.clone(), what })),
        }
    }

    fn bad(&self, what: String) -> SourceError {
        SourceError::BadAnswer { url: self.web.shown.clone(), what }
    }

    fn beyond_end(&self, range: &Range<u64>, size: u64) -> SourceError {
        SourceError::BeyondEnd { url: self.web.shown.clone(), start: range.start, end: range.end, size }
    }
}

/// Doubles from try to try; the random part keeps many clients from coming back all at once.
fn backoff(attempts: u32) -> Duration {
    let wait = FIRST_WAIT.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(LONGEST_WAIT);
    wait.mul_f64(0.5 + fastrand::f64())
}
