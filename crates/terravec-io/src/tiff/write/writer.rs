//! [`CogWriter`]: blocks in, a cloud-optimised GeoTIFF out.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::super::Interleave;
use super::encode::encode_block;
use super::error::CogError;
use super::header::serialize;
use super::pyramid::Pyramid;
use super::spec::CogSpec;
use super::spool::{FRAME, LEADER, Level, Record, Spool};
use super::tags::{geo_code, ifd};
use crate::Codes;
use crate::atomic::{PendingFile, folder_of};

/// Overviews are made until one is at most this large (or one block, if that is smaller): GDAL's validator
/// expects overviews of anything larger.
const SMALLEST_OVERVIEW: usize = 512;

/// Writes a cloud-optimised GeoTIFF from blocks that arrive in any order.
///
/// Compressed blocks wait in a nameless file next to the target; [`finish`](Self::finish) adds the overviews,
/// orders everything and puts the file in place in one step. Dropped before that, the writer leaves nothing
/// on disk. The disk needs room for about twice the finished file. Memory holds the blocks being compressed
/// and a few bytes per chunk.
///
/// Blocks may be written from several threads at once; within a block, bands are compressed in parallel.
#[derive(Debug)]
pub struct CogWriter {
    path: PathBuf,
    spec: CogSpec,
    spool: Spool,
    base: Mutex<Level>,
}

impl CogWriter {
    /// Starts a file that will appear at `path`, replacing what is there, once it is finished.
    ///
    /// # Errors
    /// [`CogError::Spec`] if GeoTIFF cannot hold `spec`, for example a CRS without an EPSG code;
    /// [`CogError::Io`] if the folder cannot be written to or `path` is no ordinary file.
    pub fn create(path: &Path, spec: CogSpec) -> Result<Self, CogError> {
        let fault = |problem| CogError::Spec { path: path.to_owned(), problem };
        spec.check().map_err(fault)?;
        if geo_code(&spec.grid.crs).is_none() {
            return Err(fault(format!(
                "its CRS {} has no EPSG code that GeoTIFF could name; choose one that has",
                spec.grid.crs
            )));
        }
        if path.exists() && !path.is_file() {
            let error = io::Error::new(io::ErrorKind::AlreadyExists, "it is not an ordinary file");
            return Err(CogError::io(path)(error));
        }
        let spool = Spool::create(folder_of(path)).map_err(CogError::io(path))?;
        let base = Mutex::new(Level::new(spec.grid.width, spec.grid.height, spec.block));
        Ok(Self { path: path.to_owned(), spec, spool, base })
    }

    /// Blocks across and down at full resolution.
    #[must_use]
    pub fn blocks(&self) -> (usize, usize) {
        (self.spec.grid.width.div_ceil(self.spec.block), self.spec.grid.height.div_ceil(self.spec.block))
    }

    /// Writes the block of block column `bx` and block row `by`: all bands, clipped at the right and bottom
    /// edges of the grid. A block written twice holds what came last; one never written reads as nodata (0
    /// without a nodata value) and takes no space.
    ///
    /// # Errors
    /// [`CogError::Block`] if the block is outside the grid or `codes` has another shape or type;
    /// [`CogError::Io`] if the disk is full.
    pub fn write_block(&self, bx: usize, by: usize, codes: &Codes) -> Result<(), CogError> {
        let fault = |problem| CogError::Block { path: self.path.clone(), bx, by, problem };
        let (across, down) = self.blocks();
        if bx >= across || by >= down {
            return Err(fault(format!("the grid has {across} × {down} blocks")));
        }
        let (block, grid) = (self.spec.block, &self.spec.grid);
        let (height, width) = (block.min(grid.height - by * block), block.min(grid.width - bx * block));
        if (codes.bands, codes.height, codes.width) != (self.spec.bands, height, width)
            || codes.dtype() != self.spec.dtype
        {
            return Err(fault(format!(
                "it is {} ({}, {}, {}), not {} ({}, {height}, {width})",
                codes.dtype(),
                codes.bands,
                codes.height,
                codes.width,
                self.spec.dtype,
                self.spec.bands
            )));
        }
        let chunks = encode_block(&self.spec, codes).map_err(CogError::io(&self.path))?;
        let record = self.spool.append(&chunks).map_err(CogError::io(&self.path))?;
        let mut base = self.base.lock().map_err(|_| fault("another thread failed".to_owned()))?;
        base.blocks[by * across + bx] = Some(record);
        Ok(())
    }

