//! What lies on the disk for one object: a record of its state, and files of the bytes that were fetched of it.
//!
//! ```text
//! remote/3f/3f9c…/about.json          address as shown, size, version, when the host last confirmed them
//! remote/3f/3f9c…/8e21…/0-10000       bytes 0..65536 of that version, and a checksum
//! ```

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::Fingerprint;
use super::super::store::crypto::hex;
use crate::atomic::PendingFile;

/// Bytes of the checksum at the end of an entry.
const SUM: u64 = 32;
/// Raised when the format changes; part of every checksum.
const FORMAT: &[u8] = b"terravec cache 1";

/// What is known of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct About {
    pub(super) url: String,
    #[serde(flatten)]
    pub(super) fingerprint: Fingerprint,
    /// Seconds since 1970 at which the host told this.
    pub(super) checked: u64,
}

impl About {
    /// The record of an object that its host does not have.
    pub(super) fn absent(url: &str) -> Self {
        let fingerprint = Fingerprint { size: 0, version: Some("absent".into()) };
        Self { url: url.to_owned(), fingerprint, checked: now() }
    }

    pub(super) fn is_absent(&self) -> bool {
        self.fingerprint.version.as_deref() == Some("absent")
    }
}

/// The place of one object.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) folder: PathBuf,
}

impl Place {
    /// The place of the object whose whole address is `key`. The address itself, which may hold secrets, is not kept.
    pub(super) fn of(root: &Path, key: &str) -> Self {
        let name = hex(&Sha256::digest(key));
        Self { folder: root.join(&name[..2]).join(name) }
    }

    fn about_path(&self) -> PathBuf {
        self.folder.join("about.json")
    }

    pub(super) fn about(&self) -> Option<About> {
        serde_json::from_slice(&fs::read(self.about_path()).ok()?).ok()
    }

    pub(super) fn write_about(&self, about: &About) -> io::Result<()> {
        private_folder(&self.folder)?;
        let part = PendingFile::create(&self.about_path())?;
        part.file().write_all(&serde_json::to_vec(about)?)?;
        part.commit()
    }

    /// The folder of the entries of one version.
    pub(super) fn version(&self, fingerprint: &Fingerprint) -> PathBuf {
        let text = format!("{}\n{}", fingerprint.size, fingerprint.version.as_deref().unwrap_or_default());
        self.folder.join(&hex(&Sha256::digest(text))[..16])
    }

    /// Takes away what is kept of other versions.
    pub(super) fn forget_others(&self, fingerprint: &Fingerprint) {
        let current = self.version(fingerprint);
        for item in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if item.path() != current && item.path().is_dir() {
                // Another process may be taking it away, too.
                let _ = fs::remove_dir_all(item.path());
            }
        }
    }
}

/// Makes a folder that only its owner may look into: what lies in it may have been fetched with credentials.
pub(super) fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// The range that a file of this name holds.
pub(super) fn range_of(name: &str) -> Option<Range<u64>> {
    let (start, end) = name.split_once('-')?;
    let range = u64::from_str_radix(start, 16).ok()?..u64::from_str_radix(end, 16).ok()?;
    (range.start < range.end && name_of(&range) == name).then_some(range)
}

fn name_of(range: &Range<u64>) -> String {
    format!("{:x}-{:x}", range.start, range.end)
}

/// Ranges that are kept in `folder`.
pub(super) fn ranges(folder: &Path) -> Vec<Range<u64>> {
    let items = fs::read_dir(folder).into_iter().flatten().flatten();
    items.filter_map(|item| range_of(item.file_name().to_str()?)).collect()
}

/// Binds bytes to their place: neither may be changed, nor moved.
fn sum(folder: &Path, range: &Range<u64>, bytes: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(FORMAT);
    for part in [folder.parent().and_then(Path::file_name), folder.file_name()] {
        hash.update(part.unwrap_or_default().as_encoded_bytes());
        hash.update([0]);
    }
    hash.update(range.start.to_le_bytes());
    hash.update(range.end.to_le_bytes());
    hash.update(bytes);
    hash.finalize().into()
}

/// Keeps `bytes`. The file is there whole or not at all.
pub(super) fn write(folder: &Path, range: &Range<u64>, bytes: &[u8]) -> io::Result<()> {
    private_folder(folder)?;
    let part = PendingFile::create(&folder.join(name_of(range)))?;
    part.file().write_all(bytes)?;
    part.file().write_all(&sum(folder, range, bytes))?;
    part.commit()
}

/// What is kept of `range`, if it is what was written; what is not is taken away.
pub(super) fn read(folder: &Path, range: &Range<u64>) -> Option<Bytes> {
    let path = folder.join(name_of(range));
    let mut file = File::open(&path).ok()?;
    let bytes = whole(&mut file, range).filter(|(bytes, kept)| *kept == sum(folder, range, bytes));
    match bytes {
        Some((bytes, _)) => {
            // When it was used last; a file system that can't keep it forgets it earlier.
            let _ = file.set_modified(SystemTime::now());
            Some(bytes)
        }
        None => {
            let _ = fs::remove_file(&path);
            None
        }
    }
}

fn whole(file: &mut File, range: &Range<u64>) -> Option<(Bytes, [u8; 32])> {
    let length = range.end - range.start;
    if file.metadata().ok()?.len() != length.checked_add(SUM)? {
        return None;
    }
    let mut bytes = vec![0; usize::try_from(length).ok()?];
    let mut kept = [0; SUM as usize];
    file.read_exact(&mut bytes).and_then(|()| file.read_exact(&mut kept)).ok()?;
    Some((bytes.into(), kept))
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}
