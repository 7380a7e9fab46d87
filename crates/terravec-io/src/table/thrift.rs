//! Just enough of Thrift's compact protocol for what the Parquet crate does not give: page headers with their place in
//! the file, the offset index of one column, and a check of counts before anything is allocated by them.
//!
//! Every function returns `None` where the bytes are cut short or broken.

/// Structs nest no deeper in a Parquet footer.
const MAX_DEPTH: usize = 16;

/// Wire types.
pub(super) const I32: u8 = 5;
pub(super) const I64: u8 = 6;
const BINARY: u8 = 8;
pub(super) const LIST: u8 = 9;
pub(super) const STRUCT: u8 = 12;

/// What is left to read.
#[derive(Clone, Copy)]
pub(super) struct Compact<'a> {
    pub(super) bytes: &'a [u8],
}

impl<'a> Compact<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A signed integer of any width.
    #[allow(clippy::cast_possible_wrap)] // zigzag
    pub(super) fn int(&mut self) -> Option<i64> {
        let v = self.varint()?;
        Some((v >> 1) as i64 ^ -((v & 1) as i64))
    }

    /// The next field of a struct as its number and wire type; number 0 at the end. `last` is the number of the field
    /// before, 0 at first.
    pub(super) fn field(&mut self, last: i16) -> Option<(i16, u8)> {
        let head = self.byte()?;
        if head == 0 {
            return Some((0, 0));
        }
        let id = match head >> 4 {
            0 => i16::try_from(self.int()?).ok()?,
            delta => last.checked_add(i16::from(delta))?,
        };
        Some((id, head & 15))
    }

    /// Wire type of the items of a list, and how many: never more than bytes are left.
    pub(super) fn list(&mut self) -> Option<(u8, usize)> {
        let head = self.byte()?;
        let n = match head >> 4 {
            15 => usize::try_from(self.varint()?).ok()?,
            n => usize::from(n),
        };
        (n <= self.bytes.len()).then_some((head & 15, n))
    }

    pub(super) fn skip(&mut self, wire: u8) -> Option<()> {
        self.skip_deep(wire, 0)
    }

    fn binary(&mut self) -> Option<&'a [u8]> {
        let n = usize::try_from(self.varint()?).ok()?;
        let (bytes, rest) = self.bytes.split_at_checked(n)?;
        self.bytes = rest;
        Some(bytes)
    }

    fn skip_bytes(&mut self, n: usize) -> Option<()> {
        self.bytes = self.bytes.get(n..)?;
        Some(())
    }

    fn skip_deep(&mut self, wire: u8, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        match wire {
            1 | 2 => {} // a boolean is in the field's head
            3 => self.skip_bytes(1)?,
            4 | I32 | I64 => {
                self.varint()?;
            }
            7 => self.skip_bytes(8)?,
            BINARY => {
                self.binary()?;
            }
            LIST | 10 => {
                let (wire, n) = self.list()?;
                for _ in 0..n {
                    // Booleans in lists take a byte.
                    if wire <= 2 { self.skip_bytes(1)? } else { self.skip_deep(wire, depth + 1)? }
                }
            }
            STRUCT => {
                let mut last = 0;
                loop {
                    let (id, wire) = self.field(last)?;
                    if id == 0 && wire == 0 {
                        break;
                    }
                    self.skip_deep(wire, depth + 1)?;
                    last = id;
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// Reads a struct: `take` gets each field's number and wire type and says whether it consumed the field.
    pub(super) fn fields(&mut self, mut take: impl FnMut(&mut Self, i16, u8) -> Option<bool>) -> Option<()> {
        let mut last = 0;
        loop {
            let (id, wire) = self.field(last)?;
            if id == 0 && wire == 0 {
                return Some(());
            }
            if !take(self, id, wire)? {
                self.skip(wire)?;
            }
            last = id;
        }
    }
}

/// Whether every list of a footer claims no more items than its bytes could hold.
pub(super) fn is_sound(footer: &[u8]) -> bool {
    Compact { bytes: footer }.skip(STRUCT).is_some()
}

/// The key of a footer's pair whose key or value is no UTF-8.
pub(super) fn pair_without_text(footer: &[u8]) -> Option<String> {
    let mut found = None;
    let _ = Compact { bytes: footer }.fields(|c, id, wire| {
        if (id, wire) != (5, LIST) {
            return Some(false);
        }
        let (_, n) = c.list()?;
        for _ in 0..n {
            let mut pair: [&[u8]; 2] = [b"", b""];
            c.fields(|c, id, wire| {
                let slot = match (id, wire) {
                    (1, BINARY) => 0,
                    (2, BINARY) => 1,
                    _ => return Some(false),
                };
                pair[slot] = c.binary()?;
                Some(true)
            })?;
            if found.is_none() && pair.iter().any(|text| std::str::from_utf8(text).is_err()) {
                found = Some(String::from_utf8_lossy(pair[0]).into_owned());
            }
        }
        Some(true)
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_fields() {
        let mut c = Compact { bytes: &[0x15, 0x03, 0x26, 0xd8, 0x04, 0x00] };
        let mut seen = Vec::new();
        c.fields(|c, id, wire| {
            seen.push((id, wire, c.int()?));
            Some(true)
        })
        .unwrap();
        assert_eq!(seen, [(1, I32, -2), (3, I64, 300)]);
    }

    #[test]
    fn counts_beyond_the_bytes_are_refused() {
        // Field 4, a list of 2^31 - 1 structs.
        assert!(!is_sound(&[0x49, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00]));
        assert!(is_sound(&[0x49, 0x0c, 0x00]));
        assert!(!is_sound(&[0x18, 0x05, 1, 2, 0]));
        // Structs in structs without end.
        assert!(!is_sound(&[0x1c; 100]));
    }
}
