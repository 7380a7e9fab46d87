//! Giving whole files their names: as many at a time as have come, since a disk makes many safe about as fast as one.
//!
//! A file is safe on the disk before its line is in the ledger, and its line before it has its name. Whoever is killed, or without power,
//! between two of these finds a file missing that the ledger has a line of, and fetches it again; never a name without the bytes.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;

use terravec_io::atomic::folder_of;

use super::fetch::{inside, sync_folder};
use super::ledger::{Ledger, Line};
use super::part::Part;
use super::plan::MirrorPlan;
use crate::error::{Error, Result};

/// Files that get their names at a time.
pub(super) const MOST: usize = 64;
/// Threads that wait for the disk.
const AT_ONCE: usize = 8;

/// A file that is whole and right.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) part: Part,
    pub(super) target: PathBuf,
    pub(super) line: Line,
}

/// Finishes files as they come, and tells `named` of each.
#[allow(clippy::needless_pass_by_value)] // closed at the end, so that nobody waits to be heard
pub(super) fn all(
    files: Receiver<Whole>,
    plan: &MirrorPlan,
    ledger: &Ledger,
    named: &dyn Fn(&Whole),
) -> Result<()> {
    while let Ok(first) = files.recv() {
        let batch: Vec<Whole> = std::iter::once(first).chain(files.try_iter().take(MOST - 1)).collect();
        some(&batch, plan, ledger)?;
        batch.iter().for_each(named);
    }
    Ok(())
}

fn some(batch: &[Whole], plan: &MirrorPlan, ledger: &Ledger) -> Result<()> {
    std::thread::scope(|scope| {
        let share = batch.len().div_ceil(AT_ONCE);
        let sync = |w: &Whole| w.part.file.sync_all().map_err(Error::write(&w.part.path));
        let threads: Vec<_> =
            batch.chunks(share).map(|files| scope.spawn(move || files.iter().try_for_each(sync))).collect();
        threads.into_iter().try_for_each(|t| t.join().unwrap_or_else(|p| std::panic::resume_unwind(p)))
    })?;
    for Whole { target, .. } in batch {
        fs::create_dir_all(folder_of(target)).map_err(Error::write(target))?;
        inside(&plan.folder, target)?;
        // An older file must not be taken for the one of the new line.
        if target.exists() {
            fs::remove_file(target).map_err(Error::write(target))?;
            sync_folder(folder_of(target));
        }
    }
    let path = plan.folder.join(super::OWN);
    ledger.add(batch.iter().map(|w| &w.line)).map_err(Error::write(&path))?;
    for Whole { part, target, .. } in batch {
        fs::rename(&part.path, target).map_err(Error::write(target))?;
        let _ = fs::remove_file(&part.note);
    }
    let folders: BTreeSet<_> = batch.iter().map(|w| folder_of(&w.target)).collect();
    folders.into_iter().for_each(sync_folder);
    Ok(())
}
