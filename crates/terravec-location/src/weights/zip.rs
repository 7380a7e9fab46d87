//! Just enough of zip to read what `torch.save` and `numpy.savez` write: stored and deflated entries, zip64.
//! PKWARE APPNOTE 6.3.10, sections 4.3 and 4.5.3.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};

use flate2::Crc;
use flate2::read::DeflateDecoder;

use super::ReadSeek;
use crate::error::WeightsError;

const MAX_ENTRIES: u64 = 100_000;
const MAX_DIRECTORY: u64 = 64 << 20;

pub(crate) struct Archive {
    source: Box<dyn ReadSeek>,
    length: u64,
    pub(crate) entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    method: u16,
    flags: u16,
    crc: u32,
    stored: u64,
    pub(crate) size: u64,
    header: u64,
}

impl Archive {
    pub(crate) fn open(mut source: Box<dyn ReadSeek>) -> Result<Self, WeightsError> {
        let length = source.seek(SeekFrom::End(0))?;
        let tail_start = length.saturating_sub(22 + 65_535 + 20);
        let tail = read_at(&mut source, tail_start, length - tail_start)?;
        let end = find_end(&tail).ok_or_else(|| malformed("no end of central directory; cut off?"))?;
        let e = &tail[end..];
        let (mut count, mut size, mut offset) =
            (u64::from(u16_at(e, 10)?), u64::from(u32_at(e, 12)?), u64::from(u32_at(e, 16)?));
        if count == 0xffff || size == 0xffff_ffff || offset == 0xffff_ffff {
            let locator = end.checked_sub(20).filter(|&at| tail[at..].starts_with(b"PK\x06\x07"));
            let locator = locator.ok_or_else(|| malformed("no zip64 locator"))?;
            let at = u64_at(&tail[locator..], 8)?;
            let z = read_at(&mut source, at, 56)?;
            if !z.starts_with(b"PK\x06\x06") {
                return Err(malformed("no zip64 end of central directory"));
            }
            (count, size, offset) = (u64_at(&z, 32)?, u64_at(&z, 40)?, u64_at(&z, 48)?);
        }
        if count > MAX_ENTRIES || size > MAX_DIRECTORY {
            return Err(WeightsError::Limit(format!("{count} entries in a directory of {size} bytes")));
        }
        let directory = read_at(&mut source, offset, size)?;
        let mut entries = BTreeMap::new();
        let mut rest = &directory[..];
        for _ in 0..count {
            let (name, entry, used) = parse_entry(rest)?;
            rest = &rest[used..];
            if entries.insert(name.clone(), entry).is_some() {
                return Err(malformed(format!("entry `{name}` occurs twice")));
            }
        }
        Ok(Self { source, length, entries })
    }

