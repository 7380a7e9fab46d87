//! The rows of one list of an index, as they lie in memory while it is made, and as bytes.
//!
//! A list is its head (codes, bounds, places, times, ids), then its vectors. Searches read heads whole, and of vectors only those
//! that codes can't rule out. All numbers are little-endian.

use std::ops::Range;

use flate2::Crc;

/// Bytes of a row in the head, beside its codes and its id: scale, residual, length and checksum of the vector, number, lon, lat, start,
/// end of time, end of id.
const FIXED: usize = 4 * 4 + 5 * 8 + 4;
/// No time is known.
pub(crate) const NO_TIME: i64 = i64::MIN;

/// Rows of one list.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct List {
    /// Row-major.
    pub(crate) vectors: Vec<f32>,
    /// Numbers of rows, counted through the whole index.
    pub(crate) rows: Vec<u64>,
    pub(crate) lon: Vec<f64>,
    pub(crate) lat: Vec<f64>,
    pub(crate) start: Vec<i64>,
    pub(crate) end: Vec<i64>,
    pub(crate) ids: String,
    /// Where each id ends.
    pub(crate) id_ends: Vec<u32>,
}

impl List {
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Bytes in memory, roughly.
    pub(crate) fn bytes(&self) -> usize {
        4 * self.vectors.len() + 44 * self.rows.len() + self.ids.len()
    }

    pub(crate) fn id(&self, row: usize) -> &str {
        let start = if row == 0 { 0 } else { self.id_ends[row - 1] as usize };
        &self.ids[start..self.id_ends[row] as usize]
    }

    /// Puts the row `row` of another list behind.
    pub(crate) fn push_from(&mut self, other: &Self, row: usize, dim: usize) {
        self.vectors.extend_from_slice(&other.vectors[row * dim..(row + 1) * dim]);
        self.rows.push(other.rows[row]);
        self.lon.push(other.lon[row]);
        self.lat.push(other.lat[row]);
        self.start.push(other.start[row]);
        self.end.push(other.end[row]);
        self.push_id(other.id(row));
    }

    #[allow(clippy::cast_possible_truncation)] // a list is written before its ids grow to 4 GB: see `MOST_IDS`
    pub(crate) fn push_id(&mut self, id: &str) {
        self.ids.push_str(id);
        self.id_ends.push(self.ids.len() as u32);
    }

    /// Head and vectors as bytes.
    pub(crate) fn to_bytes(&self, dim: usize) -> (Vec<u8>, Vec<u8>) {
        let n = self.len();
        let mut head = Vec::with_capacity(n * (dim + FIXED) + self.ids.len());
        let (mut scales, mut residuals, mut lengths, mut sums) = (vec![], vec![], vec![], vec![]);
        let vectors: Vec<u8> = self.vectors.iter().flat_map(|v| v.to_le_bytes()).collect();
        for (row, bytes) in self.vectors.chunks_exact(dim).zip(vectors.chunks_exact(4 * dim)) {
            let code = Coded::of(row);
            head.extend(code.codes.iter().map(|c| c.cast_unsigned()));
            scales.push(code.scale);
            residuals.push(code.residual);
            lengths.push(code.length);
            sums.push(checksum(bytes));
        }
        for column in [&scales, &residuals, &lengths] {
            head.extend(column.iter().flat_map(|v| v.to_le_bytes()));
        }
        head.extend(sums.iter().flat_map(|v| v.to_le_bytes()));
        head.extend(self.rows.iter().flat_map(|v| v.to_le_bytes()));
        head.extend(self.lon.iter().chain(&self.lat).flat_map(|v| v.to_le_bytes()));
        head.extend(self.start.iter().chain(&self.end).flat_map(|v| v.to_le_bytes()));
        head.extend(self.id_ends.iter().flat_map(|v| v.to_le_bytes()));
        head.extend_from_slice(self.ids.as_bytes());
        (head, vectors)
    }
}

pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// A vector as codes of one byte, and how far they are from it.
struct Coded {
    codes: Vec<i8>,
    scale: f32,
    /// The length of vector − scale × codes, rounded up.
    residual: f32,
    length: f32,
}

impl Coded {
    #[allow(clippy::cast_possible_truncation)]
    fn of(row: &[f32]) -> Self {
        let largest = row.iter().fold(0f32, |m, v| m.max(v.abs()));
        let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
        let codes: Vec<i8> = row.iter().map(|v| (v / scale).round().clamp(-127.0, 127.0) as i8).collect();
        let (mut rest, mut square) = (0f64, 0f64);
        for (v, c) in row.iter().zip(&codes) {
            rest += (f64::from(*v) - f64::from(scale) * f64::from(*c)).powi(2);
            square += f64::from(*v).powi(2);
        }
        let up = |v: f64| (v * (1.0 + 1e-6)) as f32;
        Self { codes, scale, residual: up(rest.sqrt()), length: square.sqrt() as f32 }
    }
}

/// The bytes of a head, and where its columns lie.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    bytes: &'a [u8],
    n: usize,
    dim: usize,
}

