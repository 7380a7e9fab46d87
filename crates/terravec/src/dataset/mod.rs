//! A product opened somewhere: which tiles it has, and how to read them.

mod aef_index;
mod any;
pub(crate) mod file;
pub(crate) mod files;
mod index;
pub(crate) mod listing;
mod npy;
mod npy_layout;
mod open;
mod open_npy;
mod open_zarr;
pub(crate) mod own;
mod product;
pub(crate) mod reader;
mod recognise;
mod register;
mod shelf;
mod stac;
mod tile;
mod zarr;
mod zarr_place;
pub(crate) mod zarr_product;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};

use terravec_geo::{Grid, LonLatBox};
use terravec_io::source::Location;
use terravec_io::vector::Points;

pub(crate) use aef_index::NAME as AEF_INDEX;
pub use any::{Dataset, SampleRequest};
use file::Files;
pub use open::OpenOptions;
pub(crate) use open::at_once;
pub(crate) use product::fixed_interval;
use reader::{BlockCache, TileReader};
pub(crate) use register::Listed;
use register::Register;
pub use tile::Tile;

use crate::catalog::Descriptor;
use crate::codec::Decoder;
use crate::error::{Error, Result};
use crate::provenance::Provenance;
use crate::query::extract::Area;
use crate::query::places::Places;
use crate::time::Years;

/// Open tiles kept for the next read; more would hold too many file handles.
const OPEN_TILES: usize = 128;
/// Bytes of decoded blocks that are kept while many small windows are read: 8 blocks of AlphaEarth.
const KEPT_BLOCKS: usize = 512 << 20;

/// A product whose vectors lie in raster files. Clones share the list of tiles and the open ones.
#[derive(Debug, Clone)]
pub struct RasterDataset {
    product: Arc<Descriptor>,
    version: Option<String>,
    root: Location,
    tiles: Arc<Vec<Tile>>,
    files: Arc<Files>,
    notes: Vec<String>,
    open: Arc<Mutex<VecDeque<Arc<TileReader>>>>,
    /// Blocks kept for the next query.
    blocks: Arc<BlockCache>,
    /// What says which tiles there are beside those above, where there are too many.
    register: Option<Arc<Register>>,
    /// Whether the tiles above are those that a question needs.
    narrowed: bool,
}

/// What a dataset holds, for `info`.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Summary {
    /// Product id.
    pub product: String,
    /// Product name.
    pub name: String,
    /// `pixel`, `patch` or `location`.
    pub kind: String,
    /// Where it was opened, without credentials.
    pub root: String,
    /// Files.
    pub tiles: usize,
    /// Files per year; `""` where the year is unknown.
    pub years: BTreeMap<String, usize>,
    /// Stored bands.
    pub stored_bands: usize,
    /// Stored type.
    pub dtype: String,
    /// The number that stands for "no vector" in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodata: Option<f64>,
    /// Names of the bands.
    pub bands: Vec<String>,
    /// Length of a decoded vector, absent where no decode rule is known.
    pub dimension: Option<usize>,
    /// Decode rule.
    pub decode: String,
    /// Whether vectors have length 1.
    pub unit_length: Option<bool>,
    /// Coordinate reference systems.
    pub crs: Vec<String>,
    /// Pixel size in units of the CRS, of the first tile.
    pub resolution: (f64, f64),
    /// West, south, east, north in degrees.
    pub bbox: [f64; 4],
    /// Grid of a dataset of one file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grid: Option<GridSummary>,
    /// Layout of the first tile.
    pub layout: String,
    /// Licence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Text to show with results.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribution: Option<String>,
    /// What was noticed while opening.
    pub notes: Vec<String>,
}

/// A grid in plain numbers.
#[derive(Debug, Clone, serde::Serialize)]
pub struct GridSummary {
    /// CRS.
    pub crs: String,
    /// `a, b, c, d, e, f` of x = a·col + b·row + c, y = d·col + e·row + f (pixel corners).
    pub transform: [f64; 6],
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl GridSummary {
    pub(crate) fn of(grid: &Grid) -> Self {
        let a = &grid.affine;
        Self {
            crs: grid.crs.to_string(),
            transform: [a.a, a.b, a.c, a.d, a.e, a.f],
            width: grid.width,
            height: grid.height,
        }
    }
}

impl RasterDataset {
    /// The product.
    #[must_use]
    pub fn product(&self) -> &Descriptor {
        &self.product
    }

