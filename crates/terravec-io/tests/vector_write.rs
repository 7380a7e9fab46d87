//! Tables out: what is written is read back equal, and nothing is left of what fails.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, FixedSizeListArray, Float32Array, Float64Array, Int64Array,
    RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Float32Type};
use arrow::ipc::reader::FileReader;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use serde_json::Value;
use terravec_io::vector::{TableSpec, TableWriter, VectorError, read_points, wkb, write_table};

fn vectors(rows: usize, depth: i32, missing: Option<usize>) -> ArrayRef {
    let item = Arc::new(Field::new("element", DataType::Float32, true));
    let n = rows * usize::try_from(depth).unwrap();
    let values = Float32Array::from_iter_values((0..n).map(|i| (i as f32 * 0.37).sin()));
    let valid = (0..rows).map(|r| Some(r) != missing).collect::<Vec<bool>>();
    Arc::new(FixedSizeListArray::new(item, depth, Arc::new(values), Some(valid.into())))
}

/// Places on a line, the second of which has none, as samples have them.
fn table(rows: usize, depth: i32) -> RecordBatch {
    let at = |i: usize| (i != 1).then_some((i as f64 * 0.001, 45.0 - i as f64 * 0.0005));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("n", Arc::new(Int64Array::from_iter_values(0..i64::try_from(rows).unwrap()))),
        (
            "name",
            Arc::new((0..rows).map(|i| (i != 2).then(|| format!("é,\"{i}\""))).collect::<StringArray>()),
        ),
        ("lon", Arc::new(Float64Array::from_iter((0..rows).map(|i| at(i).map(|p| p.0))))),
        ("lat", Arc::new(Float64Array::from_iter((0..rows).map(|i| at(i).map(|p| p.1))))),
        (
            "time",
            Arc::new(TimestampMillisecondArray::from(vec![1_704_067_200_000; rows]).with_timezone("UTC")),
        ),
        ("embedding", vectors(rows, depth, Some(1))),
        (
            "geometry",
            Arc::new((0..rows).map(|i| at(i).map(|p| wkb::point(p.0, p.1))).collect::<BinaryArray>()),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap()
}

fn spec() -> TableSpec {
    TableSpec { metadata: vec![("terravec".into(), r#"{"product":"p"}"#.into())], ..TableSpec::default() }
}

fn parquet(path: &Path) -> ParquetRecordBatchReaderBuilder<File> {
    ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap()
}

fn footer(path: &Path, key: &str) -> Value {
    let builder = parquet(path);
    let pairs = builder.metadata().file_metadata().key_value_metadata().unwrap();
    serde_json::from_str(pairs.iter().find(|p| p.key == key).unwrap().value.as_ref().unwrap()).unwrap()
}

#[test]
fn geoparquet_holds_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let batch = table(6, 4);
    write_table(&path, [batch.slice(0, 2), batch.slice(2, 4)].into_iter(), &spec()).unwrap();
    let read: Vec<RecordBatch> = parquet(&path).build().unwrap().map(Result::unwrap).collect();
    assert_eq!(read[0].columns(), batch.columns());
    assert_eq!(read[0].schema().fields(), batch.schema().fields());
    assert_eq!(footer(&path, "terravec")["product"], "p");
    let geo = footer(&path, "geo");
    assert_eq!((geo["version"].as_str(), geo["primary_column"].as_str()), (Some("1.1.0"), Some("geometry")));
    let column = &geo["columns"]["geometry"];
    assert_eq!(column["bbox"], serde_json::json!([0.0, 44.9975, 0.005, 45.0]));
    assert_eq!(column["geometry_types"], serde_json::json!(["Point"]));
    assert!(column.get("covering").is_none() && column.get("crs").is_none());
    let points = read_points(&path).unwrap();
    assert!(points.lon[1].is_nan() && points.lon[5] == 0.005);
    let names: Vec<String> = points.columns.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["n", "name", "time", "embedding"]);
}

#[test]
fn row_groups_are_bounded_and_vectors_have_no_statistics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let batch = table(40_000, 3);
    write_table(&path, std::iter::repeat_n(batch, 3), &spec()).unwrap();
    let metadata = parquet(&path).metadata().clone();
    let rows: Vec<i64> = metadata.row_groups().iter().map(|g| g.num_rows()).collect();
    assert_eq!(rows, [50_000, 50_000, 20_000]);
    for column in metadata.row_groups()[0].columns() {
        let bare =
            column.column_path().parts()[0] == "embedding" || column.column_path().string() == "geometry";
        assert_eq!(column.statistics().is_none(), bare, "{}", column.column_path());
        assert!(!bare || column.dictionary_page_offset().is_none(), "{}", column.column_path());
        assert!(matches!(column.compression(), Compression::ZSTD(_)));
        assert!(column.offset_index_offset().is_some(), "pages can be found");
    }
}

#[test]
fn wide_vectors_make_row_groups_of_fewer_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    // 32 KiB per row: 4096 of them are 128 MiB.
    write_table(&path, std::iter::once(table(4_100, 8_192)), &spec()).unwrap();
    let rows: Vec<i64> = parquet(&path).metadata().row_groups().iter().map(|g| g.num_rows()).collect();
    assert_eq!(rows, [4_096, 4]);
}

