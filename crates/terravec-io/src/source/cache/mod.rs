//! A cache on the disk of what came over the network: blocks, headers, indexes.
//!
//! It is off until [`set`] puts one in place, as the command and the Python package do. Kept are the ranges as they were fetched,
//! so a first read costs no byte more; they are keyed by the address and the state of the object (size and ETag), and each has a
//! checksum, so bytes that were changed or moved are not taken. Files appear whole, and are taken away oldest use first when
//! the cache is full, so any number of processes may share one without locks. Objects of hosts that tell neither ETag nor time
//! of change are not kept.

mod entry;
mod source;

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

pub use source::CachedSource;

use super::{Fingerprint, Source};
use entry::{About, Place};

/// How a cache is kept.
#[derive(Debug, Clone)]
pub struct CacheOptions {
    /// Its folder.
    pub folder: PathBuf,
    /// The most bytes it holds. It may be exceeded by a small part for a while.
    pub limit: u64,
    /// For how long what a host said of an object is believed without asking again.
    pub trust: Duration,
    /// Never ask a host.
    pub offline: bool,
}

impl CacheOptions {
    /// 10 GB in `folder`; states of objects are believed for ten minutes.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), limit: 10_000_000_000, trust: Duration::from_secs(600), offline: false }
    }
}

/// A cache. Clones share it.
#[derive(Debug, Clone)]
pub struct Cache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: CacheOptions,
    /// Bytes written since this process last made room.
    written: AtomicU64,
}

static CURRENT: Mutex<Option<Cache>> = Mutex::new(None);

/// The cache that [`open`](super::open()) uses from now on, in this process.
pub fn set(cache: Option<Cache>) {
    *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = cache;
}

/// The cache that [`open`](super::open()) uses.
#[must_use]
pub fn current() -> Option<Cache> {
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Something made of an object, kept in parts; see [`Cache::made`].
#[derive(Debug, Clone)]
pub struct Made {
    cache: Cache,
    folder: PathBuf,
}

impl Made {
    /// A part, if it is there and is what was written.
    #[must_use]
    pub fn read(&self, range: &Range<u64>) -> Option<Bytes> {
        entry::read(&self.folder, range)
    }

    /// Keeps a part. A cache that can't be written is no failure.
    pub fn write(&self, range: &Range<u64>, bytes: &[u8]) {
        if entry::write(&self.folder, range, bytes).is_ok() {
            self.cache.wrote(bytes.len() as u64);
        }
    }
}

/// What a cache holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct CacheInfo {
    /// Its folder.
    pub folder: PathBuf,
    /// Objects of which something is kept.
    pub objects: u64,
    /// Ranges kept.
    pub entries: u64,
    /// Bytes on the disk.
    pub bytes: u64,
    /// The most bytes it holds.
    pub limit: u64,
}

/// What a check of all entries found.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Verified {
    /// Entries that are what was written.
    pub good: u64,
    /// Entries that were not, and are gone now.
    pub removed: u64,
}

/// An entry on the disk.
struct Kept {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

impl Cache {
    /// A cache kept so. Nothing is written before the first fetch.
    #[must_use]
    pub fn new(options: CacheOptions) -> Self {
        Self(Arc::new(Inner { options, written: AtomicU64::new(0) }))
    }

    /// How it is kept.
    #[must_use]
    pub fn options(&self) -> &CacheOptions {
        &self.0.options
    }

    /// `source`, with its bytes kept here under `key`, which tells it from all other objects.
    pub fn wrap<S: Source>(&self, source: S, key: &str) -> CachedSource<S> {
        CachedSource::new(self.clone(), source, Place::of(&self.root(), key))
    }

    /// A document kept under `key`, if it is not too old to be believed.
    pub(super) fn document(&self, key: &str) -> Option<bytes::Bytes> {
        let place = Place::of(&self.root(), key);
        let about = place.about()?;
        let options = self.options();
        let young = entry::now().saturating_sub(about.checked) < options.trust.as_secs();
        let range = 0..about.fingerprint.size;
        (young || options.offline).then(|| entry::read(&place.version(&about.fingerprint), &range)).flatten()
    }

    /// Keeps a document that a host made for us and has no state of its own, such as a list. A cache that can't be written is no failure.
    pub(super) fn keep_document(&self, key: &str, url: &str, bytes: &[u8]) {
        let place = Place::of(&self.root(), key);
        let fingerprint = Fingerprint { size: bytes.len() as u64, version: Some("document".into()) };
        let folder = place.version(&fingerprint);
        place.forget_others(&fingerprint);
        if entry::write(&folder, &(0..fingerprint.size), bytes).is_ok() {
            let about = About { url: url.to_owned(), fingerprint, checked: entry::now() };
            let _ = place.write_about(&about);
            self.wrote(bytes.len() as u64);
        }
    }

