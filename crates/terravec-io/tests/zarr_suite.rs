//! Stores of two other projects, against what zarr-python reads from them.

use std::path::PathBuf;

use sha2::{Digest, Sha256};
use terravec_io::source::Location;
use terravec_io::zarr::{Array, Element, Node, ZarrError, open};

fn suite() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/suites/zarr")
}

fn array(path: &str) -> Result<Array, ZarrError> {
    match open(&Location::new(suite().join(path).display().to_string()))? {
        Node::Array(array) => Ok(array),
        Node::Group(group) => panic!("{} is a group", group.place()),
    }
}

/// What is refused, with what the refusal must name: codecs and types that no store of embeddings uses.
const REFUSED: [&str; 8] =
    ["bz2", "zfpy", "adler32", "fletcher32", "fixedscaleoffset", "optional", "variable_length_bytes", "|O"];

#[test]
fn all_stores_read_as_zarr_python_reads_them() {
    let census = std::fs::read_to_string(suite().join("census_zarr_python.csv")).unwrap();
    let mut rows = csv::Reader::from_reader(census.as_bytes());
    let (mut equal, mut texts, mut refused) = (0, 0, 0);
    for row in rows.records() {
        let row = row.unwrap();
        let (path, hash) = (&row[0], &row[4]);
        let read = || -> Result<Option<Vec<u8>>, ZarrError> {
            let array = array(path)?;
            let shape: Vec<u64> = serde_json::from_str(&row[2]).unwrap();
            assert_eq!(array.metadata().shape, shape, "{path}");
            if array.metadata().element == Element::Text {
                return Ok(None);
            }
            let region: Vec<_> = shape.iter().map(|n| 0..*n).collect();
            array.read(&region).map(Some)
        };
        match read() {
            Ok(Some(bytes)) => {
                let digest: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
                assert!(hash.is_empty() || digest.starts_with(hash), "{path}: {digest}, not {hash}");
                equal += 1;
            }
            Ok(None) => texts += 1,
            Err(e @ ZarrError::Unsupported { .. }) => {
                let said = e.to_string();
                assert!(REFUSED.iter().any(|what| said.contains(what)), "{path}: {said}");
                refused += 1;
            }
            Err(e) => panic!("{path}: {e}"),
        }
    }
    assert!((equal, texts, refused) >= (110, 8, 10), "{equal} {texts} {refused}");
}

#[test]
fn texts_are_read() {
    let texts = |path: &str| array(path).unwrap().texts().unwrap();
    let (v2, v3) = ("zarrita_fixtures/fixtures/v2/data.zarr", "zarrita_fixtures/fixtures/v3/data.zarr");
    assert_eq!(texts(&format!("{v3}/1d.contiguous.string.vlen")), ["hello", "world", "zarr", "v3"]);
    assert_eq!(texts(&format!("{v3}/1d.chunked.string.vlen")), ["a", "bb", "ccc", "dddd"]);
    assert_eq!(texts(&format!("{v3}/1d.string.unicode")), ["hello", "世界", "🚀🎉", "Ñoño"]);
    assert_eq!(texts(&format!("{v3}/1d.string.empty")), ["", "test", ""]);
    assert_eq!(texts(&format!("{v2}/1d.contiguous.U13.be")), ["a", "b", "cc", "d"]);
    assert_eq!(texts(&format!("{v2}/1d.contiguous.S7")), ["a", "b", "cc", "d"]);
    let utf32 = "zarrs_data/zarrs/tests/data/zarr_python_compat/fixed_length_utf32_v3_le.zarr";
    assert_eq!(texts(utf32), ["abc", "🎉", "hi", "te", ""]);
}

#[test]
fn points_are_those_of_the_region() {
    let path = "zarrita_fixtures/fixtures/v3/data.zarr/3d.chunked.compressed.sharded.i2";
    let array = array(path).unwrap();
    let whole = array.read_samples(&[0..4, 0..4, 0..4]).unwrap();
    let terravec_io::Samples::I16(whole) = whole else { panic!("int16") };
    let points = [(0, 0), (3, 1), (2, 2), (3, 1)];
    // Two axes given by points, in any order; the third in part.
    for (axes, at) in [([1, 2], 0), ([2, 0], 1), ([0, 1], 2)] {
        let mut region = vec![0..4; 3];
        region[at] = 1..4;
        let got = array.read_points(&region, axes, &points).unwrap();
        let mut want = Vec::new();
        for rest in 1..4 {
            for (a, b) in points {
                let mut index = [0; 3];
                (index[at], index[axes[0]], index[axes[1]]) = (rest, a as usize, b as usize);
                want.push(whole[(index[0] * 4 + index[1]) * 4 + index[2]]);
            }
        }
        assert_eq!(got, terravec_io::Samples::I16(want), "{axes:?}");
    }
}
