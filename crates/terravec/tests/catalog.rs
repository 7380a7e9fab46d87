//! The built-in products, and descriptors that are wrong.

use std::path::Path;

use terravec::catalog::{Catalog, CodecSpec, Filter, Kind, render};
use terravec_io::DType;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Rows of the published table of products, and the descriptors that hold them.
const ROWS: [&[&str]; 30] = [
    &["clay-v0"],
    &["clay-v1.5-naip"],
    &["lgnd-clay-v1.5-s2"],
    &["lgnd-clay-monthly"],
    &["terrabit"],
    &["majortom-ssl4eo"],
    &["majortom-dinov2", "majortom-siglip"],
    &["majortom-decur"],
    &["majortom-mmearth"],
    &["majortom-249k"],
    &["earth-index-2024"],
    &["earth-index-2025"],
    &["copernicus-embed"],
    &["mosaiks"],
    &["alphaearth"],
    &["alphaearth-mosaic"],
    &["alphaearth-majortom"],
    &["tessera-npy"],
    &["tessera-zarr"],
    &["tessera-icechunk"],
    &["presto-togo"],
    &["esd"],
    &["betaearth"],
    &["olmoearth"],
    &["satclip"],
    &["geoclip"],
    &["mind"],
    &["climplicit", "sinr", "csp"],
    &["range"],
    &["pdfm"],
];

#[test]
fn every_product_has_a_descriptor_and_every_file_is_built_in() {
    let catalog = Catalog::builtin();
    for id in ROWS.iter().copied().flatten() {
        assert_eq!(catalog.get(id).unwrap().id, *id);
    }
    let files = std::fs::read_dir(root().join("catalog")).unwrap().flatten();
    let toml = files.filter(|f| f.path().extension().is_some_and(|e| e == "toml")).count();
    assert_eq!(toml, catalog.iter().len(), "list new files in catalog/builtin.rs");
}

#[test]
fn facts_that_users_act_on() {
    let catalog = Catalog::builtin();
    let get = |id: &str| catalog.get(id).unwrap();
    let aef = get("aef");
    assert_eq!((aef.id.as_str(), aef.dimension, aef.dtype), ("alphaearth", Some(64), Some(DType::I8)));
    assert_eq!(aef.codec, CodecSpec::SignedSquare { scale: 127.5, power: 2.0, nodata: -128 });
    assert!(aef.covers_year(2017) && aef.covers_year(2025) && !aef.covers_year(2016));
    assert!(aef.attribution.as_ref().unwrap().ends_with("produced by Google and Google DeepMind."));
    assert_eq!(get("esd").dimension, Some(72));
    assert!(!get("presto-togo").codec.decodes());
    assert_eq!(get("tessera").licence.as_deref(), Some("CC0-1.0"));
    assert_eq!(get("earth-index").dimension, Some(384));
    assert_eq!(get("geoclip").kind, Kind::Location);
    assert!(get("mind").licence.is_none() && get("mind").unknown.contains(&"licence".to_string()));
    // Layouts of one archive share a space, versions do not.
    assert_eq!(aef.space(None), get("alphaearth-mosaic").space(None));
    let tessera = get("tessera-zarr");
    assert_ne!(tessera.space(tessera.variant("1.0-vultr")), tessera.space(tessera.variant("1.1-dclimate")));
    let cc0 =
        catalog.filter(&Filter { licence: Some("cc0".into()), kind: Some(Kind::Pixel), ..Filter::default() });
    assert!(cc0.iter().all(|d| d.family.as_deref() == Some("tessera")) && cc0.len() == 4);
}

