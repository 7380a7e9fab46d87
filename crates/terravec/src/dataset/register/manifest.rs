//! A table with a row for each tile of a lattice in degrees: years, centres, perhaps versions and sizes. Millions of rows, kept as 16 bytes each.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use rayon::prelude::*;
use terravec_geo::LonLatBox;
use terravec_io::source::Location;
use terravec_io::table::{ReadPlan, TableFile};

use super::Listed;
use crate::catalog::{Descriptor, TileManifest, Variant};
use crate::error::{Error, Result};
use crate::query::places::Places;
use crate::time::{Interval, Years};

/// A tile is made of whole pixels of another grid, and reaches beyond its box: at most by so much of its side.
const MARGIN: f64 = 0.1;

/// A tile. Sizes of 0 are unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    year: i16,
    /// Hundredths of a degree.
    lat: i16,
    lon: i16,
    size: u32,
    scales: u32,
}

/// The rows of one variant, by year, latitude and longitude.
#[derive(Debug)]
pub(crate) struct Manifest {
    spec: TileManifest,
    rows: Vec<Row>,
}

/// What rows say of their variant: its id, where they do.
type Named = BTreeMap<Option<String>, Vec<Row>>;

impl Manifest {
    /// Reads the manifest at `location`: the rows of `variant`, or of whichever variant it is of. Says which one that was, too.
    ///
    /// # Errors
    /// If there is none, it is damaged, or it holds several variants and none was named.
    pub(crate) fn open(
        location: &Location,
        product: &Descriptor,
        spec: &TileManifest,
        variant: Option<&Variant>,
    ) -> Result<(Self, Option<String>)> {
        let bad = |what: String| {
            Error::open(format!("{location}: {what}"), "fetch the manifest again from its publisher")
        };
        let table = TableFile::open(location.open()?)?;
        let at = |name: &str| table.schema().index_of(name).ok();
        let must = |name: &str| at(name).ok_or_else(|| bad(format!("the manifest has no column `{name}`")));
        let mut columns = vec![must("year")?, must("lon")?, must("lat")?];
        let more = [Some("version"), Some("variant"), spec.size.as_deref(), spec.scales_size.as_deref()];
        columns.extend(more.into_iter().flatten().filter_map(at));
        columns.sort_unstable();
        let read = |group: usize| -> Result<Named> {
            let mut named = Named::new();
            let plan =
                ReadPlan { columns: columns.clone(), groups: vec![group], rows: None, batch_rows: 65_536 };
            for batch in table.read(&plan)? {
                rows_of(&batch?, spec, &mut named).map_err(bad)?;
            }
            Ok(named)
        };
        let groups: Vec<Result<Named>> = (0..table.groups()).into_par_iter().map(read).collect();
        let mut named = Named::new();
        for group in groups {
            for (name, mut rows) in group? {
                named.entry(name).or_default().append(&mut rows);
            }
        }
        let (name, mut rows) = choose(named, product, variant, location)?;
        rows.par_sort_unstable();
        // A tile that was listed twice is one.
        rows.dedup_by_key(|r| (r.year, r.lat, r.lon));
        Ok((Self { spec: spec.clone(), rows }, name))
    }

    /// Those of the last year, northernmost first.
    pub(super) fn some(&self) -> impl Iterator<Item = Listed> {
        self.rows.iter().rev().map(|r| self.listed(r))
    }

    pub(super) fn counts(&self) -> BTreeMap<i32, usize> {
        let by_year = self.rows.chunk_by(|a, b| a.year == b.year);
        by_year.map(|rows| (i32::from(rows[0].year), rows.len())).collect()
    }

    pub(super) fn extent(&self) -> LonLatBox {
        let half = self.spec.side / 2.0;
        let none = LonLatBox { west: 180.0, south: 90.0, east: -180.0, north: -90.0 };
        self.rows.iter().fold(none, |b, row| {
            let (lon, lat) = (degrees(row.lon), degrees(row.lat));
            LonLatBox {
                west: b.west.min(lon - half),
                south: b.south.min(lat - half),
                east: b.east.max(lon + half),
                north: b.north.max(lat + half),
            }
        })
    }

    pub(super) fn find(&self, places: &Places, years: &Years, to_read: bool) -> Vec<Listed> {
        let bounds = places.bounds();
        let reach = self.spec.side * (0.5 + if to_read { MARGIN } else { 0.0 });
        let mut found = Vec::new();
        for rows in self.rows.chunk_by(|a, b| a.year == b.year) {
            if let Years::List(list) = years
                && !list.contains(&i32::from(rows[0].year))
            {
                continue;
            }
            // Rows of a year come by latitude.
            let rows = match (&bounds, places) {
                (Some(b), _) => {
                    let first = rows.partition_point(|r| degrees(r.lat) + reach < b.south);
                    let last = rows.partition_point(|r| degrees(r.lat) - reach <= b.north);
                    &rows[first..last.max(first)]
                }
                (None, Places::Everywhere) => rows,
                (None, Places::Boxes { .. }) => &[],
            };
            found.extend(
                rows.iter().filter(|r| places.touch(&self.bounds_of(r, reach))).map(|r| self.listed(r)),
            );
        }
        found
    }

