//! Coordinate reference systems, by code or by text.
//!
//! Axis order is always x (longitude, easting) then y (latitude, northing), whatever the authority says.
//!
//! **Datums.** Only modern datums (on the WGS 84, GRS 1980 or CGCS2000 ellipsoids) and spheres are accepted, and all
//! are taken as coincident: they differ by less than 2 m, and PROJ does the same by default where it has no better
//! transformation. The one exception is Lomé (EPSG:25231), whose shift is unpublished: PROJ leaves latitude and
//! longitude as they are, and so do we. A CRS on any other datum is refused rather than misplaced.

mod definition;
#[cfg(test)]
mod gie;
mod names;
mod projjson;
mod table;
mod wkt;

use crate::GeoError;
use definition::{Definition, Method};
use proj4rs::Proj;
use serde_json::Value;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A coordinate reference system. Cheap to clone; equal when the meaning is, however it was written.
#[derive(Clone)]
pub struct Crs(Arc<Inner>);

struct Inner {
    definition: Definition,
    key: String,
    projection_key: String,
    proj: Proj,
}

impl Crs {
    fn build(definition: Definition) -> Result<Self, GeoError> {
        let proj = Proj::from_proj_string(&definition.proj_string()).map_err(|e| {
            GeoError::UnsupportedCrs { name: crate::error::clip(&definition.name, 80), reason: e.to_string() }
        })?;
        let (key, projection_key) = (definition.key(), definition.projection_key());
        Ok(Self(Arc::new(Inner { definition, key, projection_key, proj })))
    }

    /// By EPSG code.
    ///
    /// # Errors
    /// [`GeoError::UnknownCode`], listing the codes known.
    pub fn from_epsg(code: u32) -> Result<Self, GeoError> {
        match table::lookup(code) {
            Some(definition) => Self::build(definition),
            None => Err(GeoError::UnknownCode { code, known: table::KNOWN }),
        }
    }

    /// From WKT1 (GDAL's or ESRI's) or WKT2. Of a compound CRS the horizontal part is taken.
    ///
    /// # Errors
    /// [`GeoError::CrsSyntax`] for text that is not WKT, [`GeoError::UnsupportedCrs`] for a CRS we cannot compute.
    pub fn from_wkt(text: &str) -> Result<Self, GeoError> {
        Self::build(wkt::read(text)?.into_definition()?)
    }

    /// From PROJJSON. Of a compound CRS the horizontal part is taken.
    ///
    /// # Errors
    /// [`GeoError::CrsSyntax`] for JSON that is not PROJJSON, [`GeoError::UnsupportedCrs`] for a CRS we cannot compute.
    pub fn from_projjson(value: &Value) -> Result<Self, GeoError> {
        if projjson::is_crs84(value) {
            return Ok(Self::wgs84());
        }
        Self::build(projjson::read(value)?.into_definition()?)
    }

    /// From any text: `EPSG:n`, a bare number, `OGC:CRS84`, an OGC URN or URL, WKT or PROJJSON.
    ///
    /// # Errors
    /// As [`Crs::from_epsg`], [`Crs::from_wkt`] and [`Crs::from_projjson`].
    pub fn parse(text: &str) -> Result<Self, GeoError> {
        let text = text.trim();
        let syntax = |reason: String| GeoError::CrsSyntax { text: crate::error::clip(text, 60), reason };
        if text.starts_with('{') {
            let value = serde_json::from_str(text).map_err(|e| syntax(e.to_string()))?;
            return Self::from_projjson(&value);
        }
        if wkt::looks_like_wkt(text) {
            return Self::from_wkt(text);
        }
        let upper = text.to_ascii_uppercase();
        if upper.ends_with("CRS84") && (upper.contains("OGC") || upper == "CRS84") {
            return Ok(Self::wgs84());
        }
        let digits = upper.rsplit([':', '/']).next().unwrap_or("");
        let prefix = upper[..upper.len() - digits.len()].trim_end_matches([':', '/']);
        match digits.parse() {
            Ok(code) if prefix.is_empty() || prefix == "EPSG" || prefix.contains("CRS:EPSG") => {
                Self::from_epsg(code)
            }
            Ok(code) if prefix.contains("/EPSG/") => Self::from_epsg(code),
            _ => Err(syntax("write EPSG:n, OGC:CRS84, WKT or PROJJSON".into())),
        }
    }

