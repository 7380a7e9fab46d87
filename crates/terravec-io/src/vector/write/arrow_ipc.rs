//! Arrow's own file format (also Feather v2).

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::writer::FileWriter;

use super::{Out, Sink, TableSpec};

struct Arrow {
    schema: SchemaRef,
    writer: FileWriter<Out>,
}

pub(super) fn start(out: Out, schema: &SchemaRef, spec: &TableSpec) -> Result<Box<dyn Sink>, String> {
    let metadata = spec.metadata.iter().cloned().collect();
    let schema = Arc::new(Schema::new(schema.fields().clone()).with_metadata(metadata));
    let writer = FileWriter::try_new(out, &schema).map_err(|e| e.to_string())?;
    Ok(Box::new(Arrow { schema, writer }))
}

impl Sink for Arrow {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), String> {
        let batch =
            RecordBatch::try_new(self.schema.clone(), batch.columns().to_vec()).map_err(|e| e.to_string())?;
        self.writer.write(&batch).map_err(|e| e.to_string())
    }

    fn finish(self: Box<Self>) -> Result<(), String> {
        super::flush(self.writer.into_inner().map_err(|e| e.to_string())?)
    }
}
