//! A Zarr store as a dataset: one tile per grid and year.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;
use terravec_io::icechunk::Icechunk;
use terravec_io::source::Location;
use terravec_io::zarr::{self, Array, Group, Node, ZarrError};

use super::RasterDataset;
use super::file::Files;
use super::open::{OpenOptions, Opened, dataset};
use super::tile::Tile;
use super::zarr::{Axes, ZarrGrid, ZarrTile};
use super::zarr_place::{self as place, Scope};
use super::zarr_product::{self as product, Stored};
use crate::catalog::{CodecSpec, Descriptor, Format, Variant};
use crate::codec::Decoder;
use crate::error::{Error, Result};
use crate::time::Interval;

/// The array of vectors, by the name that stores give it; a store with one raster array needs no name.
const VECTORS: &str = "embeddings";
/// Groups below the root that are looked into.
const MAX_DEPTH: usize = 2;

/// The grids of a store, by the path of their group.
pub(crate) type Grids = BTreeMap<String, Arc<ZarrGrid>>;

/// Whether a local folder is a Zarr store, by the files in it.
pub(super) fn is_there(root: &Location) -> bool {
    let marks = ["zarr.json", ".zgroup", ".zarray", ".zmetadata"];
    root.path().is_some_and(|p| p.is_dir() && marks.iter().any(|m| p.join(m).is_file()))
}

/// Whether an address may be that of a store: by its name, or because nothing else is known of it.
pub(super) fn maybe(root: &Location, unknown: bool) -> bool {
    let name = root.file_name().to_ascii_lowercase();
    let other = [".tif", ".tiff", ".npy", ".parquet", ".geoparquet", ".gpq", ".csv"];
    name.ends_with(".zarr") || unknown && !other.iter().any(|e| name.ends_with(e))
}

/// The product asked for, and the variant if one was named.
type Asked<'a> = Option<(&'a Arc<Descriptor>, Option<&'a Variant>)>;

