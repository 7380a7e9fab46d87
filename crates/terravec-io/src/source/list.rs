//! Which files a local folder, or a place in a store, holds; and documents that say so.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;

use super::address::{Address, parse};
use super::store::{Store, Vars, listing};
use super::{Fingerprint, HttpSource, Location, Source, SourceError, local};

/// Objects of a store that are listed at most: more is no folder of files to open.
const MOST: usize = 4_000_000;

/// A file below a root.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Entry {
    /// Path relative to the root, with `/` between its parts on every system. [`Location::join`](super::Location::join)
    /// puts root and path together again.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// Time of last change, where the file system or store keeps one.
    pub modified: Option<SystemTime>,
    /// The ETag that a store tells.
    pub etag: Option<String>,
    /// The SHA-256 that a store publishes, hexadecimal.
    pub sha256: Option<String>,
}

impl Entry {
    /// The fingerprint that a source of this file has, told without opening it.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        local::fingerprint(self.size, self.modified)
    }
}

/// All files below `root`, sorted by path: in a local folder and the folders below it, or in a store.
///
/// Local links are followed, but each folder is listed only once, so links that lead back end. Links that lead
/// nowhere, names that aren't Unicode, and what is neither a file nor a folder are left out.
///
/// # Errors
/// When `root` is a plain web address or no folder, when a folder below it can't be read, or when a store names a file that
/// would lie outside `root`: a listing is whole or not given at all.
pub fn list(root: &Location) -> Result<Vec<Entry>, SourceError> {
    list_with(root, &Vars::process())
}

/// As [`list`](list()), with credentials and endpoints from `vars`.
///
/// # Errors
/// As [`list`](list()).
pub fn list_with(root: &Location, vars: &Vars) -> Result<Vec<Entry>, SourceError> {
    if !root.is_remote() {
        return list_folder(root);
    }
    match parse(root.typed(), vars)? {
        Address::Path(path) => list_folder(&Location::new(path.display().to_string())),
        Address::Http(web) => {
            let Some((store, key)) = web.store else {
                return Err(SourceError::NotListable { url: root.to_string() });
            };
            list_store(root, &web.whole, &store, &key, vars)
        }
    }
}

/// A local file longer than this is no document.
const MOST_DOCUMENT: u64 = 256 << 20;

/// A whole document, such as a catalogue: a local file, or what a host makes for us, of whatever length. It is kept in the cache for as
/// long as lists are believed.
///
/// # Errors
/// When it can't be read, or is too long.
pub fn document(at: &Location) -> Result<Bytes, SourceError> {
    let vars = Vars::process();
    let web = match parse(at.typed(), &vars)? {
        Address::Path(path) => {
            let source = local::LocalSource::open(path)?;
            let size = source.len()?;
            if size > MOST_DOCUMENT {
                let what = format!("{size} bytes are too many for a document");
                return Err(SourceError::BadAnswer { url: at.to_string(), what });
            }
            return source.read(0..size);
        }
        Address::Http(web) => web,
    };
    let cache = super::cache::current();
    let kept_as = format!("document {}", web.whole);
    if let Some(bytes) = cache.as_ref().and_then(|c| c.document(&kept_as)) {
        return Ok(bytes);
    }
    if cache.as_ref().is_some_and(|c| c.options().offline) {
        return Err(SourceError::Offline { url: at.to_string(), what: "the document".to_owned() });
    }
    let (bytes, _) = HttpSource::page(web.doors, &at.to_string(), vars.patience())?;
    if let Some(cache) = cache {
        cache.keep_document(&kept_as, &at.to_string(), &bytes);
    }
    Ok(bytes)
}

fn list_store(
    root: &Location,
    whole: &str,
    store: &Store,
    key: &str,
    vars: &Vars,
) -> Result<Vec<Entry>, SourceError> {
    let bad = |what: String| SourceError::BadAnswer { url: root.to_string(), what };
    let prefix = match key.trim_end_matches('/') {
        "" => String::new(),
        key => format!("{key}/"),
    };
    let cache = super::cache::current();
    let kept_as = format!("list of {whole}");
    if let Some(list) = cache.as_ref().and_then(|c| serde_json::from_slice(&c.document(&kept_as)?).ok()) {
        return Ok(list);
    }
    if cache.as_ref().is_some_and(|c| c.options().offline) {
        let what = "the list of what lies below it".to_owned();
        return Err(SourceError::Offline { url: root.to_string(), what });
    }
    let mut entries = Vec::new();
    let (mut token, mut seen) = (None::<String>, HashSet::new());
    loop {
        let doors = store
            .list_doors(key, token.as_deref(), vars)
            .map_err(|(what, help)| SourceError::BadAddress { url: root.to_string(), what, help })?;
        if doors.is_empty() {
            return Err(bad("the list goes on at another host".into()));
        }
        let (body, link) = HttpSource::page(doors, &root.to_string(), vars.patience())?;
        let (found, next) = listing(store, &body, link.as_deref()).map_err(bad)?;
        for object in found {
            let Some(path) = object.key.strip_prefix(&prefix) else {
                return Err(bad(format!("the list names {:?}, which lies elsewhere", object.key)));
            };
            if path.is_empty() || (path.ends_with('/') && object.size == 0) {
                // The marker of a folder.
                continue;
            }
            if !is_below(path) {
                return Err(bad(format!("the list names {path:?}, which is no path of a file below it")));
            }
            let (size, modified, etag) = (object.size, object.modified, object.etag);
            entries.push(Entry { path: path.to_owned(), size, modified, etag, sha256: object.sha256 });
        }
        match next {
            None => break,
            Some(next) if seen.insert(next.clone()) && entries.len() < MOST => token = Some(next),
            Some(_) => return Err(bad("the list never ends".into())),
        }
    }
    if entries.is_empty() {
        return Err(SourceError::NotFound { url: root.to_string() });
    }
    entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    if let (Some(cache), Ok(text)) = (cache, serde_json::to_vec(&entries)) {
        cache.keep_document(&kept_as, &root.to_string(), &text);
    }
    Ok(entries)
}

/// Whether `path`, told by somebody else, names a file below the folder it is relative to, on every system.
#[must_use]
pub fn is_below(path: &str) -> bool {
    let part = |p: &str| !matches!(p, "" | "." | "..") && !p.contains(['\\', '\0', ':']);
    path.split('/').all(part)
}

fn list_folder(root: &Location) -> Result<Vec<Entry>, SourceError> {
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
                    let (size, modified) = (meta.len(), meta.modified().ok());
                    entries.push(Entry { path, size, modified, etag: None, sha256: None });
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
