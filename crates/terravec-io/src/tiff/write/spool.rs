//! Where compressed blocks wait until the file's order is known.
//!
//! A COG stores its smallest overview first and its full resolution last, but blocks arrive at full
//! resolution and in any order. They are appended to an anonymous file in the target's folder (so that it is
//! on the same disk and vanishes whatever happens) in the very form in which the COG stores them; finishing is
//! then a plain copy.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Mutex;

/// Bytes around a chunk: its length before it, its last four bytes again after it.
pub(super) const LEADER: u64 = 4;
pub(super) const FRAME: u64 = 8;

/// Where a block lies in the spool: its chunks follow each other, each framed by leader and trailer.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// Offset of the first chunk's leader.
    pub(super) offset: u64,
    /// Compressed size of every chunk, without frames.
    pub(super) sizes: Box<[u32]>,
}

impl Record {
    /// Bytes of all framed chunks.
    pub(super) fn len(&self) -> u64 {
        self.sizes.iter().map(|&s| u64::from(s) + FRAME).sum()
    }

    /// Offsets of the chunks' payloads in a file that holds the first leader at `start`.
    pub(super) fn payloads(&self, start: u64) -> impl Iterator<Item = (u64, u32)> {
        self.sizes.iter().scan(start, |at, &size| {
            let payload = *at + LEADER;
            *at += u64::from(size) + FRAME;
            Some((payload, size))
        })
    }
}

/// A resolution level: its size and where its blocks are, row by row.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) across: usize,
    pub(super) down: usize,
    /// `None` where a block was never written.
    pub(super) blocks: Vec<Option<Record>>,
}

impl Level {
    pub(super) fn new(width: usize, height: usize, block: usize) -> Self {
        let (across, down) = (width.div_ceil(block), height.div_ceil(block));
        Self { width, height, across, down, blocks: vec![None; across * down] }
    }

    /// Height and width of a block, clipped at the right and bottom edges.
    pub(super) fn block_shape(&self, bx: usize, by: usize, block: usize) -> (usize, usize) {
        (block.min(self.height - by * block), block.min(self.width - bx * block))
    }
}

/// The anonymous file.
#[derive(Debug)]
pub(super) struct Spool {
    file: Mutex<File>,
}

impl Spool {
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        Ok(Self { file: Mutex::new(tempfile::tempfile_in(folder)?) })
    }

    /// Appends a block's chunks.
    pub(super) fn append(&self, chunks: &[Vec<u8>]) -> io::Result<Record> {
        let mut bytes = Vec::with_capacity(chunks.iter().map(|c| c.len() + 8).sum());
        let mut sizes = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            let size = u32::try_from(chunk.len()).map_err(io::Error::other)?;
            bytes.extend_from_slice(&size.to_le_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(&chunk[chunk.len().saturating_sub(4)..]);
            sizes.push(size);
        }
        let mut file = self.lock()?;
        let offset = file.seek(SeekFrom::End(0))?;
        file.write_all(&bytes)?;
        Ok(Record { offset, sizes: sizes.into() })
    }

    /// Replaces the contents of `into` by `len` bytes from `offset`.
    pub(super) fn read(&self, offset: u64, len: u64, into: &mut Vec<u8>) -> io::Result<()> {
        into.resize(usize::try_from(len).map_err(io::Error::other)?, 0);
        let mut file = self.lock()?;
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(into)
    }

    fn lock(&self) -> io::Result<std::sync::MutexGuard<'_, File>> {
        self.file.lock().map_err(|_| io::Error::other("another thread failed while writing blocks"))
    }
}