/// Opens the store at `root`; `None` where there is none, and nothing says that there should be.
///
/// # Errors
/// If it is damaged, says too little of itself, or is no store of the product asked for.
pub(super) fn open(
    root: &Location,
    asked: Asked<'_>,
    options: &OpenOptions,
) -> Result<Option<RasterDataset>> {
    let icechunk = asked.is_some_and(|(p, _)| p.format == Format::Icechunk) && !is_there(root);
    if icechunk || Icechunk::is_at(root) || root.is_remote() && root.file_name().ends_with(".icechunk") {
        let at = options.at.clone().unwrap_or_default();
        return from_node(root, zarr::open_icechunk(root, &at)?, asked, options).map(Some);
    }
    let must = asked.is_some_and(|(p, _)| p.format == Format::Zarr);
    if !(must || is_there(root) || root.is_remote() && maybe(root, asked.is_none())) {
        return Ok(None);
    }
    match zarr::open(root) {
        Ok(node) => from_node(root, node, asked, options).map(Some),
        Err(ZarrError::NotFound { .. }) if !must => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// A raster array found in a store.
struct Found {
    array: Array,
    axes: Axes,
    group: Option<Group>,
}

pub(super) fn from_node(
    root: &Location,
    node: Node,
    asked: Asked<'_>,
    options: &OpenOptions,
) -> Result<RasterDataset> {
    let (mut found, top) = match node {
        Node::Array(array) => (of_array(array, None).into_iter().collect(), None),
        Node::Group(group) => {
            let mut found = Vec::new();
            collect(&group, &group, 0, &mut found)?;
            (found, Some(group))
        }
    };
    found.sort_by(|a: &Found, b| path_of(a).cmp(path_of(b)));
    let Some(first) = found.first() else {
        return Err(Error::open(
            format!("{root}: no array of vectors in this Zarr store"),
            "vectors lie in an array with axes for bands, y and x, named in its dimension_names",
        ));
    };
    let top = match top {
        Some(group) if !says_something(&group) && path_of(first).is_empty() => above(root).or(Some(group)),
        top => top,
    };
    let view = Scope { array: &first.array, group: first.group.as_ref(), root: top.as_ref() };
    let stored = stored_of(first, view)?;
    let variant = asked.and_then(|(_, v)| v);
    let recognised = product::recognise(view, &stored, asked.map(|(p, _)| Arc::clone(p)), &options.catalog)?;
    let (mut product, mut notes) = (recognised.product, recognised.notes);
    let version = match recognised.provenance {
        Some(own) => own.version,
        None => product::version(&product, root, view, variant)?,
    };
    if version.is_none() && product.variants.len() > 1 {
        notes.push(format!(
            "the store does not say which variant of {} it is; name it as {}@VARIANT=…",
            product.id, product.id
        ));
    }
    let depth = options.depth.unwrap_or(stored.bands);
    let (short, depth_array) = product::cut_short(&product, view, stored.bands, depth)?;
    product = short;
    Decoder::new(&product, depth, stored.dtype, stored.nodata).map_err(Error::codec(root.to_string()))?;

    let one = |f: &Found| -> Result<(String, ZarrGrid, Vec<Option<i32>>, Option<String>)> {
        let scope = Scope { array: &f.array, group: f.group.as_ref(), root: top.as_ref() };
        let here = product::version(&product, root, scope, None)?;
        if here.is_some() && version.is_some() && here != version && top.is_some() {
            return Err(Error::open(
                format!(
                    "{}: is of version {}, the store of {}",
                    scope.array.place(),
                    show(&here),
                    show(&version)
                ),
                "vectors of different versions are not comparable: open the groups one by one",
            ));
        }
        let (grid, south_up) = place::grid(scope, &f.axes, Some(&product))?;
        let years = place::years(scope, &f.axes)?;
        let (years, note) = complete(scope, years);
        let scales = scales_of(&product, f, scope)?;
        let (codes, axes) = short_array(f, depth_array.as_deref(), top.as_ref())?;
        let names = band_names(f, depth)?;
        let nodata = product::nodata(scope);
        let grid = ZarrGrid { codes, axes, scales, grid, south_up, depth, names, nodata };
        Ok((path_of(f).to_owned(), grid, years, note))
    };
    let read: Vec<Result<_>> = found.par_iter().map(one).collect();
    let (mut grids, mut tiles) = (Grids::new(), Vec::new());
    for read in read {
        let (path, grid, years, note) = read?;
        notes.extend(note);
        let grid = Arc::new(grid);
        tiles.extend(tiles_of(&path, &grid, &years, &product)?);
        grids.insert(path, grid);
    }
    tiles.sort_by(|a, b| (&a.path, a.step).cmp(&(&b.path, b.step)));
    if tiles.is_empty() {
        return Err(Error::open(format!("{root}: no year of this store is complete"), "try again later"));
    }
    let found = Opened { tiles, product, notes, version };
    Ok(dataset(found, None, root.clone(), Files::Zarr(grids), options))
}

fn show(version: &Option<String>) -> &str {
    version.as_deref().unwrap_or("?")
}

/// Whether a group says what its vectors are.
fn says_something(group: &Group) -> bool {
    group
        .attributes()
        .keys()
        .any(|k| ["geoemb:", "tessera:", "emb:", "terravec:"].iter().any(|p| k.starts_with(p)))
}

/// The group in which the one at `root` lies, if that says what the vectors are: the zones of a store are opened one by one, too.
fn above(root: &Location) -> Option<Group> {
    match zarr::open(&root.parent()) {
        Ok(Node::Group(group)) if says_something(&group) => Some(group),
        _ => None,
    }
}

/// The path of the group a raster array is in.
fn path_of(found: &Found) -> &str {
    found.group.as_ref().map_or("", Group::path)
}

fn of_array(array: Array, group: Option<Group>) -> Option<Found> {
    let scope = Scope { array: &array, group: group.as_ref(), root: None };
    let axes = place::axes(scope, true)?;
    array.dtype().ok()?;
    Some(Found { array, axes, group })
}

/// Finds the raster array of `group`, or those of the groups in it.
fn collect(root: &Group, group: &Group, depth: usize, found: &mut Vec<Found>) -> Result<()> {
    if let Some(array) = group.array(VECTORS)?
        && let Some(one) = of_array(array, Some(group.clone()))
    {
        found.push(one);
        return Ok(());
    }
    let Some(names) = group.names() else { return Ok(()) };
    let mut groups = Vec::new();
    let mut rasters = Vec::new();
    for name in names {
        match group.get(&name)? {
            Some(Node::Array(array)) => rasters.extend(of_array(array, Some(group.clone()))),
            Some(Node::Group(group)) => groups.push(group),
            None => {}
        }
    }
    // Levels of an image pyramid, and pictures beside the vectors, are none of this.
    match rasters.len() {
        0 => {}
        1 => {
            found.extend(rasters);
            return Ok(());
        }
        _ => {
            let names: Vec<&str> = rasters.iter().map(|r| r.array.name()).collect();
            return Err(Error::open(
                format!("{}: several arrays could be vectors: {}", group.place(), names.join(", ")),
                "open one of them by its own path",
            ));
        }
    }
    if depth < MAX_DEPTH && !group.attributes().contains_key("multiscales") {
        for inner in groups {
            collect(root, &inner, depth + 1, found)?;
        }
    }
    Ok(())
}

fn stored_of(found: &Found, scope: Scope<'_>) -> Result<Stored> {
    let band = found.axes.band.map_or(1, |b| found.array.metadata().shape[b]);
    let bands = usize::try_from(band).unwrap_or(usize::MAX);
    let fill = found.array.metadata().fill_value.as_f64().filter(|v| *v != 0.0);
    Ok(Stored { dtype: found.array.dtype()?, bands, nodata: product::nodata(scope).or(fill) })
}

/// The array with only the first numbers of each vector, if there is one, else the one with all.
fn short_array(found: &Found, name: Option<&str>, root: Option<&Group>) -> Result<(Array, Axes)> {
    let whole = || (found.array.clone(), found.axes);
    let (Some(name), Some(group)) = (name, &found.group) else { return Ok(whole()) };
    let Some(array) = group.array(name)? else { return Ok(whole()) };
    let axes = place::axes(Scope { array: &array, group: Some(group), root }, true);
    match axes {
        Some(axes) if same_pixels(&array, &axes, found) => Ok((array, axes)),
        _ => Err(misfit(&array, found)),
    }
}

fn same_pixels(array: &Array, axes: &Axes, found: &Found) -> bool {
    let (a, b) = (&array.metadata().shape, &found.array.metadata().shape);
    let steps = |shape: &[u64], axes: &Axes| axes.time.map_or(1, |t| shape[t]);
    (a[axes.y], a[axes.x], steps(a, axes)) == (b[found.axes.y], b[found.axes.x], steps(b, &found.axes))
}

fn misfit(array: &Array, found: &Found) -> Error {
    Error::open(
        format!(
            "{} has shape {:?}, which does not fit the vectors, {:?}",
            array.place(),
            array.metadata().shape,
            found.array.metadata().shape
        ),
        "the store is damaged, or made otherwise than its attributes say",
    )
}

/// The scales of a grid whose codes mean nothing without them.
fn scales_of(product: &Descriptor, found: &Found, scope: Scope<'_>) -> Result<Option<(Array, Axes)>> {
    let CodecSpec::PerPixelScale { scale_array, .. } = &product.codec else { return Ok(None) };
    if found.array.dtype()?.is_float() {
        return Ok(None);
    }
    let name = product::scale_array(scope).unwrap_or(scale_array);
    let array = match &found.group {
        Some(group) => group.array(name)?,
        None => None,
    };
    let Some(array) = array else {
        return Err(Error::open(
            format!(
                "{}: there is no array `{name}` with the scales of its codes beside it",
                found.array.place()
            ),
            "open the group that holds both; codes without scales have no values",
        ));
    };
    let axes = place::axes(Scope { array: &array, ..scope }, false);
    match axes {
        Some(axes) if same_pixels(&array, &axes, found) && array.dtype().is_ok_and(|d| d.is_float()) => {
            Ok(Some((array, axes)))
        }
        _ => Err(misfit(&array, found)),
    }
}

/// Names of the bands, where a coordinate gives them.
fn band_names(found: &Found, depth: usize) -> Result<Vec<Option<String>>> {
    let none = vec![None; depth];
    let (Some(group), Some(band)) = (&found.group, found.axes.band) else { return Ok(none) };
    let Some(name) = &found.array.metadata().dimension_names[band] else { return Ok(none) };
    let Some(array) = group.array(name)? else { return Ok(none) };
    // Numbers are no names.
    let Ok(texts) = array.texts() else { return Ok(none) };
    Ok(if texts.len() >= depth { texts.into_iter().take(depth).map(Some).collect() } else { none })
}

/// The years to trust, where the group lists them.
fn complete(scope: Scope<'_>, years: Vec<Option<i32>>) -> (Vec<Option<i32>>, Option<String>) {
    let listed = scope.get("years_complete").and_then(serde_json::Value::as_array);
    let Some(listed) = listed else { return (years, None) };
    let listed: Vec<i64> = listed.iter().filter_map(serde_json::Value::as_i64).collect();
    let trusted = |y: &Option<i32>| y.is_none_or(|y| listed.contains(&i64::from(y)));
    let lacking: Vec<String> =
        years.iter().filter(|y| !trusted(y)).flatten().map(ToString::to_string).collect();
    let note = (!lacking.is_empty()).then(|| {
        format!(
            "{}: not complete, left out: {}",
            scope.group.map_or(String::new(), Group::place),
            lacking.join(", ")
        )
    });
    // What is left out keeps its place, so that steps still count.
    (years.into_iter().map(|y| if trusted(&y) { y } else { Some(i32::MIN) }).collect(), note)
}

fn tiles_of(
    path: &str,
    grid: &Arc<ZarrGrid>,
    years: &[Option<i32>],
    product: &Descriptor,
) -> Result<Vec<Tile>> {
    let tile = ZarrTile { of: Arc::clone(grid), step: 0 };
    let lonlat = tile.grid().lonlat_bbox().map_err(Error::geo(path.to_owned()))?;
    let fixed = super::fixed_interval(product);
    Ok(years
        .iter()
        .enumerate()
        .filter(|(_, year)| **year != Some(i32::MIN))
        .map(|(step, year)| Tile {
            path: path.to_owned(),
            step,
            grid: tile.grid().clone(),
            lonlat,
            interval: year.map(Interval::year).or(fixed),
            bands: tile.bands(),
            dtype: tile.dtype(),
            size: 0,
            modified_ms: 0,
        })
        .collect())
}
