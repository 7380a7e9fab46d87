//! From what a user types to a patch dataset: a file, a folder of files, or an address.

use std::sync::Arc;

use terravec_geo::BBox;
use terravec_io::DType;
use terravec_io::source::{self, Location};

use super::columns::{Columns, VectorColumns};
use super::file::{KEY_MARGIN, OpenFile, Table, is_table, is_text};
use super::summary::MANY;
use super::{PatchDataset, PatchFile, manifest};
use crate::catalog::{Catalog, Descriptor, Form, Variant};
use crate::dataset::Listed;
use crate::dataset::listing::Listing;
use crate::error::{Error, Result};

impl PatchDataset {
    /// Opens the tables at `root` as `product`, or as what they are taken for.
    ///
    /// # Errors
    /// If there is no table, or none whose columns of vectors and places are known.
    pub(crate) fn open(
        listing: &Listing,
        product: Option<(Arc<Descriptor>, Option<Variant>)>,
        catalog: &Catalog,
    ) -> Result<Self> {
        let (root, mut notes) = (listing.root().clone(), Vec::new());
        let listed = match product.as_ref().and_then(|(p, _)| manifest::find(p, &root)) {
            Some(manifest) => manifest::read(&manifest)?,
            None => paths(listing, &mut notes)?
                .into_iter()
                .map(|path| manifest::Entry { path, rows: None, bounds: None })
                .collect(),
        };
        let empty = || {
            Error::open(
                format!("{root}: there is no table in this folder"),
                "open a folder of .parquet or .csv files, or name the file",
            )
        };
        let first = listed.first().ok_or_else(empty)?.path.clone();
        let (product, variant) = known_or(product, &root, &first, catalog, &mut notes)?;
        // Files say best where their rows are; of very many far away, names have to do.
        let by_name = root.is_remote() && listed.len() > MANY;
        let files = listed.into_iter().map(|entry| {
            let mut file = PatchFile::new(&product, &entry.path, &root);
            file.rows = entry.rows;
            file.bounds = entry.bounds.or(file.bounds);
            if by_name {
                file.trust_name(&product);
            }
            file
        });
        let files = files.collect();
        Self { product, variant, root, files: Arc::new(files), notes, length: Arc::default() }.looked_at()
    }

    /// The tables that a catalogue names.
    ///
    /// # Errors
    /// If the first is no table whose columns of vectors and places are known.
    pub(crate) fn of_items(
        root: Location,
        items: Vec<Listed>,
        product: Option<(Arc<Descriptor>, Option<Variant>)>,
        catalog: &Catalog,
    ) -> Result<Self> {
        let mut notes = Vec::new();
        let first = items.first().map_or(String::new(), |l| l.path.clone());
        let (product, variant) = known_or(product, &root, &first, catalog, &mut notes)?;
        let files = items.into_iter().map(|item| {
            let mut file = PatchFile::new(&product, &item.path, &root);
            let b = &item.lonlat;
            // Across the antimeridian a box reaches over 180 degrees. Rows reach beyond the box of their centres.
            let east = if b.crosses_antimeridian() { b.east + 360.0 } else { b.east };
            file.bounds = Some(BBox::new(b.west, b.south, east, b.north).expand(KEY_MARGIN));
            file.interval = item.interval.or(file.interval);
            file
        });
        let files = files.collect();
        Self { product, variant, root, files: Arc::new(files), notes, length: Arc::default() }.looked_at()
    }

    /// The same, after a look at the first file.
    fn looked_at(self) -> Result<Self> {
        let dataset = self;
        // What is wrong with the first file is said now, not at the first question.
        let open = dataset.files[0].open(&dataset.product, &dataset.root)?;
        let mut notes = dataset.notes.clone();
        if let Table::Parquet(table) = &open.table {
            notes.extend_from_slice(table.notes());
        }
        notes.extend_from_slice(open.placer.notes());
        Ok(Self { notes, ..dataset })
    }
}

