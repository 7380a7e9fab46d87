//! A file that appears under its name only when it is complete.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file being written next to its final place.
///
/// On Linux it has no name until [`commit`](Self::commit), so that not even a killed process leaves anything
/// behind; elsewhere, and on file systems without nameless files, it is a hidden temporary file that is
/// removed on drop.
#[derive(Debug)]
pub struct PendingFile {
    path: PathBuf,
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    #[cfg(target_os = "linux")]
    Nameless(File),
    Named(NamedTempFile),
}

impl PendingFile {
    /// Starts a file that will be `path`.
    ///
    /// # Errors
    /// If the folder can't be written to.
    pub fn create(path: &Path) -> io::Result<Self> {
        let inner = match nameless(folder_of(path)) {
            Some(inner) => inner,
            None => Inner::Named(temporary().tempfile_in(folder_of(path))?),
        };
        Ok(Self { path: path.to_owned(), inner })
    }

    /// The open file.
    #[must_use]
    pub fn file(&self) -> &File {
        match &self.inner {
            #[cfg(target_os = "linux")]
            Inner::Nameless(file) => file,
            Inner::Named(file) => file.as_file(),
        }
    }

    /// Puts the file in place, replacing what was there in one step.
    ///
    /// # Errors
    /// If the disk is full or the file can't be put in place; nothing is left then.
    pub fn commit(self) -> io::Result<()> {
        match self.inner {
            #[cfg(target_os = "linux")]
            Inner::Nameless(file) => {
                // A nameless file cannot replace another one: it gets a temporary name first.
                temporary()
                    .make_in(folder_of(&self.path), |name| link(&file, name))?
                    .into_temp_path()
                    .persist(&self.path)
                    .map_err(|e| e.error)?;
            }
            Inner::Named(file) => {
                file.persist(&self.path).map_err(|e| e.error)?;
            }
        }
        Ok(())
    }
}

/// The folder that holds `path`.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// A hidden name, and the permissions of an ordinary new file instead of those of a secret.
fn temporary() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder
}

#[cfg(target_os = "linux")]
fn nameless(folder: &Path) -> Option<Inner> {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    if !Path::new("/proc/self/fd").exists() {
        return None; // without it `link` cannot name the file
    }
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    openat(CWD, folder, flags, Mode::from_raw_mode(0o666)).ok().map(|fd| Inner::Nameless(fd.into()))
}

#[cfg(not(target_os = "linux"))]
fn nameless(_: &Path) -> Option<Inner> {
    None
}

#[cfg(target_os = "linux")]
fn link(file: &File, name: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, linkat};
    use std::os::fd::AsRawFd;
    let handle = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(linkat(CWD, handle, CWD, name, AtFlags::SYMLINK_FOLLOW)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    #[test]
    fn an_output_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out.bin");
        let files = || fs::read_dir(dir.path()).unwrap().count();
        {
            let pending = PendingFile::create(&target).unwrap();
            pending.file().write_all(b"half").unwrap();
            assert!(!target.exists());
        }
        assert_eq!(files(), 0);
        for text in [b"first", b"again"] {
            let pending = PendingFile::create(&target).unwrap();
            pending.file().write_all(text).unwrap();
            pending.commit().unwrap();
            assert_eq!((fs::read(&target).unwrap(), files()), (text.to_vec(), 1));
        }
        assert!(PendingFile::create(&dir.path().join("no/such/folder.bin")).is_err());
    }
}
