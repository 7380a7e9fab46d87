//! Windows of an array, by as few ranges as its order allows.

use std::ops::Range;
use std::sync::Arc;

use super::error::NpyError;
use super::header::{self, Header, Order};
use crate::source::Source;
use crate::{DType, Samples};

/// A part of an array: for each axis the half-open range of its indices.
pub type Span = Vec<Range<usize>>;

/// An open NumPy file.
#[derive(Debug, Clone)]
pub struct Npy {
    source: Arc<dyn Source>,
    header: Header,
    start: u64,
}

impl Npy {
    /// Opens a file: reads its header and checks it against the file's length.
    ///
    /// # Errors
    /// If it is no NPY file of numbers, or holds fewer than it promises.
    pub fn open(source: Arc<dyn Source>) -> Result<Self, NpyError> {
        let file = source.url().to_owned();
        let size = source.len()?;
        let prefix = source.read(0..size.min(header::PREFIX))?;
        let frame = header::frame(&file, &prefix)?;
        if frame.end > size {
            return Err(NpyError::Corrupt { file, reason: "the file ends inside its header".into() });
        }
        let header = Header::parse(&file, &source.read(frame.start..frame.end)?)?;
        let need =
            header.count().and_then(|n| n.checked_mul(header.dtype.size() as u64)?.checked_add(frame.end));
        if need.is_none_or(|need| need > size) {
            let reason = format!(
                "the header promises an array of {:?}, more than the {size} bytes of the file",
                header.shape
            );
            return Err(NpyError::Corrupt { file, reason });
        }
        Ok(Self { source, header, start: frame.end })
    }

    /// Type, order and shape.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What the file is called.
    #[must_use]
    pub fn name(&self) -> &str {
        self.source.url()
    }

    /// The numbers of each part, one part after the other, each in C order. All ranges are asked for at once.
    ///
    /// # Errors
    /// If a part does not lie inside the array, or the file can't be read.
    pub fn read(&self, spans: &[Span]) -> Result<Samples, NpyError> {
        let shape = &self.header.shape;
        for span in spans {
            let inside = span.len() == shape.len()
                && span.iter().zip(shape).all(|(r, &n)| r.start <= r.end && r.end <= n);
            if !inside {
                let reason = format!("{span:?} is no part of an array of {shape:?}");
                return Err(NpyError::Request { file: self.name().to_owned(), reason });
            }
        }
        let size = self.header.dtype.size() as u64;
        let mut ranges = Vec::new();
        for span in spans {
            for (at, len) in runs(span, shape, self.header.order) {
                let from = self.start + at as u64 * size;
                ranges.push(from..from + len as u64 * size);
            }
        }
        let bytes = self.source.read_ranges(&ranges)?.concat();
        let samples = numbers(bytes, self.header.dtype, self.header.big_endian);
        if self.header.order == Order::C || shape.len() < 2 {
            return Ok(samples);
        }
        let mut at = 0;
        let mut order = Vec::with_capacity(samples.len());
        for span in spans {
            let lengths: Vec<usize> = span.iter().map(ExactSizeIterator::len).collect();
            order.extend(c_order(&lengths).map(|i| i + at));
            at += lengths.iter().product::<usize>();
        }
        Ok(
            crate::with_samples!(&samples, v => Samples::from(order.iter().map(|&i| v[i]).collect::<Vec<_>>())),
        )
    }
}

/// The runs (first number, length) that hold `span`, in the array's own order.
fn runs(span: &Span, shape: &[usize], order: Order) -> Vec<(usize, usize)> {
    if span.iter().any(Range::is_empty) {
        return Vec::new();
    }
    // Axes from the fastest on.
    let axes: Vec<usize> = match order {
        Order::C => (0..shape.len()).rev().collect(),
        Order::Fortran => (0..shape.len()).collect(),
    };
    let (mut out, mut run, mut stride, mut whole) = (vec![0usize], 1, 1, true);
    for axis in axes {
        let (range, n) = (&span[axis], shape[axis]);
        if whole {
            // All faster axes are whole, so the run goes on.
            out[0] += range.start * stride;
            run = range.len() * stride;
            whole = range.len() == n;
        } else {
            let inner = std::mem::take(&mut out);
            out.extend(range.clone().flat_map(|i| inner.iter().map(move |at| at + i * stride)));
        }
        stride *= n;
    }
    out.into_iter().map(|at| (at, run)).collect()
}

