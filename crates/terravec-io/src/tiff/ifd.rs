//! Headers: byte order, classic or BigTIFF, image file directories and the values of their tags.
//!
//! Values are fetched when asked for. Long arrays (the offsets of a million tiles) stay in the file; only the part that
//! a read needs is fetched. Every count is checked against the size of the file before anything is allocated.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::error::TiffError;
use crate::source::Source;

/// Bytes read at the start of a file: the header of nearly every COG.
const HEAD: u64 = 64 * 1024;
/// Directories in a file; more are taken for a trap.
const MAX_IFDS: usize = 512;
/// Entries in a directory.
const MAX_ENTRIES: u64 = 4096;
/// Bytes of a tag value that is read whole (metadata, per-band values of 65 535 bands).
const MAX_VALUE: u64 = 64 << 20;
/// Bytes of a long array fetched at once.
const PAGE: u64 = 64 * 1024;

/// Tags that are read.
pub(super) mod tag {
    pub(crate) const NEW_SUBFILE_TYPE: u16 = 254;
    pub(crate) const WIDTH: u16 = 256;
    pub(crate) const HEIGHT: u16 = 257;
    pub(crate) const BITS: u16 = 258;
    pub(crate) const COMPRESSION: u16 = 259;
    pub(crate) const PHOTOMETRIC: u16 = 262;
    pub(crate) const FILL_ORDER: u16 = 266;
    pub(crate) const STRIP_OFFSETS: u16 = 273;
    pub(crate) const SAMPLES: u16 = 277;
    pub(crate) const ROWS_PER_STRIP: u16 = 278;
    pub(crate) const STRIP_COUNTS: u16 = 279;
    pub(crate) const PLANAR: u16 = 284;
    pub(crate) const PREDICTOR: u16 = 317;
    pub(crate) const TILE_WIDTH: u16 = 322;
    pub(crate) const TILE_HEIGHT: u16 = 323;
    pub(crate) const TILE_OFFSETS: u16 = 324;
    pub(crate) const TILE_COUNTS: u16 = 325;
    pub(crate) const SAMPLE_FORMAT: u16 = 339;
    pub(crate) const YCBCR_SUBSAMPLING: u16 = 530;
    pub(crate) const PIXEL_SCALE: u16 = 33550;
    pub(crate) const TIEPOINT: u16 = 33922;
    pub(crate) const TRANSFORMATION: u16 = 34264;
    pub(crate) const GEO_KEYS: u16 = 34735;
    pub(crate) const GEO_DOUBLES: u16 = 34736;
    pub(crate) const GEO_ASCII: u16 = 34737;
    pub(crate) const GDAL_METADATA: u16 = 42112;
    pub(crate) const GDAL_NODATA: u16 = 42113;

    /// The name of a tag, for messages.
    pub(crate) fn name(tag: u16) -> String {
        let name = match tag {
            NEW_SUBFILE_TYPE => "NewSubfileType",
            WIDTH => "ImageWidth",
            HEIGHT => "ImageLength",
            BITS => "BitsPerSample",
            COMPRESSION => "Compression",
            PHOTOMETRIC => "PhotometricInterpretation",
            FILL_ORDER => "FillOrder",
            STRIP_OFFSETS => "StripOffsets",
            SAMPLES => "SamplesPerPixel",
            ROWS_PER_STRIP => "RowsPerStrip",
            STRIP_COUNTS => "StripByteCounts",
            PLANAR => "PlanarConfiguration",
            PREDICTOR => "Predictor",
            TILE_WIDTH => "TileWidth",
            TILE_HEIGHT => "TileLength",
            TILE_OFFSETS => "TileOffsets",
            TILE_COUNTS => "TileByteCounts",
            SAMPLE_FORMAT => "SampleFormat",
            PIXEL_SCALE => "ModelPixelScale",
            TIEPOINT => "ModelTiepoint",
            TRANSFORMATION => "ModelTransformation",
            GEO_KEYS => "GeoKeyDirectory",
            GEO_DOUBLES => "GeoDoubleParams",
            GEO_ASCII => "GeoAsciiParams",
            GDAL_METADATA => "GDAL_METADATA",
            GDAL_NODATA => "GDAL_NODATA",
            other => return format!("tag {other}"),
        };
        name.to_string()
    }
}

/// The bytes of a file, with its start kept.
#[derive(Debug)]
pub(super) struct File {
    pub(super) source: Arc<dyn Source>,
    pub(super) name: String,
    pub(super) len: u64,
    pub(super) big_endian: bool,
    head: Bytes,
    pages: Mutex<BTreeMap<u64, Bytes>>,
}

/// One entry of a directory.
#[derive(Debug, Clone, Copy)]
struct Entry {
    kind: u16,
    count: u64,
    /// Where the value lies in the file.
    at: u64,
}