#[test]
fn a_covering_has_the_box_of_each_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let batch = table(4, 2);
    write_table(&path, std::iter::once(batch.clone()), &TableSpec { covering: true, ..spec() }).unwrap();
    let read = parquet(&path).build().unwrap().next().unwrap().unwrap();
    let boxes = read.column_by_name("bbox").unwrap().as_struct();
    assert_eq!(boxes.column_names(), ["xmin", "ymin", "xmax", "ymax"]);
    assert!(boxes.is_null(1) && boxes.null_count() == 1);
    for (corner, of) in [("xmin", "lon"), ("xmax", "lon"), ("ymin", "lat"), ("ymax", "lat")] {
        let (a, b) = (boxes.column_by_name(corner).unwrap(), batch.column_by_name(of).unwrap());
        assert_eq!(a.slice(2, 2).as_ref(), b.slice(2, 2).as_ref());
    }
    let covering = &footer(&path, "geo")["columns"]["geometry"]["covering"]["bbox"];
    assert_eq!(covering["ymax"], serde_json::json!(["bbox", "ymax"]));
    assert!(
        read_points(&path).unwrap().columns.column_by_name("bbox").is_none(),
        "it belongs to the geometry"
    );
}

#[test]
fn arrow_csv_and_geojson_say_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let batch = table(3, 2);
    let named = TableSpec { vector_names: vec!["A00".into(), "A01".into()], ..spec() };
    for name in ["t.arrow", "t.csv", "t.geojson"] {
        write_table(&at(name), std::iter::once(batch.clone()), &named).unwrap();
    }
    let mut reader = FileReader::try_new(File::open(at("t.arrow")).unwrap(), None).unwrap();
    assert_eq!(reader.schema().metadata()["terravec"], r#"{"product":"p"}"#);
    assert_eq!(reader.next().unwrap().unwrap().columns(), batch.columns());

    let text = fs::read_to_string(at("t.csv")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "n,name,lon,lat,time,A00,A01");
    let first = batch.column_by_name("embedding").unwrap().as_fixed_size_list().value(0);
    let second = first.as_primitive::<Float32Type>().value(1);
    assert_eq!(lines[1], format!("0,\"é,\"\"0\"\"\",0,45,2024-01-01T00:00:00Z,0,{second}"));
    assert_eq!(lines[2], "1,\"é,\"\"1\"\"\",,,2024-01-01T00:00:00Z,,");

    let json: Value = serde_json::from_str(&fs::read_to_string(at("t.geojson")).unwrap()).unwrap();
    assert_eq!(json["terravec"]["product"], "p");
    let features = json["features"].as_array().unwrap();
    assert_eq!(features[2]["geometry"]["coordinates"], serde_json::json!([0.002, 44.999]));
    assert_eq!(features[2]["properties"]["name"], Value::Null);
    assert!(features[1]["geometry"].is_null() && features[1]["properties"]["embedding"].is_null());
    let vector = batch.column_by_name("embedding").unwrap().as_fixed_size_list().value(2);
    for (i, v) in vector.as_primitive::<Float32Type>().values().iter().enumerate() {
        assert_eq!(features[2]["properties"]["embedding"][i].as_f64().unwrap() as f32, *v);
    }
}

#[test]
fn csv_without_lon_and_lat_has_the_geometry_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let batch = table(2, 2).project(&[0, 6]).unwrap();
    write_table(&path, std::iter::once(batch), &spec()).unwrap();
    assert_eq!(fs::read_to_string(path).unwrap(), "n,geometry\n0,POINT (0 45)\n1,\n");
}

#[test]
fn nothing_is_left_of_what_fails() {
    let folder = tempfile::tempdir().unwrap();
    let files = || fs::read_dir(folder.path()).unwrap().count();
    let batch = table(3, 2);
    for name in ["t.parquet", "t.arrow", "t.csv", "t.geojson"] {
        let path = folder.path().join(name);
        let mut writer = TableWriter::create(&path, &batch.schema(), &spec()).unwrap();
        writer.write(&batch).unwrap();
        drop(writer);
        assert!(!path.exists());
        let other = batch.project(&[0, 1]).unwrap();
        let e = write_table(&path, [batch.clone(), other].into_iter(), &spec()).unwrap_err();
        assert!(e.to_string().contains("differ"), "{e}");
    }
    let broken =
        RecordBatch::try_from_iter([("geometry", Arc::new(BinaryArray::from_vec(vec![b"no"])) as ArrayRef)]);
    let e =
        write_table(&folder.path().join("t.parquet"), std::iter::once(broken.unwrap()), &spec()).unwrap_err();
    assert!(e.to_string().contains("row 1"), "{e}");
    for (name, said) in [("t.xyz", ".xyz"), ("no/such/t.csv", "such")] {
        let e = write_table(&folder.path().join(name), std::iter::once(batch.clone()), &spec()).unwrap_err();
        assert!(e.to_string().contains(said) && e.help().is_some(), "{e}");
    }
    let e = write_table(&folder.path().join("t.csv"), std::iter::empty(), &spec()).unwrap_err();
    assert!(matches!(e, VectorError::Format { .. }));
    assert_eq!(files(), 0);
}
