//! Rasters made from a plan, chunk by chunk: similarities, changes, clusters and colours as COG or picture.

use std::path::Path;

use rayon::prelude::*;
use terravec::sink::{Progress, check_absent, save_picture, tags_of};
use terravec::{Error, Extraction, Provenance, Result};
use terravec_geo::Window;
use terravec_io::tiff::{CogSpec, CogWriter, Interleave};
use terravec_io::{Codes, DType, Samples};

use crate::colour;

/// Side of a COG block.
pub(crate) const BLOCK: usize = 256;
/// More pixels than this in one picture are refused.
const MAX_PIXELS: usize = 1 << 28;

/// What the numbers are, which says how coarser levels and pictures are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Content {
    /// Quantities, float32, NaN where there is none. A picture shows the first band from its 2nd to its 98th percentile.
    Numbers,
    /// Classes from 0, uint8 or uint16; the largest number of the type where there is none.
    Classes,
    /// Red, green and blue, uint8, 1 to 255; 0 where there is none.
    Colours,
}

/// A raster to be made.
#[derive(Debug)]
pub struct Spec<'a> {
    /// `.tif` or `.png`.
    pub path: &'a Path,
    /// Whether to replace what is there.
    pub force: bool,
    /// Names of the bands.
    pub bands: Vec<String>,
    /// What they hold.
    pub content: Content,
    /// Type of the numbers.
    pub dtype: DType,
    /// Where the vectors come from.
    pub provenance: Provenance,
    /// Tags beside provenance, such as thresholds.
    pub tags: Vec<(String, String)>,
}

impl Spec<'_> {
    /// The number that says that there is none.
    fn nodata(&self) -> f64 {
        match (self.content, self.dtype) {
            (Content::Numbers, _) => f64::NAN,
            (Content::Colours, _) => 0.0,
            (Content::Classes, DType::U8) => 255.0,
            (Content::Classes, _) => 65535.0,
        }
    }
}

/// Refuses an output that can't be written, before anything is read.
///
/// # Errors
/// If it exists and `force` is not set, or its extension is neither `.tif` nor `.png`.
pub fn check(path: &Path, force: bool) -> Result<()> {
    check_absent(path, force)?;
    match extension(path).as_str() {
        "tif" | "tiff" | "png" => Ok(()),
        other => Err(Error::query(
            format!("{}: `.{other}` is no format of a map", path.display()),
            "use .tif or .png",
        )),
    }
}

fn extension(path: &Path) -> String {
    path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase()
}

/// Writes what `make` says of each window of the plan's grid: (band, y, x) numbers of the spec's type.
///
/// # Errors
/// As [`check`], or if reading or writing fails; nothing is left then.
pub fn write(
    plan: &Extraction,
    spec: &Spec<'_>,
    progress: Progress<'_>,
    make: &mut dyn FnMut(Window) -> Result<Codes>,
) -> Result<()> {
    check(spec.path, spec.force)?;
    if extension(spec.path) == "png" {
        picture(plan, spec, progress, make)
    } else {
        cog(plan, spec, progress, make)
    }
}

fn cog(
    plan: &Extraction,
    spec: &Spec<'_>,
    progress: Progress<'_>,
    make: &mut dyn FnMut(Window) -> Result<Codes>,
) -> Result<()> {
    let mut tags = tags_of(&spec.provenance);
    tags.extend(spec.tags.iter().cloned());
    let bands = spec.bands.len();
    let interleave = match spec.content {
        Content::Colours => Interleave::Pixel,
        _ => Interleave::Band,
    };
    let writer = CogWriter::create(
        spec.path,
        CogSpec {
            block: BLOCK,
            interleave,
            nodata: Some(spec.nodata()),
            band_names: spec.bands.clone(),
            tags,
            ..CogSpec::new(plan.grid.clone(), bands, spec.dtype)
        },
    )?;
    let chunks = plan.chunks(BLOCK);
    for (done, window) in chunks.iter().enumerate() {
        let codes = make(*window)?;
        write_window(&writer, *window, &codes)?;
        progress(done + 1, chunks.len());
    }
    let content = spec.content;
    Ok(writer.finish(&move |codes| halve(codes, content))?)
}

/// Writes a window of whole blocks, side by side.
pub(crate) fn write_window(writer: &CogWriter, window: Window, codes: &Codes) -> Result<()> {
    let corners: Vec<(usize, usize)> = (0..window.height)
        .step_by(BLOCK)
        .flat_map(|row| (0..window.width).step_by(BLOCK).map(move |col| (row, col)))
        .collect();
    corners.par_iter().try_for_each(|&(row, col)| {
        let (h, w) = (BLOCK.min(window.height - row), BLOCK.min(window.width - col));
        let block = codes.crop(row, col, h, w);
        Ok(writer.write_block((window.col + col) / BLOCK, (window.row + row) / BLOCK, &block)?)
    })
}

