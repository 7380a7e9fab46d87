//! An extraction as a Cloud-Optimised GeoTIFF.
//!
//! float32 vectors have NaN as nodata, codes the product's own number. Overviews are means of decoded vectors, scaled to length 1 where the product's
//! vectors have that length; codes are decoded for it and encoded again.

use std::path::Path;

use terravec_io::tiff::{CogSpec, CogWriter, Interleave};
use terravec_io::{Codes, DType, Samples};

use super::{Progress, numbers};
use crate::codec::halve;
use crate::dataset::own::TAG;
use crate::error::Result;
use crate::provenance::Provenance;
use crate::query::extract::Extraction;
use crate::query::pixels::Kind;
use crate::vectors::{Status, Vectors};

/// Side of a COG block.
const BLOCK: usize = 256;
/// From this many bands on, all bands of a block lie together in the file.
const TILE_INTERLEAVE_FROM: usize = 2;

/// What a GeoTIFF says of where its numbers come from, which is also what it is opened as again.
#[must_use]
pub fn tags_of(provenance: &Provenance) -> Vec<(String, String)> {
    let attribution = provenance.attribution.iter().map(|text| ("ATTRIBUTION".to_string(), text.clone()));
    std::iter::once((TAG.to_string(), provenance.to_json())).chain(attribution).collect()
}

pub(super) fn write(plan: &Extraction, period: usize, path: &Path, progress: Progress<'_>) -> Result<u64> {
    plan.check_unscaled("a GeoTIFF")?;
    let dtype = match plan.kind {
        Kind::Vectors => DType::F32,
        Kind::Codes(dtype, _) => dtype,
    };
    let mut provenance = plan.provenance.clone();
    provenance.years = plan.periods[period].into_iter().collect();
    let bands = plan.band_names.len();
    let writer = CogWriter::create(
        path,
        CogSpec {
            block: BLOCK,
            interleave: if bands >= TILE_INTERLEAVE_FROM { Interleave::Tile } else { Interleave::Band },
            nodata: plan.nodata(),
            band_names: plan.band_names.clone(),
            tags: tags_of(&provenance),
            ..CogSpec::new(plan.grid.clone(), bands, dtype)
        },
    )?;
    let chunks = plan.chunks(BLOCK);
    let all = chunks.len() * plan.periods.len();
    let mut valid = 0u64;
    for (done, window) in chunks.iter().enumerate() {
        let (codes, with_vector) = numbers(plan, period, *window)?;
        valid += with_vector;
        // Blocks without any vector stay out of the file; readers take them for nodata.
        if with_vector > 0 {
            for row in (0..window.height).step_by(BLOCK) {
                for col in (0..window.width).step_by(BLOCK) {
                    let (h, w) = (BLOCK.min(window.height - row), BLOCK.min(window.width - col));
                    let block = codes.crop(row, col, h, w);
                    writer.write_block((window.col + col) / BLOCK, (window.row + row) / BLOCK, &block)?;
                }
            }
        }
        progress(period * chunks.len() + done + 1, all);
    }
    match plan.kind {
        Kind::Vectors => writer.finish(&|codes| halve_vectors(codes, plan.unit_length()))?,
        Kind::Codes(..) => {
            let Some(decoder) = plan.decoder() else { unreachable!("only tiles have codes") };
            writer.finish(&|codes| decoder.halve_codes(codes))?;
        }
    }
    Ok(valid)
}

fn halve_vectors(codes: &Codes, unit_length: bool) -> Codes {
    let Samples::F32(data) = &codes.samples else { unreachable!("vectors are float32") };
    let n = codes.height * codes.width;
    let status = (0..n).map(|i| if data[i].is_nan() { Status::Nodata } else { Status::Valid }).collect();
    let vectors =
        Vectors { data: data.clone(), status, bands: codes.bands, height: codes.height, width: codes.width };
    let half = halve(&vectors, unit_length);
    Codes::new(Samples::F32(half.data), half.bands, half.height, half.width)
}
