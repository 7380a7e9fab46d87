//! Well-known text: points and polygons, as tables in text carry them.

use std::fmt::Write;

use geo_types::{Coord, Geometry, LineString, MultiPoint, MultiPolygon, Point, Polygon};

/// Reads a point, multi-point, polygon or multi-polygon. Heights and measures are left out; `SRID=4326;` may stand
/// in front.
///
/// # Errors
/// What is wrong with the text, or the name of a geometry of another kind.
pub fn read(text: &str) -> Result<Geometry<f64>, String> {
    read_noting(text, &mut false)
}

/// As [`read`]; sets `flattened` where heights or measures are left out.
pub(super) fn read_noting(text: &str, flattened: &mut bool) -> Result<Geometry<f64>, String> {
    let mut body = text.trim();
    if let Some((srid, rest)) =
        body.split_once(';').filter(|(s, _)| s.to_ascii_uppercase().starts_with("SRID="))
    {
        if srid[5..].trim() != "4326" {
            return Err(format!("{srid} is not 4326; longitude and latitude are needed"));
        }
        body = rest.trim_start();
    }
    let mut parser = Parser { rest: body, flattened };
    let geometry = parser.geometry()?;
    parser.skip();
    if parser.rest.is_empty() {
        Ok(geometry)
    } else {
        Err(format!("`{}` follows the geometry", clip(parser.rest)))
    }
}

/// The text of a geometry, with the shortest digits that read back as the same numbers. Other kinds than points and
/// polygons give nothing.
#[must_use]
pub fn write(geometry: &Geometry<f64>) -> String {
    let mut out = String::new();
    match geometry {
        Geometry::Point(p) => {
            let _ = write!(out, "POINT ({} {})", p.x(), p.y());
        }
        Geometry::Polygon(p) => {
            out.push_str("POLYGON ");
            rings(&mut out, p);
        }
        Geometry::MultiPolygon(m) if m.0.is_empty() => out.push_str("MULTIPOLYGON EMPTY"),
        Geometry::MultiPolygon(m) => {
            out.push_str("MULTIPOLYGON (");
            for (i, p) in m.0.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                rings(&mut out, p);
            }
            out.push(')');
        }
        _ => {}
    }
    out
}

fn rings(out: &mut String, polygon: &Polygon<f64>) {
    if polygon.exterior().0.is_empty() {
        out.push_str("EMPTY");
        return;
    }
    for (i, ring) in std::iter::once(polygon.exterior()).chain(polygon.interiors()).enumerate() {
        out.push_str(if i == 0 { "((" } else { ", (" });
        for (j, c) in ring.0.iter().enumerate() {
            let _ = write!(out, "{}{} {}", if j == 0 { "" } else { ", " }, c.x, c.y);
        }
        out.push(')');
    }
    out.push(')');
}

fn clip(text: &str) -> &str {
    text.char_indices().nth(30).map_or(text, |(i, _)| &text[..i])
}

struct Parser<'a> {
    rest: &'a str,
    flattened: &'a mut bool,
}

