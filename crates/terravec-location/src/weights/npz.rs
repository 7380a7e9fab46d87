//! Arrays out of `.npz` files, for retrieval databases. Object arrays, which are pickles, are refused.
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::zip::Archive;
use crate::error::{LocationError, WeightsError};
use crate::real::{Real, Stored};

/// Twice the largest database published (`range_db_large.npz`, 0.9 GB).
const MAX_ARRAY: u64 = 2 << 30;

pub(crate) struct Npz {
    path: PathBuf,
    archive: Archive,
}

impl Npz {
    pub(crate) fn open(path: &Path) -> Result<Self, LocationError> {
        let path = path.to_path_buf();
        let archive = File::open(&path)
            .map_err(WeightsError::from)
            .and_then(|file| Archive::open(Box::new(BufReader::new(file))));
        match archive {
            Ok(archive) => Ok(Self { path, archive }),
            Err(source) => Err(LocationError::Weights { path, source }),
        }
    }

    /// The array `name` of two axes: its rows, its columns, and its finite numbers, row-major.
    pub(crate) fn matrix<T: Real>(&mut self, name: &str) -> Result<(usize, usize, Vec<T>), LocationError> {
        let result = self.read(name);
        result.map_err(|source| LocationError::Weights { path: self.path.clone(), source })
    }

    fn read<T: Real>(&mut self, name: &str) -> Result<(usize, usize, Vec<T>), WeightsError> {
        let entry = format!("{name}.npy");
        if !self.archive.entries.contains_key(&entry) {
            let known = self.archive.entries.keys().take(6).map(|n| format!("`{n}`"));
            let found = known.collect::<Vec<_>>().join(", ");
            return Err(WeightsError::MissingTensor { name: name.into(), found });
        }
        let bytes = self.archive.read(&entry, MAX_ARRAY)?;
        let (header, data) = split(&bytes).ok_or_else(|| malformed(name, "is not in NPY format"))?;
        if value(header, "fortran_order").is_none_or(|v| !v.starts_with("False")) {
            return Err(malformed(name, "is in Fortran order"));
        }
        let descr = value(header, "descr").unwrap_or_default();
        let descr: String = descr.chars().skip(1).take_while(|c| !"'\"".contains(*c)).collect();
        let stored = match descr.as_str() {
            "<f2" => Stored::F16,
            "<f4" => Stored::F32,
            "<f8" => Stored::F64,
            other => {
                let what = format!("holds `{other}`, not floating-point numbers");
                return Err(WeightsError::Values { name: name.into(), what });
            }
        };
        let shape =
            value(header, "shape").and_then(|v| v.strip_prefix('(')?.split(')').next()).unwrap_or_default();
        let shape: Vec<usize> = shape.split(',').filter_map(|n| n.trim().parse().ok()).collect();
        let &[rows, columns] = shape.as_slice() else {
            return Err(WeightsError::Shape { name: name.into(), found: shape, expected: "two axes".into() });
        };
        let bytes = rows.checked_mul(columns).and_then(|n| n.checked_mul(stored.size()));
        if bytes != Some(data.len()) {
            return Err(malformed(name, "has another size than its header says"));
        }
        let values: Vec<T> = data.chunks_exact(stored.size()).map(|b| T::of(stored.number(b))).collect();
        if let Some(at) = values.iter().position(|v| !v.wide().is_finite()) {
            let what = format!("holds a number that is not finite, in row {}", at / columns.max(1));
            return Err(WeightsError::Values { name: name.into(), what });
        }
        Ok((rows, columns, values))
    }
}

/// The header's text and the bytes of the array.
fn split(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let rest = bytes.strip_prefix(b"\x93NUMPY")?;
    let (length, rest) = match rest.first()? {
        1 => (usize::from(u16::from_le_bytes(rest.get(2..4)?.try_into().ok()?)), rest.get(4..)?),
        2 | 3 => (u32::from_le_bytes(rest.get(2..6)?.try_into().ok()?) as usize, rest.get(6..)?),
        _ => return None,
    };
    Some((std::str::from_utf8(rest.get(..length)?).ok()?, &rest[length..]))
}

/// The text after `'key':` in the header's dict.
fn value<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let after = header.split_once(&format!("'{key}':"))?.1;
    Some(after.trim_start())
}

fn malformed(name: &str, what: &str) -> WeightsError {
    WeightsError::Malformed(format!("array `{name}` {what}"))
}