    /// A place for what was made of the object at `address`, in this state. Parts of it are kept by the range of bytes that they are.
    #[must_use]
    pub fn made(&self, address: &str, state: &Fingerprint, what: &str) -> Made {
        let place = Place::of(&self.root(), &format!("{what}\n{address}"));
        Made { folder: place.version(state), cache: self.clone() }
    }

    /// Other things lie in the cache's folder, too: indexes, weights.
    fn root(&self) -> PathBuf {
        self.0.options.folder.join("remote")
    }

    /// What it holds.
    ///
    /// # Errors
    /// When its folder can't be read.
    pub fn info(&self) -> io::Result<CacheInfo> {
        let mut info = CacheInfo {
            folder: self.0.options.folder.clone(),
            limit: self.0.options.limit,
            ..CacheInfo::default()
        };
        let mut objects = std::collections::HashSet::new();
        walk(&self.root(), 4, &mut |kept| {
            info.bytes += kept.bytes;
            if kept.path.file_name().is_some_and(|n| n != "about.json") {
                info.entries += 1;
                objects.insert(kept.path.ancestors().nth(2).map(Path::to_owned));
            }
        })?;
        info.objects = objects.len() as u64;
        Ok(info)
    }

    /// Takes everything away that came over the network by itself; tells how many bytes that was.
    ///
    /// # Errors
    /// When its folder can't be read or written.
    pub fn clear(&self) -> io::Result<u64> {
        let bytes = self.info()?.bytes;
        match fs::remove_dir_all(self.root()) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(bytes),
        }
    }

    /// Checks every entry; those that are not what was written are taken away.
    ///
    /// # Errors
    /// When its folder can't be read.
    pub fn verify(&self) -> io::Result<Verified> {
        let mut paths = Vec::new();
        walk(&self.root(), 4, &mut |kept| paths.push(kept.path))?;
        let mut verified = Verified::default();
        for path in paths {
            let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
            else {
                continue;
            };
            if name == "about.json" {
                continue;
            }
            match entry::range_of(name).and_then(|range| entry::read(folder, &range)) {
                Some(_) => verified.good += 1,
                None => {
                    let _ = fs::remove_file(&path);
                    verified.removed += 1;
                }
            }
        }
        Ok(verified)
    }

    /// Counts what was written, and makes room when it is time. Looking at all entries takes a while, so a process does it
    /// once per sixty-fourth of the limit, and one that writes less does it as often as its share.
    fn wrote(&self, bytes: u64) {
        let limit = self.0.options.limit;
        let share = (limit / 64).max(1);
        let written = self.0.written.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if written >= share || fastrand::u64(0..share) < bytes {
            self.0.written.store(0, Ordering::Relaxed);
            // Room that can't be made now is made next time.
            let _ = self.make_room();
        }
    }

    /// Takes entries away, oldest use first, until a tenth of the limit is free.
    ///
    /// # Errors
    /// When its folder can't be read.
    pub fn make_room(&self) -> io::Result<()> {
        let limit = self.0.options.limit;
        let mut all = Vec::new();
        walk(&self.root(), 4, &mut |kept| all.push(kept))?;
        let mut bytes: u64 = all.iter().map(|k| k.bytes).sum();
        if bytes <= limit {
            return Ok(());
        }
        all.sort_unstable_by_key(|k| k.used);
        for kept in all {
            if bytes <= limit / 10 * 9 {
                break;
            }
            let record = kept.path.file_name().is_some_and(|n| n == "about.json");
            let folder = kept.path.parent().unwrap_or(Path::new("."));
            if record && fs::read_dir(folder).is_ok_and(|items| items.count() > 1) {
                continue;
            }
            if fs::remove_file(&kept.path).is_ok() {
                bytes -= kept.bytes;
                if record {
                    let _ = fs::remove_dir(folder);
                } else {
                    self.tidy(&kept.path);
                }
            }
        }
        Ok(())
    }

    /// Takes the folders of an object away once they hold nothing but its record.
    fn tidy(&self, path: &Path) {
        let Some(version) = path.parent() else { return };
        // Fails while another entry is there.
        if fs::remove_dir(version).is_ok()
            && let Some(object) = version.parent().filter(|o| o.starts_with(self.root()))
        {
            let rest = fs::read_dir(object).into_iter().flatten().flatten();
            if rest.into_iter().all(|i| i.file_name() == "about.json") {
                let _ = fs::remove_file(object.join("about.json"));
                let _ = fs::remove_dir(object);
            }
        }
    }
}

/// Shows `found` every file at most `depth` folders down. Links are not followed.
fn walk(folder: &Path, depth: usize, found: &mut dyn FnMut(Kept)) -> io::Result<()> {
    let items = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for item in items {
        let item = item?;
        // A file that another process takes away meanwhile is no failure.
        let Ok(meta) = item.metadata() else { continue };
        if meta.is_dir() && depth > 1 {
            walk(&item.path(), depth - 1, found)?;
        } else if meta.is_file() {
            let used = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            found(Kept { path: item.path(), bytes: meta.len(), used });
        }
    }
    Ok(())
}
