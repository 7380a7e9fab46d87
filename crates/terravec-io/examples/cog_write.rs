//! Writes a cloud-optimised GeoTIFF from a raw array: `cog_write SPEC.json DATA OUT.tif`.
//!
//! DATA holds little-endian numbers in (band, y, x) order. SPEC.json:
//!
//! ```json
//! {"width": 300, "height": 200, "bands": 64, "dtype": "int8", "crs": "EPSG:32616",
//!  "transform": [10, 0, 500000, 0, -10, 4000000],
//!  "block": 256, "interleave": "tile", "compression": "zstd", "level": 3, "predictor": true,
//!  "big_tiff": false, "nodata": "-128", "band_names": [], "scale_offset": [], "tags": [["KEY", "value"]],
//!  "reduce": "mean", "skip": [[0, 1]]}
//! ```
//!
//! The first six keys are needed. `reduce` says how overviews are made: `first` takes the north-west pixel of
//! four, `mean` averages the pixels that are not nodata. `skip` lists blocks (column, row) to leave unwritten.
//! Blocks are read and written one by one, last first, so arrays larger than memory are no trouble.

use std::error::Error;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use half::f16;
use serde::Deserialize;
use terravec_geo::{Affine, Crs, Grid};
use terravec_io::tiff::Interleave;
use terravec_io::tiff::write::{CogSpec, CogWriter, Compression};
use terravec_io::{Codes, DType, Samples, with_samples};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Job {
    width: usize,
    height: usize,
    bands: usize,
    dtype: String,
    crs: String,
    transform: [f64; 6],
    block: Option<usize>,
    interleave: Option<String>,
    compression: Option<String>,
    level: Option<u32>,
    predictor: Option<bool>,
    #[serde(default)]
    big_tiff: bool,
    nodata: Option<String>,
    #[serde(default)]
    band_names: Vec<String>,
    #[serde(default)]
    scale_offset: Vec<(f64, f64)>,
    #[serde(default)]
    tags: Vec<(String, String)>,
    reduce: Option<String>,
    #[serde(default)]
    skip: Vec<(usize, usize)>,
}

impl Job {
    fn spec(self) -> Result<CogSpec, Box<dyn Error>> {
        let dtype = DType::from_name(&self.dtype).ok_or_else(|| format!("no type {}", self.dtype))?;
        let [a, b, c, d, e, f] = self.transform;
        let grid = Grid {
            crs: Crs::parse(&self.crs)?,
            affine: Affine::new(a, b, c, d, e, f),
            width: self.width,
            height: self.height,
        };
        let mut spec = CogSpec::new(grid, self.bands, dtype);
        spec.block = self.block.unwrap_or(spec.block);
        spec.interleave = match self.interleave.as_deref() {
            None => spec.interleave,
            Some("pixel") => Interleave::Pixel,
            Some("band") => Interleave::Band,
            Some("tile") => Interleave::Tile,
            Some(other) => return Err(format!("no interleave {other}").into()),
        };
        spec.compression = match (self.compression.as_deref(), self.level) {
            (None, None) => spec.compression,
            (None | Some("zstd"), level) => Compression::Zstd(level.unwrap_or(3).try_into()?),
            (Some("deflate"), level) => Compression::Deflate(level.unwrap_or(6)),
            (Some("lzw"), _) => Compression::Lzw,
            (Some("none"), _) => Compression::None,
            (Some(other), _) => return Err(format!("no compression {other}").into()),
        };
        spec.predictor = self.predictor.unwrap_or(spec.predictor);
        spec.big_tiff = self.big_tiff;
        spec.nodata = self.nodata.map(|text| text.parse()).transpose()?;
        spec.band_names = self.band_names;
        spec.scale_offset = self.scale_offset;
        spec.tags = self.tags;
        Ok(spec)
    }
}

/// Numbers of `dtype` from little-endian bytes.
fn samples_from(dtype: DType, bytes: &[u8]) -> Samples {
    macro_rules! parse {
        ($kind:ident, $type:ty) => {
            Samples::$kind(bytes.as_chunks().0.iter().map(|&b| <$type>::from_le_bytes(b)).collect())
        };
    }
    match dtype {
        DType::U8 => parse!(U8, u8),
        DType::I8 => parse!(I8, i8),
        DType::U16 => parse!(U16, u16),
        DType::I16 => parse!(I16, i16),
        DType::U32 => parse!(U32, u32),
        DType::I32 => parse!(I32, i32),
        DType::F16 => parse!(F16, f16),
        DType::F32 => parse!(F32, f32),
        DType::F64 => parse!(F64, f64),
    }
}