    /// Where it was opened.
    #[must_use]
    pub fn root(&self) -> &Location {
        &self.root
    }

    /// All tiles; of an archive with a register, those that the dataset was narrowed to.
    #[must_use]
    pub fn tiles(&self) -> &[Tile] {
        &self.tiles
    }

    /// The dataset with those tiles that matter to some places and years. What it is, and what it covers, stays what it was. Narrowed
    /// once, it stays as it is: parts of a question share what was opened for all of it.
    ///
    /// # Errors
    /// If a tile can't be opened, or there are too many.
    pub(crate) fn around(&self, places: &Places, years: &Years) -> Result<Self> {
        let Some(register) = self.register.as_ref().filter(|_| !self.narrowed) else {
            return Ok(self.clone());
        };
        let listed = register.find(places, years, true);
        if listed.is_empty() {
            return Ok(self.clone());
        }
        open::check_few(&self.root, listed.len(), "tiles that this question needs")?;
        let tiles = register.tiles(&listed, |new| {
            open::at_once(new, |l| self.files.tile(&self.root, &l.path, &self.product))
        })?;
        Ok(Self {
            tiles: Arc::new(tiles),
            open: Arc::default(),
            blocks: Arc::new(BlockCache::patient(self.blocks.limit())),
            narrowed: true,
            ..self.clone()
        })
    }

    /// The dataset with those tiles that an area and some years need, of archives with a register; any other as it is.
    ///
    /// # Errors
    /// If a tile can't be opened, or there are too many.
    pub fn narrowed(&self, area: &Area, years: &Years) -> Result<Self> {
        self.around(&Places::of_area(area)?, years)
    }

    /// The same for points.
    ///
    /// # Errors
    /// As [`narrowed`](Self::narrowed).
    pub fn narrowed_to(&self, points: &Points, years: &Years) -> Result<Self> {
        self.around(&Places::of_points(points), years)
    }

    /// The files that touch an area in some years, told without opening any.
    ///
    /// # Errors
    /// If a year is not there at all.
    pub(crate) fn listed(&self, places: &Places, years: &Years) -> Result<Vec<Listed>> {
        let periods = self.periods(years)?;
        if let Some(register) = &self.register {
            return Ok(register.find(places, years, false));
        }
        if let Some(parts) = self.product.grid.as_ref().and_then(|g| g.registry.as_ref()) {
            let touching = |t: &&Tile| periods.contains(&t.year()) && places.touch(&t.lonlat);
            let tiles: Vec<&Tile> = self.tiles.iter().filter(touching).collect();
            if let Some(listed) = register::parts::find(&self.root.parent().join(parts), &tiles, places)? {
                return Ok(listed);
            }
        }
        let touching = periods
            .iter()
            .flat_map(|p| self.tiles.iter().filter(move |t| t.year() == *p && places.touch(&t.lonlat)));
        Ok(touching
            .map(|t| Listed {
                path: t.path.clone(),
                lonlat: t.lonlat,
                interval: t.interval,
                bytes: None,
                scales_bytes: None,
            })
            .collect())
    }

    /// Years that some tile has, in order.
    #[must_use]
    pub fn years(&self) -> Vec<i32> {
        if let Some(register) = &self.register {
            return register.years();
        }
        let mut years: Vec<i32> = self.tiles.iter().filter_map(Tile::year).collect();
        years.sort_unstable();
        years.dedup();
        years
    }

    /// The periods a query over `years` answers: one per year, or `None` alone where tiles have no year.
    ///
    /// # Errors
    /// If a year is asked for that the dataset does not hold.
    pub fn periods(&self, years: &Years) -> Result<Vec<Option<i32>>> {
        let have = self.years();
        match years {
            Years::All => {
                // Tiles without a year are a period of their own.
                let dateless = self.tiles.iter().any(|t| t.year().is_none()).then_some(None);
                Ok(have.into_iter().map(Some).chain(dateless).collect())
            }
            Years::List(list) => {
                if let Some(missing) = list.iter().find(|y| !have.contains(y)) {
                    let held = if have.is_empty() {
                        "its files carry no year; leave --year out".to_string()
                    } else {
                        format!("years it holds: {}", join(&have))
                    };
                    return Err(Error::query(
                        format!("{} has no year {missing} at {}", self.product.id, self.root),
                        held,
                    ));
                }
                Ok(list.iter().copied().map(Some).collect())
            }
        }
    }

