//! What must hold between the fields of a descriptor beyond their types.

use terravec_io::DType;
use terravec_location::EncoderId;

use super::codec::{CodecSpec, MissingRule};
use super::descriptor::{Citation, Descriptor, Form};
use super::naming::GROUPS;
use super::place::Resolution;

/// URL schemes a host may have.
const SCHEMES: [&str; 7] = ["file", "http", "https", "s3", "gs", "az", "hf"];
const MAX_DIMENSION: u32 = 1 << 16;

/// Problems as (dotted key, message).
pub(super) fn check(d: &Descriptor) -> Vec<(String, String)> {
    let mut found = Problems::default();
    names(d, &mut found);
    dimension(d, &mut found);
    codec(d, &mut found);
    missing(d, &mut found);
    naming(d, &mut found);
    place(d, &mut found);
    time(d, &mut found);
    table_and_encoder(d, &mut found);
    weights(d, &mut found);
    sources(d, &mut found);
    unknowns(d, &mut found);
    found.0
}

#[derive(Default)]
struct Problems(Vec<(String, String)>);

impl Problems {
    fn add(&mut self, key: &str, message: impl Into<String>) {
        self.0.push((key.to_owned(), message.into()));
    }

    fn require(&mut self, holds: bool, key: &str, message: impl Into<String>) {
        if !holds {
            self.add(key, message);
        }
    }
}

fn is_id(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
        && text.len() <= 64
}

fn names(d: &Descriptor, found: &mut Problems) {
    let rule = "use lower-case letters, digits, '-' and '.', first a letter or digit, at most 64";
    found.require(is_id(&d.id), "id", format!("{:?} is no product id: {rule}", d.id));
    for (i, alias) in d.aliases.iter().enumerate() {
        found.require(is_id(alias), &format!("aliases[{i}]"), format!("{alias:?} is no product id: {rule}"));
        found.require(*alias != d.id, &format!("aliases[{i}]"), "is the id itself");
    }
    if let Some(family) = &d.family {
        found.require(is_id(family), "family", format!("{family:?} is no product id: {rule}"));
    }
    for (key, text) in [("name", &d.name), ("summary", &d.summary)] {
        found.require(!text.trim().is_empty(), key, "is empty");
    }
    for (i, variant) in d.variants.iter().enumerate() {
        let ok = !variant.id.is_empty()
            && variant.id.bytes().all(|b| b.is_ascii_graphic() && b != b'@' && b != b'=');
        let key = format!("variant[{i}].id");
        found.require(
            ok,
            &key,
            format!("{:?} is no variant id: printable, no space, '@' or '='", variant.id),
        );
        let first = d.variants.iter().position(|other| other.id.eq_ignore_ascii_case(&variant.id));
        found.require(first == Some(i), &key, format!("{:?} is given twice", variant.id));
        if let Some(years) = variant.years {
            check_years(years, &format!("variant[{i}].years"), found);
        }
        if let Some(url) = &variant.url {
            check_url(url, &format!("variant[{i}].url"), found);
        }
    }
    let mut defaults = d.variants.iter().enumerate().filter(|(_, v)| v.default).skip(1);
    if let Some((i, _)) = defaults.next() {
        found.add(&format!("variant[{i}].default"), "another variant is the default already");
    }
}

fn dimension(d: &Descriptor, found: &mut Problems) {
    let given = d.dimension.iter().map(|&n| ("dimension".to_owned(), n));
    let of_variants = d.variants.iter().enumerate();
    let of_variants =
        of_variants.filter_map(|(i, v)| Some((format!("variant[{i}].dimension"), v.dimension?)));
    for (key, n) in given.chain(of_variants) {
        found.require(
            (1..=MAX_DIMENSION).contains(&n),
            &key,
            format!("{n} is not between 1 and {MAX_DIMENSION}"),
        );
    }
    let by_variants = !d.variants.is_empty() && d.variants.iter().all(|v| v.dimension.is_some());
    let stated = d.dimension.is_some() || by_variants || lists_unknown(d, "dimension");
    found.require(
        stated,
        "dimension",
        "missing: give it, give one to every variant, or add \"dimension\" to `unknown`",
    );
    let needs_dtype = d.format.form() != Form::Computed;
    let stated = d.dtype.is_some() || !needs_dtype || lists_unknown(d, "dtype");
    found.require(stated, "dtype", "missing: give it or add \"dtype\" to `unknown`");
}

