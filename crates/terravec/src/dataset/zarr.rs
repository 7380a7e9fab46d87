//! Arrays of a Zarr store as a raster: which axis is which, and windows in (band, y, x), north first.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use terravec_geo::{Grid, Window};
use terravec_io::zarr::{Array, Begun, ZarrError};
use terravec_io::{Codes, DType, Samples, with_samples};

use crate::error::Result;

/// Codes of one grid at all times, and the scales of their pixels.
#[derive(Debug)]
pub(crate) struct ZarrGrid {
    pub(super) codes: Array,
    pub(super) axes: Axes,
    /// Of codes that mean nothing without them.
    pub(super) scales: Option<(Array, Axes)>,
    /// North-up.
    pub(super) grid: Grid,
    /// Whether row 0 of the array is the southernmost.
    pub(super) south_up: bool,
    /// Numbers of a vector that are read: the first so many.
    pub(super) depth: usize,
    pub(super) names: Vec<Option<String>>,
    pub(super) nodata: Option<f64>,
}

/// Which axis of an array is which. Axes that are none of these have one element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Axes {
    pub(super) time: Option<usize>,
    pub(super) band: Option<usize>,
    pub(super) y: usize,
    pub(super) x: usize,
}

/// One time of a grid.
#[derive(Debug)]
pub(crate) struct ZarrTile {
    pub(super) of: Arc<ZarrGrid>,
    pub(super) step: usize,
}

impl ZarrTile {
    /// The grid, rows north first.
    pub(super) fn grid(&self) -> &Grid {
        &self.of.grid
    }

    /// Stored bands.
    pub(super) fn bands(&self) -> usize {
        self.of.depth
    }

    /// The type of the stored numbers.
    pub(super) fn dtype(&self) -> DType {
        // Checked when the store was opened.
        self.of.codes.dtype().unwrap_or(DType::F32)
    }

    pub(super) fn nodata(&self) -> Option<f64> {
        self.of.nodata
    }

    pub(super) fn was_south_up(&self) -> bool {
        self.of.south_up
    }

    pub(super) fn band_names(&self) -> Vec<Option<String>> {
        self.of.names.clone()
    }

    /// Columns and rows of an inner chunk.
    pub(super) fn block_size(&self) -> (usize, usize) {
        let chunk = self.of.codes.chunk_shape();
        let (x, y) = (chunk[self.of.axes.x], chunk[self.of.axes.y]);
        (x.min(self.of.grid.width), y.min(self.of.grid.height))
    }

    pub(super) fn layout(&self) -> String {
        let (codes, axes) = (&self.of.codes, &self.of.axes);
        let meta = codes.metadata();
        let side = |shape: &[usize]| format!("{}×{}", shape[axes.x], shape[axes.y]);
        let names: Vec<&str> = meta.dimension_names.iter().map(|n| n.as_deref().unwrap_or("?")).collect();
        let shards = codes.shard_shape().map_or(String::new(), |s| format!(" in shards of {}", side(s)));
        format!(
            "Zarr v{}, ({}), {} chunks{shards}, {}",
            meta.format,
            names.join(", "),
            side(codes.chunk_shape()),
            if meta.codecs.is_empty() { "uncompressed" } else { &meta.codecs }
        )
    }

    /// Stored bands `bands` of `window`; every inner chunk is fetched and decoded once.
    pub(super) fn read(&self, bands: &[usize], window: Window) -> Result<Codes> {
        let (span, picked) = span_of(bands);
        let rows = self.rows(window.row, window.height);
        let columns = window.col as u64..(window.col + window.width) as u64;
        let size = [span.end - span.start, window.height, window.width];
        let region =
            |axes: &Axes, array: &Array| self.region(array, axes, &span, rows.clone(), columns.clone());
        let arrange = |samples: Samples, axes: &Axes, size: [usize; 3]| {
            let samples = in_order(samples, axes, size);
            if self.of.south_up { upside_down(&samples, size) } else { samples }
        };
        let (codes, scales) = self.both(
            |array, axes| array.begin(&region(axes, array)),
            |array, axes, begun| array.read_samples_begun(&region(axes, array), begun),
        )?;
        let codes = arrange(codes, &self.of.axes, size);
        let scales = scales.zip(self.of.scales.as_ref());
        let scales = scales.map(|(s, (_, axes))| arrange(s, axes, [1, size[1], size[2]]));
        Ok(finish(codes, scales, size, picked.as_deref()))
    }

    /// Stored bands `bands` of single pixels (column, row); shape (bands, 1, n).
    pub(super) fn read_points(&self, bands: &[usize], at: &[(usize, usize)]) -> Result<Codes> {
        let (span, picked) = span_of(bands);
        let size = [span.end - span.start, 1, at.len()];
        let points: Vec<(u64, u64)> =
            at.iter().map(|&(col, row)| (self.rows(row, 1).start, col as u64)).collect();
        let region = |axes: &Axes, array: &Array| self.region(array, axes, &span, 0..0, 0..0);
        let (codes, scales) = self.both(
            |array, axes| array.begin_points(&region(axes, array), [axes.y, axes.x], &points),
            |array, axes, begun| {
                array.read_points_begun(&region(axes, array), [axes.y, axes.x], &points, begun)
            },
        )?;
        Ok(finish(codes, scales, size, picked.as_deref()))
    }

