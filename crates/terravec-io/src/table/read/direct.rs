//! Columns of vectors without the detour over levels.
//!
//! Parquet stores a vector as a list: two levels for each number say where lists begin and what is null. The Parquet
//! crate decodes them all to rebuild the lists. Where each list has the same length and nothing is null, which is what
//! vectors are, the levels need only be checked, and pages can be decoded on all cores, each straight into its place.
//! Whatever else a column holds is left to the Parquet crate.

use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, FixedSizeListArray, LargeListArray, ListArray, PrimitiveArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, FieldRef};
use half::f16;
use parquet::basic::{Compression, Type};
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::feed::Feed;
use super::page::{Layout, Number, Page, dictionary};
use super::pages::{Header, Kind};

/// Longer vectors are left to the Parquet crate.
const MAX_DIM: usize = 1 << 20;
/// More numbers than this are in no page.
const MAX_VALUES: usize = 1 << 27;

/// The threads that decode, apart from those of whoever reads: these may all be waiting for a batch.
pub(in crate::table) fn pool() -> Option<&'static ThreadPool> {
    static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();
    let name = |i| format!("terravec-table-{i}");
    POOL.get_or_init(|| ThreadPoolBuilder::new().thread_name(name).build().ok()).as_ref()
}

/// A column of vectors of one row group.
pub(super) trait Direct: Send {
    /// The next rows; `None` where the column turns out to be of another kind.
    fn take(&mut self, rows: usize) -> Result<Option<ArrayRef>>;
    /// Bytes of a row in memory.
    fn row_bytes(&self) -> usize;
}

/// The column as one to be read here, if it is of that kind as far as the footer tells.
pub(super) fn column(
    feed: &Arc<Feed>,
    kind: &DataType,
    group: &RowGroupMetaData,
    leaf: usize,
) -> Option<Box<dyn Direct>> {
    let chunk = group.column(leaf);
    let (item, size) = match kind {
        DataType::FixedSizeList(item, size) => (item, Some(usize::try_from(*size).ok()?)),
        DataType::List(item) | DataType::LargeList(item) => (item, None),
        _ => return None,
    };
    let known =
        matches!(chunk.compression(), Compression::UNCOMPRESSED | Compression::ZSTD(_) | Compression::SNAPPY);
    let descr = chunk.column_descr();
    let definition = u32::try_from(descr.max_def_level()).ok().filter(|d| (1..8).contains(d))?;
    if !known || descr.max_rep_level() != 1 {
        return None;
    }
    let (rows, values) = (usize::try_from(group.num_rows()).ok()?, usize::try_from(chunk.num_values()).ok()?);
    let dim = values.checked_div(rows).filter(|d| (1..=MAX_DIM).contains(d) && d * rows == values)?;
    if size.is_some_and(|size| size != dim) {
        return None;
    }
    let layout = Layout { codec: chunk.compression(), definition, dim };
    macro_rules! of {
        ($($arrow:ident, $physical:ident, $native:ty;)*) => {
            match (item.data_type(), descr.physical_type()) {
                $((DataType::$arrow, Type::$physical) => {
                    Some(Box::new(Numbers::<$native>::new(feed, kind, chunk, layout)))
                })*
                (DataType::Float16, Type::FIXED_LEN_BYTE_ARRAY) if descr.type_length() == 2 => {
                    Some(Box::new(Numbers::<f16>::new(feed, kind, chunk, layout)))
                }
                _ => None,
            }
        };
    }
    of! {
        Float32, FLOAT, f32;
        Float64, DOUBLE, f64;
        Int8, INT32, i8;
        Int16, INT32, i16;
        Int32, INT32, i32;
        Int64, INT64, i64;
        UInt8, INT32, u8;
        UInt16, INT32, u16;
        UInt32, INT32, u32;
        UInt64, INT64, u64;
    }
}

struct Numbers<T> {
    feed: Arc<Feed>,
    kind: DataType,
    layout: Layout,
    /// Where the next page begins, and where the column ends.
    next: u64,
    end: u64,
    /// Numbers of pages fetched so far, and of the column.
    fetched: usize,
    total: usize,
    dictionary: Option<Vec<T>>,
    /// Numbers decoded and not yet taken: the rest of the last page.
    rest: Vec<T>,
}

