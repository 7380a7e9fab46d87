//! What can go wrong in coordinates, grids and names; every message says what, where and what to do.

/// Error of this crate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GeoError {
    /// An EPSG code this crate has no definition for.
    #[error(
        "EPSG:{code} is not a CRS terravec knows; known: {known}. WKT or PROJJSON with its parameters works too"
    )]
    UnknownCode {
        /// The code asked for.
        code: u32,
        /// The codes that would have worked, in short.
        known: &'static str,
    },
    /// Text or JSON that cannot be read as a CRS.
    #[error("cannot read the CRS {text:?}: {reason}")]
    CrsSyntax {
        /// The beginning of the text.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A CRS that reads well but that this crate cannot compute.
    #[error("CRS {name:?} is not supported: {reason}")]
    UnsupportedCrs {
        /// Name of the CRS.
        name: String,
        /// The part that is missing.
        reason: String,
    },
    /// A point outside the domain of a projection.
    #[error("({x}, {y}) in {from} has no place in {to}")]
    Unprojectable {
        /// x or longitude.
        x: f64,
        /// y or latitude.
        y: f64,
        /// CRS of the point.
        from: String,
        /// CRS it should have gone to.
        to: String,
    },
    /// A box none of whose points can be projected.
    #[error("the box {bbox} in {from} has no place in {to}")]
    UnprojectableBox {
        /// The box, as text.
        bbox: String,
        /// CRS of the box.
        from: String,
        /// CRS it should have gone to.
        to: String,
    },
    /// A bounding box that is no bounding box.
    #[error("{text:?} is not a bounding box: {reason}")]
    BadBox {
        /// The text or numbers given.
        text: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A longitude or latitude out of range.
    #[error("longitude {lon}, latitude {lat} is not a place on Earth: {reason}")]
    BadLonLat {
        /// Longitude given, degrees.
        lon: f64,
        /// Latitude given, degrees.
        lat: f64,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A tile or cell name that does not follow its lattice's grammar.
    #[error("{name:?} is not a {lattice} name: {reason}")]
    BadName {
        /// The name given.
        name: String,
        /// The lattice whose grammar it fails.
        lattice: &'static str,
        /// The rule it breaks.
        reason: String,
    },
    /// Numbers that make no grid or lattice.
    #[error("not a usable {what}: {reason}")]
    BadGrid {
        /// The thing that was to be made.
        what: &'static str,
        /// Why it cannot be.
        reason: String,
    },
}

/// At most `max` characters of `text`, for error messages.
pub(crate) fn clip(text: &str, max: usize) -> String {
    let text = text.trim();
    if text.chars().count() <= max {
        text.to_owned()
    } else {
        text.chars().take(max).chain(std::iter::once('…')).collect()
    }
}
