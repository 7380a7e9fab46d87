//! Well-known binary: points and polygons, read in both byte orders (ISO and EWKB), written little-endian.

use geo_types::{Coord, Geometry, LineString, MultiPoint, MultiPolygon, Point, Polygon};

/// A point.
#[must_use]
pub fn point(x: f64, y: f64) -> Vec<u8> {
    let mut out = Vec::with_capacity(21);
    out.extend_from_slice(&[1, 1, 0, 0, 0]);
    out.extend_from_slice(&x.to_le_bytes());
    out.extend_from_slice(&y.to_le_bytes());
    out
}

/// A point, multi-point, polygon or multi-polygon; other kinds give nothing.
#[must_use]
pub fn write(geometry: &Geometry<f64>) -> Option<Vec<u8>> {
    Some(match geometry {
        Geometry::Point(p) => point(p.x(), p.y()),
        Geometry::MultiPoint(m) => {
            let mut out = vec![1, 4, 0, 0, 0];
            count(&mut out, m.0.len());
            m.0.iter().for_each(|p| out.extend_from_slice(&point(p.x(), p.y())));
            out
        }
        Geometry::Polygon(p) => {
            let mut out = Vec::new();
            write_polygon(p, &mut out);
            out
        }
        Geometry::MultiPolygon(m) => {
            let mut out = Vec::new();
            write_polygons(&m.0, &mut out);
            out
        }
        _ => return None,
    })
}

/// A polygon, or a multi-polygon where there are several or none.
#[must_use]
pub fn multi_polygon(shape: &MultiPolygon<f64>) -> Vec<u8> {
    let mut out = Vec::new();
    match shape.0.as_slice() {
        [only] => write_polygon(only, &mut out),
        several => write_polygons(several, &mut out),
    }
    out
}

fn write_polygon(p: &Polygon<f64>, out: &mut Vec<u8>) {
    out.extend_from_slice(&[1, 3, 0, 0, 0]);
    count(out, 1 + p.interiors().len());
    for ring in std::iter::once(p.exterior()).chain(p.interiors()) {
        count(out, ring.0.len());
        for c in &ring.0 {
            out.extend_from_slice(&c.x.to_le_bytes());
            out.extend_from_slice(&c.y.to_le_bytes());
        }
    }
}

fn write_polygons(polygons: &[Polygon<f64>], out: &mut Vec<u8>) {
    out.extend_from_slice(&[1, 6, 0, 0, 0]);
    count(out, polygons.len());
    polygons.iter().for_each(|p| write_polygon(p, out));
}

fn count(out: &mut Vec<u8>, n: usize) {
    out.extend_from_slice(&u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes());
}

/// Reads a point, multi-point, polygon or multi-polygon. Heights and measures are left out.
///
/// # Errors
/// What is wrong with the bytes, or the name of a geometry of another kind.
pub fn read(bytes: &[u8]) -> Result<Geometry<f64>, String> {
    read_noting(bytes, &mut false)
}

/// As [`read`]; sets `flattened` where heights or measures are left out.
pub(super) fn read_noting(bytes: &[u8], flattened: &mut bool) -> Result<Geometry<f64>, String> {
    let mut reader = Reader { bytes, flattened };
    let geometry = reader.geometry(None)?;
    match reader.bytes.len() {
        0 => Ok(geometry),
        n => Err(format!("{n} bytes follow the geometry")),
    }
}

