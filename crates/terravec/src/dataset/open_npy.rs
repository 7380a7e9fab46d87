//! From a folder or a file to a dataset of NumPy tiles.

use std::sync::Arc;

use rayon::prelude::*;
use terravec_io::source::{Entry, Location, SourceError};

use super::file::Files;
use super::listing::Listing;
use super::npy::NpyTile;
use super::npy_layout::Layout;
use super::open::{OpenOptions, Opened, at_once, check_few, dataset, uniform};
use super::own::{self, Sidecar};
use super::product::{fingerprint, generic, interval_of, is_npy};
use super::register::{List, Manifest, Register};
use super::tile::Tile;
use super::{RasterDataset, index};
use crate::catalog::{Catalog, Descriptor, Variant};
use crate::codec::Decoder;
use crate::error::{Error, Result};
use crate::time::Interval;

fn is_npy_name(name: &str) -> bool {
    name.ends_with(".npy")
}

/// Whether NumPy tiles are to be looked for at `root`.
pub(super) fn is_there(listing: &Listing, product: Option<&Descriptor>, catalog: &Catalog) -> Result<bool> {
    let root = listing.root();
    if is_npy_name(root.file_name()) {
        return Ok(true);
    }
    if product.is_some() || !root.path().is_some_and(std::path::Path::is_dir) {
        return Ok(product.is_some_and(is_npy));
    }
    let named = |path: &str| is_npy_name(path) && catalog.recognise(path).iter().any(|d| is_npy(d));
    Ok(listing.entries()?.iter().any(|e| named(&e.path)))
}

/// Opens them.
///
/// # Errors
/// If there are none, they are of several versions, or what they need beside them is missing.
pub(super) fn open(
    listing: &Listing,
    product: Option<(Arc<Descriptor>, Option<Variant>)>,
    options: &OpenOptions,
) -> Result<RasterDataset> {
    let (root, catalog) = (listing.root().clone(), &options.catalog);
    let (product, asked) = product.map_or((None, None), |(p, v)| (Some(p), v));
    if is_npy_name(root.file_name()) {
        let named = || catalog.recognise(root.without_query()).into_iter().find(|d| is_npy(d));
        return match product.filter(|p| is_npy(p)).or_else(named) {
            Some(product) => single(root, product, asked.as_ref(), options),
            None => own_file(root, options),
        };
    }
    folder(listing, product, asked.as_ref(), options)
}

/// The variant that a folder on the way to `path` is named after.
fn variant_of<'a>(path: &str, product: &'a Descriptor) -> Option<&'a Variant> {
    let mut folders = path.rsplit(['/', '\\']);
    folders.find_map(|part| product.variants.iter().find(|v| v.path.as_deref() == Some(part)))
}

/// The variant that was asked for, or that the path is of.
///
/// # Errors
/// If the two differ.
fn agreed(
    root: &Location,
    path: &str,
    product: &Descriptor,
    asked: Option<&Variant>,
) -> Result<Option<Variant>> {
    let found = variant_of(path, product);
    match (asked, found) {
        (Some(a), Some(f)) if a.id != f.id => Err(Error::open(
            format!("{root}: these are tiles of {}@{}, not of {}@{}", product.id, f.id, product.id, a.id),
            "variants never mix: name the one that is there",
        )),
        (asked, found) => Ok(asked.or(found).cloned()),
    }
}

fn single(
    root: Location,
    product: Arc<Descriptor>,
    asked: Option<&Variant>,
    options: &OpenOptions,
) -> Result<RasterDataset> {
    let variant = agreed(&root, root.without_query(), &product, asked)?;
    let layout = Layout::of_product(&root, &product, variant.as_ref())?;
    if !layout.is_tile(root.without_query()) {
        return Err(Error::open(
            format!("{root} holds the scales of a tile"),
            "name the file with the codes",
        ));
    }
    let file = layout.open(&root, &product, 0)?;
    let mut tile = tile_of(&file, "", &root, &product)?;
    tile.interval = interval_of(&product, root.without_query());
    let found = Opened { tiles: vec![tile], product, notes: Vec::new(), version: None };
    Ok(dataset(found, variant.map(|v| v.id), root, Files::Npy(layout), options))
}

