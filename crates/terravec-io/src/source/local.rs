//! Files on this machine.

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::{Fingerprint, Source, SourceError, check_range};

/// A local file, read in place by any number of threads at once.
///
/// The file stays open, so a file that is replaced by another under the same name keeps being read as it was.
#[derive(Debug)]
pub struct LocalSource {
    url: String,
    file: Shared,
    size: u64,
}

impl LocalSource {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// When there is no such file, it may not be read, or it is a folder.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SourceError> {
        let path = path.as_ref();
        let url = path.display().to_string();
        let fail = |e: io::Error| SourceError::from_io(&url, &e);
        // Windows refuses to open a folder with a message about permissions, so look first.
        let meta = match path.metadata() {
            // A file stands where a folder should: the path leads nowhere.
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => return Err(SourceError::NotFound { url }),
            other => other.map_err(fail)?,
        };
        if meta.is_dir() {
            return Err(SourceError::IsFolder { url });
        }
        if !meta.is_file() {
            return Err(SourceError::Io { url, what: "is not a regular file".into() });
        }
        let file = File::open(path).map_err(fail)?;
        let size = file.metadata().map_err(fail)?.len();
        Ok(Self { url, file: Shared::new(file), size })
    }
}

impl Source for LocalSource {
    fn url(&self) -> &str {
        &self.url
    }

    fn len(&self) -> Result<u64, SourceError> {
        Ok(self.size)
    }

    fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, SourceError> {
        // All are checked before any memory is taken, so no request can take more than the file's size at once.
        for range in ranges {
            check_range(&self.url, range, self.size)?;
        }
        ranges
            .iter()
            .map(|range| {
                let wanted = usize::try_from(range.end - range.start).map_err(|_| SourceError::Io {
                    url: self.url.clone(),
                    what: format!("bytes {}..{} don't fit in memory", range.start, range.end),
                })?;
                let mut buffer = vec![0; wanted];
                self.file
                    .read_exact_at(&mut buffer, range.start)
                    .map_err(|e| SourceError::from_io(&self.url, &e))?;
                Ok(Bytes::from(buffer))
            })
            .collect()
    }

    fn fingerprint(&self) -> Result<Fingerprint, SourceError> {
        let meta = self.file.metadata().map_err(|e| SourceError::from_io(&self.url, &e))?;
        Ok(fingerprint(meta.len(), meta.modified().ok()))
    }
}

/// The fingerprint of a local file.
pub(super) fn fingerprint(size: u64, modified: Option<SystemTime>) -> Fingerprint {
    let version = modified.map(|time| match time.duration_since(UNIX_EPOCH) {
        Ok(since) => format!("mtime:{}.{:09}", since.as_secs(), since.subsec_nanos()),
        Err(before) => format!("mtime:-{:.9}", before.duration().as_secs_f64()),
    });
    Fingerprint { size, version }
}

/// A file that is read at given places by many threads.
#[derive(Debug)]
#[cfg(unix)]
struct Shared(File);

#[cfg(unix)]
impl Shared {
    fn new(file: File) -> Self {
        Self(file)
    }

    fn metadata(&self) -> io::Result<Metadata> {
        self.0.metadata()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.0, buffer, offset)
    }
}

/// A file that is read at given places by many threads, one after another where the system has only one
/// reading position per file.
#[derive(Debug)]
#[cfg(not(unix))]
struct Shared(std::sync::Mutex<File>);

#[cfg(not(unix))]
impl Shared {
    fn new(file: File) -> Self {
        Self(std::sync::Mutex::new(file))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, File> {
        // A thread that panicked left at worst another reading position, and each read sets its own.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn metadata(&self) -> io::Result<Metadata> {
        self.lock().metadata()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        use std::io::{Read as _, Seek as _};
        let mut file = self.lock();
        file.seek(io::SeekFrom::Start(offset))?;
        file.read_exact(buffer)
    }
}
