//! One range of one object: asked for until it is here, or until asking more makes no sense.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderName, IF_RANGE, LINK, LOCATION, RANGE};
use reqwest::{Response, StatusCode};
use tokio::time::{sleep, timeout};
use url::Url;

use super::super::address::Web;
use super::super::store::Store;
use super::super::{Checksum, SourceError};
use super::HttpOptions;
use super::answer::{Identity, checksum, lifetime, text};
use super::hedge::Wait;
use super::runtime::{Host, Net, cause};

/// Waits between tries begin here and double, up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// A host that can't be connected to is rarely there a moment later, and a typing error should show soon.
const CONNECT_TRIES: u32 = 3;

/// Slower than this many bytes per second, a server counts as gone even if it never falls silent.
const SLOWEST: u64 = 8 * 1024;

/// Why a try failed.
pub(super) enum Trouble {
    /// It will fail again.
    Final(SourceError),
    /// It may work next time.
    Again { what: String, help: &'static str, wait: Option<Duration>, tries: u32 },
}

use Trouble::{Again, Final};

pub(super) const HELP_BUSY: &str = "the host is overloaded or limits requests: try again later";
const HELP_CONNECT: &str = "check the address and the network connection";
const HELP_BROKEN: &str = "try again; if it fails again, the host or something on the way to it is at fault";

pub(super) fn broken(what: impl Into<String>) -> Trouble {
    Again { what: what.into(), help: HELP_BROKEN, wait: None, tries: u32::MAX }
}

/// A page of a list is no longer than this.
const PAGE: u64 = 64 * 1024 * 1024;

/// Hops from address to address before an answer must come.
const MAX_HOPS: usize = 10;

const BUCKET_REGION: HeaderName = HeaderName::from_static("x-amz-bucket-region");

/// What is asked for: a part of an object, its last bytes, or a whole document.
pub(super) enum Ask {
    Part(Range<u64>),
    Last(u64),
    Page,
}

impl Ask {
    /// The range as a header says it.
    fn header(&self) -> Option<String> {
        match self {
            Self::Part(range) => Some(format!("bytes={}-{}", range.start, range.end - 1)),
            Self::Last(n) => Some(format!("bytes=-{n}")),
            Self::Page => None,
        }
    }

    /// The bytes of an object of `size` bytes that are asked for.
    pub(super) fn within(&self, size: u64) -> Range<u64> {
        match self {
            Self::Part(range) => range.start..range.end.min(size),
            Self::Last(n) => size - size.min(*n)..size,
            Self::Page => 0..size,
        }
    }
}

/// The bytes, and of a document its `Link` header.
type Answer = (Bytes, Option<String>);

/// An object, and what its answers have told so far.
pub(super) struct Remote {
    pub(super) web: Web,
    pub(super) options: HttpOptions,
    pub(super) identity: OnceLock<Identity>,
    /// The first bytes, or all of them where the server would not send less.
    pub(super) head: OnceLock<Bytes>,
    pub(super) checksum: OnceLock<Checksum>,
    /// The door that let in last.
    door: AtomicUsize,
    /// Where the last redirect led, for as long as it holds.
    resolved: Mutex<Option<Resolved>>,
}

/// An address that a door sent us to.
struct Resolved {
    door: usize,
    url: Url,
    until: Instant,
}

impl Remote {
    pub(super) fn new(web: Web, options: HttpOptions) -> Self {
        Self {
            web,
            options,
            identity: OnceLock::new(),
            head: OnceLock::new(),
            checksum: OnceLock::new(),
            door: AtomicUsize::new(0),
            resolved: Mutex::new(None),
        }
    }

    /// The bytes of `range`, cut off at the object's end; an error if it starts beyond the end of an object
    /// that has any bytes.
    pub(super) async fn get(&self, net: &Net, range: Range<u64>) -> Result<Bytes, SourceError> {
        Ok(self.by_any_door(net, Ask::Part(range)).await?.0)
    }

