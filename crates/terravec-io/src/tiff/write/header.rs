//! Serialises everything before the pixels: TIFF header, GDAL's "ghost" area, IFDs, values, tile indexes.
//!
//! Order (cloud-optimised GeoTIFF as GDAL lays it out): every IFD is followed by its values, the tile offset
//! and size arrays of all IFDs come last, so that the first kilobytes of a file tell all but where its tiles
//! are. Equal values of several IFDs (4096 bits-per-sample entries, say) are stored once.

use std::collections::HashMap;

/// Field types of TIFF 6.0 and BigTIFF.
#[derive(Debug, Clone, Copy)]
#[repr(u16)]
pub(super) enum Kind {
    Ascii = 2,
    Short = 3,
    Long = 4,
    Double = 12,
    Long8 = 16,
}

/// A tag with its value.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) tag: u16,
    kind: Kind,
    count: usize,
    bytes: Vec<u8>,
    /// Stored after all IFDs: the arrays that grow with the number of tiles.
    is_tile_index: bool,
}

impl Field {
    pub(super) fn shorts(tag: u16, values: &[u16]) -> Self {
        Self::new(tag, Kind::Short, values.len(), values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    pub(super) fn long(tag: u16, value: u32) -> Self {
        Self::new(tag, Kind::Long, 1, value.to_le_bytes().to_vec())
    }

    pub(super) fn doubles(tag: u16, values: &[f64]) -> Self {
        Self::new(tag, Kind::Double, values.len(), values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    pub(super) fn ascii(tag: u16, text: &str) -> Self {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        Self::new(tag, Kind::Ascii, bytes.len(), bytes)
    }

    /// Sizes of the tiles in bytes.
    pub(super) fn tile_sizes(tag: u16, values: &[u32]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self { is_tile_index: true, ..Self::new(tag, Kind::Long, values.len(), bytes) }
    }

    /// Offsets of the tiles. A classic TIFF holds the low 32 bits only; its caller knows that they suffice.
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn tile_offsets(tag: u16, values: &[u64], big: bool) -> Self {
        let (kind, bytes) = if big {
            (Kind::Long8, values.iter().flat_map(|v| v.to_le_bytes()).collect())
        } else {
            (Kind::Long, values.iter().flat_map(|&v| (v as u32).to_le_bytes()).collect())
        };
        Self { is_tile_index: true, ..Self::new(tag, kind, values.len(), bytes) }
    }

    fn new(tag: u16, kind: Kind, count: usize, bytes: Vec<u8>) -> Self {
        Self { tag, kind, count, bytes, is_tile_index: false }
    }
}

/// What readers that know COGs may rely on; GDAL calls it structural metadata. For planar files GDAL writes
/// `INTERLEAVE=BAND` whether tiles are ordered by band or by position, and readers go by the tile offsets.
fn ghost(planar: bool) -> String {
    let lines = format!(
        "LAYOUT=IFDS_BEFORE_DATA\nBLOCK_ORDER=ROW_MAJOR\nBLOCK_LEADER=SIZE_AS_UINT4\n\
         BLOCK_TRAILER=LAST_4_BYTES_REPEATED\n{}KNOWN_INCOMPATIBLE_EDITION=NO\n ",
        if planar { "INTERLEAVE=BAND\n" } else { "" }
    );
    format!("GDAL_STRUCTURAL_METADATA_SIZE={:06} bytes\n{lines}", lines.len())
}

/// Everything up to the first tile's leader. `ifds` are full resolution first, fields ascending by tag.
pub(super) fn serialize(ifds: &[Vec<Field>], planar: bool, big: bool) -> Vec<u8> {
    // Sizes of an IFD's entry count, of an entry, and of an offset or inline value.
    let (count_size, entry_size, word) = if big { (8, 20, 8) } else { (2, 12, 4) };
    let mut out = Vec::new();
    out.extend_from_slice(b"II");
    if big {
        out.extend_from_slice(&[43, 0, 8, 0, 0, 0]);
    } else {
        out.extend_from_slice(&[42, 0]);
    }
    let mut link = out.len();
    out.resize(link + word, 0);
    out.extend_from_slice(ghost(planar).as_bytes());

    let mut stored: HashMap<&[u8], usize> = HashMap::new();
    let mut indexes = Vec::new();
    for fields in ifds {
        let start = align(&mut out);
        put(&mut out, link, start, word);
        out.resize(start + count_size + fields.len() * entry_size + word, 0);
        put(&mut out, start, fields.len(), count_size);
        for (i, field) in fields.iter().enumerate() {
            let entry = start + count_size + i * entry_size;
            put(&mut out, entry, usize::from(field.tag), 2);
            put(&mut out, entry + 2, field.kind as usize, 2);
            put(&mut out, entry + 4, field.count, word);
            let value = entry + 4 + word;
            if field.bytes.len() <= word {
                out[value..value + field.bytes.len()].copy_from_slice(&field.bytes);
            } else if field.is_tile_index {
                indexes.push((value, field));
            } else {
                let at = *stored.entry(&field.bytes).or_insert_with(|| append(&mut out, &field.bytes));
                put(&mut out, value, at, word);
            }
        }
        link = start + count_size + fields.len() * entry_size;
    }
    for (value, field) in indexes {
        let at = append(&mut out, &field.bytes);
        put(&mut out, value, at, word);
    }
    align(&mut out);
    out
}

/// Values start on word boundaries.
fn align(out: &mut Vec<u8>) -> usize {
    out.resize(out.len().next_multiple_of(2), 0);
    out.len()
}

fn append(out: &mut Vec<u8>, bytes: &[u8]) -> usize {
    let at = align(out);
    out.extend_from_slice(bytes);
    at
}

/// Writes the `size` low bytes of `value` at `at`.
fn put(out: &mut [u8], at: usize, value: usize, size: usize) {
    out[at..at + size].copy_from_slice(&(value as u64).to_le_bytes()[..size]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes that GDAL 3.12 writes.
    #[test]
    fn ghost_area_is_gdals() {
        for (planar, size) in [(false, 140), (true, 156)] {
            let text = ghost(planar);
            assert!(text.starts_with(&format!("GDAL_STRUCTURAL_METADATA_SIZE={size:06} bytes\n")));
            assert_eq!(text.len(), 43 + size);
        }
    }

    #[test]
    fn ifds_are_chained_and_share_values() {
        for big in [false, true] {
            let bits = vec![8; 100];
            let ifd = |n| vec![Field::shorts(258, &bits), Field::tile_offsets(324, &vec![n; 50], big)];
            let bytes = serialize(&[ifd(1), ifd(2)], false, big);
            let (first_link, count, entry, word) = if big { (8, 8, 20, 8) } else { (4, 2, 12, 4) };
            let word_at = |at: usize| {
                let mut b = [0; 8];
                b[..word].copy_from_slice(&bytes[at..at + word]);
                usize::try_from(u64::from_le_bytes(b)).unwrap()
            };
            let first = word_at(first_link);
            let second = word_at(first + count + 2 * entry);
            assert_eq!(word_at(second + count + 2 * entry), 0);
            let value = |ifd: usize, i: usize| word_at(ifd + count + i * entry + 4 + word);
            assert_eq!(value(first, 0), value(second, 0));
            assert!(value(first, 1) > second && value(second, 1) > value(first, 1));
            assert!(first.is_multiple_of(2) && second.is_multiple_of(2));
        }
    }
}
