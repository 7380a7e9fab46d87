//! Damaged stores: an error that names the object, never a panic, never memory for what is not there.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};
use terravec_io::source::Location;
use terravec_io::zarr::{Array, ArraySpec, Node, StoreWriter, ZarrError, open};
use terravec_io::{DType, Samples};

/// A store of one shard with four chunks, and its metadata.
fn store(folder: &Path) -> Value {
    let path = folder.join("s.zarr");
    let mut writer = StoreWriter::create(&path).unwrap();
    let spec = ArraySpec {
        shape: vec![8, 8],
        chunk: vec![4, 4],
        shard: vec![8, 8],
        dtype: DType::I16,
        fill: -1.0,
        names: vec!["y", "x"],
        attributes: Map::new(),
    };
    let array = writer.array("a", spec).unwrap();
    array.write_shard(&[0, 0], &Samples::I16((0..64).collect()), &[8, 8]).unwrap();
    writer.finish(&Map::new(), false).unwrap();
    serde_json::from_slice(&fs::read(path.join("a/zarr.json")).unwrap()).unwrap()
}

fn array(folder: &Path) -> Result<Array, ZarrError> {
    match open(&Location::new(folder.join("s.zarr/a").display().to_string()))? {
        Node::Array(array) => Ok(array),
        Node::Group(_) => panic!("a group"),
    }
}

fn read(folder: &Path) -> Result<Vec<u8>, ZarrError> {
    let array = array(folder)?;
    let region: Vec<_> = array.metadata().shape.iter().map(|n| 0..*n).collect();
    array.read(&region)
}

fn shard(folder: &Path) -> std::path::PathBuf {
    folder.join("s.zarr/a/c/0/0")
}

#[test]
fn what_is_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path());
    let want: Vec<u8> = (0..64i16).flat_map(i16::to_le_bytes).collect();
    assert_eq!(read(folder.path()).unwrap(), want);
    // A missing object is fill.
    fs::remove_file(shard(folder.path())).unwrap();
    assert_eq!(read(folder.path()).unwrap(), (-1i16).to_le_bytes().repeat(64));
}

#[test]
fn every_damaged_byte_and_every_cut_is_found_or_harmless() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path());
    let path = shard(folder.path());
    let good = fs::read(&path).unwrap();
    let want = read(folder.path()).unwrap();
    let mut found = 0;
    for i in 0..good.len() {
        let mut bad = good.clone();
        bad[i] ^= 0x55;
        fs::write(&path, &bad).unwrap();
        match read(folder.path()) {
            Ok(got) => assert_eq!(got.len(), want.len()),
            Err(e) => {
                found += 1;
                assert!(e.to_string().contains("s.zarr/a/c/0/0"), "{e}");
            }
        }
        // The index has a checksum: no damage there goes unnoticed.
        if i >= good.len() - 68 {
            assert!(read(folder.path()).is_err(), "byte {i} of {}", good.len());
        }
    }
    assert!(found >= 68, "{found} of {}", good.len());
    for cut in 0..good.len() {
        fs::write(&path, &good[..cut]).unwrap();
        let e = read(folder.path()).unwrap_err();
        assert!(matches!(e, ZarrError::Corrupt { .. }), "{cut}: {e}");
    }
}

#[test]
fn an_index_that_lies_is_found_out_with_a_right_checksum() {
    let folder = tempfile::tempdir().unwrap();
    let mut meta = store(folder.path());
    // Without the checksum, so that the index can be made to say anything.
    meta["codecs"][0]["configuration"]["index_codecs"] = json!(["bytes"]);
    let text = serde_json::to_vec(&meta).unwrap();
    fs::write(folder.path().join("s.zarr/a/zarr.json"), text).unwrap();
    let path = shard(folder.path());
    let mut good = fs::read(&path).unwrap();
    good.truncate(good.len() - 4);
    let index = good.len() - 64;
    for (offset, length) in [(0, u64::MAX - 1), (u64::MAX - 4, 8), (10, 1 << 40), (good.len() as u64, 1)] {
        let mut bad = good.clone();
        bad[index..index + 8].copy_from_slice(&offset.to_le_bytes());
        bad[index + 8..index + 16].copy_from_slice(&length.to_le_bytes());
        fs::write(&path, bad).unwrap();
        let e = read(folder.path()).unwrap_err().to_string();
        assert!(e.contains("the index puts chunk 0 at byte"), "{e}");
    }
}

