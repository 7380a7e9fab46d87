//! How a tree grows: every split is the best of all thresholds between the bins of some bands.
//!
//! One rule serves all trees. A node has sums `G` (one per value of a leaf) and `H`; a split gains `|G|²/(H + λ)` of both sides less that of the
//! node. With `G` the rows per class and `H` the rows, that is the decrease of Gini's impurity; with `G` the sum of labels, that of the variance; with
//! slopes and curvatures of a loss, the gain of Newton boosting (Chen & Guestrin 2016).

use rayon::prelude::*;

use super::tree::Tree;
use crate::Matrix;

/// Bins per band at most.
const BINS: usize = 256;
/// Sorting a row costs as much as looking at so many sums: nodes of few rows are sorted instead of counted into bins.
const SORTING: usize = 8;

/// Every number as the bin it falls into, band by band.
pub(super) struct Bins {
    rows: usize,
    codes: Vec<u8>,
    /// Upper edges, between numbers that occur.
    edges: Vec<Vec<f32>>,
}

impl Bins {
    /// One bin per number that occurs in a band, or as many quantiles as there may be.
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn of(x: &Matrix) -> Self {
        let column = |j: usize| -> (Vec<u8>, Vec<f32>) {
            let values: Vec<f32> = (0..x.rows()).map(|i| x.row(i)[j]).collect();
            let edges = edges(values.clone());
            let codes = values.iter().map(|v| edges.partition_point(|e| e < v) as u8).collect();
            (codes, edges)
        };
        let (codes, edges): (Vec<_>, Vec<_>) = (0..x.cols()).into_par_iter().map(column).unzip();
        Self { rows: x.rows(), codes: codes.concat(), edges }
    }

    fn band(&self, j: usize) -> &[u8] {
        &self.codes[j * self.rows..(j + 1) * self.rows]
    }
}

fn edges(mut values: Vec<f32>) -> Vec<f32> {
    values.sort_unstable_by(f32::total_cmp);
    let all = values.len();
    let mut distinct = values.clone();
    distinct.dedup();
    let cuts: Vec<usize> = if distinct.len() <= BINS {
        (1..distinct.len()).collect()
    } else {
        let at = |q: usize| distinct.partition_point(|d| *d < values[q * all / BINS]);
        let mut cuts: Vec<usize> = (1..BINS).map(at).filter(|c| *c > 0).collect();
        cuts.dedup();
        cuts
    };
    let between = |c: usize| {
        let middle = f32::midpoint(distinct[c - 1], distinct[c]);
        // Neighbouring numbers have nothing between them.
        if middle < distinct[c] { middle } else { distinct[c - 1] }
    };
    cuts.into_iter().map(between).collect()
}

/// What is summed in a node.
#[derive(Clone, Copy)]
pub(super) enum Sums<'a> {
    /// The weight of each class.
    Classes(&'a [u32], usize),
    /// A number per row.
    Numbers(&'a [f64]),
}

/// How to grow.
pub(super) struct Grow<'a> {
    pub(super) bins: &'a Bins,
    pub(super) sums: Sums<'a>,
    /// `H` of each row.
    pub(super) weight: &'a [f64],
    pub(super) lambda: f64,
    pub(super) min_leaf: usize,
    pub(super) depth: usize,
    /// Bands that each split chooses among.
    pub(super) tries: usize,
}

struct Split {
    gain: f64,
    band: usize,
    bin: u8,
}

