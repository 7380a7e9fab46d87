//! Any bytes opened as a Parquet table, its row groups asked, all of it and some rows read, as vectors and places.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use terravec_io::DType;
use terravec_io::source::MemorySource;
use terravec_io::table::{PlaceColumns, Placer, ReadPlan, TableFile, VectorSpec, check_geoparquet, vectors_of};

fuzz_target!(|data: &[u8]| {
    let source = MemorySource::new("fuzz.parquet", bytes::Bytes::copy_from_slice(data));
    let Ok(file) = TableFile::open(Arc::new(source)) else { return };
    let _ = check_geoparquet(&file);
    let columns: Vec<usize> = (0..file.schema().fields().len()).collect();
    let groups: Vec<usize> = (0..file.groups().min(4)).collect();
    for group in &groups {
        let _ = (file.group_box(*group), file.group_rows(*group), file.group_bytes(*group, &columns));
        for column in &columns {
            let _ = file.group_range(*group, *column);
        }
    }
    let placer = file.geometry().and_then(|g| Placer::new(&file, PlaceColumns::Geometry(g.column)).ok());
    let all = ReadPlan { columns, groups, rows: None, batch_rows: 64 };
    let some = ReadPlan { rows: Some(vec![0..1, 5..9]), ..all.clone() };
    for plan in [all, some] {
        let Ok(batches) = file.read(&plan) else { continue };
        for batch in batches.take(50) {
            let Ok(batch) = batch else { break };
            if let Some(block) = placer.as_ref().and_then(|p| p.places(&batch).ok()) {
                let _ = block.wkb();
            }
            for column in batch.columns() {
                let _ = vectors_of(column.clone(), &VectorSpec { dim: None, dtype: Some(DType::F32) });
            }
        }
    }
});
