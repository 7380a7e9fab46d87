//! An extraction as a Zarr v3 store: (time, band, y, x), sharded, with the conventions `geoemb:`, `proj` and `spatial`.
//!
//! A shard is a chunk of the extraction, so that memory is bounded by one, whatever the size of the store. Codes that mean nothing
//! without the scale of their pixel get an array of scales beside them.

use std::path::Path;

use serde_json::{Map, Value, json};
use terravec_io::zarr::{ArraySpec, StoreWriter};
use terravec_io::{DType, Samples};

use super::{Progress, Written, numbers, total};
use crate::catalog::CodecSpec;
use crate::dataset::zarr_product::PROVENANCE;
use crate::error::{Error, Result};
use crate::query::extract::Extraction;
use crate::query::pixels::{Kind, NO_SCALE};

/// Bytes of a chunk, about: few enough that a single pixel costs little, enough that they compress.
const CHUNK_BYTES: usize = 512 << 10;
/// Sides of a chunk: at least, at most.
const SIDES: (usize, usize) = (16, 256);
/// Metres of a degree of latitude, for the pixel size of geographic grids.
const METRES_PER_DEGREE: f64 = 111_319.490_793;

pub(super) fn write(plan: &Extraction, path: &Path, force: bool, progress: Progress<'_>) -> Result<Written> {
    let dtype = match plan.kind {
        Kind::Vectors => DType::F32,
        Kind::Codes(dtype, _) => dtype,
    };
    let (steps, bands) = (plan.periods.len(), plan.band_names.len());
    let (height, width) = (plan.grid.height, plan.grid.width);
    let mut side = SIDES.1;
    while side > SIDES.0 && side * side * bands * dtype.size() > CHUNK_BYTES {
        side /= 2;
    }
    let windows = plan.chunks(side);
    // All but those at the edges have the same size; one alone may be smaller than a chunk.
    let shard = windows.first().map_or(side, |w| w.width.max(w.height).div_ceil(side) * side);
    let failed = || Error::write(path);
    let fill = plan.nodata().unwrap_or(0.0);
    let spatial = spatial(plan);
    let mut store = StoreWriter::create(path).map_err(failed())?;
    let mut attributes = spatial.clone();
    if let Some(nodata) = plan.nodata().filter(|v| v.is_finite()) {
        attributes.insert("nodata".into(), json!(nodata));
    }
    let spec = ArraySpec {
        shape: vec![steps, bands, height, width],
        chunk: vec![1, bands, side, side],
        shard: vec![1, bands, shard, shard],
        dtype,
        fill,
        names: vec!["time", "band", "y", "x"],
        attributes,
    };
    let codes_array = store.array("embeddings", spec.clone()).map_err(failed())?;
    let scales_array = plan.scaled().then(|| {
        store.array(
            "scales",
            ArraySpec {
                shape: vec![steps, height, width],
                chunk: vec![1, side, side],
                shard: vec![1, shard, shard],
                dtype: DType::F32,
                fill: f64::from(NO_SCALE),
                names: vec!["time", "y", "x"],
                attributes: spatial.clone(),
            },
        )
    });
    let scales_array = scales_array.transpose().map_err(failed())?;
    let mut valid = 0;
    for period in 0..steps {
        for (done, window) in windows.iter().enumerate() {
            let (codes, with_vector) = numbers(plan, period, *window)?;
            valid += with_vector;
            let (y, x) = (window.row / shard, window.col / shard);
            let (h, w) = (window.height, window.width);
            codes_array
                .write_shard(&[period, 0, y, x], &codes.samples, &[1, bands, h, w])
                .map_err(failed())?;
            if let (Some(array), Some(scales)) = (&scales_array, codes.scales) {
                array.write_shard(&[period, y, x], &Samples::F32(scales), &[1, h, w]).map_err(failed())?;
            }
            progress(period * windows.len() + done + 1, steps * windows.len());
        }
    }
    coordinates(plan, &mut store).map_err(failed())?;
    let mut root = geoemb(plan, dtype);
    root.extend(spatial);
    store.finish(&root, force).map_err(failed())?;
    Ok(Written { files: vec![path.to_path_buf()], valid_pixels: valid, pixels: total(plan) })
}

fn coordinates(plan: &Extraction, store: &mut StoreWriter) -> std::io::Result<()> {
    let years: Option<Vec<i32>> = plan.periods.iter().copied().collect();
    if let Some(years) = years {
        let said = json!({ "description": "calendar year" });
        store.coordinate("time", &Samples::I32(years), said.as_object().cloned().unwrap_or_default())?;
    }
    store.texts("band", &plan.band_names)?;
    let grid = &plan.grid;
    let (ys, xs) = if grid.crs.is_geographic() {
        (("latitude", "degrees_north"), ("longitude", "degrees_east"))
    } else {
        (("projection_y_coordinate", "m"), ("projection_x_coordinate", "m"))
    };
    let said = |(name, units): (&str, &str)| -> Map<String, Value> {
        json!({ "standard_name": name, "units": units }).as_object().cloned().unwrap_or_default()
    };
    let y = (0..grid.height).map(|row| grid.center(0, row).1).collect();
    let x = (0..grid.width).map(|col| grid.center(col, 0).0).collect();
    store.coordinate("y", &Samples::F64(y), said(ys))?;
    store.coordinate("x", &Samples::F64(x), said(xs))
}

