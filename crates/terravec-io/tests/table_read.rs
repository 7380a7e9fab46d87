//! Batches of a table: what they hold, what they cost in requests and bytes, and how reading ends.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, Float32Array, Int64Array, RecordBatch, StringArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Float32Type, Int64Type, SchemaRef};
use terravec_io::source::{Counting, HttpOptions, HttpSource, LocalSource, MemorySource, Source};
use terravec_io::table::{
    PlaceColumns, Placer, ReadPlan, TableError, TableFile, VectorSpec, VectorState, vectors_of,
};
use terravec_io::vector::{TableSpec, TableWriter, wkb};
use terravec_testserver::{Fault, Options, Rule, Server};

const ROWS: usize = 60_000;
const DIM: usize = 64;

fn number(row: usize, i: usize) -> f32 {
    ((row * 31 + i * 7919) % 10_007) as f32 / 7.0
}

/// Rows on a line along the equator, west to east, in batches as a caller would write them.
fn write(path: &Path, rows: usize) {
    let batch = |rows: std::ops::Range<usize>| {
        let values: Float32Array =
            rows.clone().flat_map(|r| (0..DIM).map(move |i| number(r, i))).collect::<Vec<f32>>().into();
        let item = Arc::new(Field::new_list_field(values.data_type().clone(), false));
        let vectors = FixedSizeListArray::new(item, DIM as i32, Arc::new(values), None);
        let geometry: arrow::array::BinaryArray =
            rows.clone().map(|r| Some(wkb::point(lon(r), 0.5))).collect();
        let ids: StringArray = rows.clone().map(|r| Some(format!("row {r}"))).collect();
        let n: Int64Array = rows.map(|r| r as i64).collect::<Vec<_>>().into();
        let columns: [(&str, ArrayRef); 4] = [
            ("id", Arc::new(ids)),
            ("n", Arc::new(n)),
            ("embedding", Arc::new(vectors)),
            ("geometry", Arc::new(geometry)),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    };
    let spec = TableSpec { covering: true, ..TableSpec::default() };
    let mut writer = TableWriter::create(path, &batch(0..0).schema(), &spec).unwrap();
    for start in (0..rows).step_by(7000) {
        writer.write(&batch(start..rows.min(start + 7000))).unwrap();
    }
    writer.finish().unwrap();
}

fn lon(row: usize) -> f64 {
    row as f64 * 0.001 - 20.0
}

fn plan(file: &TableFile) -> ReadPlan {
    ReadPlan {
        columns: (0..file.schema().fields().len()).collect(),
        groups: (0..file.groups()).collect(),
        rows: None,
        batch_rows: 4096,
    }
}

fn all(file: &TableFile, plan: &ReadPlan) -> Result<RecordBatch, TableError> {
    let schema: SchemaRef = Arc::new(file.schema().project(&plan.columns).unwrap());
    let batches = file.read(plan)?.collect::<Result<Vec<_>, _>>()?;
    Ok(concat_batches(&schema, &batches).unwrap())
}

fn check(batch: &RecordBatch, rows: &[usize]) {
    assert_eq!(batch.num_rows(), rows.len());
    let n = batch["n"].as_primitive::<Int64Type>();
    let vectors = batch["embedding"].as_fixed_size_list();
    for (i, row) in rows.iter().enumerate() {
        assert_eq!(n.value(i), *row as i64);
        let vector = vectors.value(i);
        let vector = vector.as_primitive::<Float32Type>().values();
        assert!((0..DIM).all(|k| vector[k] == number(*row, k)), "row {row}");
    }
}

fn counted(path: &Path) -> (Arc<Counting<LocalSource>>, TableFile) {
    let source = Arc::new(Counting::new(LocalSource::open(path).unwrap()));
    let file = TableFile::open(source.clone()).unwrap();
    (source, file)
}

#[test]
fn what_is_written_is_read_and_little_more_than_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    write(&path, ROWS);
    let (source, file) = counted(&path);
    assert_eq!((source.requests(), file.rows(), file.groups()), (1, ROWS as u64, 2));
    let plan = plan(&file);
    check(&all(&file, &plan).unwrap(), &(0..ROWS).collect::<Vec<_>>());

    // Row groups tell where they are.
    let second = file.group_box(1).unwrap();
    assert_eq!((second.min_x, second.max_x), (lon(50_000), lon(ROWS - 1)));

    // One row: the index of pages, then a page of each column.
    source.reset();
    let one = ReadPlan { rows: Some(vec![12_345..12_346]), ..plan.clone() };
    check(&all(&file, &one).unwrap(), &[12_345]);
    assert!(source.bytes() < 400_000, "{} bytes", source.bytes());
    assert!(source.requests() < 12, "{} requests", source.requests());
    let vector = ReadPlan { columns: vec![1, 2], ..one };
    source.reset();
    check(&all(&file, &vector).unwrap(), &[12_345]);
    assert!(source.bytes() < 150_000, "{} bytes", source.bytes());

    // Several rows of both groups.
    let rows: Vec<usize> =
        [3..5, 9_990..10_010, 49_999..50_003, 59_999..60_000].into_iter().flatten().collect();
    let ranges = vec![3..5, 9_990..10_010, 49_999..50_003, 59_999..60_000];
    check(&all(&file, &ReadPlan { rows: Some(ranges), ..plan.clone() }).unwrap(), &rows);

    // Without columns, rows are still counted, and nothing is fetched.
    source.reset();
    let none = ReadPlan { columns: Vec::new(), rows: Some(vec![5..9]), ..plan.clone() };
    let counts: Vec<usize> = file.read(&none).unwrap().map(|b| b.unwrap().num_rows()).collect();
    assert_eq!((counts, source.bytes()), (vec![4], 0));

    // The caller's own order of columns and groups.
    let turned = ReadPlan { columns: vec![2, 1], groups: vec![1, 0], ..plan };
    let got = all(&file, &turned).unwrap();
    assert_eq!(got.schema().field(0).name(), "embedding");
    check(&got, &(50_000..ROWS).chain(0..50_000).collect::<Vec<_>>());
}

