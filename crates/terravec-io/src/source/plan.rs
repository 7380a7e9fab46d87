//! Which requests fetch a set of ranges, and how their answers become the ranges again.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

/// Two ranges this near are fetched by one request: reading 16 KiB more takes about as long as the server
/// needs to answer one more request, and less than its round trip on any line above 5 Mbit/s.
const MAX_GAP: u64 = 16 * 1024;

/// Bytes read for nothing, as a share of what a request fetches, may not exceed one in this many. Bridging
/// gaps without such a bound reads several times what was asked where many small ranges lie evenly spread.
const WASTE_ONE_IN: u64 = 4;

/// Requests aim at no more than this, so that a long run is fetched over several connections at once and a
/// broken connection costs little to repeat.
const TARGET: u64 = 4 * 1024 * 1024;

/// The requests that fetch `ranges`: sorted, disjoint, covering every byte asked for. Empty ranges need none.
pub(super) fn coalesce(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut sorted: Vec<_> = ranges.iter().filter(|r| r.start < r.end).cloned().collect();
    sorted.sort_unstable_by_key(|r| (r.start, r.end));
    let mut runs: Vec<Range<u64>> = Vec::new();
    let mut waste = 0;
    for range in sorted {
        if let Some(run) = runs.last_mut() {
            if range.start < run.end {
                run.end = run.end.max(range.end);
                continue;
            }
            let gap = range.start - run.end;
            let length = range.end - run.start;
            // A request may always waste one gap; beyond that the share counts.
            let bound = MAX_GAP.max(length / WASTE_ONE_IN);
            if gap <= MAX_GAP && waste + gap <= bound && length <= TARGET {
                waste += gap;
                run.end = range.end;
                continue;
            }
        }
        waste = 0;
        runs.push(range);
    }
    runs.into_iter().flat_map(split).collect()
}

/// Cuts a long run into even pieces near the target size.
fn split(run: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let length = run.end - run.start;
    let pieces = if length <= 2 * TARGET { 1 } else { length.div_ceil(TARGET) };
    let step = length.div_ceil(pieces);
    (0..pieces)
        .map(move |i| run.start + i * step..(run.start + (i + 1) * step).min(run.end))
        .filter(|piece| piece.start < piece.end)
}

/// Takes `range` out of the answers to `requests` (as from [`coalesce`]); without a copy where one answer
/// holds all of it.
pub(super) fn cut(range: &Range<u64>, requests: &[Range<u64>], answers: &[Bytes]) -> Bytes {
    if range.start >= range.end {
        return Bytes::new();
    }
    let first = requests.partition_point(|r| r.end <= range.start);
    let mut pieces =
        requests[first..].iter().zip(&answers[first..]).take_while(|(r, _)| r.start < range.end).map(
            |(request, answer)| {
                let from = range.start.max(request.start) - request.start;
                let to = range.end.min(request.end) - request.start;
                answer.slice(from as usize..to as usize)
            },
        );
    let piece = pieces.next().unwrap_or_default();
    if piece.len() as u64 == range.end - range.start {
        return piece;
    }
    let mut whole = BytesMut::with_capacity((range.end - range.start) as usize);
    whole.extend_from_slice(&piece);
    pieces.for_each(|piece| whole.extend_from_slice(&piece));
    whole.freeze()
}

#[cfg(test)]
#[allow(clippy::reversed_empty_ranges)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn near_ranges_are_joined_and_far_ones_are_not() {
        assert_eq!(coalesce(&[100..200, 0..100]), [0..200]);
        assert_eq!(coalesce(&[0..100_000, 110_000..200_000]), [0..200_000]);
        assert_eq!(coalesce(&[0..100_000, 120_000..200_000]), [0..100_000, 120_000..200_000]);
        assert_eq!(coalesce(&[5..5, 7..3]), [] as [Range<u64>; 0]);
    }

    #[test]
    fn waste_stays_bounded_where_small_ranges_lie_evenly_spread() {
        let ranges: Vec<_> = (0..1000).map(|i| i * 10_000..i * 10_000 + 1000).collect();
        let read: u64 = coalesce(&ranges).iter().map(|r| r.end - r.start).sum();
        let asked = 1000 * 1000;
        // Each request may waste one gap's worth; the share rules beyond that.
        assert!(read < 10 * asked && coalesce(&ranges).len() >= 400, "{read}");
        let ranges: Vec<_> = (0..1000).map(|i| i * 10_000..i * 10_000 + 9000).collect();
        let requests = coalesce(&ranges);
        assert!(requests.len() <= 4, "{}", requests.len());
    }

    #[test]
    fn long_runs_are_split() {
        let requests = coalesce(&[0..100 * TARGET + 1]);
        assert_eq!(requests.len(), 101);
        assert!(requests.iter().all(|r| r.end - r.start <= TARGET));
    }

    proptest! {
        #[test]
        fn every_byte_asked_for_comes_back(
            ranges in prop::collection::vec((0u64..60_000, 0u64..30_000).prop_map(|(a, n)| a..a + n), 0..30),
        ) {
            let object: Vec<u8> = (0..90_000u32).map(|i| ((i * 7919) >> 5) as u8).collect();
            let requests = coalesce(&ranges);
            prop_assert!(requests.windows(2).all(|w| w[0].end <= w[1].start));
            let answers: Vec<_> = requests
                .iter()
                .map(|r| Bytes::copy_from_slice(&object[r.start as usize..r.end as usize]))
                .collect();
            for range in &ranges {
                let want = &object[range.start as usize..range.end as usize];
                prop_assert_eq!(&cut(range, &requests, &answers)[..], want);
            }
        }
    }
}
