//! Medians, percentiles and ranks of a stream of numbers that are not negative, in fixed memory.
//!
//! Numbers are counted by the first bits of their float32 form, which for these keep the order: a bin is 1/8192 of its number wide.

/// Bits of a float32 that a bin does not tell apart.
const CUT: u32 = 10;
/// Bins up to infinity.
const BINS: usize = (0x7f80_0000u32 >> CUT) as usize + 1;
/// The standard deviation of a normal distribution in units of its median absolute deviation.
const NORMAL: f64 = 1.4826;

/// Counts of numbers.
#[derive(Debug, Clone)]
pub struct Counts {
    bins: Vec<u64>,
    count: u64,
}

impl Default for Counts {
    fn default() -> Self {
        Self { bins: vec![0; BINS], count: 0 }
    }
}

fn bin(v: f32) -> usize {
    ((v.max(0.0).to_bits() >> CUT) as usize).min(BINS - 1)
}

fn middle(bin: usize) -> f64 {
    #[allow(clippy::cast_possible_truncation)]
    let at = |b: usize| f64::from(f32::from_bits((b as u32) << CUT));
    if bin + 1 < BINS { 0.5 * (at(bin) + at(bin + 1)) } else { f64::INFINITY }
}

impl Counts {
    /// Counts numbers in; NaN is passed over.
    pub fn add(&mut self, numbers: &[f32]) {
        for v in numbers.iter().filter(|v| !v.is_nan()) {
            self.bins[bin(*v)] += 1;
            self.count += 1;
        }
    }

    /// Numbers so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The number below which a part (0 to 1) of all lies; NaN of none.
    #[must_use]
    pub fn quantile(&self, part: f64) -> f64 {
        walk(self.bins.iter().enumerate().map(|(b, n)| (middle(b), *n)), self.count, part)
    }

    /// The median of the distances from the median, scaled to a standard deviation.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        let median = self.quantile(0.5);
        let mut far: Vec<(f64, u64)> = self
            .bins
            .iter()
            .enumerate()
            .filter(|(_, n)| **n > 0)
            .map(|(b, n)| ((middle(b) - median).abs(), *n))
            .collect();
        far.sort_by(|a, b| a.0.total_cmp(&b.0));
        NORMAL * walk(far.into_iter(), self.count, 0.5)
    }

    /// Numbers above `cut`, by [`Self::is_above`].
    #[must_use]
    pub fn above(&self, cut: f32) -> u64 {
        self.bins[bin(cut) + 1..].iter().sum()
    }

    /// Whether a number lies in a higher bin than another.
    #[must_use]
    pub fn is_above(v: f32, cut: f32) -> bool {
        bin(v) > bin(cut)
    }

    /// How numbers rank among these.
    #[must_use]
    pub fn ranks(&self) -> Ranks {
        let mut sum = 0;
        let mut at_least: Vec<u64> = self
            .bins
            .iter()
            .rev()
            .map(|n| {
                sum += n;
                sum
            })
            .collect();
        at_least.reverse();
        Ranks { at_least, count: self.count }
    }
}

fn walk(bins: impl Iterator<Item = (f64, u64)>, count: u64, part: f64) -> f64 {
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let wanted = (part.clamp(0.0, 1.0) * count.saturating_sub(1) as f64).round() as u64;
    let mut seen = 0;
    for (value, n) in bins {
        seen += n;
        if seen > wanted {
            return value;
        }
    }
    f64::NAN
}

/// How many of the numbers that were counted are as large as another.
#[derive(Debug, Clone)]
pub struct Ranks {
    at_least: Vec<u64>,
    count: u64,
}

impl Ranks {
    /// (1 + numbers as large as `v`) / (1 + all numbers): how likely a pixel that did not change looks at least so changed.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn p_value(&self, v: f32) -> f64 {
        (1 + self.at_least[bin(v)]) as f64 / (1 + self.count) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_a_sort_within_a_bin() {
        let mut random = fastrand::Rng::with_seed(11);
        let numbers: Vec<f32> = (0..20_001).map(|_| random.f32().powi(3) * 40.0).collect();
        let mut counts = Counts::default();
        counts.add(&numbers);
        counts.add(&[f32::NAN]);
        let mut sorted = numbers.clone();
        sorted.sort_by(f32::total_cmp);
        let near = |a: f64, b: f64| assert!((a - b).abs() <= 2e-4 * b.abs(), "{a} {b}");
        for part in [0.0, 0.02, 0.5, 0.98, 1.0] {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            near(counts.quantile(part), f64::from(sorted[(part * 20_000.0).round() as usize]));
        }
        let median = f64::from(sorted[10_000]);
        let mut far: Vec<f64> = sorted.iter().map(|v| (f64::from(*v) - median).abs()).collect();
        far.sort_by(f64::total_cmp);
        assert!((counts.deviation() - 1.4826 * far[10_000]).abs() < 2e-3 * far[10_000]);
        let ranks = counts.ranks();
        assert!((ranks.p_value(sorted[15_000]) - 0.25).abs() < 0.01);
        assert_eq!((ranks.p_value(0.0), ranks.p_value(1e9)), (1.0, 1.0 / 20_002.0));
        assert!(Counts::default().quantile(0.5).is_nan());
    }
}
