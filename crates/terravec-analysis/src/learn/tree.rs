//! Decision trees, many of them, ready to predict.

use serde::{Deserialize, Serialize};

use super::array::Array;
use super::linear::Link;

/// A tree: nodes in an order in which children come after their parent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub(crate) struct Tree {
    /// The band that is asked.
    pub(super) band: Array<u32>,
    /// At most this: left, else right.
    pub(super) threshold: Array<f32>,
    /// The left child, the right one being the next; 0 at a leaf.
    pub(super) left: Array<u32>,
    /// At a leaf, which of the values is its first.
    pub(super) value: Array<u32>,
    pub(super) values: Array<f32>,
}

impl Tree {
    /// The values of the leaf that `x` falls into.
    pub(super) fn leaf(&self, x: &[f32], width: usize) -> &[f32] {
        let mut node = 0;
        while self.left[node] != 0 {
            let right = x[self.band[node] as usize] > self.threshold[node];
            node = self.left[node] as usize + usize::from(right);
        }
        &self.values[self.value[node] as usize..][..width]
    }

    fn check(&self, cols: usize, width: usize) -> bool {
        let n = self.left.len();
        let whole = n > 0 && self.band.len() == n && self.threshold.len() == n && self.value.len() == n;
        whole
            && self.values.iter().all(|v| v.is_finite())
            && (0..n).all(|i| {
                let (left, value) = (self.left[i] as usize, self.value[i] as usize);
                if left == 0 {
                    value.checked_add(width).is_some_and(|end| end <= self.values.len())
                } else {
                    left > i && left + 1 < n && (self.band[i] as usize) < cols
                }
            })
    }
}

/// Trees whose leaves are added up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trees {
    pub(super) trees: Vec<Tree>,
    /// Values of a leaf: one per output, or one, for output `tree mod outputs`.
    pub(super) width: usize,
    /// Score before any tree.
    pub(super) start: Array<f32>,
    /// What a leaf is multiplied with.
    pub(super) scale: f32,
    pub(super) link: Link,
}

impl Trees {
    pub(super) fn outputs(&self) -> usize {
        self.start.len()
    }

    pub(super) fn check(&self, cols: usize, outputs: usize) -> Result<(), &'static str> {
        let fits = self.start.len() == outputs
            && (self.width == outputs || self.width == 1)
            && self.start.iter().all(|v| v.is_finite())
            && self.scale.is_finite();
        if fits && self.trees.iter().all(|t| t.check(cols, self.width)) {
            Ok(())
        } else {
            Err("the trees do not fit the vectors and classes")
        }
    }

    /// Scores (rows, outputs) of row-major `x`.
    pub(super) fn scores(&self, x: &[f32], rows: usize, out: &mut [f32]) {
        let outputs = self.outputs();
        let cols = x.len() / rows.max(1);
        out.fill(0.0);
        // Tree by tree: one stays in the cache while all rows pass.
        for (t, tree) in self.trees.iter().enumerate() {
            for (x, out) in x.chunks_exact(cols).zip(out.chunks_exact_mut(outputs)) {
                let leaf = tree.leaf(x, self.width);
                if self.width == outputs {
                    out.iter_mut().zip(leaf).for_each(|(o, v)| *o += v);
                } else {
                    out[t % outputs] += leaf[0];
                }
            }
        }
        for out in out.chunks_exact_mut(outputs) {
            out.iter_mut().zip(self.start.iter()).for_each(|(o, s)| *o = s + self.scale * *o);
            self.link.finish(out);
        }
    }
}
