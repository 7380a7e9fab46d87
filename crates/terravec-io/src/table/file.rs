//! A Parquet file of vectors, opened by its footer alone.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use terravec_geo::{BBox, Crs};

use super::TableError;
use super::thrift;
use crate::geoparquet::footer::{self, Reference};
use crate::geoparquet::guard::guarded;
use crate::source::Source;

/// What is read first, from the end: it holds the whole footer of most files.
const TAIL: u64 = 128 * 1024;
/// A longer footer is not believed.
const MAX_FOOTER: u64 = 256 << 20;
/// Length of the footer, and the magic bytes.
const END: usize = 8;

/// A Parquet file of which the footer is known. Cheap to clone; all of it can be used from any thread.
#[derive(Clone)]
pub struct TableFile(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) source: Arc<dyn Source>,
    pub(super) size: u64,
    pub(super) arrow: ArrowReaderMetadata,
    /// The columns, without the metadata of the file.
    pub(super) schema: SchemaRef,
    /// The leaves of each column.
    pub(super) leaves: Vec<Range<usize>>,
    geometry: Option<GeometryColumn>,
    pub(super) corners: Option<[usize; 4]>,
    notes: Vec<String>,
}

/// The column of geometries that the file names, or that its type or name gives away.
#[derive(Debug, Clone, PartialEq)]
pub struct GeometryColumn {
    /// Its place in the schema.
    pub column: usize,
    /// Its name.
    pub name: String,
    /// `WKB`, `point`, `polygon`, … where the file says so.
    pub encoding: Option<String>,
    /// The CRS that the file claims; `None` where it does not know or can't be understood. Whether the claim is true
    /// is for [`Placer`](super::Placer) to find out.
    pub crs: Option<Crs>,
    /// The column of bounding boxes that describe this one.
    pub covering: Option<usize>,
    /// Bounds of all geometries in the file's CRS, as the footer claims.
    pub bounds: Option<BBox>,
}

impl fmt::Debug for TableFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TableFile({:?}, {} rows)", self.url(), self.rows())
    }
}

impl TableFile {
    /// Reads the footer: one request for its end, and another where it is longer than 128 KiB.
    ///
    /// A broken `geo` footer does not prevent reading: the geometry is then found by its type or name, its CRS is
    /// unknown, and [`notes`](Self::notes) says so. [`check_geoparquet`](super::check_geoparquet) is strict.
    ///
    /// # Errors
    /// If the source can't be read, the file is no Parquet file, is encrypted, or its footer is broken.
    pub fn open(source: Arc<dyn Source>) -> Result<Self, TableError> {
        let tail = source.read_last(TAIL)?;
        let size = source.len()?;
        let footer = read_footer(source.as_ref(), size, &tail)?;
        let url = source.url().to_string();
        let damaged = |what: String| TableError::Damaged { url: url.clone(), what };
        if !thrift::is_sound(&footer) {
            return Err(damaged("its Parquet footer is broken".into()));
        }
        let arrow = guarded(|| {
            let metadata = ParquetMetaDataReader::decode_metadata(&footer).map_err(|e| e.to_string())?;
            let options = ArrowReaderOptions::new();
            ArrowReaderMetadata::try_new(Arc::new(metadata), options).map_err(|e| e.to_string())
        })
        .map_err(|e| {
            damaged(match thrift::pair_without_text(&footer) {
                Some(key) => format!("the text of its footer `{key}` is not UTF-8"),
                None => format!("its Parquet footer can't be read: {e}"),
            })
        })?;
        check_counts(arrow.metadata(), size).map_err(damaged)?;
        let schema: SchemaRef =
            Arc::new(arrow.schema().as_ref().clone().with_metadata(std::collections::HashMap::default()));
        let mut notes = Vec::new();
        let found = guarded(|| Ok(find_geometry(arrow.metadata(), &schema, &mut notes))).map_err(damaged)?;
        let corners = found.as_ref().and_then(|g| g.corners);
        let geometry = found.map(|g| GeometryColumn {
            column: g.column,
            name: schema.field(g.column).name().clone(),
            encoding: g.encoding,
            crs: match g.reference {
                Reference::Known(crs) => Some(crs),
                Reference::Unknown => None,
            },
            covering: g.covering,
            bounds: g.bounds.map(|[min_x, min_y, max_x, max_y]| BBox { min_x, min_y, max_x, max_y }),
        });
        let leaves = leaves(arrow.metadata(), &schema);
        Ok(Self(Arc::new(Inner { source, size, arrow, schema, leaves, geometry, corners, notes })))
    }

    /// What the file is called in messages.
    #[must_use]
    pub fn url(&self) -> &str {
        self.0.source.url()
    }

