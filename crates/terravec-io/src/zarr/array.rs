//! [`Array`]: reads of regions and of single places, chunk by chunk.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use half::f16;
use rayon::prelude::*;

use super::cache::ShardCache;
use super::codec::Pipeline;
use super::element::Element;
use super::error::ZarrError;
use super::metadata::ArrayMetadata;
use super::nd;
use super::store::Store;
use crate::{DType, Samples};

/// A part of an array: for each axis the half-open range of its indices.
pub type Region = Vec<Range<u64>>;

/// An open array. Clones are cheap and share what is known of shards.
#[derive(Debug, Clone)]
pub struct Array {
    pub(super) store: Arc<dyn Store>,
    pub(super) shards: Arc<ShardCache>,
    path: String,
    metadata: Arc<ArrayMetadata>,
}

impl Array {
    pub(super) fn new(
        store: Arc<dyn Store>,
        shards: Arc<ShardCache>,
        path: String,
        metadata: ArrayMetadata,
    ) -> Self {
        Self { store, shards, path, metadata: Arc::new(metadata) }
    }

    /// What the metadata say.
    #[must_use]
    pub fn metadata(&self) -> &ArrayMetadata {
        &self.metadata
    }

    /// What it is called in messages.
    #[must_use]
    pub fn place(&self) -> String {
        self.store.place(&self.path)
    }

