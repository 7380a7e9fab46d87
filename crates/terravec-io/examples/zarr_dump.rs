//! Prints what is read of Zarr arrays, one line of JSON each: for tests against other readers.
//!
//! `zarr_dump PATH …`; the answer has shape, type, fill value, names of axes, the first bytes of a hash of all elements (C order,
//! little-endian), or the error.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use terravec_io::source::Location;
use terravec_io::zarr::{Array, Element, Node, ZarrError, open};

fn main() {
    for path in std::env::args().skip(1) {
        let answer = match describe(&path) {
            Ok(value) => value,
            Err(e) => json!({ "path": path, "error": e.to_string() }),
        };
        println!("{answer}");
    }
}

fn describe(path: &str) -> Result<Value, ZarrError> {
    Ok(match open(&Location::new(path))? {
        Node::Group(group) => {
            json!({ "path": path, "group": group.names(), "attributes": group.attributes() })
        }
        Node::Array(array) => of_array(path, &array)?,
    })
}

fn of_array(path: &str, array: &Array) -> Result<Value, ZarrError> {
    let meta = array.metadata();
    let mut out = json!({
        "path": path,
        "format": meta.format,
        "shape": meta.shape,
        "dtype": meta.element.to_string(),
        "chunk": array.chunk_shape(),
        "dimensions": meta.dimension_names,
        "fill": meta.fill_value,
    });
    if meta.element == Element::Text {
        out["texts"] = json!(array.texts()?);
        return Ok(out);
    }
    let region: Vec<_> = meta.shape.iter().map(|n| 0..*n).collect();
    let bytes = array.read(&region)?;
    let hash = Sha256::digest(&bytes);
    out["sha256"] = hash.iter().map(|b| format!("{b:02x}")).collect::<String>().into();
    if bytes.len() <= 1024 {
        out["bytes"] = bytes.iter().map(|b| format!("{b:02x}")).collect::<String>().into();
    }
    Ok(out)
}
