//! Numbers to places: `LON,LAT`, names of coordinate columns, ranges, and the way from a file's CRS to degrees.

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;
use std::sync::Arc;
use terravec_geo::{Crs, Transform};

use super::Points;
use super::error::VectorError;
use crate::geoparquet::footer::Reference;

/// Names of columns of longitude and of latitude, in the order they are tried; compared without regard to case.
const LONLAT: [(&[&str], &[&str]); 2] = [
    (&["lon", "lng", "long", "longitude"], &["lat", "latitude"]),
    (
        &["decimallongitude", "centre_lon", "center_lon", "centroid_lon"],
        &["decimallatitude", "centre_lat", "center_lat", "centroid_lat"],
    ),
];
/// Names that also stand for other things, tried where there is no geometry.
const XY: [(&[&str], &[&str]); 1] = [(&["x"], &["y"])];

/// A rounding error of about 10 cm, which a file may exceed ±180 and ±90 by.
const TOLERANCE: f64 = 1e-6;

/// One point, written `LON,LAT` in degrees.
///
/// # Errors
/// [`VectorError::Point`] if the text is no such pair, or no place on Earth.
pub fn parse_point(text: &str) -> Result<Points, VectorError> {
    let point = |what: String| VectorError::Point { what };
    let (lon, lat) =
        text.split_once(',').ok_or_else(|| point(format!("`{text}` is neither a file nor LON,LAT")))?;
    let number = |t: &str| {
        let value = t.trim().parse::<f64>().ok().filter(|v| v.is_finite());
        value.ok_or_else(|| point(format!("`{}` is not a number", t.trim())))
    };
    let (lon, lat) = (number(lon)?, number(lat)?);
    let (lon, lat) = check_place(lon, lat).map_err(point)?;
    let columns = RecordBatch::try_new_with_options(
        Arc::new(Schema::empty()),
        Vec::new(),
        &RecordBatchOptions::new().with_row_count(Some(1)),
    )
    .map_err(|e| point(e.to_string()))?;
    Ok(Points { lon: vec![lon], lat: vec![lat], columns, origin: text.to_string(), warnings: Vec::new() })
}

/// Refuses a place that is none, and says what the numbers look like instead.
pub(crate) fn check_place(lon: f64, lat: f64) -> Result<(f64, f64), String> {
    if lon.abs() <= 180.0 + TOLERANCE && lat.abs() <= 90.0 + TOLERANCE {
        return Ok((lon.clamp(-180.0, 180.0), lat.clamp(-90.0, 90.0)));
    }
    let hint = if lon.abs() <= 90.0 && lat.abs() <= 180.0 {
        "; did you swap longitude and latitude?"
    } else if (180.0..=360.0).contains(&lon) && lat.abs() <= 90.0 {
        "; longitudes run from -180 to 180, so take 360 off"
    } else if lon.abs() > 360.0 || lat.abs() > 360.0 {
        "; these look like metres of a projected CRS"
    } else {
        ""
    };
    Err(format!("longitude {lon}, latitude {lat} is no place on Earth{hint}"))
}

/// Finite coordinates to degrees, in place; NaN where a point has none. Returns what people should know.
pub(super) fn to_degrees(xs: &mut [f64], ys: &mut [f64], from: &Reference) -> Result<Option<String>, String> {
    let crs = match from {
        Reference::Unknown => {
            return Ok(Some("it does not say its CRS (null); read as longitude and latitude".into()));
        }
        Reference::Known(crs) => crs,
    };
    // Within 180 m of the corner of a projected CRS no data is expected; degrees written under the wrong CRS are common.
    let degrees = |(x, y): (&f64, &f64)| x.abs() <= 180.0 && y.abs() <= 90.0;
    if !crs.is_geographic() && !xs.is_empty() && xs.iter().zip(ys.iter()).all(degrees) {
        return Ok(Some(format!("it claims {crs} but holds degrees; read as longitude and latitude")));
    }
    let to = Transform::new(crs, &Crs::wgs84()).map_err(|e| e.to_string())?;
    to.points(xs, ys);
    Ok(None)
}

/// The columns that hold longitude and latitude, by names that mean nothing else.
pub(super) fn lonlat_columns(names: &[String]) -> Option<(usize, usize)> {
    find(names, &LONLAT)
}

/// The columns that hold longitude and latitude, also under the names x and y.
pub(super) fn coordinate_columns(names: &[String]) -> Option<(usize, usize)> {
    lonlat_columns(names).or_else(|| find(names, &XY))
}

fn find(names: &[String], pairs: &[(&[&str], &[&str])]) -> Option<(usize, usize)> {
    let first = |wanted: &[&str]| {
        wanted.iter().find_map(|w| names.iter().position(|n| n.trim().eq_ignore_ascii_case(w)))
    };
    pairs.iter().find_map(|(lon, lat)| Some((first(lon)?, first(lat)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        parse_point(text).unwrap_err().to_string()
    }

    #[test]
    fn a_literal_point_is_checked() {
        let p = parse_point("-88.77, 44.29").unwrap();
        assert_eq!((p.lon[0], p.lat[0], p.columns.num_rows()), (-88.77, 44.29, 1));
        assert!(said("44.29,-98.77").contains("swap"));
        assert!(said("200,10").contains("360"));
        assert!(said("500000,4649776").contains("metres"));
        assert!(said("nan,3").contains("number") && said("1,2,3").contains("2,3"));
        assert!(said("points.csv").contains("neither"));
    }

    #[test]
    fn columns_are_recognised_in_pairs() {
        let of = |text: &str| coordinate_columns(&text.split(' ').map(String::from).collect::<Vec<_>>());
        assert_eq!(of("x y Latitude LNG"), Some((3, 2)));
        assert_eq!(of("a x y"), Some((1, 2)));
        assert_eq!(of("lon y"), None);
        assert_eq!(of("decimalLatitude decimalLongitude"), Some((1, 0)));
    }
}
