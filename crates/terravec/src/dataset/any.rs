//! A product opened somewhere, of whichever kind.

use std::path::Path;
use std::sync::Arc;

use terravec_io::source::Location;
use terravec_io::vector::Points;

use super::listing::Listing;
use super::open::{OpenOptions, not_found, open_items, open_raster, split_spec};
use super::product::{is_npy, is_raster};
use super::{RasterDataset, open_zarr, stac};
use crate::catalog::{Descriptor, Form, Kind, Variant};
use crate::error::{Error, Result};
use crate::location::LocationDataset;
use crate::patch::{Condition, Near, OnBad, PatchDataset, PatchQuery, Tally, is_table};
use crate::query::gridded::Gridded;
use crate::query::sample::{Sampled, sample};
use crate::time::{Interval, Years};
use crate::vectors::Status;

/// A product opened somewhere. Clones are cheap.
#[derive(Debug, Clone)]
pub enum Dataset {
    /// Its vectors lie on the pixels of rasters.
    Raster(RasterDataset),
    /// Its vectors lie in the rows of tables.
    Patch(PatchDataset),
    /// Its vectors are computed from coordinates.
    Location(Box<LocationDataset>),
}

/// What to sample, beside the points.
#[derive(Debug, Clone, Default)]
pub struct SampleRequest {
    /// When; whatever the dataset holds if not said.
    pub years: Years,
    /// The stored codes instead of decoded vectors.
    pub codes: bool,
    /// Which patches answer for a point.
    pub near: Near,
    /// Rows of tables that hold at some time in this span.
    pub time: Option<Interval>,
    /// Rows of tables that meet these conditions.
    pub conditions: Vec<Condition>,
    /// What to do with rows of tables that have no good vector or place.
    pub on_bad: OnBad,
}

impl SampleRequest {
    /// Whether something is asked for that only tables can answer.
    fn of_tables(&self) -> Option<&'static str> {
        if self.near != Near::Containing {
            Some("--nearest")
        } else if self.time.is_some() {
            Some("--time")
        } else if !self.conditions.is_empty() {
            Some("--where")
        } else {
            None
        }
    }
}

impl Dataset {
    /// Opens what `spec` names: `ID=ROOT`, `ID@VARIANT=ROOT`, a path or an address.
    ///
    /// # Errors
    /// If nothing is there, or it is nothing that the product describes.
    pub fn open(spec: &str, options: &OpenOptions) -> Result<Self> {
        if let Some(location) = LocationDataset::open(spec, options)? {
            return Ok(Self::Location(Box::new(location)));
        }
        let catalog = &options.catalog;
        let (id, root) = split_spec(spec);
        let product = id.map(|id| catalog.resolve(id)).transpose()?;
        if product.is_none() && !root.contains("://") && !Path::new(root).exists() {
            return Err(not_found(root, catalog));
        }
        let location = Location::new(root);
        for host in product.iter().flat_map(|(p, _)| &p.hosts) {
            if let (Some(region), Some(rest)) = (&host.region, host.url.strip_prefix("s3://")) {
                terravec_io::source::know_region(rest.split('/').next().unwrap_or_default(), region);
            }
        }
        // A variant that was not named is no reason to refuse a store that says which one it is.
        let named = id.is_some_and(|id| id.contains('@'));
        let asked = product.as_ref().map(|(p, v)| (p, v.as_ref().filter(|_| named)));
        if let Some(store) = open_zarr::open(&location, asked, options)? {
            return Ok(Self::Raster(store));
        }
        if stac::maybe(&location, product.as_ref().map(|(p, _)| p.as_ref())) {
            return Self::of_items(location, product, options);
        }
        let listing = Listing::new(location);
        let tables = match &product {
            // Vectors of rasters are handed on as tables, too.
            Some((p, _)) => p.format.form() == Form::Table || is_table_file(listing.root()),
            None => holds_tables(&listing)?,
        };
        if tables {
            return Ok(Self::Patch(PatchDataset::open(&listing, product, catalog)?));
        }
        if let Some((p, _)) = &product
            && !is_raster(p)
            && !is_npy(p)
        {
            return Err(Error::open(
                format!("product {} comes as {}, which can't be opened yet", p.id, p.format.name()),
                format!("`terravec products {}` says how it is published", p.id),
            ));
        }
        Ok(Self::Raster(open_raster(&listing, product, options)?))
    }