    /// Its name in its group.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Whether reading it costs round trips.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        self.store.is_remote()
    }

    /// Elements along each axis of what is decoded together: of chunks, within shards where there are any.
    #[must_use]
    pub fn chunk_shape(&self) -> &[usize] {
        &self.unit().shape
    }

    /// Elements along each axis of an object: of shards, where there are any.
    #[must_use]
    pub fn shard_shape(&self) -> Option<&[usize]> {
        self.metadata.pipeline.sharding().map(|_| &self.metadata.pipeline.shape[..])
    }

    /// How the chunks that are decoded together are encoded.
    pub(super) fn unit(&self) -> &Pipeline {
        let mut unit = &self.metadata.pipeline;
        while let Some(sharding) = unit.sharding() {
            unit = &sharding.inner;
        }
        unit
    }

    /// The key of the object at `index`.
    pub(super) fn key(&self, index: &[u64]) -> String {
        let key = self.metadata.key(index);
        if self.path.is_empty() { key } else { format!("{}/{key}", self.path) }
    }

    /// The bytes (little-endian, C order) of the elements of `region`. Every chunk is fetched and decoded once; chunks never
    /// written read as the fill value.
    ///
    /// # Errors
    /// If the region is not inside the array, elements have no fixed size, a chunk is damaged, or memory can't hold the answer.
    pub fn read(&self, region: &[Range<u64>]) -> Result<Vec<u8>, ZarrError> {
        self.check(region)?;
        let shape: Vec<usize> = region.iter().map(|r| (r.end - r.start) as usize).collect();
        let mut out = self.blank(&shape)?;
        if out.is_empty() {
            return Ok(out);
        }
        let chunk = &self.unit().shape;
        let cells = cells_of(region, chunk);
        // The part of a chunk that is wanted: where it begins in the chunk and in the answer, and its sizes.
        let part = |cell: &[u64], axis: usize| {
            let origin = cell[axis] * chunk[axis] as u64;
            let from = region[axis].start.max(origin);
            let to = region[axis].end.min(origin + chunk[axis] as u64);
            ((from - origin) as usize, (from - region[axis].start) as usize, (to - from) as usize)
        };
        let item = self.item()?;
        let (from, into) = (nd::strides(chunk), nd::strides(&shape));
        // Planes of the answer, so many that all threads have work, are filled side by side.
        let mut leading = 0;
        let mut planes = 1;
        while leading + 1 < shape.len() && planes < 64 {
            planes *= shape[leading];
            leading += 1;
        }
        let plane = out.len() / planes;
        self.stream(
            &cells,
            |_, chunk| chunk,
            |chunks| {
                out.par_chunks_mut(plane).enumerate().for_each(|(number, plane)| {
                    let mut rest = number;
                    let mut at = vec![0; leading];
                    for axis in (0..leading).rev() {
                        (at[axis], rest) = (rest % shape[axis], rest / shape[axis]);
                    }
                    'chunks: for (index, chunk) in &chunks {
                        let cell = &cells[*index];
                        let mut source = 0;
                        for axis in 0..leading {
                            let (first, to, n) = part(cell, axis);
                            if at[axis] < to || at[axis] >= to + n {
                                continue 'chunks;
                            }
                            source += (first + at[axis] - to) * from[axis];
                        }
                        copy(chunk, plane, source, &from, &into, item, leading, |axis| part(cell, axis));
                    }
                });
            },
        )?;
        Ok(out)
    }

    /// As [`read`](Self::read), as numbers.
    ///
    /// # Errors
    /// As [`read`](Self::read), or if elements are not of a type that vectors are made of.
    pub fn read_samples(&self, region: &[Range<u64>]) -> Result<Samples, ZarrError> {
        let dtype = self.dtype()?;
        Ok(samples(dtype, self.read(region)?))
    }

    /// The elements at `points`, each of which gives an index on `axes` (two different ones); all other axes are read over
    /// `region`. The answer has shape (all other axes, points).
    ///
    /// # Errors
    /// As [`read_samples`](Self::read_samples).
    pub fn read_points(
        &self,
        region: &[Range<u64>],
        axes: [usize; 2],
        points: &[(u64, u64)],
    ) -> Result<Samples, ZarrError> {
        let dtype = self.dtype()?;
        let whole: Region = region.to_vec();
        for &(a, b) in points {
            let mut one = whole.clone();
            (one[axes[0]], one[axes[1]]) = (a..a + 1, b..b + 1);
            self.check(&one)?;
        }
        let chunk = &self.unit().shape;
        let others: Vec<usize> = (0..region.len()).filter(|a| !axes.contains(a)).collect();
        let sizes: Vec<usize> = others.iter().map(|&a| (region[a].end - region[a].start) as usize).collect();
        let mut shape = sizes.clone();
        shape.push(points.len());
        let mut out = self.blank(&shape)?;
        if out.is_empty() {
            return Ok(samples(dtype, out));
        }
        // Points by chunk, then the chunks along the other axes.
        let mut by_place: BTreeMap<(u64, u64), Vec<usize>> = BTreeMap::new();
        let (ca, cb) = (chunk[axes[0]] as u64, chunk[axes[1]] as u64);
        for (i, &(a, b)) in points.iter().enumerate() {
            by_place.entry((a / ca, b / cb)).or_default().push(i);
        }
        let rest: Region = others.iter().map(|&a| region[a].clone()).collect();
        let rest_chunk: Vec<usize> = others.iter().map(|&a| chunk[a]).collect();
        let rest_cells = cells_of(&rest, &rest_chunk);
        let (mut cells, mut members) = (Vec::new(), Vec::new());
        for ((a, b), inside) in &by_place {
            for cell in &rest_cells {
                let mut whole = vec![0; region.len()];
                (whole[axes[0]], whole[axes[1]]) = (*a, *b);
                others.iter().zip(cell).for_each(|(&axis, c)| whole[axis] = *c);
                cells.push(whole);
                members.push((inside, cell));
            }
        }
        let strides = nd::strides(chunk);
        let item = dtype.size();
        let width = nd::strides(&sizes);
        // Where the numbers of a pixel lie in a chunk, and in the answer.
        let column = |cell: &[u64]| {
            let parts: Vec<(usize, usize, usize)> = (0..others.len())
                .map(|i| {
                    let origin = cell[i] * rest_chunk[i] as u64;
                    let (from, to) =
                        (rest[i].start.max(origin), rest[i].end.min(origin + rest_chunk[i] as u64));
                    ((from - origin) as usize, (from - rest[i].start) as usize, (to - from) as usize)
                })
                .collect();
            let mut column = Vec::new();
            nd::each(&parts.iter().map(|p| p.2).collect::<Vec<_>>(), |at| {
                let source: usize =
                    at.iter().enumerate().map(|(i, n)| (parts[i].0 + n) * strides[others[i]]).sum();
                let target: usize = at.iter().enumerate().map(|(i, n)| (parts[i].1 + n) * width[i]).sum();
                column.push((source * item, target));
            });
            column
        };
        self.stream(
            &cells,
            |index, chunk| {
                let (inside, cell) = members[index];
                let column = column(cell);
                let mut picked = Vec::with_capacity(inside.len() * column.len() * item);
                for &i in inside {
                    let (a, b) = points[i];
                    let at = (a % ca) as usize * strides[axes[0]] + (b % cb) as usize * strides[axes[1]];
                    for (source, _) in &column {
                        picked.extend_from_slice(&chunk[at * item + source..][..item]);
                    }
                }
                picked
            },
            |chunks| {
                for (index, picked) in chunks {
                    let (inside, cell) = members[index];
                    let column = column(cell);
                    for (&i, numbers) in inside.iter().zip(picked.chunks_exact(column.len() * item)) {
                        for ((_, target), number) in column.iter().zip(numbers.chunks_exact(item)) {
                            out[(target * points.len() + i) * item..][..item].copy_from_slice(number);
                        }
                    }
                }
            },
        )?;
        Ok(samples(dtype, out))
    }

    /// The type of the elements, if vectors can be made of them.
    ///
    /// # Errors
    /// If not.
    pub fn dtype(&self) -> Result<DType, ZarrError> {
        match &self.metadata.element {
            Element::Number(dtype) => Ok(*dtype),
            other => Err(self.request(format!("elements of type {other} are no numbers to make vectors of"))),
        }
    }

    fn item(&self) -> Result<usize, ZarrError> {
        let item = self.metadata.element.size();
        item.ok_or_else(|| self.request("texts have no fixed size".into()))
    }

    pub(super) fn request(&self, reason: String) -> ZarrError {
        ZarrError::Request { array: self.place(), reason }
    }

    fn check(&self, region: &[Range<u64>]) -> Result<(), ZarrError> {
        let shape = &self.metadata.shape;
        let fits = |(r, n): (&Range<u64>, &u64)| r.start <= r.end && r.end <= *n;
        if region.len() == shape.len() && region.iter().zip(shape).all(fits) {
            return Ok(());
        }
        Err(self.request(format!("{region:?} is no part of an array of {shape:?}")))
    }

    /// Room for an answer, filled with what was never written reads as.
    fn blank(&self, shape: &[usize]) -> Result<Vec<u8>, ZarrError> {
        let item = self.item()?;
        let bytes = shape.iter().try_fold(item, |n, size| n.checked_mul(*size));
        // Asking for more than there is would end the process.
        let Some(bytes) = bytes.filter(|n| Vec::<u8>::new().try_reserve_exact(*n).is_ok()) else {
            return Err(self.request(format!("{shape:?} elements do not fit in memory; read smaller parts")));
        };
        let fill = &self.metadata.fill;
        Ok(if fill.iter().all(|b| *b == fill[0]) {
            vec![fill.first().copied().unwrap_or(0); bytes]
        } else {
            fill.repeat(bytes / item)
        })
    }
}

