//! Fixed functions of a place that networks take as input. All are computed in `f64`.

mod harmonics;
mod legendre;
mod published_table;

pub use harmonics::{Harmonics, HarmonicsKind};

/// The Equal Earth projection of a place in degrees, scaled by 66.50336 / 180 as GeoCLIP and MIND do.
///
/// Šavrič, Patterson, Jenny 2018, doi:10.1080/13658816.2018.1504949, equations 1–3 on the unit sphere. The scale is that
/// of PyPI `geoclip` 1.3.0 (`geoclip/model/location_encoder.py`).
#[must_use]
pub fn equal_earth(lon: f64, lat: f64) -> (f64, f64) {
    equal_earth_by(3f64.sqrt(), lon, lat)
}

/// The same with a given √3.
pub(crate) fn equal_earth_by(root3: f64, lon: f64, lat: f64) -> (f64, f64) {
    const A: [f64; 4] = [1.340_264, -0.081_106, 0.000_893, 0.003_796];
    const SCALE: f64 = 66.503_36 / 180.0;
    let theta = (root3 / 2.0 * lat.to_radians().sin()).asin();
    let t2 = theta * theta;
    let t6 = t2 * t2 * t2;
    let slope = A[0] + 3.0 * A[1] * t2 + t6 * (7.0 * A[2] + 9.0 * A[3] * t2);
    let x = 2.0 * root3 * lon.to_radians() * theta.cos() / (3.0 * slope);
    let y = theta * (A[0] + A[1] * t2 + t6 * (A[2] + A[3] * t2));
    (x * SCALE, y * SCALE)
}

#[cfg(test)]
mod tests {
    use super::equal_earth;

    #[test]
    fn equal_earth_of_known_places() {
        // Computed with PyPI `geoclip`, in float32.
        for (lon, lat, x, y) in [
            (2.3522, 48.8566, 0.010_878_59, 0.341_147_85),
            (-122.4194, 37.7749, -0.610_966_37, 0.271_668_52),
            (151.2093, -33.8688, 0.771_108_91, -0.245_576_11),
        ] {
            let (px, py) = equal_earth(lon, lat);
            assert!((px - x).abs() < 2e-7 && (py - y).abs() < 2e-7, "{px} {py}");
        }
    }
}
