//! From the names and numbers of a CRS text, in any dialect, to a [`Definition`].
//!
//! WKT1 of GDAL and ESRI, WKT2 and PROJJSON differ in grammar and in words, not in content: their readers fill
//! a [`Raw`], and the words are sorted out here once.

use super::definition::{Datum, Definition, Method, Numbers};
use super::table;
use crate::GeoError;
use std::borrow::Cow;

/// A CRS as a text states it; angles in degrees, lengths in metres.
#[derive(Debug, Clone, Default)]
pub(crate) struct Raw {
    pub(crate) name: String,
    pub(crate) epsg: Option<u32>,
    /// EPSG code of the (base) geographic CRS.
    pub(crate) base_epsg: Option<u32>,
    pub(crate) datum: String,
    pub(crate) ellipsoid: String,
    pub(crate) a: f64,
    pub(crate) rf: f64,
    pub(crate) prime_meridian: f64,
    /// None for a geographic CRS.
    pub(crate) method: Option<String>,
    pub(crate) parameters: Vec<(String, f64)>,
    /// Metres per axis unit.
    pub(crate) unit: f64,
    /// Degrees per axis unit of the geographic CRS.
    pub(crate) angle_unit: f64,
    /// An axis points west, or south away from the poles.
    pub(crate) reversed_axis: bool,
    /// A non-zero shift to WGS 84 is given.
    pub(crate) shifted: bool,
}

/// Lower case, letters and digits only.
pub(crate) fn squeeze(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Known aliases of the datums in [`table::DATUMS`], squeezed.
#[rustfmt::skip]
const DATUM_ALIASES: [(&str, u32); 24] = [
    ("wgs1984", 4326), ("wgs84", 4326), ("dwgs1984", 4326), ("worldgeodeticsystem1984ensemble", 4326),
    ("etrs1989", 4258), ("etrs89", 4258), ("detrs1989", 4258), ("europeanterrestrialreferencesystem1989ensemble", 4258),
    ("nad83", 4269), ("dnorthamerican1983", 4269), ("northamerican1983", 4269),
    ("dgda1994", 4283), ("gda94", 4283), ("dgda2020", 7844), ("gda2020", 7844),
    ("dnorthamerican1983csrs", 4617), ("nad83csrs", 4617), ("dnad19832011", 6318),
    ("dsirgas2000", 4674), ("drgf1993", 4171), ("reseaugeodesiquefrancais1993", 4171), ("dnzgd2000", 4167),
    ("dchina2000", 4490), ("dlome", 4252),
];

fn known_datum(name: &str) -> Option<&'static Datum> {
    let name = squeeze(name);
    let alias = DATUM_ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, code)| *code);
    match alias {
        Some(code) => table::datum_of(code),
        None => table::DATUMS.iter().find(|d| squeeze(&d.name) == name),
    }
}

impl Raw {
    fn unsupported(&self, reason: impl Into<String>) -> GeoError {
        GeoError::UnsupportedCrs { name: crate::error::clip(&self.name, 80), reason: reason.into() }
    }

    /// Sorts the words out and checks that the result can be computed.
    pub(crate) fn into_definition(self) -> Result<Definition, GeoError> {
        let known = self.epsg.and_then(table::lookup);
        let read = self.read();
        match (known, read) {
            // A code whose parameters say the same.
            (Some(known), Ok(read)) if known.projection_key() == read.projection_key() => Ok(known),
            // A code with other parameters: what is written out wins, as in PROJ.
            (_, Ok(mut read)) => {
                read.epsg = table::identify(&read);
                Ok(read)
            }
            (_, Err(error)) => Err(error),
        }
    }

    fn read(&self) -> Result<Definition, GeoError> {
        if self.prime_meridian != 0.0 {
            return Err(
                self.unsupported(format!("its prime meridian is {}° east of Greenwich", self.prime_meridian))
            );
        }
        if self.reversed_axis {
            return Err(self.unsupported("an axis points west or south"));
        }
        let (method, numbers) = match &self.method {
            None => (Method::Geographic, Numbers::default()),
            Some(method) => self.projection(method)?,
        };
        if method == Method::TransverseMercator && self.rf == 0.0 {
            return Err(self.unsupported("transverse Mercator on a sphere"));
        }
        let unit = if method == Method::Geographic { 1.0 } else { self.unit };
        if !(unit.is_finite() && unit > 0.0) {
            return Err(self.unsupported(format!("its linear unit is {unit} metres")));
        }
        if method == Method::Geographic && (self.angle_unit - 1.0).abs() > 1e-9 {
            return Err(self.unsupported("its unit is not the degree"));
        }
        Ok(Definition { name: self.name.clone(), epsg: None, datum: self.datum()?, method, numbers, unit })
    }

    fn datum(&self) -> Result<Datum, GeoError> {
        if !(self.a.is_finite() && (1e6..1e7).contains(&self.a) && (self.rf == 0.0 || self.rf > 100.0)) {
            return Err(self.unsupported(format!("ellipsoid with a = {} m, 1/f = {}", self.a, self.rf)));
        }
        let same = |d: &Datum| (d.a - self.a).abs() < 1e-3 && (d.rf - self.rf).abs() < 1e-5;
        let named = known_datum(&self.datum).or_else(|| self.base_epsg.and_then(table::datum_of));
        if let Some(datum) = named.filter(|d| same(d)) {
            return Ok(datum.clone());
        }
        // Modern datums lie within 2 m of WGS 84 and spheres have no place of their own; anything else would be
        // wrong by up to hundreds of metres without its shift.
        let modern = (self.a - 6_378_137.0).abs() < 1e-3 && (self.rf - 298.2572).abs() < 1e-4;
        if (modern || self.rf == 0.0) && !self.shifted {
            return Ok(Datum {
                crs_name: Cow::Owned(self.datum.clone()),
                crs_code: None,
                name: Cow::Owned(self.datum.clone()),
                ellipsoid: Cow::Owned(self.ellipsoid.clone()),
                a: self.a,
                rf: self.rf,
            });
        }
        Err(self.unsupported(format!(
            "datum {:?} needs a shift to WGS 84, which terravec does not have; reproject the data first",
            self.datum
        )))
    }