    /// Codes and scales: asked for at the same time, decoded one after the other, as decoding keeps all threads busy.
    fn both(
        &self,
        begin: impl Fn(&Array, &Axes) -> Result<Begun, ZarrError> + Sync,
        read: impl Fn(&Array, &Axes, Begun) -> Result<Samples, ZarrError>,
    ) -> Result<(Samples, Option<Samples>)> {
        let (codes, axes) = (&self.of.codes, &self.of.axes);
        let Some((scales, scale_axes)) = &self.of.scales else {
            return Ok((read(codes, axes, begin(codes, axes)?)?, None));
        };
        let (begun, beside) = std::thread::scope(|scope| {
            let beside = scope.spawn(|| begin(scales, scale_axes));
            let begun = begin(codes, axes);
            (begun, beside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        Ok((read(codes, axes, begun?)?, Some(read(scales, scale_axes, beside?)?)))
    }

    /// The files of the store that hold the numbers of `window`.
    pub(super) fn files(&self, window: Window) -> Result<BTreeSet<String>> {
        let rows = self.rows(window.row, window.height);
        let columns = window.col as u64..(window.col + window.width) as u64;
        let of = |array: &Array, axes: &Axes| {
            array.files(&self.region(array, axes, &(0..self.of.depth), rows.clone(), columns.clone()))
        };
        let mut files = of(&self.of.codes, &self.of.axes)?;
        if let Some((scales, axes)) = &self.of.scales {
            files.extend(of(scales, axes)?);
        }
        Ok(files)
    }

    /// Rows of the array for rows counted from the north.
    fn rows(&self, row: usize, height: usize) -> Range<u64> {
        let first = if self.of.south_up { self.of.grid.height - row - height } else { row };
        first as u64..(first + height) as u64
    }

    fn region(
        &self,
        array: &Array,
        axes: &Axes,
        bands: &Range<usize>,
        rows: Range<u64>,
        columns: Range<u64>,
    ) -> Vec<Range<u64>> {
        let mut region = vec![0..1; array.metadata().shape.len()];
        if let Some(time) = axes.time {
            region[time] = self.step as u64..self.step as u64 + 1;
        }
        if let Some(band) = axes.band {
            region[band] = bands.start as u64..bands.end as u64;
        }
        (region[axes.y], region[axes.x]) = (rows, columns);
        region
    }
}

/// The run of bands that holds `bands`, and which of the run they are where they are not all of it.
fn span_of(bands: &[usize]) -> (Range<usize>, Option<Vec<usize>>) {
    let first = bands.iter().copied().min().unwrap_or(0);
    let end = bands.iter().copied().max().map_or(0, |last| last + 1);
    let all = bands.iter().copied().eq(first..end);
    (first..end, (!all).then(|| bands.iter().map(|b| b - first).collect()))
}

fn finish(codes: Samples, scales: Option<Samples>, size: [usize; 3], picked: Option<&[usize]>) -> Codes {
    let [bands, height, width] = size;
    let mut codes = Codes::new(codes, bands, height, width);
    if let Some(scales) = scales {
        codes = codes.with_scales(match scales {
            Samples::F32(v) => v,
            #[allow(clippy::cast_possible_truncation, clippy::useless_conversion)]
            other => with_samples!(&other, v => v.iter().map(|s| f64::from(*s) as f32).collect()),
        });
    }
    match picked {
        Some(bands) => codes.select(bands),
        None => codes,
    }
}

/// Numbers in the order of an array's axes become (band, y, x), of `size`.
fn in_order(samples: Samples, axes: &Axes, size: [usize; 3]) -> Samples {
    let [bands, height, width] = size;
    // Without a band, as if it came first.
    let band = axes.band.map_or(-1, |b| b as i64);
    let (y, x) = (axes.y as i64, axes.x as i64);
    if band < y && y < x || samples.is_empty() {
        return samples;
    }
    if y < x && x < band {
        return samples.transposed(bands);
    }
    let mut order = [(band, 0), (y, 1), (x, 2)];
    order.sort_unstable();
    let mut strides = [0; 3];
    let mut step = 1;
    for (_, axis) in order.iter().rev() {
        strides[*axis] = step;
        step *= size[*axis];
    }
    with_samples!(&samples, v => {
        let mut out = Vec::with_capacity(v.len());
        for b in 0..bands {
            for r in 0..height {
                out.extend((0..width).map(|c| v[b * strides[0] + r * strides[1] + c * strides[2]]));
            }
        }
        Samples::from(out)
    })
}

/// The last row first.
fn upside_down(samples: &Samples, [bands, height, width]: [usize; 3]) -> Samples {
    with_samples!(samples, v => {
        let mut out = Vec::with_capacity(v.len());
        for b in 0..bands {
            for r in (0..height).rev() {
                out.extend_from_slice(&v[(b * height + r) * width..][..width]);
            }
        }
        Samples::from(out)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_in_any_order_become_band_y_x() {
        let want: Vec<i32> = (0..24).collect();
        let size = [2, 3, 4];
        for (band, y, x) in [(0, 1, 2), (2, 0, 1), (1, 0, 2), (0, 2, 1), (1, 2, 0), (2, 1, 0)] {
            let mut sizes = [0; 3];
            (sizes[band], sizes[y], sizes[x]) = (2, 3, 4);
            let mut stored = vec![0; 24];
            for (i, n) in want.iter().enumerate() {
                let mut at = [0; 3];
                (at[band], at[y], at[x]) = (i / 12, i / 4 % 3, i % 4);
                stored[(at[0] * sizes[1] + at[1]) * sizes[2] + at[2]] = *n;
            }
            let axes = Axes { time: None, band: Some(band), y, x };
            assert_eq!(in_order(Samples::I32(stored), &axes, size), Samples::I32(want.clone()), "{axes:?}");
        }
        let flipped = upside_down(&Samples::U8(vec![1, 2, 3, 4]), [1, 2, 2]);
        assert_eq!(flipped, Samples::U8(vec![3, 4, 1, 2]));
    }
}
