//! Repositories that the icechunk package wrote, in both versions of the format, and damaged ones.

use std::path::{Path, PathBuf};

use terravec_io::icechunk::{At, Icechunk, IcechunkError};
use terravec_io::source::Location;

fn testdata(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/suites/icechunk").join(version)
}

fn open(root: &Path, at: &At) -> Result<Icechunk, IcechunkError> {
    Icechunk::open(&Location::new(root.display().to_string()), at)
}

fn bytes(store: &Icechunk, key: &str) -> Option<Vec<u8>> {
    let source = store.get(key).unwrap()?;
    let len = source.len().unwrap();
    Some(source.read(0..len).unwrap().to_vec())
}

/// Chunk (t, y, x, 0) of `codes`, of 4 × 4 × 4 numbers; beyond the array there is fill, 0.
fn codes(t: usize, y: usize, x: usize, plus: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for row in 4 * y..4 * y + 4 {
        for col in 4 * x..4 * x + 4 {
            for band in 0..4 {
                let number = ((t * 6 + row) * 5 + col) * 4 + band;
                let inside = row < 6 && col < 5;
                out.push(if inside { u8::try_from(number % 127 + plus).unwrap() } else { 0 });
            }
        }
    }
    out
}

/// Chunk (t, y, 0) of `scales`, of 16 × 32 numbers.
fn scales(t: usize, y: usize, plus: f32) -> Vec<u8> {
    let number = |i: usize| ((t * 1024 + y * 512 + i) as f32 / 4096.0 + plus).to_le_bytes();
    (0..512).flat_map(number).collect()
}

#[test]
fn both_versions_hold_what_was_written() {
    for version in ["v1", "v2"] {
        let store = open(&testdata(version), &At::default()).unwrap();
        let paths: Vec<_> = store.nodes().map(|(path, _)| path.to_owned()).collect();
        assert_eq!(paths, ["", "31N", "31N/codes", "31N/scales"]);
        let json: serde_json::Value =
            serde_json::from_slice(&bytes(&store, "31N/codes/zarr.json").unwrap()).unwrap();
        assert_eq!(json["shape"], serde_json::json!([2, 6, 5, 4]));
        assert_eq!(json["dimension_names"][1], "northing");
        let root: serde_json::Value = serde_json::from_slice(&bytes(&store, "zarr.json").unwrap()).unwrap();
        assert_eq!(root["attributes"]["proj:code"], "EPSG:32631");
        for t in 0..2 {
            for y in 0..2 {
                for x in 0..2 {
                    assert_eq!(
                        bytes(&store, &format!("31N/codes/c/{t}/{y}/{x}/0")).unwrap(),
                        codes(t, y, x, 1),
                        "{version}"
                    );
                }
                assert_eq!(
                    bytes(&store, &format!("31N/scales/c/{t}/{y}/0")).unwrap(),
                    scales(t, y, 1.0),
                    "{version}"
                );
            }
        }
        for key in ["31N/codes/c/2/0/0/0", "31N/codes/c/0/0/0", "31N/none/zarr.json", "31N/c/0", "x"] {
            assert!(bytes(&store, key).is_none(), "{key}");
        }
    }
}

#[test]
fn every_state_is_the_one_asked_for() {
    for version in ["v1", "v2"] {
        let root = testdata(version);
        let first = open(&root, &At::Tag("first".into())).unwrap();
        let id = first.snapshot().to_owned();
        for at in [At::Tag("first".into()), At::Branch("other".into()), At::Snapshot(id)] {
            let store = open(&root, &at).unwrap();
            assert_eq!(bytes(&store, "31N/codes/c/0/1/0/0").unwrap(), codes(0, 1, 0, 0));
            assert_eq!(bytes(&store, "31N/scales/c/0/1/0").unwrap(), scales(0, 1, 0.0));
            // Step 1 came later: what is not there is fill.
            assert!(bytes(&store, "31N/codes/c/1/0/0/0").is_none());
        }
        for at in [At::Tag("gone".into()), At::Tag("../branch.main".into()), At::Branch("none".into())] {
            let error = open(&root, &at).unwrap_err();
            assert!(matches!(&error, IcechunkError::NoSuchState { .. }), "{error}");
            let help = error.help().unwrap();
            assert!(help.contains("branch main") && help.contains("tag first"), "{help}");
        }
        assert!(open(&root, &At::Snapshot("../refs".into())).is_err());
        assert!(open(&root, &At::Snapshot("00000000000000000000".into())).is_err());
    }
    assert!(matches!(open(&testdata(""), &At::default()), Err(IcechunkError::NotOne { .. })));
}

/// Any byte of any file may be anything: an answer, a refusal, but no panic and no hang.
#[test]
fn damaged_files_are_refused() {
    for version in ["v1", "v2"] {
        let copy = tempfile::tempdir().unwrap();
        let mut files = Vec::new();
        for folder in ["", "refs/branch.main", "snapshots", "manifests", "chunks"] {
            std::fs::create_dir_all(copy.path().join(folder)).unwrap();
            for entry in std::fs::read_dir(testdata(version).join(folder)).into_iter().flatten().flatten() {
                if entry.path().is_file() {
                    let name = copy.path().join(folder).join(entry.file_name());
                    std::fs::copy(entry.path(), &name).unwrap();
                    files.push(name);
                }
            }
        }
        for name in files {
            let whole = std::fs::read(&name).unwrap();
            // Metadata that is not compressed, so that damage reaches the tables in it.
            let plain = match whole.get(38) {
                Some(1) if whole.starts_with(b"ICE") => {
                    let mut plain = whole[..39].to_vec();
                    plain[38] = 0;
                    plain.extend(zstd::decode_all(&whole[39..]).unwrap());
                    plain
                }
                _ => whole.clone(),
            };
            let mut random = fastrand::Rng::with_seed(5);
            for round in 0..300 {
                let mut bad = plain.clone();
                if round % 3 == 0 {
                    bad.truncate(random.usize(..bad.len()));
                } else {
                    for _ in 0..random.usize(1..6) {
                        let at = random.usize(..bad.len());
                        bad[at] = random.u8(..);
                    }
                }
                std::fs::write(&name, &bad).unwrap();
                if let Ok(store) = open(copy.path(), &At::default()) {
                    for key in ["31N/codes/zarr.json", "31N/codes/c/0/0/0/0", "31N/scales/c/0/0/0"] {
                        if let Ok(Some(source)) = store.get(key)
                            && let Ok(len) = source.len()
                        {
                            let _ = source.read(0..len.min(1 << 20));
                        }
                    }
                }
            }
            std::fs::write(&name, &whole).unwrap();
        }
    }
}
