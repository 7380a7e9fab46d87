//! A file under way: what is written of it, how much of that is safely on the disk, and its sums.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use md5::Md5;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use terravec_io::atomic::PendingFile;
use terravec_io::source::{Fingerprint, hex};

use super::OWN;
use crate::error::{Error, Result};

/// Bytes, or time, after which what was written is made to be on the disk, and noted.
const NOTED: u64 = 32 << 20;
const NOTED_AFTER: Duration = Duration::from_secs(1);
/// Pieces that may wait to be summed up.
const WAITING: usize = 4;

/// How much of a file is safely on the disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Note {
    url: String,
    #[serde(flatten)]
    fingerprint: Fingerprint,
    safe: u64,
}

/// A file under way.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) note: PathBuf,
    /// Bytes that are written.
    pub(super) at: u64,
    known: Note,
}

/// Sums of a whole file, hexadecimal.
#[derive(Debug)]
pub(super) struct Sums {
    pub(super) sha256: String,
    pub(super) md5: Option<String>,
}

impl Part {
    /// What a killed process left of the file `path` of the mirror in `folder`, or nothing yet.
    pub(super) fn open(folder: &Path, path: &str, url: &str) -> Result<Self> {
        let folder = folder.join(OWN).join("parts");
        let name = hex(&Sha256::digest(path));
        let (path, note) = (folder.join(&name[..32]), folder.join(format!("{}.json", &name[..32])));
        let fail = || Error::write(&path);
        fs::create_dir_all(&folder).map_err(fail())?;
        let opened = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let file = opened.map_err(fail())?;
        let length = file.metadata().map_err(fail())?.len();
        let known = fs::read(&note).ok().and_then(|b| serde_json::from_slice::<Note>(&b).ok());
        let known = known.filter(|n| n.url == url && n.fingerprint.version.is_some());
        let at = known.as_ref().map_or(0, |n| n.safe.min(n.fingerprint.size)).min(length);
        let nothing = Fingerprint { size: 0, version: None };
        let known = known.unwrap_or_else(|| Note { url: url.to_owned(), fingerprint: nothing, safe: 0 });
        Ok(Self { file, path, note, at, known })
    }

    /// Goes on where it stopped if that was in this state of the file, or else begins anew.
    pub(super) fn begin(&mut self, fingerprint: &Fingerprint) -> Result<()> {
        if self.known.fingerprint != *fingerprint {
            self.at = 0;
            self.known.fingerprint = fingerprint.clone();
        }
        // Beyond what is known to be safe may be anything.
        self.file.set_len(self.at).map_err(Error::write(&self.path))?;
        self.file.seek(SeekFrom::Start(self.at)).map_err(Error::write(&self.path))?;
        Ok(())
    }

    /// Bytes of the whole file.
    pub(super) fn size(&self) -> u64 {
        self.known.fingerprint.size
    }

    pub(super) fn write(&mut self, piece: &[u8]) -> Result<()> {
        self.file.write_all(piece).map_err(Error::write(&self.path))?;
        self.at += piece.len() as u64;
        Ok(())
    }

    /// Takes away what is not worth keeping.
    pub(super) fn discard(&self) {
        let _ = (fs::remove_file(&self.path), fs::remove_file(&self.note));
    }

    /// Sums up what is there and what is sent, beside the thread that writes. MD5 is slow, and only made where it is published.
    pub(super) fn sum<'s>(&self, scope: &'s Scope<'s, '_>, md5: bool) -> Summing<'s> {
        let mut senders = Vec::new();
        let mut start = |sum: fn(&Path, u64, &Receiver<Bytes>) -> Result<String>| {
            let (sender, receiver) = mpsc::sync_channel(WAITING);
            senders.push(sender);
            let (path, before) = (self.path.clone(), self.at);
            scope.spawn(move || sum(&path, before, &receiver))
        };
        let sha256 = start(sum_with::<Sha256>);
        let md5 = md5.then(|| start(sum_with::<Md5>));
        Summing { senders, sha256, md5 }
    }

    /// Notes from time to time how much is safe, beside the thread that writes.
    pub(super) fn notes<'s>(&self, scope: &'s Scope<'s, '_>) -> Notes<'s> {
        let (sender, receiver) = mpsc::sync_channel::<u64>(1);
        let (path, note, known) = (self.path.clone(), self.note.clone(), self.known.clone());
        let handle = scope.spawn(move || {
            while let Ok(at) = receiver.recv() {
                make_safe(&path, &note, &Note { safe: at, ..known.clone() })?;
            }
            Ok(())
        });
        Notes { noted: self.at, last: Instant::now(), sender: Some(sender), handle }
    }
}

/// Sums that are being made.
pub(super) struct Summing<'s> {
    senders: Vec<SyncSender<Bytes>>,
    sha256: ScopedJoinHandle<'s, Result<String>>,
    md5: Option<ScopedJoinHandle<'s, Result<String>>>,
}

impl Summing<'_> {
    pub(super) fn send(&self, piece: &Bytes) {
        // One that failed takes no more, and says why at the end.
        self.senders.iter().for_each(|s| drop(s.send(piece.clone())));
    }

    pub(super) fn end(self) -> Result<Sums> {
        drop(self.senders);
        Ok(Sums { sha256: joined(self.sha256)?, md5: self.md5.map(joined).transpose()? })
    }
}

fn joined<T>(handle: ScopedJoinHandle<'_, T>) -> T {
    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn sum_with<D: Digest>(path: &Path, before: u64, pieces: &Receiver<Bytes>) -> Result<String> {
    let mut sum = D::new();
    if before > 0 {
        let mut there = File::open(path).map_err(Error::write(path))?.take(before);
        let mut buffer = vec![0; 1 << 20];
        loop {
            match there.read(&mut buffer).map_err(Error::write(path))? {
                0 => break,
                n => sum.update(&buffer[..n]),
            }
        }
    }
    while let Ok(piece) = pieces.recv() {
        sum.update(&piece);
    }
    Ok(hex(&sum.finalize()))
}

/// Notes that are being written.
pub(super) struct Notes<'s> {
    noted: u64,
    last: Instant,
    sender: Option<SyncSender<u64>>,
    handle: ScopedJoinHandle<'s, Result<()>>,
}

impl Notes<'_> {
    /// So much is written; whether it is time to note that, and the disk is free to.
    pub(super) fn reached(&mut self, at: u64) {
        let due = at - self.noted >= NOTED || self.last.elapsed() >= NOTED_AFTER;
        if due && self.sender.as_ref().is_some_and(|s| s.try_send(at).is_ok()) {
            (self.noted, self.last) = (at, Instant::now());
        }
    }

    /// Waits for the last note, which is of `at` where that is worth keeping.
    pub(super) fn end(mut self, at: Option<u64>) -> Result<()> {
        if let (Some(sender), Some(at)) = (self.sender.take(), at) {
            // One that failed takes no more, and says why now.
            let _ = sender.send(at);
        }
        drop(self.sender.take());
        joined(self.handle)
    }
}

/// Makes what was written safe, then says so.
fn make_safe(path: &Path, place: &Path, note: &Note) -> Result<()> {
    File::open(path).and_then(|f| f.sync_data()).map_err(Error::write(path))?;
    let fail = || Error::write(place);
    let text = serde_json::to_vec(note).map_err(|e| fail()(e.into()))?;
    let pending = PendingFile::create(place).map_err(fail())?;
    pending.file().write_all(&text).map_err(fail())?;
    pending.commit().map_err(fail())
}
