//! Coordinates: short arrays of one axis, read whole.

use super::array::Array;
use super::element::Element;
use super::error::ZarrError;
use crate::{Samples, with_samples};

/// Coordinates longer than this are not read: an axis of pixels has its place in an affine transform.
const MAX_VALUES: u64 = 1 << 24;

impl Array {
    /// The numbers of an array of one axis (or none) as float64; times as counts of their unit.
    ///
    /// # Errors
    /// If it has more axes, or holds text, or can't be read.
    pub fn numbers(&self) -> Result<Vec<f64>, ZarrError> {
        let element = self.metadata().element.clone();
        let line = self.line()?;
        if let Element::Number(_) = element {
            return Ok(match self.read_samples(&line)? {
                Samples::F64(v) => v,
                #[allow(clippy::useless_conversion)] // of float64, which is not met here
                other => with_samples!(&other, v => v.iter().map(|x| f64::from(*x)).collect()),
            });
        }
        if element.size() != Some(8) && element != Element::Bool {
            return Err(self.request(format!("elements of type {element} are no numbers")));
        }
        let bytes = self.read(&line)?;
        let words = || bytes.as_chunks::<8>().0.iter();
        Ok(match element {
            Element::Bool => bytes.iter().map(|b| f64::from(*b)).collect(),
            Element::I64 | Element::Time { .. } => words().map(|w| i64::from_le_bytes(*w) as f64).collect(),
            Element::U64 => words().map(|w| u64::from_le_bytes(*w) as f64).collect(),
            other => return Err(self.request(format!("elements of type {other} are no numbers"))),
        })
    }

    /// The texts of an array of one axis.
    ///
    /// # Errors
    /// If it has more axes, or holds no text, or can't be read.
    pub fn texts(&self) -> Result<Vec<String>, ZarrError> {
        let line = self.line()?;
        let metadata = self.metadata();
        match metadata.element {
            Element::Text => self.vlen_texts(),
            Element::Bytes(n) => {
                let text = |b: &[u8]| String::from_utf8_lossy(b).trim_end_matches('\0').to_owned();
                Ok(self.read(&line)?.chunks_exact(n).map(text).collect())
            }
            Element::Utf32(n) => {
                let text = |b: &[u8]| -> String {
                    let words = b.as_chunks::<4>().0.iter().map(|w| u32::from_le_bytes(*w));
                    words.take_while(|w| *w != 0).map(|w| char::from_u32(w).unwrap_or('\u{fffd}')).collect()
                };
                Ok(self.read(&line)?.chunks_exact(4 * n).map(text).collect())
            }
            _ => Err(self.request(format!("elements of type {} are no text", metadata.element))),
        }
    }

    /// All of an array of at most one axis.
    fn line(&self) -> Result<Vec<std::ops::Range<u64>>, ZarrError> {
        let shape = &self.metadata().shape;
        if shape.len() > 1 || shape.first().is_some_and(|n| *n > MAX_VALUES) {
            return Err(self.request(format!("an array of {shape:?} is no list of coordinates")));
        }
        Ok(shape.iter().map(|n| 0..*n).collect())
    }

    fn vlen_texts(&self) -> Result<Vec<String>, ZarrError> {
        let total = self.metadata().shape.first().copied().unwrap_or(1) as usize;
        let chunk = self.chunk_shape().first().copied().unwrap_or(1);
        let fill = String::from_utf8_lossy(&self.metadata().fill).into_owned();
        let mut out = vec![fill; total];
        let cells: Vec<Vec<u64>> = if self.metadata().shape.is_empty() {
            vec![Vec::new()]
        } else {
            (0..total.div_ceil(chunk) as u64).map(|i| vec![i]).collect()
        };
        let mut bad = false;
        self.stream(
            self.fetch_first(&cells)?,
            |_, bytes| split(&bytes),
            |chunks| {
                for (index, texts) in chunks {
                    let Some(texts) = texts else { return bad = true };
                    let to = out.iter_mut().skip(index * chunk);
                    to.zip(texts).for_each(|(to, text)| *to = text);
                }
            },
        )?;
        if bad {
            return Err(ZarrError::corrupt(self.place(), "a chunk of texts is cut"));
        }
        Ok(out)
    }
}

/// The texts in a chunk: how many, then each with its length.
fn split(bytes: &[u8]) -> Option<Vec<String>> {
    let (count, mut rest) = bytes.split_first_chunk::<4>()?;
    let mut texts = Vec::new();
    for _ in 0..u32::from_le_bytes(*count) {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (text, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        texts.push(String::from_utf8_lossy(text).into_owned());
        rest = after;
    }
    Some(texts)
}
