//! Well-known binary of every kind, walked strictly as ISO has it: what GeoParquet allows, and nothing else.

/// What a geometry turned out to be.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Facts {
    /// `Point`, `MultiPolygon`, ….
    pub(super) kind: &'static str,
    /// `""`, `" Z"`, `" M"` or `" ZM"`.
    pub(super) dims: &'static str,
    /// West, south, east, north; `None` where it is empty.
    pub(super) bounds: Option<[f64; 4]>,
    /// An edge that spans more than half the globe in degrees.
    pub(super) long_edge: bool,
    /// A ring wound the wrong way: an exterior clockwise, or a hole counterclockwise.
    pub(super) clockwise: bool,
}

const NAMES: [&str; 7] =
    ["Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon", "GeometryCollection"];
/// Collections nest no deeper.
const MAX_DEPTH: usize = 16;

/// Walks a geometry.
pub(super) fn facts(bytes: &[u8]) -> Result<Facts, String> {
    let mut walk = Walk { bytes, facts: Facts::default() };
    let (kind, dims) = walk.geometry(0)?;
    if !walk.bytes.is_empty() {
        return Err(format!("{} bytes follow the geometry", walk.bytes.len()));
    }
    Ok(Facts { kind: NAMES[kind], dims: ["", " Z", " M", " ZM"][dims], ..walk.facts })
}

struct Walk<'a> {
    bytes: &'a [u8],
    facts: Facts,
}

impl Walk<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (part, rest) = self.bytes.split_first_chunk::<N>().ok_or("the geometry is cut short")?;
        self.bytes = rest;
        Ok(*part)
    }

    fn u32(&mut self, big: bool) -> Result<u32, String> {
        let b = self.take()?;
        Ok(if big { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) })
    }

    /// A geometry; its place in [`NAMES`], and which of heights and measures it has.
    fn geometry(&mut self, depth: usize) -> Result<(usize, usize), String> {
        if depth > MAX_DEPTH {
            return Err("collections are nested too deeply".into());
        }
        let big = match self.take::<1>()?[0] {
            0 => true,
            1 => false,
            other => return Err(format!("byte order {other} is neither 0 nor 1")),
        };
        let code = self.u32(big)?;
        if code >= 0x2000_0000 {
            return Err("it is EWKB, with flags or a reference id, which GeoParquet does not allow".into());
        }
        let dims = (code / 1000) as usize;
        let kind = (code % 1000).wrapping_sub(1) as usize;
        if dims > 3 || kind >= NAMES.len() {
            return Err(format!("there is no geometry of type {code}"));
        }
        let numbers = 2 + usize::from(dims & 1 == 1) + usize::from(dims & 2 == 2);
        match kind {
            0 => {
                let place = self.coord(big, numbers)?;
                self.note(place);
            }
            1 => {
                self.line(big, numbers)?;
            }
            2 => {
                for ring in 0..self.u32(big)? {
                    let area = self.line(big, numbers)?;
                    // The exterior comes first.
                    self.facts.clockwise |= if ring == 0 { area < 0.0 } else { area > 0.0 };
                }
            }
            _ => {
                for _ in 0..self.u32(big)? {
                    let (part, part_dims) = self.geometry(depth + 1)?;
                    if part_dims != dims || (kind < 6 && part + 3 != kind) {
                        return Err(format!("a {} holds a {}", NAMES[kind], NAMES[part]));
                    }
                }
            }
        }
        Ok((kind, dims))
    }

    fn coord(&mut self, big: bool, numbers: usize) -> Result<[f64; 2], String> {
        let mut xy = [0.0; 2];
        for i in 0..numbers {
            let b = self.take()?;
            if let Some(v) = xy.get_mut(i) {
                *v = if big { f64::from_be_bytes(b) } else { f64::from_le_bytes(b) };
            }
        }
        Ok(xy)
    }

    /// A line or ring; twice its signed area, positive where it is counterclockwise.
    fn line(&mut self, big: bool, numbers: usize) -> Result<f64, String> {
        let n = self.u32(big)? as usize;
        if n > self.bytes.len() / (8 * numbers) {
            return Err(format!("a line claims {n} points, but {} bytes are left", self.bytes.len()));
        }
        let mut area = 0.0;
        let mut origin = None;
        let mut before: Option<[f64; 2]> = None;
        for _ in 0..n {
            let at = self.coord(big, numbers)?;
            self.note(at);
            // Relative to the first point, so that small rings far from 0,0 keep their digits.
            let [ox, oy] = *origin.get_or_insert(at);
            if let Some([x, y]) = before {
                self.facts.long_edge |= (at[0] - x).abs() > 180.0;
                area += (x - ox) * (at[1] - oy) - (at[0] - ox) * (y - oy);
            }
            before = Some(at);
        }
        Ok(area)
    }

    fn note(&mut self, [x, y]: [f64; 2]) {
        if x.is_nan() && y.is_nan() {
            return; // an empty point
        }
        let [w, s, e, n] = self.facts.bounds.unwrap_or([x, y, x, y]);
        self.facts.bounds = Some([w.min(x), s.min(y), e.max(x), n.max(y)]);
    }
}
