//! What a CRS is made of here: a datum, a map projection with its numbers, a linear unit.
//!
//! Two texts mean the same CRS when these agree, whatever names they use; [`Definition::key`] is that comparison.

use std::borrow::Cow;

/// A geodetic datum with its ellipsoid.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Datum {
    /// Name of the geographic CRS on this datum.
    pub(crate) crs_name: Cow<'static, str>,
    /// EPSG code of that geographic CRS.
    pub(crate) crs_code: Option<u32>,
    /// Name of the datum itself.
    pub(crate) name: Cow<'static, str>,
    pub(crate) ellipsoid: Cow<'static, str>,
    /// Semi-major axis, metres.
    pub(crate) a: f64,
    /// Inverse flattening; 0 for a sphere.
    pub(crate) rf: f64,
}

/// Map projections, each with the parameters EPSG gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Geographic,
    TransverseMercator,
    MercatorA,
    MercatorB,
    WebMercator,
    LambertAzimuthal,
    Albers,
    LambertConic1,
    LambertConic2,
    PolarStereographicA,
    PolarStereographicB,
    EqualEarth,
    CylindricalEqualArea,
    Sinusoidal,
}

/// Numbers of a projection: degrees and metres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Numbers {
    pub(crate) lon_0: f64,
    pub(crate) lat_0: f64,
    pub(crate) lat_1: f64,
    pub(crate) lat_2: f64,
    pub(crate) k: f64,
    pub(crate) x_0: f64,
    pub(crate) y_0: f64,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { lon_0: 0.0, lat_0: 0.0, lat_1: 0.0, lat_2: 0.0, k: 1.0, x_0: 0.0, y_0: 0.0 }
    }
}

/// A CRS in full.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Definition {
    pub(crate) name: String,
    pub(crate) epsg: Option<u32>,
    pub(crate) datum: Datum,
    pub(crate) method: Method,
    pub(crate) numbers: Numbers,
    /// Metres per unit of the axes (1 for geographic CRSs, whose unit is the degree).
    pub(crate) unit: f64,
}

/// What a parameter measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Degree,
    Unity,
    Metre,
}

impl Method {
    /// EPSG's name and code (none for Sinusoidal and geographic CRSs).
    pub(crate) fn epsg(self, sphere: bool) -> (&'static str, Option<u32>) {
        match self {
            Self::Geographic => ("", None),
            Self::TransverseMercator => ("Transverse Mercator", Some(9807)),
            Self::MercatorA => ("Mercator (variant A)", Some(9804)),
            Self::MercatorB => ("Mercator (variant B)", Some(9805)),
            Self::WebMercator => ("Popular Visualisation Pseudo Mercator", Some(1024)),
            Self::LambertAzimuthal if sphere => ("Lambert Azimuthal Equal Area (Spherical)", Some(1027)),
            Self::LambertAzimuthal => ("Lambert Azimuthal Equal Area", Some(9820)),
            Self::Albers => ("Albers Equal Area", Some(9822)),
            Self::LambertConic1 => ("Lambert Conic Conformal (1SP)", Some(9801)),
            Self::LambertConic2 => ("Lambert Conic Conformal (2SP)", Some(9802)),
            Self::PolarStereographicA => ("Polar Stereographic (variant A)", Some(9810)),
            Self::PolarStereographicB => ("Polar Stereographic (variant B)", Some(9829)),
            Self::EqualEarth => ("Equal Earth", Some(1078)),
            Self::CylindricalEqualArea if sphere => {
                ("Lambert Cylindrical Equal Area (Spherical)", Some(9834))
            }
            Self::CylindricalEqualArea => ("Lambert Cylindrical Equal Area", Some(9835)),
            Self::Sinusoidal => ("Sinusoidal", None),
        }
    }
}

impl Definition {
    pub(crate) fn is_sphere(&self) -> bool {
        self.datum.rf == 0.0
    }