    fn bounds_of(&self, row: &Row, reach: f64) -> LonLatBox {
        let (lon, lat) = (degrees(row.lon), degrees(row.lat));
        let half = self.spec.side / 2.0;
        // What reaches beyond the box is metres, of which there are fewer in a degree of longitude.
        let beyond = (reach - half) / lat.to_radians().cos().max(0.01);
        LonLatBox {
            west: lon - half - beyond,
            south: lat - reach,
            east: lon + half + beyond,
            north: lat + reach,
        }
    }

    fn listed(&self, row: &Row) -> Listed {
        let size = |n: u32| (n > 0).then_some(u64::from(n));
        Listed {
            path: self.spec.path_of(degrees(row.lon), degrees(row.lat), i32::from(row.year)),
            lonlat: self.bounds_of(row, self.spec.side / 2.0),
            interval: Some(Interval::year(i32::from(row.year))),
            bytes: size(row.size),
            scales_bytes: size(row.scales),
        }
    }
}

fn degrees(hundredths: i16) -> f64 {
    f64::from(hundredths) / 100.0
}

/// The rows of the variant that was asked for, or of the only one.
fn choose(
    mut named: Named,
    product: &Descriptor,
    variant: Option<&Variant>,
    location: &Location,
) -> Result<(Option<String>, Vec<Row>)> {
    let held: Vec<String> = named.keys().flatten().cloned().collect();
    if let Some(variant) = variant
        && !held.is_empty()
    {
        return match named.remove(&Some(variant.id.clone())) {
            Some(rows) => Ok((Some(variant.id.clone()), rows)),
            None => Err(Error::open(
                format!(
                    "{location}: lists tiles of {}, none of {}@{}",
                    held.join(", "),
                    product.id,
                    variant.id
                ),
                "variants never mix: name the one that is there",
            )),
        };
    }
    if let [first, _, ..] = held.as_slice() {
        return Err(Error::open(
            format!(
                "{location}: lists tiles of several variants ({}), whose vectors are not comparable",
                held.join(", ")
            ),
            format!("name one of them: {}@{first}={}", product.id, location.parent()),
        ));
    }
    named.pop_last().filter(|(_, rows)| !rows.is_empty()).ok_or_else(|| {
        Error::open(format!("{location}: the manifest lists no tile"), "fetch it again from its publisher")
    })
}

fn rows_of(batch: &RecordBatch, spec: &TileManifest, named: &mut Named) -> Result<(), String> {
    let column = |name: &str, to: &DataType| {
        let column = batch.column_by_name(name)?;
        Some(cast(column, to).map_err(|e| format!("column `{name}`: {e}")))
    };
    let must = |name: &str, to: &DataType| column(name, to).ok_or(format!("no column `{name}`"))?;
    let years = must("year", &DataType::Int32)?;
    let (lons, lats) = (must("lon", &DataType::Float64)?, must("lat", &DataType::Float64)?);
    let text = |name: &str| column(name, &DataType::Utf8).transpose();
    let (version, variant) = (text("version")?, text("variant")?);
    let sizes = |name: &Option<String>| name.as_deref().and_then(|n| column(n, &DataType::Int64)).transpose();
    let (size, scales) = (sizes(&spec.size)?, sizes(&spec.scales_size)?);
    let (years, lons, lats) = (
        years.as_primitive::<Int32Type>(),
        lons.as_primitive::<Float64Type>(),
        lats.as_primitive::<Float64Type>(),
    );
    let number = |column: &Option<arrow::array::ArrayRef>, i: usize| {
        let column = column.as_ref().filter(|c| c.is_valid(i));
        column.map_or(0, |c| u32::try_from(c.as_primitive::<Int64Type>().value(i)).unwrap_or(0))
    };
    // Rows of one variant come one after the other: their list is looked up once.
    let mut at = 0;
    while at < batch.num_rows() {
        let name = |i: usize| match (&version, &variant) {
            (Some(a), Some(b)) if a.is_valid(i) && b.is_valid(i) => {
                Some((a.as_string::<i32>().value(i), b.as_string::<i32>().value(i)))
            }
            _ => None,
        };
        let this = name(at);
        let rows = named.entry(this.map(|(a, b)| format!("{a}-{b}"))).or_default();
        let end = (at..batch.num_rows()).find(|&i| name(i) != this).unwrap_or(batch.num_rows());
        for i in at..end {
            if years.is_null(i) || lons.is_null(i) || lats.is_null(i) {
                return Err("a year, longitude or latitude is null".into());
            }
            let (year, lon, lat) = (years.value(i), lons.value(i), lats.value(i));
            if !(1900..=2200).contains(&year)
                || !(-180.0..=180.0).contains(&lon)
                || !(-90.0..=90.0).contains(&lat)
            {
                return Err(format!("a tile of {year} at {lon}, {lat}: there is no such year or place"));
            }
            #[allow(clippy::cast_possible_truncation)] // within the bounds just checked
            rows.push(Row {
                year: year as i16,
                lat: (lat * 100.0).round() as i16,
                lon: (lon * 100.0).round() as i16,
                size: number(&size, i),
                scales: number(&scales, i),
            });
        }
        at = end;
    }
    Ok(())
}