#[test]
fn metadata_that_lie_are_refused_before_memory_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let good = store(folder.path());
    let change = |pointer: &str, value: Value| {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        fs::write(folder.path().join("s.zarr/a/zarr.json"), serde_json::to_vec(&bad).unwrap()).unwrap();
        read(folder.path()).map(|_| ()).unwrap_err().to_string()
    };
    let inner = "/codecs/0/configuration";
    for (pointer, value, says) in [
        ("/shape", json!([1u64 << 40, 1u64 << 40]), "larger than 1 GiB"),
        ("/shape", json!([1u64 << 30, 1u64 << 20]), "do not fit in memory"),
        ("/shape", json!([-1, 8]), "shape [-1,8]"),
        ("/shape", json!([8]), "chunk shape [8,8] of [8]"),
        ("/shape", json!("8"), "shape"),
        ("/data_type", json!("int9"), "data type \"int9\""),
        ("/data_type", json!(null), "data type null"),
        ("/fill_value", json!(70000), "fill value 70000"),
        ("/fill_value", json!([]), "fill value []"),
        ("/codecs", json!([]), "none that makes bytes"),
        ("/codecs", json!({}), "codecs is no list"),
        ("/codecs", json!(["lerc"]), "codec `lerc`"),
        ("/codecs", json!([{ "configuration": {} }]), "has no name"),
        ("/chunk_grid", json!({ "name": "rectilinear" }), "chunk grid"),
        ("/chunk_grid/configuration/chunk_shape", json!([0, 8]), "chunk shape [0,8]"),
        ("/chunk_grid/configuration/chunk_shape", json!([8, 6]), "do not divide"),
        (
            "/chunk_key_encoding",
            json!({ "name": "default", "configuration": { "separator": "../" } }),
            "separated by `../`",
        ),
    ] {
        let said = change(pointer, value.clone());
        assert!(said.contains(says) && said.contains("s.zarr/a"), "{pointer} {value}: {said}");
    }
    for (key, value, says) in [
        ("/chunk_shape", json!([4, 0]), "chunk shape [4,0] in a shard"),
        ("/chunk_shape", json!([3, 4]), "do not divide"),
        ("/index_location", json!("middle"), "index_location"),
        ("/index_codecs", json!(["gzip"]), "index codec `gzip`"),
        (
            "/codecs",
            json!([{ "name": "transpose", "configuration": { "order": [0, 0] } }, "bytes"]),
            "transpose order",
        ),
    ] {
        let said = change(&format!("{inner}{key}"), value.clone());
        assert!(said.contains(says), "{key} {value}: {said}");
    }
    // A chunk that is promised to be huge, of an object that is not.
    let mut bad = good.clone();
    bad["shape"] = json!([1 << 20, 1 << 20]);
    bad["chunk_grid"]["configuration"]["chunk_shape"] = json!([1 << 20, 1 << 20]);
    bad["codecs"] = json!(["bytes", "zstd"]);
    fs::write(folder.path().join("s.zarr/a/zarr.json"), serde_json::to_vec(&bad).unwrap()).unwrap();
    assert!(array(folder.path()).unwrap_err().to_string().contains("larger than 1 GiB"));
}

#[test]
fn no_metadata_and_no_json_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = open(&Location::new(folder.path().display().to_string())).unwrap_err();
    assert!(matches!(nothing, ZarrError::NotFound { .. }), "{nothing}");
    for (text, says) in
        [("{", "no JSON"), ("[]", "no array or group"), (r#"{"zarr_format":4}"#, "zarr_format Some(4)")]
    {
        fs::write(folder.path().join("zarr.json"), text).unwrap();
        let said = open(&Location::new(folder.path().display().to_string())).unwrap_err().to_string();
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn names_in_consolidated_metadata_do_not_lead_out_of_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let meta = store(folder.path());
    fs::create_dir(folder.path().join("t.zarr")).unwrap();
    let all = json!({ "../s.zarr/a": meta, "..": meta, "x/../../s.zarr/a": meta, "good": meta });
    let root =
        json!({ "zarr_format": 3, "node_type": "group", "consolidated_metadata": { "metadata": all } });
    fs::write(folder.path().join("t.zarr/zarr.json"), serde_json::to_vec(&root).unwrap()).unwrap();
    let Node::Group(group) =
        open(&Location::new(folder.path().join("t.zarr").display().to_string())).unwrap()
    else {
        panic!("a group")
    };
    assert_eq!(group.names().unwrap(), ["good"]);
    for name in ["..", "../s.zarr/a", ".", ""] {
        assert!(group.get(name).unwrap().is_none(), "{name}");
    }
}
