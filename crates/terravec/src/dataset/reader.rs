//! An open tile: its bytes, its decoder, and the blocks decoded most recently.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use terravec_geo::{Grid, Window};
use terravec_io::source::Location;
use terravec_io::{Codes, Samples};

use super::file::{RasterFile, Stored};
use super::shelf::Shelf;
use crate::codec::Decoder;
use crate::error::{Error, Result};
use crate::query::pixels::{Form, Pixels};

/// Most recently used blocks of codes, bounded by bytes, shared by the tiles of one query or by all queries of a dataset.
#[derive(Debug)]
pub(crate) struct BlockCache {
    limit: usize,
    /// Whether a block is kept only once it is read a second time: a single look at a place should not decode what it does not show.
    patient: bool,
    state: Mutex<CacheState>,
}

/// Blocks that a patient cache remembers to have been read; more are forgotten all at once.
const MAX_SEEN: usize = 1 << 20;

#[derive(Debug, Default)]
struct CacheState {
    blocks: HashMap<BlockKey, (u64, Arc<Block>)>,
    bytes: usize,
    clock: u64,
    /// Blocks read once.
    seen: HashSet<BlockKey>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct BlockKey {
    tile: usize,
    col: usize,
    row: usize,
}

#[derive(Debug)]
struct Block {
    window: Window,
    codes: Codes,
    mask: Option<Vec<bool>>,
}

impl Block {
    fn bytes(&self) -> usize {
        self.codes.samples.len() * self.codes.dtype().size()
            + self.mask.as_ref().map_or(0, Vec::len)
            + self.codes.scales.as_ref().map_or(0, |s| s.len() * size_of::<f32>())
    }
}

impl BlockCache {
    /// A cache that holds at most `limit` bytes; with 0, only what a window needs of a block is decoded.
    #[must_use]
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, patient: false, state: Mutex::default() }
    }

    /// A cache that waits until a block is read a second time.
    #[must_use]
    pub(crate) fn patient(limit: usize) -> Self {
        Self { limit, patient: true, state: Mutex::default() }
    }

    /// The most bytes it holds.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Whether to read these blocks whole, to keep them.
    fn worth_keeping(&self, keys: impl Iterator<Item = BlockKey>) -> bool {
        if !self.patient {
            return true;
        }
        let Ok(mut state) = self.state.lock() else { return false };
        if state.seen.len() > MAX_SEEN {
            state.seen.clear();
        }
        // All are noted, so no short cut.
        keys.filter(|key| !state.seen.insert(*key)).count() > 0
    }

    fn get(&self, key: BlockKey) -> Option<Arc<Block>> {
        let mut state = self.state.lock().ok()?;
        state.clock += 1;
        let now = state.clock;
        let (used, block) = state.blocks.get_mut(&key)?;
        *used = now;
        Some(Arc::clone(block))
    }

    fn put(&self, key: BlockKey, block: &Arc<Block>) {
        let Ok(mut state) = self.state.lock() else { return };
        let bytes = block.bytes();
        if bytes > self.limit {
            return;
        }
        while state.bytes + bytes > self.limit {
            let Some(oldest) = state.blocks.iter().min_by_key(|(_, (used, _))| *used).map(|(k, _)| *k) else {
                break;
            };
            if let Some((_, old)) = state.blocks.remove(&oldest) {
                state.bytes -= old.bytes();
            }
        }
        state.clock += 1;
        let now = state.clock;
        if let Some((_, old)) = state.blocks.insert(key, (now, Arc::clone(block))) {
            state.bytes -= old.bytes();
        }
        state.bytes += bytes;
    }
}

/// An open tile.
#[derive(Debug)]
pub(crate) struct TileReader {
    pub(crate) id: usize,
    pub(crate) file: RasterFile,
    pub(crate) decoder: Decoder,
    pub(crate) location: Location,
}

impl TileReader {
    /// The stored bands to read so that decoded bands `bands` can be made.
    fn stored_bands(&self, bands: Option<&[usize]>) -> Vec<usize> {
        match bands {
            Some(bands) if self.decoder.bandwise() => bands.to_vec(),
            _ => (0..self.decoder.stored_bands()).collect(),
        }
    }

    /// The grid of the tile.
    pub(crate) fn grid(&self) -> &Grid {
        self.file.grid().expect("a tile without a grid is refused at open")
    }

    fn pixels(&self, (codes, mask): Stored, bands: Option<&[usize]>, form: Form) -> Result<Pixels> {
        let mask = mask.as_deref();
        // Where bands depend on one another all were read, and those wanted are picked now.
        let picked = bands.filter(|_| !self.decoder.bandwise());
        if form == Form::Codes {
            let status = self.decoder.status(&codes, mask);
            let codes = match picked {
                Some(bands) => codes.select(bands),
                None => codes,
            };
            return Ok(Pixels::Codes(codes, status));
        }
        let vectors = self.decoder.decode(&codes, mask).map_err(Error::codec(self.location.to_string()))?;
        Ok(Pixels::Vectors(match picked {
            Some(bands) => vectors.select(bands),
            None => vectors,
        }))
    }

