//! Decoded values on a block of pixels: `Vectors`, and why a pixel has none: `Status`.
//!
//! The invariant everything rests on: a pixel is either valid with a finite number in every band, or NaN in every band.
//! Only codecs make `Vectors` from codes, so nobody can average codes by mistake.

/// Why a place has a vector, or has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Status {
    /// A vector is there.
    Valid = 0,
    /// Water, where the product says so.
    Water = 1,
    /// Inside a tile, but the product has no vector here.
    Nodata = 2,
    /// No tile of the dataset covers the place (in the years asked for).
    Outside = 3,
}

impl Status {
    /// `valid`, `water`, `nodata` or `outside`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Water => "water",
            Self::Nodata => "nodata",
            Self::Outside => "outside",
        }
    }
}

/// The places in `status` that have a vector.
pub(crate) fn valid(status: &[Status]) -> impl Iterator<Item = usize> + '_ {
    status.iter().enumerate().filter(|(_, s)| **s == Status::Valid).map(|(i, _)| i)
}

/// Decoded vectors of a block, (band, y, x), C order, float32; NaN in every band where `status` is not valid.
#[derive(Debug, Clone, PartialEq)]
pub struct Vectors {
    /// Values, `bands * height * width`.
    pub data: Vec<f32>,
    /// One status per pixel, `height * width`, row by row.
    pub status: Vec<Status>,
    /// Length of a vector.
    pub bands: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Vectors {
    /// No vector anywhere, for the reason `status`.
    #[must_use]
    pub fn empty(bands: usize, height: usize, width: usize, status: Status) -> Self {
        Self {
            data: vec![f32::NAN; bands * height * width],
            status: vec![status; height * width],
            bands,
            height,
            width,
        }
    }

    /// Pixels.
    #[must_use]
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// One band, row by row.
    #[must_use]
    pub fn band(&self, band: usize) -> &[f32] {
        &self.data[band * self.pixels()..(band + 1) * self.pixels()]
    }

    /// The vector of pixel `index` (row-major).
    pub fn vector(&self, index: usize) -> impl Iterator<Item = f32> + '_ {
        let step = self.pixels();
        (0..self.bands).map(move |b| self.data[b * step + index])
    }

    /// Keeps only `bands`, in that order.
    #[must_use]
    pub fn select(&self, bands: &[usize]) -> Self {
        let mut data = Vec::with_capacity(bands.len() * self.pixels());
        for &b in bands {
            data.extend_from_slice(self.band(b));
        }
        Self { data, status: self.status.clone(), bands: bands.len(), ..*self }
    }

    /// Sets pixel `index` to "no vector, because `status`".
    pub fn clear(&mut self, index: usize, status: Status) {
        let step = self.pixels();
        self.status[index] = status;
        for b in 0..self.bands {
            self.data[b * step + index] = f32::NAN;
        }
    }

    /// Scales every valid vector to length 1. A vector of length 0 has no direction and becomes nodata.
    pub fn normalise(&mut self) {
        let n = self.pixels();
        let mut squares = vec![0f64; n];
        for band in self.data.chunks_exact(n.max(1)) {
            for (s, &v) in squares.iter_mut().zip(band) {
                *s += f64::from(v) * f64::from(v);
            }
        }
        #[allow(clippy::cast_possible_truncation)]
        let scales: Vec<f32> = squares.iter().map(|&s| (1.0 / s.sqrt()) as f32).collect();
        for band in self.data.chunks_exact_mut(n.max(1)) {
            for (v, &s) in band.iter_mut().zip(&scales) {
                *v *= s;
            }
        }
        for (i, square) in squares.into_iter().enumerate() {
            if self.status[i] == Status::Valid && square == 0.0 {
                self.clear(i, Status::Nodata);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalise_leaves_no_number_at_zero_vectors() {
        let mut v = Vectors {
            data: vec![3.0, 0.0, f32::NAN, 4.0, 0.0, f32::NAN],
            status: vec![Status::Valid, Status::Valid, Status::Nodata],
            bands: 2,
            height: 1,
            width: 3,
        };
        v.normalise();
        assert_eq!(v.vector(0).collect::<Vec<_>>(), [0.6, 0.8]);
        assert_eq!(v.status, [Status::Valid, Status::Nodata, Status::Nodata]);
        assert!(v.vector(1).chain(v.vector(2)).all(f32::is_nan));
    }
}