fn codec(d: &Descriptor, found: &mut Problems) {
    let dtype_is = |allowed: &[DType], key: &str, found: &mut Problems| {
        if let Some(dtype) = d.dtype {
            let names = allowed.iter().map(|t| t.name()).collect::<Vec<_>>().join(" or ");
            found.require(
                allowed.contains(&dtype),
                "dtype",
                format!("{} does not go with codec `{key}`, which decodes {names}", dtype.name()),
            );
        }
    };
    let finite = |value: f64, key: &str, found: &mut Problems| {
        found.require(value.is_finite() && value != 0.0, key, format!("{value} is no usable factor"));
    };
    match &d.codec {
        CodecSpec::Identity => {}
        CodecSpec::SignedSquare { scale, power, nodata } => {
            dtype_is(&[DType::I8, DType::I16], "signed_square", found);
            let positive = |v: f64| v.is_finite() && v > 0.0;
            found.require(positive(*scale), "codec.signed_square.scale", format!("{scale} is not positive"));
            found.require(positive(*power), "codec.signed_square.power", format!("{power} is not positive"));
            let fits = d.dtype.is_none_or(|t| holds(t, *nodata as f64));
            found.require(fits, "codec.signed_square.nodata", format!("{nodata} does not fit the dtype"));
        }
        CodecSpec::PerPixelScale {
            scale_array, valid_min_exclusive: min, valid_max_exclusive: max, ..
        } => {
            dtype_is(&[DType::I8, DType::U8, DType::I16, DType::U16], "per_pixel_scale", found);
            found.require(!scale_array.is_empty(), "codec.per_pixel_scale.scale_array", "is empty");
            let key = "codec.per_pixel_scale.valid_max_exclusive";
            found.require(
                min.is_finite() && min < max,
                key,
                format!("no scale lies between {min} and {max}"),
            );
        }
        CodecSpec::Fsq { levels, codes_per_pixel, qa_band } => {
            dtype_is(&[DType::U8, DType::U16, DType::U32], "fsq", found);
            let key = "codec.fsq.levels";
            found.require(!levels.is_empty(), key, "is empty");
            found.require(levels.iter().all(|&l| l >= 2), key, "a level needs at least 2 steps");
            let codes = levels.iter().try_fold(1u64, |product, &l| product.checked_mul(u64::from(l)));
            let bits = d.dtype.map_or(32, |t| t.size() * 8).min(32);
            let room = codes.is_some_and(|codes| codes <= 1 << bits);
            found.require(room, key, "their product exceeds what the dtype can hold");
            found.require(*codes_per_pixel > 0, "codec.fsq.codes_per_pixel", "is 0");
            if let Some(band) = qa_band {
                let message = format!("band {band} is one of the codes 1 to {codes_per_pixel}");
                found.require(band > codes_per_pixel, "codec.fsq.qa_band", message);
            }
            let want = u64::from(*codes_per_pixel) * levels.len() as u64;
            if let Some(dimension) = d.dimension {
                let message = format!(
                    "{dimension}, but {codes_per_pixel} codes of {} values make {want}",
                    levels.len()
                );
                found.require(u64::from(dimension) == want, "dimension", message);
            }
        }
        CodecSpec::Linear { scale, offset } => {
            finite(*scale, "codec.linear.scale", found);
            found.require(offset.is_finite(), "codec.linear.offset", "is not finite");
        }
        CodecSpec::SignBits { bits, .. } => {
            dtype_is(&[DType::U8], "sign_bits", found);
            found.require(
                *bits > 0 && bits % 8 == 0,
                "codec.sign_bits.bits",
                format!("{bits} is no number of bytes"),
            );
            if let Some(dimension) = d.dimension {
                found.require(
                    dimension == *bits,
                    "dimension",
                    format!("{dimension}, but the codec has {bits} bits"),
                );
            }
        }
        CodecSpec::Unknown { reason } => {
            found.require(!reason.trim().is_empty(), "codec.unknown.reason", "is empty");
        }
    }
    bands(d, found);
}