    /// Tiles of a period that touch `area` (all of it if absent).
    #[must_use]
    pub fn select(&self, period: Option<i32>, area: Option<&LonLatBox>) -> Vec<usize> {
        (0..self.tiles.len())
            .filter(|&i| self.tiles[i].year() == period)
            .filter(|&i| area.is_none_or(|a| a.intersects(&self.tiles[i].lonlat)))
            .collect()
    }

    /// The smallest box over all tiles, in degrees.
    #[must_use]
    pub fn lonlat(&self) -> LonLatBox {
        if let Some(register) = &self.register {
            return register.extent();
        }
        let mut b = LonLatBox { west: 180.0, south: 90.0, east: -180.0, north: -90.0 };
        for tile in self.tiles.iter() {
            let t = &tile.lonlat;
            let (west, east) = if t.west > t.east { (-180.0, 180.0) } else { (t.west, t.east) };
            b = LonLatBox {
                west: b.west.min(west),
                south: b.south.min(t.south),
                east: b.east.max(east),
                north: b.north.max(t.north),
            };
        }
        b
    }

    /// A hint where the dataset covers the place only with longitude and latitude exchanged.
    #[must_use]
    pub(crate) fn swapped(&self, area: &LonLatBox) -> Option<&'static str> {
        let swapped = LonLatBox { west: area.south, south: area.west, east: area.north, north: area.east };
        let legal = swapped.south >= -90.0 && swapped.north <= 90.0;
        (legal && self.tiles.iter().any(|t| swapped.intersects(&t.lonlat)))
            .then_some("did you swap longitude and latitude? They come as lon,lat. ")
    }

    /// What the dataset covers, for points none of which it covers; says so where longitude and latitude look exchanged.
    #[must_use]
    pub fn covered_beside(&self, points: &Points) -> String {
        let one = |(x, y): (&f64, &f64)| LonLatBox { west: *x, south: *y, east: *x, north: *y };
        let hint = points.lon.iter().zip(&points.lat).take(100).find_map(|p| self.swapped(&one(p)));
        format!("{}{}", hint.unwrap_or_default(), self.covered())
    }

    /// The failure "nothing there", with what is covered.
    pub(crate) fn nothing_there(&self, area: &LonLatBox, what: &str) -> Error {
        Error::Outside {
            what: format!("bbox {},{},{},{}: {what}", area.west, area.south, area.east, area.north),
            covered: format!("{}{}", self.swapped(area).unwrap_or_default(), self.covered()),
        }
    }

    /// A sentence that says what the dataset covers.
    #[must_use]
    pub fn covered(&self) -> String {
        let b = self.lonlat();
        let years = self.years();
        let years = if years.is_empty() { String::new() } else { format!(", years {}", join(&years)) };
        format!(
            "{} at {} covers {:.5},{:.5},{:.5},{:.5} (west, south, east, north; {} tiles{years})",
            self.product.id,
            self.root,
            b.west,
            b.south,
            b.east,
            b.north,
            self.tile_count()
        )
    }

    /// Tiles of the dataset, those that a register alone knows included.
    fn tile_count(&self) -> usize {
        self.register.as_ref().map_or(self.tiles.len(), |r| r.counts().values().sum())
    }

    /// The same with blocks kept for the next query, if it keeps none yet.
    pub(crate) fn keeping_blocks(self) -> Self {
        if self.blocks.limit() > 0 {
            return self;
        }
        Self { blocks: Arc::new(BlockCache::patient(KEPT_BLOCKS)), ..self }
    }

    /// The blocks kept for the next query.
    pub(crate) fn blocks(&self) -> &Arc<BlockCache> {
        &self.blocks
    }

