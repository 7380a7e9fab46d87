//! The files that a question needs, whole: what a mirror copies.

use std::collections::BTreeMap;

use terravec_geo::{BBox, Crs, GeoError, LonLatBox, Transform, Window, transform_bbox};
use terravec_io::source::Location;

use super::RasterDataset;
use super::file::{Files, RasterFile};
use super::npy_layout::Layout;
use super::open_zarr::Grids;
use super::register::Listed;
use super::tile::Tile;
use super::zarr::ZarrTile;
use crate::error::{Error, Result};
use crate::query::bounds_of;
use crate::query::extract::Area;
use crate::query::places::Places;
use crate::time::Years;

/// Points per edge of a box that is moved to another CRS.
const DENSIFY: usize = 16;

/// A file as its publisher keeps it.
#[derive(Debug, Clone)]
pub(crate) struct StoredFile {
    pub(crate) location: Location,
    /// Its size, where something else than itself told it.
    pub(crate) bytes: Option<u64>,
    /// Whether it may be missing: the rest is of use without it.
    pub(crate) optional: bool,
    /// Whether its publisher may write it anew while its name stays.
    pub(crate) changes: bool,
}

/// Files, and the folder that all of them are below.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) base: Location,
    /// By their paths below the base.
    pub(crate) files: BTreeMap<String, StoredFile>,
    /// Whether a file that is missing means something: chunks of arrays that were never written.
    pub(crate) chunks: bool,
}

impl RasterDataset {
    /// The files that hold what touches `area` in `years`, and those without which they can't be read.
    ///
    /// # Errors
    /// If a year is not there, a region is empty, or what says where the files are can't be read.
    pub(crate) fn stored_files(&self, area: &Area, years: &Years) -> Result<Stored> {
        let places = Places::of_area(area)?;
        let (files, chunks) = match &*self.files {
            Files::Zarr(grids) => (self.zarr_files(grids, &places, years)?, true),
            Files::Npy(layout) => (self.npy_files(layout, &self.listed(&places, years)?)?, false),
            Files::Tiff => (self.listed(&places, years)?.iter().map(|l| self.tile_file(l)).collect(), false),
        };
        match bounds_of(area)? {
            Some(area) if files.is_empty() => Err(self.nothing_there(&area, "no tile lies there")),
            _ => Ok(Stored::below(&self.root, files, chunks)),
        }
    }

    /// The file of a tile. A register may name some that are not there.
    fn tile_file(&self, l: &Listed) -> StoredFile {
        let optional = self.register.is_some();
        StoredFile { optional, ..StoredFile::new(self.root.join(&l.path), l.bytes) }
    }

    /// Tiles, their scales, and what says where they lie.
    fn npy_files(&self, layout: &Layout, listed: &[Listed]) -> Result<Vec<StoredFile>> {
        let reader = self.reader(0)?;
        let folder = match &reader.file {
            RasterFile::Npy(tile) => tile.place_folder.as_ref(),
            _ => None,
        };
        let of = |l: &Listed| {
            let tile = self.root.join(&l.path);
            // A tile that lacks one of them is left out when it is opened; the others are none the worse.
            let beside =
                |location: Location, bytes| StoredFile { optional: true, ..StoredFile::new(location, bytes) };
            let scales = layout.scales_of(&tile).map(|s| beside(s, l.scales_bytes));
            let place = layout.place_of(&tile, &self.product, folder).map(|p| beside(p, None));
            [Some(self.tile_file(l)), scales, place].into_iter().flatten()
        };
        Ok(listed.iter().flat_map(of).collect())
    }

    /// Chunks, and what was read to open the store.
    fn zarr_files(&self, grids: &Grids, places: &Places, years: &Years) -> Result<Vec<StoredFile>> {
        let mut names = std::collections::BTreeSet::new();
        for period in self.periods(years)? {
            for tile in self.tiles.iter().filter(|t| t.year() == period && places.touch(&t.lonlat)) {
                let Some(of) = grids.get(&tile.path) else { continue };
                let zarr = ZarrTile { of: of.clone(), step: tile.step };
                let windows = match places.boxes() {
                    None => vec![Window::new(0, 0, tile.grid.width, tile.grid.height)],
                    Some(boxes) => {
                        windows(tile, boxes).map_err(Error::geo(format!("the area in {}", tile.grid.crs)))?
                    }
                };
                for window in windows {
                    names.extend(zarr.files(window)?);
                }
            }
        }
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let chunks = names.into_iter().map(|n| (n, false));
        let opening = grids.values().next().map(|g| g.codes.opening_files()).unwrap_or_default();
        let all = chunks.chain(opening.into_iter().map(|n| (n, true)));
        let file = |(name, changes): (String, bool)| StoredFile {
            optional: true,
            changes,
            ..StoredFile::new(self.root.join(&name), None)
        };
        Ok(all.map(file).collect())
    }
}

/// The parts of a tile that boxes cover.
fn windows(tile: &Tile, boxes: &[LonLatBox]) -> Result<Vec<Window>, GeoError> {
    let to = Transform::new(&Crs::wgs84(), &tile.grid.crs)?;
    let mut windows = Vec::new();
    for area in boxes.iter().filter(|b| b.intersects(&tile.lonlat)) {
        for (a, b) in area.split().iter().flat_map(|a| tile.lonlat.split().into_iter().map(move |b| (a, b))) {
            // A projection may know nothing of places far from the tile.
            let part = BBox::new(
                a.min_x.max(b.min_x),
                a.min_y.max(b.min_y),
                a.max_x.min(b.max_x),
                a.max_y.min(b.max_y),
            );
            if part.is_valid() {
                windows.extend(tile.grid.window_for(&transform_bbox(&to, &part, DENSIFY)?));
            }
        }
    }
    Ok(windows)
}

impl StoredFile {
    pub(crate) fn new(location: Location, bytes: Option<u64>) -> Self {
        Self { location, bytes, optional: false, changes: false }
    }
}

impl Stored {
    /// Files by their paths below `root`, or below the folder above it that all of them are in: what says where tiles lie may be beside it.
    pub(crate) fn below(root: &Location, files: Vec<StoredFile>, chunks: bool) -> Self {
        let mut base = root.clone();
        // A dataset of one file is the root itself: it goes by its own name.
        if files.iter().any(|f| f.location.without_query() == root.without_query()) {
            base = root.parent();
        }
        let holds = |base: &Location| files.iter().all(|f| f.location.below(base).is_some());
        let climb = |mut base: Location| {
            while !holds(&base) {
                let above = base.parent();
                let same = above.without_query().len() >= base.without_query().len();
                if same || above.is_remote() != base.is_remote() {
                    return None;
                }
                base = above;
            }
            Some(base)
        };
        // A catalogue may be at another host than its files, and those at several.
        let theirs = || climb(files.first()?.location.parent());
        let base = climb(base).or_else(theirs).unwrap_or_else(|| root.clone());
        let elsewhere = |f: &StoredFile| {
            let address = f.location.without_query();
            address.split_once("://").map_or(address, |(_, rest)| rest).replace(':', "_")
        };
        let path = |f: &StoredFile| f.location.below(&base).unwrap_or_else(|| elsewhere(f));
        let files = files.into_iter().map(|f| (path(&f), f)).collect();
        Self { base, files, chunks }
    }
}
