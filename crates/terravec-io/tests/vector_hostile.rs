//! Damaged files give errors: no panic, no endless loop, no memory beyond what the file could hold.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use terravec_io::vector::{read_points, read_regions};

/// Damages of each file.
const DAMAGES: u64 = 300;

fn suite() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/suites/geoparquet");
    ["geoparquet-testing/data/encodings", "geoparquet-testing/data/compression", "opengeospatial/test_data"]
        .iter()
        .flat_map(|d| fs::read_dir(root.join(d)).unwrap())
        .map(|e| e.unwrap().path())
        .collect()
}

fn damaged(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut numbers = fastrand::Rng::with_seed(seed);
    let mut out = bytes.to_vec();
    if numbers.usize(..5) == 0 {
        out.truncate(numbers.usize(..bytes.len()));
        return out;
    }
    for _ in 0..=numbers.usize(..4) {
        let i = numbers.usize(..out.len());
        out[i] = match numbers.usize(..4) {
            0 => 0,
            1 => 0xff,
            2 => out[i] ^ 1 << numbers.usize(..8),
            _ => numbers.u8(..),
        };
    }
    out
}

fn survives(path: &Path, what: &str) {
    let outcome = catch_unwind(|| {
        let _ = read_points(path);
        let _ = read_regions(path);
    });
    assert!(outcome.is_ok(), "{what} panics");
}

/// Text formats, as small files.
fn texts(folder: &Path) -> Vec<PathBuf> {
    let square = "[[[1,2],[3,2],[3,4],[1,2]]]";
    let files = [
        (
            "a.geojson",
            format!(
                r#"{{"type":"FeatureCollection","features":[{{"type":"Feature","id":7,"geometry":{{"type":"Polygon","coordinates":{square}}},"properties":{{"a":1.5,"b":[true,null]}}}}]}}"#
            ),
        ),
        (
            "b.ndjson",
            "{\"type\":\"Point\",\"coordinates\":[1,2,3]}\n{\"type\":\"Point\",\"coordinates\":[]}\n".into(),
        ),
        ("c.csv", "lon,lat,name\n1,2,\"a, b\"\n-179.5,,c\n".into()),
        ("d.tsv", "wkt\tn\nMULTIPOLYGON Z (((1 2 3, 3 2 3, 3 4 3, 1 2 3)))\t1\nPOLYGON EMPTY\t2\n".into()),
        ("e.csv", ".geo\n\"{\"\"type\"\":\"\"Point\"\",\"\"coordinates\"\":[1,2]}\"\n".into()),
    ];
    files
        .into_iter()
        .map(|(name, text): (&str, String)| {
            fs::write(folder.join(name), text).unwrap();
            folder.join(name)
        })
        .collect()
}

#[test]
fn damaged_files_give_errors() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("damaged")).unwrap();
    for file in suite().into_iter().chain(texts(folder.path())) {
        let bytes = fs::read(&file).unwrap();
        let copy = folder.path().join("damaged").join(file.file_name().unwrap());
        for seed in 0..DAMAGES {
            fs::write(&copy, damaged(&bytes, seed)).unwrap();
            survives(&copy, &format!("{} with damage {seed}", file.display()));
        }
    }
}
