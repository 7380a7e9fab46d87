//! Location encoders as datasets: a product and its weights answer like any other dataset, at any place.
//!
//! Coordinates go in as (lon, lat) degrees for all of them; what a network wants instead is the encoder's business.

pub mod download;
mod files;

use std::sync::Arc;

use terravec_io::vector::Points;
use terravec_location::{Encoder, EncoderId, LocationError, Options, Precision, Time};

use crate::catalog::{Descriptor, Kind, Variant, WeightsRole};
use crate::dataset::OpenOptions;
use crate::error::{Error, Result};
use crate::provenance::Provenance;
use crate::query::sample::{Sampled, Values};
use crate::time::{Interval, Years};
use crate::vectors::Status;
pub use files::WeightsSummary;
pub(crate) use files::checksum;
use files::{Files, Named, check_cached};
pub use terravec_location::TimeNeed;

/// A location encoder with its weights, which clones share.
#[derive(Debug, Clone)]
pub struct LocationDataset {
    product: Arc<Descriptor>,
    /// The variant by whose rules it was opened.
    variant: Option<Variant>,
    /// The variant whose weights these are, where that is known.
    version: Option<String>,
    files: Files,
    /// SHA-256 of the network's weights.
    sha256: Option<String>,
    encoder: Arc<Encoder>,
    month: Option<u8>,
}

/// What an encoder is, for `info`.
#[derive(Debug, Clone, serde::Serialize)]
pub struct LocationSummary {
    /// Product id.
    pub product: String,
    /// Product name.
    pub name: String,
    /// `location`.
    pub kind: String,
    /// Version or variant whose weights these are, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The network.
    pub architecture: String,
    /// What goes in: `lon`, `lat` and perhaps `year` or `month`.
    pub inputs: Vec<String>,
    /// `none`, `year` or `month`: what must be said of time.
    pub time: String,
    /// Length of a vector.
    pub dimension: usize,
    /// Whether vectors have length 1.
    pub unit_length: Option<bool>,
    /// Numbers that came from the weights.
    pub parameters: usize,
    /// `float32` or `float64`: what the network is computed in.
    pub precision: String,
    /// West, south, east, north in degrees: everywhere.
    pub bbox: [f64; 4],
    /// The files it is computed from.
    pub weights: Vec<WeightsSummary>,
    /// Licence of the weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Text to show with results.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribution: Option<String>,
}

impl LocationDataset {
    /// Opens `ID`, whose weights are in the cache or which needs none, or `ID=WEIGHTS`, a file or a folder of the
    /// published files, where ID is a location encoder, perhaps with `@variant`; `None` where `spec` is something else.
    ///
    /// # Errors
    /// If the weights are missing, can't be read, or are those of another network.
    pub fn open(spec: &str, options: &OpenOptions) -> Result<Option<Self>> {
        let (id, given) = spec.split_once('=').map_or((spec, None), |(i, w)| (i, Some(w)));
        match options.catalog.get(id.split('@').next().unwrap_or(id)) {
            Ok(product) if product.kind == Kind::Location => {}
            _ => return Ok(None),
        }
        let (product, variant) = options.catalog.resolve(id)?;
        let named = Named { product: &product, variant: variant.as_ref() };
        let Some(architecture) = product.architecture(variant.as_ref()) else {
            return Err(Error::open(
                format!("{}: its descriptor does not say which network computes it", product.id),
                "add `architecture` under `[encoder]` (see `catalog/README.md`)",
            ));
        };
        let architecture: EncoderId = architecture.parse()?;
        let retrieves = matches!(architecture, EncoderId::Range | EncoderId::RangePlus);
        let files = match given {
            Some(given) => named.at(given, retrieves)?,
            None if !architecture.has_weights() => Files::default(),
            None => named.in_cache(options, retrieves)?,
        };
        let encoder = open_encoder(architecture, &files, named)?;
        let sha256 = files.network.as_deref().map(checksum).transpose()?;
        if let (true, Some(path), Some(sha256)) = (files.cached, &files.network, &sha256) {
            check_cached(path, sha256, &named.spec())?;
        }
        // A file of unknown origin is of the variant that was named, or whose checksum it has.
        let published = || {
            let known = product.weights.iter().find(|w| w.sha256.is_some() && w.sha256 == sha256);
            known.and_then(|w| w.variant.clone())
        };
        let version = if id.contains('@') || files.network.is_none() || files.cached {
            variant.as_ref().map(|v| v.id.clone())
        } else {
            published()
        };
        Ok(Some(Self { product, variant, version, files, sha256, encoder: Arc::new(encoder), month: None }))
    }