fn folder(
    listing: &Listing,
    product: Option<Arc<Descriptor>>,
    asked: Option<&Variant>,
    options: &OpenOptions,
) -> Result<RasterDataset> {
    let root = listing.root().clone();
    if let Some(product) = product.as_ref().filter(|_| root.is_remote())
        && let Some(dataset) = registered(&root, product, asked, options)?
    {
        return Ok(dataset);
    }
    let mut files: Vec<&Entry> = listing.entries()?.iter().filter(|e| is_npy_name(&e.path)).collect();
    let product = match product {
        Some(product) => product,
        None => {
            let mut named = files.iter().flat_map(|e| options.catalog.recognise(&e.path));
            named.find(|d| is_npy(d)).ok_or_else(|| {
                Error::open(
                    format!("{root}: no NumPy tile of a known product in there"),
                    "name the product: ID=FOLDER",
                )
            })?
        }
    };
    let is_named = |path: &str| product.tiles.as_ref().is_some_and(|t| t.parse(path).is_some());
    files.retain(|e| is_named(&e.path));
    // Folders of several variants side by side: the one asked for, or refuse.
    let mut variants: Vec<&str> =
        files.iter().filter_map(|e| variant_of(&e.path, &product).map(|v| v.id.as_str())).collect();
    variants.sort_unstable();
    variants.dedup();
    if let (Some(asked), false) = (asked, variants.is_empty()) {
        files.retain(|e| variant_of(&e.path, &product).is_none_or(|v| v.id == asked.id));
    } else if let [first, _, ..] = variants[..] {
        return Err(Error::open(
            format!(
                "{root} holds tiles of several variants ({}), whose vectors are not comparable",
                variants.join(", ")
            ),
            format!("name one of them: {}@{first}={root}", product.id),
        ));
    }
    let below = files.first().map_or("", |e| e.path.as_str());
    let whole =
        format!("{}/{below}", root.path().and_then(|p| p.canonicalize().ok()).unwrap_or_default().display());
    let variant = agreed(&root, &whole, &product, asked)?;
    let version = variant.as_ref().map(|v| v.id.clone());
    let layout = Layout::of_product(&root, &product, variant.as_ref())?;
    files.retain(|e| layout.is_tile(&e.path));
    let fingerprint = format!("{} {version:?}", fingerprint(&product));
    let cache = options.cache().zip(root.path());
    if let Some((cache, path)) = &cache
        && let Some(tiles) = index::load(cache, path, &fingerprint)
    {
        let found = Opened { tiles, product, notes: Vec::new(), version: None };
        return Ok(dataset(found, version, root, Files::Npy(layout), options));
    }
    let open_one = |e: &&Entry| -> Result<Tile> {
        let location = root.join(&e.path);
        let file = layout.open(&location, &product, 0)?;
        let tile = tile_of(&file, &e.path, &location, &product)?;
        Ok(Tile { size: e.size, modified_ms: index::time_ms(e.modified), ..tile })
    };
    let read = if root.is_remote() {
        check_few(&root, files.len(), "tiles")?;
        at_once(&files, open_one)?
    } else {
        files.par_iter().map(open_one).collect()
    };
    let (mut tiles, mut left_out) = (Vec::new(), Vec::new());
    for tile in read {
        match tile {
            Ok(tile) => tiles.push(tile),
            // A tile without its scales or its place is no tile; the rest of the archive is none the worse.
            Err(e @ Error::Open { .. }) => left_out.push(e),
            Err(e) => return Err(e),
        }
    }
    if tiles.is_empty() {
        return Err(left_out.into_iter().next().unwrap_or_else(|| {
            Error::open(format!("{root}: no tile of {} in there", product.id), "check the folder")
        }));
    }
    let notes = left_out.first().map(|e| {
        format!("{} of {} tiles can't be read and were left out; the first: {e}", left_out.len(), files.len())
    });
    uniform(&root, &tiles)?;
    if let (Some((cache, path)), None) = (&cache, &notes) {
        index::store(cache, path, &fingerprint, &tiles);
    }
    let found = Opened { tiles, product, notes: notes.into_iter().collect(), version: None };
    Ok(dataset(found, version, root, Files::Npy(layout), options))
}

