//! CSV: one column per number of a vector, so that any spreadsheet reads it. Geometry is left to `lon` and `lat` where
//! these are there, else it is well-known text.

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, SchemaRef};

use super::{Out, Sink, TableSpec, bytes_of, geometries};
use crate::vector::rows::Cells;
use crate::vector::{wkb, wkt};

struct Csv {
    writer: csv::Writer<Out>,
    columns: Vec<Column>,
}

/// How a column of the table is written.
enum Column {
    Skip,
    Cell,
    Vector,
    Geometry,
}

pub(super) fn start(out: Out, schema: &SchemaRef, spec: &TableSpec) -> Result<Box<dyn Sink>, String> {
    let mut writer = csv::Writer::from_writer(out);
    let lonlat = ["lon", "lat"].iter().all(|n| schema.field_with_name(n).is_ok());
    let mut header: Vec<String> = Vec::new();
    let mut columns = Vec::new();
    let vectors = schema.fields().iter().filter(|f| is_vector(f.data_type())).count();
    for field in schema.fields() {
        let name = field.name();
        columns.push(match field.data_type() {
            DataType::FixedSizeList(_, n) => {
                let n = usize::try_from(*n).unwrap_or(0);
                let of_several = if vectors > 1 { format!("{name}_") } else { String::new() };
                header.extend((0..n).map(|i| match spec.vector_names.get(i) {
                    Some(given) if spec.vector_names.len() == n => format!("{of_several}{given}"),
                    _ => format!("{of_several}e{i}"),
                }));
                Column::Vector
            }
            _ if *name == spec.geometry && lonlat => Column::Skip,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView if *name == spec.geometry => {
                header.push(name.clone());
                Column::Geometry
            }
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => {
                return Err(format!("column `{name}` holds bytes, which CSV can't"));
            }
            _ => {
                header.push(name.clone());
                Column::Cell
            }
        });
    }
    writer.write_record(&header).map_err(|e| e.to_string())?;
    Ok(Box::new(Csv { writer, columns }))
}

fn is_vector(data_type: &DataType) -> bool {
    matches!(data_type, DataType::FixedSizeList(..))
}

impl Sink for Csv {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), String> {
        let cells = self.columns.iter().zip(batch.columns()).map(|(kind, column)| {
            Ok(match kind {
                Column::Skip => None,
                Column::Geometry => Some(Cells::Text(text_of(&geometries(column)?)?)),
                Column::Cell | Column::Vector => Cells::new(column)?,
            })
        });
        let cells: Vec<Option<Cells>> = cells.collect::<Result<_, String>>()?;
        let mut record: Vec<String> = Vec::new();
        for row in 0..batch.num_rows() {
            record.clear();
            for (kind, cells) in self.columns.iter().zip(&cells) {
                match (kind, cells) {
                    (Column::Vector, Some(cells)) => record.extend(cells.items(row)),
                    (_, Some(cells)) => record.push(cells.text(row)),
                    (_, None) => {}
                }
            }
            self.writer.write_record(&record).map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), String> {
        super::flush(self.writer.into_inner().map_err(|e| e.to_string())?)
    }
}

/// Geometries as well-known text.
fn text_of(geometries: &ArrayRef) -> Result<StringArray, String> {
    let text = |row| bytes_of(geometries, row).map(|b| wkb::read(b).map(|g| wkt::write(&g))).transpose();
    (0..geometries.len()).map(text).collect()
}
