//! Fetching the files of a mirror: many at a time, each going on where it stopped.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};

use serde::Serialize;
use terravec_io::atomic::PendingFile;
use terravec_io::source::{Checksum, Source, SourceError};
use terravec_io::zarr;

use super::finish::{self, Whole};
use super::flow::Flow;
use super::ledger::{Ledger, Line};
use super::part::{Part, Sums};
use super::plan::{MirrorFile, MirrorPlan};
use super::{OWN, index};
use crate::error::{Error, Result};
use crate::interrupt::Watch;

/// Files that are fetched at a time: of small ones, each costs a round trip.
const AT_ONCE: usize = 16;
/// What is asked for first, which tells the state of the file along with it; files up to the second size are asked for whole.
const FIRST: u64 = 1 << 20;
const SMALL: u64 = 4 << 20;

/// What a download did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Files fetched.
    pub fetched: usize,
    /// Bytes that came over the network.
    pub bytes: u64,
    /// Bytes of unfinished files that were there already.
    pub resumed_bytes: u64,
    /// Files that were there already.
    pub present: usize,
    /// Files whose published checksum was compared.
    pub checked: usize,
    /// Files that the archive's own list names, and that are not there.
    pub left_out: usize,
}

impl MirrorPlan {
    /// Fetches what is not there. `progress` is told bytes done and bytes in all, of all files.
    ///
    /// # Errors
    /// If a file can't be read or written, is not the one that was published, or stands in the way. What was fetched stays, and the
    /// next call goes on from there.
    pub fn fetch(&self, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Report> {
        let ledger = Ledger::to_write(&self.folder)?;
        let _alone = alone(&self.folder)?;
        // First of all: from now on a chunk that is missing was not copied yet.
        if let Some(absent) = &self.absent {
            note_absent(absent, &self.folder)?;
        }
        let run = Run {
            plan: self,
            ledger: &ledger,
            progress,
            watch: Watch::current(),
            stop: AtomicBool::new(false),
            active: AtomicUsize::new(0),
            done: AtomicU64::new(self.bytes - self.missing_bytes),
            report: Mutex::default(),
            failure: Mutex::default(),
        };
        (run.progress)(self.bytes - self.missing_bytes, self.bytes);
        let missing: Vec<&MirrorFile> = self.files.iter().filter(|f| !f.present).collect();
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let (finished, to_finish) = mpsc::sync_channel(finish::MOST);
            for _ in 0..AT_ONCE.min(missing.len()) {
                let (finished, run, missing, next) = (finished.clone(), &run, &missing, &next);
                scope.spawn(move || {
                    while let Some(file) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if run.stop.load(Ordering::Relaxed) {
                            break;
                        }
                        match run.file(file) {
                            // Nobody takes it only where finishing failed, which is told.
                            Ok(whole) => drop(finished.send(whole)),
                            Err(Error::Source(SourceError::NotFound { .. })) if file.optional => {
                                run.report(|r| r.left_out += 1);
                                run.advance(file.bytes);
                            }
                            Err(e) => run.fail(e),
                        }
                    }
                });
            }
            drop(finished);
            if let Err(e) = finish::all(to_finish, self, &ledger, &|whole| run.named(whole)) {
                run.fail(e);
            }
        });
        if let Some(e) = run.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(e);
        }
        if let Some(location) = &self.index {
            index::copy(location, &self.folder)?;
        }
        let mut report = run.report.into_inner().unwrap_or_else(PoisonError::into_inner);
        report.present = self.files.len() - missing.len();
        Ok(report)
    }
}

/// Adds to the list of chunks that the store does not have, so that nobody takes those that were not copied for empty.
fn note_absent(absent: &[String], folder: &Path) -> Result<()> {
    let path = folder.join(zarr::ABSENT);
    let fail = || Error::write(&path);
    let known = fs::read_to_string(&path).unwrap_or_default();
    let all: BTreeSet<&str> = known.lines().chain(absent.iter().map(String::as_str)).collect();
    let pending = PendingFile::create(&path).map_err(fail())?;
    let mut file = pending.file();
    for line in all {
        writeln!(file, "{line}").map_err(fail())?;
    }
    pending.commit().map_err(fail())
}

/// Sees that no other process fills the same mirror: both would write the same part files.
fn alone(folder: &Path) -> Result<File> {
    let path = folder.join(OWN).join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(Error::write(&path))?;
    match file.try_lock() {
        Err(fs::TryLockError::WouldBlock) => Err(Error::open(
            format!("{}: another download fills this mirror", folder.display()),
            "wait for it to end, or choose another folder",
        )),
        // A file system without locks: nothing to be done about it.
        _ => Ok(file),
    }
}

struct Run<'a> {
    plan: &'a MirrorPlan,
    ledger: &'a Ledger,
    progress: &'a (dyn Fn(u64, u64) + Sync),
    watch: Watch,
    stop: AtomicBool,
    /// Files under way.
    active: AtomicUsize,
    done: AtomicU64,
    report: Mutex<Report>,
    failure: Mutex<Option<Error>>,
}