fn bands(d: &Descriptor, found: &mut Problems) {
    let lists = [
        ("bands", &d.bands),
        ("table.vector_columns", &d.table.as_ref().and_then(|t| t.vector_columns.clone())),
    ];
    for (key, names) in lists {
        let Some(names) = names else { continue };
        let message = "needs one place for the number: {} or {:02}";
        found.require(names.well_formed(), &format!("{key}.name"), message);
        let extra = names.extra.len();
        found.require(extra < names.count as usize, &format!("{key}.extra"), "leaves no numbered band");
        found.require(
            names.count <= MAX_DIMENSION,
            &format!("{key}.count"),
            format!("more than {MAX_DIMENSION}"),
        );
    }
    if let (Some(bands), Some(dimension)) = (&d.bands, d.dimension) {
        let want = d.codec.bands_for(dimension);
        let message = format!("{} bands, but a vector of {dimension} is stored in {want}", bands.count);
        found.require(bands.count == want, "bands.count", message);
    }
    found.require(d.bands.is_none() || d.format.form() == Form::Raster, "bands", "only rasters have bands");
}

fn missing(d: &Descriptor, found: &mut Problems) {
    let float = matches!(d.dtype, Some(DType::F16 | DType::F32 | DType::F64) | None);
    match d.missing {
        Some(MissingRule::Nan) => found.require(float, "missing", "an integer is never NaN"),
        Some(MissingRule::Value(code)) => {
            let fits = d.dtype.is_none_or(|t| holds(t, code));
            found.require(fits, "missing.value", format!("{code} does not fit the dtype"));
            if let CodecSpec::SignedSquare { nodata, .. } = d.codec {
                let message = format!("{code}, but the codec's nodata is {nodata}");
                found.require(code == nodata as f64, "missing.value", message);
            }
        }
        Some(MissingRule::Scale) => {
            let scaled = matches!(d.codec, CodecSpec::PerPixelScale { .. });
            found.require(scaled, "missing", "`scale` goes with the codec `per_pixel_scale` only");
        }
        _ => {}
    }
}

/// Whether a number of this type can be `value`.
fn holds(dtype: DType, value: f64) -> bool {
    let range = match dtype {
        DType::U8 => 0.0..=255.0,
        DType::I8 => -128.0..=127.0,
        DType::U16 => 0.0..=65_535.0,
        DType::I16 => -32_768.0..=32_767.0,
        DType::U32 => 0.0..=4_294_967_295.0,
        DType::I32 => -2_147_483_648.0..=2_147_483_647.0,
        DType::F16 | DType::F32 | DType::F64 => return true,
    };
    range.contains(&value) && value.fract() == 0.0
}

fn naming(d: &Descriptor, found: &mut Problems) {
    let Some(tiles) = &d.tiles else { return };
    let regex = match tiles.regex() {
        Ok(regex) => regex,
        Err(e) => return found.add("tiles.pattern", format!("is no regular expression: {e}")),
    };
    for group in regex.capture_names().flatten() {
        let message = format!("group {group:?} is none of {}", GROUPS.join(", "));
        found.require(GROUPS.contains(&group), "tiles.pattern", message);
    }
    found.require(!tiles.examples.is_empty(), "tiles.examples", "give at least one name the pattern matches");
    for (i, example) in tiles.examples.iter().enumerate() {
        let message = format!("{example:?} does not match the pattern");
        found.require(tiles.parse(example).is_some(), &format!("tiles.examples[{i}]"), message);
    }
    if let Some(manifest) = &tiles.manifest {
        let path = manifest.path_of(-0.05, 51.55, 2024);
        let message = format!("makes {path:?}, which does not match the pattern");
        found.require(
            tiles.parse(&path).is_some_and(|n| n.year() == Some(2024)),
            "tiles.manifest.path",
            message,
        );
        let ok = manifest.side.is_finite() && manifest.side > 0.0;
        found.require(ok, "tiles.manifest.side", "must be positive");
    }
}

