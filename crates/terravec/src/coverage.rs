//! Which files a dataset has for a place and time, as a list, GeoJSON or a small map; and why there are none, where there are none.

use terravec_geo::LonLatBox;

use crate::dataset::{Dataset, Listed, RasterDataset};
use crate::error::{Error, Result};
use crate::patch::PatchDataset;
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
    /// West, south, east, north in degrees, where known; west of east across the antimeridian.
    pub bbox: Option<[f64; 4]>,
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
    /// The place that was asked about.
    #[serde(skip)]
    area: Option<LonLatBox>,
}

impl Covered {
    fn of(listed: &Listed) -> Self {
        let b = &listed.lonlat;
        Self {
            path: listed.path.clone(),
            year: listed.year(),
            bbox: Some([b.west, b.south, b.east, b.north]),
        }
    }
}

/// What `dataset` has in `area` in `years`.
///
/// # Errors
/// If a year is not there at all, or files have to be opened to say where they lie and can't be.
pub fn coverage(dataset: &Dataset, area: Option<&LonLatBox>, years: &Years) -> Result<Coverage> {
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
    let (product, area) = (dataset.product().id.clone(), area.copied());
    Ok(Coverage { product, root, files, reasons, area })
}

type Found = (Vec<Covered>, Vec<String>);

fn of_raster(d: &RasterDataset, area: Option<&LonLatBox>, years: &Years) -> Result<Found> {
    let places = |area: Option<&LonLatBox>| area.map_or(Places::Everywhere, |a| Places::of_boxes(vec![*a]));
    let listed = d.listed(&places(area), years)?;
    let files: Vec<Covered> = listed.into_iter().map(|l| Covered::of(&l)).collect();
    let mut reasons = Vec::new();
    if let (true, Some(area)) = (files.is_empty(), area) {
        let mut others: Vec<i32> =
            d.listed(&places(Some(area)), &Years::All)?.iter().filter_map(Listed::year).collect();
        others.sort_unstable();
        others.dedup();
        if !others.is_empty() {
            let list: Vec<String> = others.iter().map(ToString::to_string).collect();
            reasons.push(format!("this place has tiles, but of other years: {}", list.join(", ")));
        }
        reasons.extend(d.swapped(area).map(|s| s.trim().to_owned()));
        reasons.extend(beyond(dataset_extent(d.product()), area));
        reasons.push(d.covered());
        if d.root().path().is_some() {
            reasons.push("this is a local copy; the archive it comes from may hold more".to_owned());
        }
    }
    Ok((files, reasons))
}

fn of_table(d: &PatchDataset, area: Option<&LonLatBox>, years: &Years) -> Result<Found> {
    let files: Vec<Covered> = d
        .coverage(area, years)?
        .into_iter()
        .map(|f| Covered { path: f.path, year: f.year, bbox: f.bbox })
        .collect();
    let mut reasons = Vec::new();
    if let (true, Some(area)) = (files.is_empty(), area) {
        if *years != Years::All && !d.coverage(Some(area), &Years::All)?.is_empty() {
            reasons.push("this place has files, but of other times".to_owned());
        }
        reasons.extend(beyond(dataset_extent(d.product()), area));
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
    if west <= east {
        return vec![b];
    }
    vec![[west, south, 180.0, north], [-180.0, south, east, north]]
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

    /// A map as PNG: files in blue, darker where several lie (years, overlaps), the place asked about in red, degrees on both axes alike.
    ///
    /// # Errors
    /// If nothing has a place.
    pub fn png(&self) -> Result<Vec<u8>> {
        let asked = self.area.map(|a| [a.west, a.south, a.east, a.north]);
        let boxes: Vec<[f64; 4]> = self.files.iter().filter_map(|f| f.bbox).flat_map(parts).collect();
        let all = boxes.iter().copied().chain(asked.into_iter().flat_map(parts));
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
        for [w, s, e, n] in asked.into_iter().flat_map(parts) {
            let (left, right, top, bottom) = (column(w), column(e), row(n), row(s));
            for x in left..=right {
                (pixels[top * WIDTH + x], pixels[bottom * WIDTH + x]) = ([203, 24, 29], [203, 24, 29]);
            }
            for y in top..=bottom {
                (pixels[y * WIDTH + left], pixels[y * WIDTH + right]) = ([203, 24, 29], [203, 24, 29]);
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
            files: vec![
                Covered { path: "a".into(), year: Some(2024), bbox },
                Covered { path: "b".into(), year: None, bbox: None },
            ],
            reasons: Vec::new(),
            area: None,
        };
        let json = coverage.geojson();
        assert_eq!(json["features"].as_array().unwrap().len(), 1);
        assert_eq!(json["features"][0]["geometry"]["type"], "MultiPolygon");
        assert!(coverage.png().unwrap().starts_with(b"\x89PNG"));
        assert!(Coverage { files: Vec::new(), ..coverage }.png().is_err());
    }
}
