//! The list of what a mirror holds: a line of JSON for each file, added when it is whole.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use terravec_io::source::{Checksum, is_below};

use super::OWN;
use crate::error::{Error, Result};

const NAME: &str = "mirror.jsonl";

/// A file of the mirror.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    /// Relative to the mirror.
    pub(super) path: String,
    /// Where it came from, without credentials.
    pub(super) url: String,
    pub(super) size: u64,
    /// What told this state of it from others at the host.
    pub(super) version: Option<String>,
    pub(super) sha256: String,
    /// What the host published, and was compared.
    pub(super) published: Option<Checksum>,
}

/// What is known of a mirror.
#[derive(Debug)]
pub(super) struct Ledger {
    known: BTreeMap<String, Line>,
    file: Option<Mutex<File>>,
}

impl Ledger {
    /// Reads what is known. A line that a crash cut short is left out: its file is fetched again.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(OWN).join(NAME);
        let text = match fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(Error::write(path)(e)),
        };
        let lines = text.lines().filter_map(|l| serde_json::from_str::<Line>(l).ok());
        let known = lines.filter(|l| is_below(&l.path)).map(|l| (l.path.clone(), l)).collect();
        Ok(Self { known, file: None })
    }

    /// The same, to be added to.
    pub(super) fn to_write(folder: &Path) -> Result<Self> {
        let mut ledger = Self::open(folder)?;
        let path = folder.join(OWN).join(NAME);
        fs::create_dir_all(folder.join(OWN)).map_err(Error::write(&path))?;
        let mut file =
            OpenOptions::new().create(true).append(true).open(&path).map_err(Error::write(&path))?;
        // A line that was cut short must not swallow the next one.
        file.write_all(b"\n").map_err(Error::write(&path))?;
        ledger.file = Some(Mutex::new(file));
        Ok(ledger)
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = &Line> {
        self.known.values()
    }

    pub(super) fn get(&self, path: &str) -> Option<&Line> {
        self.known.get(path)
    }

    /// Adds lines, and sees that they are on the disk.
    pub(super) fn add<'a>(&self, lines: impl Iterator<Item = &'a Line>) -> std::io::Result<()> {
        let mut text = String::new();
        for line in lines {
            text.push_str(&serde_json::to_string(line)?);
            text.push('\n');
        }
        let Some(file) = &self.file else { return Ok(()) };
        let mut file = file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.write_all(text.as_bytes())?;
        file.sync_data()
    }
}
