//! Tiles of one lattice as one raster: same CRS, same resolution, same pixel phase.
//!
//! Tiles of a zone are pieces of one grid, so a window over several of them is put together by copying, and resampling at
//! their edges sees the neighbours. Where tiles overlap, the first valid vector wins, in order of path.

use terravec_geo::{BBox, Grid, Window};

use super::pixels::{Kind, Pixels};
use crate::dataset::reader::BlockCache;
use crate::dataset::{RasterDataset, Tile};
use crate::error::Result;
use crate::vectors::Status;

/// A window on a layer's lattice: columns and rows counted from the anchor's upper left pixel, possibly negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) col: i64,
    pub(crate) row: i64,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

impl Span {
    #[allow(clippy::cast_possible_wrap, clippy::cast_sign_loss, clippy::cast_possible_truncation)]
    pub(crate) fn intersection(&self, other: &Self) -> Option<Self> {
        let (col, row) = (self.col.max(other.col), self.row.max(other.row));
        let right = (self.col + self.width as i64).min(other.col + other.width as i64);
        let bottom = (self.row + self.height as i64).min(other.row + other.height as i64);
        (col < right && row < bottom).then(|| Self {
            col,
            row,
            width: (right - col) as usize,
            height: (bottom - row) as usize,
        })
    }
}

/// Tiles on one lattice.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) dataset: RasterDataset,
    /// The grid whose upper left pixel is (0, 0) of the lattice.
    pub(crate) anchor: Grid,
    /// (index into the dataset, place on the lattice).
    pub(crate) tiles: Vec<(usize, Span)>,
}

impl Layer {
    /// Sorts tiles into layers. Layers come in order of the number of tiles, most first.
    pub(crate) fn group(dataset: &RasterDataset, tiles: &[usize]) -> Vec<Self> {
        let mut layers: Vec<Self> = Vec::new();
        let mut order = tiles.to_vec();
        order.sort_by(|a, b| dataset.tiles()[*a].path.cmp(&dataset.tiles()[*b].path));
        for id in order {
            let tile: &Tile = &dataset.tiles()[id];
            let span =
                |(col, row): (i64, i64)| Span { col, row, width: tile.grid.width, height: tile.grid.height };
            match layers.iter_mut().find_map(|l| Some((l.anchor.same_lattice(&tile.grid)?, l))) {
                Some((offset, layer)) => layer.tiles.push((id, span(offset))),
                None => {
                    layers.push(Self {
                        dataset: dataset.clone(),
                        anchor: tile.grid.clone(),
                        tiles: vec![(id, span((0, 0)))],
                    });
                }
            }
        }
        layers.sort_by_key(|l| std::cmp::Reverse(l.tiles.len()));
        layers
    }

    /// The extent of all tiles, in the layer's CRS.
    pub(crate) fn bounds(&self) -> BBox {
        let mut all = self.tiles.iter().map(|(id, _)| self.dataset.tiles()[*id].grid.bounds());
        let first = all.next().unwrap_or(BBox { min_x: 0.0, min_y: 0.0, max_x: 0.0, max_y: 0.0 });
        all.fold(first, |a, b| a.union(&b))
    }

    /// Tiles that touch `span`.
    pub(crate) fn touching(&self, span: Span) -> impl Iterator<Item = (usize, Span, Span)> + '_ {
        self.tiles.iter().filter_map(move |(id, place)| Some((*id, *place, span.intersection(place)?)))
    }

    /// Reads `span`.
    #[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation)]
    pub(crate) fn read(
        &self,
        span: Span,
        bands: Option<&[usize]>,
        kind: Kind,
        depth: usize,
        cache: &BlockCache,
    ) -> Result<Pixels> {
        let mut out: Option<Pixels> = None;
        for (id, place, part) in self.touching(span) {
            if out.as_ref().is_some_and(|o| covered(o, span, part)) {
                continue;
            }
            let reader = self.dataset.reader(id)?;
            let window = Window {
                col: (part.col - place.col) as usize,
                row: (part.row - place.row) as usize,
                width: part.width,
                height: part.height,
            };
            let pixels = reader.read(window, bands, kind.form(), cache)?;
            if part == span && out.is_none() {
                out = Some(pixels);
                continue;
            }
            out.get_or_insert_with(|| Pixels::empty(kind, depth, span.height, span.width, Status::Outside))
                .paste(&pixels, (part.row - span.row) as usize, (part.col - span.col) as usize);
        }
        Ok(out.unwrap_or_else(|| Pixels::empty(kind, depth, span.height, span.width, Status::Outside)))
    }
}

/// Whether every pixel of `part` is valid already, so that an overlapping tile needs no reading.
#[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation)]
fn covered(out: &Pixels, span: Span, part: Span) -> bool {
    let (row, col) = ((part.row - span.row) as usize, (part.col - span.col) as usize);
    (row..row + part.height)
        .all(|y| out.status()[y * span.width + col..][..part.width].iter().all(|s| *s == Status::Valid))
}