#[test]
fn vectors_of_a_batch_are_not_copied() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    write(&path, 1000);
    let (_, file) = counted(&path);
    for batch in file.read(&ReadPlan { columns: vec![2], ..plan(&file) }).unwrap() {
        let (_, mut columns, _) = batch.unwrap().into_parts();
        let column = columns.remove(0);
        let numbers =
            |c: &ArrayRef| c.as_fixed_size_list().values().as_primitive::<Float32Type>().values().as_ptr();
        let before = numbers(&column);
        let block = vectors_of(column, &VectorSpec::default()).unwrap();
        let terravec_io::Samples::F32(after) = &block.samples else { panic!("{:?}", block.samples.dtype()) };
        assert_eq!(before, after.as_ptr());
        assert_eq!((block.dim, block.states.as_slice()), (DIM, vec![VectorState::Present; 1000].as_slice()));
    }
}

#[test]
fn over_http_a_read_is_a_few_requests() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("t.parquet"), ROWS);
    let server = Server::start(folder.path(), Options::default()).unwrap();
    let url = format!("{}/t.parquet", server.url());
    let open = || TableFile::open(Arc::new(HttpSource::new(&url, HttpOptions::default()).unwrap())).unwrap();
    let file = open();
    assert_eq!(server.take_stats().requests, 1);
    let mut plan = plan(&file);
    check(&all(&file, &plan).unwrap(), &(0..ROWS).collect::<Vec<_>>());
    let whole = server.take_stats();
    assert!(whole.requests < 20, "{whole:?}");
    plan.rows = Some(vec![7..8, 30_000..30_001, 55_000..55_001]);
    check(&all(&file, &plan).unwrap(), &[7, 30_000, 55_000]);
    let picked = server.take_stats();
    assert!(picked.bytes < whole.bytes / 10 && picked.requests < 40, "{picked:?}");

    // Faults that pass are repeated; those that stay are told as what they are.
    server.set_faults([Rule::times(3, Fault::status(503))]);
    check(&all(&file, &plan).unwrap(), &[7, 30_000, 55_000]);
    server.set_faults([Rule::always(Fault::status(403))]);
    plan.rows = None;
    let error = all(&file, &plan).unwrap_err();
    assert!(matches!(error, TableError::Source(_)), "{error}");
}

#[test]
fn reading_ends_when_nobody_listens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    write(&path, ROWS);
    let (source, file) = counted(&path);
    let weak = Arc::downgrade(&source);
    drop(source);
    let mut batches = file.read(&plan(&file)).unwrap();
    assert!(batches.next().unwrap().is_ok());
    drop(batches);
    drop(file);
    let patience = std::time::Instant::now();
    while weak.upgrade().is_some() {
        assert!(patience.elapsed().as_secs() < 20, "the reading thread lives on");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn a_plan_that_makes_no_sense_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    write(&path, 10);
    let (_, file) = counted(&path);
    let plan = plan(&file);
    for bad in [
        ReadPlan { columns: vec![99], ..plan.clone() },
        ReadPlan { groups: vec![1], ..plan.clone() },
        ReadPlan { rows: Some(vec![5..6, 2..3]), ..plan.clone() },
    ] {
        assert!(file.read(&bad).is_err());
    }
    assert_eq!(file.group_box(7), None);
    assert_eq!((file.group_rows(7), file.group_bytes(7, &[0])), (10..10, 0));
    assert!(Placer::new(&file, PlaceColumns::Geometry(9)).is_err());
    assert!(Placer::new(&file, PlaceColumns::Geometry(2)).is_ok_and(|p| {
        let batch = all(&file, &plan).unwrap();
        p.places(&batch).is_err_and(|e| e.to_string().contains("embedding"))
    }));
}

#[test]
fn what_is_no_table_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    write(&path, 100);
    let bytes = fs::read(&path).unwrap();
    let n = bytes.len();
    let open = |bytes: Vec<u8>| {
        let source: Arc<dyn Source> = Arc::new(MemorySource::new("t", bytes));
        TableFile::open(source).map(|_| ()).unwrap_err().to_string()
    };
    assert!(open(Vec::new()).contains("0 bytes"));
    assert!(open(bytes[..n - 1].to_vec()).contains("PAR1"));
    assert!(
        open(bytes[n - 3000..].to_vec()).contains("claims")
            || open(bytes[n - 3000..].to_vec()).contains("outside")
    );
    let mut long = bytes.clone();
    long[n - 8..n - 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(open(long).contains("claims 4294967295 bytes"));
    let mut secret = bytes.clone();
    secret[n - 1] = b'E';
    assert!(open(secret).contains("encrypted"));
    let footer = u32::from_le_bytes(bytes[n - 8..n - 4].try_into().unwrap()) as usize;
    assert!(open([b"PAR1", &bytes[n - 8 - footer..]].concat()).contains("outside the file"));
}