/// For each place of an array of `lengths` in C order, its place in Fortran order.
fn c_order(lengths: &[usize]) -> impl Iterator<Item = usize> {
    let strides: Vec<usize> = lengths
        .iter()
        .scan(1, |stride, &n| {
            let own = *stride;
            *stride *= n;
            Some(own)
        })
        .collect();
    let lengths = lengths.to_vec();
    (0..lengths.iter().product::<usize>()).map(move |mut i| {
        let mut at = 0;
        for (&n, &stride) in lengths.iter().zip(&strides).rev() {
            at += i % n * stride;
            i /= n;
        }
        at
    })
}

/// Bytes of a file as numbers.
fn numbers(mut bytes: Vec<u8>, dtype: DType, big_endian: bool) -> Samples {
    if big_endian {
        bytes.chunks_exact_mut(dtype.size()).for_each(<[u8]>::reverse);
    }
    Samples::from_le_bytes(dtype, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MemorySource;

    fn file(order: &str, shape: &str, numbers: &[u8]) -> Npy {
        let mut dict =
            format!("{{'descr': '|u1', 'fortran_order': {order}, 'shape': {shape}, }}").into_bytes();
        dict.push(b'\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend_from_slice(&u16::try_from(dict.len()).unwrap().to_le_bytes());
        bytes.extend(dict);
        bytes.extend_from_slice(numbers);
        Npy::open(Arc::new(MemorySource::new("x.npy", bytes))).unwrap()
    }

    /// Every window of a small array, in both orders, against arithmetic on indices.
    #[test]
    fn every_window_of_both_orders_is_right() {
        let (a, b, c) = (2, 3, 4);
        let value = |i: usize, j: usize, k: usize| u8::try_from(100 * i + 10 * j + k).unwrap();
        let mut by_c = Vec::new();
        let mut by_f = Vec::new();
        for i in 0..a {
            for j in 0..b {
                by_c.extend((0..c).map(|k| value(i, j, k)));
            }
        }
        for k in 0..c {
            for j in 0..b {
                by_f.extend((0..a).map(|i| value(i, j, k)));
            }
        }
        for npy in [file("False", "(2, 3, 4)", &by_c), file("True", "(2, 3, 4)", &by_f)] {
            let spans = |n: usize| (0..=n).flat_map(move |s| (s..=n).map(move |e| s..e));
            for i in spans(a) {
                for j in spans(b) {
                    for k in spans(c) {
                        let mut want = Vec::new();
                        for i in i.clone() {
                            for j in j.clone() {
                                want.extend(k.clone().map(|k| value(i, j, k)));
                            }
                        }
                        let whole = vec![0..1, 0..1, 0..1];
                        want.push(0);
                        let got = npy.read(&[vec![i.clone(), j.clone(), k], whole]).unwrap();
                        assert_eq!(got, Samples::U8(want), "{:?}", npy.header().order);
                    }
                }
            }
        }
    }

    #[test]
    fn a_window_is_as_few_ranges_as_can_be() {
        assert_eq!(runs(&vec![0..2, 0..3, 0..4], &[2, 3, 4], Order::C), [(0, 24)]);
        assert_eq!(runs(&vec![0..2, 1..3, 0..4], &[2, 3, 4], Order::C), [(4, 8), (16, 8)]);
        assert_eq!(runs(&vec![1..2, 1..2, 1..3], &[2, 3, 4], Order::C), [(17, 2)]);
        assert_eq!(runs(&vec![0..2, 1..3, 0..1], &[2, 3, 4], Order::Fortran), [(2, 4)]);
    }

    #[test]
    fn a_part_outside_is_refused() {
        let npy = file("False", "(2, 3)", &[0; 6]);
        assert!(npy.read(&[vec![0..2, 0..4]]).is_err());
        assert!(npy.read(&[vec![0..2]]).is_err());
    }
}
