//! What one descriptor file says: the types a TOML file of the catalog is read into.
//!
//! One descriptor is one product in one layout of files, so that everything in it — type of number, decode
//! rule, naming — is true of every file it speaks of. Layouts of the same vectors share `family`.
//! A fact that nobody published is absent (`None`, an empty list) and may be named in `unknown`.

use serde::{Deserialize, Serialize};
use terravec_io::DType;

use super::codec::{CodecSpec, MissingRule};
use super::encoder::{EncoderSpec, WeightsFile};
use super::naming::{BandNames, TileNaming};
use super::place::{Extent, GridSpec, Resolution};
use super::time::TimeSpec;

/// One product in one layout: everything needed to open it, decode it, place it and credit it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Descriptor {
    /// The word used on the command line: lower-case letters, digits, `.` and `-`.
    pub id: String,
    /// The name people know.
    pub name: String,
    /// Other names the product is looked up by, same alphabet as `id`.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The product whose vectors these are, when several descriptors store the same ones.
    pub family: Option<String>,
    /// What it is, in a few plain sentences.
    pub summary: String,
    /// What a vector stands for.
    pub kind: Kind,
    /// What the files are. Independent of `kind`: Copernicus-Embed has patches stored as a raster.
    pub format: Format,
    /// Numbers per vector. Absent when unknown or when each variant has its own.
    pub dimension: Option<u32>,
    /// The type of a stored number. Absent for weights and where unknown.
    #[serde(default, with = "dtype_name")]
    pub dtype: Option<DType>,
    /// How stored numbers become values.
    pub codec: CodecSpec,
    /// How a missing vector is told from a present one. Absent: nobody says.
    pub missing: Option<MissingRule>,
    /// Whether decoded vectors have length 1. Absent: unknown.
    pub unit_length: Option<bool>,
    /// Pixel size, or side of a patch.
    pub resolution: Option<Resolution>,
    /// The model that made the vectors.
    pub model: Option<Model>,
    /// Versions, sensors or sizes published side by side. Their vectors never mix.
    #[serde(default, rename = "variant")]
    pub variants: Vec<Variant>,
    /// Where pixels or cells lie.
    pub grid: Option<GridSpec>,
    /// How files are named.
    pub tiles: Option<TileNaming>,
    /// Where its files are in STAC catalogues.
    pub stac: Option<StacSpec>,
    /// What bands are called (rasters).
    pub bands: Option<BandNames>,
    /// Which columns hold what (tables).
    pub table: Option<TableSpec>,
    /// What goes in and comes out (location encoders).
    pub encoder: Option<EncoderSpec>,
    /// The files an encoder is computed from, and where they can be fetched.
    #[serde(default)]
    pub weights: Vec<WeightsFile>,
    /// When it holds.
    pub time: Option<TimeSpec>,
    /// Where on Earth it holds.
    pub extent: Option<Extent>,
    /// Where it can be had; the preferred place first.
    #[serde(default, rename = "host")]
    pub hosts: Vec<Host>,
    /// Size of the whole archive, as people say it: `"577 TB"`.
    pub size: Option<String>,
    /// Licence of the vectors, SPDX where one exists.
    pub licence: Option<String>,
    /// What to know about the licence: conflicting statements, terms.
    pub licence_note: Option<String>,
    /// The sentence to print beside every result.
    pub attribution: Option<String>,
    /// What to cite.
    #[serde(default, rename = "citation")]
    pub citations: Vec<Citation>,
    /// What surprises users.
    #[serde(default)]
    pub quirks: Vec<String>,
    /// What was looked for and not found.
    #[serde(default)]
    pub unknown: Vec<String>,
    /// This descriptor takes the place of a loaded one of the same id.
    #[serde(default, skip_serializing)]
    pub replace: bool,
}

/// Where a product's files are in STAC catalogues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StacSpec {
    /// The collection of its items; the only one if absent.
    pub collection: Option<String>,
    /// The asset that holds vectors; the only table or raster of an item if absent.
    pub asset: Option<String>,
}

/// What a vector stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One pixel of a metre-scale grid, usually over a year of images.
    Pixel,
    /// One footprint: an image chip, a cell.
    Patch,
    /// A place, computed from its coordinates.
    Location,
    /// An administrative region.
    Region,
}

/// What the files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Cloud-optimised GeoTIFF.
    Cog,
    /// GeoTIFF.
    Geotiff,
    /// GDAL virtual raster.
    Vrt,
    /// Zarr v2 or v3.
    Zarr,
    /// Icechunk repository.
    Icechunk,
    /// NumPy array files.
    Npy,
    /// Parquet with a `geo` footer.
    Geoparquet,
    /// Parquet without one.
    Parquet,
    /// Comma-separated text.
    Csv,
    /// Raw numbers with a table of offsets.
    Dat,
    /// STAC items that point at tables.
    Stac,
    /// Weights of a model; vectors are computed.
    Weights,
    /// Nothing: vectors are computed by a formula.
    Formula,
    /// A cloud table behind a form.
    Bigquery,
    /// An Earth Engine collection.
    EarthEngine,
}

