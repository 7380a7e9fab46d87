//! Resampling of decoded vectors: bilinear and average, with weights that skip pixels without a vector.
//!
//! Weights are found once per target pixel and then applied band by band, so the inner loops run along memory.
//! The caller renormalises where a product's vectors have unit length.

use rayon::prelude::*;

use crate::vectors::{Status, Vectors};

/// How vectors are moved to another grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resampling {
    /// The vector of the pixel that contains the target pixel's centre.
    #[default]
    Nearest,
    /// Weighted mean of the four nearest vectors; valid where the pixel that contains the centre is.
    Bilinear,
    /// Area-weighted mean of the valid vectors under the target pixel.
    Average,
}

impl Resampling {
    /// `nearest`, `bilinear` or `average`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nearest => "nearest",
            Self::Bilinear => "bilinear",
            Self::Average => "average",
        }
    }
}

/// Sparse weights: target pixel `i` takes `entries[starts[i]..starts[i + 1]]`, pairs of source pixel and weight.
#[derive(Debug, Default)]
pub(crate) struct Weights {
    starts: Vec<u32>,
    entries: Vec<(u32, f32)>,
}

impl Weights {
    fn push(&mut self, entries: impl IntoIterator<Item = (u32, f32)>) {
        if self.starts.is_empty() {
            self.starts.push(0);
        }
        self.entries.extend(entries);
        #[allow(clippy::cast_possible_truncation)]
        self.starts.push(self.entries.len() as u32);
    }

    fn of(&self, target: usize) -> &[(u32, f32)] {
        &self.entries[self.starts[target] as usize..self.starts[target + 1] as usize]
    }

    /// Weighted means of `source` for every target pixel that has entries; the others are `outside`.
    /// Weights need not sum to one.
    pub(crate) fn means(&self, source: &Vectors, height: usize, width: usize) -> Vectors {
        let mut acc = Accumulator::new(source.bands, height, width);
        acc.add(self, source);
        acc.finish()
    }
}

/// Running weighted sums over several sources.
#[derive(Debug)]
pub(crate) struct Accumulator {
    sums: Vec<f32>,
    weights: Vec<f64>,
    best: Vec<Status>,
    bands: usize,
    height: usize,
    width: usize,
}

impl Accumulator {
    pub(crate) fn new(bands: usize, height: usize, width: usize) -> Self {
        let n = height * width;
        Self {
            sums: vec![0.0; bands * n],
            weights: vec![0.0; n],
            best: vec![Status::Outside; n],
            bands,
            height,
            width,
        }
    }

    /// Notes that target pixel `i` has a source pixel with this status, even where it has no vector.
    pub(crate) fn touch(&mut self, i: usize, status: Status) {
        self.best[i] = self.best[i].min(status);
    }

    pub(crate) fn add(&mut self, weights: &Weights, source: &Vectors) {
        let n = self.height * self.width;
        self.sums.par_chunks_mut(n.max(1)).enumerate().for_each(|(b, sums)| {
            let band = source.band(b);
            for (i, sum) in sums.iter_mut().enumerate() {
                let mut s = 0f64;
                for &(j, w) in weights.of(i) {
                    s += f64::from(w) * f64::from(band[j as usize]);
                }
                #[allow(clippy::cast_possible_truncation)]
                {
                    *sum += s as f32;
                }
            }
        });
        for (i, total) in self.weights.iter_mut().enumerate() {
            *total += weights.of(i).iter().map(|(_, w)| f64::from(*w)).sum::<f64>();
        }
    }

    pub(crate) fn finish(self) -> Vectors {
        let n = self.height * self.width;
        let mut data = self.sums;
        for band in data.chunks_exact_mut(n.max(1)) {
            for (v, &w) in band.iter_mut().zip(&self.weights) {
                #[allow(clippy::cast_possible_truncation)]
                {
                    *v = if w > 0.0 { (f64::from(*v) / w) as f32 } else { f32::NAN };
                }
            }
        }
        let status = self
            .weights
            .iter()
            .zip(self.best)
            .map(|(&w, best)| match best {
                _ if w > 0.0 => Status::Valid,
                Status::Valid => Status::Nodata,
                other => other,
            })
            .collect();
        Vectors { data, status, bands: self.bands, height: self.height, width: self.width }
    }
}

