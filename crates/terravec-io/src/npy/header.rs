//! The header of an NPY file, versions 1 to 3 (NumPy Enhancement Proposal 1): a magic, a length, and a Python dict in text.

use super::error::NpyError;
use crate::DType;

/// The longest header that is read; NumPy itself warns above 10 000 bytes.
const MAX_HEADER: u64 = 1 << 20;
/// The most axes an array may have, as in NumPy.
const MAX_AXES: usize = 64;

/// How the numbers of an array follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The last axis runs fastest.
    C,
    /// The first axis runs fastest.
    Fortran,
}

/// What the header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The type of the numbers.
    pub dtype: DType,
    /// Whether the most significant byte comes first.
    pub big_endian: bool,
    /// Which axis runs fastest.
    pub order: Order,
    /// Length of each axis; none for a single number.
    pub shape: Vec<usize>,
}

/// Where the dict lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// Bytes that [`frame`] needs.
pub(super) const PREFIX: u64 = 12;

/// Reads magic, version and length.
pub(super) fn frame(file: &str, prefix: &[u8]) -> Result<Frame, NpyError> {
    let not = |reason: String| NpyError::NotNpy { file: file.to_owned(), reason };
    let Some(rest) = prefix.strip_prefix(b"\x93NUMPY") else {
        let zip = prefix.starts_with(b"PK");
        return Err(not(if zip {
            "it is a zip archive".into()
        } else {
            "it does not start with the magic \\x93NUMPY".into()
        }));
    };
    let cut =
        || NpyError::Corrupt { file: file.to_owned(), reason: "the file ends inside its header".into() };
    let (start, length) = match rest {
        [1, _, a, b, ..] => (10, u64::from(u16::from_le_bytes([*a, *b]))),
        [2 | 3, _, a, b, c, d, ..] => (12, u64::from(u32::from_le_bytes([*a, *b, *c, *d]))),
        [1..=3, ..] | [] => return Err(cut()),
        [version, ..] => return Err(not(format!("version {version} is unknown"))),
    };
    if length > MAX_HEADER {
        return Err(NpyError::Corrupt {
            file: file.to_owned(),
            reason: format!("a header of {length} bytes is none"),
        });
    }
    Ok(Frame { start, end: start + length })
}

impl Header {
    /// Reads the dict of a header.
    ///
    /// # Errors
    /// If it is none, or the array does not hold numbers.
    pub fn parse(file: &str, dict: &[u8]) -> Result<Self, NpyError> {
        let corrupt = |reason: &str| NpyError::Corrupt {
            file: file.to_owned(),
            reason: format!("the header {reason}"),
        };
        let text = std::str::from_utf8(dict).map_err(|_| corrupt("is no text"))?;
        let mut scan = Scanner { rest: text.trim() };
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        scan.expect('{').ok_or_else(|| corrupt("does not start with `{`"))?;
        while !scan.take('}') {
            let key = scan.string().ok_or_else(|| corrupt("has a key that is no string"))?;
            scan.expect(':').ok_or_else(|| corrupt("lacks a `:`"))?;
            match key {
                "descr" => {
                    // A list describes the fields of a record.
                    let Some(text) = scan.string() else {
                        let descr = scan.rest.chars().take(40).collect();
                        return Err(unsupported(file, descr, "a record is no number"));
                    };
                    descr = Some(text);
                }
                "fortran_order" => {
                    fortran = Some(
                        scan.boolean().ok_or_else(|| corrupt("has no True or False for fortran_order"))?,
                    );
                }
                "shape" => {
                    let lengths = scan.tuple();
                    shape = Some(lengths.ok_or_else(|| corrupt("has a shape that is no tuple of lengths"))?);
                }
                other => {
                    return Err(corrupt(&format!(
                        "has an unknown key `{}`",
                        other.chars().take(40).collect::<String>()
                    )));
                }
            }
            if !scan.take(',') && !scan.rest.starts_with('}') {
                return Err(corrupt("lacks a `,`"));
            }
        }
        if !scan.rest.is_empty() {
            return Err(corrupt("goes on after its end"));
        }
        let (Some(descr), Some(fortran), Some(shape)) = (descr, fortran, shape) else {
            return Err(corrupt("lacks one of descr, fortran_order and shape"));
        };
        let (dtype, big_endian) = number(file, descr)?;
        let order = if fortran { Order::Fortran } else { Order::C };
        Ok(Self { dtype, big_endian, order, shape })
    }

