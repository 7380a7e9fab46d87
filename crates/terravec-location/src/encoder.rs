//! The one way to use any of the architectures: open, then encode places.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use rayon::prelude::*;

use crate::encoders::{baseline, climplicit, csp, geoclip, mind, range, satclip, sinr};
use crate::error::LocationError;
use crate::model::{Model, Places, Scratch, TimeNeed};
use crate::real::Real;
use crate::weights::Weights;

/// The location encoders known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EncoderId {
    /// SatCLIP, L10 or L40 as the weights say; 256 numbers.
    SatClip,
    /// GeoCLIP's location encoder; 512 numbers.
    GeoClip,
    /// Climplicit in one month; 256 numbers.
    Climplicit,
    /// Climplicit in March, June, September and December, joined; 1024 numbers.
    ClimplicitSeasons,
    /// MIND's trunk, by default its first 64 numbers.
    Mind,
    /// MIND's head (`mind_small`'s embedding is its 128-number head).
    MindHead,
    /// The trunk of a SINR model on coordinates; 256 numbers.
    Sinr,
    /// CSP with grid cells; 256 numbers.
    Csp,
    /// RANGE; 1024 retrieved numbers and SatCLIP's 256. Needs a database.
    Range,
    /// RANGE+; 1024 retrieved numbers and SatCLIP's 256. Needs a database.
    RangePlus,
    /// Sine and cosine of latitude and longitude; 4 numbers, no weights.
    SinCos,
    /// Spherical harmonics; degrees² numbers, no weights.
    SphericalHarmonics,
}

impl EncoderId {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::SatClip,
        Self::GeoClip,
        Self::Climplicit,
        Self::ClimplicitSeasons,
        Self::Mind,
        Self::MindHead,
        Self::Sinr,
        Self::Csp,
        Self::Range,
        Self::RangePlus,
        Self::SinCos,
        Self::SphericalHarmonics,
    ];

    /// The name on the command line and in errors.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SatClip => "satclip",
            Self::GeoClip => "geoclip",
            Self::Climplicit => "climplicit",
            Self::ClimplicitSeasons => "climplicit-seasons",
            Self::Mind => "mind",
            Self::MindHead => "mind-head",
            Self::Sinr => "sinr",
            Self::Csp => "csp",
            Self::Range => "range",
            Self::RangePlus => "range-plus",
            Self::SinCos => "sincos",
            Self::SphericalHarmonics => "spherical-harmonics",
        }
    }

    /// Whether it needs a weights file.
    #[must_use]
    pub fn has_weights(self) -> bool {
        !matches!(self, Self::SinCos | Self::SphericalHarmonics)
    }

    /// Whether its network runs in `f64` unless told otherwise, because its reference does.
    #[must_use]
    pub fn runs_in_double(self) -> bool {
        matches!(
            self,
            Self::SatClip | Self::Range | Self::RangePlus | Self::SinCos | Self::SphericalHarmonics
        )
    }
}

impl std::fmt::Display for EncoderId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for EncoderId {
    type Err = LocationError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|id| id.name() == name).ok_or_else(|| LocationError::UnknownEncoder {
            name: name.into(),
            known: Self::ALL.map(Self::name).join(", "),
        })
    }
}

/// The precision a network runs in. Features of a place are computed in `f64` in either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// `f32`: the faster by two.
    Single,
    /// `f64`.
    Double,
}

/// How to open an encoder. The default is what each was published with.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The precision to run in; by default that of the reference ([`EncoderId::runs_in_double`]).
    pub precision: Option<Precision>,
    /// `mind`, `mind-head`: how many of the leading numbers to keep. Default: 64 and all.
    pub dim: Option<usize>,
    /// `range`, `range-plus`: the database, an NPZ file.
    pub database: Option<PathBuf>,
    /// `range-plus`: the weight of similarity against nearness, 0–1. Default ½.
    pub beta: Option<f64>,
    /// `spherical-harmonics`: the number of degrees L. Default 10.
    pub degrees: Option<usize>,
}

