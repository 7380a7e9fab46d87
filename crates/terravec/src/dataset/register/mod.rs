//! Registers: what an archive too large to be listed says of its files, asked by place and year.
//!
//! A dataset with a register knows one file from the start, so that it can say what its vectors are; those that matter to a question
//! are looked up, and opened, when it is asked ([`RasterDataset::around`](super::RasterDataset)).

mod manifest;
pub(crate) mod parts;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use terravec_geo::LonLatBox;
use terravec_io::source::SourceError;

pub(crate) use manifest::Manifest;

use super::tile::Tile;
use crate::error::{Error, Result};
use crate::query::places::Places;
use crate::time::{Interval, Years};

/// A file that a register names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Listed {
    /// Relative to the root, or an address.
    pub(crate) path: String,
    /// Where it lies, about.
    pub(crate) lonlat: LonLatBox,
    pub(crate) interval: Option<Interval>,
    /// Its size, where told.
    pub(crate) bytes: Option<u64>,
    /// The size of the file with its scales, where told.
    pub(crate) scales_bytes: Option<u64>,
}

impl Listed {
    /// The year its interval starts in.
    pub(crate) fn year(&self) -> Option<i32> {
        self.interval.map(|i| i.start_year())
    }
}

/// Files that are tried for one that can stand for all.
const TRIED: usize = 3;

/// Whether a failure is that of one tile, and the rest of the archive is none the worse: it is not there, or lacks its scales or its place.
fn is_unusable(e: &Error) -> bool {
    matches!(e, Error::Open { .. }) || matches!(e.of_source(), Some(SourceError::NotFound { .. }))
}

/// Where files are named.
#[derive(Debug)]
pub(crate) enum List {
    /// In a table of the tiles of a lattice.
    Manifest(Manifest),
    /// One by one, with their boxes.
    Items(Vec<Listed>),
}

/// A register, and the tiles that were looked up in it before.
#[derive(Debug)]
pub(crate) struct Register {
    list: List,
    known: Mutex<HashMap<String, Tile>>,
}

impl Register {
    pub(crate) fn new(list: List) -> Self {
        Self { list, known: Mutex::default() }
    }

    /// Years that some file has, in order.
    pub(crate) fn years(&self) -> Vec<i32> {
        self.counts().into_keys().collect()
    }

    /// Files in all, and per year.
    pub(crate) fn counts(&self) -> std::collections::BTreeMap<i32, usize> {
        let items = match &self.list {
            List::Manifest(manifest) => return manifest.counts(),
            List::Items(items) => items,
        };
        let mut counts = std::collections::BTreeMap::new();
        items.iter().filter_map(Listed::year).for_each(|year| *counts.entry(year).or_insert(0) += 1);
        counts
    }

    /// The smallest box around all files.
    pub(crate) fn extent(&self) -> LonLatBox {
        match &self.list {
            List::Manifest(manifest) => manifest.extent(),
            List::Items(items) => {
                let boxes = items.iter().map(|l| l.lonlat).collect();
                Places::of_boxes(boxes).bounds().unwrap_or(LonLatBox::WORLD)
            }
        }
    }

    /// The files of some years that touch some places. Where they are to be read, those are named, too, that may reach a little
    /// beyond their boxes.
    pub(crate) fn find(&self, places: &Places, years: &Years, to_read: bool) -> Vec<Listed> {
        let in_time = |l: &Listed| match years {
            Years::All => true,
            Years::List(list) => l.year().is_some_and(|y| list.contains(&y)),
        };
        match &self.list {
            List::Manifest(manifest) => manifest.find(places, years, to_read),
            List::Items(items) => {
                items.iter().filter(|l| in_time(l) && places.touch(&l.lonlat)).cloned().collect()
            }
        }
    }

    /// One tile, which stands for all until a question is asked.
    ///
    /// # Errors
    /// If the first few that are tried are all no tiles.
    pub(crate) fn any(&self, open: impl Fn(&Listed) -> Result<Tile>) -> Result<Tile> {
        let mut failure = None;
        let some: Vec<Listed> = match &self.list {
            List::Manifest(manifest) => manifest.some().take(TRIED).collect(),
            List::Items(items) => items.iter().take(TRIED).cloned().collect(),
        };
        for listed in some {
            match open(&listed) {
                Err(e) if is_unusable(&e) => drop(failure.get_or_insert(e)),
                answer => return answer,
            }
        }
        Err(failure.unwrap_or_else(|| Error::query("the register lists no file", "ask its publisher")))
    }

    /// The tiles of `listed`, in that order; `open` is asked for those that aren't known yet. Tiles that are of no use are left out.
    ///
    /// # Errors
    /// If one can't be read, or all of them are no tiles.
    pub(crate) fn tiles(
        &self,
        listed: &[Listed],
        open: impl Fn(&[&Listed]) -> Result<Vec<Result<Tile>>>,
    ) -> Result<Vec<Tile>> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let new: Vec<&Listed> = {
            let known = known();
            listed.iter().filter(|l| !known.contains_key(&l.path)).collect()
        };
        let mut unusable = None;
        if !new.is_empty() {
            for tile in open(&new)? {
                match tile {
                    Ok(tile) => drop(known().insert(tile.path.clone(), tile)),
                    Err(e) if is_unusable(&e) => drop(unusable.get_or_insert(e)),
                    Err(e) => return Err(e),
                }
            }
        }
        let tiles: Vec<Tile> = {
            let known = known();
            listed.iter().filter_map(|l| known.get(&l.path).cloned()).collect()
        };
        match unusable {
            Some(e) if tiles.is_empty() => Err(e),
            _ => Ok(tiles),
        }
    }
}
