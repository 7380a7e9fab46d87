//! Flatbuffers, read with every offset checked. Only what Icechunk's files are made of: tables, vectors, strings and structs.
//! Layout: <https://flatbuffers.dev/internals/>.

use std::cell::Cell;

/// A buffer with the tables in it.
#[derive(Debug)]
pub(super) struct Buffer<'a> {
    bytes: &'a [u8],
    /// Tables that may still be looked at. A good buffer has fewer tables than bytes; one in which many offsets lead to the same few
    /// tables has no end.
    left: Cell<usize>,
}

/// A table of a buffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'a> {
    buffer: &'a Buffer<'a>,
    at: usize,
    /// Where the offsets of its fields are, and how many bytes they take.
    fields: (usize, usize),
}

/// Elements of a vector: where they start, and how many.
#[derive(Debug, Clone, Copy)]
struct Elements {
    start: usize,
    len: usize,
}

impl<'a> Buffer<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, left: Cell::new(bytes.len()) }
    }

    /// The table that all others hang on.
    pub(super) fn root(&'a self) -> Option<Table<'a>> {
        self.table(self.u32(0)? as usize)
    }

    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.bytes.get(at..at.checked_add(N)?)?.try_into().ok()
    }

    fn u16(&self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    fn u32(&self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    /// Where the offset at `at` leads.
    fn follow(&self, at: usize) -> Option<usize> {
        at.checked_add(self.u32(at)? as usize)
    }

    fn table(&'a self, at: usize) -> Option<Table<'a>> {
        self.left.set(self.left.get().checked_sub(1)?);
        let back = i64::from(i32::from_le_bytes(self.array(at)?));
        let fields = usize::try_from(i64::try_from(at).ok()?.checked_sub(back)?).ok()?;
        let len = usize::from(self.u16(fields)?);
        (len >= 4).then_some(Table { buffer: self, at, fields: (fields, len) })
    }
}

impl<'a> Table<'a> {
    /// Where field `i` lies in the table itself; `None` where it is left out.
    fn field(&self, i: usize) -> Option<usize> {
        let slot = 4 + 2 * i;
        if slot + 2 > self.fields.1 {
            return None;
        }
        let offset = usize::from(self.buffer.u16(self.fields.0.checked_add(slot)?)?);
        (offset > 0).then_some(self.at.checked_add(offset)?)
    }

    pub(super) fn u8(&self, i: usize) -> Option<u8> {
        self.buffer.bytes.get(self.field(i)?).copied()
    }

    pub(super) fn u32(&self, i: usize) -> Option<u32> {
        self.buffer.u32(self.field(i)?)
    }

    pub(super) fn u64(&self, i: usize) -> Option<u64> {
        self.buffer.array(self.field(i)?).map(u64::from_le_bytes)
    }

    /// A struct of `N` bytes.
    pub(super) fn bytes_of<const N: usize>(&self, i: usize) -> Option<[u8; N]> {
        self.buffer.array(self.field(i)?)
    }

    pub(super) fn table(&self, i: usize) -> Option<Self> {
        self.buffer.table(self.buffer.follow(self.field(i)?)?)
    }

    fn elements(&self, i: usize, size: usize) -> Option<Elements> {
        let at = self.buffer.follow(self.field(i)?)?;
        let (len, start) = (self.buffer.u32(at)? as usize, at + 4);
        let end = start.checked_add(len.checked_mul(size)?)?;
        (end <= self.buffer.bytes.len()).then_some(Elements { start, len })
    }

    pub(super) fn bytes(&self, i: usize) -> Option<&'a [u8]> {
        let Elements { start, len } = self.elements(i, 1)?;
        self.buffer.bytes.get(start..start + len)
    }

    pub(super) fn text(&self, i: usize) -> Option<&'a str> {
        std::str::from_utf8(self.bytes(i)?).ok()
    }

    /// A vector of structs or numbers of `N` bytes.
    pub(super) fn structs<const N: usize>(&self, i: usize) -> Option<impl Iterator<Item = [u8; N]> + 'a> {
        let Elements { start, len } = self.elements(i, N)?;
        let (chunks, _) = self.buffer.bytes[start..start + len * N].as_chunks::<N>();
        Some(chunks.iter().copied())
    }

    /// A vector of tables; each is `None` where it is damaged.
    pub(super) fn tables(&self, i: usize) -> Option<impl ExactSizeIterator<Item = Option<Self>> + 'a> {
        let Elements { start, len } = self.elements(i, 4)?;
        let buffer = self.buffer;
        Some((0..len).map(move |k| buffer.table(buffer.follow(start + 4 * k)?)))
    }
}