impl<'a> Parser<'a> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn word(&mut self) -> &'a str {
        self.skip();
        let end = self.rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn accept(&mut self, c: char) -> bool {
        self.skip();
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, c: char) -> Result<(), String> {
        if self.accept(c) { Ok(()) } else { Err(format!("`{c}` is missing before `{}`", clip(self.rest))) }
    }

    fn empty(&mut self) -> bool {
        let before = self.rest;
        let empty = self.word().eq_ignore_ascii_case("EMPTY");
        if !empty {
            self.rest = before;
        }
        empty
    }

    /// `( item, item )`, or EMPTY.
    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Result<T, String>) -> Result<Vec<T>, String> {
        let mut out = Vec::new();
        if self.empty() {
            return Ok(out);
        }
        self.expect('(')?;
        loop {
            out.push(item(self)?);
            if !self.accept(',') {
                self.expect(')')?;
                return Ok(out);
            }
        }
    }

    fn number(&mut self) -> Result<f64, String> {
        self.skip();
        let end = self.rest.find(|c: char| c.is_whitespace() || ",()".contains(c)).unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(end);
        self.rest = rest;
        number.parse().map_err(|_| format!("`{}` is not a number", clip(number)))
    }

    fn coord(&mut self) -> Result<Coord<f64>, String> {
        let (x, y) = (self.number()?, self.number()?);
        for _ in 0..2 {
            self.skip();
            if !self.rest.is_empty() && !self.rest.starts_with([',', ')']) {
                self.number()?;
                *self.flattened = true;
            }
        }
        Ok(Coord { x, y })
    }

    fn polygon(&mut self) -> Result<Polygon<f64>, String> {
        let mut rings = self.list(|p| p.list(Self::coord).map(LineString))?.into_iter();
        let exterior = rings.next().unwrap_or_else(|| LineString(Vec::new()));
        Ok(Polygon::new(exterior, rings.collect()))
    }

    fn geometry(&mut self) -> Result<Geometry<f64>, String> {
        let mut kind = self.word().to_ascii_uppercase();
        // `POINT Z (…)` and `POINTZ(…)`
        let before = self.rest;
        if !["Z", "M", "ZM"].contains(&self.word().to_ascii_uppercase().as_str()) {
            self.rest = before;
        }
        kind.truncate(kind.trim_end_matches(['Z', 'M']).len());
        match kind.as_str() {
            "POINT" => {
                let point = self.list(Self::coord)?;
                match point.as_slice() {
                    [] => Ok(Point::new(f64::NAN, f64::NAN).into()),
                    [one] => Ok(Point(*one).into()),
                    _ => Err("a POINT has several coordinates".into()),
                }
            }
            "MULTIPOINT" => {
                // Both MULTIPOINT (1 2, 3 4) and MULTIPOINT ((1 2), (3 4)) are written.
                let points = self.list(|p| {
                    p.skip();
                    if p.rest.starts_with('(') { p.list(Self::coord) } else { Ok(vec![p.coord()?]) }
                })?;
                Ok(MultiPoint(points.into_iter().flatten().map(Point).collect()).into())
            }
            "POLYGON" => Ok(self.polygon()?.into()),
            "MULTIPOLYGON" => Ok(MultiPolygon(self.list(Self::polygon)?).into()),
            "" => Err(format!("`{}` is no well-known text", clip(self.rest))),
            other => Err(format!("the geometry is a {other}; points or polygons are needed")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for text in [
            "POINT (-88.768 44.3)",
            "POLYGON ((0 0, 4 0, 4 4, 0 0), (1 1, 2 1, 2 2, 1 1))",
            "MULTIPOLYGON (((0 0, 4 0, 4 4, 0 0)), ((9 9, 8 9, 8 8, 9 9)))",
            "MULTIPOLYGON EMPTY",
        ] {
            assert_eq!(write(&read(text).unwrap()), text);
        }
        assert!(matches!(read("POINT EMPTY").unwrap(), Geometry::Point(p) if p.x().is_nan()));
    }

    #[test]
    fn dialects() {
        for text in [
            "point(1 2)",
            "POINT Z (1 2 3)",
            "POINTZM(1 2 3 4)",
            "SRID=4326;POINT M (1 2 3)",
            " POINT( 1\t2 ) ",
        ] {
            assert_eq!(read(text).unwrap(), Point::new(1.0, 2.0).into(), "{text}");
        }
        for text in ["MULTIPOINT (1 2)", "MULTIPOINT ((1 2))"] {
            assert_eq!(read(text).unwrap(), MultiPoint(vec![Point::new(1.0, 2.0)]).into());
        }
    }

    #[test]
    fn broken_text_is_refused() {
        for (text, said) in [
            ("", "no well-known text"),
            ("1,2", "no well-known text"),
            ("POINT (1)", "number"),
            ("POINT (1 2", "missing"),
            ("POINT (1 2) x", "follows"),
            ("POINT (1 2, 3 4)", "several"),
            ("POINT (1 2 3 4 5)", "missing"),
            ("LINESTRING (1 2, 3 4)", "LINESTRING"),
            ("GEOMETRYCOLLECTION EMPTY", "GEOMETRYCOLLECTION"),
            ("SRID=3857;POINT (1 2)", "3857"),
            ("POLYGON (1 2, 3 4)", "missing"),
            ("POINT (é 2)", "number"),
        ] {
            let e = read(text).unwrap_err();
            assert!(e.contains(said), "{text}: {e}");
        }
    }
}
