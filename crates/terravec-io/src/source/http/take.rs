//! What comes of an answer: the bytes asked for, or why there are none.

use std::future::Future;
use std::ops::Range;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Response, StatusCode};
use tokio::time::timeout;

use super::super::SourceError;
use super::answer::{Identity, brief, content_range, retry_after, text, unsatisfied_size};
use super::fetch::Trouble::{self, Again, Final};
use super::fetch::{Ask, HELP_BUSY, Remote, broken};
use super::runtime::{Net, cause};

/// A server that ignores ranges may send a file of up to this size whole; it is then kept.
const WHOLE: u64 = 4 * 1024 * 1024;

impl Remote {
    pub(super) async fn take(
        &self,
        net: &Net,
        door: usize,
        ask: &Ask,
        answer: Response,
    ) -> Result<Bytes, Trouble> {
        match (answer.status(), ask) {
            (StatusCode::PARTIAL_CONTENT, Ask::Last(_)) if !self.is_end(ask, &answer) => {
                Err(self.no_suffixes(net, door, None))
            }
            (StatusCode::PARTIAL_CONTENT, _) => self.part(answer, ask).await,
            (StatusCode::OK, _) => match self.whole(answer, ask).await {
                Err(Final(SourceError::RangesIgnored { size, .. })) if matches!(ask, Ask::Last(_)) => {
                    Err(self.no_suffixes(net, door, size))
                }
                done => done,
            },
            (StatusCode::RANGE_NOT_SATISFIABLE, Ask::Part(range)) => self.beyond(&answer, range),
            (StatusCode::RANGE_NOT_SATISFIABLE, Ask::Last(_))
                if unsatisfied_size(answer.headers()) == Some(0) =>
            {
                self.beyond(&answer, &(0..1))
            }
            // Understood by none who answers so; what else may be wrong, an ordinary range will show.
            (
                StatusCode::BAD_REQUEST
                | StatusCode::METHOD_NOT_ALLOWED
                | StatusCode::RANGE_NOT_SATISFIABLE
                | StatusCode::NOT_IMPLEMENTED,
                Ask::Last(_),
            ) => Err(self.no_suffixes(net, door, None)),
            // Some fail where an object is shorter than the end that is asked for.
            (StatusCode::INTERNAL_SERVER_ERROR, Ask::Last(_)) => {
                Err(Final(SourceError::RangesIgnored { url: self.web.shown.clone(), size: None }))
            }
            _ => Err(self.refusal(answer).await),
        }
    }

    /// The host gives no ranges counted from the end, and is not asked for any more.
    fn no_suffixes(&self, net: &Net, door: usize, size: Option<u64>) -> Trouble {
        net.host(&self.web.doors[door].url()).no_suffixes.store(true, Ordering::Relaxed);
        Final(SourceError::RangesIgnored { url: self.web.shown.clone(), size })
    }

    /// Whether a part is what was asked for; some servers take a number of last bytes for a number of first ones.
    fn is_end(&self, ask: &Ask, answer: &Response) -> bool {
        content_range(answer.headers()).is_some_and(|(start, end, size)| (start..end) == ask.within(size))
    }

    /// 206: the range asked for, less what lies beyond the end.
    async fn part(&self, answer: Response, ask: &Ask) -> Result<Bytes, Trouble> {
        let Some((start, end, size)) = content_range(answer.headers()) else {
            return Err(broken("the server does not say which part of the file it sends"));
        };
        self.check(&Identity::new(size, answer.headers()))?;
        let wanted = ask.within(size);
        if (start..end) != wanted {
            return Err(broken(format!(
                "the server sends bytes {start}..{end} where {}..{} were asked for",
                wanted.start, wanted.end
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
    async fn whole(&self, answer: Response, ask: &Ask) -> Result<Bytes, Trouble> {
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
            None => self.open_ended(answer, WHOLE).await?.ok_or(ignored)?,
        };
        let size = body.len() as u64;
        self.check(&Identity::new(size, &headers))?;
        let body = self.head.get_or_init(|| body);
        let wanted = ask.within(size);
        if wanted.start >= wanted.end && size > 0 {
            return Err(Final(self.beyond_end(&wanted, size)));
        }
        Ok(body.slice(wanted.start.min(wanted.end) as usize..wanted.end as usize))
    }

    /// 416: nothing there to give.
    fn beyond(&self, answer: &Response, range: &Range<u64>) -> Result<Bytes, Trouble> {
        let Some(size) = unsatisfied_size(answer.headers()) else {
            return Err(Final(self.bad(format!("the server has no bytes {}..{}", range.start, range.end))));
        };
        self.check(&Identity::new(size, answer.headers()))?;
        if size == 0 { Ok(Bytes::new()) } else { Err(Final(self.beyond_end(range, size))) }
    }

    pub(super) async fn refusal(&self, answer: Response) -> Trouble {
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
    pub(super) async fn open_ended(&self, mut answer: Response, most: u64) -> Result<Option<Bytes>, Trouble> {
        let mut bytes = Vec::new();
        loop {
            match self.in_time(answer.chunk()).await? {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => return Ok(Some(bytes.into())),
                Err(e) => return Err(broken(format!("the connection broke: {}", cause(&e)))),
            }
            if bytes.len() as u64 > most {
                return Ok(None);
            }
        }
    }

    pub(super) async fn in_time<T>(&self, step: impl Future<Output = T>) -> Result<T, Trouble> {
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

    pub(super) fn bad(&self, what: String) -> SourceError {
        SourceError::BadAnswer { url: self.web.shown.clone(), what }
    }

    fn beyond_end(&self, range: &Range<u64>, size: u64) -> SourceError {
        SourceError::BeyondEnd { url: self.web.shown.clone(), start: range.start, end: range.end, size }
    }
}