/// Places in the grid of chunks that `region` touches, in C order.
fn cells_of(region: &[Range<u64>], chunk: &[usize]) -> Vec<Vec<u64>> {
    let spans: Vec<(u64, usize)> = region
        .iter()
        .zip(chunk)
        .map(|(r, c)| {
            let c = *c as u64;
            (r.start / c, (r.end.div_ceil(c) - r.start / c) as usize)
        })
        .collect();
    let mut cells = Vec::new();
    nd::each(&spans.iter().map(|s| s.1).collect::<Vec<_>>(), |at| {
        cells.push(at.iter().zip(&spans).map(|(i, (first, _))| first + *i as u64).collect());
    });
    cells
}

/// Copies the axes from `leading` on of a part of `chunk`, which begins at element `source`, into `plane`.
#[allow(clippy::too_many_arguments)] // the inner loop of `read`
fn copy(
    chunk: &[u8],
    plane: &mut [u8],
    source: usize,
    from: &[usize],
    into: &[usize],
    item: usize,
    leading: usize,
    part: impl Fn(usize) -> (usize, usize, usize),
) {
    let parts: Vec<(usize, usize, usize)> = (leading..from.len()).map(part).collect();
    let Some((last, outer)) = parts.split_last() else {
        plane.copy_from_slice(&chunk[source * item..][..item]);
        return;
    };
    let run = last.2 * item;
    nd::each(&outer.iter().map(|p| p.2).collect::<Vec<_>>(), |at| {
        let (mut s, mut t) = (source + last.0, last.1);
        for (i, n) in at.iter().enumerate() {
            s += (outer[i].0 + n) * from[leading + i];
            t += (outer[i].1 + n) * into[leading + i];
        }
        plane[t * item..][..run].copy_from_slice(&chunk[s * item..][..run]);
    });
}

/// Numbers of little-endian bytes.
fn samples(dtype: DType, bytes: Vec<u8>) -> Samples {
    macro_rules! wide {
        ($t:ty) => {
            bytes.as_chunks().0.iter().map(|b| <$t>::from_le_bytes(*b)).collect::<Vec<$t>>().into()
        };
    }
    match dtype {
        DType::U8 => Samples::U8(bytes),
        DType::I8 => Samples::I8(bytes.into_iter().map(u8::cast_signed).collect()),
        DType::U16 => wide!(u16),
        DType::I16 => wide!(i16),
        DType::U32 => wide!(u32),
        DType::I32 => wide!(i32),
        DType::F16 => wide!(f16),
        DType::F32 => wide!(f32),
        DType::F64 => wide!(f64),
    }
}
