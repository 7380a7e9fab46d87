//! Which files a local folder holds.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Fingerprint, Location, SourceError, local};

/// A file below a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path relative to the root, with `/` between its parts on every system. [`Location::join`](super::Location::join)
    /// puts root and path together again.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// Time of last change, where the file system keeps one.
    pub modified: Option<SystemTime>,
}

impl Entry {
    /// The fingerprint that a source of this file has, told without opening it.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        local::fingerprint(self.size, self.modified)
    }
}

/// All files in the local folder `root` and the folders below it, sorted by path.
///
/// Links are followed, but each folder is listed only once, so links that lead back end. Links that lead
/// nowhere, names that aren't Unicode, and what is neither a file nor a folder are left out.
///
/// # Errors
/// When `root` is a web address or no folder, or when a folder below it can't be read: a listing is whole or
/// not given at all.
pub fn list(root: &Location) -> Result<Vec<Entry>, SourceError> {
    let root = root.path().ok_or_else(|| SourceError::NotListable { url: root.to_string() })?;
    let fail = |path: &Path, e: &std::io::Error| SourceError::from_io(&path.display().to_string(), e);
    let real_root = fs::canonicalize(root).map_err(|e| fail(root, &e))?;
    let mut entries = Vec::new();
    let mut seen = HashSet::new();
    let mut folders = vec![(real_root, String::new())];
    let mut links: Vec<(PathBuf, String)> = Vec::new();
    // Links wait until all real folders are done: a folder goes by its own name where it has one.
    while let Some((folder, prefix)) = folders.pop().or_else(|| links.pop()) {
        if !seen.insert(folder.clone()) {
            continue;
        }
        let links_before = links.len();
        for item in fs::read_dir(&folder).map_err(|e| fail(&folder, &e))? {
            let item = item.map_err(|e| fail(&folder, &e))?;
            let Ok(name) = item.file_name().into_string() else { continue };
            let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            let kind = item.file_type().map_err(|e| fail(&item.path(), &e))?;
            if kind.is_dir() {
                folders.push((item.path(), path));
                continue;
            }
            let meta = if kind.is_symlink() { fs::metadata(item.path()) } else { item.metadata() };
            match meta {
                Ok(meta) if meta.is_file() => {
                    entries.push(Entry { path, size: meta.len(), modified: meta.modified().ok() });
                }
                Ok(meta) if meta.is_dir() => {
                    if let Ok(target) = fs::canonicalize(item.path()) {
                        links.push((target, path));
                    }
                }
                // Neither file nor folder, a link that leads nowhere, or a file deleted meanwhile.
                _ => {}
            }
        }
        if links.len() > links_before {
            // The order in which the system tells names must not decide which of two links is followed.
            links.sort_unstable_by(|a, b| b.1.cmp(&a.1));
        }
    }
    entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}
