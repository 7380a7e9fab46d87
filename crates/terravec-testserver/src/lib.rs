//! An HTTP/1.1 server of byte ranges that misbehaves on request.
//!
//! Tests and benchmarks need a host with a known latency, a bandwidth, a request count, and every fault that
//! real hosts show. HTTP is written by hand, because a proper server library refuses to break the protocol.
//! It is no server for anything but tests.
//!
//! ```no_run
//! use terravec_testserver::{Fault, Options, Rule, Server};
//! let server = Server::start("testdata", Options::default())?;
//! server.set_faults([Rule::times(2, Fault::status(503))]);
//! println!("{}/tile.tif: {:?}", server.url(), server.stats());
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! The same faults can be had by query, counted per address: `?fault=status:503&times=2`.

mod connection;
mod fault;
mod object;
mod request;
mod store;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

pub use fault::{Fault, Rule};
pub use store::StoreOptions;

/// How the server behaves when it behaves.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Each answer begins this long after its request.
    pub latency: Duration,
    /// Bytes per second of all bodies together; `None` is as fast as it goes.
    pub bandwidth: Option<u64>,
    /// Send neither `ETag` nor `Last-Modified`.
    pub no_validators: bool,
    /// Publish the MD5 of each file, as Google's store does.
    pub md5: bool,
    /// How it answers as a store of objects.
    pub store: StoreOptions,
}

/// A request that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Path and query.
    pub target: String,
    /// The header of this name.
    pub authorization: Option<String>,
    /// Names of all headers, in lower case.
    pub headers: Vec<String>,
}

/// What was served since the start or the last reset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests answered, faults included, `/__stats` excluded.
    pub requests: u64,
    /// Bytes of bodies sent.
    pub bytes: u64,
    /// Connections accepted.
    pub connections: u64,
}

/// A running server; it stops when dropped.
#[derive(Debug)]
pub struct Server {
    url: String,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    root: PathBuf,
    options: Options,
    requests: AtomicU64,
    bytes: AtomicU64,
    connections: AtomicU64,
    faults: Mutex<fault::Plan>,
    seen: Mutex<Vec<Seen>>,
    /// When the line is free for the next piece, where the bandwidth is bounded.
    line_free: Mutex<Instant>,
}

impl Server {
    /// Serves the files below `root` from threads of its own.
    ///
    /// # Errors
    /// When `root` is no folder, or the port can't be had.
    pub fn start(root: impl Into<PathBuf>, options: Options) -> io::Result<Self> {
        let root = root.into().canonicalize()?;
        if !root.is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, root.display().to_string()));
        }
        let runtime =
            Builder::new_multi_thread().worker_threads(2).thread_name("testserver").enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", options.port)))?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            root,
            options,
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            faults: Mutex::default(),
            seen: Mutex::default(),
            line_free: Mutex::new(Instant::now()),
        });
        runtime.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { url, shared, runtime: Some(runtime) })
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What was served so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// What was served so far; counts from zero again.
    pub fn take_stats(&self) -> Stats {
        self.shared.take_stats()
    }

    /// The requests that came in since the last call, the oldest first, at most 10 000.
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut lock(&self.shared.seen))
    }

    /// Replaces all rules; those already used up count anew.
    pub fn set_faults(&self, rules: impl IntoIterator<Item = Rule>) {
        lock(&self.shared.faults).set(rules.into_iter().collect());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Stalled connections would never end by themselves.
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    fn see(&self, request: &request::Request) {
        let mut seen = lock(&self.seen);
        if seen.len() < 10_000 {
            seen.push(Seen {
                target: request.target.clone(),
                authorization: request.header("authorization").map(str::to_owned),
                headers: request.names(),
            });
        }
    }

    fn stats(&self) -> Stats {
        Stats {
            requests: self.requests.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            connections: self.connections.load(Ordering::Relaxed),
        }
    }

    fn take_stats(&self) -> Stats {
        Stats {
            requests: self.requests.swap(0, Ordering::Relaxed),
            bytes: self.bytes.swap(0, Ordering::Relaxed),
            connections: self.connections.swap(0, Ordering::Relaxed),
        }
    }

    /// Waits until `length` more bytes may go over the line.
    async fn pace(&self, length: usize) {
        let Some(bandwidth) = self.options.bandwidth else { return };
        let takes = Duration::from_secs_f64(length as f64 / bandwidth.max(1) as f64);
        let until = {
            let mut free = lock(&self.line_free);
            *free = (*free).max(Instant::now()) + takes;
            *free
        };
        tokio::time::sleep_until(until.into()).await;
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                shared.connections.fetch_add(1, Ordering::Relaxed);
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    // A client that went away is no error of the server's.
                    let _ = connection::serve(stream, &shared).await;
                });
            }
            // Too many open files, most likely: some will close.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
