//! A block of an answer while it is being put together: decoded vectors, or the product's own codes.
//!
//! Copying, picking and masking work on both; everything that computes with numbers takes [`Vectors`] alone.

use terravec_io::{Codes, DType, Samples};

use crate::vectors::{Status, Vectors};

/// The scale of a pixel without codes. Water has NaN instead.
pub(crate) const NO_SCALE: f32 = f32::INFINITY;

/// A block of vectors or of codes.
#[derive(Debug, Clone, PartialEq)]
pub enum Pixels {
    /// Decoded values.
    Vectors(Vectors),
    /// Stored codes, with the status of each pixel.
    Codes(Codes, Vec<Status>),
}

/// What kind of [`Pixels`] an answer is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Decoded values.
    Vectors,
    /// Codes of this type, with this number where there is none.
    Codes(DType, f64),
}

/// What a read hands back: vectors, or the codes behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Decoded values.
    Vectors,
    /// Stored codes.
    Codes,
}

impl Kind {
    pub(crate) fn form(self) -> Form {
        match self {
            Self::Vectors => Form::Vectors,
            Self::Codes(..) => Form::Codes,
        }
    }
}

impl Pixels {
    /// A block without any vector.
    #[must_use]
    pub fn empty(kind: Kind, bands: usize, height: usize, width: usize, status: Status) -> Self {
        match kind {
            Kind::Vectors => Self::Vectors(Vectors::empty(bands, height, width, status)),
            Kind::Codes(dtype, fill) => {
                Self::Codes(Codes::filled(dtype, bands, height, width, fill), vec![status; height * width])
            }
        }
    }

    /// (bands, height, width).
    #[must_use]
    pub fn shape(&self) -> (usize, usize, usize) {
        match self {
            Self::Vectors(v) => (v.bands, v.height, v.width),
            Self::Codes(c, _) => (c.bands, c.height, c.width),
        }
    }

    /// The status of each pixel, row by row.
    #[must_use]
    pub fn status(&self) -> &[Status] {
        match self {
            Self::Vectors(v) => &v.status,
            Self::Codes(_, s) => s,
        }
    }

    /// Writes `src` into `self` with its upper left pixel at (`row`, `col`), wherever `self` has no vector and `src` knows
    /// better. `src` must lie inside `self` and be of the same kind.
    pub(crate) fn paste(&mut self, src: &Self, row: usize, col: usize) {
        let (bands, height, width) = self.shape();
        let (_, src_height, src_width) = src.shape();
        // Runs of pixels to copy, found once for all bands.
        let mut runs: Vec<(usize, usize, usize)> = Vec::new();
        {
            let (src_status, status) = match (&mut *self, src) {
                (Self::Vectors(d), Self::Vectors(s)) => (&s.status, &mut d.status),
                (Self::Codes(_, d), Self::Codes(_, s)) => (s, d),
                _ => unreachable!("blocks of one answer are of one kind"),
            };
            for y in 0..src_height {
                for x in 0..src_width {
                    let (i, o) = (y * src_width + x, (row + y) * width + col + x);
                    if src_status[i] < status[o] {
                        status[o] = src_status[i];
                        match runs.last_mut() {
                            Some((ri, ro, n)) if *ri + *n == i && *ro + *n == o => *n += 1,
                            _ => runs.push((i, o, 1)),
                        }
                    }
                }
            }
        }
        let (planes, src_planes) = (height * width, src_height * src_width);
        match (self, src) {
            (Self::Vectors(d), Self::Vectors(s)) => {
                copy_runs(&mut d.data, &s.data, bands, planes, src_planes, &runs);
            }
            (Self::Codes(d, _), Self::Codes(s, _)) => {
                same_type(&mut d.samples, &s.samples, CopyJob { bands, planes, src_planes, runs: &runs });
                if let Some(s) = &s.scales {
                    let d = d.scales.get_or_insert_with(|| vec![NO_SCALE; planes]);
                    copy_runs(d, s, 1, planes, src_planes, &runs);
                }
            }
            _ => unreachable!("checked above"),
        }
    }

    /// The block made of source pixels `index` (row-major indices into `self`), shape (bands, height, width); `None`
    /// leaves a pixel outside.
    #[must_use]
    pub(crate) fn gather(&self, index: &[Option<u32>], height: usize, width: usize) -> Self {
        debug_assert_eq!(index.len(), height * width);
        let pick = |status: &[Status]| {
            index.iter().map(|i| i.map_or(Status::Outside, |i| status[i as usize])).collect::<Vec<_>>()
        };
        match self {
            Self::Vectors(v) => {
                let data = gather(&v.data, v.bands, v.pixels(), index, f32::NAN);
                Self::Vectors(Vectors { data, status: pick(&v.status), bands: v.bands, height, width })
            }
            Self::Codes(c, s) => {
                let planes = c.height * c.width;
                macro_rules! arm {
                    ($($t:ident: $zero:expr),*) => {
                        match &c.samples { $(Samples::$t(v) => Samples::$t(gather(v, c.bands, planes, index, $zero)),)* }
                    };
                }
                let samples = arm!(U8: 0, I8: 0, U16: 0, I16: 0, U32: 0, I32: 0, F16: half::f16::NAN, F32: f32::NAN, F64: f64::NAN);
                let mut codes = Codes::new(samples, c.bands, height, width);
                codes.scales = c.scales.as_ref().map(|s| gather(s, 1, planes, index, NO_SCALE));
                Self::Codes(codes, pick(s))
            }
        }
    }