    /// Method and numbers of a projected CRS.
    fn projection(&self, method_name: &str) -> Result<(Method, Numbers), GeoError> {
        let mut n = Numbers::default();
        let (mut lat_0, mut lat_1, mut k) = (None, None, None);
        for (name, value) in &self.parameters {
            if !value.is_finite() {
                return Err(self.unsupported(format!("its parameter {name:?} is not a finite number")));
            }
            match squeeze(name).as_str() {
                "centralmeridian"
                | "longitudeofcenter"
                | "longitudeofnaturalorigin"
                | "longitudeoforigin"
                | "longitudeoffalseorigin"
                | "longitudeofprojectioncentre"
                | "longitudeofcentre" => n.lon_0 = *value,
                "latitudeoforigin"
                | "latitudeofcenter"
                | "latitudeofnaturalorigin"
                | "latitudeoffalseorigin"
                | "latitudeofprojectioncentre"
                | "latitudeofcentre" => lat_0 = Some(*value),
                "standardparallel1" | "latitudeof1ststandardparallel" | "latitudeofstandardparallel" => {
                    lat_1 = Some(*value);
                }
                "standardparallel2" | "latitudeof2ndstandardparallel" => n.lat_2 = *value,
                "scalefactor" | "scalefactoratnaturalorigin" => k = Some(*value),
                "falseeasting" | "eastingatfalseorigin" => n.x_0 = *value,
                "falsenorthing" | "northingatfalseorigin" => n.y_0 = *value,
                _ if *value == 0.0 => {}
                _ => return Err(self.unsupported(format!("its parameter {name:?} is unknown"))),
            }
        }
        n.lat_0 = lat_0.unwrap_or(0.0);
        n.lat_1 = lat_1.unwrap_or(0.0);
        n.k = k.unwrap_or(1.0);
        let method = match squeeze(method_name).as_str() {
            "transversemercator" | "gausskruger" => Method::TransverseMercator,
            "mercatorauxiliarysphere" | "popularvisualisationpseudomercator" => Method::WebMercator,
            "mercator1sp" | "mercatorvarianta" => Method::MercatorA,
            "mercator2sp" | "mercatorvariantb" => Method::MercatorB,
            "mercator" if n.lat_1 == 0.0 => Method::MercatorA,
            "mercator" => Method::MercatorB,
            "lambertazimuthalequalarea" | "lambertazimuthalequalareaspherical" => Method::LambertAzimuthal,
            "albers" | "albersequalarea" | "albersconicequalarea" => Method::Albers,
            "lambertconformalconic2sp" | "lambertconicconformal2sp" => Method::LambertConic2,
            "lambertconformalconic1sp" | "lambertconicconformal1sp" => Method::LambertConic1,
            "lambertconformalconic" if lat_1.is_some() && n.k == 1.0 && n.lat_2 != 0.0 => {
                Method::LambertConic2
            }
            "lambertconformalconic" if lat_1.is_none() || n.lat_1 == n.lat_0 => Method::LambertConic1,
            "polarstereographicvarianta" => Method::PolarStereographicA,
            "polarstereographicvariantb" => Method::PolarStereographicB,
            // GDAL's WKT1 keeps variant B's parallel in latitude_of_origin.
            "polarstereographic" if n.lat_0.abs() != 90.0 => {
                n.lat_1 = n.lat_0;
                Method::PolarStereographicB
            }
            "polarstereographic" => Method::PolarStereographicA,
            "stereographic" if n.lat_0.abs() == 90.0 => Method::PolarStereographicA,
            "stereographicnorthpole" | "stereographicsouthpole" if n.lat_1.abs() != 90.0 => {
                Method::PolarStereographicB
            }
            "equalearth" => Method::EqualEarth,
            "cylindricalequalarea"
            | "lambertcylindricalequalarea"
            | "lambertcylindricalequalareaspherical" => Method::CylindricalEqualArea,
            // PROJ changed its formula on the ellipsoid between versions, by kilometres: no answer is better than either.
            "equirectangular"
            | "equidistantcylindrical"
            | "equidistantcylindricalspherical"
            | "platecarree" => {
                return Err(self.unsupported(
                    "equidistant cylindrical projections differ between programs; use degrees",
                ));
            }
            "behrmann" if lat_1.is_none_or(|v| v == 30.0) => {
                n.lat_1 = 30.0;
                Method::CylindricalEqualArea
            }
            "sinusoidal" => Method::Sinusoidal,
            _ => {
                return Err(
                    self.unsupported(format!("its projection {method_name:?} is not one terravec computes"))
                );
            }
        };
        if method == Method::PolarStereographicB && n.k != 1.0 {
            return Err(
                self.unsupported("a polar stereographic projection with both a parallel and a scale factor")
            );
        }
        Ok((method, n))
    }
}
