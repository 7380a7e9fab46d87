//! The files below a root, listed when first asked for and then kept: what is opened is found out by several questions about the same list.

use std::cell::OnceCell;

use terravec_io::source::{self, Entry, Location};

use crate::error::Result;

/// A root, and what lies below it.
#[derive(Debug)]
pub(crate) struct Listing {
    root: Location,
    entries: OnceCell<Vec<Entry>>,
}

impl Listing {
    pub(crate) fn new(root: Location) -> Self {
        Self { root, entries: OnceCell::new() }
    }

    pub(crate) fn root(&self) -> &Location {
        &self.root
    }

    /// All files, sorted by path.
    ///
    /// # Errors
    /// If the root can't be listed.
    pub(crate) fn entries(&self) -> Result<&[Entry]> {
        if let Some(entries) = self.entries.get() {
            return Ok(entries);
        }
        let listed = source::list(&self.root)?;
        Ok(self.entries.get_or_init(|| listed))
    }
}
