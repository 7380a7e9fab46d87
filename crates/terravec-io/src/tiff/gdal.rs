//! GDAL's own tags: band names, scales, metadata items and the nodata value.

use super::error::TiffError;
use super::ifd::{File, Ifd, tag};

/// Length of the XML that is parsed at most.
const MAX_XML: usize = 32 << 20;

/// What `GDAL_METADATA` says.
#[derive(Debug, Clone, Default)]
pub(super) struct Metadata {
    pub(super) names: Vec<Option<String>>,
    pub(super) scales: Vec<Option<f64>>,
    pub(super) offsets: Vec<Option<f64>>,
    /// (domain, key, value) of items that belong to the whole file; the default domain is empty.
    pub(super) items: Vec<(String, String, String)>,
}

pub(super) fn metadata(file: &File, ifd: &Ifd, bands: usize) -> Result<Metadata, TiffError> {
    let mut out = Metadata {
        names: vec![None; bands],
        scales: vec![None; bands],
        offsets: vec![None; bands],
        items: Vec::new(),
    };
    let Some(text) = ifd.text(file, tag::GDAL_METADATA)? else { return Ok(out) };
    let bad = |reason: String| file.corrupt("GDAL_METADATA", reason);
    if text.len() > MAX_XML {
        return Err(bad(format!("it is {} bytes long", text.len())));
    }
    let options = roxmltree::ParsingOptions { nodes_limit: 4_000_000, ..Default::default() };
    let Ok(doc) = roxmltree::Document::parse_with_options(&text, options) else {
        // GDAL reads such files without their metadata.
        return Ok(out);
    };
    for item in doc.root_element().children().filter(|n| n.has_tag_name("Item")) {
        let Some(name) = item.attribute("name") else { continue };
        let value = unescape(item.text().unwrap_or(""));
        let sample = item.attribute("sample").and_then(|s| s.parse::<usize>().ok());
        match (sample.filter(|s| *s < bands), item.attribute("role")) {
            (Some(s), Some("description")) => out.names[s] = Some(value),
            (Some(s), Some("scale")) => out.scales[s] = value.trim().parse().ok(),
            (Some(s), Some("offset")) => out.offsets[s] = value.trim().parse().ok(),
            (None, _) if sample.is_none() => {
                let domain = item.attribute("domain").unwrap_or("").to_string();
                out.items.push((domain, name.to_string(), value));
            }
            _ => {}
        }
    }
    Ok(out)
}

/// GDAL escapes values twice, so the parsed text is still escaped once.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let entity = rest.find(';').and_then(|end| Some((character(&rest[1..end])?, end)));
        let (c, end) = entity.unwrap_or(('&', 0));
        out.push(c);
        rest = &rest[end + 1..];
    }
    out + rest
}

/// The character of an entity: `lt`, `#10`, `#x0A`, ….
fn character(entity: &str) -> Option<char> {
    match entity {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = entity.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

/// The number in `GDAL_NODATA`; text that is no number is no nodata, as for GDAL.
pub(super) fn nodata(file: &File, ifd: &Ifd) -> Result<Option<f64>, TiffError> {
    Ok(ifd.text(file, tag::GDAL_NODATA)?.and_then(|t| t.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn entities() {
        for (text, plain) in [
            ("", ""),
            ("a & b; c", "a & b; c"),
            ("&lt;&amp;lt;&#10;&#x41;é&quot;", "<&lt;\nAé\""),
            ("&nope;&#xD800;&", "&nope;&#xD800;&"),
        ] {
            assert_eq!(super::unescape(text), plain);
        }
    }
}