/// A year or month for each place, or a single one for all.
#[derive(Debug, Clone, Copy)]
pub enum Time<'a> {
    /// Calendar years.
    Years(&'a [i32]),
    /// Months, 1–12.
    Months(&'a [u8]),
}

#[derive(Debug)]
enum Network {
    Single(Box<dyn Model<f32>>),
    Double(Box<dyn Model<f64>>),
}

/// A location encoder with its weights.
///
/// ```
/// use terravec_location::{Encoder, EncoderId, Options};
/// let encoder = Encoder::open(EncoderId::SinCos, None, &Options::default())?;
/// let vectors = encoder.encode(&[2.3522], &[48.8566], None)?;
/// assert_eq!(vectors.len(), encoder.dim());
/// # Ok::<(), terravec_location::LocationError>(())
/// ```
#[derive(Debug)]
pub struct Encoder {
    id: EncoderId,
    network: Network,
}

impl Encoder {
    /// Opens an encoder; `weights` is a safetensors file or a PyTorch archive, in the layout it was published in.
    ///
    /// # Errors
    /// When weights, a database or a setting is missing or does not fit, or an option belongs to another encoder.
    pub fn open(id: EncoderId, weights: Option<&Path>, options: &Options) -> Result<Self, LocationError> {
        match weights {
            Some(path) if id.has_weights() => Self::from_weights(id, &mut Weights::open(path)?, options),
            None if !id.has_weights() => Self::baseline(id, options),
            Some(path) => Err(option(id, format!("takes no weights, but was given {}", path.display()))),
            None => Err(option(id, "needs a weights file".into())),
        }
    }

    /// The same with weights already open.
    ///
    /// # Errors
    /// As [`Encoder::open`].
    pub fn from_weights(
        id: EncoderId,
        weights: &mut Weights,
        options: &Options,
    ) -> Result<Self, LocationError> {
        options.check(id)?;
        let network = match (options.precision, id) {
            (_, EncoderId::SinCos | EncoderId::SphericalHarmonics) => return Self::baseline(id, options),
            (_, EncoderId::Range | EncoderId::RangePlus) => {
                let database = options.database.as_deref();
                let database = database.ok_or_else(|| option(id, "needs a database, an NPZ file".into()))?;
                let beta = (id == EncoderId::RangePlus).then(|| options.beta.unwrap_or(0.5));
                Network::Double(Box::new(range::Range::load(weights, database, id.name(), beta)?))
            }
            (Some(Precision::Double), _) => Network::Double(load(id, weights, options)?),
            (None, _) if id.runs_in_double() => Network::Double(load(id, weights, options)?),
            _ => Network::Single(load(id, weights, options)?),
        };
        Ok(Self { id, network })
    }

    fn baseline(id: EncoderId, options: &Options) -> Result<Self, LocationError> {
        options.check(id)?;
        let model: Box<dyn Model<f64>> = match id {
            EncoderId::SphericalHarmonics => {
                let degrees = options.degrees.unwrap_or(10);
                let model = baseline::Spherical::new(degrees).filter(|_| (1..=200).contains(&degrees));
                Box::new(
                    model.ok_or_else(|| option(id, format!("{degrees} degrees; 1 to 200 are possible")))?,
                )
            }
            _ => Box::new(baseline::SinCos),
        };
        Ok(Self { id, network: Network::Double(model) })
    }

    /// Which encoder it is.
    #[must_use]
    pub fn id(&self) -> EncoderId {
        self.id
    }

    /// The length of its vectors.
    #[must_use]
    pub fn dim(&self) -> usize {
        match &self.network {
            Network::Single(m) => m.dim(),
            Network::Double(m) => m.dim(),
        }
    }

    /// How many numbers it computes with that came from its weights, RANGE's database included.
    #[must_use]
    pub fn parameters(&self) -> usize {
        match &self.network {
            Network::Single(m) => m.parameters(),
            Network::Double(m) => m.parameters(),
        }
    }

    /// What it needs to know of time.
    #[must_use]
    pub fn time(&self) -> TimeNeed {
        match &self.network {
            Network::Single(m) => m.time(),
            Network::Double(m) => m.time(),
        }
    }

    /// The precision its network runs in.
    #[must_use]
    pub fn precision(&self) -> Precision {
        match &self.network {
            Network::Single(_) => Precision::Single,
            Network::Double(_) => Precision::Double,
        }
    }

    /// The vectors of places given by longitude and latitude in degrees, row-major (places, [`Encoder::dim`]), computed
    /// on all threads of the current rayon pool. The result does not depend on their number.
    ///
    /// # Errors
    /// When a coordinate is not on Earth (the row is named), the arrays differ in length, or a year or month is
    /// missing, superfluous or out of range.
    pub fn encode(
        &self,
        lon: &[f64],
        lat: &[f64],
        time: Option<Time<'_>>,
    ) -> Result<Vec<f32>, LocationError> {
        self.run(lon, lat, time)
    }

    /// [`Encoder::encode`] without rounding the result to `f32`.
    ///
    /// # Errors
    /// As [`Encoder::encode`].
    pub fn encode_f64(
        &self,
        lon: &[f64],
        lat: &[f64],
        time: Option<Time<'_>>,
    ) -> Result<Vec<f64>, LocationError> {
        self.run(lon, lat, time)
    }

    fn run<O: Real>(
        &self,
        lon: &[f64],
        lat: &[f64],
        time: Option<Time<'_>>,
    ) -> Result<Vec<O>, LocationError> {
        check_places(lon, lat)?;
        let time = self.check_time(lon.len(), time)?;
        let places = Places { lon, lat, time: &time };
        Ok(match &self.network {
            Network::Single(m) => in_batches(&**m, places),
            Network::Double(m) => in_batches(&**m, places),
        })
    }

    /// Years or months as numbers, one per place.
    fn check_time(&self, places: usize, time: Option<Time<'_>>) -> Result<Vec<f64>, LocationError> {
        let fault = |what: String| LocationError::Time { encoder: self.id.name(), what };
        let values: Vec<f64> = match (self.time(), time) {
            (TimeNeed::None, None) => return Ok(vec![]),
            (TimeNeed::Year, Some(Time::Years(years))) => years.iter().map(|&y| f64::from(y)).collect(),
            (TimeNeed::Month, Some(Time::Months(months))) => {
                if let Some(row) = months.iter().position(|m| !(1..=12).contains(m)) {
                    return Err(fault(format!("row {row}: month {} is not one of 1–12", months[row])));
                }
                months.iter().map(|&m| f64::from(m)).collect()
            }
            (TimeNeed::None, Some(_)) => {
                return Err(fault("its vectors do not change with time; leave year and month out".into()));
            }
            (TimeNeed::Year, _) => {
                return Err(fault("needs a year, as these weights were trained with".into()));
            }
            (TimeNeed::Month, _) => {
                return Err(fault(
                    "needs a month; `climplicit-seasons` gives one vector for the year".into(),
                ));
            }
        };
        match values[..] {
            [one] => Ok(vec![one; places]),
            _ if values.len() == places => Ok(values),
            _ => Err(LocationError::Length { what: "time", found: values.len(), expected: places }),
        }
    }
}

impl Options {
    /// Refuses what the encoder would ignore.
    fn check(&self, id: EncoderId) -> Result<(), LocationError> {
        use EncoderId as Id;
        let range = matches!(id, Id::Range | Id::RangePlus);
        let foreign = [
            (
                self.dim.is_some() && !matches!(id, Id::Mind | Id::MindHead),
                "dim",
                "only MIND's vectors may be cut",
            ),
            (self.database.is_some() && !range, "database", "only RANGE retrieves from one"),
            (self.beta.is_some() && id != Id::RangePlus, "beta", "only RANGE+ blends"),
            (
                self.degrees.is_some() && id != Id::SphericalHarmonics,
                "degrees",
                "the weights of other encoders say it",
            ),
            (
                self.precision == Some(Precision::Single) && (range || !id.has_weights()),
                "precision",
                "it runs in double precision only",
            ),
        ];
        if let Some((_, name, why)) = foreign.into_iter().find(|(given, ..)| *given) {
            return Err(option(id, format!("takes no option `{name}`: {why}")));
        }
        match self.beta {
            Some(beta) if !(0.0..=1.0).contains(&beta) => {
                Err(option(id, format!("beta {beta} is not within 0–1")))
            }
            _ => Ok(()),
        }
    }
}

fn option(id: EncoderId, what: String) -> LocationError {
    LocationError::Option { encoder: id.name(), what }
}

fn load<T: Real>(
    id: EncoderId,
    weights: &mut Weights,
    options: &Options,
) -> Result<Box<dyn Model<T>>, LocationError> {
    Ok(match id {
        EncoderId::SatClip => Box::new(satclip::SatClip::load(weights)?),
        EncoderId::GeoClip => Box::new(geoclip::GeoClip::load(weights)?),
        EncoderId::Climplicit => Box::new(climplicit::Climplicit::load(weights, false)?),
        EncoderId::ClimplicitSeasons => Box::new(climplicit::Climplicit::load(weights, true)?),
        EncoderId::Mind => Box::new(mind::Mind::load(weights, false, Some(options.dim.unwrap_or(64)))?),
        EncoderId::MindHead => Box::new(mind::Mind::load(weights, true, options.dim)?),
        EncoderId::Sinr => Box::new(sinr::Sinr::load(weights)?),
        EncoderId::Csp => Box::new(csp::Csp::load(weights)?),
        EncoderId::Range | EncoderId::RangePlus | EncoderId::SinCos | EncoderId::SphericalHarmonics => {
            return Err(option(id, "is opened elsewhere".into()));
        }
    })
}

fn check_places(lon: &[f64], lat: &[f64]) -> Result<(), LocationError> {
    if lat.len() != lon.len() {
        return Err(LocationError::Length { what: "latitude", found: lat.len(), expected: lon.len() });
    }
    for (row, (&lon, &lat)) in lon.iter().zip(lat).enumerate() {
        let what = match (lon, lat) {
            _ if (-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat) => continue,
            _ if !lon.is_finite() || !lat.is_finite() => "not a number",
            _ if lat.abs() <= 180.0 && lon.abs() <= 90.0 => {
                "the latitude is outside ±90°; are longitude and latitude swapped?"
            }
            _ if lat.abs() > 90.0 => "the latitude is outside ±90°; coordinates must be degrees, not metres",
            _ => "the longitude is outside ±180°; subtract 360 from longitudes that count to 360",
        };
        return Err(LocationError::Place { row, lon, lat, what });
    }
    Ok(())
}

/// Batches on all threads, each into its own part of the result.
fn in_batches<T: Real, O: Real>(model: &dyn Model<T>, places: Places<'_>) -> Vec<O> {
    let (dim, batch) = (model.dim(), model.batch());
    let mut out = vec![O::default(); places.len() * dim];
    out.par_chunks_mut(batch * dim).enumerate().for_each_init(
        || (Scratch::default(), Vec::new()),
        |(scratch, rows), (i, out)| {
            let range = i * batch..(i * batch + out.len() / dim);
            let time = if places.time.is_empty() { &[][..] } else { &places.time[range.clone()] };
            let share = Places { lon: &places.lon[range.clone()], lat: &places.lat[range], time };
            let rows = crate::model::room(rows, out.len());
            model.encode(share, scratch, rows);
            out.iter_mut().zip(rows).for_each(|(o, v)| *o = O::of(v.wide()));
        },
    );
    out
}
