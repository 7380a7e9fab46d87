//! Every file of the conformance suite reads as GDAL reads it, or is refused by name: which, and why, is listed here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use terravec_geo::Window;
use terravec_io::tiff::GeoTiff;
use terravec_io::{Codes, Samples, with_samples};

fn suite() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/suites/tiff")
}

/// The smallest and largest number; not a number if one of them is not.
fn extremes(samples: &Samples) -> (f64, f64) {
    fn fold<T: Copy + Into<f64>>(v: &[T]) -> (f64, f64) {
        v.iter().map(|x| (*x).into()).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x: f64| {
            if x.is_nan() || low.is_nan() { (f64::NAN, f64::NAN) } else { (low.min(x), high.max(x)) }
        })
    }
    with_samples!(samples, v => fold(v))
}

/// Compares one file with its census row; the list says what differs.
fn differences(
    path: &Path,
    row: &BTreeMap<String, String>,
    other_crs: &mut Vec<(String, String)>,
) -> Result<Vec<String>, String> {
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
    let nodata = row["nodata"].parse::<f64>().ok();
    check("nodata", format!("{:?}", tiff.nodata()), &format!("{nodata:?}"));
    // libtiff cuts long uncompressed strips into shorter ones of its own.
    if tiff.is_tiled() || tiff.compression_name() != "none" {
        let (width, height) = tiff.block_size();
        check("block", format!("{height}x{width}"), &row["block"]);
    }
    let (low, high) = extremes(&codes.samples);
    for (what, ours, gdal) in [("minimum", low, &row["min"]), ("maximum", high, &row["max"])] {
        // The census rounds to the digits that tell float32 numbers apart.
        let gdal: f64 = gdal.parse().unwrap();
        if !((ours - gdal).abs() <= 1e-6 * gdal.abs().max(1e-30) || ours.is_nan() && gdal.is_nan()) {
            check(what, ours.to_string(), &gdal.to_string());
        }
    }
    let code = tiff.grid().and_then(|g| g.crs.epsg()).map_or(String::new(), |c| c.to_string());
    if code != row["epsg"] {
        let ours = match (tiff.grid(), tiff.georeference_problem()) {
            (Some(grid), _) => format!("{} by its parameters", grid.crs),
            // Its own code, or that of the geographic system below it.
            (_, Some(problem)) if problem.contains(" is not a CRS") => {
                format!("{} is not known", row["epsg"])
            }
            (_, problem) => problem.unwrap_or_default().to_string(),
        };
        other_crs.push((path.file_name().unwrap().to_string_lossy().into_owned(), ours));
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

/// What is refused: the end of the path, and why.
const REFUSED: [(&str, &str); 23] = [
    ("image-tiff/12bit.cropped.rgb.tiff", "12-bit integers"),
    ("image-tiff/12bit.cropped.tiff", "12-bit integers"),
    ("image-tiff/gradient-1c-64b.tiff", "64-bit integers"),
    ("image-tiff/gradient-3c-64b.tiff", "64-bit integers"),
    ("image-tiff/logluv-3c-16b.tiff", "SGI LogLuv compression"),
    ("image-tiff/miniswhite-1c-1b.tiff", "1-bit integers"),
    ("image-tiff/palette-1c-1b.tiff", "1-bit integers"),
    ("image-tiff/palette-1c-4b.tiff", "4-bit integers"),
    ("image-tiff/quad-lzw-compat.tiff", "old-style LZW"),
    ("image-tiff/quad-tile.jpg.tiff", "JPEG compression"),
    ("image-tiff/tiled-gray-i1.tif", "1-bit integers"),
    ("image-tiff/tiled-jpeg-rgb-u8.tif", "JPEG compression"),
    ("image-tiff/tiled-jpeg-ycbcr.tif", "JPEG compression"),
    ("data/be_cog.tiff", "JPEG compression"),
    ("data/cog.tiff", "JPEG compression"),
    ("data/rgba8_strip.tiff", "WebP compression"),
    ("data/rgba8_tiled.tiff", "WebP compression"),
    ("data/sparse.tiff", "WebP compression"),
    ("gdal/gcore/data/gtiff/byte_JPEG.tif", "JPEG compression"),
    ("gdal/gcore/data/gtiff/byte_LERC.tif", "LERC compression"),
    ("gdal/gcore/data/gtiff/byte_LERC_DEFLATE.tif", "LERC compression"),
    ("gdal/gcore/data/gtiff/byte_LERC_ZSTD.tif", "LERC compression"),
    ("gdal/gcore/data/gtiff/rgbsmall_LERC_tiled_separate.tif", "LERC compression"),
];

/// Codes of coordinate reference systems that the suite names and that are not known here; the message says so.
#[rustfmt::skip]
const UNKNOWN_CODES: [u32; 22] = [
    2046, 2193, 3032, 3083, 3812, 3814, 4087, 5329, 5456, 5482, 5588, 5641, 6808, 8065, 8441, 21897, 26711, 27200, 27563, 28191, 29101, 32064,
];

/// Files without a code of their own that GDAL finds one for, or the other way round: what is said of them here.
const OTHER_CRS: [(&str, &str); 17] = [
    ("GeogGeodeticDatumGeoKey.tif", "user-defined (without a name)"),
    ("WGS_1984_Web_Mercator.tif", "EPSG:3857"),
    ("albers_equal_area.tif", "by its parameters"),
    ("cassini_soldner.tif", "method 18"),
    ("equidistant_cylindrical.tif", "method 17"),
    ("geogtowgs_subset_USGS_13_s14w171.tif", "neither ModelTransformation nor ModelPixelScale"),
    ("hotine_oblique_mercator_variant_a.tif", "method 3"),
    ("hotine_oblique_mercator_variant_b.tif", "method 9815"),
    ("lcc2sp.tif", "by its parameters"),
    ("mercator2sp.tif", "by its parameters"),
    ("new_zealand_mapping_grid.tif", "method 26"),
    ("oblique_mercator_laborde.tif", "method 4"),
    ("oblique_stereographic.tif", "method 16"),
    ("polar_stereographic_variant_b.tif", "by its parameters"),
    ("polyconic.tif", "method 22"),
    ("transverse_mercator.tif", "by its parameters"),
    ("transverse_mercator_south_oriented.tif", "method 27"),
];

#[test]
fn every_file_reads_as_gdal_reads_it() {
    let mut reader = csv::Reader::from_path(suite().join("census_gdal.csv")).unwrap();
    let headers = reader.headers().unwrap().clone();
    let (mut equal, mut wrong, mut refused, mut other_crs) = (0, Vec::new(), Vec::new(), Vec::new());
    for record in reader.records() {
        let record = record.unwrap();
        let row: BTreeMap<String, String> =
            headers.iter().map(ToString::to_string).zip(record.iter().map(ToString::to_string)).collect();
        let name = &row["path"];
        assert!(row["error"].is_empty(), "{name}: the suite holds files that GDAL reads");
        match differences(&suite().join(name), &row, &mut other_crs) {
            Ok(d) if INKS.contains(&name.as_str()) => {
                let pixels = ["pixels", "minimum", "maximum", "type: int8"];
                wrong.extend(d.into_iter().filter(|d| !pixels.iter().any(|p| d.starts_with(p))));
            }
            Ok(d) if d.is_empty() => equal += 1,
            Ok(d) => wrong.push(format!("{name}: {}", d.join("; "))),
            Err(e) => {
                assert!(e.contains(name) && e.ends_with(" is not supported"), "refused without a name: {e}");
                let what = e.rsplit(": ").next().unwrap().trim_end_matches(" is not supported");
                refused.push((name.clone(), what.to_string()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(equal, 104);
    let mut unknown = BTreeSet::new();
    other_crs.retain(|(_, ours)| {
        let code = ours.strip_suffix(" is not known").and_then(|code| code.parse::<u32>().ok());
        unknown.extend(code);
        code.is_none()
    });
    assert_eq!(unknown, BTreeSet::from(UNKNOWN_CODES));
    other_crs.sort();
    assert_eq!(other_crs.len(), OTHER_CRS.len(), "{other_crs:#?}");
    for ((name, ours), (end, said)) in other_crs.iter().zip(OTHER_CRS) {
        assert!(name == end && ours.contains(said), "{name}: {ours}");
    }
    let list: Vec<_> = refused.iter().map(|(n, w)| (n.as_str(), w.as_str())).collect();
    assert_eq!(list.len(), REFUSED.len());
    for ((name, what), (end, why)) in list.into_iter().zip(REFUSED) {
        assert!(name.ends_with(end) && what == why, "{name} is refused for {what}");
    }
}
