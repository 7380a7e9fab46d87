//! Fetching the files of a mirror: several at a time, each in order, going on where it stopped.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use md5::Md5;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use terravec_io::atomic::{PendingFile, folder_of};
use terravec_io::source::{Checksum, Fingerprint, Source, hex};
use terravec_io::zarr;

use super::ledger::{Ledger, Line};
use super::plan::{MirrorFile, MirrorPlan};
use super::{OWN, index};
use crate::error::{Error, Result};
use crate::interrupt::Watch;

/// Files that are fetched at a time.
const AT_ONCE: usize = 4;
/// Bytes that are asked for at a time; as many again are on their way while these are written.
const PIECE: u64 = 16 << 20;
/// Bytes after which what was written is made to be on the disk, and noted.
const NOTED: u64 = 64 << 20;

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
}

/// How much of a file is safely on the disk.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    url: String,
    #[serde(flatten)]
    fingerprint: Fingerprint,
    safe: u64,
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
            done: AtomicU64::new(self.bytes - self.missing_bytes),
            report: Mutex::default(),
        };
        (run.progress)(self.bytes - self.missing_bytes, self.bytes);
        let missing: Vec<&MirrorFile> = self.files.iter().filter(|f| !f.present).collect();
        let next = AtomicUsize::new(0);
        let failure = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE.min(missing.len()) {
                scope.spawn(|| {
                    while let Some(file) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if run.stop.load(Ordering::Relaxed) {
                            break;
                        }
                        if let Err(e) = run.file(file) {
                            run.stop.store(true, Ordering::Relaxed);
                            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(e);
                        }
                    }
                });
            }
        });
        if let Some(e) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
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
    done: AtomicU64,
    report: Mutex<Report>,
}

/// A file under way: what is written of it, and its sums.
struct Part {
    file: File,
    path: PathBuf,
    note: PathBuf,
    at: u64,
    sha256: Sha256,
    md5: Md5,
}

