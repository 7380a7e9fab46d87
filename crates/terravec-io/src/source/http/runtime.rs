//! The threads and connections that all web sources share.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};
use tokio::sync::{Semaphore, SemaphorePermit};
use url::Url;

use super::hedge::Pace;

/// Requests in flight at a time in this process. One per band of an AlphaEarth tile, so that a window of 64
/// bands takes one round trip; object stores take several times that from one client, and a process stays far
/// from the 1024 open files that many systems allow, however many threads read.
const IN_FLIGHT: usize = 64;

/// Two threads move more bytes than a 10 Gbit/s line brings; decoding needs the other cores.
const THREADS: usize = 2;

/// Hosts that choke on as many: requests in flight to one of these.
const FEWER: [(&str, usize); 3] = [("data.source.coop", 8), ("huggingface.co", 16), ("hf.co", 16)];

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

const USER_AGENT: &str = concat!("terravec/", env!("CARGO_PKG_VERSION"));

/// One client and the runtime that drives it.
pub(super) struct Net {
    process: u32,
    handle: Handle,
    pub(super) client: reqwest::Client,
    slots: Semaphore,
    hosts: Mutex<HashMap<Name, Arc<Host>>>,
}

/// A host and its port.
type Name = (String, Option<u16>);

/// What all requests to a host share.
pub(super) struct Host {
    slots: Semaphore,
    /// Nothing is asked before this moment: the host wants to be left alone.
    paused: Mutex<Instant>,
    pace: Mutex<Pace>,
    /// It has shown that it knows no ranges counted from the end.
    pub(super) no_suffixes: AtomicBool,
}

/// Leave to send one request.
pub(super) struct Slots<'a>(#[allow(dead_code)] [SemaphorePermit<'a>; 2]);

impl Host {
    fn new(name: &str) -> Self {
        let fewer = FEWER.iter().find(|(n, _)| *n == name).map_or(IN_FLIGHT, |(_, n)| *n);
        Self {
            slots: Semaphore::new(fewer),
            paused: Mutex::new(Instant::now()),
            pace: Mutex::default(),
            no_suffixes: AtomicBool::new(false),
        }
    }

    /// How fast it answers.
    pub(super) fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pause_left(&self) -> Duration {
        let paused = *self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        paused.saturating_duration_since(Instant::now())
    }

    /// Whether it wants to be left alone.
    pub(super) fn is_paused(&self) -> bool {
        !self.pause_left().is_zero()
    }

    /// Waits until a request may be sent; a pause longer than `patience` is not waited for, since the answer will be an error.
    pub(super) async fn enter<'a>(&'a self, net: &'a Net, patience: Duration) -> Slots<'a> {
        let pause = self.pause_left();
        if !pause.is_zero() && pause <= patience {
            tokio::time::sleep(pause).await;
        }
        // The semaphores are never closed.
        let own = self.slots.acquire().await.expect("open");
        Slots([own, net.slots.acquire().await.expect("open")])
    }

    /// Leaves the host alone for a while.
    pub(super) fn pause(&self, time: Duration) {
        let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        *paused = (*paused).max(Instant::now() + time);
        drop(paused);
        self.pace().forbid();
    }
}

static NET: Mutex<Option<&'static Net>> = Mutex::new(None);

/// The process's network, made at the first call.
///
/// A child made by `fork` (as Python's multiprocessing and data loaders do) inherits none of the threads, so
/// it gets a network of its own; the parent's is left alone, which is why it is never freed.
pub(super) fn net() -> Result<&'static Net, String> {
    let mut net = NET.lock().unwrap_or_else(PoisonError::into_inner);
    match *net {
        Some(net) if net.process == std::process::id() => Ok(net),
        _ => Ok(*net.insert(Box::leak(Box::new(Net::new()?)))),
    }
}

impl Net {
    fn new() -> Result<Self, String> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("terravec-io")
            .enable_all()
            .build()
            .map_err(|e| format!("can't start the network threads: {e}"))?;
        let client = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(IN_FLIGHT)
            // The address may hold a signature that is none of the next host's business.
            .referer(false)
            // Followed by hand, because credentials are for one host alone.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| format!("can't set up secure connections: {}", cause(&e)))?;
        let handle = runtime.handle().clone();
        // The threads serve until the process ends.
        std::mem::forget(runtime);
        let (slots, hosts) = (Semaphore::new(IN_FLIGHT), Mutex::default());
        Ok(Self { process: std::process::id(), handle, client, slots, hosts })
    }

    /// What requests to the host of `url` share.
    pub(super) fn host(&self, url: &Url) -> Arc<Host> {
        let name = url.host_str().unwrap_or_default();
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (name.to_owned(), url.port_or_known_default());
        Arc::clone(hosts.entry(key).or_insert_with(|| Arc::new(Host::new(name))))
    }

    /// Runs `future` on the network's threads and waits for it on this one. Waiting on a channel, unlike
    /// `block_on`, is allowed inside another runtime.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, String> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.handle.spawn(async move {
            // Nobody waits any more: nothing is lost.
            let _ = sender.send(future.await);
        });
        receiver.recv().map_err(|_| "reading ended unexpectedly".to_owned())
    }
}

/// The innermost reason of a client's error, which unlike its own message holds no address.
pub(super) fn cause(error: &reqwest::Error) -> String {
    let mut inner = std::error::Error::source(error);
    let mut text = None;
    while let Some(e) = inner {
        text = Some(e.to_string());
        inner = e.source();
    }
    text.unwrap_or_else(|| {
        if error.is_redirect() { "too many redirects".into() } else { "the request failed".into() }
    })
}
