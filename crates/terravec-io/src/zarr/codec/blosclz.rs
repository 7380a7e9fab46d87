//! BloscLZ, the compressor of Blosc's own: runs of literal bytes, and copies of what came before.

/// Distances beyond this are written in two more bytes.
const FAR: usize = 8191;

/// Decompresses `data` into `out`; how many bytes came out, `None` where the data is damaged.
pub(super) fn decode(data: &[u8], out: &mut [u8]) -> Option<usize> {
    let mut input = data.iter();
    let mut next = || input.next().map(|b| usize::from(*b));
    let mut at = 0usize;
    let mut control = next()? & 31;
    loop {
        if control >= 32 {
            let mut length = (control >> 5) - 1;
            let mut distance = (control & 31) << 8;
            if length == 6 {
                loop {
                    let more = next()?;
                    length += more;
                    if more != 255 {
                        break;
                    }
                }
            }
            let low = next()?;
            if low == 255 && distance == 31 << 8 {
                distance = (next()? << 8) + next()? + FAR;
            } else {
                distance += low;
            }
            let from = at.checked_sub(distance + 1)?;
            let end = at.checked_add(length + 3)?;
            if end > out.len() {
                return None;
            }
            if distance + 1 >= length + 3 {
                out.copy_within(from..from + length + 3, at);
            } else {
                // A copy that overlaps what it makes repeats it.
                for i in 0..length + 3 {
                    out[at + i] = out[from + i];
                }
            }
            at = end;
        } else {
            for _ in 0..=control {
                *out.get_mut(at)? = next()? as u8;
                at += 1;
            }
        }
        match next() {
            Some(c) => control = c,
            None => return Some(at),
        }
    }
}
