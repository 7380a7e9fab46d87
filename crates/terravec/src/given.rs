//! Vectors that somebody brings along: numbers as text, a NumPy array, or JSON.

use std::path::Path;
use std::sync::Arc;

use terravec_io::npy::Npy;
use terravec_io::source::LocalSource;
use terravec_io::with_samples;

use crate::error::{Error, Result};

/// More numbers than this are no example.
const MOST: u64 = 1 << 26;

/// One or more vectors from `text`: a file `.npy` (one or two axes), or `.json` or `.txt` with a list of numbers or of lists, or the
/// list itself.
///
/// # Errors
/// If it is none of these, or holds no number.
pub fn read_vectors(text: &str) -> Result<Vec<Vec<f32>>> {
    let path = Path::new(text);
    let vectors = match path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
        Some("npy") => read_npy(path)?,
        Some("json" | "txt") if path.is_file() => {
            let held = std::fs::read_to_string(path);
            parse(&held.map_err(|e| wrong(format!("{text}: {e}")))?, text)?
        }
        _ => parse(text, "the vector")?,
    };
    let dim = vectors.first().map_or(0, Vec::len);
    if dim == 0 || vectors.iter().any(|v| v.len() != dim) {
        return Err(wrong(format!("{text}: no list of vectors of one length")));
    }
    Ok(vectors)
}

fn wrong(what: String) -> Error {
    Error::query(what, "give a .npy or .json file, or numbers between commas")
}

fn read_npy(path: &Path) -> Result<Vec<Vec<f32>>> {
    let npy = Npy::open(Arc::new(LocalSource::open(path)?))?;
    let (header, name) = (npy.header(), path.display());
    if header.count().is_none_or(|n| n == 0 || n > MOST) {
        return Err(wrong(format!("{name}: an array of shape {:?} is no example", header.shape)));
    }
    let dim = match header.shape[..] {
        [dim] | [_, dim] => dim,
        _ => return Err(wrong(format!("{name}: an array of shape {:?}; one or two axes are", header.shape))),
    };
    let whole = header.shape.iter().map(|n| 0..*n).collect();
    let numbers: Vec<f32> = with_samples!(npy.read(&[whole])?, v => v.into_iter().map(Number::of).collect());
    Ok(numbers.chunks_exact(dim).map(<[f32]>::to_vec).collect())
}

/// A stored number as float32.
trait Number {
    fn of(self) -> f32;
}

macro_rules! numbers {
    ($($t:ty),*) => {
        $(impl Number for $t {
            #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_lossless)]
            fn of(self) -> f32 {
                self as f32
            }
        })*
    };
}
numbers!(u8, i8, u16, i16, u32, i32, f32, f64);

impl Number for half::f16 {
    fn of(self) -> f32 {
        f32::from(self)
    }
}

fn parse(text: &str, name: &str) -> Result<Vec<Vec<f32>>> {
    let bad = || wrong(format!("{name}: no list of numbers"));
    let text = text.trim();
    let text = if text.starts_with('[') { text.to_owned() } else { format!("[{text}]") };
    if let Ok(one) = serde_json::from_str::<Vec<f32>>(&text) {
        return Ok(vec![one]);
    }
    serde_json::from_str(&text).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_come_as_text_json_or_an_array() {
        assert_eq!(read_vectors("1, -2.5").unwrap(), [[1.0, -2.5]]);
        assert_eq!(read_vectors("[[1,2],[3,4]]").unwrap(), [[1.0, 2.0], [3.0, 4.0]]);
        for bad in ["", "a,b", "[[1,2],[3]]", "missing.npy", "nowhere.json"] {
            assert!(read_vectors(bad).is_err(), "{bad}");
        }
    }
}
