//! Running the engine for Python: on threads of its own, with the interpreter let go, stopped by Ctrl-C.
//!
//! A child made by `fork` inherits no threads, so the pool belongs to a process and is made anew in another.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use terravec::interrupt;

use crate::errors;

/// How often signals are looked for while the engine works.
const POLL: Duration = Duration::from_millis(50);

/// Locked only while attached to the interpreter, and never while another lock is waited for; so a `fork`, which one attached
/// thread does, never finds it locked by a thread that the child lacks.
static POOL: Mutex<Option<(u32, Arc<ThreadPool>)>> = Mutex::new(None);

fn pool(_attached: Python<'_>) -> PyResult<Arc<ThreadPool>> {
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if let Some((of, pool)) = &*pool
        && *of == process
    {
        return Ok(Arc::clone(pool));
    }
    let new = ThreadPoolBuilder::new().thread_name(|i| format!("terravec-{i}")).build();
    let new = Arc::new(new.map_err(|e| PyRuntimeError::new_err(format!("can't start threads: {e}")))?);
    // A parent's pool has no threads here that could end it.
    std::mem::forget(pool.replace((process, Arc::clone(&new))));
    Ok(new)
}

/// How far a job is: (done, all).
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: AtomicUsize,
    all: AtomicUsize,
}

impl Steps {
    /// To be called by the job.
    pub(crate) fn set(&self, done: usize, all: usize) {
        self.all.store(all, Ordering::Relaxed);
        self.done.store(done, Ordering::Relaxed);
    }

    /// To be called by a job that does not know how much there is.
    pub(crate) fn count(&self, done: u64) {
        let done = usize::try_from(done).unwrap_or(usize::MAX);
        self.set(done, done);
    }

    /// To be called by a job that counts bytes.
    pub(crate) fn bytes(&self, done: u64, all: u64) {
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        self.set(size(done), size(all));
    }

    fn tell(&self, progress: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let (done, all) = (self.done.load(Ordering::Relaxed), self.all.load(Ordering::Relaxed));
        match progress {
            Some(call) if all > 0 => call.call1((done, all)).map(|_| ()),
            _ => Ok(()),
        }
    }
}

/// Runs `job` and waits for it. `progress` is called with (done, all) now and then, and at the end.
///
/// # Errors
/// The job's own; that of a signal handler (Ctrl-C: `KeyboardInterrupt`) or of `progress`, and the job then ends by itself soon.
pub(crate) fn run<T: Send + 'static>(
    py: Python<'_>,
    progress: Option<&Bound<'_, PyAny>>,
    job: impl FnOnce(&Steps) -> Result<T, terravec::Error> + Send + 'static,
) -> PyResult<T> {
    let stop = Arc::new(AtomicBool::new(false));
    let steps = Arc::new(Steps::default());
    let (send, mut receive) = mpsc::sync_channel(1);
    let (its_stop, its_steps) = (Arc::clone(&stop), Arc::clone(&steps));
    pool(py)?.spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(|| interrupt::with(its_stop, || job(&its_steps))));
        // Nobody waits any more: nothing is lost.
        let _ = send.send(outcome);
    });
    loop {
        let answer;
        (answer, receive) = py.detach(move || (receive.recv_timeout(POLL), receive));
        let more = match answer {
            Ok(Ok(outcome)) => {
                let value = outcome.map_err(|e| errors::raise(py, &e))?;
                steps.tell(progress)?;
                return Ok(value);
            }
            Ok(Err(panic)) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text =
                    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
                Err(PyRuntimeError::new_err(format!("terravec failed, which is a fault of its own: {text}")))
            }
            Err(RecvTimeoutError::Timeout) => py.check_signals().and_then(|()| steps.tell(progress)),
            Err(RecvTimeoutError::Disconnected) => {
                Err(PyRuntimeError::new_err("the work ended without an answer"))
            }
        };
        if let Err(e) = more {
            stop.store(true, Ordering::Relaxed);
            return Err(e);
        }
    }
}

/// Runs work on arrays of the caller's, which is too short to be stopped, on the pool.
pub(crate) fn scoped<T: Send>(
    py: Python<'_>,
    job: impl FnOnce() -> Result<T, terravec::Error> + Send,
) -> PyResult<T> {
    let pool = pool(py)?;
    py.detach(|| pool.install(job)).map_err(|e| errors::raise(py, &e))
}
