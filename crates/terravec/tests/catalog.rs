//! The built-in products, and descriptors that are wrong.

use std::path::{Path, PathBuf};

use terravec::catalog::{
    Access, Catalog, CatalogError, CodecSpec, Date, Descriptor, EncoderTime, Filter, Format, Kind,
    MissingRule, RowOrder, TileName, WeightsRole, parse_descriptor, render,
};
use terravec_io::DType;
use terravec_location::EncoderId;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn product(id: &str) -> std::sync::Arc<Descriptor> {
    Catalog::builtin().get(id).unwrap_or_else(|e| panic!("{e}"))
}

fn tile(id: &str, path: &str) -> TileName {
    let product = product(id);
    let tiles = product.tiles.as_ref().unwrap_or_else(|| panic!("{id} has no naming"));
    tiles.parse(path).unwrap_or_else(|| panic!("{path} is not named like {id}"))
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

/// Files of `catalog/`, by name.
fn files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("catalog")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

#[test]
fn every_product_has_a_descriptor_and_every_file_is_built_in() {
    let catalog = Catalog::builtin();
    for id in ROWS.iter().copied().flatten().chain(&["tessera", "sincos", "spherical-harmonics"]) {
        assert_eq!(catalog.get(id).unwrap().id, *id);
    }
    let built_in: Vec<&str> = catalog.iter().map(|d| d.id.as_str()).collect();
    let mut named_after: Vec<String> =
        files().iter().map(|file| file.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    named_after.sort();
    assert_eq!(built_in, named_after, "list new files in catalog/builtin.rs; a file is named after its id");
}

#[test]
fn every_product_can_be_credited_and_found() {
    for d in Catalog::builtin().iter() {
        assert!(d.licence.is_some() || d.unknown.iter().any(|u| u == "licence"), "{}", d.id);
        assert!(d.extent.is_some(), "{}", d.id);
        // A formula is nobody's model and lies nowhere.
        let formula = d.format == Format::Formula;
        assert!(formula || !d.hosts.is_empty() || d.family.is_some(), "{}", d.id);
        assert!(formula || d.model.is_some(), "{}", d.id);
        assert!(d.kind != Kind::Location || d.encoder.is_some(), "{}", d.id);
    }
}

/// id, kind, dimension, dtype, unit length, years, licence.
type Facts =
    (&'static str, Kind, Option<u32>, Option<DType>, Option<bool>, Option<[i32; 2]>, Option<&'static str>);

#[test]
fn published_facts() {
    use DType::{F32, F64, I8, U8, U16};
    use Kind::{Location, Patch, Pixel, Region};
    let cc_by = Some("CC-BY-4.0");
    let facts: [Facts; 17] = [
        ("alphaearth", Pixel, Some(64), Some(I8), Some(true), Some([2017, 2025]), cc_by),
        ("alphaearth-mosaic", Pixel, Some(64), Some(I8), Some(true), Some([2017, 2025]), cc_by),
        ("alphaearth-majortom", Pixel, Some(64), Some(F64), Some(true), Some([2017, 2023]), cc_by),
        ("tessera-npy", Pixel, Some(128), Some(I8), Some(false), Some([2017, 2025]), Some("CC0-1.0")),
        ("tessera-zarr", Pixel, Some(128), Some(I8), Some(false), Some([2017, 2025]), Some("CC0-1.0")),
        ("presto-togo", Pixel, Some(128), Some(U16), None, None, cc_by),
        ("esd", Pixel, Some(72), Some(U16), Some(false), Some([2000, 2024]), cc_by),
        ("copernicus-embed", Patch, Some(768), Some(F32), Some(false), Some([2021, 2021]), cc_by),
        ("clay-v1.5-naip", Patch, Some(1024), Some(F32), Some(false), Some([2010, 2021]), cc_by),
        ("lgnd-clay-monthly", Patch, Some(256), Some(F32), None, Some([2017, 2026]), cc_by),
        ("terrabit", Patch, Some(1024), Some(U8), None, Some([2024, 2025]), None),
        (
            "majortom-ssl4eo",
            Patch,
            Some(2048),
            Some(F32),
            Some(false),
            Some([2015, 2024]),
            Some("CC-BY-SA-4.0"),
        ),
        ("earth-index-2024", Patch, Some(384), Some(F32), Some(false), Some([2024, 2024]), cc_by),
        ("earth-index-2025", Patch, None, None, None, Some([2025, 2025]), None),
        ("geoclip", Location, Some(512), None, Some(false), None, Some("MIT")),
        ("mind", Location, Some(64), None, None, None, None),
        ("pdfm", Region, Some(330), Some(F64), None, None, Some("Google Terms of Service")),
    ];
    for (id, kind, dimension, dtype, unit_length, years, licence) in facts {
        let d = product(id);
        let found = (d.kind, d.dimension, d.dtype, d.unit_length, d.time.as_ref().and_then(|t| t.years));
        assert_eq!(found, (kind, dimension, dtype, unit_length, years), "{id}");
        assert_eq!(d.licence.as_deref(), licence, "{id}");
    }
}

#[test]
fn decode_rules() {
    let aef = CodecSpec::SignedSquare { scale: 127.5, power: 2.0, nodata: -128 };
    for id in ["aef", "alphaearth-mosaic"] {
        assert_eq!((&product(id).codec, product(id).missing), (&aef, Some(MissingRule::Value(-128.0))));
    }
    let esd = CodecSpec::Fsq { levels: vec![8, 8, 8, 5, 5, 5], codes_per_pixel: 12, qa_band: Some(13) };
    assert_eq!(product("esd").codec, esd);
    assert_eq!(product("esd").codec.bands_for(72), 13);
    for id in ["tessera-npy", "tessera-zarr", "tessera-icechunk"] {
        let CodecSpec::PerPixelScale { valid_min_exclusive: min, valid_max_exclusive: max, .. } =
            product(id).codec
        else {
            panic!("{id} has scales");
        };
        assert_eq!((min, max, product(id).missing), (0.0, 1.0, Some(MissingRule::Scale)));
    }
    assert_eq!(product("tessera").missing, Some(MissingRule::Nan));
    assert_eq!(product("copernicus-embed").missing, Some(MissingRule::ZeroVector));
    assert!(!product("presto-togo").codec.decodes() && !product("terrabit").codec.decodes());
}

#[test]
fn what_to_print_and_where_rows_start() {
    let aef = product("alphaearth");
    let sentence =
        "The AlphaEarth Foundations Satellite Embedding dataset is produced by Google and Google DeepMind.";
    assert_eq!(aef.attribution.as_deref(), Some(sentence));
    assert_eq!(aef.grid.as_ref().unwrap().rows, Some(RowOrder::SouthUp));
    assert_eq!(aef.access(), Some(Access::Anonymous));
    let names = aef.bands.as_ref().unwrap().names();
    assert_eq!((names.len(), names[0].as_str(), names[63].as_str()), (64, "A00", "A63"));
    let tessera = product("tessera").bands.as_ref().unwrap().names();
    assert_eq!((tessera[0].as_str(), tessera[127].as_str()), ("Tessera_Band_0", "Tessera_Band_127"));
    let note = product("clay-v0").licence_note.clone().unwrap();
    assert!(note.contains("ODC-By-1.0") && note.contains("CC-BY-4.0"));
}

#[test]
fn periods_are_half_open() {
    let presto = product("presto-togo");
    let [only] = presto.time.as_ref().unwrap().intervals_for(2020).try_into().unwrap();
    assert_eq!((only.start, only.end), (Date::new(2019, 3, 1).unwrap(), Date::new(2020, 3, 1).unwrap()));
    assert!(presto.covers_year(2019) && presto.covers_year(2020) && !presto.covers_year(2021));
    let aef = product("alphaearth").time.clone().unwrap();
    let year = aef.intervals_for(2024)[0];
    assert_eq!((year.start.unix_ms(), year.end.unix_ms()), (1_704_067_200_000, 1_735_689_600_000));
    assert!(aef.intervals_for(2016).is_empty());
    let june = product("lgnd-clay-v1.5-s2");
    assert!(june.covers_year(2024) && june.covers_year(2025) && !june.covers_year(2023));
    // Made on demand: any year may be asked for.
    assert_eq!(product("betaearth").time.as_ref().unwrap().intervals_for(2031).len(), 1);
}

#[test]
fn layouts_share_a_space_and_variants_do_not() {
    let space = |name: &str| {
        let (d, variant) = Catalog::builtin().resolve(name).unwrap();
        d.space(variant.as_ref())
    };
    assert_eq!(space("alphaearth"), space("alphaearth-mosaic"));
    assert_eq!(space("tessera-zarr"), space("tessera-icechunk"));
    assert_eq!(space("tessera-zarr@1.0-vultr"), space("tessera-npy@1.0-VULTR"));
    assert_ne!(space("tessera-zarr@1.0-vultr"), space("tessera-zarr@1.1-dclimate"));
    assert_ne!(space("betaearth"), space("alphaearth"));
    assert_ne!(space("earth-index-2024"), space("earth-index-2025"));
    let many = product("majortom-249k");
    assert_eq!(many.dimension_of(many.variant("siglip")), Some(1152));
    assert_eq!(many.dimension_of(many.variant("satclip")), None);
}

#[test]
fn files_are_known_by_their_names() {
    let catalog = Catalog::builtin();
    let ids = |name: &str| catalog.recognise(name).iter().map(|d| d.id.clone()).collect::<Vec<_>>();
    for (name, id) in [
        (
            "gs://alphaearth_foundations/satellite_embedding/v1/annual/2019/1S/x8qqwcsisbgygl2ry-0000008192-0000000000.tiff",
            "alphaearth",
        ),
        ("x086q72fv2f9q1x4a-0000000000-0000000000.tiff", "alphaearth"),
        ("/data/aef/2024/U/1/L/7/471U_587L.tif", "alphaearth-majortom"),
        (r"C:\tessera\2024\grid_0.15_52.25\grid_0.15_52.25_2024.tiff", "tessera"),
        ("2022/grid_-0.05_50.75/grid_-0.05_50.75.npy", "tessera-npy"),
        ("2022/grid_-0.05_50.75/grid_-0.05_50.75_scales.npy", "tessera-npy"),
        ("Togo_Presto_embeddings_v2025_06_190000000000-0000000000.tif", "presto-togo"),
        ("/data/SDC30_EBD_V001_02VMN_2024.tif", "esd"),
        (
            "https://hf.co/datasets/torchgeo/copernicus_embed/resolve/main/embed_map_310k.tif?download=true",
            "copernicus-embed",
        ),
        ("03WVN_20220610_20220610_v001.gpq", "clay-v0"),
        ("m_4007201_ne_18_060_20211105.parquet", "clay-v1.5-naip"),
        ("01GDM_2024-01-01_2025-01-01.parquet", "earth-index-2024"),
        ("18SUJ_2025-01-01_2026-01-01.parquet", "earth-index-2025"),
        ("Core-S2L1C-SSL4EO/embeddings/part_01351-01400.parquet", "majortom-ssl4eo"),
        ("OlmoEarth_Base_crop_384x384.parquet", "majortom-249k"),
    ] {
        assert_eq!(ids(name), [id], "{name}");
    }
    for none in
        ["holiday.tif", "2024.tif", "grid_0.15_52.25.tiff", "x.tiff", "", "embed_map_310k.tif.aux.xml"]
    {
        assert!(ids(none).is_empty(), "{none}");
    }
}

#[test]
fn names_say_where_and_when() {
    let aef = tile("alphaearth", "2019/1S/x8qqwcsisbgygl2ry-0000008192-0000000000.tiff");
    assert_eq!((aef.year(), aef.utm_zone(), aef.offsets()), (Some(2019), Some((1, true)), Some((0, 8192))));
    let bare = tile("alphaearth", "x086q72fv2f9q1x4a-0000000000-0000008192.tiff");
    assert_eq!((bare.year(), bare.utm_zone(), bare.offsets()), (None, None, Some((8192, 0))));
    let grid = tile("tessera", "grid_-65.85_-3.15_2021.tiff");
    assert_eq!((grid.year(), grid.lon_lat()), (Some(2021), Some((-65.85, -3.15))));
    let esd = tile("esd", "SDC30_EBD_V001_02WMV_2005.tif");
    assert_eq!((esd.year(), esd.get("mgrs")), (Some(2005), Some("02WMV")));
    let cell = tile("alphaearth-majortom", "471U_587L.tif");
    assert_eq!((cell.get("cell"), cell.year()), (Some("471U_587L"), None));
    let naip = tile("clay-v1.5-naip", "m_4007201_ne_18_060_20211105.parquet");
    assert_eq!((naip.year(), naip.get("date")), (Some(2021), Some("20211105")));
    let earth_index = tile("earth-index-2024", "01GDM_2024-01-01_2025-01-01.parquet");
    assert_eq!((earth_index.year(), earth_index.get("mgrs")), (Some(2024), Some("01GDM")));
}

#[test]
fn filters_add_up() {
    let catalog = Catalog::builtin();
    let ids = |filter: Filter| catalog.filter(&filter).iter().map(|d| d.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(Filter::default()).len(), catalog.iter().len());
    assert_eq!(ids(Filter { year: Some(2001), ..Filter::default() }), ["esd"]);
    let tesseras = ["tessera", "tessera-icechunk", "tessera-npy", "tessera-zarr"];
    let free = Filter { kind: Some(Kind::Pixel), licence: Some("cc0".into()), ..Filter::default() };
    assert_eq!(ids(free), tesseras);
    let patches = Filter { kind: Some(Kind::Patch), host: Some("CREODIAS".into()), ..Filter::default() };
    assert!(ids(patches.clone()).iter().all(|id| id.starts_with("majortom-")));
    assert!(ids(Filter { year: Some(1999), ..patches }).is_empty());
}

#[test]
fn an_unknown_name_suggests() {
    let catalog = Catalog::builtin();
    for (typed, meant) in [("alphaerth", "alphaearth"), ("Tesera", "tessera"), ("presto_togo", "presto-togo")]
    {
        let error = catalog.get(typed).unwrap_err();
        assert!(error.help().unwrap().contains(meant), "{typed}: {:?}", error.help());
    }
    assert_eq!(catalog.get("AEF").unwrap().id, "alphaearth");
    assert_eq!(catalog.get("qqqqqq").unwrap_err().help().unwrap(), "`terravec products` lists what is known");
    let error = catalog.resolve("tessera-zarr@3.0").unwrap_err();
    assert_eq!(error.to_string(), "product tessera-zarr has no variant \"3.0\"");
    assert!(error.help().unwrap().contains("1.1-dclimate"));
}

/// A small descriptor in which each test below breaks one thing.
const MINE: &str = r#"id = "mine"
name = "Mine"
summary = "Made up."
kind = "pixel"
format = "geotiff"
dimension = 8
dtype = "int8"
codec.signed_square = { scale = 127.5, power = 2.0, nodata = -128 }
missing.value = -128
licence = "CC0-1.0"

[bands]
count = 8
name = "B{}"

[tiles]
pattern = 'mine_(?P<year>\d{4})\.tif'
examples = ["mine_2024.tif"]

[time]
scope = "annual"
interval = "calendar-year"
years = [2020, 2024]

[[host]]
name = "Here"
url = "file:///data"
access = "anonymous"
"#;

fn problems(text: &str) -> String {
    match Catalog::empty().add_text("mine.toml", text) {
        Ok(()) => "nothing".to_owned(),
        Err(e) => e.to_string(),
    }
}

#[test]
fn a_wrong_descriptor_is_told_by_file_line_and_key() {
    assert_eq!(problems(MINE), "nothing");
    for (from, to, says) in [
        ("licence =", "license =", "mine.toml:10:1: license: unknown field `license`"),
        ("count = 8", "count = 8\nfist = 1", "mine.toml:14:1: bands.fist: unknown field `fist`"),
        (
            "power = 2.0",
            "pow = 2.0",
            "mine.toml:8:40: codec.signed_square.pow: unexpected keys in table: pow, available keys: ",
        ),
        (
            "dimension = 8",
            "dimension = \"8\"",
            "mine.toml:6:13: dimension: invalid type: string \"8\", expected u32",
        ),
        ("dimension = 8", "dimension = -8", "mine.toml:6:13: dimension: "),
        ("\"pixel\"", "\"voxel\"", "mine.toml:4:8: kind: unknown variant `voxel`"),
        ("\"int8\"", "\"int7\"", "mine.toml:7:9: dtype: \"int7\" is no type of number: "),
        ("name = \"Mine\"\n", "", "mine.toml:1:1: name: missing field `name`"),
        ("url = \"file:///data\"\n", "", "mine.toml:25:1: host[0].url: missing field `url`"),
        ("kind =", "kind", "mine.toml:4:6: key with no value, expected `=`"),
        ("id = \"mine\"", "id = \"Mine!\"", "mine.toml:1:1: id: \"Mine!\" is no product id: "),
        ("dimension = 8\n", "", "mine.toml:1:1: dimension: missing: "),
        ("dimension = 8", "dimension = 0", "mine.toml:6:1: dimension: 0 is not between 1 and 65536"),
        ("count = 8", "count = 9", "mine.toml:13:1: bands.count: 9 bands, but a vector of 8 is stored in 8"),
        ("\"B{}\"", "\"B\"", "mine.toml:14:1: bands.name: needs one place for the number: {} or {:02}"),
        ("\"int8\"", "\"float32\"", "mine.toml:7:1: dtype: float32 does not go with codec `signed_square`"),
        (
            "value = -128",
            "value = -127",
            "mine.toml:9:9: missing.value: -127, but the codec's nodata is -128",
        ),
        ("missing.value = -128", "missing = \"nan\"", "mine.toml:9:1: missing: an integer is never NaN"),
        (
            "missing.value = -128",
            "missing = \"scale\"",
            "mine.toml:9:1: missing: `scale` goes with the codec",
        ),
        ("scale = 127.5", "scale = 0.0", "mine.toml:8:25: codec.signed_square.scale: 0 is not positive"),
        ("mine_(?P", "mine_((?P", "mine.toml:17:1: tiles.pattern: is no regular expression: "),
        ("<year>", "<yaer>", "mine.toml:17:1: tiles.pattern: group \"yaer\" is none of year, "),
        (
            "mine_2024.tif\"",
            "yours_2024.tif\"",
            "mine.toml:18:13: tiles.examples[0]: \"yours_2024.tif\" does not match",
        ),
        ("[2020, 2024]", "[2024, 2020]", "mine.toml:23:1: time.years: 2024 comes after 2020"),
        ("\"calendar-year\"", "\"fixed\"", "mine.toml:22:1: time.interval: `fixed` needs `intervals`"),
        ("file:///data", "ftp://data", "mine.toml:27:1: host[0].url: scheme \"ftp\" is none of file, "),
        ("file:///data", "data", "mine.toml:27:1: host[0].url: \"data\" is no URL: "),
        (
            "licence = \"CC0-1.0\"\n",
            "",
            "mine.toml:1:1: licence: missing: give it or add \"licence\" to `unknown`",
        ),
        (
            "[bands]",
            "unknown = [\"licence\"]\n\n[bands]",
            "mine.toml:12:12: unknown[0]: \"licence\" is given above",
        ),
    ] {
        assert!(MINE.contains(from), "{from}");
        let said = problems(&MINE.replacen(from, to, 1));
        assert!(said.contains(says), "{from} -> {to}\n  said   {said}\n  wanted {says}");
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let said =
        problems(&MINE.replace("dimension = 8", "dimension = 7").replace("[2020, 2024]", "[2024, 2020]"));
    assert_eq!(
        said,
        "mine.toml:13:1: bands.count: 8 bands, but a vector of 7 is stored in 7\n\
         mine.toml:23:1: time.years: 2024 comes after 2020"
    );
}

#[test]
fn codecs_and_dimensions_agree() {
    let with = |codec: &str, dtype: &str, dimension: u32| {
        let bands = MINE.find("[bands]").unwrap()..MINE.find("[tiles]").unwrap();
        let mut text = MINE.to_owned();
        text.replace_range(bands, "");
        let text = text.replace("missing.value = -128\n", "").replace("\"int8\"", &format!("\"{dtype}\""));
        let text = text.replace("dimension = 8", &format!("dimension = {dimension}"));
        let line = text.lines().find(|line| line.starts_with("codec")).unwrap().to_owned();
        problems(&text.replace(&line, &format!("codec.{codec}")))
    };
    let fsq = "fsq = { levels = [8, 5], codes_per_pixel = 12, qa_band = 13 }";
    assert_eq!(with(fsq, "uint16", 24), "nothing");
    assert!(with(fsq, "uint16", 25).contains("dimension: 25, but 12 codes of 2 values make 24"));
    assert!(with(fsq, "float32", 24).contains("dtype: float32 does not go with codec `fsq`"));
    let wide = "fsq = { levels = [256, 2], codes_per_pixel = 1 }";
    assert!(
        with(wide, "uint8", 2).contains("codec.fsq.levels: their product exceeds what the dtype can hold")
    );
    let early = "fsq = { levels = [8, 5], codes_per_pixel = 12, qa_band = 12 }";
    assert!(with(early, "uint16", 24).contains("codec.fsq.qa_band: band 12 is one of the codes 1 to 12"));
    let bits = "sign_bits = { bits = 64, distance = \"hamming\" }";
    assert_eq!(with(bits, "uint8", 64), "nothing");
    assert!(with(bits, "uint8", 8).contains("dimension: 8, but the codec has 64 bits"));
    assert!(with("linear = { scale = 0.0, offset = 1.0 }", "uint8", 8).contains("codec.linear.scale"));
    assert!(with("unknown = { reason = \" \" }", "uint8", 8).contains("codec.unknown.reason: is empty"));
}

#[test]
fn a_name_is_taken_unless_the_new_file_replaces_it() {
    let mut catalog = Catalog::empty();
    catalog.add_text("first.toml", MINE).unwrap();
    let error = catalog.add_text("second.toml", MINE).unwrap_err();
    assert_eq!(error.to_string(), "second.toml: \"mine\" is taken by first.toml");
    assert!(error.help().unwrap().contains("replace = true"));
    let other = MINE.replace("\"Mine\"", "\"Other\"");
    catalog.add_text("third.toml", &format!("replace = true\n{other}")).unwrap();
    assert_eq!((catalog.iter().len(), catalog.get("mine").unwrap().name.as_str()), (1, "Other"));
    let alias = other.replace("id = \"mine\"", "id = \"yours\"\naliases = [\"mine\"]");
    assert!(matches!(catalog.add_text("fourth.toml", &alias), Err(CatalogError::Duplicate { .. })));
}

#[test]
fn a_folder_loads_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let mut catalog = Catalog::builtin();
    let before = catalog.iter().len();
    assert!(matches!(catalog.load_path(folder.path()), Err(CatalogError::Empty { .. })));
    std::fs::write(folder.path().join("a.toml"), MINE).unwrap();
    std::fs::write(folder.path().join("b.toml"), "id = 3").unwrap();
    let error = catalog.load_path(folder.path()).unwrap_err();
    assert!(error.to_string().contains("b.toml:1:6: id: "), "{error}");
    assert_eq!(catalog.iter().len(), before);
    std::fs::remove_file(folder.path().join("b.toml")).unwrap();
    catalog.load_path(folder.path()).unwrap();
    assert_eq!(catalog.recognise("x/mine_2024.tif")[0].id, "mine");
    let nowhere = catalog.load_path(&folder.path().join("none.toml")).unwrap_err();
    assert!(nowhere.to_string().contains("none.toml"));
}

/// Descriptors cut short or with a byte changed: problems or a product, never a panic.
#[test]
fn damaged_text_is_refused_in_words() {
    let text = std::fs::read_to_string(root().join("catalog/tessera-zarr.toml")).unwrap();
    let told = |text: &str| {
        if let Err(CatalogError::Invalid(problems)) = Catalog::empty().add_text("x.toml", text) {
            assert!(!problems.is_empty());
            assert!(problems.iter().all(|p| p.line >= 1 && p.column >= 1 && !p.message.is_empty()));
        }
    };
    for (i, c) in text.char_indices().step_by(7) {
        told(&text[..i]);
        for with in ["\"", "[", "{", "é", "=", "-9"] {
            told(&format!("{}{with}{}", &text[..i], &text[i + c.len_utf8()..]));
        }
    }
    told(&"[".repeat(100_000));
    told(&format!("a = {}", "{a = ".repeat(50_000)));
    let said = problems(&"#".repeat(2 << 20));
    assert_eq!(said, "mine.toml:1:1: 2097152 bytes are no descriptor, 1048576 is the limit");
}

/// The descriptors that `catalog/README.md` shows.
#[test]
fn the_examples_in_the_readme_load() {
    let text = std::fs::read_to_string(root().join("catalog/README.md")).unwrap();
    let examples: Vec<&str> =
        text.split("```toml\n").skip(1).map(|t| t.split("```").next().unwrap()).collect();
    assert_eq!(examples.len(), 2);
    let mut catalog = Catalog::builtin();
    for example in examples {
        catalog.add_text("README.md", example).unwrap();
        assert!(example.lines().count() <= 12);
    }
    let mine = catalog.get("my-vectors").unwrap();
    assert_eq!(mine.codec, CodecSpec::Linear { scale: 0.0078125, offset: -1.0 });
}

#[test]
fn json_keeps_every_fact() {
    for d in Catalog::builtin().iter() {
        let json = serde_json::to_string(d).unwrap();
        assert_eq!(&serde_json::from_str::<Descriptor>(&json).unwrap(), d);
    }
    let json = serde_json::to_value(&*product("esd")).unwrap();
    assert_eq!(json["codec"]["fsq"]["levels"], serde_json::json!([8, 8, 8, 5, 5, 5]));
    assert_eq!(json["dtype"], "uint16");
}

#[test]
fn the_list_and_the_pages_fit_a_terminal() {
    let catalog = Catalog::builtin();
    let table = render::table(&catalog.iter().collect::<Vec<_>>());
    let header: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header, ["id", "kind", "dim", "dtype", "resolution", "years", "licence", "access"]);
    assert_eq!(table.lines().count(), 1 + catalog.iter().len());
    // A word longer than the page (a path, an address) stays whole.
    let fits =
        |line: &str| line.chars().count() <= 100 || line.split_whitespace().any(|word| word.len() > 80);
    for line in table.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    for d in catalog.iter() {
        let page = render::page(d);
        assert!(page.lines().all(fits), "{page}");
        for fact in d.hosts.iter().map(|h| h.url.as_str()).chain(d.licence.as_deref()) {
            assert!(page.contains(fact), "{}: {fact}", d.id);
        }
    }
    let lines: Vec<String> = table.lines().map(str::to_owned).collect();
    assert_eq!(
        lines[1],
        "alphaearth           pixel     64        int8     10 m        2017–2025   CC-BY-4.0           open"
    );
}

#[test]
fn encoders_can_be_run_and_their_weights_found() {
    for d in Catalog::builtin().iter().filter(|d| d.kind == Kind::Location) {
        let variants = d.variants.iter().map(Some).chain(d.variants.is_empty().then_some(None));
        for variant in variants {
            let architecture: EncoderId = d.architecture(variant).unwrap().parse().unwrap();
            let dimension = d.dimension_of(variant).unwrap();
            assert!(d.encoder.as_ref().unwrap().dimensions.contains(&dimension), "{} {dimension}", d.id);
            assert_eq!(architecture.has_weights(), d.format == Format::Weights, "{}", d.id);
            let networks = d.weights_of(variant).filter(|w| w.role == WeightsRole::Network).count();
            assert!(networks <= 1, "{}: which of {networks} files is it?", d.id);
        }
    }
    let satclip = product("satclip");
    for variant in &satclip.variants {
        let file = satclip.weights_of(Some(variant)).next().unwrap();
        assert!(file.file.ends_with(&format!("{}.ckpt", variant.id)), "{}", file.file);
        assert!(file.url.contains(variant.path.as_deref().unwrap()), "{}", file.url);
    }
    assert_eq!(product("climplicit").encoder.as_ref().unwrap().time, EncoderTime::Month);
    assert_eq!(product("geoclip").weights[0].bytes, Some(37_806_041));
}

#[test]
fn wrong_weights_entries_are_told() {
    let text = |entry: &str| {
        format!(
            "id = \"x\"\nname = \"X\"\nsummary = \"X\"\nkind = \"location\"\nformat = \"weights\"\ndimension = 4\n\
             codec = \"identity\"\nlicence = \"MIT\"\nencoder = {{ architecture = \"sinr\", input = \"lon_lat\", \
             scaling = \"x\", dimensions = [4] }}\n[[weights]]\n{entry}"
        )
    };
    let good = "file = \"w.pth\"\nurl = \"https://host/w.pth\"\n";
    assert!(parse_descriptor("x.toml", &text(good)).is_ok());
    for (entry, key) in [
        ("file = \"../w.pth\"\nurl = \"https://host/w.pth\"\n".to_owned(), "weights[0].file"),
        ("file = \".pth\"\nurl = \"https://host/w.pth\"\n".to_owned(), "weights[0].file"),
        ("file = \"w.pth\"\nurl = \"s3://host/w.pth\"\n".to_owned(), "weights[0].url"),
        (format!("{good}variant = \"l10\"\n"), "weights[0].variant"),
        (format!("{good}sha256 = \"ABC\"\n"), "weights[0].sha256"),
    ] {
        let problems = parse_descriptor("x.toml", &text(&entry)).unwrap_err();
        assert!(problems.iter().any(|p| p.key == key), "{entry}: {problems:?}");
    }
    let other = text(good).replace("\"sinr\"", "\"senor\"");
    let problems = parse_descriptor("x.toml", &other).unwrap_err();
    assert!(
        problems[0].key == "encoder.architecture" && problems[0].message.contains("sinr"),
        "{problems:?}"
    );
}

/// `docs/products.md` is made from the catalog; `UPDATE_DOCS=1 cargo test` writes it anew.
#[test]
fn the_product_pages_are_up_to_date() {
    let text = render::markdown(&Catalog::builtin());
    let path = root().join("docs/products.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert!(std::fs::read_to_string(&path).is_ok_and(|t| t == text), "run UPDATE_DOCS=1 cargo test");
}
