//! An extraction as a NumPy file, (band, y, x) or (time, band, y, x), with a JSON sidecar that says where it lies.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use terravec_io::atomic::PendingFile;
use terravec_io::{DType, Samples, with_samples};

use super::{Progress, Written, check_absent, numbers, total};
use crate::dataset::GridSummary;
use crate::error::{Error, Result};
use crate::query::extract::Extraction;
use crate::query::pixels::Kind;

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
    let header = header(dtype, &shape);
    let size = dtype.size() as u64;
    let part = PendingFile::create(path).map_err(failed())?;
    let mut file = part.file();
    file.write_all(&header).map_err(failed())?;
    let count: usize = shape.iter().product();
    file.set_len(header.len() as u64 + count as u64 * size).map_err(failed())?;
    let chunks = plan.chunks(1);
    let mut valid = 0u64;
    for p in 0..plan.periods.len() {
        for (done, window) in chunks.iter().enumerate() {
            let (codes, with_vector) = numbers(plan, p, *window)?;
            valid += with_vector;
            // Rows of a chunk as wide as the grid are one run in the file.
            let (runs, run) = if window.width == width {
                (1, window.height * width)
            } else {
                (window.height, window.width)
            };
            for b in 0..bands {
                for r in 0..runs {
                    let from = b * window.height * window.width + r * run;
                    let at = ((p * bands + b) * height + window.row + r) * width + window.col;
                    file.seek(SeekFrom::Start(header.len() as u64 + at as u64 * size)).map_err(failed())?;
                    file.write_all(&le_bytes(&codes.samples, from, run)).map_err(failed())?;
                }
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
        "provenance": plan.provenance,
    });
    let side = PendingFile::create(&sidecar).map_err(failed())?;
    let text = serde_json::to_string_pretty(&facts).expect("plain data");
    side.file().write_all(text.as_bytes()).map_err(failed())?;
    side.commit().map_err(failed())?;
    part.commit().map_err(failed())?;
    Ok(Written { files: vec![path.to_path_buf(), sidecar], valid_pixels: valid, pixels: total(plan) })
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