    /// The same encoder in one month (1–12), for those that differ from month to month.
    #[must_use]
    pub fn at_month(mut self, month: Option<u8>) -> Self {
        self.month = month;
        self
    }

    /// The product.
    #[must_use]
    pub fn product(&self) -> &Descriptor {
        &self.product
    }

    /// The length of a vector.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.encoder.dim()
    }

    /// Names of the bands: `e0`, `e1`, ….
    #[must_use]
    pub fn band_names(&self) -> Vec<String> {
        (0..self.dimension()).map(|i| format!("e{i}")).collect()
    }

    /// What the encoder needs to know of time.
    #[must_use]
    pub fn time(&self) -> TimeNeed {
        self.encoder.time()
    }

    /// The periods a query over `years` answers: one per year, or `None` alone for an encoder that knows no years.
    ///
    /// # Errors
    /// If the encoder needs a year or month that is not given, or knows none that is.
    pub fn periods(&self, years: &Years) -> Result<Vec<Option<i32>>> {
        let id = &self.product.id;
        match (self.time(), self.month) {
            (TimeNeed::Month, None) => {
                let seasons = self.product.variants.iter().any(|v| v.id == "seasons");
                let or = if seasons { format!(", or take {id}@seasons") } else { String::new() };
                return Err(Error::query(
                    format!("{id} differs from month to month"),
                    format!("give --month 1 … 12{or}"),
                ));
            }
            (TimeNeed::Month, Some(_)) | (_, None) => {}
            (_, Some(_)) => return Err(Error::query(format!("{id} knows no months"), "leave --month out")),
        }
        match (years, self.time()) {
            (Years::All, TimeNeed::Year) => {
                Err(Error::query(format!("{id} differs from year to year"), "give --year, such as 2021"))
            }
            (Years::All, _) => Ok(vec![None]),
            (Years::List(list), TimeNeed::Year) => Ok(list.iter().copied().map(Some).collect()),
            (Years::List(_), _) => Err(Error::query(format!("{id} knows no years"), "leave --year out")),
        }
    }

    /// Vectors of places in a period of [`Self::periods`], row-major.
    pub(crate) fn encode(&self, lon: &[f64], lat: &[f64], period: Option<i32>) -> Result<Vec<f32>> {
        let (year, month) = (period.map(|y| [y]), self.month.map(|m| [m]));
        let time = match (&year, &month) {
            (Some(y), _) => Some(Time::Years(y)),
            (_, Some(m)) => Some(Time::Months(m)),
            _ => None,
        };
        Ok(self.encoder.encode(lon, lat, time)?)
    }

    /// Vectors at `points`, one row per point and year. Rows without a place have none.
    ///
    /// # Errors
    /// As [`Self::periods`], or if a point is not on Earth; its row is named, counted from 0.
    pub fn sample(&self, points: Points, years: &Years) -> Result<Sampled> {
        let periods = self.periods(years)?;
        let placed: Vec<usize> = (0..points.lon.len())
            .filter(|&i| points.lon[i].is_finite() && points.lat[i].is_finite())
            .collect();
        let (lon, lat): (Vec<f64>, Vec<f64>) = placed.iter().map(|&i| (points.lon[i], points.lat[i])).unzip();
        let (depth, rows) = (self.dimension(), points.lon.len() * periods.len());
        let mut status = vec![Status::Outside; rows];
        let mut values = vec![f32::NAN; rows * depth];
        let mut intervals = vec![None; rows];
        for (p, period) in periods.iter().enumerate() {
            let vectors = self.encode(&lon, &lat, *period).map_err(|e| match e {
                Error::Location(LocationError::Place { row, lon, lat, what }) => {
                    Error::Location(LocationError::Place { row: placed[row], lon, lat, what })
                }
                other => other,
            })?;
            for (vector, &i) in vectors.chunks_exact(depth).zip(&placed) {
                let row = i * periods.len() + p;
                status[row] = Status::Valid;
                intervals[row] = period.map(Interval::year);
                values[row * depth..(row + 1) * depth].copy_from_slice(vector);
            }
        }
        let request =
            serde_json::json!({ "verb": "sample", "points": points.lon.len(), "from": points.origin });
        Ok(Sampled {
            points,
            status,
            intervals,
            values: Values::Vectors(values),
            band_names: self.band_names(),
            extra: Vec::new(),
            provenance: self.provenance(&periods, request),
            periods,
        })
    }

    /// Provenance of an answer to `request`.
    pub(crate) fn provenance(&self, periods: &[Option<i32>], mut request: serde_json::Value) -> Provenance {
        if let (Some(month), Some(request)) = (self.month, request.as_object_mut()) {
            request.insert("month".into(), month.into());
        }
        let weights = self.sha256.as_ref().map_or(String::new(), |h| format!(", weights with sha256 {h}"));
        let paths = self.files.network.iter().chain(&self.files.database);
        let mut provenance = Provenance::new(&self.product, self.version.clone(), self.dimension(), request);
        provenance.decode = format!("computed from (lon, lat) by {}{weights}", self.encoder.id());
        provenance.years = periods.iter().copied().flatten().collect();
        provenance.sources = paths.map(|p| p.display().to_string()).collect();
        provenance
    }

    /// What the encoder is.
    ///
    /// # Errors
    /// If a file can't be read any more.
    pub fn summary(&self) -> Result<LocationSummary> {
        let (input, time) = match self.time() {
            TimeNeed::None => (None, "none"),
            TimeNeed::Year => (Some("year"), "year"),
            TimeNeed::Month => (Some("month"), "month"),
        };
        let named = Named { product: &self.product, variant: self.variant.as_ref() };
        let mut weights = Vec::new();
        for (role, path) in
            [(WeightsRole::Network, &self.files.network), (WeightsRole::Database, &self.files.database)]
        {
            let Some(path) = path else { continue };
            let sha256 = match (role, &self.sha256) {
                (WeightsRole::Network, Some(known)) => known.clone(),
                _ => checksum(path)?,
            };
            if self.files.cached {
                check_cached(path, &sha256, &named.spec())?;
            }
            let published = named.published(role).and_then(|w| w.sha256.as_ref());
            weights.push(WeightsSummary {
                role,
                path: path.clone(),
                bytes: std::fs::metadata(path).map_or(0, |m| m.len()),
                published: published.map(|p| *p == sha256),
                sha256,
            });
        }
        Ok(LocationSummary {
            product: self.product.id.clone(),
            name: self.product.name.clone(),
            kind: self.product.kind.name().into(),
            version: self.version.clone(),
            architecture: self.encoder.id().name().into(),
            inputs: ["lon", "lat"].into_iter().chain(input).map(str::to_owned).collect(),
            time: time.into(),
            dimension: self.dimension(),
            unit_length: self.product.unit_length,
            parameters: self.encoder.parameters(),
            precision: match self.encoder.precision() {
                Precision::Single => "float32".into(),
                Precision::Double => "float64".into(),
            },
            bbox: [-180.0, -90.0, 180.0, 90.0],
            weights,
            licence: self.product.weights_licence().map(str::to_owned),
            attribution: self.product.attribution.clone(),
        })
    }
}

/// Opens the network and checks that its vectors are as long as the descriptor says.
fn open_encoder(architecture: EncoderId, files: &Files, named: Named<'_>) -> Result<Encoder> {
    let dimension = named.product.dimension_of(named.variant).map(|d| d as usize);
    let mut options = Options { database: files.database.clone(), ..Options::default() };
    match architecture {
        EncoderId::Mind | EncoderId::MindHead => options.dim = dimension,
        EncoderId::SphericalHarmonics => options.degrees = dimension.map(usize::isqrt),
        _ => {}
    }
    let encoder = Encoder::open(architecture, files.network.as_deref(), &options)?;
    match dimension {
        Some(wanted) if wanted != encoder.dim() => {
            let found = encoder.dim();
            let at = files.network.as_ref().map_or(String::new(), |p| format!("{}: ", p.display()));
            Err(Error::open(
                format!("{at}vectors have {found} numbers, but those of {} have {wanted}", named.spec()),
                "give the weights of this variant, or describe others in a TOML file (see `catalog/README.md`)",
            ))
        }
        _ => Ok(encoder),
    }
}