    /// Longitude and latitude on WGS 84 (EPSG:4326, lon first).
    #[allow(clippy::missing_panics_doc)]
    pub fn wgs84() -> Self {
        static WGS84: std::sync::OnceLock<Crs> = std::sync::OnceLock::new();
        WGS84.get_or_init(|| Self::from_epsg(4326).expect("the table holds 4326")).clone()
    }

    /// WGS 84 / UTM of a zone.
    ///
    /// # Errors
    /// [`GeoError::BadGrid`] for a zone outside 1–60.
    pub fn utm(zone: u8, south: bool) -> Result<Self, GeoError> {
        if !(1..=60).contains(&zone) {
            return Err(GeoError::BadGrid { what: "UTM zone", reason: format!("{zone} is not in 1-60") });
        }
        Self::from_epsg(if south { 32700 } else { 32600 } + u32::from(zone))
    }

    /// The EPSG code, also where the text gave none but means a known CRS.
    pub fn epsg(&self) -> Option<u32> {
        self.0.definition.epsg
    }

    /// Coordinates are degrees of longitude and latitude.
    pub fn is_geographic(&self) -> bool {
        self.0.definition.method == Method::Geographic
    }

    /// The name, as EPSG or the text has it.
    pub fn name(&self) -> &str {
        &self.0.definition.name
    }

    /// Zone and whether it is the southern one, of a UTM CRS on any datum.
    pub fn utm_zone(&self) -> Option<(u8, bool)> {
        let d = &self.0.definition;
        let metres = d.method == Method::TransverseMercator && d.unit == 1.0;
        metres.then(|| table::utm_zone_of(&d.numbers)).flatten()
    }

    /// Metres per unit of the axes; `None` for geographic CRSs, whose unit is the degree.
    pub fn metres_per_unit(&self) -> Option<f64> {
        (!self.is_geographic()).then_some(self.0.definition.unit)
    }

    /// PROJJSON with axes in the authority's order, as GeoParquet wants it.
    pub fn to_projjson(&self) -> Value {
        projjson::write(&self.0.definition)
    }

    /// Every EPSG code [`Crs::from_epsg`] accepts, ascending.
    pub fn known_codes() -> Vec<u32> {
        table::codes()
    }

    pub(crate) fn proj(&self) -> &Proj {
        &self.0.proj
    }

    /// Points have the same coordinates in both.
    pub(crate) fn same_coordinates(&self, other: &Self) -> bool {
        self.is_geographic() && other.is_geographic() || self.0.projection_key == other.0.projection_key
    }

    /// The meridian where a world map is cut open, degrees.
    pub(crate) fn cut_meridian(&self) -> Option<f64> {
        use Method::{CylindricalEqualArea, EqualEarth, MercatorA, MercatorB};
        let d = &self.0.definition;
        let world = matches!(
            d.method,
            CylindricalEqualArea
                | EqualEarth
                | MercatorA
                | MercatorB
                | Method::WebMercator
                | Method::Sinusoidal
        );
        world.then(|| crate::wrap_lon(d.numbers.lon_0 + 180.0))
    }

    /// Inverse projections that answer outside the outline of the Earth; see [`crate::Transform`].
    ///
    /// The x of the central meridian, about which such an outline is symmetric.
    pub(crate) fn outline(&self) -> Option<f64> {
        let d = &self.0.definition;
        matches!(d.method, Method::EqualEarth | Method::Sinusoidal).then_some(d.numbers.x_0 / d.unit)
    }
}

impl PartialEq for Crs {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for Crs {}

impl Hash for Crs {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key.hash(state);
    }
}