/// Hands every coordinate of a geometry of the kinds that [`read`] knows to `take`, without building the geometry. Says
/// whether the bytes are as this module writes them: little-endian, without heights, measures or a reference id.
pub(crate) fn visit(bytes: &[u8], take: &mut impl FnMut(f64, f64)) -> Result<bool, String> {
    // Most patches are points, or polygons of one ring.
    if let Some((b"\x01\x01\x00\x00\x00", rest)) = bytes.split_first_chunk::<5>()
        && let Some((xy, [])) = rest.split_first_chunk::<16>()
    {
        pairs(xy, take);
        return Ok(true);
    }
    if let Some((b"\x01\x03\x00\x00\x00\x01\x00\x00\x00", rest)) = bytes.split_first_chunk::<9>()
        && let Some((n, ring)) = rest.split_first_chunk::<4>()
        && ring.len() as u64 == u64::from(u32::from_le_bytes(*n)) * 16
    {
        pairs(ring, take);
        return Ok(true);
    }
    let mut plain = true;
    let mut reader = Reader { bytes, flattened: &mut false };
    reader.visit(None, &mut plain, take)?;
    match reader.bytes.len() {
        0 => Ok(plain),
        n => Err(format!("{n} bytes follow the geometry")),
    }
}

/// Little-endian coordinates, one after the other.
fn pairs(bytes: &[u8], take: &mut impl FnMut(f64, f64)) {
    for (xy, _) in bytes.chunks_exact(16).filter_map(|c| c.split_first_chunk::<16>()) {
        let axis = |at: usize| f64::from_le_bytes(std::array::from_fn(|i| xy[at + i]));
        take(axis(0), axis(8));
    }
}

/// Layout of a geometry's numbers.
#[derive(Clone, Copy)]
struct Layout {
    big: bool,
    dims: usize,
}

const CUT: &str = "the geometry is cut short";

struct Reader<'a> {
    /// What is left.
    bytes: &'a [u8],
    flattened: &'a mut bool,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (part, rest) = self.bytes.split_first_chunk::<N>().ok_or(CUT)?;
        self.bytes = rest;
        Ok(*part)
    }

    fn u32(&mut self, big: bool) -> Result<u32, String> {
        let b = self.take()?;
        Ok(if big { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) })
    }

    fn coord(&mut self, layout: Layout) -> Result<Coord<f64>, String> {
        let mut v = [0.0; 4];
        for x in v.iter_mut().take(layout.dims) {
            let b = self.take()?;
            *x = if layout.big { f64::from_be_bytes(b) } else { f64::from_le_bytes(b) };
        }
        Ok(Coord { x: v[0], y: v[1] })
    }

    /// A count of things of at least `size` bytes each, which must fit into what is left.
    fn many(&mut self, layout: Layout, size: usize) -> Result<usize, String> {
        let n = self.u32(layout.big)? as usize;
        if n > self.bytes.len() / size {
            return Err(format!("the geometry claims {n} parts, but {} bytes are left", self.bytes.len()));
        }
        Ok(n)
    }

    fn polygon(&mut self, layout: Layout) -> Result<Polygon<f64>, String> {
        let mut rings = Vec::new();
        for _ in 0..self.many(layout, 4)? {
            let n = self.many(layout, 8 * layout.dims)?;
            rings.push(LineString((0..n).map(|_| self.coord(layout)).collect::<Result<_, _>>()?));
        }
        let mut rings = rings.into_iter();
        let exterior = rings.next().unwrap_or_else(|| LineString(Vec::new()));
        Ok(Polygon::new(exterior, rings.collect()))
    }

    fn visit(
        &mut self,
        within: Option<u32>,
        plain: &mut bool,
        take: &mut impl FnMut(f64, f64),
    ) -> Result<(), String> {
        let before = self.bytes;
        let (layout, kind) = self.head(within)?;
        // A head with a reference id is longer.
        *plain &= !layout.big && layout.dims == 2 && before.len() - self.bytes.len() == 5;
        match kind {
            1 => {
                let c = self.coord(layout)?;
                take(c.x, c.y);
            }
            3 => {
                for _ in 0..self.many(layout, 4)? {
                    for _ in 0..self.many(layout, 8 * layout.dims)? {
                        let c = self.coord(layout)?;
                        take(c.x, c.y);
                    }
                }
            }
            4 | 6 => {
                for _ in 0..self.many(layout, 9)? {
                    self.visit(Some(kind), plain, take)?;
                }
            }
            other => return Err(unwanted(other)),
        }
        Ok(())
    }

    /// Layout and kind of a geometry; inside a multi-geometry of type `within`, only one of its parts.
    fn head(&mut self, within: Option<u32>) -> Result<(Layout, u32), String> {
        let big = match self.take::<1>()?[0] {
            0 => true,
            1 => false,
            other => return Err(format!("byte order {other} is neither 0 nor 1")),
        };
        let code = self.u32(big)?;
        // EWKB has flags in the highest bits, ISO adds thousands.
        let (flags, code) = (code & 0xe000_0000, code & 0x1fff_ffff);
        let thousands = code / 1000;
        let z = flags & 0x8000_0000 != 0 || thousands == 1 || thousands == 3;
        let m = flags & 0x4000_0000 != 0 || thousands == 2 || thousands == 3;
        if flags & 0x2000_0000 != 0 {
            self.u32(big)?; // a spatial reference id; the file's metadata says which CRS holds
        }
        *self.flattened |= z || m;
        let layout = Layout { big, dims: 2 + usize::from(z) + usize::from(m) };
        let kind = if thousands > 3 { code } else { code % 1000 };
        if let Some(parent) = within
            && kind + 3 != parent
        {
            return Err(format!("a {} holds a {}", name(parent), name(kind)));
        }
        Ok((layout, kind))
    }

    /// A geometry; inside a multi-geometry of type `within`, only one of its parts.
    fn geometry(&mut self, within: Option<u32>) -> Result<Geometry<f64>, String> {
        let (layout, kind) = self.head(within)?;
        match kind {
            1 => Ok(Point(self.coord(layout)?).into()),
            3 => Ok(self.polygon(layout)?.into()),
            4 => {
                let mut parts = Vec::new();
                for _ in 0..self.many(layout, 21)? {
                    if let Geometry::Point(p) = self.geometry(Some(4))? {
                        parts.push(p);
                    }
                }
                Ok(MultiPoint(parts).into())
            }
            6 => {
                let mut parts = Vec::new();
                for _ in 0..self.many(layout, 9)? {
                    if let Geometry::Polygon(p) = self.geometry(Some(6))? {
                        parts.push(p);
                    }
                }
                Ok(MultiPolygon(parts).into())
            }
            other => Err(unwanted(other)),
        }
    }
}