/// Columns of 4 and of 8 bytes, in their order.
#[derive(Clone, Copy)]
pub(crate) enum Column {
    Scale,
    Residual,
    Length,
    Sum,
    Row,
    Lon,
    Lat,
    Start,
    End,
    IdEnd,
}

impl<'a> Head<'a> {
    /// Bytes of a head of `n` rows with `ids` bytes of ids.
    pub(crate) fn size(n: u64, dim: usize, ids: u64) -> Option<u64> {
        n.checked_mul(dim as u64 + FIXED as u64)?.checked_add(ids)
    }

    /// `bytes` must be as long as [`Self::size`] says.
    pub(crate) fn new(bytes: &'a [u8], n: usize, dim: usize) -> Self {
        Self { bytes, n, dim }
    }

    pub(crate) fn len(&self) -> usize {
        self.n
    }

    /// Codes, row-major.
    pub(crate) fn codes(&self) -> Vec<i8> {
        self.bytes[..self.n * self.dim].iter().map(|c| c.cast_signed()).collect()
    }

    fn at(&self, column: Column, row: usize) -> Range<usize> {
        let start = self.n * self.dim;
        let (before4, before8, width) = match column {
            Column::Scale => (0, 0, 4),
            Column::Residual => (1, 0, 4),
            Column::Length => (2, 0, 4),
            Column::Sum => (3, 0, 4),
            Column::Row => (4, 0, 8),
            Column::Lon => (4, 1, 8),
            Column::Lat => (4, 2, 8),
            Column::Start => (4, 3, 8),
            Column::End => (4, 4, 8),
            Column::IdEnd => (4, 5, 4),
        };
        let at = start + self.n * (4 * before4 + 8 * before8) + row * width;
        at..at + width
    }

    fn four(&self, column: Column, row: usize) -> [u8; 4] {
        let b = &self.bytes[self.at(column, row)];
        [b[0], b[1], b[2], b[3]]
    }

    fn eight(&self, column: Column, row: usize) -> [u8; 8] {
        let b = &self.bytes[self.at(column, row)];
        [b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]
    }

    pub(crate) fn f32(&self, column: Column, row: usize) -> f32 {
        f32::from_le_bytes(self.four(column, row))
    }

    pub(crate) fn u32(&self, column: Column, row: usize) -> u32 {
        u32::from_le_bytes(self.four(column, row))
    }

    pub(crate) fn f64(&self, column: Column, row: usize) -> f64 {
        f64::from_le_bytes(self.eight(column, row))
    }

    pub(crate) fn i64(&self, column: Column, row: usize) -> i64 {
        i64::from_le_bytes(self.eight(column, row))
    }

    pub(crate) fn u64(&self, column: Column, row: usize) -> u64 {
        u64::from_le_bytes(self.eight(column, row))
    }

    /// The id of a row; empty where it has none, or the bytes are no text.
    pub(crate) fn id(&self, row: usize) -> &'a str {
        let start = if row == 0 { 0 } else { self.u32(Column::IdEnd, row - 1) as usize };
        let end = self.u32(Column::IdEnd, row) as usize;
        let ids = &self.bytes[self.at(Column::IdEnd, self.n).start..];
        ids.get(start..end).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or("")
    }

    /// All of it, with the bytes of the vectors.
    pub(crate) fn to_list(&self, vectors: &[u8]) -> List {
        let mut list = List {
            vectors: vectors.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
            ..List::default()
        };
        for row in 0..self.n {
            list.rows.push(self.u64(Column::Row, row));
            list.lon.push(self.f64(Column::Lon, row));
            list.lat.push(self.f64(Column::Lat, row));
            list.start.push(self.i64(Column::Start, row));
            list.end.push(self.i64(Column::End, row));
            list.push_id(self.id(row));
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::exact_dot;

    #[test]
    fn bytes_hold_the_list_and_bounds_hold_for_every_row() {
        let mut random = fastrand::Rng::with_seed(12);
        let mut list = List { vectors: (0..5 * 7).map(|_| random.f32() - 0.5).collect(), ..List::default() };
        list.vectors[14..21].fill(0.0);
        for row in 0..5u32 {
            list.rows.push(u64::from(row) + 100);
            list.lon.push(f64::from(row));
            list.lat.push(-f64::from(row));
            list.start.push(if row == 1 { NO_TIME } else { 5 });
            list.end.push(6);
            list.push_id(&"ä".repeat(row as usize));
        }
        let (head, vectors) = list.to_bytes(7);
        assert_eq!(head.len() as u64, Head::size(5, 7, list.ids.len() as u64).unwrap());
        let read = Head::new(&head, 5, 7);
        assert_eq!(read.to_list(&vectors), list);
        let q: Vec<f32> = (0..7).map(|_| random.f32() - 0.5).collect();
        for (row, codes) in read.codes().chunks_exact(7).enumerate() {
            let scale = read.f32(Column::Scale, row);
            let coded: Vec<f32> = codes.iter().map(|c| scale * f32::from(*c)).collect();
            let off = (exact_dot(&q, &coded) - exact_dot(&q, &list.vectors[row * 7..row * 7 + 7])).abs();
            assert!(off <= f64::from(read.f32(Column::Residual, row)) * exact_dot(&q, &q).sqrt() + 1e-7);
        }
    }
}
