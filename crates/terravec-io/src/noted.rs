//! Which files are looked for while something is opened: what a copy of it needs, whatever else is left out.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Names of files, until somebody wants to know them.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    names: Mutex<BTreeSet<String>>,
    done: AtomicBool,
}

impl Noted {
    /// Notes a name, as long as nobody asked for them.
    pub(crate) fn note(&self, name: impl FnOnce() -> String) {
        if !self.done.load(Ordering::Relaxed) {
            self.names.lock().unwrap_or_else(PoisonError::into_inner).insert(name());
        }
    }

    /// The names noted until this was first asked.
    pub(crate) fn take(&self) -> BTreeSet<String> {
        self.done.store(true, Ordering::Relaxed);
        self.names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
