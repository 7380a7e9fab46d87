//! Every file of the conformance suite reads as GDAL reads it, or is refused by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use terravec_geo::Window;
use terravec_io::tiff::GeoTiff;
use terravec_io::{Codes, Samples};

fn suite() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/suites/tiff")
}

/// Compares one file with its census row; the list says what differs.
fn differences(path: &Path, row: &BTreeMap<String, String>) -> Result<Vec<String>, String> {
    let tiff = GeoTiff::open_path(path.to_str().unwrap()).map_err(|e| e.to_string())?;
    let bands: Vec<usize> = (0..tiff.bands()).collect();
    let window = Window { col: 0, row: 0, width: tiff.width(), height: tiff.height() };
    let codes = tiff.read(0, &bands, window).map_err(|e| e.to_string())?;
    // GDAL widens float16 to float32 as it reads.
    let codes = match codes.samples {
        Samples::F16(v) => {
            let wide = Samples::F32(v.into_iter().map(f32::from).collect());
            Codes::new(wide, codes.bands, codes.height, codes.width)
        }
        samples => Codes { samples, ..codes },
    };
    let mut out = Vec::new();
    let mut check = |what: &str, ours: String, gdal: &str| {
        if ours != gdal {
            out.push(format!("{what}: {ours} instead of {gdal}"));
        }
    };
    check("width", tiff.width().to_string(), &row["w"]);
    check("height", tiff.height().to_string(), &row["h"]);
    check("bands", tiff.bands().to_string(), &row["n"]);
    check("type", codes.dtype().to_string(), &row["dtype"]);
    check(
        "overviews",
        (tiff.levels().len() - 1).to_string(),
        if row["ovr"].is_empty() { "0" } else { &row["ovr"] },
    );
    if let (Some(grid), Ok(code)) = (tiff.grid(), row["epsg"].parse::<u32>()) {
        check("EPSG", grid.crs.epsg().map_or("none".into(), |c| c.to_string()), &code.to_string());
    }
    if let Some(grid) = tiff.grid() {
        let gdal: Vec<f64> = row["transform"].split(' ').map(|v| v.parse().unwrap()).collect();
        let a = grid.affine;
        let mut ours = [a.a, a.b, a.c, a.d, a.e, a.f];
        if tiff.was_south_up() {
            ours[4] = -a.e;
            ours[5] = a.f + a.e * grid.height as f64;
        }
        let close = ours.iter().zip(&gdal).all(|(o, g)| (o - g).abs() <= 1e-9 * g.abs().max(1.0));
        if !close {
            out.push(format!("transform: {ours:?} instead of {gdal:?}"));
        }
    }
    let mut hash = Sha256::new();
    if tiff.was_south_up() {
        let row_bytes = tiff.width() * codes.dtype().size();
        let bytes = codes.samples.to_le_bytes();
        for band in bytes.chunks(row_bytes * tiff.height()) {
            band.chunks(row_bytes).rev().for_each(|r| hash.update(r));
        }
    } else {
        hash.update(codes.samples.to_le_bytes());
    }
    let digest = hash.finalize().iter().map(|b| format!("{b:02x}")).collect::<String>();
    if !row["pix_sha256_12"].is_empty() && digest[..12] != row["pix_sha256_12"] {
        out.push(format!("pixels differ ({} {})", tiff.compression_name(), tiff.dtype()));
    }
    Ok(out)
}

/// Pictures whose inks GDAL turns into red, green, blue and alpha; here the stored numbers are read.
const INKS: [&str; 2] =
    ["async-tiff/fixtures/image-tiff/cmyk-3c-8b.tiff", "async-tiff/fixtures/image-tiff/tiled-cmyk-i8.tif"];

#[test]
fn every_file_reads_as_gdal_reads_it() {
    let mut reader = csv::Reader::from_path(suite().join("census_gdal.csv")).unwrap();
    let headers = reader.headers().unwrap().clone();
    let (mut equal, mut wrong, mut refused) = (0, Vec::new(), BTreeMap::<String, usize>::new());
    for record in reader.records() {
        let record = record.unwrap();
        let row: BTreeMap<String, String> =
            headers.iter().map(ToString::to_string).zip(record.iter().map(ToString::to_string)).collect();
        let name = &row["path"];
        assert!(row["error"].is_empty(), "{name}: the suite holds files that GDAL reads");
        match differences(&suite().join(name), &row) {
            Ok(_) if INKS.contains(&name.as_str()) => {}
            Ok(d) if d.is_empty() => equal += 1,
            Ok(d) => wrong.push(format!("{name}: {}", d.join("; "))),
            Err(e) => {
                assert!(e.contains(name) && e.ends_with(" is not supported"), "refused without a name: {e}");
                let what = e.rsplit(": ").next().unwrap().trim_end_matches(" is not supported");
                *refused.entry(what.to_string()).or_default() += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(equal, 104);
    let expected = [
        ("1-bit integers", 3),
        ("12-bit integers", 2),
        ("4-bit integers", 1),
        ("64-bit integers", 2),
        ("JPEG compression", 6),
        ("LERC compression", 4),
        ("WebP compression", 3),
        ("compression 34676", 1),
        ("old-style LZW", 1),
    ];
    assert_eq!(refused, expected.into_iter().map(|(w, n)| (w.to_string(), n)).collect());
}