    /// Reads `window`, decoded or not. Blocks that the window covers only in part go through `cache`.
    pub(crate) fn read(
        &self,
        window: Window,
        bands: Option<&[usize]>,
        form: Form,
        cache: &BlockCache,
    ) -> Result<Pixels> {
        let stored = self.stored_bands(bands);
        let (bw, bh) = self.file.block_size();
        let grid = self.grid();
        let whole = |start: usize, len: usize, block: usize, size: usize| {
            start.is_multiple_of(block) && ((start + len).is_multiple_of(block) || start + len == size)
        };
        let aligned = whole(window.col, window.width, bw, grid.width)
            && whole(window.row, window.height, bh, grid.height);
        let blocks = || {
            let rows = window.row / bh..=(window.row + window.height - 1) / bh;
            let cols = window.col / bw..=(window.col + window.width - 1) / bw;
            rows.flat_map(move |row| cols.clone().map(move |col| BlockKey { tile: self.id, col, row }))
        };
        if cache.limit == 0 || (aligned && !cache.patient) || !cache.worth_keeping(blocks()) {
            return self.pixels(self.file.read(&stored, window)?, bands, form);
        }
        let mut found = Vec::new();
        let mut missing: Option<(usize, usize, usize, usize)> = None;
        for key in blocks() {
            if let Some(block) = cache.get(key) {
                found.push(block);
            } else {
                let BlockKey { col, row, .. } = key;
                missing = Some(missing.map_or((col, row, col, row), |(c0, r0, c1, r1)| {
                    (c0.min(col), r0.min(row), c1.max(col), r1.max(row))
                }));
            }
        }
        if let Some((c0, r0, c1, r1)) = missing {
            let area = Window {
                col: c0 * bw,
                row: r0 * bh,
                width: ((c1 + 1) * bw).min(grid.width) - c0 * bw,
                height: ((r1 + 1) * bh).min(grid.height) - r0 * bh,
            };
            let (codes, mask) = self.file.read(&stored, area)?;
            for row in r0..=r1 {
                for col in c0..=c1 {
                    let part = Window {
                        col: col * bw,
                        row: row * bh,
                        width: bw.min(grid.width - col * bw),
                        height: bh.min(grid.height - row * bh),
                    };
                    let block = Arc::new(cut(&codes, mask.as_deref(), area, part));
                    cache.put(BlockKey { tile: self.id, col, row }, &block);
                    found.push(block);
                }
            }
        }
        self.pixels(assemble(&found, window), bands, form)
    }

    /// Reads single pixels (column, row); the answer has shape (bands, 1, n).
    pub(crate) fn read_points(
        &self,
        at: &[(usize, usize)],
        bands: Option<&[usize]>,
        form: Form,
    ) -> Result<Pixels> {
        let stored = self.stored_bands(bands);
        let shelf =
            if stored.len() == self.file.bands() { Shelf::of(&self.file, &self.location)? } else { None };
        let read = match shelf {
            Some(shelf) => shelf.read_points(&self.file, at)?,
            None => self.file.read_points(&stored, at)?,
        };
        self.pixels(read, bands, form)
    }
}

/// The part `part` (in tile pixels) of a block read at `area`.
fn cut(codes: &Codes, mask: Option<&[bool]>, area: Window, part: Window) -> Block {
    let (dy, dx) = (part.row - area.row, part.col - area.col);
    let mask = mask.map(|m| {
        (0..part.height)
            .flat_map(|y| m[(dy + y) * codes.width + dx..][..part.width].iter().copied())
            .collect()
    });
    Block { window: part, codes: codes.crop(dy, dx, part.height, part.width), mask }
}

/// Puts blocks together over `window`. Every pixel of the window lies in one of them.
fn assemble(blocks: &[Arc<Block>], window: Window) -> Stored {
    let first = &blocks[0].codes;
    let bands = first.bands;
    let mut out = Codes::filled(first.dtype(), bands, window.height, window.width, 0.0);
    let mut mask = blocks[0].mask.is_some().then(|| vec![true; window.height * window.width]);
    if first.scales.is_some() {
        out = out.with_scales(vec![f32::NAN; window.height * window.width]);
    }
    for block in blocks {
        let w = block.window;
        let (c0, c1) = (w.col.max(window.col), (w.col + w.width).min(window.col + window.width));
        let (r0, r1) = (w.row.max(window.row), (w.row + w.height).min(window.row + window.height));
        if c0 >= c1 || r0 >= r1 {
            continue;
        }
        macro_rules! copy {
            ($($t:ident),*) => {
                match (&mut out.samples, &block.codes.samples) {
                    $((Samples::$t(d), Samples::$t(s)) => for b in 0..bands {
                        for r in r0..r1 {
                            let i = (b * w.height + r - w.row) * w.width + c0 - w.col;
                            let o = (b * window.height + r - window.row) * window.width + c0 - window.col;
                            d[o..o + c1 - c0].copy_from_slice(&s[i..i + c1 - c0]);
                        }
                    },)*
                    _ => unreachable!("blocks of one tile have one type"),
                }
            };
        }
        copy!(U8, I8, U16, I16, U32, I32, F16, F32, F64);
        for r in r0..r1 {
            let (i, o) =
                ((r - w.row) * w.width + c0 - w.col, (r - window.row) * window.width + c0 - window.col);
            if let (Some(out), Some(m)) = (&mut mask, &block.mask) {
                out[o..o + c1 - c0].copy_from_slice(&m[i..i + c1 - c0]);
            }
            if let (Some(out), Some(s)) = (&mut out.scales, &block.codes.scales) {
                out[o..o + c1 - c0].copy_from_slice(&s[i..i + c1 - c0]);
            }
        }
    }
    (out, mask)
}
