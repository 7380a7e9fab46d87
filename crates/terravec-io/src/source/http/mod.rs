//! Objects behind plain HTTP(S), by ranged GETs.
//!
//! Built on `reqwest` and not on `object_store`'s `HttpStore`, because that one hides or refuses what this
//! source needs: addresses with a query (signed ones), `Retry-After`, the body of a server that ignores
//! `Range`, and the cause of a refusal.
//!
//! No HEAD is sent: the first answer's `Content-Range` tells the size, its `ETag` (else `Last-Modified`) the
//! state. Every later answer must agree with them.

mod answer;
mod fetch;
mod hedge;
mod runtime;
mod take;

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::address::{Web, parse};
use super::store::{Door, Vars};
use super::{Checksum, Fingerprint, Source, SourceError, check_range, plan};
use answer::Identity;
use fetch::Remote;

/// What is fetched when only the size is asked for. Readers ask for the header next, and it is then here:
/// 64 KiB holds the header of most files and takes less time than a round trip on any line above 20 Mbit/s.
const HEAD: u64 = 64 * 1024;

/// As much is fetched where the end is asked for first, for the same reason.
const TAIL: u64 = HEAD;

/// Reads that reach further than this wait until the size is known, so that a damaged header that asks for
/// absurd ranges is found out before any of them is requested.
const BLIND: u64 = 64 * 1024 * 1024;

/// How long to wait and how often to try.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// A server that sends nothing for this long is taken for gone.
    pub stall_timeout: Duration,
    /// No new try begins when this much time has passed since the first.
    pub retry_for: Duration,
    /// No request is sent more often than this.
    pub max_tries: u32,
    /// Whether a request that waits unusually long is sent a second time, beside the first.
    pub hedge: bool,
}

impl Default for HttpOptions {
    /// 20 s without a byte, eight tries within a minute.
    fn default() -> Self {
        let (stall_timeout, retry_for) = (Duration::from_secs(20), Duration::from_secs(60));
        Self { stall_timeout, retry_for, max_tries: 8, hedge: true }
    }
}

impl HttpOptions {
    /// As by default, or with another patience, in seconds: no new try begins after it, and a third of it without a byte is
    /// enough.
    #[must_use]
    pub fn with_patience(seconds: Option<f64>) -> Self {
        let default = Self::default();
        let Some(seconds) = seconds.filter(|s| s.is_finite() && *s > 0.0 && *s < 1e6) else { return default };
        let retry_for = Duration::from_secs_f64(seconds);
        Self { stall_timeout: default.stall_timeout.min(retry_for / 3), retry_for, ..default }
    }
}

/// An object at an `http://` or `https://` address.
///
/// Nothing is requested before the first read. Up to 64 requests run at a time in the whole process, over
/// connections that all sources share. Calls block, and may come from any thread: rayon's, and those of
/// another tokio runtime, included.
pub struct HttpSource {
    remote: Arc<Remote>,
    asking_size: Mutex<()>,
    /// The last bytes and where they begin, if they were asked for first.
    tail: OnceLock<(u64, Bytes)>,
}

impl fmt::Debug for HttpSource {
    /// Without the bytes it keeps.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpSource").field("url", &self.remote.web).finish_non_exhaustive()
    }
}

impl HttpSource {
    /// The object at `url`.
    ///
    /// # Errors
    /// When `url` is not an `http://` or `https://` address.
    pub fn new(url: &str, options: HttpOptions) -> Result<Self, SourceError> {
        match parse(url, &Vars::process())? {
            super::address::Address::Http(web) => Ok(Self::from_web(web, options)),
            super::address::Address::Path(_) => Err(SourceError::BadAddress {
                url: url.to_owned(),
                what: "not a web address".into(),
                help: "write it as https://HOST/PATH".into(),
            }),
        }
    }

    /// The object that all of `urls` lead to: when one fails, the next is tried.
    ///
    /// # Errors
    /// When there is none, or one is no web address.
    pub fn with_doors(urls: &[&str], options: HttpOptions) -> Result<Self, SourceError> {
        let mut first =
            Self::new(urls.first().copied().unwrap_or_default(), options.clone())?.remote.web.clone();
        for url in urls.iter().skip(1) {
            first.doors.extend(Self::new(url, options.clone())?.remote.web.doors.iter().cloned());
        }
        Ok(Self::from_web(first, options))
    }

    /// A whole document behind `doors`, and its `Link` header.
    pub(super) fn page(
        doors: Vec<Door>,
        shown: &str,
        options: HttpOptions,
    ) -> Result<(Bytes, Option<String>), SourceError> {
        let web = Web { doors, shown: shown.to_owned(), store: None, whole: String::new() };
        let remote = Remote::new(web, options);
        let lost = |what| SourceError::Io { url: shown.to_owned(), what };
        let net = runtime::net().map_err(lost)?;
        net.wait(async move { remote.page(net).await }).map_err(lost)?
    }

    pub(super) fn from_web(web: Web, options: HttpOptions) -> Self {
        Self {
            remote: Arc::new(Remote::new(web, options)),
            asking_size: Mutex::default(),
            tail: OnceLock::new(),
        }
    }

