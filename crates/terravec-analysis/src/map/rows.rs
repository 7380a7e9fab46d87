//! A model on the rows of a sample: the caller's columns, and beside them what is predicted.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, RecordBatch, StringArray, UInt16Array};
use arrow::datatypes::{Field, Float32Type, Schema};
use terravec::Result;

use super::chunk::entropy;
use crate::learn::{Model, Predictor, Task};
use crate::{Matrix, refuse};

/// The table of a sample (see [`terravec::table::sampled`]) without its vectors, with what the model says of them: `class`, `code`, `probability`
/// and `entropy`, or `value`; and `dissimilarity` and `inside`, where the model knows its area of applicability. Rows without a vector have nulls.
///
/// # Errors
/// If the table has no vectors of the model's length, or whoever asked wants no answer any more.
pub fn predictions(model: &Model, table: &RecordBatch) -> Result<RecordBatch> {
    let wrong = || {
        refuse(
            format!("the table has no column `embedding` of {} float32 numbers each", model.bands.len()),
            "sample decoded vectors of the model's product",
        )
    };
    let schema = table.schema();
    let at = schema.index_of("embedding").map_err(|_| wrong())?;
    let list = table.column(at).as_fixed_size_list_opt().ok_or_else(wrong)?;
    let values = list.values().as_primitive_opt::<Float32Type>().ok_or_else(wrong)?;
    let depth = model.bands.len();
    if usize::try_from(list.value_length()) != Ok(depth) {
        return Err(wrong());
    }
    let first = list.offset();
    let vector = |i: usize| &values.values()[(first + i) * depth..(first + i + 1) * depth];
    let there: Vec<usize> =
        (0..list.len()).filter(|i| list.is_valid(*i) && vector(*i).iter().all(|v| v.is_finite())).collect();
    let mut data = Vec::with_capacity(there.len() * depth);
    there.iter().for_each(|i| data.extend_from_slice(vector(*i)));
    let x = Matrix::new(data, model.bands.clone())?;
    let scores = model.learnt.scores(&x)?;
    let spread = |v: Vec<f32>| -> ArrayRef {
        let mut all = vec![None; list.len()];
        there.iter().zip(v).for_each(|(i, v)| all[*i] = Some(v));
        Arc::new(Float32Array::from(all))
    };
    let mut ours: Vec<(&str, ArrayRef)> = Vec::new();
    match &model.task {
        Task::Value(_) => ours.push(("value", spread(scores))),
        Task::Classes(classes) => {
            let won = Predictor::classes(&scores, classes.len());
            let mut of = vec![None; list.len()];
            there.iter().zip(&won).for_each(|(i, k)| of[*i] = Some(&classes[*k as usize]));
            ours.push((
                "class",
                Arc::new(of.iter().map(|c| c.map(|c| c.name.as_str())).collect::<StringArray>()),
            ));
            ours.push(("code", Arc::new(of.iter().map(|c| c.map(|c| c.code)).collect::<UInt16Array>())));
            let shares = || scores.chunks_exact(classes.len());
            ours.push(("probability", spread(shares().zip(&won).map(|(s, k)| s[*k as usize]).collect())));
            ours.push(("entropy", spread(shares().map(entropy).collect())));
        }
    }
    if let Some(a) = &model.applicability {
        let index = a.dissimilarity(&x);
        let inside: Vec<f32> =
            index.iter().map(|d| f32::from(u8::from(f64::from(*d) <= a.threshold))).collect();
        ours.push(("dissimilarity", spread(index)));
        let inside = arrow::compute::cast(&spread(inside), &arrow::datatypes::DataType::Boolean)?;
        ours.push(("inside", inside));
    }
    let mut fields: Vec<Arc<Field>> = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    let taken = |name: &str| ours.iter().any(|(n, _)| *n == name);
    for (i, field) in schema.fields().iter().enumerate() {
        if i == at || field.name() == "geometry" {
            continue;
        }
        // The caller's own `class` stays, under a name with `_` behind.
        let name = if taken(field.name()) { format!("{}_", field.name()) } else { field.name().clone() };
        fields.push(Arc::new(field.as_ref().clone().with_name(name)));
        columns.push(table.column(i).clone());
    }
    for (name, column) in ours {
        fields.push(Arc::new(Field::new(name, column.data_type().clone(), true)));
        columns.push(column);
    }
    if let Ok(i) = schema.index_of("geometry") {
        fields.push(schema.fields()[i].clone());
        columns.push(table.column(i).clone());
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields).with_metadata(schema.metadata().clone())), columns)?)
}
