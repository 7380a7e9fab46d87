//! Which files a mirror wants, from where, and how large they are. Reads indexes and sizes, no file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use terravec_io::source::{self, Location, SourceError, is_below};

use super::ledger::Ledger;
use crate::dataset::{Dataset, RasterDataset};
use crate::error::{Error, Result};
use crate::patch::PatchDataset;
use crate::query::bounds_of;
use crate::query::extract::Area;
use crate::time::Years;

/// Files that are asked one by one how large they are; of more, a store's list says so.
const ASKED: usize = 2000;
/// Questions in flight.
const AT_ONCE: usize = 32;

/// What to mirror, and where to.
#[derive(Debug, Clone)]
pub struct MirrorRequest {
    /// Files that touch its box.
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
    /// Where the index of the tiles is, which goes along with the rows of the files that are there.
    #[serde(skip)]
    pub(super) index: Option<Location>,
}

/// The files of `dataset` that `request` asks for.
///
/// # Errors
/// If nothing lies there, the dataset is not made of files that can be mirrored, or sizes can't be had.
pub fn plan(dataset: &Dataset, request: &MirrorRequest) -> Result<MirrorPlan> {
    let (root, paths, index) = match dataset {
        Dataset::Raster(d) => of_raster(d, request)?,
        Dataset::Patch(d) => of_table(d, request)?,
        Dataset::Location(d) => {
            return Err(Error::query(
                format!("{} is computed, and has no files of a region", d.product().id),
                "`terravec download ID` fetches its weights; leave -o, --bbox and --year out",
            ));
        }
    };
    for path in &paths {
        if !is_below(path) || path.split('/').next() == Some(super::OWN) {
            return Err(Error::open(
                format!("{root}: {path:?} is no path of a file below it"),
                "the index or list that names it is damaged, or means harm: tell its publisher",
            ));
        }
    }
    let ledger = Ledger::open(&request.folder)?;
    let files = sized(&root, dataset, paths, &ledger, &request.folder)?;
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
        index,
    })
}

type Wanted = (Location, Vec<String>, Option<Location>);

fn of_raster(d: &RasterDataset, request: &MirrorRequest) -> Result<Wanted> {
    if !d.is_of_single_files() {
        return Err(Error::query(
            format!("{}: its tiles are of several files each, which can't be mirrored yet", d.product().id),
            "fetch the folder with the tools of its host, and open the copy",
        ));
    }
    let (area, mut ids) = (bounds_of(&request.area)?, Vec::new());
    for period in d.periods(&request.years)? {
        ids.extend(d.select(period, area.as_ref()));
    }
    if let (true, Some(area)) = (ids.is_empty(), &area) {
        return Err(d.nothing_there(area, "no tile lies there"));
    }
    let paths: BTreeSet<String> = ids.iter().map(|&i| d.tiles()[i].path.clone()).collect();
    let index = d.product().tiles.as_ref().is_some_and(|t| t.index.iter().any(|i| i == super::index::NAME));
    let index = (index && paths.iter().all(|p| !p.is_empty())).then(|| d.root().join(super::index::NAME));
    let (root, paths) = named(d.root(), paths);
    Ok((root, paths, index))
}

fn of_table(d: &PatchDataset, request: &MirrorRequest) -> Result<Wanted> {
    let files = d.coverage(bounds_of(&request.area)?.as_ref(), &request.years)?;
    if files.is_empty() {
        return Err(Error::Outside { what: "no file lies there".into(), covered: d.covered() });
    }
    let mut paths: BTreeSet<String> = files.into_iter().map(|f| f.path).collect();
    if let (Some(name), false) = (d.manifest(), paths.contains("")) {
        paths.insert(name.to_owned());
    }
    let (root, paths) = named(d.root(), paths);
    Ok((root, paths, None))
}

/// A dataset of one file is the root itself: it goes by its own name.
fn named(root: &Location, paths: BTreeSet<String>) -> (Location, Vec<String>) {
    if paths.iter().all(String::is_empty) {
        return (root.parent(), vec![root.file_name().to_owned()]);
    }
    (root.clone(), paths.into_iter().collect())
}

/// How large the files are: those that are there are not asked about.
fn sized(
    root: &Location,
    dataset: &Dataset,
    paths: Vec<String>,
    ledger: &Ledger,
    folder: &Path,
) -> Result<Vec<MirrorFile>> {
    let here = |path: &str| {
        let line = ledger.get(path)?;
        let size = folder.join(path).metadata().ok().filter(std::fs::Metadata::is_file)?.len();
        (size == line.size).then_some(size)
    };
    let file = |path: String, bytes: u64, sha256: Option<String>, present: bool| MirrorFile {
        url: root.join(&path),
        path,
        bytes,
        sha256,
        present,
    };
    if paths.len() > ASKED && root.is_remote() && root.is_listable() {
        let listed = source::list(root)?;
        let find =
            |path: &String| listed.binary_search_by(|e| e.path.as_str().cmp(path)).ok().map(|i| &listed[i]);
        return paths
            .into_iter()
            .map(|path| match find(&path) {
                Some(e) => {
                    let present = here(&path).is_some();
                    Ok(file(path, e.size, e.sha256.clone(), present))
                }
                None => Err(SourceError::NotFound { url: root.join(&path).to_string() }.into()),
            })
            .collect();
    }
    let manifest = match dataset {
        Dataset::Patch(d) => d.manifest(),
        _ => None,
    };
    let ask = |path: String| -> Result<Option<MirrorFile>> {
        if let Some(bytes) = here(&path) {
            return Ok(Some(file(path, bytes, None, true)));
        }
        let source = root.join(&path).open_uncached()?;
        match source.read(0..1) {
            // An empty file has no first byte.
            Ok(_) | Err(SourceError::BeyondEnd { .. }) => {}
            // A folder of tables does without its manifest.
            Err(SourceError::NotFound { .. }) if manifest == Some(path.as_str()) => return Ok(None),
            Err(e) => return Err(e.into()),
        }
        let bytes = source.len()?;
        Ok(Some(file(path, bytes, None, false)))
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(AT_ONCE.min(paths.len().max(1))).build();
    let pool = pool.map_err(|e| Error::open(format!("can't start threads: {e}"), "try again"))?;
    let files: Vec<Result<Option<MirrorFile>>> = pool.install(|| paths.into_par_iter().map(ask).collect());
    Ok(files.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}
