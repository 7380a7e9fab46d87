//! A segment of an index: a file of lists that is written once and never changed.
//!
//! Lists lie one after the other, then a directory of them, then a footer. What a file says of itself is checked against its length and its
//! checksums before anything is allocated for it.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use terravec::{Error, Result};
use terravec_io::atomic::PendingFile;
use terravec_io::source::{LocalSource, Source};

use super::list::{Head, List, checksum};

const MAGIC: &[u8; 8] = b"TVINDEX1";
/// Magic, dimension, lists, offset of the directory, its checksum, and that of the footer before it.
const FOOTER: usize = 8 + 4 + 4 + 8 + 4 + 4;
/// Offset, rows, bytes of ids, checksum of the head.
const ENTRY: usize = 8 + 4 + 4 + 4;

/// A list in the file.
#[derive(Debug, Clone, Copy)]
struct Entry {
    offset: u64,
    rows: u32,
    ids: u32,
    sum: u32,
}

/// An open segment.
#[derive(Debug)]
pub(crate) struct Segment {
    source: LocalSource,
    dim: usize,
    entries: Vec<Entry>,
    /// Whether the checksum of a head was compared.
    checked: Vec<AtomicBool>,
}

pub(crate) fn broken(file: &dyn std::fmt::Display, what: &str) -> Error {
    Error::open(format!("{file}: {what}"), "build the index again")
}

/// Writes lists one by one; [`Self::finish`] puts the file in place.
pub(crate) struct SegmentWriter {
    pending: PendingFile,
    out: BufWriter<std::fs::File>,
    path: std::path::PathBuf,
    dim: usize,
    at: u64,
    directory: Vec<u8>,
    lists: u32,
}

impl SegmentWriter {
    pub(crate) fn create(path: &Path, dim: usize) -> Result<Self> {
        let pending = PendingFile::create(path).map_err(|e| failed(path, e))?;
        let file = pending.file().try_clone().map_err(|e| failed(path, e))?;
        Ok(Self {
            pending,
            out: BufWriter::with_capacity(1 << 20, file),
            path: path.into(),
            dim,
            at: 0,
            directory: Vec::new(),
            lists: 0,
        })
    }

    pub(crate) fn write(&mut self, list: &List) -> Result<()> {
        let (rows, ids) = (u32::try_from(list.len()), u32::try_from(list.ids.len()));
        let (Ok(rows), Ok(ids)) = (rows, ids) else {
            return Err(Error::query(
                "a list of the index would grow beyond 4 GB of ids",
                "ask for more lists",
            ));
        };
        let (head, vectors) = list.to_bytes(self.dim);
        self.directory.extend(self.at.to_le_bytes());
        for v in [rows, ids, checksum(&head)] {
            self.directory.extend(v.to_le_bytes());
        }
        self.lists += 1;
        self.at += (head.len() + vectors.len()) as u64;
        let both = self.out.write_all(&head).and_then(|()| self.out.write_all(&vectors));
        both.map_err(|e| failed(&self.path, e))
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        let mut footer = MAGIC.to_vec();
        footer.extend(u32::try_from(self.dim).unwrap_or(u32::MAX).to_le_bytes());
        footer.extend(self.lists.to_le_bytes());
        footer.extend(self.at.to_le_bytes());
        footer.extend(checksum(&self.directory).to_le_bytes());
        footer.extend(checksum(&footer).to_le_bytes());
        let mut end = || {
            self.out.write_all(&self.directory)?;
            self.out.write_all(&footer)?;
            self.out.flush()
        };
        end().map_err(|e| failed(&self.path, e))?;
        drop(self.out);
        self.pending.commit().map_err(|e| failed(&self.path, e))
    }
}

pub(crate) fn failed(path: &Path, source: std::io::Error) -> Error {
    Error::Write { path: path.into(), source }
}