    /// The columns. Vectors have their length here where the file keeps it (`FixedSizeList`).
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.0.schema
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.0.arrow.metadata().row_groups().iter().map(|g| count(g.num_rows())).sum()
    }

    /// A value of the footer, for example `geo`, `emb` or `terravec`.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&str> {
        footer::value_of(Some(self.0.arrow.metadata()), key)
    }

    /// The column of geometries, if there is one.
    #[must_use]
    pub fn geometry(&self) -> Option<&GeometryColumn> {
        self.0.geometry.as_ref()
    }

    /// What was noticed while opening, for people.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.0.notes
    }

    /// Row groups.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.0.arrow.metadata().num_row_groups()
    }

    /// Rows of a row group, as numbers of rows of the file, from 0. Empty where there is no such group.
    #[must_use]
    pub fn group_rows(&self, group: usize) -> Range<u64> {
        let groups = self.0.arrow.metadata().row_groups();
        let before: u64 = groups.iter().take(group).map(|g| count(g.num_rows())).sum();
        before..before + groups.get(group).map_or(0, |g| count(g.num_rows()))
    }

    /// Bytes of these columns of a row group as they lie in the file.
    #[must_use]
    pub fn group_bytes(&self, group: usize, columns: &[usize]) -> u64 {
        let Some(group) = self.0.arrow.metadata().row_groups().get(group) else { return 0 };
        let leaves = columns.iter().filter_map(|c| self.0.leaves.get(*c)).flat_map(Clone::clone);
        leaves.map(|leaf| count(group.column(leaf).compressed_size())).sum()
    }
}

pub(super) fn count(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

fn read_footer(source: &dyn Source, size: u64, tail: &[u8]) -> Result<Vec<u8>, TableError> {
    let damaged = |what: String| TableError::Damaged { url: source.url().into(), what };
    if size < (END + 4) as u64 {
        return Err(damaged(format!("{size} bytes are no Parquet file")));
    }
    let Some((rest, end)) = tail.split_last_chunk::<END>() else {
        return Err(damaged("it was cut while being read".into()));
    };
    match &end[4..] {
        b"PAR1" => {}
        b"PARE" => {
            let what = "its footer is encrypted".into();
            return Err(TableError::Unsupported { url: source.url().into(), what });
        }
        _ => return Err(damaged("it is no Parquet file: its last four bytes are not PAR1".into())),
    }
    let length = u64::from(u32::from_le_bytes([end[0], end[1], end[2], end[3]]));
    if length > size - (END + 4) as u64 || length > MAX_FOOTER {
        return Err(damaged(format!("its footer claims {length} bytes of a file of {size}")));
    }
    #[allow(clippy::cast_possible_truncation)] // below MAX_FOOTER
    let wanted = length as usize;
    if let Some(from) = rest.len().checked_sub(wanted) {
        return Ok(rest[from..].to_vec());
    }
    let start = size - END as u64 - length;
    let mut footer = source.read(start..start + (wanted - rest.len()) as u64)?.to_vec();
    footer.extend_from_slice(rest);
    Ok(footer)
}

/// Refuses counts and places that no file of `size` bytes can have.
fn check_counts(metadata: &ParquetMetaData, size: u64) -> Result<(), String> {
    let mut rows = 0u64;
    for (i, group) in metadata.row_groups().iter().enumerate() {
        let here = u64::try_from(group.num_rows())
            .map_err(|_| format!("row group {i} claims {} rows", group.num_rows()))?;
        rows = rows
            .checked_add(here)
            .filter(|n| i64::try_from(*n).is_ok())
            .ok_or("it claims absurdly many rows")?;
        for column in group.columns() {
            let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
            let end = u64::try_from(start)
                .ok()
                .zip(u64::try_from(column.compressed_size()).ok())
                .and_then(|(start, length)| start.checked_add(length));
            if end.is_none_or(|end| end > size) {
                let name = column.column_path().string();
                return Err(format!(
                    "column {name} of row group {i} lies outside the file: it is cut short or damaged"
                ));
            }
        }
    }
    Ok(())
}

fn find_geometry(
    metadata: &ParquetMetaData,
    schema: &Schema,
    notes: &mut Vec<String>,
) -> Option<footer::Geometry> {
    match footer::find(Some(metadata), schema, notes) {
        Ok(found) => found,
        Err(what) => {
            notes.push(format!("{what}; the geometry is taken by its type or name, and its CRS as unknown"));
            let found = footer::find_without_footer(Some(metadata), schema).ok().flatten()?;
            Some(footer::Geometry { reference: Reference::Unknown, ..found })
        }
    }
}

/// The leaves of each column of the schema.
fn leaves(metadata: &ParquetMetaData, schema: &Schema) -> Vec<Range<usize>> {
    let descr = metadata.file_metadata().schema_descr();
    let mut out = vec![0..0; schema.fields().len()];
    for leaf in 0..descr.num_columns() {
        if let Some(range) = out.get_mut(descr.get_column_root_idx(leaf)) {
            if range.start == range.end {
                range.start = leaf;
            }
            range.end = leaf + 1;
        }
    }
    out
}
