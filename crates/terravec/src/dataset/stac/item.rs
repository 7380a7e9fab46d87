//! STAC objects, as far as they are of use: links, and of items where, when and which file.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde::Deserialize;
use serde_json::Value;
use terravec_geo::LonLatBox;
use terravec_io::source::Location;
use url::Url;

use crate::catalog::{Descriptor, IntervalRule};
use crate::dataset::product::interval_of;
use crate::dataset::register::Listed;
use crate::error::{Error, Result};
use crate::time::Interval;

/// A catalogue, collection, item, or a page of items or collections.
#[derive(Debug, Deserialize)]
pub(super) struct Object {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) stac_version: Option<String>,
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) links: Vec<Link>,
    /// Of a page of items.
    pub(super) features: Option<Vec<Object>>,
    /// Of a page of collections.
    pub(super) collections: Option<Vec<Object>>,
    bbox: Option<Vec<f64>>,
    properties: Option<serde_json::Map<String, Value>>,
    #[serde(default)]
    pub(super) assets: BTreeMap<String, Asset>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Link {
    pub(super) rel: String,
    pub(super) href: String,
    pub(super) method: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Asset {
    href: String,
    #[serde(rename = "type")]
    media: Option<String>,
    #[serde(rename = "file:size")]
    size: Option<u64>,
}

impl Object {
    pub(super) fn link(&self, rel: &str) -> Option<&Link> {
        self.links.iter().find(|l| l.rel == rel)
    }

    /// The file of an item that holds vectors: the asset called `named`, else the only one that is a table or raster. `None` where it has
    /// none.
    ///
    /// # Errors
    /// If it could be several, or names a place that a catalogue must not name.
    pub(super) fn listed(
        &self,
        document: &Location,
        named: Option<&str>,
        product: Option<&Descriptor>,
    ) -> Result<Option<Listed>> {
        let asset = match named {
            Some(name) => self.assets.get(name),
            None => {
                let held: Vec<(&String, &Asset)> =
                    self.assets.iter().filter(|(_, a)| a.holds_data()).collect();
                match held.as_slice() {
                    [] => None,
                    [(_, one)] => Some(*one),
                    [..] => {
                        let names: Vec<&str> = held.iter().map(|(name, _)| name.as_str()).collect();
                        return Err(Error::open(
                            format!("{document}: several assets could be vectors: {}", names.join(", ")),
                            "name one as `asset` in [stac] of a descriptor",
                        ));
                    }
                }
            }
        };
        let Some(asset) = asset else { return Ok(None) };
        let path = resolve(document, &asset.href)?;
        let place = self.bbox.as_deref().and_then(lonlat).ok_or_else(|| {
            let id = self.id.as_deref().unwrap_or("?");
            Error::open(format!("{document}: item {id} has no bbox"), "tell the publisher of the catalogue")
        })?;
        let interval = product.and_then(|p| interval_of(p, path.without_query()));
        Ok(Some(Listed {
            lonlat: place,
            interval: interval.or_else(|| self.interval(product)),
            bytes: asset.size,
            scales_bytes: None,
            path: path.typed().to_owned(),
        }))
    }

    /// When its vectors hold: its range of dates, else the year, month or day of its date.
    fn interval(&self, product: Option<&Descriptor>) -> Option<Interval> {
        let properties = self.properties.as_ref()?;
        let time = |key: &str| {
            let text = properties.get(key)?.as_str()?;
            Some(DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis())
        };
        let rule = product.and_then(|p| p.time.as_ref()).map(|t| t.interval);
        if let (Some(start_ms), Some(end)) = (time("start_datetime"), time("end_datetime")) {
            // Ends are written with and without their last second.
            let end_ms =
                if end % 86_400_000 >= 86_399_000 { (end / 86_400_000 + 1) * 86_400_000 } else { end };
            return (start_ms < end_ms).then_some(Interval { start_ms, end_ms });
        }
        let day = Interval::day(time("datetime")?);
        Some(match rule {
            Some(IntervalRule::CalendarYear) => Interval::year(day.start_year()),
            Some(IntervalRule::CalendarMonth) => day.whole_month(),
            _ => day,
        })
    }
}

impl Asset {
    fn holds_data(&self) -> bool {
        let media = self.media.as_deref().unwrap_or_default();
        let name = self.href.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
        let ends = [".parquet", ".geoparquet", ".gpq", ".tif", ".tiff"].iter().any(|e| name.ends_with(e));
        ends || media.contains("parquet") || media.contains("geotiff")
    }
}

fn lonlat(bbox: &[f64]) -> Option<LonLatBox> {
    let [west, south, east, north] = match *bbox {
        [w, s, e, n] | [w, s, _, e, n, _] => [w, s, e, n],
        _ => return None,
    };
    LonLatBox::new(west, south, east, north).ok()
}

/// The place that `href` names, seen from a document.
///
/// # Errors
/// If a document on the web names a file of this machine, or the text names nothing.
pub(super) fn resolve(document: &Location, href: &str) -> Result<Location> {
    let bad = |what: &str| {
        Error::open(format!("{document}: {href:?} {what}"), "tell the publisher of the catalogue")
    };
    let allowed = ["http", "https", "s3", "gs", "az", "abfs", "hf", "source"];
    if let Some((scheme, _)) = href.split_once("://") {
        return match allowed.contains(&scheme.to_ascii_lowercase().as_str()) || !document.is_remote() {
            true => Ok(Location::new(href)),
            false => Err(bad("leads from the web to this machine")),
        };
    }
    if !document.is_remote() {
        return Ok(document.parent().join(href.trim_start_matches("./")));
    }
    let base = Url::parse(document.without_query()).map_err(|_| bad("is relative to no address"))?;
    let joined = base.join(href).map_err(|_| bad("is no address"))?;
    Ok(Location::new(joined.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_seen_from_their_document() {
        let web = Location::new("https://host/a/catalog.json");
        let seen = |from: &Location, href: &str| resolve(from, href).map(|l| l.typed().to_owned());
        assert_eq!(seen(&web, "./b/item.json").unwrap(), "https://host/a/b/item.json");
        assert_eq!(seen(&web, "../c.parquet").unwrap(), "https://host/c.parquet");
        assert_eq!(seen(&web, "s3://bucket/key").unwrap(), "s3://bucket/key");
        assert!(seen(&web, "file:///etc/passwd").is_err());
        let store = Location::new("s3://bucket/a/catalog.json");
        assert_eq!(seen(&store, "b.json").unwrap(), "s3://bucket/a/b.json");
        let local = Location::new("/data/catalog.json");
        assert_eq!(seen(&local, "./x/item.json").unwrap(), "/data/x/item.json");
    }

    #[test]
    fn dates_become_intervals() {
        let item = |properties: &str| -> Object {
            serde_json::from_str(&format!("{{\"properties\": {properties}}}")).unwrap()
        };
        let year = |text: &str| item(text).interval(None);
        let range = r#"{"datetime": null, "start_datetime": "2025-01-01T00:00:00Z", "end_datetime": "2025-12-31T23:59:59Z"}"#;
        assert_eq!(year(range), Some(Interval::year(2025)));
        let range = r#"{"start_datetime": "2025-01-01T00:00:00Z", "end_datetime": "2026-01-01T00:00:00Z"}"#;
        assert_eq!(year(range), Some(Interval::year(2025)));
        assert_eq!(year(r#"{"datetime": "2025-06-01T10:00:00Z"}"#), Some(Interval::day(1_748_736_000_000)));
        assert_eq!(year("{}"), None);
    }
}