/// The shape in which a format hands out vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// Vectors on the pixels of a grid.
    Raster,
    /// Vectors in the rows of a table.
    Table,
    /// Vectors computed from coordinates.
    Computed,
}

/// The model behind the vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Its name, with the pooling where that matters.
    pub name: String,
    /// Who made the product.
    pub publisher: Option<String>,
    /// Licence of the weights.
    pub weights_licence: Option<String>,
    /// Where the weights are.
    pub weights_url: Option<String>,
    /// The paper about the model.
    pub paper: Option<Citation>,
}

/// One of several runs published side by side. What it does not say is as in the product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// The word after `@`: `tessera-zarr@1.1-dclimate`.
    pub id: String,
    /// Used when the caller names none. At most one.
    #[serde(default)]
    pub default: bool,
    /// The encoder's architecture, where it differs.
    pub architecture: Option<String>,
    /// Numbers per vector, where it differs.
    pub dimension: Option<u32>,
    /// Type of number, where it differs.
    #[serde(default, with = "dtype_name")]
    pub dtype: Option<DType>,
    /// Path below the host's address.
    pub path: Option<String>,
    /// Its own address, where it is not below the product's hosts.
    pub url: Option<String>,
    /// First and last year, both included, where they differ.
    pub years: Option<[i32; 2]>,
    /// Size of the archive.
    pub size: Option<String>,
    /// Number of vectors, where published.
    pub rows: Option<u64>,
    /// Digital object identifier of this variant.
    pub doi: Option<String>,
    /// What tells it from the others.
    pub note: Option<String>,
}

/// A place from which the product can be had.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Who serves it.
    pub name: String,
    /// The root of the product there. The scheme is the protocol.
    pub url: String,
    /// What one needs to read it.
    pub access: Access,
    /// The format there, when it is not the product's.
    pub format: Option<Format>,
    /// Region of an S3 bucket.
    pub region: Option<String>,
    /// What to know about this place.
    pub note: Option<String>,
}

/// What one needs to read from a host. Ordered: easiest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Nothing.
    Anonymous,
    /// An account that pays for the transfer.
    RequesterPays,
    /// An account or an approval.
    Login,
}

/// Which columns of a table hold what. Several accepted names each, the first one present is used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSpec {
    /// The vector.
    #[serde(default)]
    pub vector: Vec<String>,
    /// For vectors spread over one column per number: the name pattern, as in `bands`. Without a name: the
    /// `count` columns that come after the others named here.
    pub vector_columns: Option<BandNames>,
    /// The geometry (WKB or native).
    #[serde(default)]
    pub geometry: Vec<String>,
    /// Longitude, where it is a column.
    #[serde(default)]
    pub lon: Vec<String>,
    /// Latitude, where it is a column.
    #[serde(default)]
    pub lat: Vec<String>,
    /// Time.
    #[serde(default)]
    pub time: Vec<String>,
    /// What identifies a row.
    #[serde(default)]
    pub id: Vec<String>,
    /// The bounding box of a row, a struct of `xmin`, `ymin`, `xmax`, `ymax`.
    #[serde(default)]
    pub bbox: Vec<String>,
    /// Keys of a hive-partitioned folder, outermost first.
    #[serde(default)]
    pub partitions: Vec<String>,
    /// A file that lists the others.
    pub manifest: Option<String>,
    /// How a row is told that stands in two files, because files overlap. Absent: none does.
    pub duplicates: Option<Duplicates>,
}

/// How a row is told that stands in two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duplicates {
    /// Its centre is that of another row, to 1e-7 degrees. The first one is kept, in the order of paths.
    Centre,
}

/// Something to cite. At least one field is given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Citation {
    /// Title or full reference.
    pub title: Option<String>,
    /// arXiv number, `2507.22291`.
    pub arxiv: Option<String>,
    /// Digital object identifier, `10.…/…`.
    pub doi: Option<String>,
    /// A page, where there is no identifier.
    pub url: Option<String>,
}

impl Kind {
    /// The word in descriptors and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pixel => "pixel",
            Self::Patch => "patch",
            Self::Location => "location",
            Self::Region => "region",
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        [Self::Pixel, Self::Patch, Self::Location, Self::Region]
            .into_iter()
            .find(|kind| kind.name() == word)
            .ok_or_else(|| format!("{word:?} is no kind of product: pixel, patch, location or region"))
    }
}