impl std::fmt::Display for Crs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.epsg() {
            Some(code) => write!(f, "EPSG:{code}"),
            None => f.write_str(self.name()),
        }
    }
}

impl std::fmt::Debug for Crs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Crs({self})")
    }
}

impl std::str::FromStr for Crs {
    type Err = GeoError;

    fn from_str(text: &str) -> Result<Self, GeoError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UTM16: &str = r#"PROJCS["WGS 84 / UTM zone 16N",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],PARAMETER["latitude_of_origin",0],PARAMETER["central_meridian",-87],PARAMETER["scale_factor",0.9996],PARAMETER["false_easting",500000],PARAMETER["false_northing",0],UNIT["metre",1]]"#;

    #[test]
    fn texts_of_one_crs() {
        let utm = Crs::utm(16, false).unwrap();
        assert_eq!(Crs::from_wkt(UTM16).unwrap(), utm);
        assert_eq!(Crs::from_wkt(UTM16).unwrap().to_string(), "EPSG:32616");
        assert_eq!(utm.utm_zone(), Some((16, false)));
        assert_eq!(Crs::from_projjson(&utm.to_projjson()).unwrap(), utm);
        for text in [
            "EPSG:32616",
            "epsg:32616",
            "32616",
            " 32616 ",
            "urn:ogc:def:crs:EPSG::32616",
            "http://www.opengis.net/def/crs/EPSG/0/32616",
        ] {
            assert_eq!(Crs::parse(text).unwrap(), utm, "{text}");
        }
        for text in
            ["OGC:CRS84", "urn:ogc:def:crs:OGC:1.3:CRS84", "http://www.opengis.net/def/crs/OGC/1.3/CRS84"]
        {
            assert_eq!(Crs::parse(text).unwrap(), Crs::wgs84(), "{text}");
        }
        assert_ne!(utm, Crs::from_epsg(26916).unwrap());
        assert!(Crs::utm(0, true).is_err() && Crs::utm(61, false).is_err());
    }

    #[test]
    fn a_code_that_belies_its_parameters_loses() {
        let zone17 = UTM16
            .replace("-87", "-81")
            .replace(r#"UNIT["metre",1]]"#, r#"UNIT["metre",1],AUTHORITY["EPSG","32616"]]"#);
        assert_eq!(Crs::from_wkt(&zone17).unwrap().epsg(), Some(32617));
    }

    #[test]
    fn what_cannot_be_placed_is_refused() {
        let refuse = |from: &str, to: &str, say: &str| {
            let error = Crs::from_wkt(&UTM16.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(say), "{error}");
        };
        refuse(
            "WGS_1984\",SPHEROID[\"WGS 84\",6378137,298.257223563]",
            "Potsdam\",SPHEROID[\"Bessel 1841\",6377397.155,299.1528128]",
            "datum",
        );
        refuse("Transverse_Mercator", "Hotine_Oblique_Mercator", "projection");
        refuse("PRIMEM[\"Greenwich\",0]", "PRIMEM[\"Paris\",2.33722917]", "meridian");
        refuse("scale_factor", "azimuth", "azimuth");
        refuse("6378137", "-1", "ellipsoid");
        refuse("UNIT[\"metre\",1]", "UNIT[\"metre\",0]", "unit");
        refuse("UNIT[\"metre\",1]]", "UNIT[\"metre\",1", "missing");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}", at in 0..480usize, len in 0..40usize, with in "[A-Z\\[\\]\",0-9.e-]{0,6}") {
            let _ = Crs::parse(&text);
            let mut mutated = UTM16.to_owned();
            let at = at.min(mutated.len());
            mutated.replace_range(at..(at + len).min(mutated.len()), &with);
            if let Ok(crs) = Crs::from_wkt(&mutated) {
                let _ = crate::Transform::new(&Crs::wgs84(), &crs).unwrap().point(10.0, 10.0);
                let _ = Crs::from_projjson(&crs.to_projjson()).unwrap();
            }
        }
    }
}
