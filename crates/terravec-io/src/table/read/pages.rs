//! Pages: what their headers say, and where they are in the file.

use parquet::file::metadata::{OffsetIndexBuilder, RowGroupMetaData};
use parquet::file::page_index::offset_index::OffsetIndexMetaData;

use crate::source::Source;
use crate::table::TableError;
use crate::table::thrift::{Compact, I32, I64, LIST, STRUCT};

/// What kind of page it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// Of levels and numbers, compressed together.
    Data,
    /// Of levels as they are, and compressed numbers.
    DataV2 {
        repetition: usize,
        definition: usize,
        compressed: bool,
    },
    Dictionary,
    /// Of no use.
    Other,
}

/// The header of a page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// Bytes of the header itself.
    pub(super) length: usize,
    pub(super) compressed: usize,
    pub(super) uncompressed: usize,
    pub(super) values: usize,
    /// As Parquet numbers encodings.
    pub(super) encoding: i64,
}

impl Header {
    /// The header that `bytes` begin with; `None` where they are cut short or broken.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut c = Compact { bytes };
        let (mut kind, mut compressed, mut uncompressed) = (None, None, None);
        let mut body = Body::default();
        c.fields(|c, id, wire| {
            match (id, wire) {
                (1, I32) => kind = Some(c.int()?),
                (2, I32) => uncompressed = Some(size(c.int()?)?),
                (3, I32) => compressed = Some(size(c.int()?)?),
                (5 | 7 | 8, STRUCT) => body = Body::read(c, id)?,
                _ => return Some(false),
            }
            Some(true)
        })?;
        let kind = match kind? {
            0 => Kind::Data,
            2 => Kind::Dictionary,
            3 => Kind::DataV2 {
                repetition: body.repetition,
                definition: body.definition,
                compressed: !body.plain,
            },
            _ => Kind::Other,
        };
        Some(Self {
            kind,
            length: bytes.len() - c.bytes.len(),
            compressed: compressed?,
            uncompressed: uncompressed?,
            values: body.values,
            encoding: body.encoding,
        })
    }
}

/// The part of a header that depends on the kind of page.
#[derive(Default)]
struct Body {
    values: usize,
    encoding: i64,
    repetition: usize,
    definition: usize,
    plain: bool,
}

impl Body {
    fn read(c: &mut Compact<'_>, of: i16) -> Option<Self> {
        let mut out = Self::default();
        c.fields(|c, id, wire| {
            match (of, id, wire) {
                (_, 1, I32) => out.values = size(c.int()?)?,
                (5 | 7, 2, I32) | (8, 4, I32) => out.encoding = c.int()?,
                (8, 5, I32) => out.definition = size(c.int()?)?,
                (8, 6, I32) => out.repetition = size(c.int()?)?,
                // A boolean is its own wire type: 1 is true, 2 is false.
                (8, 7, 1 | 2) => out.plain = wire == 2,
                _ => return Some(false),
            }
            Some(true)
        })?;
        Some(out)
    }
}

fn size(n: i64) -> Option<usize> {
    usize::try_from(n).ok()
}

/// The offset indexes of these leaves of some row groups: for each group one per column, empty where it was not asked
/// for. One call of the source. `None` if one of them is missing in the file.
pub(super) fn offset_indexes(
    source: &dyn Source,
    groups: &[&RowGroupMetaData],
    leaves: &[usize],
) -> Result<Option<Vec<Vec<OffsetIndexMetaData>>>, TableError> {
    let mut ranges = Vec::new();
    for group in groups {
        for leaf in leaves {
            let column = group.column(*leaf);
            let range = column.offset_index_offset().zip(column.offset_index_length()).and_then(|(at, n)| {
                let (at, n) = (u64::try_from(at).ok()?, u64::try_from(n).ok()?);
                Some(at..at.checked_add(n)?)
            });
            let Some(range) = range else { return Ok(None) };
            ranges.push(range);
        }
    }
    let mut parts = source.read_ranges(&ranges)?.into_iter();
    let mut out = Vec::new();
    for group in groups {
        let mut columns: Vec<OffsetIndexMetaData> =
            (0..group.num_columns()).map(|_| OffsetIndexBuilder::new().build()).collect();
        for leaf in leaves {
            let bytes = parts.next().unwrap_or_default();
            columns[*leaf] = offset_index(&bytes, group, *leaf).ok_or_else(|| TableError::Damaged {
                url: source.url().into(),
                what: format!("the index of pages of column {} is broken", group.column(*leaf).column_path()),
            })?;
        }
        out.push(columns);
    }
    Ok(Some(out))
}

/// Pages in the order of their rows, all inside the column's bytes.
fn offset_index(bytes: &[u8], group: &RowGroupMetaData, leaf: usize) -> Option<OffsetIndexMetaData> {
    let mut pages: Vec<(i64, i32, i64)> = Vec::new();
    Compact { bytes }.fields(|c, id, wire| {
        if (id, wire) != (1, LIST) {
            return Some(false);
        }
        let (wire, n) = c.list()?;
        for _ in 0..n {
            let mut page = (0, 0, 0);
            c.fields(|c, id, wire| {
                match (id, wire) {
                    (1, I64) => page.0 = c.int()?,
                    (2, I32) => page.1 = i32::try_from(c.int()?).ok()?,
                    (3, I64) => page.2 = c.int()?,
                    _ => return Some(false),
                }
                Some(true)
            })?;
            pages.push(page);
        }
        (wire == STRUCT).then_some(true)
    })?;
    let (start, length) = group.column(leaf).byte_range();
    let end = i64::try_from(start.checked_add(length)?).ok()?;
    let rows = group.num_rows();
    let (mut least, mut first) = (i64::try_from(start).ok()?, 0);
    let mut builder = OffsetIndexBuilder::new();
    for (i, (offset, size, row)) in pages.iter().enumerate() {
        let next = pages.get(i + 1).map_or(rows, |p| p.2);
        let sound = *size > 0
            && *offset >= least
            && offset.checked_add(i64::from(*size))? <= end
            && *row == first
            && next >= first
            && next <= rows;
        if !sound {
            return None;
        }
        builder.append_offset_and_size(*offset, *size);
        builder.append_row_count(next - first);
        (least, first) = (offset + i64::from(*size), next);
    }
    (first == rows).then(|| builder.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_with_their_length() {
        // Type 0, 100 bytes from 90, a checksum, and a data page header of 5 values in encoding 9.
        let bytes = [
            0x15, 0, 0x15, 200, 1, 0x15, 180, 1, 0x15, 6, 0x1c, 0x15, 10, 0x15, 18, 0x15, 6, 0x15, 6, 0, 0,
            77,
        ];
        let header = Header::read(&bytes).unwrap();
        let want = Header {
            kind: Kind::Data,
            length: 21,
            compressed: 90,
            uncompressed: 100,
            values: 5,
            encoding: 9,
        };
        assert_eq!(header, want);
        for n in 0..21 {
            assert_eq!(Header::read(&bytes[..n]), None);
        }
    }

    #[test]
    fn the_second_version_tells_levels_apart() {
        // Type 3; 4 values, 0 nulls, 1 row, encoding 0, 2 bytes of definition, 3 of repetition, not compressed.
        let bytes = [
            0x15, 6, 0x15, 40, 0x15, 40, 0x5c, 0x15, 8, 0x15, 0, 0x15, 2, 0x15, 0, 0x15, 4, 0x15, 6, 0x12, 0,
            0,
        ];
        let kind = Header::read(&bytes).unwrap().kind;
        assert_eq!(kind, Kind::DataV2 { repetition: 3, definition: 2, compressed: false });
    }
}
