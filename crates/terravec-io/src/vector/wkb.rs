//! Well-known binary: points and polygons, read in both byte orders (ISO and EWKB), written little-endian.

use geo_types::{Coord, Geometry, LineString, MultiPolygon, Point, Polygon};

/// A point.
#[must_use]
pub fn point(x: f64, y: f64) -> Vec<u8> {
    let mut out = vec![1, 1, 0, 0, 0];
    out.extend_from_slice(&x.to_le_bytes());
    out.extend_from_slice(&y.to_le_bytes());
    out
}

/// A polygon, or a multi-polygon where there are several.
#[must_use]
pub fn multi_polygon(shape: &MultiPolygon<f64>) -> Vec<u8> {
    let one = |p: &Polygon<f64>, out: &mut Vec<u8>| {
        out.extend_from_slice(&[1, 3, 0, 0, 0]);
        count(out, 1 + p.interiors().len());
        for ring in std::iter::once(p.exterior()).chain(p.interiors()) {
            count(out, ring.0.len());
            for c in &ring.0 {
                out.extend_from_slice(&c.x.to_le_bytes());
                out.extend_from_slice(&c.y.to_le_bytes());
            }
        }
    };
    let mut out = Vec::new();
    if let [only] = shape.0.as_slice() {
        one(only, &mut out);
    } else {
        out.extend_from_slice(&[1, 6, 0, 0, 0]);
        count(&mut out, shape.0.len());
        shape.0.iter().for_each(|p| one(p, &mut out));
    }
    out
}

fn count(out: &mut Vec<u8>, n: usize) {
    out.extend_from_slice(&u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes());
}

/// Reads a point, polygon or multi-polygon. Heights and measures are left out.
///
/// # Errors
/// What is wrong with the bytes, or the name of a geometry of another kind.
pub fn read(bytes: &[u8]) -> Result<Geometry<f64>, String> {
    let mut reader = Reader { bytes, at: 0 };
    reader.geometry(0)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let part = self.bytes.get(self.at..self.at + N).ok_or("the geometry is cut short")?;
        self.at += N;
        part.try_into().map_err(|_| "the geometry is cut short".to_string())
    }

    fn u32(&mut self, big: bool) -> Result<u32, String> {
        let b = self.take()?;
        Ok(if big { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) })
    }

    fn coord(&mut self, big: bool, dims: usize) -> Result<Coord<f64>, String> {
        let mut v = [0.0; 4];
        for x in v.iter_mut().take(dims) {
            let b = self.take()?;
            *x = if big { f64::from_be_bytes(b) } else { f64::from_le_bytes(b) };
        }
        Ok(Coord { x: v[0], y: v[1] })
    }

    /// A count of things of at least `size` bytes, which must fit into what is left.
    fn many(&mut self, big: bool, size: usize) -> Result<usize, String> {
        let n = self.u32(big)? as usize;
        if n > (self.bytes.len() - self.at) / size {
            return Err(format!("the geometry claims {n} parts but is cut short"));
        }
        Ok(n)
    }

    fn geometry(&mut self, depth: usize) -> Result<Geometry<f64>, String> {
        let big = match self.take::<1>()?[0] {
            0 => true,
            1 => false,
            other => return Err(format!("byte order {other} is none")),
        };
        let kind = self.u32(big)?;
        let (z, m) = match kind & 0xffff_ffff {
            k if k & 0xe000_0000 != 0 => (k & 0x8000_0000 != 0, k & 0x4000_0000 != 0),
            k => (k / 1000 == 1 || k / 1000 == 3, k / 1000 == 2 || k / 1000 == 3),
        };
        if kind & 0x2000_0000 != 0 {
            self.u32(big)?; // a spatial reference id; the file's metadata says which CRS holds
        }
        let dims = 2 + usize::from(z) + usize::from(m);
        match (kind & 0x0fff_ffff) % 1000 {
            1 => Ok(Point(self.coord(big, dims)?).into()),
            3 => {
                let rings = self.many(big, 4)?;
                let mut lines = Vec::with_capacity(rings);
                for _ in 0..rings {
                    let n = self.many(big, 8 * dims)?;
                    lines.push(LineString((0..n).map(|_| self.coord(big, dims)).collect::<Result<_, _>>()?));
                }
                let mut lines = lines.into_iter();
                let exterior = lines.next().unwrap_or_else(|| LineString(Vec::new()));
                Ok(Polygon::new(exterior, lines.collect()).into())
            }
            6 if depth == 0 => {
                let n = self.many(big, 9)?;
                let mut parts = Vec::with_capacity(n);
                for _ in 0..n {
                    match self.geometry(1)? {
                        Geometry::Polygon(p) => parts.push(p),
                        _ => return Err("a multi-polygon holds something else".into()),
                    }
                }
                Ok(MultiPolygon(parts).into())
            }
            4 if depth == 0 => {
                let n = self.many(big, 21)?;
                match (n, n == 1) {
                    (_, true) => self.geometry(1),
                    _ => Err(format!("a multi-point of {n} points; one point per row is needed")),
                }
            }
            2 | 5 => Err("a line; points or polygons are needed".into()),
            7 => Err("a geometry collection; points or polygons are needed".into()),
            other => Err(format!("geometry type {other}; points or polygons are needed")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_cuts() {
        let p = Polygon::new(
            LineString::from(vec![(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 0.0)]),
            vec![LineString::from(vec![(1.0, 1.0), (2.0, 1.0), (2.0, 2.0), (1.0, 1.0)])],
        );
        let multi = MultiPolygon(vec![p.clone(), p.clone()]);
        assert_eq!(read(&multi_polygon(&multi)).unwrap(), multi.clone().into());
        assert_eq!(read(&multi_polygon(&MultiPolygon(vec![p.clone()]))).unwrap(), p.into());
        assert_eq!(read(&point(1.5, -2.0)).unwrap(), Point::new(1.5, -2.0).into());
        let bytes = multi_polygon(&multi);
        for n in 0..bytes.len() {
            assert!(read(&bytes[..n]).is_err());
        }
        let mut huge = multi_polygon(&multi);
        huge[5..9].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(read(&huge).unwrap_err().contains("cut short"));
    }
}
