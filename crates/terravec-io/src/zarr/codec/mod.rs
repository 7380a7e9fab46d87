//! From the bytes of a chunk to its elements: the chain of codecs that the metadata names, backwards.

pub(super) mod blosc;
mod blosclz;
pub(super) mod crc32c;
mod inflate;
mod numbers;
pub(super) mod parse;
mod shuffle;

use super::element::Element;
use super::shard::Sharding;

/// The most bytes a chunk may hold once decoded. Published advice is less than 1 GB.
pub(super) const MAX_CHUNK: usize = 1 << 30;

/// A chain of codecs, for chunks of one shape.
#[derive(Debug, Clone)]
pub(super) struct Pipeline {
    /// Shape of a decoded chunk.
    pub(super) shape: Vec<usize>,
    pub(super) element: Element,
    /// Array to array, in the order of encoding.
    pub(super) arrays: Vec<ArrayStep>,
    pub(super) core: Core,
    /// Bytes to bytes, in the order of encoding.
    pub(super) bytes: Vec<BytesStep>,
}

/// Array to array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ArrayStep {
    /// Axis `i` of what is stored is axis `order[i]`.
    Transpose(Vec<usize>),
    /// Each number is stored as the difference to the one before.
    Delta,
}

/// Array to bytes.
#[derive(Debug, Clone)]
pub(super) enum Core {
    Bytes {
        big_endian: bool,
    },
    Sharded(Box<Sharding>),
    /// Lengths and texts.
    Text,
    Pcodec,
}

/// Bytes to bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BytesStep {
    Blosc,
    Zstd,
    Gzip,
    Zlib,
    Lz4,
    Crc32c,
    /// The first bytes of all elements, then the second, … ; with the size of an element.
    Shuffle(usize),
}

impl Pipeline {
    /// Bytes of a decoded chunk; `None` for text.
    pub(super) fn size(&self) -> Option<usize> {
        Some(self.shape.iter().product::<usize>() * self.element.size()?)
    }

    /// The shards, where chunks are nothing but that, so that parts of them can be read alone.
    pub(super) fn sharding(&self) -> Option<&Sharding> {
        match &self.core {
            Core::Sharded(s) if self.arrays.is_empty() && self.bytes.is_empty() => Some(s),
            _ => None,
        }
    }

    /// The bytes (little-endian, C order) of the chunk encoded in `stored`; for text, its lengths and texts.
    pub(super) fn decode(&self, stored: &[u8], fill: &[u8]) -> Result<Vec<u8>, String> {
        // How many bytes each step made of what it got, as far as that is fixed.
        let mut size = match &self.core {
            Core::Bytes { .. } => self.size(),
            Core::Sharded(_) | Core::Text | Core::Pcodec => None,
        };
        let mut sizes = Vec::with_capacity(self.bytes.len());
        for step in &self.bytes {
            sizes.push(size);
            size = match step {
                BytesStep::Crc32c => size.map(|n| n + 4),
                BytesStep::Shuffle(_) => size,
                _ => None,
            };
        }
        let mut owned: Option<Vec<u8>> = None;
        for (step, size) in self.bytes.iter().zip(sizes).rev() {
            let input = owned.as_deref().unwrap_or(stored);
            owned = Some(step.undo(input, size)?);
        }
        let mut out = match &self.core {
            Core::Bytes { big_endian } => {
                let mut bytes = owned.unwrap_or_else(|| stored.to_vec());
                if *big_endian {
                    numbers::turn_around(&mut bytes, self.element.word());
                }
                bytes
            }
            Core::Text => owned.unwrap_or_else(|| stored.to_vec()),
            Core::Pcodec => numbers::unpack(owned.as_deref().unwrap_or(stored), &self.element)?,
            Core::Sharded(sharding) => sharding.decode_whole(
                owned.as_deref().unwrap_or(stored),
                &self.stored_shape(),
                &self.element,
                fill,
            )?,
        };
        if let Some(size) = self.size().filter(|size| *size != out.len()) {
            return Err(format!("the chunk decodes to {} bytes, {size} are expected", out.len()));
        }
        let mut shape = self.stored_shape();
        for step in self.arrays.iter().rev() {
            match step {
                ArrayStep::Delta => numbers::undo_delta(&mut out, &self.element),
                ArrayStep::Transpose(order) => {
                    (out, shape) = transposed_back(&out, &shape, order, self.element.size().unwrap_or(1));
                }
            }
        }
        Ok(out)
    }

    /// The shape of what is stored, all transpositions done.
    fn stored_shape(&self) -> Vec<usize> {
        let mut shape = self.shape.clone();
        for step in &self.arrays {
            if let ArrayStep::Transpose(order) = step {
                shape = order.iter().map(|&axis| shape[axis]).collect();
            }
        }
        shape
    }
}

/// Undoes a transposition: axis `i` of `bytes`, which has `shape`, becomes axis `order[i]`.
fn transposed_back(bytes: &[u8], shape: &[usize], order: &[usize], item: usize) -> (Vec<u8>, Vec<usize>) {
    let n = shape.len();
    let mut strides = vec![item; n];
    for i in (0..n.saturating_sub(1)).rev() {
        strides[i] = strides[i + 1] * shape[i + 1];
    }
    let (mut to_shape, mut from) = (vec![0; n], vec![0; n]);
    for (i, &axis) in order.iter().enumerate() {
        to_shape[axis] = shape[i];
        from[axis] = strides[i];
    }
    let mut out = Vec::with_capacity(bytes.len());
    let Some((&last, outer)) = to_shape.split_last() else { return (bytes.to_vec(), to_shape) };
    let step = from[n - 1];
    super::nd::each(outer, |index| {
        let start: usize = index.iter().zip(&from).map(|(i, s)| i * s).sum();
        for i in 0..last {
            out.extend_from_slice(&bytes[start + i * step..][..item]);
        }
    });
    (out, to_shape)
}

impl BytesStep {
    /// Undoes the step; `size` is how many bytes must come out, where that is known.
    fn undo(&self, bytes: &[u8], size: Option<usize>) -> Result<Vec<u8>, String> {
        match self {
            Self::Blosc => blosc::decode(bytes, size),
            Self::Zstd => inflate::zstd(bytes, size),
            Self::Gzip => inflate::gzip(bytes, size),
            Self::Zlib => inflate::zlib(bytes, size),
            Self::Lz4 => inflate::lz4(bytes, size),
            Self::Crc32c => crc32c::checked(bytes).map(<[u8]>::to_vec),
            Self::Shuffle(item) => Ok(shuffle::unshuffle(bytes, *item)),
        }
    }
}
