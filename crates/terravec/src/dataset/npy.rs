//! Tiles kept as NumPy files: codes, and where there are some the scale of each pixel.

use terravec_geo::{Grid, Window};
use terravec_io::npy::{Npy, Span};
use terravec_io::source::Location;
use terravec_io::tiff::GeoTiff;
use terravec_io::{Codes, DType, Samples};

use crate::error::Result;
use crate::query::pixels::NO_SCALE;

/// Pixels along the side of a block, as an array has none of its own.
const BLOCK: usize = 256;

/// Which axis is which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axes {
    /// (row, column, band).
    BandLast,
    /// (band, row, column).
    BandFirst,
    /// (time, band, row, column), at this time.
    Step(usize),
}

/// An open tile.
#[derive(Debug)]
pub(crate) struct NpyTile {
    pub(super) codes: Npy,
    pub(super) axes: Axes,
    pub(super) scales: Option<Npy>,
    /// The folder with the file that says where the tile lies.
    pub(super) place_folder: Option<Location>,
    /// The file that says where there is water, and with which number.
    pub(super) water: Option<(GeoTiff, f64)>,
    pub(super) grid: Grid,
    pub(super) names: Vec<Option<String>>,
    pub(super) nodata: Option<f64>,
    /// Scales outside, bounds included, are none.
    pub(super) bounds: (f64, f64),
}

impl NpyTile {
    pub(super) fn grid(&self) -> &Grid {
        &self.grid
    }

    pub(super) fn bands(&self) -> usize {
        self.names.len()
    }

    /// Codes whose scales differ from band to band are handed out multiplied.
    pub(super) fn dtype(&self) -> DType {
        if self.scaled_by_band() { DType::F32 } else { self.codes.header().dtype }
    }

    pub(super) fn nodata(&self) -> Option<f64> {
        self.nodata
    }

    pub(super) fn block_size(&self) -> (usize, usize) {
        (self.grid.width.clamp(1, BLOCK), self.grid.height.clamp(1, BLOCK))
    }

    pub(super) fn band_names(&self) -> Vec<Option<String>> {
        self.names.clone()
    }

    pub(super) fn layout(&self) -> String {
        let axes = match self.axes {
            Axes::BandLast => "(y, x, band)",
            Axes::BandFirst => "(band, y, x)",
            Axes::Step(_) => "(time, band, y, x)",
        };
        let scales = match &self.scales {
            Some(s) if s.header().shape.len() == 3 && self.axes == Axes::BandLast => ", a scale per number",
            Some(_) => ", a scale per pixel",
            None => "",
        };
        format!("NPY, {axes}{scales}")
    }

    fn scaled_by_band(&self) -> bool {
        self.axes == Axes::BandLast && self.scales.as_ref().is_some_and(|s| s.header().shape.len() == 3)
    }

    pub(super) fn read(&self, bands: &[usize], window: Window) -> Result<Codes> {
        self.windows(bands, &[window], window.height, window.width)
    }

    pub(super) fn read_points(&self, bands: &[usize], at: &[(usize, usize)]) -> Result<Codes> {
        let windows: Vec<_> = at.iter().map(|&(col, row)| Window { col, row, width: 1, height: 1 }).collect();
        self.windows(bands, &windows, 1, at.len())
    }

    /// Reads windows that together make a block of `height` × `width` pixels, row by row.
    fn windows(&self, bands: &[usize], windows: &[Window], height: usize, width: usize) -> Result<Codes> {
        let planes = height * width;
        if planes == 0 || bands.is_empty() {
            return Ok(Codes::filled(self.dtype(), bands.len(), height, width, 0.0));
        }
        let rows = |w: &Window| w.row..w.end_row();
        let cols = |w: &Window| w.col..w.end_col();
        let samples = match self.axes {
            Axes::BandLast => self.pixels(&self.codes, windows, bands)?,
            Axes::BandFirst | Axes::Step(_) => {
                let spans = bands.iter().flat_map(|&b| windows.iter().map(move |w| (b, w)));
                let span = |(b, w): (usize, &Window)| self.span(vec![b..b + 1, rows(w), cols(w)]);
                self.codes.read(&spans.map(span).collect::<Vec<_>>())?
            }
        };
        let Some(scales) = &self.scales else { return Ok(Codes::new(samples, bands.len(), height, width)) };
        if self.scaled_by_band() {
            let scales = self.pixels(scales, windows, bands)?;
            return Ok(Codes::new(multiplied(samples, scales, self.bounds), bands.len(), height, width));
        }
        let spans: Vec<Span> = windows.iter().map(|w| self.span(vec![rows(w), cols(w)])).collect();
        let mut scales = floats(scales.read(&spans)?);
        self.say_water(&mut scales, windows)?;
        Ok(Codes::new(samples, bands.len(), height, width).with_scales(scales))
    }

    /// Band by band, from an array whose last axis is the band.
    fn pixels(&self, npy: &Npy, windows: &[Window], bands: &[usize]) -> Result<Samples> {
        let (first, last) =
            (bands.iter().min().copied().unwrap_or(0), bands.iter().max().copied().unwrap_or(0));
        let span = |w: &Window| vec![w.row..w.end_row(), w.col..w.end_col(), first..last + 1];
        let samples = npy.read(&windows.iter().map(span).collect::<Vec<_>>())?;
        let depth = last + 1 - first;
        let turned = samples.transposed(depth);
        if bands.len() == depth && bands.is_sorted() {
            return Ok(turned);
        }
        let planes = turned.len() / depth;
        let wanted: Vec<usize> = bands.iter().map(|b| b - first).collect();
        Ok(Codes::new(turned, depth, 1, planes).select(&wanted).samples)
    }

    fn span(&self, mut axes: Span) -> Span {
        if let Axes::Step(step) = self.axes {
            axes.insert(0, step..step + 1);
        }
        axes
    }

    /// Scales that are none say which of the two reasons holds.
    fn say_water(&self, scales: &mut [f32], windows: &[Window]) -> Result<()> {
        let Some((tiff, value)) = &self.water else { return Ok(()) };
        if scales.iter().all(|s| s.is_finite()) {
            return Ok(());
        }
        let masks = if let [window] = windows {
            tiff.read(0, &[0], *window)?
        } else {
            let at: Vec<_> = windows.iter().map(|w| (w.col, w.row)).collect();
            tiff.read_points(&[0], &at)?
        };
        let values = floats(masks.samples);
        for (scale, mask) in scales.iter_mut().zip(values) {
            #[allow(clippy::float_cmp)]
            if !scale.is_finite() {
                *scale = if f64::from(mask) == *value { f32::NAN } else { NO_SCALE };
            }
        }
        Ok(())
    }
}

fn floats(samples: Samples) -> Vec<f32> {
    match samples {
        Samples::F32(v) => v,
        #[allow(clippy::cast_possible_truncation)]
        samples => {
            terravec_io::with_samples!(samples, v => v.into_iter().map(|q| crate::codec::Number::to_f64(q) as f32).collect())
        }
    }
}

/// Codes times scales, number by number; NaN where a scale is none.
fn multiplied(codes: Samples, scales: Samples, (low, high): (f64, f64)) -> Samples {
    let usable = |s: f32| if f64::from(s) > low && f64::from(s) < high { s } else { f32::NAN };
    Samples::F32(floats(codes).into_iter().zip(floats(scales)).map(|(q, s)| q * usable(s)).collect())
}
