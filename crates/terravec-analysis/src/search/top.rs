//! The k best of many: ties go to the earlier row, so that answers do not depend on threads or blocks.

use std::cmp::Ordering;

/// A row and how well it matches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Larger is better.
    pub score: f64,
    /// Its number.
    pub row: u64,
}

impl Hit {
    /// The better one first; of equals the earlier row.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.row.cmp(&other.row))
    }
}

/// The best rows so far.
#[derive(Debug, Clone)]
pub struct Top {
    k: usize,
    hits: Vec<Hit>,
    threshold: f64,
}

impl Top {
    /// For the `k` best of those that score at least `threshold`.
    #[must_use]
    pub fn new(k: usize, threshold: f64) -> Self {
        Self { k, hits: Vec::new(), threshold }
    }

    /// What a row must score to be looked at.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// Puts a row in, if it may be among the best.
    pub fn push(&mut self, hit: Hit) {
        if hit.score < self.threshold || self.k == 0 {
            return;
        }
        self.hits.push(hit);
        // The first k tell a threshold; then the list is cut whenever it has doubled.
        let full = if self.threshold == f64::NEG_INFINITY { self.k } else { 2 * self.k.max(32) };
        if self.hits.len() >= full {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.hits.len() >= self.k {
            let (_, worst, _) = self.hits.select_nth_unstable_by(self.k - 1, Hit::order);
            self.threshold = self.threshold.max(worst.score);
            self.hits.truncate(self.k);
        }
    }

    /// The best, in no order, no more than k.
    pub fn hits(&mut self) -> &[Hit] {
        if self.k > 0 {
            self.cut();
        }
        &self.hits
    }

    /// The best, best first.
    #[must_use]
    pub fn sorted(mut self) -> Vec<Hit> {
        if self.k > 0 {
            self.cut();
        }
        self.hits.sort_unstable_by(Hit::order);
        self.hits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_a_full_sort_with_ties_in_row_order() {
        let mut random = fastrand::Rng::with_seed(3);
        for k in [0, 1, 7, 100, 5000] {
            let hits: Vec<Hit> =
                (0..3000).map(|row| Hit { score: f64::from(random.u8(..20)), row }).collect();
            let mut shuffled = hits.clone();
            random.shuffle(&mut shuffled);
            let mut top = Top::new(k, f64::NEG_INFINITY);
            shuffled.into_iter().for_each(|h| top.push(h));
            let mut wanted = hits;
            wanted.sort_by(Hit::order);
            wanted.truncate(k);
            assert_eq!(top.sorted(), wanted);
        }
    }
}
