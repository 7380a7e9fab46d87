//! Labelled vectors from a table that holds both, and from plain arrays.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float32Type, Float64Type};
use terravec::table::PROVENANCE_KEY;
use terravec::{Provenance, Result, Status};

use super::labels::{LabelRequest, Labelled, Raw};
use crate::{Matrix, refuse};

impl Labelled {
    /// From a table of vectors as [`terravec::table`] makes them: its own columns hold the labels. `names` are those of the bands.
    ///
    /// # Errors
    /// If it has no vectors or no provenance, the column is missing, or nothing is left.
    pub fn from_table(table: &RecordBatch, names: Vec<String>, request: &LabelRequest) -> Result<Self> {
        let wrong = || {
            refuse(
                "the table has no column `embedding` of float32 vectors",
                "sample decoded vectors of one product",
            )
        };
        let list =
            table.column_by_name("embedding").and_then(|c| c.as_fixed_size_list_opt()).ok_or_else(wrong)?;
        let numbers = list.values().as_primitive_opt::<Float32Type>().ok_or_else(wrong)?;
        let depth = names.len();
        if usize::try_from(list.value_length()) != Ok(depth) {
            return Err(wrong());
        }
        let provenance = table.schema_ref().metadata().get(PROVENANCE_KEY);
        let provenance: Provenance =
            provenance.and_then(|p| serde_json::from_str(p).ok()).ok_or_else(|| {
                refuse(
                    "the table does not say which product its vectors are of",
                    "give a table that terravec has made",
                )
            })?;
        let said = table.column_by_name("status").and_then(|c| c.as_string_opt::<i32>().cloned());
        let status = |i: usize| {
            let named = said.as_ref().map_or("nodata", |s| s.value(i));
            let all = [Status::Water, Status::Nodata, Status::Outside];
            if list.is_valid(i) {
                Status::Valid
            } else {
                all.into_iter().find(|s| s.name() == named).unwrap_or(Status::Nodata)
            }
        };
        let rows = table.num_rows();
        let degrees = |name: &str| -> Vec<f64> {
            let column =
                table.column_by_name(name).and_then(|c| c.as_primitive_opt::<Float64Type>().cloned());
            column.map_or_else(|| vec![f64::NAN; rows], |c| c.values().to_vec())
        };
        let first = list.offset() * depth;
        let raw = Raw {
            vectors: &numbers.values()[first..first + rows * depth],
            status: &(0..rows).map(status).collect::<Vec<_>>(),
            columns: table,
            lon: &degrees("lon"),
            lat: &degrees("lat"),
        };
        raw.sort_out(names, provenance, request, None)
    }

    /// From rows of numbers and the columns beside them; rows that are not finite are left out. Where they come from is not known, so that a model of
    /// them fits other arrays only.
    ///
    /// # Errors
    /// As [`from_table`](Self::from_table).
    pub fn from_arrays(
        x: &Matrix,
        columns: &RecordBatch,
        (lon, lat): (&[f64], &[f64]),
        request: &LabelRequest,
    ) -> Result<Self> {
        if columns.num_rows() != x.rows() || lon.len() != x.rows() || lat.len() != x.rows() {
            return Err(refuse(
                format!("{} vectors have {} labels and {} places", x.rows(), columns.num_rows(), lon.len()),
                "give one of each per vector",
            ));
        }
        let status = vec![Status::Valid; x.rows()];
        let raw = Raw { vectors: x.data(), status: &status, columns, lon, lat };
        raw.sort_out(x.names().to_vec(), Provenance::of_array(x.cols()), request, None)
    }
}