/// An image file directory.
#[derive(Debug)]
pub(super) struct Ifd {
    entries: BTreeMap<u16, Entry>,
}

impl File {
    pub(super) fn corrupt(&self, tag: impl Into<String>, reason: impl Into<String>) -> TiffError {
        TiffError::Corrupt { file: self.name.clone(), tag: tag.into(), reason: reason.into() }
    }

    pub(super) fn unsupported(&self, tag: u16, what: impl Into<String>) -> TiffError {
        TiffError::Unsupported { file: self.name.clone(), tag: tag::name(tag), what: what.into() }
    }

    /// Reads bytes, from the kept start if they lie there.
    fn bytes(&self, range: Range<u64>, what: &str) -> Result<Bytes, TiffError> {
        self.within(&range, what)?;
        if range.end <= self.head.len() as u64 {
            #[allow(clippy::cast_possible_truncation)]
            return Ok(self.head.slice(range.start as usize..range.end as usize));
        }
        Ok(self.source.read(range)?)
    }

    /// Refuses bytes that the file does not have.
    fn within(&self, range: &Range<u64>, what: &str) -> Result<(), TiffError> {
        if range.end > self.len || range.start > range.end {
            return Err(self.corrupt(
                what,
                format!("bytes {}..{} lie beyond the file of {}", range.start, range.end, self.len),
            ));
        }
        Ok(())
    }

