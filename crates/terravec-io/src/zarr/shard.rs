//! Shards: many chunks in one object, and an index that says where each lies.

use serde_json::Value;

use super::codec::parse::{self, Fault};
use super::codec::{MAX_CHUNK, Pipeline, crc32c};
use super::element::Element;
use super::nd;

/// The most chunks in a shard.
const MAX_CHUNKS: usize = 1 << 24;
/// What the index says of a chunk that was never written.
const NEVER: u64 = u64::MAX;

/// How an object is divided into chunks.
#[derive(Debug, Clone)]
pub(super) struct Sharding {
    /// Chunks along each axis.
    pub(super) grid: Vec<usize>,
    /// How a chunk is encoded.
    pub(super) inner: Pipeline,
    at_start: bool,
    checksum: bool,
    big_endian: bool,
}

impl Sharding {
    /// The options of `sharding_indexed` for objects of `shape`.
    pub(super) fn parse(
        options: Option<&Value>,
        shape: &[usize],
        element: &Element,
        depth: usize,
    ) -> Result<Self, Fault> {
        let option = |key: &str| options.and_then(|o| o.get(key)).unwrap_or(&Value::Null);
        let inner = sizes(option("chunk_shape"), shape.len())
            .ok_or_else(|| Fault::Corrupt(format!("chunk shape {} in a shard", option("chunk_shape"))))?;
        if shape.iter().zip(&inner).any(|(outer, inner)| outer % inner != 0) {
            return Err(Fault::Corrupt(format!("chunks of {inner:?} do not divide shards of {shape:?}")));
        }
        let grid: Vec<usize> = shape.iter().zip(&inner).map(|(outer, inner)| outer / inner).collect();
        let count = grid.iter().try_fold(1usize, |n, g| n.checked_mul(*g)).filter(|n| *n <= MAX_CHUNKS);
        if count.is_none() {
            return Err(Fault::Unsupported(format!("a shard of {grid:?} chunks")));
        }
        let at_start = match option("index_location") {
            Value::Null => false,
            Value::String(s) if s == "end" => false,
            Value::String(s) if s == "start" => true,
            other => return Err(Fault::Corrupt(format!("index_location {other}"))),
        };
        let (mut checksum, mut big_endian) = (false, false);
        for codec in option("index_codecs").as_array().map_or(&[][..], Vec::as_slice) {
            match codec.as_str().or_else(|| codec.get("name")?.as_str()).unwrap_or_default() {
                "bytes" => {
                    let endian = codec.get("configuration").and_then(|c| c.get("endian"));
                    big_endian = endian.and_then(Value::as_str) == Some("big");
                }
                "crc32c" => checksum = true,
                other => return Err(Fault::Unsupported(format!("index codec `{other}`"))),
            }
        }
        let inner = parse::v3(option("codecs"), &inner, element, depth + 1)?;
        Ok(Self { grid, inner, at_start, checksum, big_endian })
    }

    /// Whether the index lies behind the chunks.
    pub(super) fn is_at_end(&self) -> bool {
        !self.at_start
    }

    /// Bytes of the index.
    pub(super) fn index_size(&self) -> u64 {
        16 * self.grid.iter().product::<usize>() as u64 + if self.checksum { 4 } else { 0 }
    }

    /// Where the index lies in an object of `size` bytes.
    pub(super) fn index_range(&self, size: u64) -> Result<std::ops::Range<u64>, String> {
        let need = self.index_size();
        if need > size {
            return Err(format!("the shard has {size} bytes, its index alone needs {need}"));
        }
        Ok(if self.at_start { 0..need } else { size - need..size })
    }

    /// The byte range of each chunk in an object of `size` bytes, in C order; empty for those never written.
    pub(super) fn parse_index(&self, bytes: &[u8], size: u64) -> Result<Vec<(u64, u64)>, String> {
        let bytes = if self.checksum {
            crc32c::checked(bytes).map_err(|e| format!("the index of the shard: {e}"))?
        } else {
            bytes
        };
        let word =
            |w: &[u8; 8]| if self.big_endian { u64::from_be_bytes(*w) } else { u64::from_le_bytes(*w) };
        let mut entries = Vec::with_capacity(bytes.len() / 16);
        for (i, pair) in bytes.as_chunks::<8>().0.as_chunks::<2>().0.iter().enumerate() {
            let (offset, length) = (word(&pair[0]), word(&pair[1]));
            if (offset, length) == (NEVER, NEVER) {
                entries.push((0, 0));
                continue;
            }
            match offset.checked_add(length).filter(|end| *end <= size) {
                Some(end) => entries.push((offset, end)),
                None => {
                    return Err(format!(
                        "the index puts chunk {i} at byte {offset} with {length} bytes, the shard has {size}"
                    ));
                }
            }
        }
        Ok(entries)
    }

    /// Decodes a whole shard that is in memory: for shards within other codecs.
    pub(super) fn decode_whole(
        &self,
        bytes: &[u8],
        shape: &[usize],
        element: &Element,
        fill: &[u8],
    ) -> Result<Vec<u8>, String> {
        let item = element.size().ok_or("text in shards that are compressed as a whole")?;
        let total = shape.iter().product::<usize>() * item;
        if total > MAX_CHUNK {
            return Err(format!("a shard of {total} bytes is too large to be read as a whole"));
        }
        let range = self.index_range(bytes.len() as u64)?;
        let entries =
            self.parse_index(&bytes[range.start as usize..range.end as usize], bytes.len() as u64)?;
        let mut out = fill.repeat(total / fill.len().max(1));
        let strides = nd::strides(shape);
        let mut number = 0;
        let mut failed = None;
        nd::each(&self.grid, |at| {
            let (start, end) = entries.get(number).copied().unwrap_or_default();
            number += 1;
            if start == end || failed.is_some() {
                return;
            }
            match self.inner.decode(&bytes[start as usize..end as usize], fill) {
                Ok(chunk) => {
                    let sizes = &self.inner.shape;
                    let origin: usize = (0..at.len()).map(|a| at[a] * sizes[a] * strides[a]).sum();
                    let Some((&last, outer)) = sizes.split_last() else { return };
                    let mut rows = chunk.chunks_exact((last * item).max(1));
                    nd::each(outer, |index| {
                        let to = origin + index.iter().zip(&strides).map(|(i, s)| i * s).sum::<usize>();
                        if let Some(row) = rows.next() {
                            out[to * item..][..row.len()].copy_from_slice(row);
                        }
                    });
                }
                Err(e) => failed = Some(e),
            }
        });
        failed.map_or(Ok(out), Err)
    }
}

/// A list of `n` sizes, none of them 0.
pub(super) fn sizes(value: &Value, n: usize) -> Option<Vec<usize>> {
    let list = value.as_array().filter(|list| list.len() == n)?;
    list.iter().map(|v| usize::try_from(v.as_u64()?).ok().filter(|n| *n > 0)).collect()
}
