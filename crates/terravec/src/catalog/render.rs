//! The catalog for people: a table of products, a page on one, the reference page of the documentation.
//!
//! Pure functions to text; facts nobody published show as `?`, facts that do not apply as `–`. For machines,
//! [`Descriptor`] serialises as it is.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::descriptor::{Access, Citation, Descriptor, Form, Format, Host, StacSpec, Variant};
use super::encoder::{CoordinateOrder, EncoderTime, Precision, WeightsFile};
use super::place::{GridSpec, RowOrder};
use super::time::{IntervalRule, TimeSpec};
use super::{BandNames, Catalog, CodecSpec};

const WIDTH: usize = 100;
const LABEL: usize = 12;
const HEADER: [&str; 8] = ["id", "kind", "dim", "dtype", "resolution", "years", "licence", "access"];
/// Licences are cut here in the table; pages show them whole.
const LICENCE_WIDTH: usize = 18;

/// One line per product, columns aligned, at most 100 wide with ids of up to 19 letters.
#[must_use]
pub fn table(products: &[&Descriptor]) -> String {
    let mut rows = vec![HEADER.map(str::to_owned)];
    rows.extend(products.iter().map(|d| {
        let mut row = row(d);
        row[6] = cut(&row[6], LICENCE_WIDTH);
        row
    }));
    let widths: Vec<usize> =
        (0..HEADER.len()).map(|c| rows.iter().map(|row| row[c].chars().count()).max().unwrap_or(0)).collect();
    let mut out = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Everything about one product, wrapped at 100 columns.
#[must_use]
pub fn page(d: &Descriptor) -> String {
    let mut page = Page(format!("{} · {}\n\n", d.id, d.name));
    for line in wrap(&d.summary, WIDTH - 2) {
        let _ = writeln!(page.0, "  {line}");
    }
    page.0.push('\n');
    let how = if d.format == Format::Formula { "computed by a" } else { "stored as" };
    page.line("kind", format!("{}, {how} {}", d.kind.name(), d.format.name()));
    page.line("aliases", d.aliases.join(", "));
    page.line("vector", vector(d));
    if d.format.form() != Form::Computed {
        page.lines("decode", &decode(d));
        page.line("missing", d.missing.map_or_else(|| "?".to_owned(), |rule| rule.to_string()));
    }
    page.lines("input", &encoder(d));
    page.line("resolution", resolution(d));
    page.lines("grid", &d.grid.as_ref().map(grid).unwrap_or_default());
    page.lines("files", &files(d));
    page.lines("weights", &d.weights.iter().flat_map(weights).collect::<Vec<_>>());
    page.line("bands", d.bands.as_ref().map(bands).unwrap_or_default());
    page.lines("columns", &columns(d));
    page.lines("time", &d.time.as_ref().map(time).unwrap_or_default());
    page.line("extent", d.extent.as_ref().map(|extent| extent.text.clone()).unwrap_or_default());
    page.line("size", d.size.clone().unwrap_or_default());
    page.lines("model", &model(d));
    page.lines("variants", &d.variants.iter().map(variant).collect::<Vec<_>>());
    if let Some(family) = d.family.as_ref().filter(|family| **family != d.id) {
        page.line("family", format!("{family} (the same vectors in another layout)"));
    }
    let licence = d.licence.clone().unwrap_or_else(|| "?".into());
    page.lines("licence", &[vec![licence], d.licence_note.iter().cloned().collect()].concat());
    page.line("attribution", d.attribution.clone().unwrap_or_default());
    page.lines("hosts", &d.hosts.iter().flat_map(host).collect::<Vec<_>>());
    page.lines("cite", &d.citations.iter().map(citation).collect::<Vec<_>>());
    page.lines("quirks", &d.quirks.iter().map(|quirk| format!("- {quirk}")).collect::<Vec<_>>());
    page.line("unknown", d.unknown.join("; "));
    page.0
}

/// The reference page of the documentation: the table, then a page per product.
#[must_use]
pub fn markdown(catalog: &Catalog) -> String {
    let mut out = String::from(
        "# Products\n\nWhat terravec knows of each product, from the descriptors in `catalog/`. Made by a test; edit the \
         descriptors instead.\nA `?` stands for what nobody has published, `–` for what does not apply, `*` for years \
         with gaps in space.\n\n",
    );
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    out += &line(HEADER.iter().map(ToString::to_string).collect());
    out += &line(vec!["---".into(); HEADER.len()]);
    for d in catalog.iter() {
        let mut cells = row(d).map(|cell| cell.replace('|', "\\|").replace('*', "\\*")).to_vec();
        // GitHub's anchor of a heading drops the dots.
        cells[0] = format!("[{}](#{})", d.id, d.id.replace('.', ""));
        out += &line(cells);
    }
    for d in catalog.iter() {
        let _ = write!(out, "\n## {}\n\n```text\n{}```\n", d.id, page(d));
    }
    out
}

fn row(d: &Descriptor) -> [String; 8] {
    [
        d.id.clone(),
        d.kind.name().into(),
        dimension(d),
        dtype(d),
        resolution(d),
        years(d),
        d.licence.clone().unwrap_or_else(|| "?".into()),
        match d.access() {
            Some(Access::Anonymous) => "open".into(),
            Some(Access::RequesterPays) => "pays".into(),
            Some(Access::Login) => "login".into(),
            None => "–".into(),
        },
    ]
}

fn dimension(d: &Descriptor) -> String {
    if let Some(dimension) = d.dimension {
        return dimension.to_string();
    }
    let dimensions: BTreeSet<u32> = d.variants.iter().filter_map(|v| v.dimension).collect();
    match (dimensions.first(), dimensions.last()) {
        (Some(low), Some(high)) if low < high => format!("{low}–{high}"),
        (Some(only), _) => only.to_string(),
        _ => "?".into(),
    }
}

fn dtype(d: &Descriptor) -> String {
    let absent = if d.format.form() == Form::Computed { "–" } else { "?" };
    d.dtype.map_or(absent, |dtype| dtype.name()).into()
}

fn resolution(d: &Descriptor) -> String {
    let absent =
        if matches!(d.format.form(), Form::Raster) || d.kind.name() == "patch" { "?" } else { "–" };
    d.resolution.map_or_else(|| absent.into(), |resolution| resolution.to_string())
}

fn years(d: &Descriptor) -> String {
    let Some(time) = &d.time else { return "–".into() };
    let from_intervals = || Some([time.intervals.first()?.start.year, time.intervals.last()?.start.year]);
    match time.years.or_else(from_intervals) {
        Some([first, last]) => {
            let gaps = if time.sparse { "*" } else { "" };
            if first == last { format!("{first}{gaps}") } else { format!("{first}–{last}{gaps}") }
        }
        None if time.interval == IntervalRule::None => "–".into(),
        None => "any".into(),
    }
}

fn vector(d: &Descriptor) -> String {
    let unit = match d.unit_length {
        Some(true) => "unit length",
        Some(false) => "not of unit length",
        None => "length unknown",
    };
    let stored = d.dtype.map(|dtype| format!("stored as {}, ", dtype.name())).unwrap_or_default();
    format!("{} numbers, {stored}{unit}", dimension(d))
}

fn decode(d: &Descriptor) -> Vec<String> {
    let mut lines = vec![d.codec.to_string()];
    if let CodecSpec::PerPixelScale { infinite, nan, .. } = &d.codec {
        lines.push(format!("s = +infinity: {infinite}; s = NaN: {nan}"));
    }
    lines
}

fn encoder(d: &Descriptor) -> Vec<String> {
    let Some(encoder) = &d.encoder else { return Vec::new() };
    let order = match encoder.input {
        CoordinateOrder::LonLat => "(lon, lat)",
        CoordinateOrder::LatLon => "(lat, lon)",
    };
    let time = match encoder.time {
        EncoderTime::None => "",
        EncoderTime::Month => ", month",
        EncoderTime::OptionalYear => ", year if given",
    };
    let precision = match encoder.precision {
        Some(Precision::Float64) => "; in float64",
        Some(Precision::Float32) => "; in float32",
        None => "",
    };
    let mut lines = vec![
        format!("the model takes {order}{time}{precision}; terravec takes (lon, lat) for all"),
        encoder.scaling.clone(),
    ];
    lines.extend(encoder.network.clone());
    if encoder.dimensions.len() > 1 {
        let lengths = encoder.dimensions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        lines.push(format!("output of {lengths} numbers"));
    }
    lines
}

fn weights(file: &WeightsFile) -> Vec<String> {
    let variant = file.variant.as_ref().map(|v| format!("@{v}"));
    let size = file.bytes.map(|n| format!("{n} bytes"));
    let checksum = file.sha256.as_ref().map(|h| format!("sha256 {h}"));
    let facts =
        [Some(file.file.clone()), variant, size].into_iter().flatten().collect::<Vec<_>>().join(" · ");
    let indent = |text: &String| format!("  {text}");
    [Some(facts), Some(indent(&file.url)), checksum.as_ref().map(indent)].into_iter().flatten().collect()
}

fn grid(grid: &GridSpec) -> Vec<String> {
    let rows = match grid.rows {
        Some(RowOrder::NorthUp) => "; rows north first",
        Some(RowOrder::SouthUp) => "; rows SOUTH first",
        None => "",
    };
    let mut lines = vec![format!("{}; CRS: {}{rows}", grid.lattice.name(), grid.crs)];
    if let Some([width, height]) = grid.shape {
        lines.push(format!("{width} × {height} pixels"));
    }
    lines.extend(grid.note.clone());
    lines
}

fn files(d: &Descriptor) -> Vec<String> {
    let Some(tiles) = &d.tiles else { return Vec::new() };
    let mut lines: Vec<String> = tiles.path.iter().cloned().collect();
    lines.extend(tiles.examples.first().map(|example| format!("e.g. {example}")));
    if !tiles.index.is_empty() {
        lines.push(format!("index: {}", tiles.index.join(", ")));
    }
    if let Some(StacSpec { collection, asset }) = &d.stac {
        let said = [("collection", collection), ("asset", asset)];
        let said = said.into_iter().filter_map(|(what, name)| Some(format!("{what} {}", name.as_ref()?)));
        lines.push(format!("in STAC: {}", said.collect::<Vec<_>>().join(", ")));
    }
    lines
}

fn bands(bands: &BandNames) -> String {
    let names = bands.names();
    match (names.first(), names.last()) {
        (Some(first), Some(last)) if names.len() > 1 => format!("{first} … {last} ({})", bands.count),
        (Some(only), _) => only.clone(),
        _ => format!("{}, without names", bands.count),
    }
}

fn columns(d: &Descriptor) -> Vec<String> {
    let Some(table) = &d.table else { return Vec::new() };
    let spread = table.vector_columns.as_ref().map(|columns| match columns.names().as_slice() {
        [first, .., last] => vec![format!("{first} … {last}")],
        _ => vec![format!("{} columns of their own", columns.count)],
    });
    let vector = [table.vector.clone(), spread.unwrap_or_default()].concat();
    let lists = [
        ("vector", &vector),
        ("geometry", &table.geometry),
        ("box", &table.bbox),
        ("lon", &table.lon),
        ("lat", &table.lat),
        ("time", &table.time),
        ("id", &table.id),
        ("folders by", &table.partitions),
    ];
    let said = lists.iter().filter(|(_, names)| !names.is_empty());
    let mut lines: Vec<String> =
        vec![said.map(|(what, n)| format!("{what}: {}", n.join(" | "))).collect::<Vec<_>>().join("; ")];
    lines.extend(table.manifest.as_ref().map(|manifest| format!("listed in {manifest}")));
    lines.extend(table.duplicates.map(|_| "rows of one centre in two files come once".to_owned()));
    lines
}

fn time(time: &TimeSpec) -> Vec<String> {
    let span = match time.years {
        Some([first, last]) if first == last => format!(", {first}"),
        Some([first, last]) => format!(", {first} to {last}"),
        None => String::new(),
    };
    let interval = match time.interval {
        IntervalRule::CalendarYear => "; a vector holds for a calendar year".to_owned(),
        IntervalRule::CalendarMonth => "; a vector holds for a calendar month".to_owned(),
        IntervalRule::Acquisition => "; each vector has the date of its image".to_owned(),
        IntervalRule::Fixed => {
            let spans = time.intervals.iter().map(|i| format!("[{}, {})", i.start, i.end));
            format!("; {}", spans.collect::<Vec<_>>().join(", "))
        }
        IntervalRule::None => String::new(),
    };
    let gaps = if time.sparse { "; not every place has every time" } else { "" };
    let mut lines = vec![format!("{}{span}{interval}{gaps}", time.scope.name())];
    lines.extend(time.note.clone());
    lines
}

fn model(d: &Descriptor) -> Vec<String> {
    let Some(model) = &d.model else { return Vec::new() };
    let by = model.publisher.as_ref().map(|publisher| format!(" ({publisher})")).unwrap_or_default();
    let weights = model.weights_licence.as_ref().map(|l| format!("; weights {l}")).unwrap_or_default();
    let mut lines = vec![format!("{}{by}{weights}", model.name)];
    lines.extend(model.weights_url.clone());
    lines.extend(model.paper.as_ref().map(citation));
    lines
}

fn variant(v: &Variant) -> String {
    let years = v.years.map(|[first, last]| format!("{first}–{last}"));
    let facts = [
        v.dimension.map(|n| format!("{n} numbers")),
        v.dtype.map(|t| t.name().to_owned()),
        v.path.clone(),
        v.url.clone(),
        years,
        v.rows.map(|n| format!("{n} vectors")),
        v.size.clone(),
        v.doi.as_ref().map(|doi| format!("doi:{doi}")),
    ];
    let facts = facts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let default = if v.default { " (default)" } else { "" };
    let parts = [format!("@{}{default}", v.id), facts, v.note.clone().unwrap_or_default()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}

fn host(host: &Host) -> Vec<String> {
    let format = host.format.map(|format| format!(", {}", format.name())).unwrap_or_default();
    let region = host.region.as_ref().map(|region| format!(", {region}")).unwrap_or_default();
    let mut lines =
        vec![format!("{} ({}{format}{region})", host.name, host.access.name()), format!("  {}", host.url)];
    lines.extend(host.note.as_ref().map(|note| format!("  {note}")));
    lines
}

fn citation(citation: &Citation) -> String {
    let parts = [
        citation.title.clone(),
        citation.arxiv.as_ref().map(|n| format!("arXiv:{n}")),
        citation.doi.as_ref().map(|doi| format!("https://doi.org/{doi}")),
        citation.url.clone(),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A page in the making: labels on the left, wrapped text on the right.
struct Page(String);

impl Page {
    fn line(&mut self, label: &str, text: String) {
        self.lines(label, &[text]);
    }

    /// Leaves out what is empty.
    fn lines(&mut self, label: &str, texts: &[String]) {
        let mut label = label;
        for text in texts.iter().filter(|text| !text.is_empty()) {
            let mut indent = text.len() - text.trim_start().len();
            let hang = if text.starts_with("- ") { 2 } else { 0 };
            for line in wrap(text, WIDTH - LABEL - 2 - indent - hang) {
                let _ = writeln!(self.0, "  {label:<LABEL$}{:indent$}{line}", "");
                label = "";
                indent = indent.max(hang);
            }
        }
    }
}

/// Breaks at spaces; a word longer than the width stays whole.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}
