//! Parquet's hybrid of runs and bit-packed numbers: levels and indices of dictionaries.

/// A piece of a hybrid stream.
enum Run<'a> {
    /// The same number, so many times.
    Same(u32, usize),
    /// Numbers packed by bits, least significant first; a multiple of eight of them.
    Packed(&'a [u8]),
}

/// The runs of a stream of numbers of `width` bits.
struct Runs<'a> {
    bytes: &'a [u8],
    width: usize,
}

impl<'a> Runs<'a> {
    /// The next run; `None` where the stream is cut short or broken.
    fn next(&mut self) -> Option<Run<'a>> {
        let mut head = 0u64;
        for shift in (0..).step_by(7) {
            let (byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            head |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let n = usize::try_from(head >> 1).ok()?;
        if head & 1 == 1 {
            // Writers may leave out the padding of the last group.
            let length = n.checked_mul(self.width)?.min(self.bytes.len());
            let (packed, rest) = self.bytes.split_at(length);
            self.bytes = rest;
            return Some(Run::Packed(packed));
        }
        let (value, rest) = self.bytes.split_at_checked(self.width.div_ceil(8))?;
        self.bytes = rest;
        let value = value.iter().rev().fold(0, |v, byte| v << 8 | u32::from(*byte));
        Some(Run::Same(value, n))
    }
}

/// Whether the first `count` numbers are all `value`. Up to eight bits each.
pub(super) fn all_are(bytes: &[u8], width: usize, count: usize, value: u32) -> bool {
    let mut runs = Runs { bytes, width };
    let mut seen = 0;
    while seen < count {
        match runs.next() {
            Some(Run::Same(v, n)) if v == value && n > 0 => seen += n,
            Some(Run::Packed(packed)) => {
                let n = (packed.len() * 8 / width).min(count - seen);
                if n == 0 || (0..n).any(|i| bits(packed, i * width, width) != value) {
                    return false;
                }
                seen += n;
            }
            _ => return false,
        }
    }
    true
}

/// Whether the first `count` bits are 0 where `start`, `start + 1`, … is a multiple of `step`, and 1 elsewhere: the
/// repetition levels of lists of `step` items each.
pub(super) fn starts_each(bytes: &[u8], count: usize, start: usize, step: usize) -> bool {
    let mut runs = Runs { bytes, width: 1 };
    // Items until the next list begins.
    let mut ahead = (step - start % step) % step;
    let mut seen = 0;
    while seen < count {
        match runs.next() {
            Some(Run::Same(1, n)) if n > 0 => {
                let n = n.min(count - seen);
                if ahead < n {
                    return false;
                }
                seen += n;
                ahead -= n;
            }
            Some(Run::Same(0, n)) if n > 0 => {
                let n = n.min(count - seen);
                if ahead != 0 || (n > 1 && step > 1) {
                    return false;
                }
                seen += n;
                ahead = step - 1;
            }
            Some(Run::Packed(packed)) => {
                let n = (packed.len() * 8).min(count - seen);
                if n == 0 {
                    return false;
                }
                for i in 0..n {
                    if (packed[i / 8] >> (i % 8) & 1 == 0) != (ahead == 0) {
                        return false;
                    }
                    ahead = if ahead == 0 { step - 1 } else { ahead - 1 };
                }
                seen += n;
            }
            _ => return false,
        }
    }
    true
}

/// Looks up `out.len()` numbers of `width` bits in `dictionary`; `None` where the stream or an index is bad.
pub(super) fn look_up<T: Copy>(bytes: &[u8], width: usize, dictionary: &[T], out: &mut [T]) -> Option<()> {
    if width > 32 {
        return None;
    }
    let mut runs = Runs { bytes, width };
    let mut at = 0;
    while at < out.len() {
        let left = &mut out[at..];
        match runs.next()? {
            Run::Same(index, n) => {
                let n = n.min(left.len());
                if n == 0 {
                    return None;
                }
                left[..n].fill(*dictionary.get(index as usize)?);
                at += n;
            }
            Run::Packed(packed) => {
                let n = (packed.len() * 8).checked_div(width).unwrap_or(0).min(left.len());
                if n == 0 {
                    return None;
                }
                for (i, value) in left[..n].iter_mut().enumerate() {
                    *value = *dictionary.get(bits(packed, i * width, width) as usize)?;
                }
                at += n;
            }
        }
    }
    Some(())
}

/// The `width` bits (at most 32) that begin at bit `at`.
#[allow(clippy::cast_possible_truncation)] // masked to the width
fn bits(packed: &[u8], at: usize, width: usize) -> u32 {
    let byte = at / 8;
    let word = match packed.get(byte..byte + 8) {
        Some(eight) => eight.try_into().map_or(0, u64::from_le_bytes),
        None => packed[byte..].iter().rev().fold(0, |v, b| v << 8 | u64::from(*b)),
    };
    (word >> (at % 8) & ((1 << width) - 1)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_equal_length_are_recognised() {
        // 0 1 1 | 0 1 1 | 0 1 packed, then a run of one 1.
        let bytes = [3, 0b1011_0110, 2, 1];
        assert!(starts_each(&bytes, 9, 0, 3));
        assert!(!starts_each(&bytes, 9, 1, 3) && !starts_each(&bytes, 9, 0, 4));
        assert!(!starts_each(&bytes, 10, 0, 3)); // cut short
        // From the middle of a list: 1 1 | 0.
        assert!(starts_each(&[4, 1, 2, 0], 3, 1, 3));
        assert!(!starts_each(&[6, 1], 3, 1, 3) && !starts_each(&[4, 0], 2, 0, 3));
        // Lists of one item are all zeros.
        assert!(starts_each(&[20, 0], 10, 7, 1) && !starts_each(&[20, 1], 10, 7, 1));
        assert!(!starts_each(&[0, 0, 0, 0], 2, 0, 1)); // empty runs lead nowhere
    }

    #[test]
    fn levels_that_are_all_equal_are_recognised() {
        assert!(all_are(&[16, 3], 2, 8, 3) && !all_are(&[16, 3], 2, 9, 3));
        assert!(all_are(&[3, 0xff, 0xff, 2, 3], 2, 9, 3));
        assert!(!all_are(&[3, 0xff, 0xfb], 2, 8, 3) && !all_are(&[], 1, 1, 1));
    }

    #[test]
    fn indices_are_looked_up() {
        let mut out = [0; 11];
        // 0..8 in 3 bits, then three times 5.
        let bytes = [3, 0x88, 0xc6, 0xfa, 6, 5];
        look_up(&bytes, 3, &[10, 11, 12, 13, 14, 15, 16, 17], &mut out).unwrap();
        assert_eq!(out, [10, 11, 12, 13, 14, 15, 16, 17, 15, 15, 15]);
        assert!(look_up(&bytes, 3, &[10, 11], &mut out).is_none());
        assert!(look_up(&bytes[..3], 3, &[0; 8], &mut out).is_none());
        assert!(look_up(&[22], 0, &[7], &mut out).is_some() && out == [7; 11]);
        assert!(look_up(&[3, 1], 33, &[7], &mut out).is_none());
    }
}