impl<T: Number> Numbers<T> {
    fn new(feed: &Arc<Feed>, kind: &DataType, chunk: &ColumnChunkMetaData, layout: Layout) -> Self {
        let (start, length) = chunk.byte_range();
        Self {
            feed: Arc::clone(feed),
            kind: kind.clone(),
            layout,
            next: start,
            end: start.saturating_add(length),
            fetched: 0,
            total: usize::try_from(chunk.num_values()).unwrap_or(0),
            dictionary: None,
            rest: Vec::new(),
        }
    }

    /// The pages with the next `wanted` numbers.
    fn pages(&mut self, wanted: usize) -> Result<Option<Vec<Page>>> {
        let mut pages = Vec::new();
        let mut found = 0;
        while found < wanted {
            if self.next >= self.end {
                return Ok(None);
            }
            let Some(header) = Header::read(&self.feed.peek(self.next)?) else { return Ok(None) };
            let body = self.feed.get(self.next + header.length as u64, header.compressed)?;
            self.next += (header.length + header.compressed) as u64;
            match header.kind {
                Kind::Dictionary if self.dictionary.is_none() && self.fetched == 0 => {
                    let Some(numbers) = dictionary(&header, &body, self.layout.codec) else {
                        return Ok(None);
                    };
                    self.dictionary = Some(numbers);
                }
                Kind::Other => {}
                Kind::Data | Kind::DataV2 { .. }
                    if header.values <= MAX_VALUES.min(self.total - self.fetched) =>
                {
                    pages.push(Page { header, body, first: self.fetched });
                    found += header.values;
                    self.fetched += header.values;
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(pages))
    }

    /// The next `wanted` numbers.
    fn numbers(&mut self, wanted: usize) -> Result<Option<Vec<T>>> {
        let early = self.rest.len().min(wanted);
        let Some(mut pages) = self.pages(wanted - early)? else { return Ok(None) };
        let mut out = vec![T::default(); wanted];
        let (head, mut free) = out.split_at_mut(early);
        head.copy_from_slice(&self.rest[..early]);
        self.rest.drain(..early);
        let found: usize = pages.iter().map(|p| p.header.values).sum();
        // The last page may reach beyond what is wanted.
        let last = pages.pop_if(|_| found > free.len());
        let mut beyond = vec![T::default(); last.as_ref().map_or(0, |p| p.header.values)];
        let mut jobs: Vec<(&Page, &mut [T])> = Vec::with_capacity(pages.len() + 1);
        for page in &pages {
            let (target, more) = free.split_at_mut(page.header.values);
            jobs.push((page, target));
            free = more;
        }
        jobs.extend(last.as_ref().map(|page| (page, beyond.as_mut_slice())));
        let (layout, dictionary) = (self.layout, self.dictionary.as_deref());
        let decode = |(page, target): (&Page, &mut [T])| page.decode(layout, dictionary, target);
        let done: Option<()> = match pool() {
            Some(pool) if jobs.len() > 1 => pool.install(|| jobs.into_par_iter().map(decode).collect()),
            _ => jobs.into_iter().map(decode).collect(),
        };
        if done.is_none() {
            return Ok(None);
        }
        if last.is_some() {
            self.rest = beyond.split_off(free.len());
            free.copy_from_slice(&beyond);
        }
        Ok(Some(out))
    }
}

impl<T: Number> Direct for Numbers<T> {
    fn take(&mut self, rows: usize) -> Result<Option<ArrayRef>> {
        let dim = self.layout.dim;
        let Some(numbers) = self.numbers(rows * dim)? else { return Ok(None) };
        let values: ArrayRef = Arc::new(PrimitiveArray::<T::Arrow>::new(ScalarBuffer::from(numbers), None));
        Ok(Some(lists(&self.kind, values, rows, dim)?))
    }

    fn row_bytes(&self) -> usize {
        self.layout.dim * size_of::<T>()
    }
}

fn lists(kind: &DataType, values: ArrayRef, rows: usize, dim: usize) -> Result<ArrayRef> {
    Ok(match kind {
        DataType::FixedSizeList(item, size) => {
            Arc::new(FixedSizeListArray::try_new(FieldRef::clone(item), *size, values, None)?)
        }
        DataType::LargeList(item) => {
            let offsets = OffsetBuffer::from_repeated_length(dim, rows);
            Arc::new(LargeListArray::try_new(FieldRef::clone(item), offsets, values, None)?)
        }
        DataType::List(item) => {
            let offsets = OffsetBuffer::from_repeated_length(dim, rows);
            Arc::new(ListArray::try_new(FieldRef::clone(item), offsets, values, None)?)
        }
        other => return Err(parquet::errors::ParquetError::General(format!("{other} is no list"))),
    })
}
