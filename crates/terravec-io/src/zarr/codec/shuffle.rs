//! Bytes and bits of elements put together again.

/// Undoes the shuffling of bytes: the first bytes of all elements of `item` bytes lie together, then the second, …. What is left
/// over at the end was not moved.
pub(super) fn unshuffle(bytes: &[u8], item: usize) -> Vec<u8> {
    let mut out = vec![0; bytes.len()];
    unshuffle_into(bytes, item, &mut out);
    out
}

/// As [`unshuffle`], into `out` of the same length.
pub(super) fn unshuffle_into(bytes: &[u8], item: usize, out: &mut [u8]) {
    let n = bytes.len() / item.max(1);
    let whole = n * item;
    match item {
        0 | 1 => return out.copy_from_slice(bytes),
        2 => interleave::<2>(&bytes[..whole], &mut out[..whole]),
        4 => interleave::<4>(&bytes[..whole], &mut out[..whole]),
        8 => interleave::<8>(&bytes[..whole], &mut out[..whole]),
        _ => {
            for (j, plane) in bytes[..whole].chunks_exact(n.max(1)).enumerate() {
                for (element, b) in out.chunks_exact_mut(item).zip(plane) {
                    element[j] = *b;
                }
            }
        }
    }
    out[whole..].copy_from_slice(&bytes[whole..]);
}

fn interleave<const N: usize>(bytes: &[u8], out: &mut [u8]) {
    let n = bytes.len() / N;
    let planes: [&[u8]; N] = std::array::from_fn(|j| &bytes[j * n..(j + 1) * n]);
    for (i, element) in out.as_chunks_mut::<N>().0.iter_mut().enumerate() {
        *element = std::array::from_fn(|j| planes[j][i]);
    }
}

/// Undoes the shuffling of bits: for each byte of an element and each of its bits, lowest first, that bit of all elements lies together.
/// Works on a number of elements that is a multiple of 8.
pub(super) fn bit_unshuffle_into(bytes: &[u8], item: usize, out: &mut [u8]) {
    let groups = bytes.len() / item / 8;
    for j in 0..item {
        let rows: [&[u8]; 8] = std::array::from_fn(|k| &bytes[(j * 8 + k) * groups..][..groups]);
        if item == 1 {
            for (g, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
                *out = transposed(std::array::from_fn(|k| rows[k][g]));
            }
        } else {
            for (g, out) in out.chunks_exact_mut(8 * item).enumerate() {
                let column = transposed(std::array::from_fn(|k| rows[k][g]));
                for (element, b) in out.chunks_exact_mut(item).zip(column) {
                    element[j] = b;
                }
            }
        }
    }
}

/// Transposes an 8 × 8 matrix of bits (Hacker's Delight, 7-3).
fn transposed(rows: [u8; 8]) -> [u8; 8] {
    let mut x = u64::from_le_bytes(rows);
    let t = (x ^ (x >> 7)) & 0x00aa_00aa_00aa_00aa;
    x = x ^ t ^ (t << 7);
    let t = (x ^ (x >> 14)) & 0x0000_cccc_0000_cccc;
    x = x ^ t ^ (t << 14);
    let t = (x ^ (x >> 28)) & 0x0000_0000_f0f0_f0f0;
    (x ^ t ^ (t << 28)).to_le_bytes()
}
