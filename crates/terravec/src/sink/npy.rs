//! An extraction as a NumPy file, (band, y, x) or (time, band, y, x), with a JSON sidecar that says where it lies. Codes that are to be
//! multiplied with a scale get those in a file of their own, `NAME_scales.npy`, without the band axis.

use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use terravec_geo::Window;
use terravec_io::atomic::PendingFile;
use terravec_io::{DType, Samples, with_samples};

use super::{Progress, Written, check_absent, numbers, total, with_suffix};
use crate::dataset::GridSummary;
use crate::error::{Error, Result};
use crate::query::extract::Extraction;
use crate::query::pixels::{Kind, NO_SCALE};

pub(super) fn write(plan: &Extraction, path: &Path, force: bool, progress: Progress<'_>) -> Result<Written> {
    let sidecar = path.with_extension("json");
    check_absent(&sidecar, force)?;
    let dtype = match plan.kind {
        Kind::Vectors => DType::F32,
        Kind::Codes(dtype, _) => dtype,
    };
    let (height, width, bands) = (plan.grid.height, plan.grid.width, plan.band_names.len());
    let mut shape = vec![bands, height, width];
    if plan.periods.len() > 1 {
        shape.insert(0, plan.periods.len());
    }
    let failed = || Error::write(path);
    let array = Array::create(path, dtype, &shape)?;
    let scales = if plan.scaled() {
        let name = with_suffix(path, "_scales");
        check_absent(&name, force)?;
        let flat: Vec<usize> =
            shape[..shape.len() - 3].iter().chain(&shape[shape.len() - 2..]).copied().collect();
        Some((Array::create(&name, DType::F32, &flat)?, name))
    } else {
        None
    };
    let chunks = plan.chunks(1);
    let mut valid = 0u64;
    for p in 0..plan.periods.len() {
        for (done, window) in chunks.iter().enumerate() {
            let (codes, with_vector) = numbers(plan, p, *window)?;
            valid += with_vector;
            array.put(&codes.samples, p * bands, *window, width, height)?;
            if let Some((array, _)) = &scales {
                let missing = || vec![NO_SCALE; window.width * window.height];
                let scales = Samples::F32(codes.scales.unwrap_or_else(missing));
                array.put(&scales, p, *window, width, height)?;
            }
            progress(p * chunks.len() + done + 1, chunks.len() * plan.periods.len());
        }
    }
    let facts = serde_json::json!({
        "shape": shape,
        "axes": if plan.periods.len() > 1 { &["time", "band", "y", "x"][..] } else { &["band", "y", "x"][..] },
        "dtype": dtype.name(),
        "grid": GridSummary::of(&plan.grid),
        "years": plan.periods,
        "bands": plan.band_names,
        "nodata": plan.nodata().map(|v| if v.is_nan() { "nan".into() } else { serde_json::json!(v) }),
        "scales": scales.as_ref().and_then(|(_, name)| name.file_name()?.to_str()),
        "provenance": plan.provenance,
    });
    let side = PendingFile::create(&sidecar).map_err(failed())?;
    let text = serde_json::to_string_pretty(&facts).expect("plain data");
    side.file().write_all(text.as_bytes()).map_err(failed())?;
    let mut files = vec![path.to_path_buf(), sidecar];
    side.commit().map_err(failed())?;
    if let Some((array, name)) = scales {
        array.part.commit().map_err(failed())?;
        files.push(name);
    }
    array.part.commit().map_err(failed())?;
    Ok(Written { files, valid_pixels: valid, pixels: total(plan) })
}

/// An NPY file being written.
struct Array {
    path: PathBuf,
    part: PendingFile,
    start: u64,
}

impl Array {
    fn create(path: &Path, dtype: DType, shape: &[usize]) -> Result<Self> {
        let failed = || Error::write(path);
        let header = header(dtype, shape);
        let part = PendingFile::create(path).map_err(failed())?;
        let (start, count) = (header.len() as u64, shape.iter().product::<usize>() as u64);
        part.file().write_all(&header).map_err(failed())?;
        part.file().set_len(start + count * dtype.size() as u64).map_err(failed())?;
        Ok(Self { path: path.to_path_buf(), part, start })
    }

    /// Writes `samples`, planes of the window `window`, into planes of `width` × `height` from plane `first` on.
    fn put(
        &self,
        samples: &Samples,
        first: usize,
        window: Window,
        width: usize,
        height: usize,
    ) -> Result<()> {
        let failed = || Error::write(&self.path);
        let size = samples.dtype().size() as u64;
        // Rows of a chunk as wide as the grid are one run in the file.
        let (runs, run) =
            if window.width == width { (1, window.height * width) } else { (window.height, window.width) };
        let mut file = self.part.file();
        for b in 0..samples.len() / (window.height * window.width) {
            for r in 0..runs {
                let from = b * window.height * window.width + r * run;
                let at = ((first + b) * height + window.row + r) * width + window.col;
                file.seek(SeekFrom::Start(self.start + at as u64 * size)).map_err(failed())?;
                file.write_all(&le_bytes(samples, from, run)).map_err(failed())?;
            }
        }
        Ok(())
    }
}

fn le_bytes(samples: &Samples, from: usize, len: usize) -> Vec<u8> {
    with_samples!(samples, v => {
        let mut out = Vec::with_capacity(len * std::mem::size_of_val(&v[0]));
        for x in &v[from..from + len] {
            out.extend_from_slice(&x.to_le_bytes());
        }
        out
    })
}

/// The header of a version 1.0 file (NumPy Enhancement Proposal 1), padded to a multiple of 64 bytes.
fn header(dtype: DType, shape: &[usize]) -> Vec<u8> {
    let descr = match dtype {
        DType::U8 => "|u1",
        DType::I8 => "|i1",
        DType::U16 => "<u2",
        DType::I16 => "<i2",
        DType::U32 => "<u4",
        DType::I32 => "<i4",
        DType::F16 => "<f2",
        DType::F32 => "<f4",
        DType::F64 => "<f8",
    };
    let shape: Vec<String> = shape.iter().map(ToString::to_string).collect();
    let mut dict =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}", shape.join(", "));
    while (10 + dict.len() + 1) % 64 != 0 {
        dict.push(' ');
    }
    dict.push('\n');
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    #[allow(clippy::cast_possible_truncation)]
    out.extend_from_slice(&(dict.len() as u16).to_le_bytes());
    out.extend_from_slice(dict.as_bytes());
    out
}