impl Run<'_> {
    fn advance(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        (self.progress)(done, self.plan.bytes);
    }

    fn report(&self, add: impl FnOnce(&mut Report)) {
        add(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn file(&self, file: &MirrorFile) -> Result<()> {
        let target = self.plan.folder.join(&file.path);
        if target.exists() && self.ledger.get(&file.path).is_none() && !self.plan.force {
            return Err(Error::Exists { path: target });
        }
        inside(&self.plan.folder, &target)?;
        let source = file.url.open_uncached()?;
        match source.read(0..1.min(file.bytes)) {
            Err(terravec_io::source::SourceError::BeyondEnd { .. }) => {}
            other => {
                other?;
            }
        }
        let fingerprint = source.fingerprint()?;
        let mut part = self.begin(file, &*source, &fingerprint)?;
        self.report(|r| r.resumed_bytes += part.at);
        self.advance(part.at);
        self.fill(&mut part, &*source, &fingerprint)?;
        self.end(file, part, &*source, &fingerprint, &target)
    }

    /// The part file as a killed process left it, if it is of this state of the object, or a new one.
    fn begin(&self, file: &MirrorFile, source: &dyn Source, fingerprint: &Fingerprint) -> Result<Part> {
        let folder = self.plan.folder.join(OWN).join("parts");
        let name = hex(&Sha256::digest(&file.path));
        let (path, note) = (folder.join(&name[..32]), folder.join(format!("{}.json", &name[..32])));
        let fail = || Error::write(&path);
        fs::create_dir_all(&folder).map_err(fail())?;
        let known = fs::read(&note).ok().and_then(|b| serde_json::from_slice::<Note>(&b).ok());
        let known = known.filter(|n| {
            n.fingerprint == *fingerprint && n.fingerprint.version.is_some() && n.url == source.url()
        });
        let opened = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let mut handle = opened.map_err(fail())?;
        let length = handle.metadata().map_err(fail())?.len();
        let at = known.map_or(0, |n| n.safe).min(length).min(fingerprint.size);
        // Beyond what is known to be safe may be anything.
        handle.set_len(at).map_err(fail())?;
        let (mut sha256, mut md5) = (Sha256::new(), Md5::new());
        let mut buffer = vec![0; 1 << 20];
        let mut read = 0;
        while read < at {
            let n = handle.read(&mut buffer).map_err(fail())?;
            if n == 0 {
                break;
            }
            sha256.update(&buffer[..n]);
            md5.update(&buffer[..n]);
            read += n as u64;
        }
        handle.seek(SeekFrom::Start(at)).map_err(fail())?;
        Ok(Part { file: handle, path, note, at, sha256, md5 })
    }

    fn fill(&self, part: &mut Part, source: &dyn Source, fingerprint: &Fingerprint) -> Result<()> {
        let fetch = |start: u64| source.read(start..(start + PIECE).min(fingerprint.size));
        if part.at >= fingerprint.size {
            return Ok(());
        }
        let mut piece = fetch(part.at)?;
        let mut noted = part.at;
        loop {
            let after = part.at + piece.len() as u64;
            let more = after < fingerprint.size;
            let next = std::thread::scope(|scope| {
                let next = more.then(|| scope.spawn(|| fetch(after)));
                part.file.write_all(&piece).map_err(Error::write(&part.path))?;
                part.sha256.update(&piece);
                part.md5.update(&piece);
                part.at = after;
                self.report(|r| r.bytes += piece.len() as u64);
                self.advance(piece.len() as u64);
                if part.at - noted >= NOTED {
                    self.note(part, source, fingerprint)?;
                    noted = part.at;
                }
                next.map(|n| n.join().unwrap_or_else(|_| Ok(bytes::Bytes::new()))).transpose().or_else(|e| {
                    // What came before the failure is worth keeping.
                    self.note(part, source, fingerprint)?;
                    Err(Error::from(e))
                })
            })?;
            let Some(next) = next else { return Ok(()) };
            if self.stop.load(Ordering::Relaxed) || self.watch.check().is_err() {
                self.note(part, source, fingerprint)?;
                return Err(Error::Interrupted);
            }
            if next.is_empty() {
                return Err(Error::open(
                    format!("{}: reading ended unexpectedly", source.url()),
                    "run again to go on",
                ));
            }
            piece = next;
        }
    }

    /// Makes what was written safe, then says so.
    fn note(&self, part: &Part, source: &dyn Source, fingerprint: &Fingerprint) -> Result<()> {
        part.file.sync_data().map_err(Error::write(&part.path))?;
        let fail = || Error::write(&part.note);
        let note = Note { url: source.url().to_owned(), fingerprint: fingerprint.clone(), safe: part.at };
        let text = serde_json::to_vec(&note).map_err(|e| fail()(e.into()))?;
        let pending = PendingFile::create(&part.note).map_err(fail())?;
        pending.file().write_all(&text).map_err(fail())?;
        pending.commit().map_err(fail())
    }

    /// Compares sums and gives the file its name.
    fn end(
        &self,
        file: &MirrorFile,
        part: Part,
        source: &dyn Source,
        fingerprint: &Fingerprint,
        target: &Path,
    ) -> Result<()> {
        let (sha256, md5) = (hex(&part.sha256.finalize()), hex(&part.md5.finalize()));
        let listed = file.sha256.clone().map(Checksum::Sha256);
        let published = listed.or_else(|| source.checksum());
        let wrong = match &published {
            Some(Checksum::Sha256(sum)) if *sum != sha256 => Some(format!("sha256 {sha256}, not {sum}")),
            Some(Checksum::Md5(sum)) if *sum != md5 => Some(format!("MD5 {md5}, not {sum}")),
            _ => None,
        };
        if let Some(wrong) = wrong {
            let _ = (fs::remove_file(&part.path), fs::remove_file(&part.note));
            return Err(Error::open(
                format!("{}: what came has {wrong} as its host publishes", source.url()),
                "nothing of it was kept: try again; if it fails again, its publisher should know",
            ));
        }
        let fail = || Error::write(target);
        part.file.sync_all().map_err(fail())?;
        fs::create_dir_all(folder_of(target)).map_err(fail())?;
        inside(&self.plan.folder, target)?;
        fs::rename(&part.path, target).map_err(fail())?;
        sync_folder(folder_of(target));
        let _ = fs::remove_file(&part.note);
        let line = Line {
            path: file.path.clone(),
            url: source.url().to_owned(),
            size: fingerprint.size,
            version: fingerprint.version.clone(),
            sha256,
            published: published.clone(),
        };
        self.ledger.add(&line).map_err(fail())?;
        self.report(|r| {
            r.fetched += 1;
            r.checked += usize::from(published.is_some());
        });
        Ok(())
    }
}

/// Refuses to write through a link that leads out of the mirror.
fn inside(folder: &Path, target: &Path) -> Result<()> {
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
fn sync_folder(folder: &Path) {
    let _ = File::open(folder).and_then(|f| f.sync_all());
}
