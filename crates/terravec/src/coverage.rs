//! Which files a dataset has for a place and time, as a list, GeoJSON or a small map; and why there are none, where there are none.

use std::collections::HashMap;

use terravec_geo::LonLatBox;

use crate::dataset::{Dataset, Listed, RasterDataset, Tile};
use crate::error::{Error, Result};
use crate::patch::PatchDataset;
use crate::query::bounds_of;
use crate::query::extract::Area;
use crate::query::places::Places;
use crate::time::Years;

/// Width of a map in pixels.
const WIDTH: usize = 720;
const HEIGHT: (usize, usize) = (180, 720);

/// A file of a dataset, and where it lies.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Covered {
    /// Relative to the root.
    pub path: String,
    /// The year its vectors start in, where known.
    pub year: Option<i32>,
    /// Of a raster that was opened: the CRS of its grid, its columns and its rows.
    pub crs: Option<String>,
    #[allow(missing_docs)]
    pub width: Option<usize>,
    #[allow(missing_docs)]
    pub height: Option<usize>,
    /// West, south, east, north in degrees, where known; west of east across the antimeridian.
    pub bbox: Option<[f64; 4]>,
}

impl Covered {
    fn of(listed: &Listed, tile: Option<&Tile>) -> Self {
        let b = &listed.lonlat;
        Self {
            path: listed.path.clone(),
            year: listed.year(),
            crs: tile.map(|t| t.grid.crs.to_string()),
            width: tile.map(|t| t.grid.width),
            height: tile.map(|t| t.grid.height),
            bbox: Some([b.west, b.south, b.east, b.north]),
        }
    }

    /// A file whose grid, if it has one, nobody asked about.
    fn file(path: String, year: Option<i32>, bbox: Option<[f64; 4]>) -> Self {
        Self { path, year, crs: None, width: None, height: None, bbox }
    }
}

/// What a dataset has for a place and time.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Coverage {
    /// Product id.
    pub product: String,
    /// Where the dataset is, without credentials.
    pub root: String,
    /// The files.
    pub files: Vec<Covered>,
    /// Why there are none, a sentence each.
    pub reasons: Vec<String>,
    /// The outline of the place that was asked about.
    #[serde(skip)]
    asked: Vec<Vec<[f64; 2]>>,
    /// Where a map begins, if the place lies across the antimeridian.
    #[serde(skip)]
    seam: Option<f64>,
}

/// What `dataset` has in `area` in `years`: files whose box touches it.
///
/// # Errors
/// If a year is not there at all, a region is empty, or files have to be opened to say where they lie and can't be.
pub fn coverage(dataset: &Dataset, area: &Area, years: &Years) -> Result<Coverage> {
    let (files, reasons) = match dataset {
        Dataset::Raster(d) => of_raster(d, area, years)?,
        Dataset::Patch(d) => of_table(d, area, years)?,
        Dataset::Location(_) => (Vec::new(), vec!["computed: there is a vector for every place".to_owned()]),
    };
    let root = match dataset {
        Dataset::Raster(d) => d.root().to_string(),
        Dataset::Patch(d) => d.root().to_string(),
        Dataset::Location(_) => String::new(),
    };
    let product = dataset.product().id.clone();
    // In the middle of what the place leaves out.
    let across = bounds_of(area)?.filter(LonLatBox::crosses_antimeridian);
    let seam = across.map(|b| f64::midpoint(b.east, b.west));
    Ok(Coverage { product, root, files, reasons, asked: outlines(area), seam })
}

/// The outline of a place, degrees.
fn outlines(area: &Area) -> Vec<Vec<[f64; 2]>> {
    let of_box = |[w, s, e, n]: [f64; 4]| vec![[w, s], [e, s], [e, n], [w, n], [w, s]];
    match area {
        Area::All | Area::Grid(_) => Vec::new(),
        Area::Box(b) => parts([b.west, b.south, b.east, b.north]).into_iter().map(of_box).collect(),
        Area::Regions { regions, .. } => {
            let rings = regions.polygons.iter().flat_map(|m| m.iter());
            let rings = rings.flat_map(|p| std::iter::once(p.exterior()).chain(p.interiors()));
            rings.map(|r| r.coords().map(|c| [c.x, c.y]).collect()).collect()
        }
    }
}

