//! Tables of vectors as text: thousands of columns of numbers, streamed.

use std::io::{self, Read};
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListArray, Float64Array, PrimitiveArray, RecordBatch, StringArray};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Field, FieldRef, Float32Type, Float64Type, Schema, SchemaRef,
};
use csv::ByteRecord;
use rayon::prelude::*;

use super::TableError;
use super::read::{Feed, pool};
use super::vectors::float;
use crate::codes::DType;
use crate::source::Source;
use crate::vector::separator;

/// A header longer than this is no header.
const HEADER_BYTES: u64 = 4 << 20;
/// Bytes of the vectors of a batch.
const BATCH_BYTES: usize = 64 << 20;

/// What the columns of a text table are. Columns named nowhere are text; an empty cell is null.
#[derive(Debug, Clone)]
pub struct CsvPlan {
    /// Columns whose numbers are the vector, in order.
    pub vector: Vec<usize>,
    /// Name of the column of vectors in the batches: a fixed-size list, the last column. Without `vector` there is none.
    pub name: String,
    /// `F32` or `F64`, the type of the vector's numbers.
    pub dtype: DType,
    /// Other columns of numbers: float64.
    pub numbers: Vec<usize>,
    /// Rows of a batch, at most. Batches of long vectors have fewer, to stay below 64 MiB.
    pub batch_rows: usize,
}

/// A text table of which the header is known.
#[derive(Debug)]
pub struct CsvTable {
    source: Arc<dyn Source>,
    size: u64,
    separator: u8,
    names: Vec<String>,
}

impl CsvTable {
    /// Reads the header. The separator is the one that the header has most of: comma, tab, semicolon or bar.
    ///
    /// # Errors
    /// If the source can't be read or has no header.
    pub fn open(source: Arc<dyn Source>) -> Result<Self, TableError> {
        let size = source.len()?;
        let damaged = |what: &str| TableError::Damaged { url: source.url().into(), what: what.into() };
        let mut length = size.min(64 << 10);
        let header = loop {
            let bytes = source.read(0..length)?;
            if let Some(end) = bytes.iter().position(|b| *b == b'\n') {
                break bytes.slice(..end);
            }
            if length == size {
                break bytes;
            }
            if length >= HEADER_BYTES {
                return Err(damaged("its first line is too long for a header"));
            }
            length = size.min(length * 8);
        };
        let separator = separator(&header);
        let mut reader = csv::ReaderBuilder::new().delimiter(separator).from_reader(header.as_ref());
        let names: Vec<String> = match reader.headers() {
            Ok(names) => names.iter().map(|n| n.trim().to_string()).collect(),
            Err(_) => return Err(damaged("its first line is no header of UTF-8 text")),
        };
        if names.iter().all(String::is_empty) {
            return Err(damaged("it has no header"));
        }
        Ok(Self { source, size, separator, names })
    }

    /// Names of the columns.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.names
    }

    /// The columns that batches of this plan have: all of the table in its order but those of the vector, which come as
    /// one list at the end.
    ///
    /// # Errors
    /// If the plan names columns that are not there, or another type than float32 and float64.
    pub fn schema(&self, plan: &CsvPlan) -> Result<SchemaRef, TableError> {
        let bad = |what: String| TableError::Column {
            url: self.source.url().into(),
            what,
            help: "name columns of the header; numbers of text tables are float32 or float64".into(),
        };
        if let Some(column) = plan.vector.iter().chain(&plan.numbers).find(|c| **c >= self.names.len()) {
            return Err(bad(format!("it has no column {column}")));
        }
        let item = match plan.dtype {
            DType::F32 => DataType::Float32,
            DType::F64 => DataType::Float64,
            other => return Err(bad(format!("numbers of text are not read as {other}"))),
        };
        let mut fields: Vec<Field> = self
            .others(plan)
            .map(|i| {
                let kind = if plan.numbers.contains(&i) { DataType::Float64 } else { DataType::Utf8 };
                Field::new(&self.names[i], kind, true)
            })
            .collect();
        if !plan.vector.is_empty() {
            let dim = i32::try_from(plan.vector.len()).map_err(|e| bad(e.to_string()))?;
            let item = Arc::new(Field::new("item", item, false));
            fields.push(Field::new(&plan.name, DataType::FixedSizeList(item, dim), false));
        }
        Ok(Arc::new(Schema::new(fields)))
    }

    /// Columns that are no part of the vector.
    fn others(&self, plan: &CsvPlan) -> impl Iterator<Item = usize> {
        let mut of_vector = vec![false; self.names.len()];
        plan.vector.iter().for_each(|i| of_vector[*i] = true);
        (0..self.names.len()).filter(move |i| !of_vector[*i])
    }

    /// Streams all rows. A missing number (an empty cell, `NA`, `null`, `nan`) is NaN in a vector and null elsewhere.
    ///
    /// # Errors
    /// As [`schema`](Self::schema), and if the source can't be read. A cell that is no number, and a line of another
    /// number of cells, is the last item of the iterator and names the line.
    pub fn read(
        &self,
        plan: &CsvPlan,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, TableError>> + Send + use<>, TableError> {
        let schema = self.schema(plan)?;
        let feed = Feed::open(Arc::clone(&self.source), self.size, vec![0..self.size])?;
        let bytes = Stream { feed: Arc::new(feed), at: 0, size: self.size };
        let row_bytes = (plan.vector.len() * plan.dtype.size()).max(1);
        let mut rows = Rows {
            url: self.source.url().into(),
            names: self.names.clone(),
            feed: Arc::clone(&bytes.feed),
            reader: csv::ReaderBuilder::new().delimiter(self.separator).from_reader(bytes),
            others: self.others(plan).collect(),
            schema,
            batch_rows: plan.batch_rows.min(BATCH_BYTES / row_bytes).max(1),
            plan: plan.clone(),
            records: Vec::new(),
        };
        let mut ended = false;
        Ok(std::iter::from_fn(move || {
            if ended {
                return None;
            }
            let batch = rows.next();
            ended = !matches!(batch, Ok(Some(_)));
            batch.transpose()
        }))
    }
}

