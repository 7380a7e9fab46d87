//! From what a user types to a dataset: a product id, `id=ROOT`, a path or a URL.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rayon::prelude::*;
use terravec_io::icechunk::At;
use terravec_io::source::{Entry, Location, SourceError};
use terravec_io::tiff::GeoTiff;

use super::file::Files;
use super::listing::Listing;
use super::product::{fingerprint, interval_of};
use super::reader::BlockCache;
use super::register::{List, Listed, Register};
use super::tile::Tile;
use super::{RasterDataset, aef_index, index, open_npy, own, recognise};
use crate::catalog::{Catalog, Descriptor, Variant};
use crate::error::{Error, Result};
use crate::time::Interval;

/// How a dataset is opened.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Products known.
    pub catalog: Arc<Catalog>,
    /// Where indexes are kept; absent: `$TERRAVEC_CACHE_DIR`, `$XDG_CACHE_HOME/terravec` or `~/.cache/terravec`.
    pub cache_dir: Option<PathBuf>,
    /// Bytes of decoded blocks that a raster keeps once they are read a second time, for many queries in one place; 0 keeps none.
    pub block_cache: usize,
    /// Numbers of a vector to read, the first so many, of products whose vectors may be cut short; all if absent.
    pub depth: Option<usize>,
    /// Which state of an Icechunk repository; the tip of `main` if absent.
    pub at: Option<At>,
}

impl OpenOptions {
    /// With the built-in catalog.
    #[must_use]
    pub fn new(catalog: Catalog) -> Self {
        Self { catalog: Arc::new(catalog), cache_dir: None, block_cache: 0, depth: None, at: None }
    }

    /// Where indexes are kept.
    #[must_use]
    pub fn cache(&self) -> Option<PathBuf> {
        Self::cache_of(self.cache_dir.as_ref())
    }

    /// The cache folder that is named, else the one that variables name, else the user's own.
    pub(crate) fn cache_of(named: Option<&PathBuf>) -> Option<PathBuf> {
        let env = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        named.cloned().or_else(|| env("TERRAVEC_CACHE_DIR")).or_else(|| {
            env("XDG_CACHE_HOME")
                .or_else(|| env("HOME").map(|h| h.join(".cache")))
                .map(|c| c.join("terravec"))
        })
    }
}

/// `ID=ROOT` as its two parts; a path or an address may have `=` in it, too.
pub(super) fn split_spec(spec: &str) -> (Option<&str>, &str) {
    match spec.split_once('=') {
        Some((id, root)) if !id.contains(['/', '\\']) && !Path::new(spec).exists() => (Some(id), root),
        _ => (None, spec),
    }
}

/// Opens the rasters at `root` as `product`, or as what they are taken for.
///
/// # Errors
/// If nothing is there, or it is no raster that the product describes.
pub(super) fn open_raster(
    listing: &Listing,
    product: Option<(Arc<Descriptor>, Option<Variant>)>,
    options: &OpenOptions,
) -> Result<RasterDataset> {
    let (root, catalog) = (listing.root().clone(), &options.catalog);
    if options.at.is_some() {
        return Err(Error::open(format!("{root}: this is no Icechunk repository"), "leave --at out"));
    }
    if let Some(depth) = options.depth {
        return Err(Error::open(
            format!("{root}: --depth {depth} is for Zarr stores of vectors that may be cut short"),
            "leave --depth out",
        ));
    }
    if open_npy::is_there(listing, product.as_ref().map(|(p, _)| p.as_ref()), catalog)? {
        return open_npy::open(listing, product, options);
    }
    let (product, variant) = product.map_or((None, None), |(p, v)| (Some(p), v));
    let version = variant.map(|v| v.id);
    let found = if let Some(path) = root.path().filter(|p| p.is_dir()) {
        folder(listing, path, product, options)?
    } else if root.file_name() == aef_index::NAME {
        let found = Opened::new(aef_index::read(&root.parent())?, require_aef(product, catalog)?);
        return Ok(dataset(found, version, root.parent(), Files::Tiff, options));
    } else if root.is_remote() && !is_tiff(root.file_name()) {
        remote(listing, product, options)?
    } else {
        single(&root, product, catalog)?
    };
    if found.tiles.is_empty() {
        return Err(Error::open(
            format!("{root}: no tile of {} in there", found.product.id),
            "check the folder",
        ));
    }
    Ok(dataset(found, version, root, Files::Tiff, options))
}