    /// Builds the overviews and puts the file in place.
    ///
    /// `reduce` turns (bands, h, w) codes into (bands, ⌈h/2⌉, ⌈w/2⌉): every number from the 2 × 2 pixels it
    /// covers (fewer at odd edges) and from no others. It is called on one block at a time, from several
    /// threads, and knows how to average the product's codes; codes themselves must not be averaged.
    ///
    /// # Errors
    /// [`CogError::Io`] if the disk is full; [`CogError::Block`] if `reduce` returns another shape or type;
    /// [`CogError::ReadBack`] if the disk gave back other bytes than were written.
    pub fn finish(self, reduce: &(dyn Fn(&Codes) -> Codes + Sync)) -> Result<(), CogError> {
        let Self { path, spec, spool, base } = self;
        let base = base.into_inner().map_err(|_| {
            CogError::io(&path)(io::Error::other("another thread failed while writing blocks"))
        })?;
        let smallest = spec.block.min(SMALLEST_OVERVIEW);
        let pyramid = Pyramid { path: &path, spec: &spec, spool: &spool, reduce };
        let mut levels = vec![base];
        while let Some(finer) = levels.last().filter(|l| l.width.max(l.height) > smallest) {
            levels.push(pyramid.coarser(finer)?);
        }
        assemble(&path, &spec, &spool, &levels).map_err(CogError::io(&path))
    }
}

/// Lays out and copies everything into the final file.
fn assemble(path: &Path, spec: &CogSpec, spool: &Spool, levels: &[Level]) -> io::Result<()> {
    let data: u64 = levels.iter().flat_map(|l| l.blocks.iter().flatten()).map(Record::len).sum();
    let mut big = spec.big_tiff;
    let mut start = header(spec, levels, 0, big)?.len() as u64;
    if !big && start + data > u64::from(u32::MAX) {
        big = true;
        start = header(spec, levels, 0, big)?.len() as u64;
    }
    // The offsets of the tiles depend on the length of the header, which does not depend on them.
    let header = header(spec, levels, start, big)?;

    let pending = PendingFile::create(path)?;
    let mut out = BufWriter::with_capacity(1 << 20, pending.file());
    out.write_all(&header)?;
    let mut buffer = Vec::new();
    for level in levels.iter().rev() {
        in_file_order(spec, level, |_, run| {
            spool.read(run.spool, run.len, &mut buffer)?;
            out.write_all(&buffer)
        })?;
    }
    out.flush()?;
    drop(out);
    pending.commit()
}

/// Bytes that are copied from the spool as they are: a whole block, or one chunk of it with its frame.
struct Run {
    spool: u64,
    len: u64,
    block: usize,
    /// The band, where runs are chunks.
    chunk: Option<usize>,
}

/// Visits a level's runs in the order of the file.
fn in_file_order(
    spec: &CogSpec,
    level: &Level,
    mut visit: impl FnMut(&Record, Run) -> io::Result<()>,
) -> io::Result<()> {
    let records = || level.blocks.iter().enumerate().filter_map(|(i, r)| r.as_ref().map(|r| (i, r)));
    if spec.is_planar() && spec.interleave == Interleave::Band {
        let mut next: Vec<u64> = level.blocks.iter().map(|r| r.as_ref().map_or(0, |r| r.offset)).collect();
        for band in 0..spec.bands {
            for (block, record) in records() {
                let len = u64::from(record.sizes[band]) + FRAME;
                visit(record, Run { spool: next[block], len, block, chunk: Some(band) })?;
                next[block] += len;
            }
        }
    } else {
        for (block, record) in records() {
            visit(record, Run { spool: record.offset, len: record.len(), block, chunk: None })?;
        }
    }
    Ok(())
}

/// The header of a file whose tiles start at `start`.
fn header(spec: &CogSpec, levels: &[Level], start: u64, big: bool) -> io::Result<Vec<u8>> {
    let mut at = start;
    let mut ifds = Vec::new();
    for (depth, level) in levels.iter().enumerate().rev() {
        let tiles = level.blocks.len();
        let mut offsets = vec![0; tiles * spec.chunks_per_block()];
        let mut sizes = vec![0; offsets.len()];
        in_file_order(spec, level, |record, run| {
            if let Some(band) = run.chunk {
                offsets[band * tiles + run.block] = at + LEADER;
                sizes[band * tiles + run.block] = record.sizes[band];
            } else {
                for (band, (offset, size)) in record.payloads(at).enumerate() {
                    offsets[band * tiles + run.block] = offset;
                    sizes[band * tiles + run.block] = size;
                }
            }
            at += run.len;
            Ok(())
        })?;
        ifds.push(ifd(spec, level, depth == 0, &offsets, &sizes, big));
    }
    ifds.reverse();
    Ok(serialize(&ifds, spec.is_planar(), big))
}