/// The bytes of a source one after the other.
struct Stream {
    feed: Arc<Feed>,
    at: u64,
    size: u64,
}

impl Read for Stream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.size {
            return Ok(0);
        }
        let bytes = self.feed.peek(self.at).map_err(io::Error::other)?;
        let n = bytes.len().min(out.len());
        out[..n].copy_from_slice(&bytes[..n]);
        self.at += n as u64;
        Ok(n)
    }
}

struct Rows {
    url: String,
    names: Vec<String>,
    feed: Arc<Feed>,
    reader: csv::Reader<Stream>,
    /// Columns that are no part of the vector.
    others: Vec<usize>,
    schema: SchemaRef,
    batch_rows: usize,
    plan: CsvPlan,
    records: Vec<ByteRecord>,
}

impl Rows {
    fn next(&mut self) -> Result<Option<RecordBatch>, TableError> {
        let mut records = std::mem::take(&mut self.records);
        let mut n = 0;
        while n < self.batch_rows {
            if n == records.len() {
                records.push(ByteRecord::new());
            }
            if !self.reader.read_byte_record(&mut records[n]).map_err(|e| self.broken(e))? {
                break;
            }
            n += 1;
        }
        let batch = if n == 0 { None } else { Some(self.batch(&records[..n])?) };
        self.records = records;
        Ok(batch)
    }

    fn batch(&self, records: &[ByteRecord]) -> Result<RecordBatch, TableError> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for i in self.others.iter().copied() {
            let column: ArrayRef = if self.plan.numbers.contains(&i) {
                let numbers = records.iter().map(|r| {
                    let v: f64 = self.number(r, i)?;
                    Ok((!v.is_nan()).then_some(v))
                });
                Arc::new(numbers.collect::<Result<Float64Array, TableError>>()?)
            } else {
                let text = records.iter().map(|r| self.text(r, i).map(|t| (!t.is_empty()).then_some(t)));
                Arc::new(text.collect::<Result<StringArray, _>>()?)
            };
            columns.push(column);
        }
        if let Some(DataType::FixedSizeList(item, size)) = self.schema.fields().last().map(|f| f.data_type())
            && !self.plan.vector.is_empty()
        {
            columns.push(match self.plan.dtype {
                DType::F64 => self.vectors::<Float64Type>(records, item, *size)?,
                _ => self.vectors::<Float32Type>(records, item, *size)?,
            });
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|e| TableError::Damaged { url: self.url.clone(), what: e.to_string() })
    }

    /// The vectors of all records, parsed on all cores.
    fn vectors<T: ArrowPrimitiveType>(
        &self,
        records: &[ByteRecord],
        item: &FieldRef,
        size: i32,
    ) -> Result<ArrayRef, TableError>
    where
        T::Native: std::str::FromStr,
    {
        let dim = self.plan.vector.len();
        let mut out = vec![T::Native::default(); records.len() * dim];
        let parse = |(record, row): (&ByteRecord, &mut [T::Native])| {
            row.iter_mut().zip(&self.plan.vector).try_for_each(|(to, column)| {
                *to = self.number(record, *column)?;
                Ok(())
            })
        };
        let parsed: Vec<Result<(), TableError>> = match pool() {
            Some(pool) => {
                pool.install(|| records.par_iter().zip(out.par_chunks_mut(dim)).map(parse).collect())
            }
            None => records.iter().zip(out.chunks_mut(dim)).map(parse).collect(),
        };
        // The first bad line, not the first that was found.
        parsed.into_iter().collect::<Result<(), TableError>>()?;
        let values = PrimitiveArray::<T>::new(ScalarBuffer::from(out), None);
        let list = FixedSizeListArray::try_new(FieldRef::clone(item), size, Arc::new(values), None);
        let list = list.map_err(|e| TableError::Damaged { url: self.url.clone(), what: e.to_string() })?;
        Ok(Arc::new(list))
    }

    fn text<'a>(&self, record: &'a ByteRecord, column: usize) -> Result<&'a str, TableError> {
        std::str::from_utf8(record.get(column).unwrap_or_default())
            .map_err(|_| self.bad_cell(record, column, "the text is not UTF-8".into()))
    }

    fn number<T: std::str::FromStr>(&self, record: &ByteRecord, column: usize) -> Result<T, TableError> {
        let text = self.text(record, column)?.trim();
        float(if text.is_empty() { "nan" } else { text })
            .ok_or_else(|| self.bad_cell(record, column, format!("`{text}` is not a number")))
    }

    fn bad_cell(&self, record: &ByteRecord, column: usize, what: String) -> TableError {
        let line = record.position().map_or(0, csv::Position::line);
        TableError::Cell { url: self.url.clone(), line, column: self.names[column].clone(), what }
    }

    fn broken(&self, e: csv::Error) -> TableError {
        if let Some(e) = self.feed.take_failure() {
            return e.into();
        }
        let what = match e.into_kind() {
            csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
                let line = pos.map_or(0, |p| p.line());
                format!("line {line}: {len} cells, but the header has {expected_len}")
            }
            other => format!("it is no CSV: {other:?}"),
        };
        TableError::Damaged { url: self.url.clone(), what }
    }
}