/// Opens the rasters that a catalogue names; each when it is needed.
///
/// # Errors
/// If the first few can't be read.
pub(super) fn open_items(
    root: Location,
    items: Vec<Listed>,
    product: Option<(Arc<Descriptor>, Option<Variant>)>,
    options: &OpenOptions,
) -> Result<RasterDataset> {
    let (product, variant) = product.map_or((None, None), |(p, v)| (Some(p), v));
    let first = items.first().map_or(String::new(), |l| l.path.clone());
    let found = recognised(&root.join(&first), product, &options.catalog)?;
    let register = Register::new(List::Items(items));
    let tile = register.any(|l| Files::Tiff.tile(&root, &l.path, &found.product))?;
    let found = Opened { tiles: vec![tile], ..found };
    let dataset = dataset(found, variant.map(|v| v.id), root, Files::Tiff, options);
    Ok(RasterDataset { register: Some(Arc::new(register)), ..dataset })
}

/// What was found where a dataset was said to be.
pub(super) struct Opened {
    pub(super) tiles: Vec<Tile>,
    pub(super) product: Arc<Descriptor>,
    pub(super) notes: Vec<String>,
    /// The version that the files say they are.
    pub(super) version: Option<String>,
}

impl Opened {
    fn new(tiles: Vec<Tile>, product: Arc<Descriptor>) -> Self {
        Self { tiles, product, notes: Vec::new(), version: None }
    }
}

/// The dataset of what was found; `version` as asked for.
pub(super) fn dataset(
    found: Opened,
    version: Option<String>,
    root: Location,
    files: Files,
    options: &OpenOptions,
) -> RasterDataset {
    RasterDataset {
        product: found.product,
        version: found.version.or(version),
        root,
        tiles: Arc::new(found.tiles),
        files: Arc::new(files),
        notes: found.notes,
        open: Arc::new(Mutex::new(VecDeque::new())),
        blocks: Arc::new(BlockCache::patient(options.block_cache)),
        register: None,
        narrowed: false,
    }
}

fn require_aef(product: Option<Arc<Descriptor>>, catalog: &Catalog) -> Result<Arc<Descriptor>> {
    match product {
        Some(p) => Ok(p),
        None => Ok(catalog.get("alphaearth")?),
    }
}

pub(super) fn is_tiff(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, ext)| ["tif", "tiff"].contains(&ext.to_ascii_lowercase().as_str()))
}

pub(super) fn not_found(spec: &str, catalog: &Catalog) -> Error {
    match catalog.get(spec.split('@').next().unwrap_or(spec)) {
        Ok(product) => {
            let hosts: Vec<&str> = product.hosts.iter().map(|h| h.url.as_str()).collect();
            let hosts = if hosts.is_empty() { "see its page".to_string() } else { hosts.join(", ") };
            Error::open(
                format!("product {} needs to be told where it is", product.id),
                format!(
                    "give a copy as `{}=FOLDER` or `{}=URL`; it is published at {hosts}",
                    product.id, product.id
                ),
            )
        }
        Err(_) => Error::open(
            format!("{spec}: there is no such file or folder, and no product of that name"),
            "`terravec products` lists the products; a copy of one is opened as ID=FOLDER",
        ),
    }
}