fn place(d: &Descriptor, found: &mut Problems) {
    if let Some(Resolution { metres, degrees, to, spacing_metres }) = d.resolution {
        found.require(
            metres.is_some() != degrees.is_some(),
            "resolution",
            "give either `metres` or `degrees`",
        );
        let positive =
            [metres, degrees, to, spacing_metres].into_iter().flatten().all(|v| v.is_finite() && v > 0.0);
        found.require(positive, "resolution", "must be positive");
        let ordered = to.zip(metres.or(degrees)).is_none_or(|(to, from)| to > from);
        found.require(ordered, "resolution.to", "is not larger than the smallest");
    }
    if let Some(grid) = &d.grid {
        let regular = |[a, _, _, d, e, _]: [f64; 6]| a > 0.0 && d == 0.0 && e != 0.0;
        let ok = grid.affine.is_none_or(|t| t.iter().all(|v| v.is_finite()) && regular(t));
        found.require(ok, "grid.affine", "needs [a, b, c, d, e, f] with a > 0, d = 0, e not 0");
        let ok = grid.shape.is_none_or(|[width, height]| width > 0 && height > 0);
        found.require(ok, "grid.shape", "is empty");
    }
    if let Some([west, south, east, north]) = d.extent.as_ref().and_then(|extent| extent.bbox) {
        let lon = |v: f64| (-181.0..=181.0).contains(&v);
        let lat = |v: f64| (-91.0..=91.0).contains(&v);
        let ok = lon(west) && lon(east) && lat(south) && lat(north) && south < north && west != east;
        found.require(ok, "extent.bbox", "needs [west, south, east, north] in degrees");
    }
}

fn check_years([first, last]: [i32; 2], key: &str, found: &mut Problems) {
    found.require(first <= last, key, format!("{first} comes after {last}"));
    let sane = |year: i32| (1900..=2200).contains(&year);
    found.require(sane(first) && sane(last), key, "years run from 1900 to 2200");
}

fn time(d: &Descriptor, found: &mut Problems) {
    use super::time::IntervalRule;
    let Some(time) = &d.time else { return };
    if let Some(years) = time.years {
        check_years(years, "time.years", found);
    }
    for (i, interval) in time.intervals.iter().enumerate() {
        let message = format!("{} does not come after {}", interval.end, interval.start);
        found.require(interval.start < interval.end, &format!("time.intervals[{i}]"), message);
    }
    let fixed = time.interval == IntervalRule::Fixed;
    found.require(!fixed || !time.intervals.is_empty(), "time.interval", "`fixed` needs `intervals`");
    found.require(fixed || time.intervals.is_empty(), "time.intervals", "go with interval = \"fixed\" only");
}

fn table_and_encoder(d: &Descriptor, found: &mut Problems) {
    let form = d.format.form();
    if let Some(table) = &d.table {
        found.require(form == Form::Table, "table", format!("{} is no table", d.format.name()));
        let vectors = !table.vector.is_empty() || table.vector_columns.is_some();
        found.require(vectors, "table.vector", "missing: name the column of the vector");
        if let (Some(columns), Some(dimension)) = (&table.vector_columns, d.dimension) {
            let message = format!("{} columns, but the dimension is {dimension}", columns.count);
            found.require(columns.count == dimension, "table.vector_columns.count", message);
        }
    }
    if let Some(encoder) = &d.encoder {
        let goes = "goes with format = \"weights\" or \"formula\" only";
        found.require(form == Form::Computed, "encoder", goes);
        let key = "encoder.dimensions";
        found.require(!encoder.dimensions.is_empty(), key, "is empty");
        if let Some(dimension) = d.dimension {
            let listed = encoder.dimensions.contains(&dimension);
            found.require(listed, key, format!("the dimension {dimension} is not among them"));
        }
    }
}

