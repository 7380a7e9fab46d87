//! A table that lists the files of a product: path, rows and box of each, so that nothing else need be listed or opened.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use terravec_geo::BBox;
use terravec_io::source::Location;
use terravec_io::table::{ReadPlan, TableFile};

use crate::catalog::Descriptor;
use crate::error::{Error, Result};

/// A file of the list.
pub(super) struct Entry {
    /// Path relative to the folder of the manifest.
    pub(super) path: String,
    pub(super) rows: Option<u64>,
    /// Degrees.
    pub(super) bounds: Option<BBox>,
}

/// The manifest of a product below `root`: named by the descriptor, and there (an address is taken at its word).
pub(super) fn find(product: &Descriptor, root: &Location) -> Option<Location> {
    let name = product.table.as_ref()?.manifest.as_ref()?;
    let manifest = root.join(name);
    match root.path() {
        Some(folder) => (folder.is_dir() && manifest.path()?.is_file()).then_some(manifest),
        None => (!super::is_table(root.file_name())).then_some(manifest),
    }
}

/// Reads the list. A local mirror may hold fewer files: those that are not there are left out.
pub(super) fn read(location: &Location) -> Result<Vec<Entry>> {
    let bad = |what: String| {
        Error::open(format!("{location}: {what}"), "fetch the manifest again from its publisher")
    };
    let table = TableFile::open(location.open()?)?;
    let column = |name: &str| table.schema().index_of(name).ok();
    let path = column("path").ok_or_else(|| bad("the manifest has no column `path`".into()))?;
    let corners = ["xmin", "ymin", "xmax", "ymax"].map(column);
    let rows = column("rows");
    let mut columns = vec![path];
    columns.extend(rows);
    columns.extend(corners.into_iter().flatten());
    let plan = ReadPlan { columns, groups: (0..table.groups()).collect(), rows: None, batch_rows: 65_536 };
    let root = location.parent();
    let mut entries = Vec::new();
    for batch in table.read(&plan)? {
        entries_of(&batch?, &mut entries).map_err(bad)?;
    }
    entries.retain(|e: &Entry| root.join(&e.path).path().is_none_or(std::path::Path::is_file));
    if entries.is_empty() {
        return Err(bad("none of its files is there".into()));
    }
    Ok(entries)
}

fn entries_of(batch: &RecordBatch, entries: &mut Vec<Entry>) -> Result<(), String> {
    let column = |name: &str, to: &DataType| {
        let found = batch.column_by_name(name)?;
        Some(cast(found, to).map_err(|e| format!("column `{name}`: {e}")))
    };
    let paths = column("path", &DataType::LargeUtf8).ok_or("no column `path`")??;
    let rows = column("rows", &DataType::Int64).transpose()?;
    let corners = ["xmin", "ymin", "xmax", "ymax"]
        .map(|n| column(n, &DataType::Float64).transpose())
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    for i in 0..batch.num_rows() {
        if paths.is_null(i) {
            return Err("a path is null".into());
        }
        let path = paths.as_string::<i64>().value(i);
        if path.contains("://")
            || path.split(['/', '\\']).any(|part| part == "..")
            || std::path::Path::new(path).is_absolute()
        {
            return Err(format!("the path `{path}` leads out of its folder"));
        }
        let corner = |c: usize| {
            let column = corners[c].as_ref().filter(|a| a.is_valid(i))?;
            Some(column.as_primitive::<Float64Type>().value(i)).filter(|v| v.is_finite())
        };
        let bounds =
            (|| Some(BBox { min_x: corner(0)?, min_y: corner(1)?, max_x: corner(2)?, max_y: corner(3)? }))();
        let rows = rows.as_ref().filter(|a| a.is_valid(i)).map(|a| a.as_primitive::<Int64Type>().value(i));
        entries.push(Entry {
            path: path.to_owned(),
            rows: rows.and_then(|r| u64::try_from(r).ok()),
            bounds: bounds.filter(|b| b.min_x <= b.max_x && b.min_y <= b.max_y),
        });
    }
    Ok(())
}