pub(super) fn tile_of(
    path: &str,
    location: &Location,
    tiff: &GeoTiff,
    product: &Descriptor,
    size: u64,
    modified_ms: i64,
) -> Result<Tile> {
    let grid = tiff.grid().ok_or_else(|| {
        Error::open(
            format!(
                "{location}: the file has no usable georeference{}",
                tiff.georeference_problem().map_or(String::new(), |p| format!(" ({p})"))
            ),
            "give it one (for example with `gdal_edit.py -a_srs … -a_ullr …`)",
        )
    })?;
    let lonlat = grid.lonlat_bbox().map_err(Error::geo(location.to_string()))?;
    let own = || match own::of_tiff(tiff)?.years[..] {
        [year] => Some(Interval::year(year)),
        _ => None,
    };
    let named = interval_of(product, if path.is_empty() { location.without_query() } else { path });
    Ok(Tile {
        path: path.to_string(),
        step: 0,
        grid: grid.clone(),
        lonlat,
        interval: named.or_else(own),
        bands: tiff.bands(),
        dtype: tiff.dtype(),
        size,
        modified_ms,
    })
}

fn single(root: &Location, product: Option<Arc<Descriptor>>, catalog: &Catalog) -> Result<Opened> {
    let src = root.open()?;
    let size = src.len()?;
    let tiff = GeoTiff::open(src)?;
    let (product, note) = match product {
        Some(p) => (p, None),
        None => recognise::product_of(root.file_name(), &tiff, catalog)?,
    };
    crate::codec::Decoder::new(&product, tiff.bands(), tiff.dtype(), tiff.nodata())
        .map_err(Error::codec(root.to_string()))?;
    let tile = tile_of("", root, &tiff, &product, size, 0)?;
    let version = own::of_tiff(&tiff).and_then(|own| own.version);
    Ok(Opened { version, notes: note.into_iter().collect(), ..Opened::new(vec![tile], product) })
}

fn folder(
    listing: &Listing,
    path: &Path,
    product: Option<Arc<Descriptor>>,
    options: &OpenOptions,
) -> Result<Opened> {
    let root = listing.root();
    if path.join(aef_index::NAME).is_file() {
        let product = require_aef(product, &options.catalog)?;
        let notes = vec![format!("tiles taken from {}", aef_index::NAME)];
        return Ok(Opened { notes, ..Opened::new(aef_index::read(root)?, product) });
    }
    let cache = options.cache();
    // A folder opened as another product, or after its descriptor changed, is another index.
    let known = |product: &Descriptor| index::load(cache.as_ref()?, path, &fingerprint(product));
    if let Some(product) = &product
        && let Some(tiles) = known(product)
    {
        return Ok(Opened::new(tiles, Arc::clone(product)));
    }
    let files: Vec<&Entry> = listing.entries()?.iter().filter(|e| is_tiff(&e.path)).collect();
    let Some(first) = files.first() else {
        return Err(Error::open(
            format!("{root}: there is no GeoTIFF in this folder"),
            "open a folder of .tif or .tiff files, or name the file",
        ));
    };
    let opened = recognised(&root.join(&first.path), product, &options.catalog)?;
    if let Some(tiles) = known(&opened.product) {
        return Ok(Opened { tiles, ..opened });
    }
    let tiles = headers(root, &files, &opened.product)?;
    if let Some(cache) = &cache {
        index::store(cache, path, &fingerprint(&opened.product), &tiles);
    }
    Ok(Opened { tiles, ..opened })
}

/// Files of a store that are opened one by one, to see what they are: each costs a request.
const MOST_HEADERS: usize = 5000;
/// Headers that are waited for at a time.
const HEADERS_AT_ONCE: usize = 32;

/// Refuses to open so many files of a store as `files`.
///
/// # Errors
/// If there are none or too many.
pub(super) fn check_few(root: &Location, files: usize, what: &str) -> Result<()> {
    if (1..=MOST_HEADERS).contains(&files) {
        return Ok(());
    }
    Err(Error::open(
        format!("{root}: there are {files} {what} below it, and no index of them"),
        format!("name a folder that holds some, at most {MOST_HEADERS}, or one file"),
    ))
}