    /// Takes the vector of every pixel for which `keep` is false; what it is then is `outside`.
    pub(crate) fn mask(&mut self, keep: &[bool], fill: f64) {
        for (i, keep) in keep.iter().enumerate() {
            if !keep {
                match self {
                    Self::Vectors(v) => v.clear(i, Status::Outside),
                    Self::Codes(_, s) => s[i] = Status::Outside,
                }
            }
        }
        self.fill_invalid(fill);
    }

    /// Writes `fill` into every band of pixels that are not valid, so that codes carry one and the same nodata number, and scales
    /// say why.
    pub(crate) fn fill_invalid(&mut self, fill: f64) {
        if let Self::Codes(c, status) = self {
            let n = c.height * c.width;
            same_type_fill(&mut c.samples, n, status, fill);
            for (scale, status) in c.scales.iter_mut().flatten().zip(status) {
                match status {
                    Status::Valid => {}
                    Status::Water => *scale = f32::NAN,
                    Status::Nodata | Status::Outside => *scale = NO_SCALE,
                }
            }
        }
    }
}

fn copy_runs<T: Copy>(
    dst: &mut [T],
    src: &[T],
    bands: usize,
    planes: usize,
    src_planes: usize,
    runs: &[(usize, usize, usize)],
) {
    for b in 0..bands {
        let (d, s) = (&mut dst[b * planes..(b + 1) * planes], &src[b * src_planes..(b + 1) * src_planes]);
        for &(i, o, n) in runs {
            d[o..o + n].copy_from_slice(&s[i..i + n]);
        }
    }
}

#[derive(Clone, Copy)]
struct CopyJob<'a> {
    bands: usize,
    planes: usize,
    src_planes: usize,
    runs: &'a [(usize, usize, usize)],
}

fn same_type(dst: &mut Samples, src: &Samples, job: CopyJob<'_>) {
    macro_rules! arms {
        ($($t:ident),*) => {
            match (dst, src) {
                $((Samples::$t(d), Samples::$t(s)) => copy_runs(d, s, job.bands, job.planes, job.src_planes, job.runs),)*
                (d, s) => unreachable!("blocks of one answer have one type, not {} and {}", d.dtype(), s.dtype()),
            }
        };
    }
    arms!(U8, I8, U16, I16, U32, I32, F16, F32, F64);
}

fn same_type_fill(samples: &mut Samples, n: usize, status: &[Status], fill: f64) {
    let filled = Samples::filled(samples.dtype(), 1, fill);
    macro_rules! arms {
        ($($t:ident),*) => {
            match (samples, &filled) {
                $((Samples::$t(v), Samples::$t(f)) => {
                    for band in v.chunks_exact_mut(n.max(1)) {
                        for (q, s) in band.iter_mut().zip(status) {
                            if *s != Status::Valid {
                                *q = f[0];
                            }
                        }
                    }
                })*
                _ => unreachable!("filled has the type of samples"),
            }
        };
    }
    arms!(U8, I8, U16, I16, U32, I32, F16, F32, F64);
}

fn gather<T: Copy + Send + Sync>(
    src: &[T],
    bands: usize,
    planes: usize,
    index: &[Option<u32>],
    none: T,
) -> Vec<T> {
    let mut out = Vec::with_capacity(bands * index.len());
    for b in 0..bands {
        let band = &src[b * planes..(b + 1) * planes];
        out.extend(index.iter().map(|i| i.map_or(none, |i| band[i as usize])));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(width: usize, valid: &[bool], value: f32) -> Pixels {
        let status: Vec<_> = valid.iter().map(|v| if *v { Status::Valid } else { Status::Nodata }).collect();
        let data = status.iter().map(|s| if *s == Status::Valid { value } else { f32::NAN }).collect();
        Pixels::Vectors(Vectors { data, height: status.len() / width, status, bands: 1, width })
    }

    #[test]
    fn the_first_valid_vector_wins_and_nodata_never_covers_one() {
        let mut out = Pixels::empty(Kind::Vectors, 1, 1, 4, Status::Outside);
        out.paste(&block(3, &[true, false, true], 1.0), 0, 0);
        out.paste(&block(3, &[true, true, false], 2.0), 0, 1);
        let Pixels::Vectors(v) = out else { unreachable!() };
        assert_eq!(v.data[..3], [1.0, 2.0, 1.0]);
        assert_eq!(v.status, [Status::Valid, Status::Valid, Status::Valid, Status::Nodata]);
    }
}