impl Grow<'_> {
    fn width(&self) -> usize {
        match self.sums {
            Sums::Classes(_, n) => n,
            Sums::Numbers(_) => 1,
        }
    }

    fn add(&self, row: u32, g: &mut [f64], sign: f64) {
        let row = row as usize;
        match self.sums {
            Sums::Classes(of, _) => g[of[row] as usize] += sign * self.weight[row],
            Sums::Numbers(v) => g[0] += sign * v[row],
        }
    }

    /// Grows a tree on `rows`; `leaf` is told the rows and values of each leaf.
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn grow(
        &self,
        rows: &mut [u32],
        rng: &mut fastrand::Rng,
        mut leaf: impl FnMut(&[u32], &[f32]),
    ) -> Tree {
        let mut tree = Tree::default();
        let mut bands: Vec<usize> = (0..self.bins.edges.len()).collect();
        let push = |tree: &mut Tree| {
            tree.band.0.push(0);
            tree.threshold.0.push(0.0);
            tree.left.0.push(0);
            tree.value.0.push(0);
            tree.left.len() - 1
        };
        push(&mut tree);
        let mut open = vec![(0usize, 0..rows.len(), 0usize)];
        while let Some((node, range, depth)) = open.pop() {
            let own = &mut rows[range.clone()];
            let mut g = vec![0.0; self.width()];
            let mut h = 0.0;
            for row in own.iter() {
                self.add(*row, &mut g, 1.0);
                h += self.weight[*row as usize];
            }
            let split = if depth < self.depth { self.best(own, &g, h, &mut bands, rng) } else { None };
            let Some(split) = split else {
                let first = tree.values.len();
                tree.values.0.extend(g.iter().map(|g| (g / (h + self.lambda).max(1e-300)) as f32));
                tree.value.0[node] = first as u32;
                leaf(own, &tree.values[first..]);
                continue;
            };
            let codes = self.bins.band(split.band);
            // Stable, so that a node's rows stay in order.
            let (mut low, high): (Vec<u32>, Vec<u32>) =
                own.iter().partition(|r| codes[**r as usize] <= split.bin);
            let middle = range.start + low.len();
            low.extend(high);
            own.copy_from_slice(&low);
            let left = push(&mut tree);
            push(&mut tree);
            tree.band.0[node] = split.band as u32;
            tree.threshold.0[node] = self.bins.edges[split.band][split.bin as usize];
            tree.left.0[node] = left as u32;
            open.push((left + 1, middle..range.end, depth + 1));
            open.push((left, range.start..middle, depth + 1));
        }
        tree
    }

    fn best(
        &self,
        rows: &[u32],
        g: &[f64],
        h: f64,
        bands: &mut [usize],
        rng: &mut fastrand::Rng,
    ) -> Option<Split> {
        let square: f64 = g.iter().map(|g| g * g).sum();
        // One class alone can't be divided any better.
        let pure = matches!(self.sums, Sums::Classes(..)) && g.iter().any(|g| *g >= h * (1.0 - 1e-12));
        if rows.len() < 2 * self.min_leaf || pure {
            return None;
        }
        let base = square / (h + self.lambda);
        if self.tries >= bands.len() {
            let splits: Vec<Option<Split>> = if rows.len() * bands.len() > 1 << 15 {
                bands.par_iter().map(|b| self.along(rows, *b, g, h).unwrap_or_default()).collect()
            } else {
                bands.iter().map(|b| self.along(rows, *b, g, h).unwrap_or_default()).collect()
            };
            return better(splits.into_iter().flatten(), base);
        }
        // Bands without two different numbers here do not count as tried.
        let mut splits = Vec::new();
        let mut tried = 0;
        for i in 0..bands.len() {
            let j = rng.usize(i..bands.len());
            bands.swap(i, j);
            if let Some(split) = self.along(rows, bands[i], g, h) {
                splits.extend(split);
                tried += 1;
                if tried == self.tries {
                    break;
                }
            }
        }
        better(splits.into_iter(), base)
    }

    /// The best threshold of a band: `None` where the band has but one bin here, `Some(None)` where no side may be so small.
    fn along(&self, rows: &[u32], band: usize, g: &[f64], h: f64) -> Option<Option<Split>> {
        let codes = self.bins.band(band);
        let mut walk = Walk {
            left: vec![0.0; g.len()],
            right: g.to_vec(),
            below: 0.0,
            above: h,
            lambda: self.lambda,
            best: None,
            band,
        };
        let (width, bins) = (g.len(), self.bins.edges[band].len() + 1);
        if rows.len() * SORTING < bins * width {
            let mut order: Vec<(u8, u32)> = rows.iter().map(|r| (codes[*r as usize], *r)).collect();
            order.sort_unstable();
            if order.first()?.0 == order.last()?.0 {
                return None;
            }
            for (i, (code, row)) in order.iter().enumerate() {
                self.add(*row, &mut walk.left, 1.0);
                self.add(*row, &mut walk.right, -1.0);
                walk.pass(self.weight[*row as usize]);
                let after = i + 1;
                if after < order.len()
                    && order[after].0 != *code
                    && after >= self.min_leaf
                    && order.len() - after >= self.min_leaf
                {
                    walk.look(*code);
                }
            }
            return Some(walk.best);
        }
        // Per bin: G, H and the number of rows, side by side.
        let stride = width + 2;
        let mut sums = vec![0.0; bins * stride];
        for row in rows {
            let bin = &mut sums[codes[*row as usize] as usize * stride..][..stride];
            self.add(*row, bin, 1.0);
            bin[width] += self.weight[*row as usize];
            bin[width + 1] += 1.0;
        }
        #[allow(clippy::cast_precision_loss)]
        let (all, least) = (rows.len() as f64, self.min_leaf as f64);
        let mut below = 0.0;
        for (bin, sums) in sums.chunks_exact(stride).enumerate() {
            if sums[width + 1] == all {
                return None;
            }
            if sums[width + 1] == 0.0 || bin + 1 == bins {
                continue;
            }
            below += sums[width + 1];
            for (k, s) in sums[..width].iter().enumerate() {
                walk.left[k] += s;
                walk.right[k] -= s;
            }
            walk.pass(sums[width]);
            if below >= least && all - below >= least {
                #[allow(clippy::cast_possible_truncation)] // at most 256 bins
                walk.look(bin as u8);
            }
        }
        Some(walk.best)
    }
}