/// The product asked for, or the one that the first file is taken for.
fn known_or(
    product: Option<(Arc<Descriptor>, Option<Variant>)>,
    root: &Location,
    first: &str,
    catalog: &Catalog,
    notes: &mut Vec<String>,
) -> Result<(Arc<Descriptor>, Option<Variant>)> {
    if let Some(known) = product {
        return Ok(known);
    }
    let (product, note) = recognise(&root.join(first), first, catalog)?;
    notes.extend(note);
    let variant = product.default_variant().cloned();
    Ok((product, variant))
}

/// The tables of a folder, or the file itself.
fn paths(listing: &Listing, notes: &mut Vec<String>) -> Result<Vec<String>> {
    let root = listing.root();
    if root.is_listable() && !(root.is_remote() && is_table(root.file_name())) {
        let hidden = |path: &str| path.split('/').any(|part| part.starts_with(['.', '_']));
        let paths = listing.entries()?.iter().map(|e| e.path.clone());
        let tables = paths.filter(|p| is_table(p) && !hidden(p));
        let (texts, parquet): (Vec<_>, Vec<_>) = tables.partition(|p| is_text(p));
        if parquet.is_empty() {
            return Ok(texts);
        }
        if let Some(first) = texts.first() {
            // A README.txt is no table.
            notes.push(format!("text beside Parquet files is not read: {first}, {} in all", texts.len()));
        }
        return Ok(parquet);
    }
    if root.is_remote() && !is_table(root.file_name()) {
        return Err(source::SourceError::NotListable { url: root.to_string() }.into());
    }
    Ok(vec![String::new()])
}

/// The product of a table nobody named: by the name of the file, else by its columns; else a table without descriptor.
fn recognise(
    location: &Location,
    path: &str,
    catalog: &Catalog,
) -> Result<(Arc<Descriptor>, Option<String>)> {
    let named = if path.is_empty() { location.without_query() } else { path };
    for product in catalog.recognise(named).into_iter().filter(|p| p.format.form() == Form::Table) {
        if let Ok(open) = OpenFile::open(&product, location.clone())
            && open.stated_length().is_none_or(|n| fits(&product, n))
        {
            return Ok((product, None));
        }
    }
    let plain = generic(None, DType::F32)?;
    let open = OpenFile::open(&plain, location.clone())?;
    let dtype = dtype(&open).unwrap_or(DType::F32);
    Ok((
        generic(open.stated_length(), dtype)?,
        Some("no product recognised; opened as a plain table of vectors".to_owned()),
    ))
}

fn fits(product: &Descriptor, length: usize) -> bool {
    let is = |d: Option<u32>| d.is_some_and(|d| d as usize == length);
    is(product.dimension) || product.variants.iter().any(|v| is(v.dimension)) || product.dimension.is_none()
}

/// Type of the numbers, where it is one that codes have.
fn dtype(open: &OpenFile) -> Option<DType> {
    use arrow::datatypes::DataType;
    let Columns { vector, .. } = &open.columns;
    let column = match vector {
        VectorColumns::One(column) => *column,
        VectorColumns::Many(columns) => *columns.first()?,
    };
    let item = match open.schema.field(column).data_type() {
        DataType::FixedSizeList(item, _) | DataType::List(item) | DataType::LargeList(item) => {
            item.data_type().clone()
        }
        other => other.clone(),
    };
    DType::from_name(&item.to_string().to_ascii_lowercase())
}

/// A descriptor for a table that nobody described: floats are values, integers are codes.
fn generic(dimension: Option<usize>, dtype: DType) -> Result<Arc<Descriptor>> {
    let (dimension, unknown) = match dimension {
        Some(d) => (format!("dimension = {d}\n"), "[\"licence\"]"),
        None => (String::new(), "[\"dimension\", \"licence\"]"),
    };
    let codec = if dtype.is_float() {
        "\"identity\""
    } else {
        "{ unknown = { reason = \"the table holds integers and states no scale\" } }"
    };
    let toml = format!(
        "id = \"table\"\nname = \"A table of vectors without a descriptor\"\nsummary = \"Opened by what the file says of itself.\"\n\
         kind = \"patch\"\nformat = \"parquet\"\n{dimension}dtype = \"{dtype}\"\ncodec = {codec}\nunknown = {unknown}\n"
    );
    let mut catalog = Catalog::empty();
    catalog.add_text("(table)", &toml)?;
    Ok(catalog.get("table")?)
}