    /// The whole entry, decompressed and checked, unless it is larger than `limit`.
    pub(crate) fn read(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, WeightsError> {
        let entry = self.entries.get(name).cloned();
        let entry = entry.ok_or_else(|| malformed(format!("no entry `{name}`")))?;
        if entry.size > limit {
            return Err(WeightsError::Limit(format!(
                "entry `{name}` has {} bytes, more than {limit}",
                entry.size
            )));
        }
        if entry.flags & 1 != 0 {
            return Err(malformed(format!("entry `{name}` is encrypted")));
        }
        let header = read_at(&mut self.source, entry.header, 30)?;
        if !header.starts_with(b"PK\x03\x04") {
            return Err(malformed(format!("entry `{name}` has no local header")));
        }
        let skip = 30 + u64::from(u16_at(&header, 26)?) + u64::from(u16_at(&header, 28)?);
        let start = entry.header.checked_add(skip).filter(|&s| s <= self.length);
        let start = start.ok_or_else(|| malformed(format!("entry `{name}` lies beyond the end")))?;
        self.source.seek(SeekFrom::Start(start))?;
        let packed = self.source.by_ref().take(entry.stored);
        let mut bytes = Vec::new();
        // One byte more than promised is enough to notice a lie.
        match entry.method {
            0 => packed.take(entry.size + 1).read_to_end(&mut bytes)?,
            8 => DeflateDecoder::new(packed).take(entry.size + 1).read_to_end(&mut bytes)?,
            m => return Err(malformed(format!("entry `{name}` uses compression method {m}"))),
        };
        if bytes.len() as u64 != entry.size {
            return Err(malformed(format!("entry `{name}` does not hold the {} bytes promised", entry.size)));
        }
        let mut crc = Crc::new();
        crc.update(&bytes);
        if crc.sum() != entry.crc {
            return Err(malformed(format!("entry `{name}` fails its checksum")));
        }
        Ok(bytes)
    }
}

fn find_end(tail: &[u8]) -> Option<usize> {
    (0..=tail.len().checked_sub(22)?).rev().find(|&at| tail[at..].starts_with(b"PK\x05\x06"))
}

fn parse_entry(b: &[u8]) -> Result<(String, Entry, usize), WeightsError> {
    if !b.starts_with(b"PK\x01\x02") {
        return Err(malformed("the central directory is cut off"));
    }
    let (n, x, c) = (usize::from(u16_at(b, 28)?), usize::from(u16_at(b, 30)?), usize::from(u16_at(b, 32)?));
    let used = 46 + n + x + c;
    let name = b.get(46..46 + n).ok_or_else(|| malformed("an entry name is cut off"))?;
    let name = String::from_utf8_lossy(name).into_owned();
    let mut extra = b.get(46 + n..46 + n + x).ok_or_else(|| malformed("an entry is cut off"))?;
    if used > b.len() {
        return Err(malformed("an entry comment is cut off"));
    }
    let mut entry = Entry {
        flags: u16_at(b, 8)?,
        method: u16_at(b, 10)?,
        crc: u32_at(b, 16)?,
        stored: u64::from(u32_at(b, 20)?),
        size: u64::from(u32_at(b, 24)?),
        header: u64::from(u32_at(b, 42)?),
    };
    while extra.len() >= 4 {
        let (id, size) = (u16_at(extra, 0)?, usize::from(u16_at(extra, 2)?));
        let field =
            extra.get(4..4 + size).ok_or_else(|| malformed(format!("entry `{name}`: bad extra field")))?;
        if id == 1 {
            // Only what overflowed its 32 bits is here, in this order.
            let mut at = 0;
            for value in [&mut entry.size, &mut entry.stored, &mut entry.header] {
                if *value == 0xffff_ffff {
                    *value = u64_at(field, at)?;
                    at += 8;
                }
            }
        }
        extra = &extra[4 + size..];
    }
    Ok((name, entry, used))
}

/// Exactly `length` bytes at `offset`; nothing is allocated for bytes that are not there.
fn read_at(source: &mut Box<dyn ReadSeek>, offset: u64, length: u64) -> Result<Vec<u8>, WeightsError> {
    source.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    source.by_ref().take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != length {
        return Err(malformed(format!("cut off: no {length} bytes at {offset}")));
    }
    Ok(bytes)
}

fn u16_at(b: &[u8], at: usize) -> Result<u16, WeightsError> {
    Ok(u16::from_le_bytes(array_at(b, at)?))
}

fn u32_at(b: &[u8], at: usize) -> Result<u32, WeightsError> {
    Ok(u32::from_le_bytes(array_at(b, at)?))
}

fn u64_at(b: &[u8], at: usize) -> Result<u64, WeightsError> {
    Ok(u64::from_le_bytes(array_at(b, at)?))
}

fn array_at<const N: usize>(b: &[u8], at: usize) -> Result<[u8; N], WeightsError> {
    let bytes = b.get(at..at + N).and_then(|b| b.try_into().ok());
    bytes.ok_or_else(|| malformed("a record is cut off"))
}

fn malformed(what: impl Into<String>) -> WeightsError {
    WeightsError::Malformed(what.into())
}
