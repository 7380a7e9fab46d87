//! Burns polygons: one JSON object `{"gdal": […6], "width", "height", "all_touched", "polygons": [[ring, …], …]}` per
//! line in, one line of `0`s and `1`s out. The Python tests hold this against rasterio.

use geo_types::{Coord, LineString, MultiPolygon, Polygon};
use serde::Deserialize;
use std::io::BufRead;
use terravec_geo::{Affine, Crs, Grid, rasterize};

#[derive(Deserialize)]
struct Task {
    gdal: [f64; 6],
    width: usize,
    height: usize,
    all_touched: bool,
    polygons: Vec<Vec<Vec<(f64, f64)>>>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ring =
        |points: Vec<(f64, f64)>| LineString::new(points.into_iter().map(|(x, y)| Coord { x, y }).collect());
    for line in std::io::stdin().lock().lines() {
        let task: Task = serde_json::from_str(&line?)?;
        let grid = Grid::new(Crs::wgs84(), Affine::from_gdal(task.gdal), task.width, task.height)?;
        let polygons = task.polygons.into_iter().filter_map(|rings| {
            let mut rings = rings.into_iter().map(ring);
            Some(Polygon::new(rings.next()?, rings.collect()))
        });
        let mask = rasterize::mask(&grid, &MultiPolygon::new(polygons.collect()), task.all_touched);
        println!("{}", mask.into_iter().map(|m| if m { '1' } else { '0' }).collect::<String>());
    }
    Ok(())
}
