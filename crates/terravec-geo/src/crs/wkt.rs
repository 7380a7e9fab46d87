//! Reading well-known text: WKT1 as GDAL and ESRI write it, WKT2:2015 and WKT2:2019.

use super::names::{Raw, squeeze};
use crate::GeoError;

/// One `KEYWORD[…]` of a WKT text.
#[derive(Debug)]
struct Node {
    keyword: String,
    args: Vec<Arg>,
}

#[derive(Debug)]
enum Arg {
    Node(Node),
    Text(String),
    Number(f64),
    /// A bare word such as `east`.
    Word(String),
}

const MAX_DEPTH: usize = 32;
const MAX_LENGTH: usize = 1 << 16;

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn error(&self, reason: &str) -> GeoError {
        GeoError::CrsSyntax {
            text: crate::error::clip(self.text, 60),
            reason: format!("{reason} at character {}", self.at),
        }
    }

    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed.chars().next()
    }

    fn word(&mut self) -> String {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !(c.is_alphanumeric() || "_+-.".contains(c))).unwrap_or(rest.len());
        self.at += end;
        rest[..end].to_owned()
    }

    fn quoted(&mut self) -> Result<String, GeoError> {
        let mut out = String::new();
        self.at += 1;
        loop {
            let rest = &self.text[self.at..];
            let Some(end) = rest.find('"') else { return Err(self.error("a quote is not closed")) };
            out.push_str(&rest[..end]);
            self.at += end + 1;
            // A doubled quote stands for one.
            if !self.text[self.at..].starts_with('"') {
                return Ok(out);
            }
            out.push('"');
            self.at += 1;
        }
    }

    fn node(&mut self, keyword: String, depth: usize) -> Result<Node, GeoError> {
        if depth > MAX_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        self.at += 1;
        let mut args = Vec::new();
        loop {
            match self.peek() {
                Some(']' | ')') if args.is_empty() => {
                    self.at += 1;
                    return Ok(Node { keyword, args });
                }
                Some('"') => args.push(Arg::Text(self.quoted()?)),
                Some(_) => {
                    let word = self.word();
                    if word.is_empty() {
                        return Err(self.error("unexpected character"));
                    }
                    args.push(match (self.peek(), word.parse::<f64>()) {
                        (Some('[' | '('), _) => Arg::Node(self.node(word, depth + 1)?),
                        (_, Ok(number)) if number.is_finite() => Arg::Number(number),
                        _ => Arg::Word(word),
                    });
                }
                None => return Err(self.error("the text ends early")),
            }
            match self.peek() {
                Some(',') => self.at += 1,
                Some(']' | ')') => {
                    self.at += 1;
                    return Ok(Node { keyword, args });
                }
                _ => return Err(self.error("a comma or closing bracket is missing")),
            }
        }
    }
}

impl Node {
    fn is(&self, keywords: &[&str]) -> bool {
        keywords.iter().any(|k| self.keyword.eq_ignore_ascii_case(k))
    }

    fn children(&self) -> impl Iterator<Item = &Self> {
        self.args.iter().filter_map(|a| match a {
            Arg::Node(n) => Some(n),
            _ => None,
        })
    }

    fn child(&self, keywords: &[&str]) -> Option<&Self> {
        self.children().find(|n| n.is(keywords))
    }

    fn name(&self) -> &str {
        match self.args.first() {
            Some(Arg::Text(t) | Arg::Word(t)) => t,
            _ => "",
        }
    }

    fn number(&self, index: usize) -> Option<f64> {
        let numeric = |a: &Arg| match a {
            Arg::Number(v) => Some(*v),
            Arg::Text(t) | Arg::Word(t) => t.parse().ok(),
            Arg::Node(_) => None,
        };
        self.args.get(index).and_then(numeric)
    }

    /// The EPSG code of an `AUTHORITY` or `ID` child.
    fn epsg(&self) -> Option<u32> {
        let id =
            self.children().find(|n| n.is(&["AUTHORITY", "ID"]) && n.name().eq_ignore_ascii_case("EPSG"))?;
        id.number(1).filter(|v| (1.0..1e6).contains(v)).map(|v| v as u32)
    }

    /// Size of the unit in metres or radians, from any of the unit keywords.
    fn unit(&self) -> Option<f64> {
        self.child(&["UNIT", "LENGTHUNIT", "ANGLEUNIT", "SCALEUNIT"])?.number(1)
    }
}

/// Whether a text looks like WKT.
pub(crate) fn looks_like_wkt(text: &str) -> bool {
    let head: String = text.trim_start().chars().take(24).collect();
    let word = head.split(['[', '(']).next().unwrap_or("");
    head.len() > word.len()
        && !word.is_empty()
        && word.trim().chars().all(|c| c.is_ascii_alphabetic() || c == '_')
}

/// Reads the horizontal CRS of a WKT text.
pub(crate) fn read(text: &str) -> Result<Raw, GeoError> {
    if text.len() > MAX_LENGTH {
        return Err(GeoError::CrsSyntax {
            text: crate::error::clip(text, 60),
            reason: "longer than any CRS".into(),
        });
    }
    let mut parser = Parser { text, at: 0 };
    let root = match parser.peek() {
        Some(c) if c.is_alphabetic() => {
            let keyword = parser.word();
            match parser.peek() {
                Some('[' | '(') => parser.node(keyword, 0)?,
                _ => return Err(parser.error("a bracket is missing")),
            }
        }
        _ => return Err(parser.error("this is not WKT")),
    };
    crs(&root, text)
}