impl Format {
    /// How people write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cog => "COG",
            Self::Geotiff => "GeoTIFF",
            Self::Vrt => "VRT",
            Self::Zarr => "Zarr",
            Self::Icechunk => "Icechunk",
            Self::Npy => "NPY",
            Self::Geoparquet => "GeoParquet",
            Self::Parquet => "Parquet",
            Self::Csv => "CSV",
            Self::Dat => "raw numbers (.dat)",
            Self::Stac => "STAC",
            Self::Weights => "weights",
            Self::Formula => "formula",
            Self::Bigquery => "BigQuery",
            Self::EarthEngine => "Earth Engine",
        }
    }

    /// The shape in which it hands out vectors.
    #[must_use]
    pub fn form(self) -> Form {
        match self {
            Self::Cog
            | Self::Geotiff
            | Self::Vrt
            | Self::Zarr
            | Self::Icechunk
            | Self::Npy
            | Self::EarthEngine => Form::Raster,
            Self::Geoparquet | Self::Parquet | Self::Csv | Self::Dat | Self::Stac | Self::Bigquery => {
                Form::Table
            }
            Self::Weights | Self::Formula => Form::Computed,
        }
    }
}

impl Access {
    /// The word in descriptors.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::RequesterPays => "requester-pays",
            Self::Login => "login",
        }
    }
}

impl Descriptor {
    /// The architecture of the encoder in this variant, as [`terravec_location::EncoderId`] names it.
    #[must_use]
    pub fn architecture<'a>(&'a self, variant: Option<&'a Variant>) -> Option<&'a str> {
        let own = self.encoder.as_ref().and_then(|e| e.architecture.as_deref());
        variant.and_then(|v| v.architecture.as_deref()).or(own)
    }

    /// The files that this variant of an encoder is computed from.
    pub fn weights_of<'a>(&'a self, variant: Option<&'a Variant>) -> impl Iterator<Item = &'a WeightsFile> {
        let id = variant.map(|v| v.id.as_str());
        self.weights.iter().filter(move |w| w.variant.is_none() || w.variant.as_deref() == id)
    }

    /// The licence of the weights: the model's, else that of the vectors.
    #[must_use]
    pub fn weights_licence(&self) -> Option<&str> {
        self.model.as_ref().and_then(|m| m.weights_licence.as_deref()).or(self.licence.as_deref())
    }

    /// The variant of this id, without regard to case.
    #[must_use]
    pub fn variant(&self, id: &str) -> Option<&Variant> {
        self.variants.iter().find(|variant| variant.id.eq_ignore_ascii_case(id))
    }

    /// The variant used when the caller names none: the one marked default, or the only one.
    #[must_use]
    pub fn default_variant(&self) -> Option<&Variant> {
        match self.variants.as_slice() {
            [only] => Some(only),
            several => several.iter().find(|variant| variant.default),
        }
    }

    /// Numbers per vector in this variant (`None`: in the product).
    #[must_use]
    pub fn dimension_of(&self, variant: Option<&Variant>) -> Option<u32> {
        variant.and_then(|v| v.dimension).or(self.dimension)
    }

    /// The name of the vector space: vectors may be compared only when it is equal.
    ///
    /// Layouts of one family share it; variants do not.
    #[must_use]
    pub fn space(&self, variant: Option<&Variant>) -> String {
        let family = self.family.as_deref().unwrap_or(&self.id);
        match variant.or_else(|| self.default_variant()) {
            Some(variant) => format!("{family}@{}", variant.id),
            None => family.to_owned(),
        }
    }

    /// The easiest access any host gives.
    #[must_use]
    pub fn access(&self) -> Option<Access> {
        self.hosts.iter().map(|host| host.access).min()
    }

    /// Whether vectors for this calendar year are published (a product without years: no).
    #[must_use]
    pub fn covers_year(&self, year: i32) -> bool {
        self.time.as_ref().is_some_and(|time| time.covers_year(year))
            || self
                .variants
                .iter()
                .any(|v| v.years.is_some_and(|[first, last]| (first..=last).contains(&year)))
    }
}

/// `dtype = "int8"`: NumPy names in files, [`DType`] in memory.
mod dtype_name {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
    use terravec_io::DType;

    #[allow(clippy::trivially_copy_pass_by_ref, clippy::ref_option, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(dtype: &Option<DType>, to: S) -> Result<S::Ok, S::Error> {
        dtype.map(DType::name).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<DType>, D::Error> {
        let Some(name) = Option::<String>::deserialize(from)? else { return Ok(None) };
        DType::from_name(&name).map(Some).ok_or_else(|| {
            D::Error::custom(format!(
                "{name:?} is no type of number: int8, uint8, int16, uint16, int32, uint32, float16, float32 or float64"
            ))
        })
    }
}