    /// The kept pages of long arrays.
    fn pages(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Bytes>> {
        // A thread that panicked left at worst a page less.
        self.pages.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Fetches the pages of these ranges that are not kept yet, all at once.
    fn fetch_pages(&self, ranges: impl Iterator<Item = Range<u64>>) -> Result<(), TiffError> {
        let mut missing = BTreeSet::new();
        {
            let pages = self.pages();
            for range in ranges.filter(|r| r.end > self.head.len() as u64 && r.end <= self.len) {
                let wanted = range.start / PAGE..range.end.div_ceil(PAGE);
                missing.extend(wanted.filter(|p| !pages.contains_key(p)));
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let bytes: Vec<Range<u64>> =
            missing.iter().map(|p| p * PAGE..((p + 1) * PAGE).min(self.len)).collect();
        let read = self.source.read_ranges(&bytes)?;
        self.pages().extend(missing.into_iter().zip(read));
        Ok(())
    }

    /// Reads a part of a long array through pages that are kept.
    fn paged(&self, range: Range<u64>, what: &str) -> Result<Vec<u8>, TiffError> {
        self.within(&range, what)?;
        if range.end <= self.head.len() as u64 {
            return Ok(self.bytes(range, what)?.to_vec());
        }
        self.fetch_pages(std::iter::once(range.clone()))?;
        let pages = self.pages();
        let mut out = Vec::new();
        for p in range.start / PAGE..range.end.div_ceil(PAGE) {
            let page = pages.get(&p).ok_or_else(|| self.corrupt(what, "page lost"))?;
            let base = p * PAGE;
            #[allow(clippy::cast_possible_truncation)]
            let (from, to) = (
                range.start.saturating_sub(base) as usize,
                (range.end - base).min(page.len() as u64) as usize,
            );
            out.extend_from_slice(page.get(from..to).ok_or_else(|| self.corrupt(what, "cut short"))?);
        }
        Ok(out)
    }

    /// Bytes that were read to know what is in the file, so far.
    pub(super) fn header_bytes(&self) -> u64 {
        let head = self.head.len() as u64;
        let first = if head > HEAD { HEAD } else { 0 };
        first + head + self.pages().values().map(|p| p.len() as u64).sum::<u64>()
    }

    fn uint(&self, bytes: &[u8]) -> u64 {
        let fold = |acc: u64, b: &u8| acc << 8 | u64::from(*b);
        if self.big_endian { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) }
    }
}

/// Opens a file: its directories, main image first.
pub(super) fn open(source: Arc<dyn Source>) -> Result<(File, Vec<Ifd>), TiffError> {
    let name = source.url().to_string();
    let len = source.len()?;
    let head = source.read(0..len.min(HEAD))?;
    let not = |reason: String| TiffError::NotTiff { file: name.clone(), reason };
    let magic: [u8; 4] =
        head.get(..4).and_then(|m| m.try_into().ok()).ok_or_else(|| not(format!("it has {len} bytes")))?;
    let big_endian = match &magic[..2] {
        b"II" => false,
        b"MM" => true,
        other => return Err(not(format!("it starts with {other:02x?}"))),
    };
    let mut file = File { source, name: name.clone(), len, big_endian, head, pages: Mutex::default() };
    let big = match file.uint(&magic[2..4]) {
        42 => false,
        43 => true,
        other => return Err(not(format!("its version is {other}, not 42 or 43"))),
    };
    let start = if big {
        let rest = file.bytes(4..16, "header")?;
        if (file.uint(&rest[..2]), file.uint(&rest[2..4])) != (8, 0) {
            return Err(file.corrupt("header", "BigTIFF offsets are not 8 bytes"));
        }
        file.uint(&rest[4..12])
    } else {
        file.uint(&file.bytes(4..8, "header")?)
    };
    let mut ifds = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut at = start;
    while at != 0 {
        if !seen.insert(at) {
            return Err(file.corrupt("directories", format!("they loop back to byte {at}")));
        }
        if ifds.len() == MAX_IFDS {
            return Err(file.corrupt("directories", format!("there are more than {MAX_IFDS}")));
        }
        let (ifd, next) = directory(&file, at, big)?;
        ifds.push(ifd);
        at = next;
    }
    if ifds.is_empty() {
        return Err(file.corrupt("directories", "there is none"));
    }
    // A header longer than the first read (per-band metadata of many bands) is worth one more, larger one.
    let need = ifds
        .iter()
        .flat_map(|i| i.entries.values())
        .map(|e| e.at)
        .filter(|at| *at < 4 << 20)
        .max()
        .unwrap_or(0);
    if need > file.head.len() as u64
        && file.len > file.head.len() as u64
        && ifds.iter().any(Ifd::short_values_beyond(need))
    {
        file.head = file.source.read(0..file.len.min(need + HEAD))?;
    }
    Ok((file, ifds))
}

fn size_of(kind: u16) -> Option<u64> {
    Some(match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 | 17 | 18 => 8,
        _ => return None,
    })
}

fn directory(file: &File, at: u64, big: bool) -> Result<(Ifd, u64), TiffError> {
    let what = format!("directory at byte {at}");
    let (count_len, entry_len, next_len, inline) = if big { (8, 20, 8, 8) } else { (2, 12, 4, 4) };
    let end = |n: u64| at.checked_add(n).ok_or_else(|| file.corrupt(&what, "its offset overflows"));
    let count = file.uint(&file.bytes(at..end(count_len)?, &what)?);
    if count == 0 || count > MAX_ENTRIES {
        return Err(file.corrupt(&what, format!("it claims {count} entries")));
    }
    let body = file.bytes(end(count_len)?..end(count_len + count * entry_len)?, &what)?;
    // Some writers leave the last "next" offset out of the file.
    let next_at = end(count_len + count * entry_len)?;
    let next = match file.bytes(next_at..next_at + next_len, &what) {
        Ok(b) => file.uint(&b),
        Err(TiffError::Corrupt { .. }) => 0,
        Err(e) => return Err(e),
    };
    let mut entries = BTreeMap::new();
    for (i, raw) in body.chunks_exact(usize::try_from(entry_len).unwrap_or(12)).enumerate() {
        let tag = file.uint(&raw[..2]);
        let kind = file.uint(&raw[2..4]);
        let (count, value) =
            if big { (file.uint(&raw[4..12]), &raw[12..20]) } else { (file.uint(&raw[4..8]), &raw[8..12]) };
        #[allow(clippy::cast_possible_truncation)]
        let (tag, kind) = (tag as u16, kind as u16);
        let Some(size) = size_of(kind) else { continue };
        let bytes = count
            .checked_mul(size)
            .ok_or_else(|| file.corrupt(tag::name(tag), format!("it claims {count} values")))?;
        let entry_at = at + count_len + i as u64 * entry_len;
        let value_at = if bytes <= inline { entry_at + (if big { 12 } else { 8 }) } else { file.uint(value) };
        if value_at.checked_add(bytes).is_none_or(|e| e > file.len) {
            // Private tags may be broken without harm; those that are read complain when they are.
            entries.insert(tag, Entry { kind, count, at: u64::MAX });
            continue;
        }
        entries.entry(tag).or_insert(Entry { kind, count, at: value_at });
    }
    Ok((Ifd { entries }, next))
}

impl Ifd {
    fn short_values_beyond(need: u64) -> impl Fn(&Self) -> bool {
        move |ifd| {
            ifd.entries.iter().any(|(t, e)| e.at > HEAD && e.at <= need && !is_index(*t) && e.at != u64::MAX)
        }
    }

    pub(super) fn has(&self, tag: u16) -> bool {
        self.entries.contains_key(&tag)
    }

    pub(super) fn count(&self, tag: u16) -> u64 {
        self.entries.get(&tag).map_or(0, |e| e.count)
    }

    fn raw(&self, file: &File, tag: u16) -> Result<Option<(Entry, Bytes)>, TiffError> {
        let Some(entry) = self.entries.get(&tag) else { return Ok(None) };
        let size = size_of(entry.kind).unwrap_or(1) * entry.count;
        if entry.at == u64::MAX {
            return Err(
                file.corrupt(tag::name(tag), format!("its {} values lie beyond the file", entry.count))
            );
        }
        if size > MAX_VALUE {
            return Err(file.corrupt(tag::name(tag), format!("its value of {size} bytes is too long")));
        }
        Ok(Some((*entry, file.bytes(entry.at..entry.at + size, &tag::name(tag))?)))
    }

    /// Whole numbers of a tag; empty if it is absent.
    pub(super) fn uints(&self, file: &File, tag: u16) -> Result<Vec<u64>, TiffError> {
        let Some((entry, bytes)) = self.raw(file, tag)? else { return Ok(Vec::new()) };
        let size = match entry.kind {
            1 | 3 | 4 | 7 | 13 | 16 | 18 => size_of(entry.kind).unwrap_or(1),
            other => {
                return Err(file
                    .corrupt(tag::name(tag), format!("its values are of type {other}, not whole numbers")));
            }
        };
        Ok(bytes.chunks_exact(usize::try_from(size).unwrap_or(1)).map(|c| file.uint(c)).collect())
    }

    /// The first whole number of a tag.
    pub(super) fn uint(&self, file: &File, tag: u16) -> Result<Option<u64>, TiffError> {
        Ok(self.uints(file, tag)?.first().copied())
    }

    /// Float64 values of a tag; empty if it is absent.
    pub(super) fn doubles(&self, file: &File, tag: u16) -> Result<Vec<f64>, TiffError> {
        let Some((entry, bytes)) = self.raw(file, tag)? else { return Ok(Vec::new()) };
        let value = |c: &[u8]| f64::from_bits(file.uint(c));
        match entry.kind {
            12 => Ok(bytes.chunks_exact(8).map(value).collect()),
            11 => Ok(bytes
                .chunks_exact(4)
                .map(|c| f64::from(f32::from_bits(u32::try_from(file.uint(c)).unwrap_or(0))))
                .collect()),
            other => Err(file.corrupt(tag::name(tag), format!("its values are of type {other}, not double"))),
        }
    }

    /// Text of a tag, up to the first NUL.
    pub(super) fn text(&self, file: &File, tag: u16) -> Result<Option<String>, TiffError> {
        let Some((_, bytes)) = self.raw(file, tag)? else { return Ok(None) };
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        Ok(Some(String::from_utf8_lossy(&bytes[..end]).into_owned()))
    }

    /// Where values `range` of a long array of whole numbers lie, and the size of one.
    fn span(&self, file: &File, tag: u16, range: &Range<u64>) -> Result<(Range<u64>, u64), TiffError> {
        let name = || tag::name(tag);
        let entry = self.entries.get(&tag).ok_or_else(|| file.corrupt(name(), "the tag is missing"))?;
        let size = match entry.kind {
            3 | 4 | 13 | 16 | 18 => size_of(entry.kind).unwrap_or(4),
            other => {
                return Err(
                    file.corrupt(name(), format!("its values are of type {other}, not whole numbers"))
                );
            }
        };
        if entry.at == u64::MAX || range.end > entry.count {
            return Err(
                file.corrupt(name(), format!("it has {} values, value {} is needed", entry.count, range.end))
            );
        }
        Ok((entry.at + range.start * size..entry.at + range.end * size, size))
    }

    /// Fetches parts of long arrays that [`Ifd::part`] will be asked for, all at once.
    pub(super) fn prefetch(
        &self,
        file: &File,
        parts: impl Iterator<Item = (u16, Range<u64>)>,
    ) -> Result<(), TiffError> {
        let spans: Vec<_> = parts
            .map(|(tag, range)| Ok(self.span(file, tag, &range)?.0))
            .collect::<Result<_, TiffError>>()?;
        file.fetch_pages(spans.into_iter())
    }

    /// Values `range` of a long array of whole numbers, of which only the part is fetched.
    pub(super) fn part(&self, file: &File, tag: u16, range: &Range<u64>) -> Result<Vec<u64>, TiffError> {
        let (span, size) = self.span(file, tag, range)?;
        let bytes = file.paged(span, &tag::name(tag))?;
        Ok(bytes.chunks_exact(usize::try_from(size).unwrap_or(4)).map(|c| file.uint(c)).collect())
    }
}

/// Whether a tag is an index of blocks, which is fetched in parts.
fn is_index(tag: u16) -> bool {
    matches!(tag, tag::STRIP_OFFSETS | tag::STRIP_COUNTS | tag::TILE_OFFSETS | tag::TILE_COUNTS)
}