fn crs(node: &Node, text: &str) -> Result<Raw, GeoError> {
    const GEOGRAPHIC: [&str; 6] =
        ["GEOGCS", "GEOGCRS", "GEOGRAPHICCRS", "GEODCRS", "GEODETICCRS", "BASEGEOGCRS"];
    let syntax = |reason: String| GeoError::CrsSyntax { text: crate::error::clip(text, 60), reason };
    if node.is(&["BOUNDCRS"]) {
        let source = node.child(&["SOURCECRS"]).and_then(|n| n.children().next());
        return crs(source.ok_or_else(|| syntax("BOUNDCRS without SOURCECRS".into()))?, text);
    }
    if node.is(&["COMPD_CS", "COMPOUNDCRS"]) {
        let part = node.children().find(|n| !n.is(&["AUTHORITY", "ID"]));
        return crs(part.ok_or_else(|| syntax("a compound CRS without parts".into()))?, text);
    }
    if node.is(&GEOGRAPHIC) {
        return geographic(node).map_err(syntax);
    }
    if !node.is(&["PROJCS", "PROJCRS", "PROJECTEDCRS"]) {
        return Err(GeoError::UnsupportedCrs {
            name: crate::error::clip(node.name(), 80),
            reason: format!("{} is neither geographic nor projected", node.keyword),
        });
    }
    let base = node.child(&GEOGRAPHIC).or_else(|| node.child(&["BASEGEODCRS"]));
    let base = base.ok_or_else(|| syntax("a projected CRS without its geographic CRS".into()))?;
    let mut raw = geographic(base).map_err(syntax)?;
    raw.base_epsg = raw.epsg.take();
    raw.name = node.name().to_owned();
    raw.epsg = node.epsg();
    let axes: Vec<&Node> = node.children().filter(|n| n.is(&["AXIS"])).collect();
    raw.unit = node.unit().or_else(|| axes.iter().find_map(|a| a.unit())).unwrap_or(1.0);
    // WKT1 gives angles in the unit of the geographic CRS, WKT2 each in its own.
    let conversion = node.child(&["CONVERSION"]).unwrap_or(node);
    let method = conversion.child(&["PROJECTION", "METHOD"]);
    let method =
        method.map(|m| m.name().to_owned()).ok_or_else(|| syntax("no PROJECTION or METHOD".into()))?;
    for p in conversion.children().filter(|n| n.is(&["PARAMETER"])) {
        let value = p.number(1).ok_or_else(|| syntax(format!("PARAMETER {:?} has no number", p.name())))?;
        let name = squeeze(p.name());
        let value = if name.contains("easting") || name.contains("northing") {
            value * p.unit().unwrap_or(raw.unit)
        } else if name.contains("scale") {
            value * p.unit().unwrap_or(1.0)
        } else {
            value * p.unit().map_or(raw.angle_unit, degrees)
        };
        raw.parameters.push((p.name().to_owned(), value));
    }
    raw.reversed_axis = axes
        .iter()
        .any(|a| a.args.iter().any(|arg| matches!(arg, Arg::Word(w) if w.eq_ignore_ascii_case("west"))));
    // GDAL writes Web Mercator to WKT1 as Mercator_1SP with the truth in an extension.
    let pseudo = node.child(&["EXTENSION"]).is_some_and(|e| {
        e.args
            .iter()
            .any(|a| matches!(a, Arg::Text(t) if t.contains("+nadgrids=@null") && t.contains("+proj=merc")))
    });
    raw.method = Some(if pseudo { "Popular Visualisation Pseudo Mercator".into() } else { method });
    Ok(raw)
}

fn geographic(node: &Node) -> Result<Raw, String> {
    let datum = node.child(&["DATUM", "ENSEMBLE", "GEODETICDATUM", "TRF"]).ok_or("no DATUM")?;
    let ellipsoid = datum.child(&["SPHEROID", "ELLIPSOID"]).ok_or("no SPHEROID or ELLIPSOID")?;
    let a = ellipsoid.number(1).ok_or("no semi-major axis")? * ellipsoid.unit().unwrap_or(1.0);
    let rf = ellipsoid.number(2).ok_or("no inverse flattening")?;
    let axis_unit = || node.children().filter(|n| n.is(&["AXIS"])).find_map(Node::unit);
    let shift = datum.child(&["TOWGS84"]);
    Ok(Raw {
        name: node.name().to_owned(),
        epsg: node.epsg(),
        datum: datum.name().to_owned(),
        ellipsoid: ellipsoid.name().to_owned(),
        a,
        rf,
        prime_meridian: node.child(&["PRIMEM", "PRIMEMERIDIAN"]).and_then(|p| p.number(1)).unwrap_or(0.0),
        unit: 1.0,
        angle_unit: node.unit().or_else(axis_unit).map_or(1.0, degrees),
        shifted: shift.is_some_and(|s| (0..7).filter_map(|i| s.number(i)).any(|v| v != 0.0)),
        ..Raw::default()
    })
}

/// Degrees per unit of a unit given in radians; the usual roundings of π/180 are one degree.
fn degrees(radians: f64) -> f64 {
    let d = radians.to_degrees();
    if (d - 1.0).abs() < 1e-9 { 1.0 } else { d }
}
