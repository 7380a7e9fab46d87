//! What is known of each product, as data.
//!
//! A [`Catalog`] holds [`Descriptor`]s: the built-in ones and those of the user's own TOML files. Nothing else
//! in the engine knows a product by name; a new product is a new file.

mod builtin;
mod codec;
mod descriptor;
mod encoder;
mod load;
mod naming;
mod place;
pub mod render;
mod suggest;
mod time;
mod validate;

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

pub use codec::{BitDistance, CodecSpec, MissingRule, ScaleMeaning};
pub use descriptor::{
    Access, Citation, Descriptor, Form, Format, Host, Kind, Model, StacSpec, TableSpec, Variant,
};
pub use encoder::{CoordinateOrder, EncoderSpec, EncoderTime, Precision, WeightsFile, WeightsRole};
pub use load::{Problem, parse_descriptor};
pub use naming::{BandNames, GROUPS, Georeference, TileManifest, TileName, TileNaming};
pub use place::{CrsRule, Extent, GridSpec, Lattice, Resolution, RowOrder};
pub(crate) use suggest::near;
pub use time::{Date, Interval, IntervalRule, TimeScope, TimeSpec};

/// The known products, in order of id.
#[derive(Debug, Clone)]
pub struct Catalog {
    products: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    descriptor: Arc<Descriptor>,
    file: String,
}

/// Which products to list. Empty lists all; conditions add up.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this kind.
    pub kind: Option<Kind>,
    /// Only products with vectors for this calendar year.
    pub year: Option<i32>,
    /// Only licences with this text in them, without regard to case.
    pub licence: Option<String>,
    /// Only products one of whose hosts has this text in its name or address, without regard to case.
    pub host: Option<String>,
}

/// What went wrong with the catalog.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// A file or folder could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A folder without descriptors.
    #[error("no .toml file in {}", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// One or more problems in a descriptor file, in the order in which they were found.
    #[error("{}", .0.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<Problem>),
    /// Two descriptors of one name.
    #[error("{file}: {name:?} is taken by {first}")]
    Duplicate {
        /// The id or alias.
        name: String,
        /// The file that brings it again.
        file: String,
        /// The file that has it.
        first: String,
    },
    /// No product of this name.
    #[error("unknown product {name:?}")]
    UnknownProduct {
        /// The name asked for.
        name: String,
        /// Ids that look like it.
        suggestions: Vec<String>,
    },
    /// The product has no such variant.
    #[error("product {product} has no variant {variant:?}")]
    UnknownVariant {
        /// The product.
        product: String,
        /// The variant asked for.
        variant: String,
        /// Those it has.
        available: Vec<String>,
    },
}

impl CatalogError {
    /// What the user can do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Duplicate { .. } => {
                Some("choose another id, or set `replace = true` in the new file to use it instead".into())
            }
            Self::UnknownProduct { suggestions, .. } if !suggestions.is_empty() => {
                Some(format!("did you mean {}?", suggestions.join(" or ")))
            }
            Self::UnknownProduct { .. } => Some("`terravec products` lists what is known".into()),
            Self::UnknownVariant { available, .. } if !available.is_empty() => {
                Some(format!("it has {}", available.join(", ")))
            }
            Self::UnknownVariant { .. } => Some("leave out the part after '@'".into()),
            Self::Empty { .. } => Some("give a folder with one descriptor per .toml file, or a file".into()),
            Self::Read { .. } | Self::Invalid(_) => None,
        }
    }
}

impl Catalog {
    /// The products terravec comes with.
    ///
    /// # Panics
    /// Never with the files it is built from: a test loads each.
    #[must_use]
    pub fn builtin() -> Self {
        static BUILTIN: LazyLock<Catalog> = LazyLock::new(|| {
            let mut catalog = Catalog::empty();
            for (file, text) in builtin::BUILTIN {
                if let Err(e) = catalog.add_text(file, text) {
                    panic!("a built-in descriptor is broken: {e}");
                }
            }
            catalog
        });
        BUILTIN.clone()
    }

    /// A catalog without products.
    #[must_use]
    pub fn empty() -> Self {
        Self { products: Vec::new() }
    }

