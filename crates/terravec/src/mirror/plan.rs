//! Which files a mirror wants, from where, and how large they are. Reads indexes and sizes, no file.

use std::path::{Path, PathBuf};

use terravec_io::source::{self, Location, SourceError, is_below};

use super::ledger::Ledger;
use crate::dataset::files::{Stored, StoredFile};
use crate::dataset::{Dataset, RasterDataset, at_once};
use crate::error::{Error, Result};
use crate::patch::PatchDataset;
use crate::query::extract::Area;
use crate::time::Years;

/// Files that are asked one by one how large they are; of more, a store's list says so.
const ASKED: usize = 2000;

/// What to mirror, and where to.
#[derive(Debug, Clone)]
pub struct MirrorRequest {
    /// Files that touch it.
    pub area: Area,
    /// Files of these years.
    pub years: Years,
    /// The folder of the mirror.
    pub folder: PathBuf,
    /// Replace files that are there and were not fetched by a mirror.
    pub force: bool,
}

/// A file to mirror.
#[derive(Debug, Clone, serde::Serialize)]
pub struct MirrorFile {
    /// Relative to the mirror, and to where it comes from.
    pub path: String,
    /// Where it comes from.
    pub url: Location,
    /// Its size.
    pub bytes: u64,
    /// The SHA-256 that a store's list publishes.
    pub sha256: Option<String>,
    /// Whether it is there already.
    pub present: bool,
    /// Whether the host may lack it.
    #[serde(skip)]
    pub(super) optional: bool,
}

/// The files of a mirror.
#[derive(Debug, Clone, serde::Serialize)]
pub struct MirrorPlan {
    /// Product id.
    pub product: String,
    /// Its licence.
    pub licence: Option<String>,
    /// The files, those that are there included.
    pub files: Vec<MirrorFile>,
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes of the files that are not there.
    pub missing_bytes: u64,
    pub(super) folder: PathBuf,
    pub(super) force: bool,
    /// Of a store of arrays: chunks that it does not have.
    #[serde(skip)]
    pub(super) absent: Option<Vec<String>>,
    /// Where the index of the tiles is, which goes along with the rows of the files that are there.
    #[serde(skip)]
    pub(super) index: Option<Location>,
}

/// The files of `dataset` that `request` asks for.
///
/// # Errors
/// If nothing lies there, the dataset is not made of files that can be mirrored, or sizes can't be had.
pub fn plan(dataset: &Dataset, request: &MirrorRequest) -> Result<MirrorPlan> {
    let (stored, index) = match dataset {
        Dataset::Raster(d) => of_raster(d, request)?,
        Dataset::Patch(d) => (of_table(d, request)?, None),
        Dataset::Location(d) => {
            return Err(Error::query(
                format!("{} is computed, and has no files of a region", d.product().id),
                "`terravec download ID` fetches its weights; leave -o, --bbox and --year out",
            ));
        }
    };
    for path in stored.files.keys() {
        if !is_below(path) || path.split('/').next() == Some(super::OWN) {
            return Err(Error::open(
                format!("{}: {path:?} is no path of a file below it", stored.base),
                "the index or list that names it is damaged, or means harm: tell its publisher",
            ));
        }
    }
    let ledger = Ledger::open(&request.folder)?;
    let chunks = stored.chunks;
    let (mut files, mut absent) = (Vec::new(), Vec::new());
    for (path, found) in sized(stored, &ledger, &request.folder)? {
        match found {
            Some(file) => files.push(file),
            None if chunks => absent.push(path),
            None => {}
        }
    }
    let product = dataset.product();
    let sum = |present: bool| files.iter().filter(|f| present || !f.present).map(|f| f.bytes).sum();
    Ok(MirrorPlan {
        product: product.id.clone(),
        licence: product.licence.clone(),
        bytes: sum(true),
        missing_bytes: sum(false),
        files,
        folder: request.folder.clone(),
        force: request.force,
        absent: chunks.then_some(absent),
        index,
    })
}

fn of_raster(d: &RasterDataset, request: &MirrorRequest) -> Result<(Stored, Option<Location>)> {
    let stored = d.stored_files(&request.area, &request.years)?;
    let index = d.product().tiles.as_ref().is_some_and(|t| t.index.iter().any(|i| i == super::index::NAME));
    let index = (index && stored.base == *d.root()).then(|| d.root().join(super::index::NAME));
    Ok((stored, index))
}

fn of_table(d: &PatchDataset, request: &MirrorRequest) -> Result<Stored> {
    let files = d.coverage(&request.area, &request.years)?;
    if files.is_empty() {
        return Err(Error::Outside { what: "no file lies there".into(), covered: d.covered() });
    }
    let mut stored: Vec<StoredFile> =
        files.iter().map(|f| StoredFile::new(d.root().join(&f.path), None)).collect();
    if let (Some(name), true) = (d.manifest(), files.iter().all(|f| !f.path.is_empty())) {
        // A folder of tables does without its manifest.
        stored.push(StoredFile { optional: true, ..StoredFile::new(d.root().join(name), None) });
    }
    Ok(Stored::below(d.root(), stored, false))
}

/// How large the files are, `None` for those that may be missing and are. Those that are there are not asked about.
fn sized(stored: Stored, ledger: &Ledger, folder: &Path) -> Result<Vec<(String, Option<MirrorFile>)>> {
    let Stored { base, files, .. } = stored;
    let here = |path: &str| {
        let line = ledger.get(path)?;
        let size = folder.join(path).metadata().ok().filter(std::fs::Metadata::is_file)?.len();
        (size == line.size).then_some((size, line))
    };
    let listed = match files.len() > ASKED && base.is_remote() && base.is_listable() {
        true if files.values().any(|f| f.bytes.is_none()) => Some(source::list(&base)?),
        _ => None,
    };
    let ask = |(path, stored): &(String, StoredFile)| -> Result<(String, Option<MirrorFile>)> {
        let url = stored.location.clone();
        let optional = stored.optional;
        let file = |bytes: u64, sha256: Option<String>, present: bool| {
            Some(MirrorFile { url: url.clone(), path: path.clone(), bytes, sha256, present, optional })
        };
        let have = here(path);
        let found = match (have, stored.bytes, &listed) {
            (Some((bytes, _)), ..) if !stored.changes => file(bytes, None, true),
            (_, Some(bytes), _) => file(bytes, None, false),
            (None, None, Some(list)) => match list.binary_search_by(|e| e.path.as_str().cmp(path)) {
                Ok(i) => file(list[i].size, list[i].sha256.clone(), false),
                Err(_) if stored.optional => None,
                Err(_) => return Err(SourceError::NotFound { url: url.to_string() }.into()),
            },
            (have, ..) => {
                let source = url.open_uncached()?;
                match source.read(0..1) {
                    // An empty file has no first byte.
                    Ok(_) | Err(SourceError::BeyondEnd { .. }) => {
                        let state = source.fingerprint()?;
                        let same = have.is_some_and(|(_, line)| {
                            line.size == state.size
                                && state.version.is_some()
                                && line.version == state.version
                        });
                        file(state.size, None, same)
                    }
                    Err(SourceError::NotFound { .. }) if stored.optional => None,
                    Err(e) => return Err(e.into()),
                }
            }
        };
        Ok((path.clone(), found))
    };
    let files: Vec<(String, StoredFile)> = files.into_iter().collect();
    at_once(&files, ask)?.into_iter().collect()
}