/// Bilinear weights. `at` gives each target pixel's centre in source pixel coordinates (corner convention: the centre of
/// source pixel 0 is 0.5), NaN where there is none.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(crate) fn bilinear(at: &[(f64, f64)], source: &Vectors) -> Weights {
    let (w, h) = (source.width as i64, source.height as i64);
    let mut weights = Weights::default();
    for &(col, row) in at {
        let inside = |c: i64, r: i64| {
            (c >= 0 && r >= 0 && c < w && r < h)
                .then(|| (r * w + c) as usize)
                .filter(|&i| source.status[i] == Status::Valid)
        };
        if !(col.is_finite() && row.is_finite()) || inside(col.floor() as i64, row.floor() as i64).is_none() {
            weights.push([]);
            continue;
        }
        let (c0, r0) = ((col - 0.5).floor(), (row - 0.5).floor());
        let (fc, fr) = (col - 0.5 - c0, row - 0.5 - r0);
        let corners = [
            (0, 0, (1.0 - fc) * (1.0 - fr)),
            (1, 0, fc * (1.0 - fr)),
            (0, 1, (1.0 - fc) * fr),
            (1, 1, fc * fr),
        ];
        weights.push(corners.into_iter().filter_map(|(dc, dr, weight)| {
            let i = inside(c0 as i64 + dc, r0 as i64 + dr)?;
            (weight > 0.0).then_some((i as u32, weight as f32))
        }));
    }
    weights
}

/// A target pixel in source pixel coordinates: its four corners, in order around it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Footprint {
    pub(crate) corners: [(f64, f64); 4],
}

impl Footprint {
    /// Smallest and largest column and row.
    pub(crate) fn bounds(&self) -> ((f64, f64), (f64, f64)) {
        let range = |f: fn(&(f64, f64)) -> f64| {
            self.corners
                .iter()
                .map(f)
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)))
        };
        (range(|p| p.0), range(|p| p.1))
    }
}

/// A convex polygon cut by lines along the axes (Sutherland and Hodgman 1974). Four corners cut four times have at most
/// eight.
#[derive(Debug, Clone, Copy)]
struct Convex {
    points: [(f64, f64); 8],
    n: usize,
}

impl Convex {
    /// Keeps the side of a line where `side` is not negative; `side` is linear.
    fn cut(&self, side: impl Fn((f64, f64)) -> f64) -> Self {
        let mut out = Self { points: [(0.0, 0.0); 8], n: 0 };
        let mut push = |p| {
            if out.n < 8 {
                out.points[out.n] = p;
                out.n += 1;
            }
        };
        for i in 0..self.n {
            let (a, b) = (self.points[i], self.points[(i + 1) % self.n]);
            let (sa, sb) = (side(a), side(b));
            if sa >= 0.0 {
                push(a);
            }
            if (sa > 0.0 && sb < 0.0) || (sa < 0.0 && sb > 0.0) {
                let t = sa / (sa - sb);
                push((a.0 + t * (b.0 - a.0), a.1 + t * (b.1 - a.1)));
            }
        }
        out
    }

    fn area(&self) -> f64 {
        let twice: f64 = (0..self.n)
            .map(|i| {
                let (a, b) = (self.points[i], self.points[(i + 1) % self.n]);
                a.0 * b.1 - b.0 * a.1
            })
            .sum();
        twice.abs() / 2.0
    }
}