    /// The object's size and state, asked for if no answer has told them yet.
    fn identity(&self) -> Result<&Identity, SourceError> {
        if let Some(identity) = self.remote.identity.get() {
            return Ok(identity);
        }
        // Several threads may ask at once; one request answers them all.
        let _one = self.asking_size.lock().unwrap_or_else(PoisonError::into_inner);
        if self.remote.identity.get().is_none() {
            let head = self.fetch(std::iter::once(0..HEAD).collect())?.pop().unwrap_or_default();
            // Already set where the server sent the whole file.
            let _ = self.remote.head.set(head);
        }
        self.remote.identity.get().ok_or_else(|| SourceError::BadAnswer {
            url: self.remote.web.shown.clone(),
            what: "the server does not tell the file's size".into(),
        })
    }

    /// Asks for the last `n` bytes if nothing is known of the object yet, and keeps them. A host that gives no such ranges is
    /// asked for the size later.
    fn ask_end(&self, n: u64) -> Result<(), SourceError> {
        let lost = |what| SourceError::Io { url: self.remote.web.shown.clone(), what };
        let net = runtime::net().map_err(lost)?;
        let _one = self.asking_size.lock().unwrap_or_else(PoisonError::into_inner);
        if self.remote.identity.get().is_some() || !self.remote.counts_from_end(net) {
            return Ok(());
        }
        let remote = Arc::clone(&self.remote);
        let end = net.wait(async move { remote.last(net, n).await }).map_err(lost)??;
        if let (Some(end), Some(identity)) = (end, self.remote.identity.get()) {
            let _ = match identity.size.saturating_sub(end.len() as u64) {
                // Already set where the server sent the whole file.
                0 => self.remote.head.set(end).is_ok(),
                start => self.tail.set((start, end)).is_ok(),
            };
        }
        Ok(())
    }

    /// The answers to `requests`, in order, each cut off at the object's end.
    fn fetch(&self, requests: Vec<Range<u64>>) -> Result<Vec<Bytes>, SourceError> {
        let remote = Arc::clone(&self.remote);
        let lost = |what| SourceError::Io { url: self.remote.web.shown.clone(), what };
        let net = runtime::net().map_err(lost)?;
        let task = async move {
            let mut answers = vec![Bytes::new(); requests.len()];
            let mut tasks = JoinSet::new();
            for (i, request) in requests.into_iter().enumerate() {
                let remote = Arc::clone(&remote);
                tasks.spawn(async move { (i, remote.get(net, request).await) });
            }
            // The first failure ends the call: dropping the set stops the rest.
            while let Some(done) = tasks.join_next().await {
                let (i, answer) = done.map_err(|e| SourceError::Io {
                    url: remote.web.shown.clone(),
                    what: format!("reading ended unexpectedly: {e}"),
                })?;
                answers[i] = answer?;
            }
            Ok(answers)
        };
        net.wait(task).map_err(lost)?
    }
}

impl Source for HttpSource {
    fn url(&self) -> &str {
        &self.remote.web.shown
    }

    fn len(&self) -> Result<u64, SourceError> {
        Ok(self.identity()?.size)
    }

    fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, SourceError> {
        let check = |size| ranges.iter().try_for_each(|range| check_range(self.url(), range, size));
        check(u64::MAX)?;
        let asked = ranges.iter().fold(0, |sum: u64, r| sum.saturating_add(r.end - r.start));
        if asked > BLIND {
            self.identity()?;
        }
        if let Some(identity) = self.remote.identity.get() {
            check(identity.size)?;
        }
        let kept: Vec<(u64, &Bytes)> = self
            .remote
            .head
            .get()
            .map(|head| (0, head))
            .into_iter()
            .chain(self.tail.get().map(|(start, tail)| (*start, tail)))
            .collect();
        let is_kept = |range: &Range<u64>| {
            let holds = |(start, bytes): &&(u64, &Bytes)| {
                range.start < range.end && *start <= range.start && range.end <= start + bytes.len() as u64
            };
            let (start, bytes) = kept.iter().find(holds)?;
            Some(bytes.slice((range.start - start) as usize..(range.end - start) as usize))
        };
        let missing: Vec<_> = ranges.iter().filter(|range| is_kept(range).is_none()).cloned().collect();
        let requests = plan::coalesce(&missing);
        let answers = if requests.is_empty() { Vec::new() } else { self.fetch(requests.clone())? };
        if let Some(identity) = self.remote.identity.get() {
            check(identity.size)?;
        }
        Ok(ranges
            .iter()
            .map(|range| is_kept(range).unwrap_or_else(|| plan::cut(range, &requests, &answers)))
            .collect())
    }

    fn read_last(&self, n: u64) -> Result<Bytes, SourceError> {
        if n > 0 && n <= BLIND && self.remote.identity.get().is_none() {
            self.ask_end(n.max(TAIL))?;
        }
        let size = self.len()?;
        self.read(size - size.min(n)..size)
    }

    fn fingerprint(&self) -> Result<Fingerprint, SourceError> {
        let identity = self.identity()?;
        let etag = identity.etag.as_ref().map(|tag| format!("etag:{tag}"));
        let version = etag.or_else(|| identity.modified.as_ref().map(|time| format!("modified:{time}")));
        Ok(Fingerprint { size: identity.size, version })
    }

    fn checksum(&self) -> Option<Checksum> {
        self.remote.checksum.get().cloned()
    }
}