#[test]
fn files_are_known_by_their_names() {
    let catalog = Catalog::builtin();
    let ids = |name: &str| catalog.recognise(name).iter().map(|d| d.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids("s3://bucket/2024/10N/x086q72fv2f9q1x4a-0000000000-0000000000.tiff"), ["alphaearth"]);
    assert_eq!(ids("/data/SDC30_EBD_V001_02VMN_2024.tif"), ["esd"]);
    assert_eq!(ids("21MNT_2024-01-01_2025-01-01.parquet"), ["earth-index-2024"]);
    assert_eq!(ids("18SUJ_2025-01-01_2026-01-01.parquet"), ["earth-index-2025"]);
    assert_eq!(ids("2022/grid_-0.05_50.75/grid_-0.05_50.75_scales.npy"), ["tessera-npy"]);
    let name = catalog.get("tessera-npy").unwrap().tiles.clone().unwrap();
    let found = name.parse("2022/grid_-65.85_-3.15/grid_-65.85_-3.15.npy").unwrap();
    assert_eq!((found.lon_lat(), found.year()), (Some((-65.85, -3.15)), Some(2022)));
    let esd = catalog.get("esd").unwrap().tiles.clone().unwrap();
    assert_eq!(esd.parse("SDC30_EBD_V001_02WMV_2005.tif").unwrap().get("mgrs"), Some("02WMV"));
    assert!(ids("holiday.tif").is_empty());
}

#[test]
fn a_wrong_descriptor_is_told_by_file_line_and_key() {
    let good = std::fs::read_to_string(root().join("catalog/esd.toml")).unwrap();
    for (from, to, line_of, says) in [
        ("dimension = 72", "dimension = 71", "dimension = 71", "dimension"),
        ("dtype = \"uint16\"", "dtype = \"uint7\"", "dtype = \"uint7\"", "uint7"),
        ("kind = \"pixel\"", "kind = \"voxel\"", "kind = \"voxel\"", "voxel"),
        ("size =", "sise =", "sise =", "sise"),
        ("codes_per_pixel = 12", "codes_per_pixel = 0", "codec.fsq", "codes_per_pixel"),
        ("years = [2000, 2024]", "years = [2024, 2000]", "years = [2024, 2000]", "2024"),
        ("SDC30_EBD_V001_(?P", "SDC30_EBD_V001_((?P", "pattern", "pattern"),
    ] {
        assert!(good.contains(from), "{from}");
        let bad = good.replace(from, to);
        let line = 1 + bad.lines().position(|l| l.contains(line_of)).unwrap();
        let error = Catalog::empty().add_text("mine.toml", &bad).unwrap_err().to_string();
        assert!(error.contains(&format!("mine.toml:{line}")), "{to}: {error}");
        assert!(error.contains(says), "{to}: {error}");
    }
    let error = Catalog::builtin().add_text("mine.toml", &good).unwrap_err();
    assert!(error.to_string().contains("esd") && error.help().unwrap().contains("replace = true"));
    let unknown = Catalog::builtin().get("alphaerth").unwrap_err();
    assert!(unknown.help().unwrap().contains("alphaearth"));
}

/// The descriptor that `catalog/README.md` shows.
#[test]
fn the_example_in_the_readme_loads() {
    let text = std::fs::read_to_string(root().join("catalog/README.md")).unwrap();
    let toml = text.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let mut catalog = Catalog::empty();
    catalog.add_text("README.md", toml).unwrap();
    assert!(toml.lines().filter(|l| !l.trim().is_empty()).count() <= 12);
}

/// `docs/products.md` is made from the catalog; `UPDATE_DOCS=1 cargo test` writes it anew.
#[test]
fn the_product_pages_are_up_to_date() {
    let catalog = Catalog::builtin();
    let all: Vec<_> = catalog.iter().collect();
    let mut text =
        "# Products\n\nMade from `catalog/*.toml`. A * after years: not every place has every year.\n\n"
            .to_string();
    text.push_str(&render::markdown_table(&all));
    for d in &all {
        text.push('\n');
        text.push_str(&render::markdown_page(d));
    }
    let path = root().join("docs/products.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert!(std::fs::read_to_string(&path).is_ok_and(|t| t == text), "run UPDATE_DOCS=1 cargo test");
    for d in all {
        assert!(
            render::page(d).lines().all(|l| l.chars().count() <= 100
                || l.contains("://")
                || l.contains("grid_")
                || l.contains("model_version")),
            "{}",
            d.id
        );
    }
}