    /// Opens tile `id`, or takes it from those opened lately.
    pub(crate) fn reader(&self, id: usize) -> Result<Arc<TileReader>> {
        if let Ok(open) = self.open.lock()
            && let Some(reader) = open.iter().find(|r| r.id == id)
        {
            return Ok(Arc::clone(reader));
        }
        let tile = &self.tiles[id];
        let location = self.root.join(&tile.path);
        let file = self.files.open(&location, tile, &self.product)?;
        if file.grid().is_none_or(|g| {
            (g.width, g.height, g.affine) != (tile.grid.width, tile.grid.height, tile.grid.affine)
        }) {
            return Err(Error::open(
                format!(
                    "{location}: the file no longer has the grid that the index of {} gives it",
                    self.root
                ),
                "the file was replaced after it was indexed; touch its folder or clear the cache to index again",
            ));
        }
        let decoder = Decoder::new(&self.product, file.bands(), file.dtype(), file.nodata())
            .map_err(Error::codec(location.to_string()))?;
        let reader = Arc::new(TileReader { id, file, decoder, location });
        if let Ok(mut open) = self.open.lock() {
            if open.len() >= OPEN_TILES {
                open.pop_front();
            }
            open.push_back(Arc::clone(&reader));
        }
        Ok(reader)
    }

    /// Names of the decoded bands: the product's, else the file's, else `b0`, `b1`, ….
    ///
    /// # Errors
    /// If the first tile can't be opened.
    pub fn band_names(&self) -> Result<Vec<String>> {
        let reader = self.reader(0)?;
        let n = reader.decoder.dimension();
        if let Some(names) = product::band_names(&self.product).filter(|names| names.len() == n) {
            return Ok(names);
        }
        let file = reader.file.band_names();
        Ok((0..n)
            .map(|i| {
                file.get(i)
                    .and_then(Clone::clone)
                    .filter(|_| file.len() == n)
                    .unwrap_or_else(|| format!("b{i}"))
            })
            .collect())
    }

    /// Provenance of an answer to `request` made from `tiles`.
    pub(crate) fn provenance(
        &self,
        tiles: &[usize],
        values: &str,
        request: serde_json::Value,
    ) -> Result<Provenance> {
        let reader = self.reader(tiles.first().copied().unwrap_or(0))?;
        let mut years: Vec<i32> = tiles.iter().filter_map(|&i| self.tiles[i].year()).collect();
        years.sort_unstable();
        years.dedup();
        let mut provenance =
            Provenance::new(&self.product, self.version.clone(), reader.decoder.dimension(), request);
        provenance.values = values.to_string();
        provenance.years = years;
        provenance
            .set_sources(tiles.iter().map(|&i| self.root.join(&self.tiles[i].path).to_string()).collect());
        Ok(provenance)
    }

    /// What the dataset holds.
    ///
    /// # Errors
    /// If the first tile can't be opened.
    pub fn summary(&self) -> Result<Summary> {
        let reader = self.reader(0)?;
        let mut years = BTreeMap::new();
        if let Some(register) = &self.register {
            years.extend(register.counts().into_iter().map(|(year, tiles)| (year.to_string(), tiles)));
        }
        let (mut crs, mut systems) = (Vec::new(), HashSet::new());
        for tile in self.tiles.iter() {
            if self.register.is_none() {
                *years.entry(tile.year().map_or(String::new(), |y| y.to_string())).or_insert(0) += 1;
            }
            if systems.insert(&tile.grid.crs) {
                crs.push(tile.grid.crs.to_string());
            }
        }
        let mut notes = self.notes.clone();
        if reader.file.was_south_up() {
            notes.push("rows are stored south first; they are read north first".into());
        }
        let b = self.lonlat();
        Ok(Summary {
            product: self.product.id.clone(),
            name: self.product.name.clone(),
            kind: self.product.kind.name().to_string(),
            root: self.root.to_string(),
            tiles: self.tile_count(),
            years,
            stored_bands: reader.file.bands(),
            dtype: reader.file.dtype().to_string(),
            nodata: reader.file.nodata(),
            bands: self.band_names()?,
            dimension: reader.decoder.decodes().then(|| reader.decoder.dimension()),
            decode: self.product.codec.to_string(),
            unit_length: self.product.unit_length,
            crs,
            resolution: self.tiles[0].grid.res(),
            bbox: [b.west, b.south, b.east, b.north],
            grid: (self.tile_count() == 1).then(|| GridSummary::of(&self.tiles[0].grid)),
            layout: reader.file.layout(),
            licence: self.product.licence.clone(),
            attribution: self.product.attribution.clone(),
            notes,
        })
    }
}

fn join(years: &[i32]) -> String {
    years.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
