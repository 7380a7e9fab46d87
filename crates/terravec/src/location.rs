//! Location encoders as datasets: a product id and its weights answer `sample` like any other dataset.
//!
//! Coordinates go in as (lon, lat) degrees for all of them; what a network wants instead is the encoder's business.

use std::path::Path;
use std::sync::Arc;

use terravec_io::vector::Points;
use terravec_location::{Encoder, EncoderId, Options, Time, TimeNeed};

use crate::catalog::{Descriptor, Kind};
use crate::dataset::OpenOptions;
use crate::error::{Error, Result};
use crate::provenance::Provenance;
use crate::query::sample::{Sampled, Values};
use crate::time::{Interval, Years};
use crate::vectors::Status;

/// A location encoder with its weights.
#[derive(Debug)]
pub struct LocationDataset {
    product: Arc<Descriptor>,
    version: Option<String>,
    weights: String,
    encoder: Encoder,
}

impl LocationDataset {
    /// Opens `ID=WEIGHTS` where ID is a location encoder; `None` where `spec` is something else.
    ///
    /// # Errors
    /// If the weights are missing, can't be read, or are those of another network.
    pub fn open(spec: &str, options: &OpenOptions) -> Result<Option<Self>> {
        let (id, weights) = spec.split_once('=').map_or((spec, None), |(i, w)| (i, Some(w)));
        let Ok((product, variant)) = options.catalog.resolve(id) else { return Ok(None) };
        if product.kind != Kind::Location {
            return Ok(None);
        }
        let version = variant.map(|v| v.id);
        let name = if version.as_deref() == Some("range-plus") { "range-plus" } else { &product.id };
        let encoder = name.parse::<EncoderId>()?;
        let Some(weights) = weights else {
            let hosts: Vec<&str> = product.hosts.iter().map(|h| h.url.as_str()).collect();
            return Err(Error::open(
                format!("{} is computed from published weights, which are not here", product.id),
                format!("fetch them from {} and write {}=WEIGHTS", hosts.join(" or "), product.id),
            ));
        };
        let encoder = Encoder::open(encoder, Some(Path::new(weights)), &Options::default())?;
        Ok(Some(Self { product, version, weights: weights.to_string(), encoder }))
    }

    /// The product.
    #[must_use]
    pub fn product(&self) -> &Descriptor {
        &self.product
    }

    /// Vectors at `points`, one row per point and year. `month` (1–12) is for encoders of the seasons.
    ///
    /// # Errors
    /// If the encoder needs a time that is not given, or knows none that is.
    pub fn sample(&self, points: Points, years: &Years, month: Option<u8>) -> Result<Sampled> {
        let id = &self.product.id;
        let need = self.encoder.time();
        let periods: Vec<Option<i32>> = match (years, need) {
            (Years::All, _) => vec![None],
            (Years::List(list), TimeNeed::Year) => list.iter().copied().map(Some).collect(),
            (Years::List(_), _) => {
                return Err(Error::query(format!("{id} knows no years"), "leave --year out"));
            }
        };
        match (need, month) {
            (TimeNeed::Month, None) => {
                return Err(Error::query(format!("{id} differs from month to month"), "give --month 1 … 12"));
            }
            (TimeNeed::Month, Some(_)) | (_, None) => {}
            (_, Some(_)) => return Err(Error::query(format!("{id} knows no months"), "leave --month out")),
        }
        // Rows without a place have no vector; the encoder sees the others.
        let placed: Vec<usize> = (0..points.lon.len())
            .filter(|&i| points.lon[i].is_finite() && points.lat[i].is_finite())
            .collect();
        let (lon, lat): (Vec<f64>, Vec<f64>) = placed.iter().map(|&i| (points.lon[i], points.lat[i])).unzip();
        let (depth, rows) = (self.encoder.dim(), points.lon.len() * periods.len());
        let mut status = vec![Status::Outside; rows];
        let mut values = vec![f32::NAN; rows * depth];
        let mut intervals = vec![None; rows];
        for (p, period) in periods.iter().enumerate() {
            let year = period.map(|y| [y]);
            let months = month.map(|m| [m]);
            let time = match (&year, &months) {
                (Some(y), _) => Some(Time::Years(y)),
                (_, Some(m)) => Some(Time::Months(m)),
                _ => None,
            };
            let vectors = self.encoder.encode(&lon, &lat, time)?;
            for (vector, &i) in vectors.chunks_exact(depth).zip(&placed) {
                let row = i * periods.len() + p;
                status[row] = Status::Valid;
                intervals[row] = period.map(Interval::year);
                values[row * depth..(row + 1) * depth].copy_from_slice(vector);
            }
        }
        let request = serde_json::json!({ "verb": "sample", "points": points.lon.len(), "from": points.origin, "month": month });
        let mut provenance = Provenance::new(&self.product, self.version.clone(), depth, request);
        provenance.decode = "computed from (lon, lat) by the published network".into();
        provenance.years = periods.iter().copied().flatten().collect();
        provenance.sources = vec![self.weights.clone()];
        Ok(Sampled {
            points,
            periods,
            status,
            intervals,
            values: Values::Vectors(values),
            band_names: (0..depth).map(|i| format!("e{i}")).collect(),
            extra: Vec::new(),
            provenance,
        })
    }
}
