//! A local mirror: whole files of a region and years, fetched once, checked, and then a root for every verb.
//!
//! A file is fetched into a part file below `.terravec/parts`, which records how much of it is safely on the disk; so whoever
//! was killed goes on where it stopped. It gets its name only when it is whole, of the size that the host told and, where one is
//! published, of the right checksum. `.terravec/mirror.jsonl` has a line for each file: where it came from, and its SHA-256.

mod fetch;
mod finish;
mod flow;
mod index;
mod ledger;
mod part;
mod plan;

use std::path::{Path, PathBuf};

use terravec_io::source::Location;

pub use fetch::Report;
pub use plan::{MirrorFile, MirrorPlan, MirrorRequest, plan};

use crate::error::{Error, Result};
use crate::interrupt::Watch;
use crate::location::checksum;
use ledger::Ledger;

/// The folder of what a mirror knows of itself.
const OWN: &str = ".terravec";

/// The address that the mirror at `root` is of, if it is one: a folder there may be named after a version.
pub(crate) fn origin(root: &Location) -> Option<String> {
    let ledger = Ledger::open(root.path().filter(|p| p.join(OWN).is_dir())?).ok()?;
    ledger.lines().find_map(|l| Some(l.url.strip_suffix(&l.path)?.to_owned()))
}

/// What a check of a mirror found.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Checked {
    /// Files that are what was fetched.
    pub good: usize,
    /// Files that are not.
    pub damaged: Vec<PathBuf>,
    /// Files that are gone.
    pub missing: Vec<PathBuf>,
    /// Bytes read.
    pub bytes: u64,
}

/// Reads every file of the mirror at `folder` and compares it with its checksum. Damaged files are taken away, so that
/// the next download fetches them again. `progress` is told bytes done and bytes in all.
///
/// # Errors
/// If there is no mirror, or a file can't be read or removed.
pub fn verify(folder: &Path, progress: &dyn Fn(u64, u64)) -> Result<Checked> {
    let ledger = Ledger::open(folder)?;
    let all: u64 = ledger.lines().map(|l| l.size).sum();
    let watch = Watch::current();
    let mut checked = Checked::default();
    for line in ledger.lines() {
        watch.check()?;
        let path = folder.join(&line.path);
        if !path.is_file() {
            checked.missing.push(path);
        } else if path.metadata().is_ok_and(|m| m.len() == line.size) && checksum(&path)? == line.sha256 {
            checked.good += 1;
        } else {
            std::fs::remove_file(&path).map_err(Error::write(&path))?;
            checked.damaged.push(path);
        }
        checked.bytes += line.size;
        progress(checked.bytes, all);
    }
    if checked == Checked::default() {
        return Err(Error::open(
            format!("{}: there is no mirror here", folder.display()),
            "name the folder that was given with -o",
        ));
    }
    Ok(checked)
}
