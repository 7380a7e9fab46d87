//! The index of a mirror: the rows of the publisher's whose files the mirror holds.

use std::path::Path;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::DataType;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use terravec_io::atomic::PendingFile;
use terravec_io::source::{Location, SourceError};

pub(super) use crate::dataset::AEF_INDEX as NAME;
use crate::error::{Error, Result};

/// Copies the rows of the index at `location` whose files lie below `folder`. An archive without an index does without.
pub(super) fn copy(location: &Location, folder: &Path) -> Result<()> {
    let bytes = match location.open().and_then(|source| source.read(0..source.len()?)) {
        Ok(bytes) => bytes,
        Err(SourceError::NotFound { .. } | SourceError::Denied { .. }) => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    let bad = |e: String| Error::open(format!("{location}: {e}"), "fetch the index again from its publisher");
    let target = folder.join(NAME);
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|e| bad(e.to_string()))?;
    let schema = builder.schema().clone();
    let reader = builder.build().map_err(|e| bad(e.to_string()))?;
    let part = PendingFile::create(&target).map_err(Error::write(&target))?;
    let mut writer = ArrowWriter::try_new(part.file(), schema, None).map_err(|e| bad(e.to_string()))?;
    for batch in reader {
        let batch = batch.map_err(|e| bad(e.to_string()))?;
        let path = batch.column_by_name("path").ok_or_else(|| bad("no column `path`".into()))?;
        let path = cast(path, &DataType::Utf8).map_err(|e| bad(e.to_string()))?;
        let path = path.as_string::<i32>();
        let keep: BooleanArray =
            (0..path.len()).map(|i| Some(path.is_valid(i) && is_here(folder, path.value(i)))).collect();
        writer.write(&filter_record_batch(&batch, &keep)?).map_err(|e| bad(e.to_string()))?;
    }
    writer.close().map_err(|e| bad(e.to_string()))?;
    part.commit().map_err(Error::write(&target))
}

/// Whether some tail of the publisher's path is a file of the mirror.
fn is_here(folder: &Path, path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    // The file's name alone says nothing where all lie in folders of years and zones.
    (0..parts.len()).any(|skip| {
        let tail = parts[skip..].join("/");
        terravec_io::source::is_below(&tail) && folder.join(tail).is_file()
    })
}