/// The dataset that a manifest lists; `None` where there is no manifest. Files of a local folder say better what is there.
fn registered(
    root: &Location,
    product: &Arc<Descriptor>,
    asked: Option<&Variant>,
    options: &OpenOptions,
) -> Result<Option<RasterDataset>> {
    let Some(spec) = product.tiles.as_ref().and_then(|t| t.manifest.as_ref()) else { return Ok(None) };
    let variant = agreed(root, root.without_query(), product, asked)?;
    let manifest = match Manifest::open(&root.join(&spec.file), product, spec, variant.as_ref()) {
        Err(e) if e.of_source().is_some_and(SourceError::is_absence) => {
            return match root.is_listable() {
                true => Ok(None),
                false => Err(Error::open(
                    format!("{root}: there is no {} here, which lists the tiles", spec.file),
                    "name the folder of one variant, as its publisher has it; plain web addresses can't be listed",
                )),
            };
        }
        read => read?,
    };
    let (manifest, named) = manifest;
    let named = named.and_then(|id| product.variants.iter().find(|v| v.id == id));
    let variant = variant.as_ref().or(named);
    let layout = Layout::of_product(root, product, variant)?;
    let version = variant.map(|v| v.id.clone());
    let register = Register::new(List::Manifest(manifest));
    let files = Files::Npy(layout);
    let first = register.any(|l| files.tile(root, &l.path, product))?;
    let notes = vec![format!("tiles taken from {}", spec.file)];
    let found = Opened { tiles: vec![first], product: Arc::clone(product), notes, version };
    let dataset = dataset(found, None, root.clone(), files, options);
    Ok(Some(RasterDataset { register: Some(Arc::new(register)), ..dataset }))
}

/// An array that we wrote, by the JSON file beside it: a tile per year.
fn own_file(root: Location, options: &OpenOptions) -> Result<RasterDataset> {
    let sidecar = Sidecar::beside(&root)?;
    let years = if sidecar.years.is_empty() { vec![None] } else { sidecar.years.clone() };
    let (nodata, own) = (sidecar.nodata, sidecar.provenance.clone());
    let layout = Layout::Own(Box::new(sidecar));
    // Any descriptor will do to open the file; which one it is depends on what it holds.
    let any = generic(1, terravec_io::DType::F32, "\"identity\"")?;
    let file = layout.open(&root, &any, 0)?;
    let (bands, dtype) = (file.bands(), file.dtype());
    let known = own.as_ref().and_then(|own| own::product_of(own, bands, dtype, nodata, &options.catalog));
    let (product, notes) = match known {
        Some(product) => (product, Vec::new()),
        None => {
            let codec = if dtype.is_float() {
                "\"identity\""
            } else {
                "{ unknown = { reason = \"the file holds integers and states no scale\" } }"
            };
            (
                generic(bands, dtype, codec)?,
                vec!["no product recognised; opened as a plain raster".to_string()],
            )
        }
    };
    Decoder::new(&product, bands, dtype, nodata).map_err(Error::codec(root.to_string()))?;
    let one = tile_of(&file, "", &root, &product)?;
    let tiles = years.iter().enumerate().map(|(step, year)| Tile {
        step,
        interval: year.map(Interval::year),
        ..one.clone()
    });
    let version = own.and_then(|own| own.version);
    let found = Opened { tiles: tiles.collect(), product, notes, version };
    Ok(dataset(found, None, root, Files::Npy(layout), options))
}

pub(super) fn tile_of(file: &NpyTile, path: &str, location: &Location, product: &Descriptor) -> Result<Tile> {
    Decoder::new(product, file.bands(), file.dtype(), file.nodata())
        .map_err(Error::codec(location.to_string()))?;
    Ok(Tile {
        path: path.to_owned(),
        step: 0,
        grid: file.grid().clone(),
        lonlat: file.grid().lonlat_bbox().map_err(Error::geo(location.to_string()))?,
        interval: interval_of(product, path),
        bands: file.bands(),
        dtype: file.dtype(),
        size: 0,
        modified_ms: 0,
    })
}
