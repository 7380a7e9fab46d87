//! Where a product lies: pixel size, lattice, CRS rule, extent.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Pixel size (kind pixel) or side of a footprint (kind patch). Either metres or degrees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolution {
    /// In metres.
    pub metres: Option<f64>,
    /// In degrees.
    pub degrees: Option<f64>,
    /// The largest, in the same unit, where it varies.
    pub to: Option<f64>,
    /// Distance between neighbouring footprints in metres, where it is not their side.
    pub spacing_metres: Option<f64>,
}

/// The grid files lie on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GridSpec {
    /// Which lattice of tiles or cells.
    pub lattice: Lattice,
    /// Which CRS a file has.
    pub crs: CrsRule,
    /// Order of rows in the files. Absent: as the file says.
    pub rows: Option<RowOrder>,
    /// Affine transform `[a, b, c, d, e, f]` with `x = a·col + b·row + c`, `y = d·col + e·row + f`, where one
    /// grid holds for the whole product (corner convention).
    pub affine: Option<[f64; 6]>,
    /// Width and height in pixels of that grid.
    pub shape: Option<[u64; 2]>,
    /// What to know about it.
    pub note: Option<String>,
    /// The folder beside a store with a registry of the shards that hold vectors: Parquet files in `zone=…/year=…/`.
    pub registry: Option<String>,
}

/// A lattice of tiles or cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lattice {
    /// AlphaEarth's 81 920 m files in UTM zones.
    Alphaearth,
    /// Tessera's 0.1° tiles.
    Tessera,
    /// Major TOM cells.
    Majortom,
    /// MGRS 100 km tiles.
    Mgrs,
    /// One array per UTM zone.
    Utm,
    /// One grid over the globe.
    Global,
    /// Geohash cells.
    Geohash,
    /// Files that lie anywhere, each with its own georeference.
    Free,
}

/// Order of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowOrder {
    /// Row 0 is the north edge.
    NorthUp,
    /// Row 0 is the south edge.
    SouthUp,
}

/// Which CRS a file has: `file`, `utm`, `utm-north`, `aoi`, or a code such as `EPSG:4326`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum CrsRule {
    /// What the file itself says.
    File,
    /// The UTM zone of the tile, north or south.
    Utm,
    /// The northern UTM zone, also south of the equator (negative northings).
    UtmNorth,
    /// This one: `EPSG:4326`, `OGC:CRS84`.
    Code(String),
}

/// Where on Earth a product holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extent {
    /// In words.
    pub text: String,
    /// West, south, east, north in degrees, where published. West > east crosses the antimeridian.
    pub bbox: Option<[f64; 4]>,
}

impl TryFrom<String> for CrsRule {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Ok(match text.as_str() {
            "file" => Self::File,
            "utm" => Self::Utm,
            "utm-north" => Self::UtmNorth,
            "OGC:CRS84" => Self::Code(text),
            code if code.strip_prefix("EPSG:").is_some_and(|n| n.parse::<u32>().is_ok()) => Self::Code(text),
            _ => {
                return Err(format!(
                    "{text:?} is no CRS rule: file, utm, utm-north, OGC:CRS84 or a code such as EPSG:4326"
                ));
            }
        })
    }
}

impl From<CrsRule> for String {
    fn from(rule: CrsRule) -> Self {
        match rule {
            CrsRule::File => "file".into(),
            CrsRule::Utm => "utm".into(),
            CrsRule::UtmNorth => "utm-north".into(),
            CrsRule::Code(code) => code,
        }
    }
}

impl fmt::Display for CrsRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("as the file says"),
            Self::Utm => f.write_str("UTM zone of the tile"),
            Self::UtmNorth => f.write_str("northern UTM zone on both hemispheres"),
            Self::Code(code) => f.write_str(code),
        }
    }
}

/// `10 m`, `2.24 km`, `0.25°`, `154–256 m`.
impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, unit) = match (self.metres, self.degrees) {
            (Some(metres), _) if metres >= 1000.0 => (metres / 1000.0, " km"),
            (Some(metres), _) => (metres, " m"),
            (None, Some(degrees)) => (degrees, "°"),
            (None, None) => return f.write_str("unknown"),
        };
        let number = |v: f64| if v < 1e-3 { format!("{v:.3e}") } else { format!("{v}") };
        match self.to {
            Some(to) => {
                let to = if unit == " km" { to / 1000.0 } else { to };
                write!(f, "{}–{}{unit}", number(from), number(to))
            }
            None => write!(f, "{}{unit}", number(from)),
        }
    }
}

impl Lattice {
    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Alphaearth => "AlphaEarth tiles of 81 920 m in UTM zones",
            Self::Tessera => "Tessera tiles of 0.1°",
            Self::Majortom => "Major TOM cells",
            Self::Mgrs => "MGRS 100 km tiles",
            Self::Utm => "one array per UTM zone",
            Self::Global => "one grid over the globe",
            Self::Geohash => "geohash cells",
            Self::Free => "files anywhere, each with its own georeference",
        }
    }
}