fn unwanted(kind: u32) -> String {
    format!("the geometry is a {}; points or polygons are needed", name(kind))
}

fn name(kind: u32) -> String {
    const NAMES: [&str; 7] = [
        "Point",
        "LineString",
        "Polygon",
        "MultiPoint",
        "MultiLineString",
        "MultiPolygon",
        "GeometryCollection",
    ];
    match NAMES.get((kind as usize).wrapping_sub(1)) {
        Some(name) => (*name).into(),
        None => format!("geometry of type {kind}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> MultiPolygon<f64> {
        let p = Polygon::new(
            LineString::from(vec![(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 0.0)]),
            vec![LineString::from(vec![(1.0, 1.0), (2.0, 1.0), (2.0, 2.0), (1.0, 1.0)])],
        );
        MultiPolygon(vec![p.clone(), p])
    }

    #[test]
    fn what_is_written_is_read() {
        let multi = shape();
        assert_eq!(read(&multi_polygon(&multi)).unwrap(), multi.clone().into());
        let one = MultiPolygon(vec![multi.0[0].clone()]);
        assert_eq!(read(&multi_polygon(&one)).unwrap(), multi.0[0].clone().into());
        assert_eq!(read(&point(1.5, -2.0)).unwrap(), Point::new(1.5, -2.0).into());
        let none = MultiPolygon(Vec::new());
        assert_eq!(read(&multi_polygon(&none)).unwrap(), none.into());
    }

    #[test]
    fn cut_or_padded_bytes_are_refused() {
        let mut bytes = multi_polygon(&shape());
        for n in 0..bytes.len() {
            assert!(read(&bytes[..n]).is_err(), "{n} bytes");
        }
        bytes.push(0);
        assert!(read(&bytes).unwrap_err().contains("1 bytes follow"));
    }

    /// POINT (1 2) with the given type code, and numbers after x and y.
    fn coded(big: bool, code: u32, srid: Option<u32>, more: &[f64]) -> Vec<u8> {
        let mut out = vec![u8::from(!big)];
        let u32s = |v: u32| if big { v.to_be_bytes() } else { v.to_le_bytes() };
        out.extend(u32s(code));
        out.extend(srid.into_iter().flat_map(u32s));
        for v in [1.0, 2.0].iter().chain(more) {
            out.extend(if big { v.to_be_bytes() } else { v.to_le_bytes() });
        }
        out
    }

    #[test]
    fn every_dialect_of_a_point() {
        for big in [false, true] {
            for (code, srid, more) in [
                (1, None, &[][..]),
                (1001, None, &[3.0]),
                (2001, None, &[3.0]),
                (3001, None, &[3.0, 4.0]),
                (0x8000_0001, None, &[3.0]),
                (0x4000_0001, None, &[3.0]),
                (0xc000_0001, None, &[3.0, 4.0]),
                (0x2000_0001, Some(4326), &[]),
                (0xe000_0001, Some(4326), &[3.0, 4.0]),
            ] {
                let mut flattened = false;
                let read = read_noting(&coded(big, code, srid, more), &mut flattened);
                assert_eq!(read.unwrap(), Point::new(1.0, 2.0).into(), "{code:x}");
                assert_eq!(flattened, !more.is_empty());
            }
        }
    }

    #[test]
    fn visiting_sees_what_reading_builds() {
        let all = |bytes: &[u8]| {
            let mut seen = Vec::new();
            visit(bytes, &mut |x, y| seen.push((x, y))).map(|plain| (plain, seen))
        };
        let one = MultiPolygon(vec![Polygon::new(shape().0[0].exterior().clone(), Vec::new())]);
        assert_eq!(all(&point(1.5, -2.0)), Ok((true, vec![(1.5, -2.0)])));
        assert_eq!(all(&multi_polygon(&one)).unwrap().1, [(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 0.0)]);
        let (plain, seen) = all(&multi_polygon(&shape())).unwrap();
        assert!(plain && seen.len() == 16 && seen[4..6] == [(1.0, 1.0), (2.0, 1.0)]);
        for (big, code, srid, more) in
            [(true, 1, None, &[][..]), (false, 1001, None, &[3.0]), (false, 0x2000_0001, Some(4326), &[])]
        {
            assert_eq!(all(&coded(big, code, srid, more)), Ok((false, vec![(1.0, 2.0)])));
        }
        let bytes = multi_polygon(&shape());
        for n in 0..bytes.len() {
            assert!(all(&bytes[..n]).is_err());
        }
        assert!(all(&[bytes, vec![0]].concat()).is_err());
        assert!(all(&[1, 3, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 1]).is_err());
    }

    #[test]
    fn other_kinds_are_refused_by_name() {
        for (code, name) in
            [(2, "LineString"), (5, "MultiLineString"), (7, "GeometryCollection"), (15, "type 15")]
        {
            assert!(read(&coded(false, code, None, &[])).unwrap_err().contains(name));
        }
        assert!(read(&coded(false, 4001, None, &[])).unwrap_err().contains("4001"));
        assert!(read(&[2, 1, 0, 0, 0]).unwrap_err().contains("byte order 2"));
        // Millions of rings in 9 bytes.
        assert!(read(&[1, 3, 0, 0, 0, 255, 255, 255, 0]).unwrap_err().contains("claims"));
        // A multi-polygon in a multi-polygon would nest without end.
        let nested = [1, 6, 0, 0, 0, 1, 0, 0, 0, 1, 6, 0, 0, 0, 0, 0, 0, 0];
        assert!(read(&nested).unwrap_err().contains("holds a MultiPolygon"));
    }
}