/// Sums on both sides of a threshold that moves up.
struct Walk {
    left: Vec<f64>,
    right: Vec<f64>,
    below: f64,
    above: f64,
    lambda: f64,
    best: Option<Split>,
    band: usize,
}

impl Walk {
    fn pass(&mut self, weight: f64) {
        self.below += weight;
        self.above -= weight;
    }

    fn look(&mut self, bin: u8) {
        let (below, above) = (self.below + self.lambda, self.above + self.lambda);
        if self.below <= 1e-9 || self.above <= 1e-9 {
            return;
        }
        let of = |g: &[f64]| g.iter().map(|g| g * g).sum::<f64>();
        let gain = of(&self.left) / below + of(&self.right) / above;
        if self.best.as_ref().is_none_or(|b| gain > b.gain) {
            self.best = Some(Split { gain, band: self.band, bin });
        }
    }
}

/// The split of greatest gain, the first of equals, if it gains anything.
fn better(splits: impl Iterator<Item = Split>, base: f64) -> Option<Split> {
    let mut best: Option<Split> = None;
    for split in splits {
        if best.as_ref().is_none_or(|b| split.gain > b.gain || (split.gain == b.gain && split.band < b.band))
        {
            best = Some(split);
        }
    }
    best.filter(|s| s.gain > base * (1.0 + 1e-12) + 1e-12)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_lie_between_the_numbers() {
        assert_eq!(edges(vec![3.0, 1.0, 1.0, 2.0]), [1.5, 2.5]);
        let next = f32::from_bits(1.0f32.to_bits() + 1);
        assert_eq!(edges(vec![1.0, next]), [1.0]);
        let many = edges((0..10_000u16).map(f32::from).collect());
        assert!(many.len() <= 255 && many.windows(2).all(|w| w[0] < w[1]));
    }
}