type Found = (Vec<Covered>, Vec<String>);

fn of_raster(d: &RasterDataset, area: &Area, years: &Years) -> Result<Found> {
    let places = Places::of_area(area)?;
    let known: HashMap<(&str, Option<i32>), &Tile> =
        d.tiles().iter().map(|t| ((t.path.as_str(), t.year()), t)).collect();
    let listed = d.listed(&places, years)?.into_iter();
    let files: Vec<Covered> =
        listed.map(|l| Covered::of(&l, known.get(&(l.path.as_str(), l.year())).copied())).collect();
    let mut reasons = Vec::new();
    if let (true, Some(bounds)) = (files.is_empty(), bounds_of(area)?) {
        let mut others: Vec<i32> = d.listed(&places, &Years::All)?.iter().filter_map(Listed::year).collect();
        others.sort_unstable();
        others.dedup();
        if !others.is_empty() {
            let list: Vec<String> = others.iter().map(ToString::to_string).collect();
            reasons.push(format!("this place has tiles, but of other years: {}", list.join(", ")));
        }
        reasons.extend(d.swapped(&bounds).map(|s| s.trim().to_owned()));
        reasons.extend(beyond(dataset_extent(d.product()), &bounds));
        reasons.push(d.covered());
        if d.root().path().is_some() {
            reasons.push("this is a local copy; the archive it comes from may hold more".to_owned());
        }
    }
    Ok((files, reasons))
}

fn of_table(d: &PatchDataset, area: &Area, years: &Years) -> Result<Found> {
    let files: Vec<Covered> =
        d.coverage(area, years)?.into_iter().map(|f| Covered::file(f.path, f.year, f.bbox)).collect();
    let mut reasons = Vec::new();
    if let (true, Some(bounds)) = (files.is_empty(), bounds_of(area)?) {
        if *years != Years::All && !d.coverage(area, &Years::All)?.is_empty() {
            reasons.push("this place has files, but of other times".to_owned());
        }
        reasons.extend(beyond(dataset_extent(d.product()), &bounds));
        reasons.push(d.covered());
    }
    Ok((files, reasons))
}

/// Where the product is published for, as its descriptor says.
fn dataset_extent(product: &crate::catalog::Descriptor) -> Option<(LonLatBox, String)> {
    let extent = product.extent.as_ref()?;
    let [west, south, east, north] = extent.bbox?;
    Some((LonLatBox { west, south, east, north }, extent.text.clone()))
}

fn beyond(extent: Option<(LonLatBox, String)>, area: &LonLatBox) -> Option<String> {
    let (extent, text) = extent.filter(|(e, _)| !e.intersects(area))?;
    Some(format!(
        "the product is published for {},{},{},{} only ({text})",
        extent.west, extent.south, extent.east, extent.north
    ))
}

/// The parts of a box on either side of the antimeridian.
fn parts(b: [f64; 4]) -> Vec<[f64; 4]> {
    let [west, south, east, north] = b;
    let split = LonLatBox { west, south, east, north }.split();
    split.into_iter().map(|b| [b.min_x, b.min_y, b.max_x, b.max_y]).collect()
}

impl Coverage {
    /// Footprints as GeoJSON (RFC 7946): a feature per file whose place is known.
    #[must_use]
    pub fn geojson(&self) -> serde_json::Value {
        let ring = |[w, s, e, n]: [f64; 4]| serde_json::json!([[[w, s], [e, s], [e, n], [w, n], [w, s]]]);
        let features: Vec<_> = self
            .files
            .iter()
            .filter_map(|f| {
                let polygons: Vec<_> = parts(f.bbox?).into_iter().map(ring).collect();
                let geometry = match polygons.as_slice() {
                    [one] => serde_json::json!({ "type": "Polygon", "coordinates": one }),
                    many => serde_json::json!({ "type": "MultiPolygon", "coordinates": many }),
                };
                Some(serde_json::json!({
                    "type": "Feature",
                    "geometry": geometry,
                    "properties": { "path": f.path, "year": f.year, "product": self.product },
                }))
            })
            .collect();
        serde_json::json!({ "type": "FeatureCollection", "features": features })
    }