/// Where the pixels lie, as `proj` and `spatial` say it.
fn spatial(plan: &Extraction) -> Map<String, Value> {
    let grid = &plan.grid;
    let (a, b) = (&grid.affine, grid.bounds());
    let mut out = Map::new();
    match grid.crs.epsg() {
        Some(code) => out.insert("proj:code".into(), json!(format!("EPSG:{code}"))),
        None => out.insert("proj:projjson".into(), grid.crs.to_projjson()),
    };
    out.insert("spatial:dimensions".into(), json!(["y", "x"]));
    out.insert("spatial:transform".into(), json!([a.a, a.b, a.c, a.d, a.e, a.f]));
    out.insert("spatial:shape".into(), json!([grid.height, grid.width]));
    out.insert("spatial:bbox".into(), json!([b.min_x, b.min_y, b.max_x, b.max_y]));
    out
}

/// What the vectors are, as `geoemb:` says it, and where they come from.
fn geoemb(plan: &Extraction, dtype: DType) -> Map<String, Value> {
    let product = plan.product();
    let arxiv = |id: &String| format!("https://arxiv.org/abs/{id}");
    let paper = product.model.as_ref().and_then(|m| m.paper.as_ref());
    let paper = paper.or(product.citations.first()).and_then(|p| p.arxiv.as_ref()).map(arxiv);
    let weights = product.model.as_ref().and_then(|m| m.weights_url.clone());
    let model = weights.or_else(|| paper.clone()).unwrap_or_else(|| format!("urn:terravec:{}", product.id));
    let mut data: Vec<String> = product.hosts.iter().map(|h| h.url.clone()).collect();
    if data.is_empty() {
        data.push(format!("urn:terravec:{}", product.id));
    }
    let convention = |name: &str, uuid: &str, description: &str| {
        json!({
            "uuid": uuid,
            "name": name,
            "schema_url": format!("https://raw.githubusercontent.com/zarr-conventions/{name}/refs/tags/v0.1/schema.json"),
            "spec_url": format!("https://github.com/zarr-conventions/{name}/blob/v0.1/README.md"),
            "description": description,
        })
    };
    let (res, _) = plan.grid.res();
    let gsd = if plan.grid.crs.is_geographic() {
        res * METRES_PER_DEGREE
    } else {
        res * plan.grid.crs.metres_per_unit().unwrap_or(1.0)
    };
    let mut out = json!({
        "zarr_conventions": [
            {
                "uuid": "61c12cc5-0e28-4056-999a-480cf3fb7e4c",
                "name": "geoemb:",
                "schema_url": "https://raw.githubusercontent.com/geo-embeddings/embeddings-zarr-convention/refs/tags/v1/schema.json",
                "spec_url": "https://github.com/geo-embeddings/embeddings-zarr-convention/blob/v1/README.md",
                "description": "Geoembeddings convention for geospatial embedding arrays with model provenance",
            },
            convention(
                "proj",
                "f17cb550-5864-4468-aeb7-f3180cfb622f",
                "Coordinate reference system information for geospatial data",
            ),
            convention("spatial", "689b58e2-cf7b-45e0-9fff-9cfc0883d6b4", "Spatial coordinate information"),
        ],
        "geoemb:type": "pixel",
        "geoemb:dimensions": plan.band_names.len(),
        "geoemb:model": model,
        "geoemb:source_data": data,
        "geoemb:data_type": dtype.name(),
        "geoemb:gsd": gsd,
        "geoemb:build_version": plan.provenance.software,
    });
    if let (Some(q), Kind::Codes(..)) = (quantization(&product.codec, dtype, paper), plan.kind) {
        out["geoemb:quantization"] = q;
    }
    out[PROVENANCE] = json!(plan.provenance);
    out.as_object().cloned().unwrap_or_default()
}

fn quantization(codec: &CodecSpec, dtype: DType, link: Option<String>) -> Option<Value> {
    let mut q = json!({ "original_dtype": "float32", "quantized_dtype": dtype.name() });
    match codec {
        CodecSpec::SignedSquare { .. } => {
            q["method"] = json!("signed_power");
            if let Some(link) = link {
                q["link"] = json!(link);
            }
        }
        CodecSpec::PerPixelScale { .. } => {
            q["method"] = json!("per_pixel_scale");
            q["scale"] = json!({ "type": "array", "array_name": "scales", "nodata": "+inf" });
        }
        CodecSpec::Linear { scale, offset } => {
            q["method"] = json!("linear");
            q["scale"] = json!({ "type": "scalar", "scale": scale, "offset": offset });
        }
        _ => return None,
    }
    Some(q)
}
