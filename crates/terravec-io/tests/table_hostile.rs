//! Damaged tables give errors or rows: no panic, no endless loop, no memory beyond what the file could hold.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use terravec_io::DType;
use terravec_io::source::MemorySource;
use terravec_io::table::{
    CsvPlan, CsvTable, PlaceColumns, Placer, ReadPlan, TableFile, VectorSpec, check_geoparquet, vectors_of,
};

/// Damages of each file.
const DAMAGES: u64 = 150;

fn testdata(under: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(under);
    fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().unwrap() != "md")
        .collect()
}

/// The file with some bytes changed: half of the time in its last 10 000, which hold the footer.
fn damaged(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut numbers = fastrand::Rng::with_seed(seed);
    let mut out = bytes.to_vec();
    let from = if seed.is_multiple_of(2) { 0 } else { out.len().saturating_sub(10_000) };
    for _ in 0..=numbers.usize(..4) {
        let i = numbers.usize(from..out.len());
        out[i] = match numbers.usize(..4) {
            0 => 0,
            1 => 0xff,
            2 => out[i] ^ 1 << numbers.usize(..8),
            _ => numbers.u8(..),
        };
    }
    out
}

fn use_all(bytes: Vec<u8>) {
    let Ok(file) = TableFile::open(Arc::new(MemorySource::new("t.parquet", bytes))) else { return };
    let _ = check_geoparquet(&file);
    let columns: Vec<usize> = (0..file.schema().fields().len()).collect();
    for group in 0..file.groups() {
        let _ = (file.group_box(group), file.group_bytes(group, &columns));
        columns.iter().for_each(|c| drop(file.group_range(group, *c)));
    }
    let all = ReadPlan { columns, groups: (0..file.groups()).collect(), rows: None, batch_rows: 100 };
    let some = ReadPlan { rows: Some(vec![1..2, 3..30]), ..all.clone() };
    let placer = file.geometry().and_then(|g| Placer::new(&file, PlaceColumns::Geometry(g.column)).ok());
    for plan in [all, some] {
        let Ok(batches) = file.read(&plan) else { continue };
        for batch in batches {
            let Ok(batch) = batch else { break };
            if let Some(block) = placer.as_ref().and_then(|p| p.places(&batch).ok()) {
                let _ = block.wkb();
            }
            for column in batch.columns() {
                let _ = vectors_of(column.clone(), &VectorSpec { dim: None, dtype: Some(DType::F32) });
            }
        }
    }
}

#[test]
fn damaged_tables_give_errors() {
    let folders = [
        "patch",
        "suites/geoparquet/geoparquet-testing/data/encodings",
        "suites/geoparquet/geoparquet-testing/data/compression",
    ];
    for path in folders.into_iter().flat_map(testdata) {
        let bytes = fs::read(&path).unwrap();
        for seed in 0..DAMAGES {
            let copy = damaged(&bytes, seed);
            let outcome = catch_unwind(|| use_all(copy));
            assert!(outcome.is_ok(), "{} with damage {seed} panics", path.display());
        }
    }
}

#[test]
fn damaged_text_gives_errors() {
    let mut text = String::from("lat,lon,name,x0,x1,x2\n");
    for i in 0..50 {
        text += &format!("{i},{}, \"a, {i}\",{}.5,1e{i},-0\n", i * 2, i);
    }
    let plan = |columns: usize| CsvPlan {
        vector: (3..columns.min(6)).collect(),
        name: "v".into(),
        dtype: DType::F32,
        numbers: vec![0],
        batch_rows: 7,
    };
    for seed in 0..2000 {
        let copy = damaged(text.as_bytes(), seed);
        let outcome = catch_unwind(|| {
            let Ok(table) = CsvTable::open(Arc::new(MemorySource::new("t.csv", copy))) else { return };
            if let Ok(batches) = table.read(&plan(table.columns().len())) {
                batches.take_while(Result::is_ok).for_each(drop);
            }
        });
        assert!(outcome.is_ok(), "damage {seed} panics");
    }
}

#[test]
fn absurd_counts_are_refused_before_they_cost_memory() {
    // A footer of 2^31 - 1 row groups in 40 bytes, and one of as many columns in a schema.
    for list in [[0x49, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07], [0x29, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07]] {
        let mut footer = vec![0x15, 0x02];
        footer.extend(list);
        footer.extend([0; 40]);
        let mut bytes = b"PAR1".to_vec();
        bytes.extend(&footer);
        bytes.extend(u32::try_from(footer.len()).unwrap().to_le_bytes());
        bytes.extend(b"PAR1");
        let opened = TableFile::open(Arc::new(MemorySource::new("t.parquet", bytes)));
        assert!(opened.is_err_and(|e| e.to_string().contains("broken")));
    }
}