/// Does something with every file of a store, many at a time: waiting for a host needs no processor.
pub(crate) fn at_once<T: Sync, R: Send>(files: &[T], each: impl Fn(&T) -> R + Sync + Send) -> Result<Vec<R>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(HEADERS_AT_ONCE.min(files.len().max(1))).build();
    let pool = pool.map_err(|e| Error::open(format!("can't start threads: {e}"), "try again"))?;
    Ok(pool.install(|| files.par_iter().map(each).collect()))
}

/// A place on the web: an index says what is there, else, in a store, the list of its files.
fn remote(listing: &Listing, product: Option<Arc<Descriptor>>, options: &OpenOptions) -> Result<Opened> {
    let root = listing.root();
    let indexed =
        |p: &Descriptor| p.tiles.as_ref().is_some_and(|t| t.index.iter().any(|i| i == aef_index::NAME));
    if product.as_ref().is_none_or(|p| indexed(p)) || !root.is_listable() {
        match aef_index::read(root) {
            Err(e) if e.of_source().is_some_and(SourceError::is_absence) && root.is_listable() => {}
            read => return Ok(Opened::new(read?, require_aef(product, &options.catalog)?)),
        }
    }
    let files: Vec<&Entry> = listing.entries()?.iter().filter(|e| is_tiff(&e.path)).collect();
    check_few(root, files.len(), "GeoTIFFs")?;
    let opened = recognised(&root.join(&files[0].path), product, &options.catalog)?;
    let tiles = headers(root, &files, &opened.product)?;
    Ok(Opened { tiles, ..opened })
}

/// What the files of a folder are, by one of them, before their tiles are known.
fn recognised(first: &Location, product: Option<Arc<Descriptor>>, catalog: &Catalog) -> Result<Opened> {
    if let Some(product) = product {
        return Ok(Opened::new(Vec::new(), product));
    }
    let tiff = GeoTiff::open(first.open()?)?;
    let (product, note) = recognise::product_of(first.file_name(), &tiff, catalog)?;
    let version = own::of_tiff(&tiff).and_then(|own| own.version);
    Ok(Opened { version, notes: note.into_iter().collect(), ..Opened::new(Vec::new(), product) })
}

/// The tiles of `files`, by their headers.
fn headers(root: &Location, files: &[&Entry], product: &Descriptor) -> Result<Vec<Tile>> {
    let open = |e: &&Entry| {
        let location = root.join(&e.path);
        let tiff = GeoTiff::open(location.open()?)?;
        crate::codec::Decoder::new(product, tiff.bands(), tiff.dtype(), tiff.nodata())
            .map_err(Error::codec(location.to_string()))?;
        tile_of(&e.path, &location, &tiff, product, e.size, index::time_ms(e.modified))
    };
    let tiles: Vec<Result<Tile>> = match root.is_remote() {
        true => at_once(files, open)?,
        false => files.par_iter().map(open).collect(),
    };
    let tiles = tiles.into_iter().collect::<Result<Vec<_>>>()?;
    uniform(root, &tiles)?;
    Ok(tiles)
}

/// Refuses a folder whose files store different things.
pub(super) fn uniform(root: &Location, tiles: &[Tile]) -> Result<()> {
    let mut kinds: BTreeMap<(usize, &str), &str> = BTreeMap::new();
    for t in tiles {
        kinds.entry((t.bands, t.dtype.name())).or_insert(&t.path);
    }
    if kinds.len() > 1 {
        let list: Vec<_> = kinds.iter().map(|((b, d), p)| format!("{p}: {b} bands of {d}")).collect();
        return Err(Error::open(
            format!("{root}: the files differ in bands or type ({})", list.join("; ")),
            "keep one product, in one layout, in a folder",
        ));
    }
    Ok(())
}