/// Area weights of the source pixels (of the block `source`, whose upper left pixel is (`col0`, `row0`) in the
/// coordinates of the footprints) under each footprint. Notes statuses in `acc`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
pub(crate) fn area(
    footprints: &[Option<Footprint>],
    source: &Vectors,
    (col0, row0): (i64, i64),
    acc: &mut Accumulator,
) -> Weights {
    let mut weights = Weights::default();
    for (target, footprint) in footprints.iter().enumerate() {
        let Some(fp) = footprint else {
            weights.push([]);
            continue;
        };
        let (across, down) = fp.bounds();
        let cols =
            (across.0.floor() as i64).max(col0)..(across.1.ceil() as i64).min(col0 + source.width as i64);
        let rows = (down.0.floor() as i64).max(row0)..(down.1.ceil() as i64).min(row0 + source.height as i64);
        // Coordinates relative to the footprint keep their digits in the areas.
        let origin = (across.0.floor(), down.0.floor());
        let mut quad = Convex { points: [(0.0, 0.0); 8], n: 4 };
        for (p, c) in quad.points.iter_mut().zip(fp.corners) {
            *p = (c.0 - origin.0, c.1 - origin.1);
        }
        let mut entries = Vec::new();
        for r in rows {
            let y = r as f64 - origin.1;
            let strip = quad.cut(|p| p.1 - y).cut(|p| y + 1.0 - p.1);
            for c in cols.clone() {
                let x = c as f64 - origin.0;
                let weight = strip.cut(|p| p.0 - x).cut(|p| x + 1.0 - p.0).area();
                // Slivers from rounding are not the pixel's.
                if weight <= 1e-9 {
                    continue;
                }
                let i = (r - row0) as usize * source.width + (c - col0) as usize;
                acc.touch(target, source.status[i]);
                if source.status[i] == Status::Valid {
                    entries.push((i as u32, weight as f32));
                }
            }
        }
        weights.push(entries);
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[f32]) -> Vectors {
        Vectors {
            data: values.to_vec(),
            status: values.iter().map(|v| if v.is_nan() { Status::Nodata } else { Status::Valid }).collect(),
            bands: 1,
            height: 1,
            width: values.len(),
        }
    }

    #[test]
    fn bilinear_skips_missing_neighbours_and_keeps_the_valid_footprint() {
        let source = row(&[1.0, 3.0, f32::NAN]);
        let at = [(1.0, 0.5), (1.75, 0.5), (2.25, 0.5), (f64::NAN, 0.5), (0.1, 0.5)];
        let out = bilinear(&at, &source).means(&source, 1, at.len());
        assert_eq!(out.data[0], 2.0);
        assert_eq!(out.data[1], 3.0, "the missing neighbour has no weight");
        assert!(out.data[2].is_nan() && out.data[3].is_nan());
        assert_eq!(out.data[4], 1.0, "at the edge the only neighbour counts");
    }

    #[test]
    fn average_weighs_by_area() {
        let source = row(&[1.0, 3.0, f32::NAN, 9.0]);
        let fp = |lo, hi| Some(Footprint { corners: [(lo, 0.0), (hi, 0.0), (hi, 1.0), (lo, 1.0)] });
        let mut acc = Accumulator::new(1, 1, 4);
        let weights =
            area(&[fp(0.0, 2.0), fp(0.5, 2.5), fp(2.0, 3.0), fp(9.0, 10.0)], &source, (0, 0), &mut acc);
        acc.add(&weights, &source);
        let out = acc.finish();
        assert_eq!(out.data[0], 2.0);
        assert!((out.data[1] - (0.5 + 3.0) / 1.5).abs() < 1e-6);
        assert_eq!(out.status[2..], [Status::Nodata, Status::Outside]);
        assert!(out.data[2].is_nan());
    }

    #[test]
    fn a_turned_footprint_weighs_only_what_it_covers() {
        let source = Vectors {
            data: (0..9u8).map(f32::from).collect(),
            status: vec![Status::Valid; 9],
            bands: 1,
            height: 3,
            width: 3,
        };
        // A diamond around the middle, touching the middles of the outer edges.
        let fp = Footprint { corners: [(1.5, 0.0), (3.0, 1.5), (1.5, 3.0), (0.0, 1.5)] };
        let mut acc = Accumulator::new(1, 1, 1);
        let weights = area(&[Some(fp)], &source, (0, 0), &mut acc);
        let total: f32 = weights.of(0).iter().map(|w| w.1).sum();
        assert!((total - 4.5).abs() < 1e-6, "the area of the diamond");
        let corner = weights.of(0).iter().find(|w| w.0 == 0).unwrap().1;
        assert!((corner - 0.125).abs() < 1e-6, "the corner pixel is cut off but for a triangle");
    }
}
