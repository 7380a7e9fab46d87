//! The frame around every metadata file: a header of 39 bytes, then a flatbuffer, usually compressed.

use std::io::Read;

use super::error::IcechunkError;
use crate::source::Location;

const MAGIC: &[u8] = "ICE🧊CHUNK".as_bytes();
const HEADER: usize = 39;
/// The largest metadata file, compressed or not.
const MAX_BYTES: u64 = 512 << 20;

/// What a file holds, as its header numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Snapshot = 1,
    Manifest = 2,
    Repo = 6,
}

/// A random number that names an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Id<const N: usize>(pub(super) [u8; N]);

impl<const N: usize> Id<N> {
    /// As objects are called: Crockford's base 32, without padding.
    pub(super) fn name(&self) -> String {
        const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let bit = |i: usize| self.0.get(i / 8).map_or(0, |byte| byte >> (7 - i % 8) & 1);
        (0..N * 8)
            .step_by(5)
            .map(|i| DIGITS[(i..i + 5).fold(0, |n, i| n << 1 | usize::from(bit(i)))] as char)
            .collect()
    }
}

/// Reads the flatbuffer of a file of this kind.
pub(super) fn read(location: &Location, kind: Kind) -> Result<Vec<u8>, IcechunkError> {
    let file = location.to_string();
    let source = location.open()?;
    let size = source.len()?;
    if size > MAX_BYTES {
        return Err(IcechunkError::Unsupported { file, what: format!("a metadata file of {size} bytes") });
    }
    let bytes = source.read(0..size)?;
    unwrap(&file, &bytes, kind)
}

fn unwrap(file: &str, bytes: &[u8], kind: Kind) -> Result<Vec<u8>, IcechunkError> {
    let corrupt = |reason: String| IcechunkError::Corrupt { file: file.to_owned(), reason };
    let unsupported = |what: String| IcechunkError::Unsupported { file: file.to_owned(), what };
    if bytes.len() < HEADER || !bytes.starts_with(MAGIC) {
        return Err(corrupt("no file of an Icechunk repository: it lacks the magic bytes".into()));
    }
    let (version, found, compression) = (bytes[36], bytes[37], bytes[38]);
    if !(1..=2).contains(&version) {
        return Err(unsupported(format!("version {version} of the Icechunk format")));
    }
    if found != kind as u8 {
        return Err(corrupt(format!("a file of kind {found}, where a {kind:?} was expected")));
    }
    let body = &bytes[HEADER..];
    match compression {
        0 => Ok(body.to_vec()),
        1 => {
            let mut out = Vec::new();
            let decoder = zstd::Decoder::with_buffer(body).map_err(|e| corrupt(e.to_string()))?;
            decoder
                .take(MAX_BYTES + 1)
                .read_to_end(&mut out)
                .map_err(|e| corrupt(format!("its content can't be decompressed: {e}")))?;
            if out.len() as u64 > MAX_BYTES {
                return Err(unsupported(format!("a metadata file of more than {MAX_BYTES} bytes")));
            }
            Ok(out)
        }
        other => Err(unsupported(format!("compression {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_named_as_the_reference_names_them() {
        // The initial snapshot of every repository.
        let first = [0x0b, 0x1c, 0xc8, 0xd6, 0x78, 0x75, 0x80, 0xf0, 0xe3, 0x3a, 0x65, 0x34];
        assert_eq!(Id(first).name(), "1CECHNKREP0F1RSTCMT0");
        assert_eq!(Id([255u8; 8]).name(), "ZZZZZZZZZZZZY");
    }

    #[test]
    fn frames_that_are_none_are_refused() {
        let mut file = MAGIC.to_vec();
        file.extend([b' '; 24]);
        file.extend([1, 1, 0, 42]);
        assert_eq!(unwrap("x", &file, Kind::Snapshot).unwrap(), [42]);
        for (at, value, said) in [
            (0, 0, "magic"),
            (36, 3, "version 3"),
            (37, 2, "kind 2"),
            (38, 7, "compression 7"),
            (38, 1, "decompressed"),
        ] {
            let mut bad = file.clone();
            bad[at] = value;
            let error = unwrap("x", &bad, Kind::Snapshot).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        assert!(unwrap("x", &file[..38], Kind::Snapshot).is_err());
    }
}
