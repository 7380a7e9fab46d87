//! One page of a column of lists of equal length, decoded straight into its place.

use std::cell::RefCell;

use arrow::datatypes::{ArrowNativeType, ArrowPrimitiveType};
use bytes::Bytes;
use half::f16;
use parquet::basic::Compression;

use super::hybrid::{all_are, look_up, starts_each};
use super::pages::{Header, Kind};

/// More bytes than this are in no page.
const MAX_PAGE: usize = 1 << 30;

/// Encodings, as Parquet numbers them.
const PLAIN: i64 = 0;
const PLAIN_DICTIONARY: i64 = 2;
const RLE_DICTIONARY: i64 = 8;
const BYTE_STREAM_SPLIT: i64 = 9;

/// A number of a vector, as it lies in a file.
pub(super) trait Number: ArrowNativeType + Default + Send + Sync {
    type Arrow: ArrowPrimitiveType<Native = Self>;
    /// Bytes in the file.
    type Stored: AsRef<[u8]> + AsMut<[u8]> + Default + Copy + for<'a> TryFrom<&'a [u8]>;
    fn of(stored: Self::Stored) -> Self;
}

macro_rules! numbers {
    ($($native:ty, $arrow:ident, $size:literal, $of:expr;)*) => {
        $(impl Number for $native {
            type Arrow = arrow::datatypes::$arrow;
            type Stored = [u8; $size];
            #[inline]
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // as Parquet stores narrow integers
            fn of(stored: [u8; $size]) -> Self {
                $of(stored)
            }
        })*
    };
}
numbers! {
    f16, Float16Type, 2, f16::from_le_bytes;
    f32, Float32Type, 4, f32::from_le_bytes;
    f64, Float64Type, 8, f64::from_le_bytes;
    i8, Int8Type, 4, |b| i32::from_le_bytes(b) as i8;
    i16, Int16Type, 4, |b| i32::from_le_bytes(b) as i16;
    i32, Int32Type, 4, i32::from_le_bytes;
    i64, Int64Type, 8, i64::from_le_bytes;
    u8, UInt8Type, 4, |b| u32::from_le_bytes(b) as u8;
    u16, UInt16Type, 4, |b| u32::from_le_bytes(b) as u16;
    u32, UInt32Type, 4, u32::from_le_bytes;
    u64, UInt64Type, 8, u64::from_le_bytes;
}

/// What is the same for all pages of a column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) codec: Compression,
    /// The definition level of a number that is there.
    pub(super) definition: u32,
    /// Numbers of a vector.
    pub(super) dim: usize,
}

/// A page, and where its numbers stand in the column.
pub(super) struct Page {
    pub(super) header: Header,
    pub(super) body: Bytes,
    pub(super) first: usize,
}

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Page {
    /// Decodes all numbers into `out`. `None` where the page is not what this module is for: its lists are not of equal
    /// length, something is null, its encoding is another, or it is broken.
    pub(super) fn decode<T: Number>(
        &self,
        layout: Layout,
        dictionary: Option<&[T]>,
        out: &mut [T],
    ) -> Option<()> {
        SCRATCH.with_borrow_mut(|scratch| self.decode_with(scratch, layout, dictionary, out))
    }

    fn decode_with<T: Number>(
        &self,
        scratch: &mut Vec<u8>,
        layout: Layout,
        dictionary: Option<&[T]>,
        out: &mut [T],
    ) -> Option<()> {
        let width = (32 - layout.definition.leading_zeros()) as usize;
        let (repetition, definition, values);
        match self.header.kind {
            Kind::DataV2 { repetition: r, definition: d, compressed } => {
                let rest;
                (repetition, rest) = self.body.split_at_checked(r)?;
                let (levels, rest) = rest.split_at_checked(d)?;
                definition = levels;
                let size = self.header.uncompressed.checked_sub(r + d)?;
                let codec = if compressed { layout.codec } else { Compression::UNCOMPRESSED };
                values = decompressed(codec, rest, size, scratch)?;
            }
            Kind::Data => {
                let all = decompressed(layout.codec, &self.body, self.header.uncompressed, scratch)?;
                let rest;
                (repetition, rest) = levels(all)?;
                (definition, values) = levels(rest)?;
            }
            Kind::Dictionary | Kind::Other => return None,
        }
        if !(starts_each(repetition, out.len(), self.first, layout.dim)
            && all_are(definition, width, out.len(), layout.definition))
        {
            return None;
        }
        match self.header.encoding {
            PLAIN => plain(values, out),
            BYTE_STREAM_SPLIT => split(values, out),
            PLAIN_DICTIONARY | RLE_DICTIONARY => {
                let (width, indices) = values.split_first()?;
                look_up(indices, usize::from(*width), dictionary?, out)
            }
            _ => None,
        }
    }
}

/// The numbers of a page of a dictionary.
pub(super) fn dictionary<T: Number>(header: &Header, body: &[u8], codec: Compression) -> Option<Vec<T>> {
    let mut scratch = Vec::new();
    let bytes = decompressed(codec, body, header.uncompressed, &mut scratch)?;
    if header.values > bytes.len() {
        return None;
    }
    let mut out = vec![T::default(); header.values];
    plain(bytes, &mut out)?;
    Some(out)
}

/// Levels with their length in front, and what follows.
fn levels(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

fn plain<T: Number>(bytes: &[u8], out: &mut [T]) -> Option<()> {
    let size = size_of::<T::Stored>();
    let bytes = bytes.get(..out.len().checked_mul(size)?)?;
    for (value, stored) in out.iter_mut().zip(bytes.chunks_exact(size)) {
        *value = T::of(stored.try_into().ok()?);
    }
    Some(())
}

/// The first bytes of all numbers, then the second of all, and so on.
fn split<T: Number>(bytes: &[u8], out: &mut [T]) -> Option<()> {
    let n = out.len();
    if bytes.len() != n.checked_mul(size_of::<T::Stored>())? {
        return None;
    }
    for (i, value) in out.iter_mut().enumerate() {
        let mut stored = T::Stored::default();
        for (k, byte) in stored.as_mut().iter_mut().enumerate() {
            *byte = bytes[k * n + i];
        }
        *value = T::of(stored);
    }
    Some(())
}

fn decompressed<'a>(
    codec: Compression,
    bytes: &'a [u8],
    size: usize,
    scratch: &'a mut Vec<u8>,
) -> Option<&'a [u8]> {
    thread_local! {
        static ZSTD: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
    }
    if size > MAX_PAGE {
        return None;
    }
    match codec {
        Compression::UNCOMPRESSED => return Some(bytes),
        Compression::ZSTD(_) => ZSTD.with_borrow_mut(|zstd| {
            if zstd.is_none() {
                *zstd = zstd::bulk::Decompressor::new().ok();
            }
            scratch.clear();
            scratch.reserve(size);
            zstd.as_mut()?.decompress_to_buffer(bytes, scratch).ok()
        })?,
        Compression::SNAPPY => {
            scratch.resize(size, 0);
            snap::raw::Decoder::new().decompress(bytes, scratch).ok()?
        }
        _ => return None,
    };
    (scratch.len() == size).then_some(scratch)
}
