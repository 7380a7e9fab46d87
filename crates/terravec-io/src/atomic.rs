//! Outputs that appear whole or not at all: written under a temporary name in the same folder, renamed when complete.
//!
//! A [`Part`] that is dropped without [`Part::commit`] takes its file away. Parts that are open are listed, so that a program
//! which is told to stop can take them away too ([`remove_open_parts`]).

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

static OPEN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
static COUNT: AtomicU64 = AtomicU64::new(0);

/// An output being written.
#[derive(Debug)]
pub struct Part {
    path: PathBuf,
    target: PathBuf,
    committed: bool,
}

impl Part {
    /// Starts an output that will be `target`: a new, empty file next to it.
    ///
    /// # Errors
    /// If the folder can't be written to.
    pub fn create(target: &Path) -> io::Result<(Self, File)> {
        let name = target.file_name().ok_or_else(|| io::Error::other("the output has no file name"))?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = target.with_file_name(format!(".{}.{}-{number}.part", name.to_string_lossy(), std::process::id()));
        if let Ok(mut open) = OPEN.lock() {
            open.push(path.clone());
        }
        let part = Self { path, target: target.to_path_buf(), committed: false };
        let file = File::options().read(true).write(true).create_new(true).open(&part.path)?;
        Ok((part, file))
    }

    /// The temporary file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its name, replacing what has it.
    ///
    /// # Errors
    /// If the file can't be renamed; it is removed then.
    pub fn commit(mut self) -> io::Result<()> {
        fs::rename(&self.path, &self.target)?;
        self.committed = true;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.committed {
            let _ = fs::remove_file(&self.path);
        }
        if let Ok(mut open) = OPEN.lock() {
            open.retain(|p| *p != self.path);
        }
    }
}

/// Removes every unfinished output of this process; for handlers of "stop now" signals.
pub fn remove_open_parts() {
    if let Ok(open) = OPEN.lock() {
        for path in open.iter() {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn an_output_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out.bin");
        let list = || fs::read_dir(dir.path()).unwrap().count();
        {
            let (_part, mut file) = Part::create(&target).unwrap();
            file.write_all(b"half").unwrap();
            assert!(!target.exists());
        }
        assert_eq!(list(), 0);
        let (part, mut file) = Part::create(&target).unwrap();
        file.write_all(b"whole").unwrap();
        part.commit().unwrap();
        assert_eq!((fs::read(&target).unwrap(), list()), (b"whole".to_vec(), 1));
        let (_part, _file) = Part::create(&target).unwrap();
        remove_open_parts();
        assert_eq!(list(), 1);
        assert!(Part::create(&dir.path().join("no/such/folder.bin")).is_err());
    }
}
