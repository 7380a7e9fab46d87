//! A map against a reference sample: what the map says at the points, and how many pixels each of its classes has.

use terravec::{Error, Result};
use terravec_geo::{Crs, Transform, Window};
use terravec_io::tiff::GeoTiff;
use terravec_io::vector::Points;
use terravec_io::{Codes, DType, Samples};

use crate::assess::{AreaEstimate, Stratum, areas};
use crate::learn::class_column;
use crate::refuse;

/// Rows of the map read at a time.
const ROWS: usize = 1024;

/// Areas of classes, corrected by a reference sample.
#[derive(Debug, Clone, PartialEq)]
pub struct MapAreas {
    /// Classes of the map, then those that only the reference has.
    pub names: Vec<String>,
    /// Pixels of each in the map.
    pub pixels: Vec<u64>,
    /// Square metres of a pixel.
    pub pixel_area: f64,
    /// Shares of the mapped area and accuracies, in the order of the names.
    pub estimate: AreaEstimate,
    /// Points that were used.
    pub points: usize,
    /// Points without a class, outside the map, or where it has none.
    pub left_out: usize,
}

/// Estimates areas from `map`, which [`predict`](super::predict) has written, and `points` drawn at random within each of its classes, whose true class stands in `column`.
///
/// # Errors
/// If the map is none of classes or lies in degrees, a class has fewer than two points, or the map can't be read.
#[allow(clippy::cast_possible_truncation)]
pub fn map_areas(map: &GeoTiff, points: &Points, column: &str) -> Result<MapAreas> {
    let no_map = || {
        refuse(
            format!("{} is no map of classes", map.name()),
            "give a COG that `classify predict` has written",
        )
    };
    let legend = map.metadata().iter().find(|(_, key, _)| key == "TERRAVEC_CLASSES").ok_or_else(no_map)?;
    let legend: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&legend.2).map_err(|_| no_map())?;
    let mut names = Vec::new();
    let mut of_code: Vec<Option<u32>> = vec![None; 1 << 16];
    for (code, class) in &legend {
        let (Ok(code), Some(name)) = (code.parse::<u16>(), class["name"].as_str()) else {
            return Err(no_map());
        };
        of_code[usize::from(code)] = Some(names.len() as u32);
        names.push(name.to_owned());
    }
    let grid = map.grid().ok_or_else(no_map)?;
    if grid.crs.is_geographic() {
        return Err(refuse(
            "the map's pixels are degrees, which differ in area",
            "predict again on a projected grid: --crs EPSG:… --resolution …",
        ));
    }
    let unit = grid.crs.metres_per_unit().unwrap_or(1.0);
    let pixel_area = (grid.affine.a * grid.affine.e - grid.affine.b * grid.affine.d).abs() * unit * unit;
    if !matches!(map.dtype(), DType::U8 | DType::U16) || map.bands() != 1 {
        return Err(no_map());
    }
    let classes_of = |codes: &Codes| -> Vec<Option<u32>> {
        match &codes.samples {
            Samples::U8(v) => v.iter().map(|c| of_code[usize::from(*c)]).collect(),
            Samples::U16(v) => v.iter().map(|c| of_code[usize::from(*c)]).collect(),
            _ => Vec::new(),
        }
    };
    let mut pixels = vec![0u64; names.len()];
    for row in (0..grid.height).step_by(ROWS) {
        let window = Window { col: 0, row, width: grid.width, height: ROWS.min(grid.height - row) };
        let classes = classes_of(&map.read(0, &[0], window)?);
        classes.into_iter().flatten().for_each(|k| pixels[k as usize] += 1);
    }

    let mapped = names.len();
    let truth = class_column(&points.columns, column)?;
    let to = Transform::new(&Crs::wgs84(), &grid.crs)
        .map_err(|source| Error::Geo { context: format!("to {}", grid.crs), source })?;
    let (mut xs, mut ys) = (points.lon.clone(), points.lat.clone());
    to.points(&mut xs, &mut ys);
    let at: Vec<Option<(usize, usize)>> = xs.iter().zip(&ys).map(|(x, y)| grid.pixel_at(*x, *y)).collect();
    let inside: Vec<(usize, usize)> = at.iter().flatten().copied().collect();
    let mut read = classes_of(&map.read_points(&[0], &inside)?).into_iter();
    let (mut reference, mut said) = (Vec::new(), Vec::new());
    for (at, truth) in at.iter().zip(truth) {
        let class = at.and_then(|_| read.next().flatten());
        let (Some(class), Some(truth)) = (class, truth) else { continue };
        let own = names.iter().position(|n| *n == truth).unwrap_or_else(|| {
            names.push(truth);
            names.len() - 1
        });
        reference.push(own as u32);
        said.push(class);
    }
    if said.is_empty() {
        return Err(refuse(
            "no reference point lies on the map",
            "check the places and the column of classes",
        ));
    }
    pixels.resize(names.len(), 0);
    let strata: Vec<Stratum> =
        (0..mapped).map(|k| Stratum { id: k as u32, name: names[k].clone(), pixels: pixels[k] }).collect();
    Ok(MapAreas {
        estimate: areas(&strata, &said, &reference, &said, names.len())?,
        points: said.len(),
        left_out: points.lon.len() - said.len(),
        names,
        pixels,
        pixel_area,
    })
}