impl Run<'_> {
    fn advance(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        (self.progress)(done, self.plan.bytes);
    }

    fn report(&self, add: impl FnOnce(&mut Report)) {
        add(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The first failure ends the run.
    fn fail(&self, e: Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(e);
        self.stop.store(true, Ordering::Relaxed);
    }

    fn named(&self, whole: &Whole) {
        self.report(|r| {
            r.fetched += 1;
            r.checked += usize::from(whole.line.published.is_some());
        });
    }

    fn check(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { self.watch.check() }
    }

    /// Fetches a file whole, and compares its sum where one is published.
    fn file(&self, file: &MirrorFile) -> Result<Whole> {
        let target = self.plan.folder.join(&file.path);
        if target.exists() && self.ledger.get(&file.path).is_none() && !self.plan.force {
            return Err(Error::Exists { path: target });
        }
        inside(&self.plan.folder, &target)?;
        let source = file.url.open_uncached()?;
        let mut part = Part::open(&self.plan.folder, &file.path, source.url())?;
        // The first bytes that are missing, or where none is, one that is not, tell the state of the file.
        let from = part.at.min(file.bytes.saturating_sub(1));
        let length = if file.bytes <= SMALL { SMALL } else { FIRST };
        let mut first = match source.read(from..(from + length).min(file.bytes).max(1)) {
            Ok(bytes) => bytes,
            // It is shorter than it was, or empty.
            Err(SourceError::BeyondEnd { .. }) => bytes::Bytes::new(),
            Err(e) => {
                if matches!(e, SourceError::NotFound { .. }) {
                    part.discard();
                }
                return Err(e.into());
            }
        };
        let fingerprint = source.fingerprint()?;
        part.begin(&fingerprint)?;
        if part.at != from {
            first = bytes::Bytes::new();
        }
        self.report(|r| r.resumed_bytes += part.at);
        self.advance(part.at);
        let listed = file.sha256.clone().map(Checksum::Sha256);
        let published = listed.or_else(|| source.checksum());
        self.active.fetch_add(1, Ordering::Relaxed);
        let sums = self.fill(&mut part, &*source, &first, matches!(published, Some(Checksum::Md5(_))));
        self.active.fetch_sub(1, Ordering::Relaxed);
        let Sums { sha256, md5 } = sums?;
        let wrong = match &published {
            Some(Checksum::Sha256(sum)) if *sum != sha256 => Some(format!("sha256 {sha256}, not {sum}")),
            Some(Checksum::Md5(sum)) if Some(sum) != md5.as_ref() => {
                Some(format!("MD5 {}, not {sum}", md5.unwrap_or_default()))
            }
            _ => None,
        };
        if let Some(wrong) = wrong {
            part.discard();
            return Err(Error::open(
                format!("{}: what came has {wrong} as its host publishes", source.url()),
                "nothing of it was kept: try again; if it fails again, its publisher should know",
            ));
        }
        let line = Line {
            path: file.path.clone(),
            url: source.url().to_owned(),
            size: fingerprint.size,
            version: fingerprint.version,
            sha256,
            published,
        };
        Ok(Whole { part, target, line })
    }

    /// Writes what is missing, in order, while more comes and sums are made. Notes what came when more does not come.
    fn fill(&self, part: &mut Part, source: &dyn Source, first: &bytes::Bytes, md5: bool) -> Result<Sums> {
        std::thread::scope(|scope| {
            let sums = part.sum(scope, md5);
            let mut notes = part.notes(scope);
            let mut take = |part: &mut Part, piece: &bytes::Bytes| -> Result<()> {
                sums.send(piece);
                part.write(piece)?;
                self.report(|r| r.bytes += piece.len() as u64);
                self.advance(piece.len() as u64);
                notes.reached(part.at);
                self.check()
            };
            let came = (|| {
                if !first.is_empty() {
                    take(part, first)?;
                }
                let flow = Flow::new(source, part.at..part.size(), &self.active);
                flow.run(|piece| take(part, &piece))
            })();
            let noted = notes.end(came.is_err().then_some(part.at));
            came.and(noted)?;
            sums.end()
        })
    }
}

/// Refuses to write through a link that leads out of the mirror.
pub(super) fn inside(folder: &Path, target: &Path) -> Result<()> {
    let real = fs::canonicalize(folder).map_err(Error::write(folder))?;
    let there = target.ancestors().skip(1).find_map(|a| fs::canonicalize(a).ok());
    if there.is_some_and(|t| t.starts_with(&real)) && !target.is_symlink() {
        return Ok(());
    }
    Err(Error::open(
        format!("{}: a link leads out of the mirror", target.display()),
        "choose a folder without links",
    ))
}

/// A name is safe only once its folder is on the disk. Some systems can't do that to a folder: nothing to be done about it.
pub(super) fn sync_folder(folder: &Path) {
    let _ = File::open(folder).and_then(|f| f.sync_all());
}