    /// A map as PNG: files in blue, darker where several lie (years, overlaps), the outline of the place asked about in red, degrees on
    /// both axes alike.
    ///
    /// # Errors
    /// If nothing has a place.
    pub fn png(&self) -> Result<Vec<u8>> {
        let turned = |lon: f64| if self.seam.is_some_and(|s| lon < s) { lon + 360.0 } else { lon };
        let boxes = self.files.iter().filter_map(|f| f.bbox).flat_map(parts);
        let boxes: Vec<[f64; 4]> = boxes.map(|[w, s, e, n]| [turned(w), s, turned(e), n]).collect();
        let vertices = self.asked.iter().flatten().map(|[x, y]| [turned(*x), *y, turned(*x), *y]);
        let all = boxes.iter().copied().chain(vertices);
        let view = all.reduce(|a, b| [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]);
        let [west, south, east, north] =
            view.ok_or_else(|| Error::query("no file has a place that is known", "there is nothing to map"))?;
        let margin = 0.05 * (east - west).max(north - south).max(1e-3);
        let (west, south, east, north) = (west - margin, south - margin, east + margin, north + margin);
        let height = (WIDTH as f64 * (north - south) / (east - west)) as usize;
        let height = height.clamp(HEIGHT.0, HEIGHT.1);
        let column =
            |lon: f64| (((lon - west) / (east - west) * WIDTH as f64).max(0.0) as usize).min(WIDTH - 1);
        let row =
            |lat: f64| (((north - lat) / (north - south) * height as f64).max(0.0) as usize).min(height - 1);
        let mut count = vec![0u32; WIDTH * height];
        for [w, s, e, n] in &boxes {
            for y in row(*n)..=row(*s) {
                count[y * WIDTH + column(*w)..=y * WIDTH + column(*e)].iter_mut().for_each(|c| *c += 1);
            }
        }
        let shade = |c: u32| match c {
            0 => [245, 245, 242],
            c => [[158, 202, 225], [107, 174, 214], [49, 130, 189], [8, 81, 156]][(c as usize - 1).min(3)],
        };
        let mut pixels: Vec<[u8; 3]> = count.into_iter().map(shade).collect();
        for edge in self.asked.iter().flat_map(|ring| ring.windows(2)) {
            let place = |[x, y]: [f64; 2]| (column(turned(x)), row(y));
            let (from, to) = (place(edge[0]), place(edge[1]));
            let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1)).max(1);
            let between = |a: usize, b: usize, i: usize| {
                (a as f64 + (b as f64 - a as f64) * i as f64 / steps as f64).round() as usize
            };
            for i in 0..=steps {
                pixels[between(from.1, to.1, i) * WIDTH + between(from.0, to.0, i)] = [203, 24, 29];
            }
        }
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, WIDTH as u32, height as u32);
        encoder.set_color(png::ColorType::Rgb);
        let written = encoder.write_header().and_then(|mut w| w.write_image_data(pixels.as_flattened()));
        written
            .map_err(|e| Error::query(format!("the map can't be made: {e}"), "ask for a smaller place"))?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn footprints_across_the_antimeridian_come_in_two_parts() {
        let bbox = Some([179.0, -10.0, -179.0, -9.0]);
        let coverage = Coverage {
            product: "p".into(),
            root: "r".into(),
            files: vec![Covered::file("a".into(), Some(2024), bbox), Covered::file("b".into(), None, None)],
            reasons: Vec::new(),
            asked: Vec::new(),
            seam: None,
        };
        let json = coverage.geojson();
        assert_eq!(json["features"].as_array().unwrap().len(), 1);
        assert_eq!(json["features"][0]["geometry"]["type"], "MultiPolygon");
        assert!(coverage.png().unwrap().starts_with(b"\x89PNG"));
        assert!(Coverage { files: Vec::new(), ..coverage }.png().is_err());
    }
}
