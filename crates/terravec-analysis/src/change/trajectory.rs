//! How the mean vector of each polygon moves from year to year.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, RecordBatch};
use arrow::datatypes::{Field, Schema};
use terravec::{Error, Gridded, Provenance, Reduce, Request, Result, Status, reduce, table};
use terravec_io::vector::Regions;

use super::compare::Measure;

/// One row per polygon and year: its columns, `year`, `pixels`, and the angle or distance of its mean vector from that of the
/// first year with one (`…_from_first`) and of the year with one before (`…_from_previous`).
///
/// # Errors
/// If fewer than two years are asked for, or reading fails.
pub fn trajectories(
    dataset: Gridded,
    regions: &Regions,
    request: &Request,
    measure: Measure,
) -> Result<(RecordBatch, Provenance)> {
    let reduced = reduce(dataset, regions, false, request, Reduce::Mean)?;
    let periods = reduced.periods.len();
    if periods < 2 {
        return Err(Error::query("a trajectory needs at least two years", "name them, such as 2018..2024"));
    }
    let dim = reduced.band_names.len();
    let vector = |row: usize| reduced.values[row * dim..(row + 1) * dim].iter().copied();
    let rows = reduced.status.len();
    let (mut first, mut previous) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    for region in 0..rows / periods {
        let (mut start, mut last) = (None, None);
        for row in region * periods..(region + 1) * periods {
            if reduced.status[row] != Status::Valid {
                first.push(None);
                previous.push(None);
                continue;
            }
            let from = |other: Option<usize>| other.map(|o| measure.of(vector(o), vector(row)));
            first.push(Some(start.map_or(0.0, |s| from(Some(s)).unwrap_or(0.0))));
            previous.push(from(last));
            start = start.or(Some(row));
            last = Some(row);
        }
    }
    let years: Int32Array = (0..rows).map(|row| reduced.periods[row % periods]).collect();
    let provenance = reduced.provenance.clone();
    let mut batch = table::reduced(reduced)?;
    if let Ok(column) = batch.schema().index_of("embedding") {
        batch.remove_column(column);
    }
    let name = measure.column();
    let ours: [(String, ArrayRef); 3] = [
        ("year".into(), Arc::new(years)),
        (format!("{name}_from_first"), Arc::new(Float64Array::from(first))),
        (format!("{name}_from_previous"), Arc::new(Float64Array::from(previous))),
    ];
    let schema = batch.schema();
    let mut fields: Vec<Field> = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        if field.name() == "geometry" {
            for (name, array) in &ours {
                fields.push(Field::new(name, array.data_type().clone(), true));
                columns.push(Arc::clone(array));
            }
        }
        let clash = ours.iter().any(|(name, _)| name == field.name());
        let own = field.as_ref().clone();
        let own_name = format!("{}_", field.name());
        fields.push(if clash { own.with_name(own_name) } else { own });
        columns.push(Arc::clone(column));
    }
    let schema = Schema::new(fields).with_metadata(schema.metadata().clone());
    Ok((RecordBatch::try_new(Arc::new(schema), columns)?, provenance))
}