fn weights(d: &Descriptor, found: &mut Problems) {
    let own =
        d.encoder.iter().filter_map(|e| Some(("encoder.architecture".to_owned(), e.architecture.as_ref()?)));
    let of_variants = d.variants.iter().enumerate();
    let of_variants = of_variants
        .filter_map(|(i, v)| Some((format!("variant[{i}].architecture"), v.architecture.as_ref()?)));
    for (key, name) in own.chain(of_variants) {
        if let Err(e) = name.parse::<EncoderId>() {
            found.add(&key, e.to_string());
        }
    }
    found.require(d.weights.is_empty() || d.encoder.is_some(), "weights", "go with an `encoder` only");
    for (i, w) in d.weights.iter().enumerate() {
        let key = |field: &str| format!("weights[{i}].{field}");
        let plain = !w.file.is_empty() && !w.file.starts_with('.') && !w.file.contains(['/', '\\']);
        found.require(plain, &key("file"), format!("{:?} is no plain file name", w.file));
        check_url(&w.url, &key("url"), found);
        found.require(w.url.starts_with("http"), &key("url"), "only http and https can be fetched from");
        let known = w.variant.as_deref().is_none_or(|id| d.variants.iter().any(|v| v.id == id));
        found.require(known, &key("variant"), "there is no such variant");
        let hex = |s: &String| s.len() == 64 && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let message = "needs 64 hexadecimal digits in lower case";
        found.require(w.sha256.as_ref().is_none_or(hex), &key("sha256"), message);
    }
}

fn check_url(url: &str, key: &str, found: &mut Problems) {
    match url::Url::parse(url) {
        Ok(parsed) if SCHEMES.contains(&parsed.scheme()) => {}
        Ok(parsed) => {
            found.add(key, format!("scheme {:?} is none of {}", parsed.scheme(), SCHEMES.join(", ")));
        }
        Err(e) => found.add(key, format!("{url:?} is no URL: {e}")),
    }
}

fn check_citation(citation: &Citation, key: &str, found: &mut Problems) {
    let Citation { title, arxiv, doi, url } = citation;
    let given = [title, arxiv, doi, url].into_iter().any(Option::is_some);
    found.require(given, key, "give a title, arXiv number, doi or url");
    if let Some(doi) = doi {
        found.require(
            doi.starts_with("10."),
            &format!("{key}.doi"),
            format!("{doi:?} does not start with 10."),
        );
    }
    if let Some(arxiv) = arxiv {
        let ok = arxiv.split_once('.').is_some_and(|(ym, n)| {
            ym.len() == 4
                && (4..=5).contains(&n.len())
                && (ym.to_owned() + n).bytes().all(|b| b.is_ascii_digit())
        });
        found.require(
            ok,
            &format!("{key}.arxiv"),
            format!("{arxiv:?} is no arXiv number such as 2507.22291"),
        );
    }
    if let Some(url) = url {
        check_url(url, &format!("{key}.url"), found);
    }
}

fn sources(d: &Descriptor, found: &mut Problems) {
    for (i, host) in d.hosts.iter().enumerate() {
        check_url(&host.url, &format!("host[{i}].url"), found);
    }
    for (i, citation) in d.citations.iter().enumerate() {
        check_citation(citation, &format!("citation[{i}]"), found);
    }
    if let Some(paper) = d.model.as_ref().and_then(|model| model.paper.as_ref()) {
        check_citation(paper, "model.paper", found);
    }
    let stated = d.licence.is_some() || lists_unknown(d, "licence");
    found.require(stated, "licence", "missing: give it or add \"licence\" to `unknown`");
}

fn lists_unknown(d: &Descriptor, fact: &str) -> bool {
    d.unknown.iter().any(|entry| entry == fact)
}

/// A fact cannot be both given and unknown.
fn unknowns(d: &Descriptor, found: &mut Problems) {
    let given = [
        ("dimension", d.dimension.is_some()),
        ("dtype", d.dtype.is_some()),
        ("missing", d.missing.is_some()),
        ("unit_length", d.unit_length.is_some()),
        ("resolution", d.resolution.is_some()),
        ("size", d.size.is_some()),
        ("licence", d.licence.is_some()),
        ("codec", !matches!(d.codec, CodecSpec::Unknown { .. })),
    ];
    for (i, entry) in d.unknown.iter().enumerate() {
        let clash = given.iter().any(|(fact, present)| *present && fact == entry);
        found.require(!clash, &format!("unknown[{i}]"), format!("{entry:?} is given above"));
    }
}
