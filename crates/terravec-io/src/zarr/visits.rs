//! Which chunks single places need, and where in them their numbers lie.

use std::collections::BTreeMap;
use std::ops::Range;

use super::array::{Region, cells_of};
use super::nd;

/// Chunks to visit for points on two axes, with all other axes over a region.
pub(super) struct Visits {
    /// Elements along the other axes.
    pub(super) sizes: Vec<usize>,
    /// Chunks, each once.
    pub(super) cells: Vec<Vec<u64>>,
    /// The other axes, what is read of them, and how long a chunk is along them.
    others: Vec<usize>,
    rest: Region,
    rest_chunk: Vec<usize>,
    /// Of each chunk: which points, and its place along the other axes.
    members: Vec<(usize, Vec<u64>)>,
    points: Vec<Vec<usize>>,
}

impl Visits {
    pub(super) fn plan(
        region: &[Range<u64>],
        axes: [usize; 2],
        points: &[(u64, u64)],
        chunk: &[usize],
    ) -> Self {
        let others: Vec<usize> = (0..region.len()).filter(|a| !axes.contains(a)).collect();
        let rest: Region = others.iter().map(|&a| region[a].clone()).collect();
        let rest_chunk: Vec<usize> = others.iter().map(|&a| chunk[a]).collect();
        let sizes = rest.iter().map(|r| (r.end - r.start) as usize).collect();
        // Points by chunk, then the chunks along the other axes.
        let mut by_place: BTreeMap<(u64, u64), Vec<usize>> = BTreeMap::new();
        let (ca, cb) = (chunk[axes[0]] as u64, chunk[axes[1]] as u64);
        for (i, &(a, b)) in points.iter().enumerate() {
            by_place.entry((a / ca, b / cb)).or_default().push(i);
        }
        let rest_cells = cells_of(&rest, &rest_chunk);
        let (mut cells, mut members, mut inside) = (Vec::new(), Vec::new(), Vec::new());
        for ((a, b), points) in by_place {
            for cell in &rest_cells {
                let mut whole = vec![0; region.len()];
                (whole[axes[0]], whole[axes[1]]) = (a, b);
                others.iter().zip(cell).for_each(|(&axis, c)| whole[axis] = *c);
                cells.push(whole);
                members.push((inside.len(), cell.clone()));
            }
            inside.push(points);
        }
        Self { sizes, cells, others, rest, rest_chunk, members, points: inside }
    }

    /// The points in chunk `index`; and, for each number along the other axes, where it lies from the place of a point in the chunk
    /// (whose elements are `strides` apart), and where in the answer for one point.
    pub(super) fn at(&self, index: usize, strides: &[usize]) -> (&[usize], Vec<(usize, usize)>) {
        let (points, cell) = &self.members[index];
        let width = nd::strides(&self.sizes);
        let parts: Vec<(usize, usize, usize)> = (0..self.others.len())
            .map(|i| {
                let (range, length) = (&self.rest[i], self.rest_chunk[i] as u64);
                let origin = cell[i] * length;
                let (from, to) = (range.start.max(origin), range.end.min(origin + length));
                ((from - origin) as usize, (from - range.start) as usize, (to - from) as usize)
            })
            .collect();
        let mut column = Vec::new();
        nd::each(&parts.iter().map(|p| p.2).collect::<Vec<_>>(), |at| {
            let place = |i: usize, n: usize| (parts[i].0 + n) * strides[self.others[i]];
            let source = at.iter().enumerate().map(|(i, n)| place(i, *n)).sum();
            let target = at.iter().enumerate().map(|(i, n)| (parts[i].1 + n) * width[i]).sum();
            column.push((source, target));
        });
        (&self.points[*points], column)
    }
}