    /// How many numbers; `None` where that is beyond what a machine can count.
    #[must_use]
    pub fn count(&self) -> Option<u64> {
        self.shape.iter().try_fold(1u64, |n, &len| n.checked_mul(len as u64))
    }
}

fn unsupported(file: &str, descr: String, reason: &'static str) -> NpyError {
    NpyError::Unsupported { file: file.to_owned(), descr, reason }
}

fn number(file: &str, descr: &str) -> Result<(DType, bool), NpyError> {
    let bad = |reason| Err(unsupported(file, descr.to_owned(), reason));
    let (big_endian, kind) = match descr.as_bytes() {
        [b'<' | b'|' | b'=', kind @ ..] => (false, kind),
        [b'>', kind @ ..] => (true, kind),
        kind => (false, kind),
    };
    let dtype = match kind {
        b"u1" => DType::U8,
        b"i1" => DType::I8,
        b"u2" => DType::U16,
        b"i2" => DType::I16,
        b"u4" => DType::U32,
        b"i4" => DType::I32,
        b"f2" => DType::F16,
        b"f4" => DType::F32,
        b"f8" => DType::F64,
        [b'O', ..] => return bad("Python objects could run any code"),
        [b'i' | b'u', ..] => return bad("no product stores integers of 64 bits"),
        _ => return bad("they are no real numbers"),
    };
    Ok((dtype, big_endian))
}

/// Takes the few things a header is made of off the front of a text.
struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn take(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, c: char) -> Option<()> {
        self.take(c).then_some(())
    }

    fn string(&mut self) -> Option<&'a str> {
        let quote = self.rest.chars().next().filter(|c| ['\'', '"'].contains(c))?;
        let (text, rest) = self.rest[1..].split_once(quote)?;
        self.rest = rest.trim_start();
        Some(text)
    }

    fn boolean(&mut self) -> Option<bool> {
        for (word, value) in [("True", true), ("False", false)] {
            if let Some(rest) = self.rest.strip_prefix(word) {
                self.rest = rest.trim_start();
                return Some(value);
            }
        }
        None
    }

    /// `(3, 4)`, `(3,)`, `()`; Python 2 wrote long numbers as `3L`.
    fn tuple(&mut self) -> Option<Vec<usize>> {
        self.expect('(')?;
        let mut out = Vec::new();
        while !self.take(')') {
            let digits = self.rest.find(|c: char| !c.is_ascii_digit())?;
            out.push(self.rest[..digits].parse().ok()?);
            self.rest = self.rest[digits..].trim_start();
            self.take('L');
            if out.len() > MAX_AXES || (!self.take(',') && !self.rest.starts_with(')')) {
                return None;
            }
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(dict: &str) -> Result<Header, NpyError> {
        Header::parse("x.npy", dict.as_bytes())
    }

    #[test]
    fn what_numpy_writes_is_read() {
        let h = parse("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }   \n").unwrap();
        assert_eq!(h, Header { dtype: DType::F32, big_endian: false, order: Order::C, shape: vec![3, 4] });
        let h = parse("{'shape': (3L,), 'fortran_order': True, 'descr': '>i2'}").unwrap();
        assert_eq!(h, Header { dtype: DType::I16, big_endian: true, order: Order::Fortran, shape: vec![3] });
        assert_eq!(
            parse("{'descr': '|u1', 'fortran_order': False, 'shape': (), }").unwrap().count(),
            Some(1)
        );
    }

    #[test]
    fn what_is_no_array_of_numbers_is_refused() {
        for (dict, said) in [
            ("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", "objects"),
            ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", "record"),
            ("{'descr': '<c8', 'fortran_order': False, 'shape': (2,), }", "real"),
            ("{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }", "64 bits"),
            ("{'descr': '<f4', 'shape': (2,), }", "lacks one of"),
            ("{'descr': '<f4', 'fortran_order': 0, 'shape': (2,), }", "True or False"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", "tuple"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,), }", "tuple"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } + __import__('os')", "goes on"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)", "lacks a `,`"),
            ("", "start with"),
        ] {
            let error = parse(dict).unwrap_err().to_string();
            assert!(error.contains(said), "{dict}: {error}");
        }
        let count = parse("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999, 9999999999, 9), }")
            .unwrap();
        assert_eq!(count.count(), None);
    }
}
