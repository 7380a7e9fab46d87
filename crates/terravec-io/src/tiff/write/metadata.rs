//! GDAL's metadata tag: band descriptions, scales, offsets and the caller's tags as XML.

use std::fmt::Write as _;

use super::super::Interleave;
use super::spec::CogSpec;

/// The text of the GDAL_METADATA tag, or `None` where there is nothing to say.
pub(super) fn gdal_metadata(spec: &CogSpec) -> Option<String> {
    let mut items = String::new();
    for (key, value) in &spec.tags {
        item(&mut items, &format!("name=\"{}\"", escape(key).replace('"', "&quot;")), value);
    }
    if spec.is_planar() && spec.interleave == Interleave::Tile {
        item(&mut items, "name=\"INTERLEAVE\" domain=\"IMAGE_STRUCTURE\"", "TILE");
    }
    let mut band = |name: &str, sample: usize, value: &str| {
        let role = name.to_lowercase();
        item(&mut items, &format!("name=\"{name}\" sample=\"{sample}\" role=\"{role}\""), value);
    };
    for (i, name) in spec.band_names.iter().enumerate() {
        band("DESCRIPTION", i, name);
    }
    for (i, (scale, offset)) in spec.scale_offset.iter().enumerate() {
        band("OFFSET", i, &offset.to_string());
        band("SCALE", i, &scale.to_string());
    }
    (!items.is_empty()).then(|| format!("<GDALMetadata>\n{items}</GDALMetadata>\n"))
}

fn item(xml: &mut String, attributes: &str, text: &str) {
    // GDAL unescapes the text of items twice, because it has always escaped it twice.
    let _ = writeln!(xml, "  <Item {attributes}>{}</Item>", escape(&escape(text)));
}

/// Text as XML. Quotes may stay as they are outside attributes, which keeps JSON legible.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\n' | '\r' | '\t' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out
}
