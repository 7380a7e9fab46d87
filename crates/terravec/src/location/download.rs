//! Weights fetched on request: what would come from where, under which licence, and the fetching itself.
//!
//! A file appears in the cache whole and checked, or not at all. Nothing here is called unless a user asks for it.

use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use terravec_io::atomic::{PendingFile, folder_of};
use terravec_io::source::{Location, hex};

use super::LocationDataset;
use super::files::{Named, cache_path, check_cached, checksum, kept_path};
use crate::catalog::{Kind, WeightsRole};
use crate::dataset::OpenOptions;
use crate::error::{Error, Result};

/// Bytes asked for at a time.
const PIECE: u64 = 8 << 20;
/// A file larger than this is not what it should be; the largest published one has 0.9 GB.
const MAX_BYTES: u64 = 8 << 30;

/// A file to fetch.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Wanted {
    /// `network` or `database`.
    pub role: WeightsRole,
    /// Where it comes from.
    pub url: Location,
    /// Where it goes.
    pub path: PathBuf,
    /// Its size, where known beforehand.
    pub bytes: Option<u64>,
    /// Its SHA-256, where published.
    pub sha256: Option<String>,
    /// Its licence, where known.
    pub licence: Option<String>,
    /// Whether it is there already, whole and unchanged.
    pub present: bool,
}

/// A file that was fetched.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fetched {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, kept beside it.
    pub sha256: String,
}

/// The files that `spec` (`ID` or `ID@VARIANT`) is computed from. Fetches nothing.
///
/// # Errors
/// If the product is unknown or no location encoder, needs no weights, or nobody says where its files are.
pub fn wanted(spec: &str, options: &OpenOptions) -> Result<Vec<Wanted>> {
    let (product, variant) = options.catalog.resolve(spec)?;
    let named = Named { product: &product, variant: variant.as_ref() };
    if product.kind != Kind::Location {
        return Err(Error::open(
            format!(
                "{} is no location encoder; only the weights of those can be downloaded so far",
                product.id
            ),
            format!("`terravec products {}` says where it is published", product.id),
        ));
    }
    let files: Vec<_> = product.weights_of(variant.as_ref()).collect();
    if files.is_empty() {
        let hosts: Vec<&str> = product.hosts.iter().map(|h| h.url.as_str()).collect();
        return Err(if hosts.is_empty() {
            Error::open(format!("{} needs no weights", named.spec()), "use it as it is")
        } else {
            Error::open(
                format!("{}: the address of its weights is unknown", named.spec()),
                format!("look at {}, and open a copy as {}=WEIGHTS", hosts.join(" or "), product.id),
            )
        });
    }
    files
        .into_iter()
        .map(|file| {
            let path = cache_path(&product, file, options).ok_or_else(|| {
                Error::open("there is no cache folder", "name one with --cache-dir or TERRAVEC_CACHE_DIR")
            })?;
            let same = |sum: &String| file.sha256.as_ref().is_none_or(|published| published == sum);
            let whole = |sum: &String| check_cached(&path, sum, spec).is_ok();
            let present = path.is_file() && checksum(&path).is_ok_and(|sum| whole(&sum) && same(&sum));
            Ok(Wanted {
                role: file.role,
                url: Location::new(&*file.url),
                path,
                bytes: file.bytes,
                sha256: file.sha256.clone(),
                licence: product.weights_licence().map(str::to_owned),
                present,
            })
        })
        .collect()
}

/// Fetches one file into its place. `progress` is told bytes done and bytes in all.
///
/// # Errors
/// If the address can't be read, or size or checksum are not those published. Nothing is kept then.
pub fn fetch(wanted: &Wanted, progress: &dyn Fn(u64, u64)) -> Result<Fetched> {
    let source = wanted.url.open_uncached()?;
    let bytes = source.len()?;
    let url = source.url();
    let other = |what: String| {
        Error::open(
            format!("{url}: {what}"),
            "the file there is not the one that the catalog describes; nothing was kept",
        )
    };
    if let Some(published) = wanted.bytes.filter(|b| *b != bytes) {
        return Err(other(format!("the file has {bytes} bytes, not {published}")));
    }
    if bytes == 0 || bytes > MAX_BYTES {
        return Err(other(format!("a file of {bytes} bytes is no weights")));
    }
    let failed = || Error::write(&wanted.path);
    std::fs::create_dir_all(folder_of(&wanted.path)).map_err(failed())?;
    let part = PendingFile::create(&wanted.path).map_err(failed())?;
    let mut hash = Sha256::new();
    let mut done = 0;
    while done < bytes {
        let piece = source.read(done..(done + PIECE).min(bytes))?;
        part.file().write_all(&piece).map_err(failed())?;
        hash.update(&piece);
        done += piece.len() as u64;
        progress(done, bytes);
    }
    let sha256 = hex(&hash.finalize());
    if let Some(published) = wanted.sha256.as_ref().filter(|s| **s != sha256) {
        return Err(other(format!("the file has sha256 {sha256}, not {published}")));
    }
    // The checksum first: a file without one is not trusted.
    let kept = kept_path(&wanted.path);
    let record = PendingFile::create(&kept).map_err(Error::write(&kept))?;
    let name = wanted.path.file_name().unwrap_or_default().to_string_lossy();
    writeln!(record.file(), "{sha256}  {name}").map_err(Error::write(&kept))?;
    record.commit().map_err(Error::write(&kept))?;
    part.commit().map_err(failed())?;
    Ok(Fetched { path: wanted.path.clone(), bytes, sha256 })
}

/// Opens what was fetched for `spec`; takes the files `fetched` away again if they are no weights of it.
///
/// # Errors
/// What [`LocationDataset::open`] says.
pub fn check(spec: &str, fetched: &[Fetched], options: &OpenOptions) -> Result<()> {
    let opened = LocationDataset::open(spec, options);
    if opened.is_err() {
        let remove = |path: &Path| std::fs::remove_file(path).is_ok();
        for file in fetched {
            remove(&file.path);
            remove(&kept_path(&file.path));
        }
    }
    opened.map(|_| ())
}
