//! Stopping a query from outside: a flag that the thread of a query carries, looked at before every tile and chunk.
//!
//! A query blocks the thread that asks. Whoever runs it for somebody who may lose patience (an interactive Python, a server) runs it
//! [`with`] a flag and sets that from elsewhere; the query then ends with [`Error::Interrupted`].

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

thread_local! {
    static FLAG: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
}

/// Runs `query` so that it ends soon after `flag` is set. Queries inside one another heed the innermost flag.
pub fn with<T>(flag: Arc<AtomicBool>, query: impl FnOnce() -> T) -> T {
    /// Puts the flag before back, also when the query panics.
    struct Before(Option<Arc<AtomicBool>>);
    impl Drop for Before {
        fn drop(&mut self) {
            FLAG.with_borrow_mut(|f| *f = self.0.take());
        }
    }
    let _before = Before(FLAG.with_borrow_mut(|f| f.replace(flag)));
    query()
}

/// The flag of this thread's query, to be looked at on others.
#[derive(Debug, Clone)]
pub struct Watch(Option<Arc<AtomicBool>>);

impl Watch {
    /// That of the query that this thread runs.
    #[must_use]
    pub fn current() -> Self {
        Self(FLAG.with_borrow(Clone::clone))
    }

    /// Looks at the flag.
    ///
    /// # Errors
    /// [`Error::Interrupted`] once it is set.
    pub fn check(&self) -> Result<()> {
        match &self.0 {
            Some(flag) if flag.load(Ordering::Relaxed) => Err(Error::Interrupted),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_flag_counts_and_the_outer_comes_back() {
        let (set, clear) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        assert!(Watch::current().check().is_ok());
        with(Arc::clone(&set), || {
            assert!(matches!(Watch::current().check(), Err(Error::Interrupted)));
            with(clear, || assert!(Watch::current().check().is_ok()));
            assert!(Watch::current().check().is_err());
        });
        assert!(Watch::current().check().is_ok());
    }
}