fn picture(
    plan: &Extraction,
    spec: &Spec<'_>,
    progress: Progress<'_>,
    make: &mut dyn FnMut(Window) -> Result<Codes>,
) -> Result<()> {
    let (w, h) = (plan.grid.width, plan.grid.height);
    if w.saturating_mul(h) > MAX_PIXELS {
        return Err(Error::query(
            format!("a picture of {w} × {h} pixels is too large"),
            "ask for a coarser resolution, or write a .tif",
        ));
    }
    let shown = if spec.content == Content::Colours { 3 } else { 1 };
    let mut planes = Samples::filled(spec.dtype, shown * w * h, spec.nodata());
    let chunks = plan.chunks(1);
    for (done, window) in chunks.iter().enumerate() {
        let codes = make(*window)?;
        paste(&mut planes, &codes, *window, (w, h), shown);
        progress(done + 1, chunks.len());
    }
    let rgba = match (&planes, spec.content) {
        (Samples::F32(v), Content::Numbers) => colour::ramp(v),
        (Samples::U8(v), Content::Colours) => colour::planes(v, w * h),
        (Samples::U8(v), _) => colour::classes(v.iter().map(|c| (*c != u8::MAX).then_some(usize::from(*c)))),
        (Samples::U16(v), _) => {
            colour::classes(v.iter().map(|c| (*c != u16::MAX).then_some(usize::from(*c))))
        }
        _ => unreachable!("maps are of these types"),
    };
    save_picture(spec.path, w, h, &rgba)
}

/// Copies the first `shown` bands of a chunk into whole planes.
fn paste(planes: &mut Samples, chunk: &Codes, window: Window, (w, h): (usize, usize), shown: usize) {
    macro_rules! arms {
        ($($t:ident),*) => {
            match (planes, &chunk.samples) {
                $((Samples::$t(out), Samples::$t(c)) => {
                    for band in 0..shown {
                        for row in 0..window.height {
                            let from = (band * window.height + row) * window.width;
                            let to = band * w * h + (window.row + row) * w + window.col;
                            out[to..to + window.width].copy_from_slice(&c[from..from + window.width]);
                        }
                    }
                })*
                _ => unreachable!("chunks are of the map's type"),
            }
        };
    }
    arms!(U8, U16, F32);
}

/// Half the pixels: means of numbers and colours, the most frequent of classes (of several the lowest).
pub(crate) fn halve(codes: &Codes, content: Content) -> Codes {
    let (h, w) = (codes.height.div_ceil(2), codes.width.div_ceil(2));
    macro_rules! each {
        ($v:expr, $zero:expr, $of:expr) => {{
            let mut out = Vec::with_capacity(codes.bands * h * w);
            for plane in $v.chunks_exact((codes.height * codes.width).max(1)) {
                for y in 0..h {
                    for x in 0..w {
                        let mut group = [$zero; 4];
                        let mut n = 0;
                        for row in 2 * y..(2 * y + 2).min(codes.height) {
                            for col in 2 * x..(2 * x + 2).min(codes.width) {
                                group[n] = plane[row * codes.width + col];
                                n += 1;
                            }
                        }
                        out.push($of(&group[..n]));
                    }
                }
            }
            out
        }};
    }
    let samples = match (&codes.samples, content) {
        (Samples::F32(v), _) => Samples::F32(each!(v, 0f32, mean)),
        (Samples::U8(v), Content::Colours) => Samples::U8(each!(v, 0u8, mean_colour)),
        (Samples::U8(v), _) => Samples::U8(each!(v, 0u8, |g: &[u8]| most(g, u8::MAX))),
        (Samples::U16(v), _) => Samples::U16(each!(v, 0u16, |g: &[u16]| most(g, u16::MAX))),
        _ => unreachable!("maps are of these types"),
    };
    Codes::new(samples, codes.bands, h, w)
}

#[allow(clippy::cast_precision_loss)]
fn mean(group: &[f32]) -> f32 {
    let (sum, n) = group.iter().filter(|v| !v.is_nan()).fold((0f32, 0), |(s, n), v| (s + v, n + 1));
    if n == 0 { f32::NAN } else { sum / n as f32 }
}

fn mean_colour(group: &[u8]) -> u8 {
    let (sum, n) = group.iter().filter(|v| **v > 0).fold((0u32, 0), |(s, n), v| (s + u32::from(*v), n + 1));
    (sum + n / 2).checked_div(n).and_then(|v| u8::try_from(v).ok()).unwrap_or(0)
}

fn most<T: Copy + Ord>(group: &[T], none: T) -> T {
    let count = |v: T| group.iter().filter(|g| **g == v).count();
    let there = group.iter().copied().filter(|v| *v != none);
    there.max_by(|a, b| count(*a).cmp(&count(*b)).then(b.cmp(a))).unwrap_or(none)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coarser_levels_keep_what_the_numbers_mean() {
        assert_eq!(mean(&[1.0, f32::NAN, 3.0]), 2.0);
        assert!(mean(&[f32::NAN; 2]).is_nan());
        assert_eq!((mean_colour(&[0, 10, 20]), mean_colour(&[0, 0])), (15, 0));
        assert_eq!((most(&[3u8, 255, 3, 1], 255), most(&[2, 1], 255), most(&[255u8; 4], 255)), (3, 1, 255));
        let codes = Codes::new(Samples::U8(vec![1, 1, 2, 255, 255, 2]), 1, 2, 3);
        assert_eq!(halve(&codes, Content::Classes).samples, Samples::U8(vec![1, 2]));
    }
}