impl Segment {
    /// Opens a file and checks what it says of itself.
    pub(crate) fn open(path: &Path, dim: usize, lists: usize) -> Result<Self> {
        let source = LocalSource::open(path)?;
        let shown = path.display();
        let size = source.len()?;
        let start =
            size.checked_sub(FOOTER as u64).ok_or_else(|| broken(&shown, "too short for a segment"))?;
        let footer = source.read(start..size)?;
        let u32_at = |b: &[u8], i: usize| u32::from_le_bytes([b[i], b[i + 1], b[i + 2], b[i + 3]]);
        let u64_at = |b: &[u8], i: usize| u64::from(u32_at(b, i)) | u64::from(u32_at(b, i + 4)) << 32;
        if &footer[..8] != MAGIC || checksum(&footer[..FOOTER - 4]) != u32_at(&footer, FOOTER - 4) {
            return Err(broken(&shown, "no segment of an index, or a damaged one"));
        }
        if u32_at(&footer, 8) as usize != dim || u32_at(&footer, 12) as usize != lists {
            return Err(broken(&shown, "a segment of another index"));
        }
        let directory = u64_at(&footer, 16);
        if directory.checked_add(lists as u64 * ENTRY as u64) != Some(start) {
            return Err(broken(&shown, "its directory does not fit into it"));
        }
        let bytes = source.read(directory..start)?;
        if checksum(&bytes) != u32_at(&footer, 24) {
            return Err(broken(&shown, "its directory is damaged"));
        }
        let entries: Vec<Entry> = bytes
            .chunks_exact(ENTRY)
            .map(|b| Entry {
                offset: u64_at(b, 0),
                rows: u32_at(b, 8),
                ids: u32_at(b, 12),
                sum: u32_at(b, 16),
            })
            .collect();
        let fits = |e: &Entry| {
            let head = Head::size(u64::from(e.rows), dim, u64::from(e.ids))?;
            let vectors = u64::from(e.rows).checked_mul(4 * dim as u64)?;
            e.offset.checked_add(head)?.checked_add(vectors).filter(|end| *end <= directory)
        };
        if !entries.iter().all(|e| fits(e).is_some()) {
            return Err(broken(&shown, "a list lies outside of it"));
        }
        let checked = entries.iter().map(|_| AtomicBool::new(false)).collect();
        Ok(Self { source, dim, entries, checked })
    }

    /// Rows of a list.
    pub(crate) fn rows(&self, list: usize) -> usize {
        self.entries[list].rows as usize
    }

    fn head_size(&self, list: usize) -> u64 {
        let e = self.entries[list];
        Head::size(u64::from(e.rows), self.dim, u64::from(e.ids)).unwrap_or(0)
    }

    /// The bytes of the head of a list.
    pub(crate) fn head(&self, list: usize) -> Result<Bytes> {
        let e = self.entries[list];
        let bytes = self.source.read(e.offset..e.offset + self.head_size(list))?;
        if !self.checked[list].load(Ordering::Relaxed) {
            if checksum(&bytes) != e.sum {
                return Err(broken(&self.source.url(), &format!("list {list} is damaged")));
            }
            self.checked[list].store(true, Ordering::Relaxed);
        }
        Ok(bytes)
    }

    /// A head as columns.
    pub(crate) fn columns<'a>(&self, list: usize, bytes: &'a [u8]) -> Head<'a> {
        Head::new(bytes, self.rows(list), self.dim)
    }

    /// The vectors of some rows of a list, compared with their checksums, which `sums` has.
    pub(crate) fn vectors(&self, list: usize, rows: &[usize], sums: &[u32]) -> Result<Vec<Vec<f32>>> {
        let start = self.entries[list].offset + self.head_size(list);
        let size = 4 * self.dim as u64;
        let ranges: Vec<_> =
            rows.iter().map(|r| start + *r as u64 * size..start + (*r as u64 + 1) * size).collect();
        let parts = self.source.read_ranges(&ranges)?;
        parts
            .iter()
            .zip(sums)
            .map(|(bytes, sum)| {
                if checksum(bytes) != *sum {
                    return Err(broken(&self.source.url(), &format!("a vector of list {list} is damaged")));
                }
                Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
            })
            .collect()
    }

    /// A whole list.
    pub(crate) fn list(&self, list: usize) -> Result<List> {
        let head = self.head(list)?;
        let start = self.entries[list].offset + self.head_size(list);
        let vectors = self.source.read(start..start + self.rows(list) as u64 * 4 * self.dim as u64)?;
        Ok(self.columns(list, &head).to_list(&vectors))
    }
}
