//! Names: of files, so that a folder is recognised and indexed, and of bands.

use regex::{Captures, Regex};
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

/// Names a pattern's groups may have. A closed list, so that a misspelt one is noticed.
pub const GROUPS: [&str; 16] = [
    "year", "month", "date", "start", "end", "zone", "yoff", "xoff", "lon", "lat", "mgrs", "cell", "image",
    "state", "gsd", "version",
];

/// How a product's files are named.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TileNaming {
    /// A regular expression with named groups ([`GROUPS`]) for the end of a path; folders may be optional
    /// groups in it. It is matched whole, from a folder boundary to the end.
    pub pattern: String,
    /// Names it must match; at least one.
    pub examples: Vec<String>,
    /// The layout of paths below a host's root, for people.
    pub path: Option<String>,
    /// Files that list the tiles.
    #[serde(default)]
    pub index: Vec<String>,
    /// A table of the tiles.
    pub manifest: Option<TileManifest>,
    /// Where tiles that don't say where they lie have that from.
    pub georeference: Option<Georeference>,
    #[serde(skip)]
    compiled: OnceLock<Result<Regex, String>>,
}

/// A table with a row for each tile: columns `year`, and `lon` and `lat` of its centre; perhaps `version` and `variant`, which together name a
/// variant of the product, and sizes of files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TileManifest {
    /// Its name, below the folder of a variant.
    pub file: String,
    /// The path of a tile, with `{year}`, `{lon}` and `{lat}`: degrees with two decimals.
    pub path: String,
    /// Sides of a tile in degrees.
    pub side: f64,
    /// The column with the size of a tile's file.
    pub size: Option<String>,
    /// The column with the size of the file with its scales.
    pub scales_size: Option<String>,
}

impl TileManifest {
    /// The path of the tile at `lon`, `lat` in `year`.
    #[must_use]
    pub fn path_of(&self, lon: f64, lat: f64, year: i32) -> String {
        // No tile is called -0.00.
        let text = |v: f64| format!("{:.2}", if v == 0.0 { 0.0 } else { v });
        let path = self.path.replace("{year}", &year.to_string());
        path.replace("{lon}", &text(lon)).replace("{lat}", &text(lat))
    }
}

/// GeoTIFFs on the grids of tiles that have no georeference of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Georeference {
    /// Folders they may lie in, beside or above the tiles; in them there may be a folder per version.
    pub folders: Vec<String>,
    /// What they are called, with groups of the tile's name in braces.
    pub file: String,
    /// Their value where there is water.
    pub water: Option<f64>,
}

impl Georeference {
    /// The name of the file for the tile `name`; `None` where the name lacks a group.
    #[must_use]
    pub fn file_of(&self, name: &TileName) -> Option<String> {
        let mut out = String::new();
        let mut rest = self.file.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (group, after) = after.split_once('}')?;
            out.push_str(before);
            out.push_str(name.get(group)?);
            rest = after;
        }
        out.push_str(rest);
        Some(out)
    }
}

/// What a file's name says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TileName {
    fields: Vec<(&'static str, String)>,
}

/// What bands (or columns, one per number) are called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BandNames {
    /// How many.
    pub count: u32,
    /// The name with `{}` for the number, or `{:02}` for two digits with a leading zero.
    pub name: Option<String>,
    /// The number of the first.
    #[serde(default)]
    pub first: u32,
    /// Names of bands that come after the numbered ones, included in `count`.
    #[serde(default)]
    pub extra: Vec<String>,
}

impl PartialEq for TileNaming {
    fn eq(&self, other: &Self) -> bool {
        (&self.pattern, &self.examples, &self.path, &self.index, &self.manifest, &self.georeference)
            == (
                &other.pattern,
                &other.examples,
                &other.path,
                &other.index,
                &other.manifest,
                &other.georeference,
            )
    }
}

impl TileNaming {
    /// The compiled pattern, or why it is none.
    pub(super) fn regex(&self) -> Result<&Regex, &str> {
        self.compiled
            .get_or_init(|| {
                Regex::new(&self.pattern).map_err(|e| e.to_string())?;
                Regex::new(&format!("(?:^|/)(?:{})$", self.pattern)).map_err(|e| e.to_string())
            })
            .as_ref()
            .map_err(String::as_str)
    }