/// Values back to `dtype`, rounded half to even for integers.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn samples_of(dtype: DType, values: &[f64]) -> Samples {
    macro_rules! cast {
        ($kind:ident, $type:ty) => {
            Samples::$kind(values.iter().map(|v| v.round_ties_even() as $type).collect())
        };
    }
    match dtype {
        DType::U8 => cast!(U8, u8),
        DType::I8 => cast!(I8, i8),
        DType::U16 => cast!(U16, u16),
        DType::I16 => cast!(I16, i16),
        DType::U32 => cast!(U32, u32),
        DType::I32 => cast!(I32, i32),
        DType::F16 => Samples::F16(values.iter().map(|&v| f16::from_f64(v)).collect()),
        DType::F32 => Samples::F32(values.iter().map(|&v| v as f32).collect()),
        DType::F64 => Samples::F64(values.to_vec()),
    }
}

/// Halves rows and columns.
#[allow(clippy::useless_conversion)] // for one of the types
fn reduce(codes: &Codes, mean: bool, nodata: Option<f64>) -> Codes {
    let values: Vec<f64> = with_samples!(&codes.samples, v => v.iter().map(|&x| f64::from(x)).collect());
    let (height, width) = (codes.height.div_ceil(2), codes.width.div_ceil(2));
    let missing = |v: f64| v.is_nan() || nodata == Some(v);
    let mut out = Vec::with_capacity(codes.bands * height * width);
    for band in values.chunks(codes.height * codes.width) {
        for y in 0..height {
            for x in 0..width {
                let pixels = [(0, 0), (0, 1), (1, 0), (1, 1)].into_iter().filter_map(|(dy, dx)| {
                    let (y, x) = (2 * y + dy, 2 * x + dx);
                    (y < codes.height && x < codes.width).then(|| band[y * codes.width + x])
                });
                let (sum, n) = pixels
                    .take(if mean { 4 } else { 1 })
                    .filter(|&v| !missing(v))
                    .fold((0.0, 0.0), |(sum, n), v| (sum + v, n + 1.0));
                out.push(if n > 0.0 { sum / n } else { nodata.unwrap_or(f64::NAN) });
            }
        }
    }
    Codes::new(samples_of(codes.dtype(), &out), codes.bands, height, width)
}

fn run(job: &str, data: &str, out: &str) -> Result<(), Box<dyn Error>> {
    let job: Job = serde_json::from_reader(File::open(job)?)?;
    let mean = match job.reduce.as_deref() {
        None | Some("mean") => true,
        Some("first") => false,
        Some(other) => return Err(format!("no reduction {other}").into()),
    };
    let skip = job.skip.clone();
    let spec = job.spec()?;
    let (block, bands, dtype, nodata) = (spec.block, spec.bands, spec.dtype, spec.nodata);
    let (full_width, full_height) = (spec.grid.width, spec.grid.height);

    let mut data = File::open(data)?;
    let writer = CogWriter::create(Path::new(out), spec)?;
    let (across, down) = writer.blocks();
    for (by, bx) in (0..down).rev().flat_map(|by| (0..across).rev().map(move |bx| (by, bx))) {
        if skip.contains(&(bx, by)) {
            continue;
        }
        let (height, width) = (block.min(full_height - by * block), block.min(full_width - bx * block));
        let mut bytes = vec![0; bands * height * width * dtype.size()];
        for (i, row) in bytes.chunks_exact_mut(width * dtype.size()).enumerate() {
            let (band, y) = (i / height, by * block + i % height);
            let first = (band * full_height + y) * full_width + bx * block;
            data.seek(SeekFrom::Start((first * dtype.size()) as u64))?;
            data.read_exact(row)?;
        }
        writer.write_block(bx, by, &Codes::new(samples_from(dtype, &bytes), bands, height, width))?;
    }
    writer.finish(&|codes| reduce(codes, mean, nodata))?;
    Ok(())
}

fn main() -> std::process::ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [job, data, out] = args.as_slice() else {
        eprintln!("usage: cog_write SPEC.json DATA OUT.tif");
        return std::process::ExitCode::from(2);
    };
    match run(job, data, out) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