    /// Opens the files that a STAC catalogue names.
    fn of_items(
        root: Location,
        product: Option<(Arc<Descriptor>, Option<Variant>)>,
        options: &OpenOptions,
    ) -> Result<Self> {
        let items = stac::read(&root, product.as_ref().map(|(p, _)| p.as_ref()))?;
        let is_table = items.first().is_some_and(|l| is_table(Location::new(&l.path).file_name()));
        Ok(match is_table {
            true => Self::Patch(PatchDataset::of_items(root, items, product, &options.catalog)?),
            false => Self::Raster(open_items(root, items, product, options)?),
        })
    }

    /// The same in one month (1–12), which some location encoders need.
    ///
    /// # Errors
    /// If it is no location encoder.
    pub fn at_month(self, month: Option<u8>) -> Result<Self> {
        match (self, month) {
            (Self::Location(d), month) => Ok(Self::Location(Box::new(d.at_month(month)))),
            (other, None) => Ok(other),
            (other, Some(_)) => Err(Error::query(
                format!("{} knows no months", other.product().id),
                "--month is for location encoders of the seasons",
            )),
        }
    }

    /// The product.
    #[must_use]
    pub fn product(&self) -> &Descriptor {
        match self {
            Self::Raster(d) => d.product(),
            Self::Patch(d) => d.product(),
            Self::Location(d) => d.product(),
        }
    }

    /// What a vector stands for.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.product().kind
    }

    /// Vectors at points, and what was left out of tables.
    ///
    /// # Errors
    /// If the dataset can't answer the request, or can't be read. Points without a vector are no error: their status says so.
    pub fn sample(&self, points: Points, request: &SampleRequest) -> Result<(Sampled, Tally)> {
        let id = &self.product().id;
        if let (false, Some(what)) = (matches!(self, Self::Patch(_)), request.of_tables()) {
            return Err(Error::query(
                format!("{what} is for tables of vectors, which {id} is not"),
                "leave it out",
            ));
        }
        match self {
            Self::Raster(d) => Ok((sample(d, points, &request.years, request.codes)?, Tally::default())),
            Self::Patch(d) => {
                let query = PatchQuery {
                    years: request.years.clone(),
                    time: request.time,
                    conditions: request.conditions.clone(),
                    codes: request.codes,
                    on_bad: request.on_bad,
                    ..PatchQuery::default()
                };
                d.sample(points, &query, request.near)
            }
            Self::Location(_) if request.codes => {
                Err(Error::query("a location encoder has no codes", "leave --codes out"))
            }
            Self::Location(d) => Ok((d.sample(points, &request.years)?, Tally::default())),
        }
    }

    /// A sentence for a sample none of whose points has a vector.
    #[must_use]
    pub fn why_nothing(&self, sampled: &Sampled) -> Option<String> {
        if sampled.status.is_empty() || sampled.status.contains(&Status::Valid) {
            return None;
        }
        Some(match self {
            Self::Raster(d) => d.covered_beside(&sampled.points),
            Self::Patch(d) => d.covered(),
            Self::Location(_) => "Location encoders cover every place.".to_owned(),
        })
    }

    /// What windows and polygons can be read from.
    ///
    /// # Errors
    /// If the dataset is a table.
    pub fn gridded(&self) -> Result<Gridded> {
        match self {
            Self::Raster(d) => Ok(d.into()),
            Self::Location(d) => Ok(d.as_ref().into()),
            Self::Patch(d) => Err(Error::query(
                format!("{} is a table of vectors, and has no grid", d.product().id),
                "extract it to a table (.parquet, .arrow, .csv, .geojson)",
            )),
        }
    }
}

fn is_table_file(location: &Location) -> bool {
    let name = location.file_name();
    is_table(name) && name != super::aef_index::NAME && location.path().is_none_or(Path::is_file)
}

/// Whether what lies there is tables rather than rasters, by the names of files.
fn holds_tables(listing: &Listing) -> Result<bool> {
    let location = listing.root();
    let named = is_table_file(location) || super::open::is_tiff(location.file_name());
    if !location.is_listable() || (location.is_remote() && named) {
        return Ok(is_table_file(location));
    }
    if location.path().is_some_and(|p| p.join(super::aef_index::NAME).is_file()) {
        return Ok(false);
    }
    let entries = listing.entries()?;
    if entries.iter().any(|e| e.path == super::aef_index::NAME) {
        return Ok(false);
    }
    let raster = entries.iter().any(|e| super::open::is_tiff(&e.path));
    Ok(!raster && entries.iter().any(|e| is_table(&e.path)))
}