    /// The projection's parameters as EPSG orders and names them: name, EPSG code, value, unit.
    pub(crate) fn parameters(&self) -> Vec<(&'static str, u32, f64, Unit)> {
        let n = &self.numbers;
        let lat_0 = ("Latitude of natural origin", 8801, n.lat_0, Unit::Degree);
        let lon_0 = ("Longitude of natural origin", 8802, n.lon_0, Unit::Degree);
        let scale = ("Scale factor at natural origin", 8805, n.k, Unit::Unity);
        let lat_1 = ("Latitude of 1st standard parallel", 8823, n.lat_1, Unit::Degree);
        let x_0 = ("False easting", 8806, n.x_0, Unit::Metre);
        let y_0 = ("False northing", 8807, n.y_0, Unit::Metre);
        match self.method {
            Method::Geographic => vec![],
            Method::TransverseMercator
            | Method::MercatorA
            | Method::LambertConic1
            | Method::PolarStereographicA => vec![lat_0, lon_0, scale, x_0, y_0],
            Method::MercatorB | Method::CylindricalEqualArea => {
                vec![lat_1, lon_0, x_0, y_0]
            }
            Method::WebMercator | Method::LambertAzimuthal => vec![lat_0, lon_0, x_0, y_0],
            Method::Albers | Method::LambertConic2 => vec![
                ("Latitude of false origin", 8821, n.lat_0, Unit::Degree),
                ("Longitude of false origin", 8822, n.lon_0, Unit::Degree),
                lat_1,
                ("Latitude of 2nd standard parallel", 8824, n.lat_2, Unit::Degree),
                ("Easting at false origin", 8826, n.x_0, Unit::Metre),
                ("Northing at false origin", 8827, n.y_0, Unit::Metre),
            ],
            Method::PolarStereographicB => vec![
                ("Latitude of standard parallel", 8832, n.lat_1, Unit::Degree),
                ("Longitude of origin", 8833, n.lon_0, Unit::Degree),
                x_0,
                y_0,
            ],
            Method::EqualEarth | Method::Sinusoidal => vec![lon_0, x_0, y_0],
        }
    }

    /// The projection alone, as text that is equal where the projections are (1e-9 degree, 1 µm).
    pub(crate) fn projection_key(&self) -> String {
        // The 1SP and 2SP forms, and a scale factor of 1, are kept apart: no published CRS mixes them.
        let mut key = format!("{:?} a={:.3} rf={:.5}", self.method, self.datum.a, self.datum.rf);
        for (_, code, value, unit) in self.parameters() {
            let value = if value == 0.0 { 0.0 } else { value };
            let text = if unit == Unit::Metre {
                format!(" {code}={value:.6}")
            } else {
                format!(" {code}={value:.9}")
            };
            key.push_str(&text);
        }
        if self.unit != 1.0 {
            key.push_str(&format!(" unit={:.9}", self.unit));
        }
        key
    }

    /// Equal for two definitions that mean the same CRS.
    pub(crate) fn key(&self) -> String {
        let datum = match self.datum.crs_code {
            Some(code) => code.to_string(),
            None => super::names::squeeze(&self.datum.name),
        };
        format!("{} datum={datum}", self.projection_key())
    }

    /// The projection as a PROJ string. Only the ellipsoid is named, never a datum: see [`super`].
    pub(crate) fn proj_string(&self) -> String {
        let n = &self.numbers;
        let head = match self.method {
            Method::Geographic => "longlat".to_owned(),
            Method::TransverseMercator => format!("tmerc +lat_0={} +k={}", n.lat_0, n.k),
            Method::MercatorA => format!("merc +k={}", n.k),
            Method::MercatorB => format!("merc +lat_ts={}", n.lat_1),
            Method::WebMercator => "webmerc".to_owned(),
            Method::LambertAzimuthal => format!("laea +lat_0={}", n.lat_0),
            Method::Albers => format!("aea +lat_0={} +lat_1={} +lat_2={}", n.lat_0, n.lat_1, n.lat_2),
            Method::LambertConic1 => format!("lcc +lat_0={} +lat_1={} +k_0={}", n.lat_0, n.lat_0, n.k),
            Method::LambertConic2 => {
                format!("lcc +lat_0={} +lat_1={} +lat_2={}", n.lat_0, n.lat_1, n.lat_2)
            }
            Method::PolarStereographicA => format!("stere +lat_0={} +k={}", n.lat_0, n.k),
            Method::PolarStereographicB => {
                format!("stere +lat_0={} +lat_ts={}", 90f64.copysign(n.lat_1), n.lat_1)
            }
            Method::EqualEarth => "eqearth".to_owned(),
            Method::CylindricalEqualArea => format!("cea +lat_ts={}", n.lat_1),
            Method::Sinusoidal => "sinu".to_owned(),
        };
        let shape = if self.is_sphere() {
            format!("+R={}", self.datum.a)
        } else {
            format!("+a={} +rf={}", self.datum.a, self.datum.rf)
        };
        format!(
            "+proj={head} +lon_0={} +x_0={} +y_0={} {shape} +to_meter={}",
            n.lon_0, n.x_0, n.y_0, self.unit
        )
    }
}