    /// The last `n` bytes, or all where there are fewer; `None` where the host gives no ranges counted from the end.
    pub(super) async fn last(&self, net: &Net, n: u64) -> Result<Option<Bytes>, SourceError> {
        match self.by_any_door(net, Ask::Last(n)).await {
            Ok((bytes, _)) => Ok(Some(bytes)),
            Err(SourceError::RangesIgnored { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Whether to ask for ranges counted from the end. Azure has none.
    pub(super) fn counts_from_end(&self, net: &Net) -> bool {
        let url = self.web.doors[self.door.load(Ordering::Relaxed) % self.web.doors.len()].url();
        let azure = |host: &str| host.ends_with(".blob.core.windows.net");
        !matches!(self.web.store, Some((Store::Azure { .. }, _)))
            && !url.host_str().is_some_and(azure)
            && !net.host(&url).no_suffixes.load(Ordering::Relaxed)
    }

    /// A whole document, however it is sent, and its `Link` header.
    pub(super) async fn page(&self, net: &Net) -> Result<Answer, SourceError> {
        self.by_any_door(net, Ask::Page).await
    }

    /// Asks at the door that let in last, or else at another.
    async fn by_any_door(&self, net: &Net, ask: Ask) -> Result<Answer, SourceError> {
        let (first, count) = (self.door.load(Ordering::Relaxed), self.web.doors.len());
        let mut failure = None;
        for door in (0..count).map(|turn| (first + turn) % count) {
            match self.persist(net, &ask, door).await {
                Ok(answer) => {
                    self.door.store(door, Ordering::Relaxed);
                    return Ok(answer);
                }
                // The object is there or not, whichever door one asks at; only doors differ.
                Err(e @ (SourceError::GaveUp { .. } | SourceError::Denied { .. })) => {
                    failure.get_or_insert(e);
                }
                Err(e) => return Err(failure.unwrap_or(e)),
            }
        }
        Err(failure.unwrap_or_else(|| self.bad("there is no way to it".into())))
    }

    /// Asks at one door until there is an answer, or asking more makes no sense.
    async fn persist(&self, net: &Net, ask: &Ask, door: usize) -> Result<Answer, SourceError> {
        let begin = Instant::now();
        let mut attempts = 0;
        // Patience is shared among the doors.
        let doors = self.web.doors.len() as u32;
        let (patience, most) = match doors {
            1 => (self.options.retry_for, self.options.max_tries),
            _ => (self.options.retry_for / doors, (self.options.max_tries / doors).max(2)),
        };
        // Never silent for longer than the stall timeout, yet too slow to be of use: this ends it.
        let length = match ask {
            Ask::Part(range) => range.end - range.start,
            Ask::Last(n) => *n,
            Ask::Page => PAGE / 16,
        };
        let longest =
            self.options.stall_timeout * 3 + Duration::from_secs(length.min(u64::from(u32::MAX)) / SLOWEST);
        let host = net.host(&self.web.doors[door].url());
        loop {
            attempts += 1;
            let slots = host.enter(net, patience).await;
            let tried = timeout(longest, self.attempt(net, &host, door, ask)).await;
            drop(slots);
            let trouble = match tried {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(trouble)) => trouble,
                Err(_) => broken(format!("the server took more than {} s", longest.as_secs())),
            };
            let (what, help, asked, tries) = match trouble {
                Final(error) => return Err(error),
                Again { what, help, wait, tries } => (what, help, wait, tries),
            };
            let wait = backoff(attempts).max(asked.unwrap_or_default());
            let elapsed = begin.elapsed();
            if attempts >= most.min(tries) || elapsed + wait > patience {
                let what = match asked {
                    Some(asked) if asked > patience => {
                        format!("{what}, and asks to wait {} s", asked.as_secs())
                    }
                    _ => what,
                };
                let (url, help) = (self.web.shown.clone(), help.to_owned());
                return Err(SourceError::GaveUp { url, what, attempts, elapsed, help });
            }
            if let Some(asked) = asked {
                // Others that ask this host wait, too.
                host.pause(asked);
            }
            sleep(wait).await;
        }
    }

    async fn attempt(&self, net: &Net, host: &Host, door: usize, ask: &Ask) -> Result<Answer, Trouble> {
        match ask {
            Ask::Part(_) | Ask::Last(_) => Ok((self.attempt_hedged(net, host, door, ask).await?, None)),
            Ask::Page => self.attempt_page(net, door).await,
        }
    }

    /// Asks for bytes of the object; `wait` ends when the answer begins.
    pub(super) async fn attempt_object(
        &self,
        net: &Net,
        door: usize,
        ask: &Ask,
        wait: &Wait,
    ) -> Result<Bytes, Trouble> {
        let answer = self.send(net, door, ask.header().as_deref()).await?;
        wait.end();
        if let Some(coding) = text(answer.headers(), &CONTENT_ENCODING).filter(|c| c != "identity") {
            return Err(Final(self.bad(format!("the server sends the file {coding}-compressed on the way"))));
        }
        self.take(net, door, ask, answer).await
    }

    async fn attempt_page(&self, net: &Net, door: usize) -> Result<Answer, Trouble> {
        let answer = self.send(net, door, None).await?;
        if answer.status() != StatusCode::OK {
            return Err(self.refusal(answer).await);
        }
        let link = text(answer.headers(), &LINK);
        match self.open_ended(answer, PAGE).await? {
            Some(body) => Ok((body, link)),
            None => Err(Final(self.bad("the server answered with something far too long".into()))),
        }
    }

    /// Asks at a door and follows where it leads. What lets us in is shown to the door's own host and to no other.
    async fn send(&self, net: &Net, number: usize, range: Option<&str>) -> Result<Response, Trouble> {
        let door = &self.web.doors[number];
        let known = self.resolved(number).filter(|_| range.is_some());
        let mut resolved = known.is_some();
        let mut url = known.unwrap_or_else(|| door.url());
        let mut holds: Option<Duration> = None;
        for _ in 0..MAX_HOPS {
            // Ranges count in the file's own bytes.
            let mut request = net.client.get(url.clone()).header(ACCEPT_ENCODING, "identity");
            if url.origin() == door.url().origin() {
                for (name, value) in door.headers(&url, range) {
                    request = request.header(name, value);
                }
            }
            if let Some(range) = range {
                request = request.header(RANGE, range);
                if let Some(tag) = self.identity.get().and_then(Identity::strong_etag) {
                    request = request.header(IF_RANGE, tag);
                }
            }
            let answer = self.in_time(request.send()).await?.map_err(|e| {
                if e.is_connect() {
                    let what = format!("can't connect: {}", cause(&e));
                    Again { what, help: HELP_CONNECT, wait: None, tries: CONNECT_TRIES }
                } else if e.is_builder() {
                    Final(self.bad(format!("the credentials can't be sent: {}", cause(&e))))
                } else {
                    broken(format!("the connection broke: {}", cause(&e)))
                }
            })?;
            let status = answer.status();
            if range.is_some()
                && let Some(sum) = checksum(answer.headers())
            {
                let _ = self.checksum.set(sum);
            }
            let astray = status.is_redirection() || matches!(status.as_u16(), 400 | 403);
            if astray
                && let Some(region) = text(answer.headers(), &BUCKET_REGION)
                && door.learn_region(&region)
            {
                url = door.url();
                continue;
            }
            if resolved && matches!(status.as_u16(), 400..=410) {
                // What we were sent to holds no longer: ask at the door again.
                self.forget_resolved();
                (resolved, url) = (false, door.url());
                continue;
            }
            let next = text(answer.headers(), &LOCATION).filter(|_| status.is_redirection());
            let Some(next) = next else {
                if let (Some(holds), true) = (holds, status.is_success()) {
                    self.keep_resolved(number, &url, holds);
                }
                return Ok(answer);
            };
            let next = url.join(&next).ok().filter(|u| matches!(u.scheme(), "http" | "https"));
            let Some(next) = next else {
                return Err(Final(self.bad("redirects lead nowhere: to no web address".into())));
            };
            if status.as_u16() != 301 && status.as_u16() != 308 {
                holds = Some(lifetime(&next).min(holds.unwrap_or(Duration::MAX)));
            }
            url = next;
        }
        Err(Final(self.bad("redirects lead nowhere: too many redirects".into())))
    }

    fn resolved(&self, door: usize) -> Option<Url> {
        let resolved = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        let known = resolved.as_ref().filter(|r| r.door == door && r.until > Instant::now())?;
        Some(known.url.clone())
    }

    fn keep_resolved(&self, door: usize, url: &Url, holds: Duration) {
        let known = Resolved { door, url: url.clone(), until: Instant::now() + holds };
        *self.resolved.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }

    fn forget_resolved(&self) {
        *self.resolved.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Doubles from try to try; the random part keeps many clients from coming back all at once.
fn backoff(attempts: u32) -> Duration {
    let wait = FIRST_WAIT.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(LONGEST_WAIT);
    wait.mul_f64(0.5 + fastrand::f64())
}
