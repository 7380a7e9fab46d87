//! [`Array`]: reads of regions and of single places, chunk by chunk.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::cache::ShardCache;
use super::codec::Pipeline;
use super::element::Element;
use super::error::ZarrError;
use super::fetch::Begun;
use super::metadata::ArrayMetadata;
use super::nd;
use super::store::Store;
use super::visits::Visits;
use crate::spread::spread;
use crate::{DType, Samples};

/// Objects of an array that are told one by one.
const MOST_FILES: u64 = 1_000_000;

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

    /// The files below the root of the store that hold the elements of `region`. They may turn out not to exist, where nothing was
    /// written.
    ///
    /// # Errors
    /// If the region is not inside the array, or the store can't be read.
    pub fn files(&self, region: &[Range<u64>]) -> Result<BTreeSet<String>, ZarrError> {
        self.check(region)?;
        let outer = &self.metadata.pipeline.shape;
        let count = region.iter().zip(outer).try_fold(1u64, |n, (r, o)| {
            n.checked_mul((r.end.div_ceil(*o as u64) - r.start / *o as u64).max(1))
        });
        if count.is_none_or(|n| n > MOST_FILES) {
            return Err(self.request(format!("{region:?} lies in more than {MOST_FILES} objects")));
        }
        let keys: Vec<String> = cells_of(region, outer).iter().map(|at| self.key(at)).collect();
        let files = spread(&keys, self.at_once(), |key| self.store.files(key));
        Ok(files.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// The files below the root of the store that opening it needs: those that were looked for until this was first asked.
    #[must_use]
    pub fn opening_files(&self) -> BTreeSet<String> {
        self.store.noted()
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
        self.read_begun(region, self.begin(region)?)
    }

    /// Begins to read `region`: finds its chunks and fetches the first of them. Nothing is decoded yet, so that this may wait in a thread
    /// of its own beside another read.
    ///
    /// # Errors
    /// If the region is not inside the array, or the store can't be read.
    pub fn begin(&self, region: &[Range<u64>]) -> Result<Begun, ZarrError> {
        self.check(region)?;
        // Before the chunks are told one by one: what can't be answered is not looked for.
        self.room(&region.iter().map(|r| (r.end - r.start) as usize).collect::<Vec<_>>())?;
        let empty = region.iter().any(|r| r.start == r.end);
        let cells = if empty { Vec::new() } else { cells_of(region, &self.unit().shape) };
        self.fetch_first(&cells)
    }

    fn read_begun(&self, region: &[Range<u64>], begun: Begun) -> Result<Vec<u8>, ZarrError> {
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
            begun,
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
        self.read_samples_begun(region, self.begin(region)?)
    }

    /// As [`read_samples`](Self::read_samples), of a region that was [begun](Self::begin).
    ///
    /// # Errors
    /// As [`read_samples`](Self::read_samples).
    pub fn read_samples_begun(&self, region: &[Range<u64>], begun: Begun) -> Result<Samples, ZarrError> {
        Ok(Samples::from_le_bytes(self.dtype()?, self.read_begun(region, begun)?))
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
        self.read_points_begun(region, axes, points, self.begin_points(region, axes, points)?)
    }

    /// Begins to read points, as [`begin`](Self::begin).
    ///
    /// # Errors
    /// If a point is not inside the array, or the store can't be read.
    pub fn begin_points(
        &self,
        region: &[Range<u64>],
        axes: [usize; 2],
        points: &[(u64, u64)],
    ) -> Result<Begun, ZarrError> {
        let mut one = region.to_vec();
        for &(a, b) in points {
            (one[axes[0]], one[axes[1]]) = (a..a + 1, b..b + 1);
            self.check(&one)?;
        }
        let visits = Visits::plan(region, axes, points, &self.unit().shape);
        self.fetch_first(&visits.cells)
    }

    /// As [`read_points`](Self::read_points), of points that were [begun](Self::begin_points).
    ///
    /// # Errors
    /// As [`read_points`](Self::read_points).
    pub fn read_points_begun(
        &self,
        region: &[Range<u64>],
        axes: [usize; 2],
        points: &[(u64, u64)],
        begun: Begun,
    ) -> Result<Samples, ZarrError> {
        let dtype = self.dtype()?;
        let chunk = &self.unit().shape;
        let visits = Visits::plan(region, axes, points, chunk);
        let mut shape = visits.sizes.clone();
        shape.push(points.len());
        let mut out = self.blank(&shape)?;
        if out.is_empty() {
            return Ok(Samples::from_le_bytes(dtype, out));
        }
        let strides = nd::strides(chunk);
        let (ca, cb) = (chunk[axes[0]] as u64, chunk[axes[1]] as u64);
        let item = dtype.size();
        self.stream(
            begun,
            |index, chunk| {
                let (inside, column) = visits.at(index, &strides);
                let mut picked = Vec::with_capacity(inside.len() * column.len() * item);
                for &i in inside {
                    let (a, b) = points[i];
                    let at = (a % ca) as usize * strides[axes[0]] + (b % cb) as usize * strides[axes[1]];
                    for (source, _) in &column {
                        picked.extend_from_slice(&chunk[(at + source) * item..][..item]);
                    }
                }
                picked
            },
            |chunks| {
                for (index, picked) in chunks {
                    let (inside, column) = visits.at(index, &strides);
                    for (&i, numbers) in inside.iter().zip(picked.chunks_exact(column.len() * item)) {
                        for ((_, target), number) in column.iter().zip(numbers.chunks_exact(item)) {
                            out[(target * points.len() + i) * item..][..item].copy_from_slice(number);
                        }
                    }
                }
            },
        )?;
        Ok(Samples::from_le_bytes(dtype, out))
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

    /// Bytes of an answer of this shape, if memory can hold it.
    fn room(&self, shape: &[usize]) -> Result<usize, ZarrError> {
        let item = self.item()?;
        let bytes = shape.iter().try_fold(item, |n, size| n.checked_mul(*size));
        // Asking for more than there is would end the process.
        bytes.filter(|n| Vec::<u8>::new().try_reserve_exact(*n).is_ok()).ok_or_else(|| {
            self.request(format!("{shape:?} elements do not fit in memory; read smaller parts"))
        })
    }

    /// Room for an answer, filled with what was never written reads as.
    fn blank(&self, shape: &[usize]) -> Result<Vec<u8>, ZarrError> {
        let (bytes, item) = (self.room(shape)?, self.item()?);
        let fill = &self.metadata.fill;
        Ok(if fill.iter().all(|b| *b == fill[0]) {
            vec![fill.first().copied().unwrap_or(0); bytes]
        } else {
            fill.repeat(bytes / item)
        })
    }
}

/// Places in the grid of chunks that `region` touches, in C order.
pub(super) fn cells_of(region: &[Range<u64>], chunk: &[usize]) -> Vec<Vec<u64>> {
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