    /// Adds the descriptors of a TOML file, or of every `*.toml` directly in a folder (by name).
    ///
    /// # Errors
    /// What cannot be read, parsed or does not hold; an id or alias that is taken, unless the new descriptor
    /// says `replace = true`. After an error the catalog is as before.
    pub fn load_path(&mut self, path: &Path) -> Result<(), CatalogError> {
        let read = |source| CatalogError::Read { path: path.to_owned(), source };
        let mut files = vec![path.to_owned()];
        if path.is_dir() {
            let entries = std::fs::read_dir(path).map_err(read)?;
            files = entries.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>().map_err(read)?;
            files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
            files.sort();
            if files.is_empty() {
                return Err(CatalogError::Empty { path: path.to_owned() });
            }
        }
        let mut extended = self.clone();
        for file in files {
            let text = std::fs::read_to_string(&file)
                .map_err(|source| CatalogError::Read { path: file.clone(), source })?;
            extended.add_text(&file.display().to_string(), &text)?;
        }
        *self = extended;
        Ok(())
    }

    /// Adds one descriptor from its text. `file` is only a name for messages.
    ///
    /// # Errors
    /// As [`Catalog::load_path`].
    pub fn add_text(&mut self, file: &str, text: &str) -> Result<(), CatalogError> {
        let descriptor = parse_descriptor(file, text).map_err(CatalogError::Invalid)?;
        if descriptor.replace {
            self.products.retain(|entry| entry.descriptor.id != descriptor.id);
        }
        for name in std::iter::once(&descriptor.id).chain(&descriptor.aliases) {
            if let Some(taken) = self.products.iter().find(|entry| entry.descriptor.is_called(name)) {
                return Err(CatalogError::Duplicate {
                    name: name.clone(),
                    file: file.to_owned(),
                    first: taken.file.clone(),
                });
            }
        }
        let place = self.products.partition_point(|entry| entry.descriptor.id < descriptor.id);
        self.products.insert(place, Entry { descriptor: Arc::new(descriptor), file: file.to_owned() });
        Ok(())
    }

    /// All products, in order of id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Descriptor> {
        self.products.iter().map(|entry| &*entry.descriptor)
    }

    /// The product of this id or alias, without regard to case.
    ///
    /// # Errors
    /// No such product; the error carries ids that look like it.
    pub fn get(&self, name: &str) -> Result<Arc<Descriptor>, CatalogError> {
        let wanted = name.to_ascii_lowercase();
        match self.products.iter().find(|entry| entry.descriptor.is_called(&wanted)) {
            Some(entry) => Ok(Arc::clone(&entry.descriptor)),
            None => Err(CatalogError::UnknownProduct {
                name: name.to_owned(),
                suggestions: suggest::like(&wanted, self),
            }),
        }
    }

    /// The product and variant that `id` or `id@variant` names; without `@` the default variant, if any.
    ///
    /// # Errors
    /// No such product or variant.
    pub fn resolve(&self, name: &str) -> Result<(Arc<Descriptor>, Option<Variant>), CatalogError> {
        let Some((id, wanted)) = name.split_once('@') else {
            let descriptor = self.get(name)?;
            let variant = descriptor.default_variant().cloned();
            return Ok((descriptor, variant));
        };
        let descriptor = self.get(id)?;
        match descriptor.variant(wanted).cloned() {
            Some(variant) => Ok((descriptor, Some(variant))),
            None => Err(CatalogError::UnknownVariant {
                product: descriptor.id.clone(),
                variant: wanted.to_owned(),
                available: descriptor.variants.iter().map(|v| v.id.clone()).collect(),
            }),
        }
    }

    /// The products that meet all conditions, in order of id.
    #[must_use]
    pub fn filter(&self, filter: &Filter) -> Vec<&Descriptor> {
        let has = |text: &str, part: &str| text.to_lowercase().contains(&part.to_lowercase());
        let meets = |d: &&Descriptor| {
            filter.kind.is_none_or(|kind| d.kind == kind)
                && filter.year.is_none_or(|year| d.covers_year(year))
                && filter
                    .licence
                    .as_deref()
                    .is_none_or(|part| d.licence.as_deref().is_some_and(|l| has(l, part)))
                && filter
                    .host
                    .as_deref()
                    .is_none_or(|part| d.hosts.iter().any(|h| has(&h.name, part) || has(&h.url, part)))
        };
        self.iter().filter(meets).collect()
    }

    /// The products whose files are named like this path or URL, in order of id. Several may be.
    #[must_use]
    pub fn recognise(&self, path: &str) -> Vec<Arc<Descriptor>> {
        let named = |d: &Descriptor| d.tiles.as_ref().is_some_and(|tiles| tiles.parse(path).is_some());
        let found = self.products.iter().map(|entry| &entry.descriptor).filter(|d| named(d));
        found.cloned().collect()
    }
}

impl Descriptor {
    /// Whether this lower-case word is its id or an alias.
    fn is_called(&self, word: &str) -> bool {
        self.id == word || self.aliases.iter().any(|alias| alias == word)
    }
}