    /// What the path or URL of a file says, if it is named this way. Backslashes count as slashes; a URL's
    /// query is left out.
    #[must_use]
    pub fn parse(&self, path: &str) -> Option<TileName> {
        let path = path.split(['?', '#']).next().unwrap_or(path).replace('\\', "/");
        let captures = self.regex().ok()?.captures(&path)?;
        Some(TileName { fields: GROUPS.into_iter().filter_map(|group| field(&captures, group)).collect() })
    }
}

fn field(captures: &Captures<'_>, group: &'static str) -> Option<(&'static str, String)> {
    captures.name(group).map(|found| (group, found.as_str().to_owned()))
}

impl TileName {
    /// A group of the pattern, as written in the name.
    #[must_use]
    pub fn get(&self, group: &str) -> Option<&str> {
        self.fields.iter().find(|(name, _)| *name == group).map(|(_, value)| value.as_str())
    }

    /// The year, from `year` or from the first four digits of `start` or `date`.
    #[must_use]
    pub fn year(&self) -> Option<i32> {
        let text = self.get("year").or_else(|| self.get("start")).or_else(|| self.get("date"))?;
        text.get(..4)?.parse().ok()
    }

    /// UTM zone number and whether it is south, from `1S` … `60N`.
    #[must_use]
    pub fn utm_zone(&self) -> Option<(u8, bool)> {
        let zone = self.get("zone")?;
        let (number, south) = match zone.strip_suffix(['S', 's']) {
            Some(number) => (number, true),
            None => (zone.strip_suffix(['N', 'n'])?, false),
        };
        number.parse().ok().filter(|n| (1..=60).contains(n)).map(|n| (n, south))
    }

    /// Longitude and latitude in degrees.
    #[must_use]
    pub fn lon_lat(&self) -> Option<(f64, f64)> {
        Some((self.get("lon")?.parse().ok()?, self.get("lat")?.parse().ok()?))
    }

    /// Offsets in pixels inside the parent image, x then y.
    #[must_use]
    pub fn offsets(&self) -> Option<(u64, u64)> {
        Some((self.get("xoff")?.parse().ok()?, self.get("yoff")?.parse().ok()?))
    }
}

impl BandNames {
    /// All names in order; empty when the product names none.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let Some(pattern) = self.name.as_deref() else { return Vec::new() };
        let numbered = self.count.saturating_sub(u32::try_from(self.extra.len()).unwrap_or(u32::MAX));
        (0..numbered)
            .filter_map(|i| format_number(pattern, self.first.saturating_add(i)))
            .chain(self.extra.iter().cloned())
            .collect()
    }

    /// Whether `name` has exactly one place for a number.
    pub(super) fn well_formed(&self) -> bool {
        self.name.as_deref().is_none_or(|name| format_number(name, 0).is_some())
    }
}

/// `A{:02}` and 7 → `A07`.
fn format_number(pattern: &str, number: u32) -> Option<String> {
    let (before, rest) = pattern.split_once('{')?;
    let (spec, after) = rest.split_once('}')?;
    if after.contains(['{', '}']) || before.contains('}') {
        return None;
    }
    let width = match spec {
        "" => 0,
        _ => spec.strip_prefix(":0")?.parse::<usize>().ok().filter(|w| (1..=9).contains(w))?,
    };
    Some(format!("{before}{number:0width$}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn band_names_follow_their_pattern() {
        let names =
            BandNames { count: 3, name: Some("A{:02}".into()), first: 0, extra: vec!["QA".into()] }.names();
        assert_eq!(names, ["A00", "A01", "QA"]);
        assert_eq!(format_number("f{}", 12).as_deref(), Some("f12"));
        for bad in ["A", "A{", "A}", "A{}{}", "A{:2}", "A{:099}", "A{x}"] {
            assert_eq!(format_number(bad, 1), None, "{bad}");
        }
    }
}
