//! STAC: catalogues that say where the files of a product are. Files of a catalogue, pages of an API, or one list of items are read; which
//! file of an item holds vectors is what the descriptor says, or the only one that could.

mod item;

use std::collections::HashSet;

use item::{Object, resolve};
use terravec_io::source::{self, Location};

use super::open::at_once;
use super::register::Listed;
use crate::catalog::Descriptor;
use crate::error::{Error, Result};

/// Items that are read; more are no list to be kept in memory.
const MOST_ITEMS: usize = 1_000_000;
/// Catalogues within catalogues.
const MOST_LEVELS: usize = 8;
/// Items of a page.
const PAGE: usize = 1000;

/// Whether a catalogue is to be looked for at `root`.
pub(super) fn maybe(root: &Location, product: Option<&Descriptor>) -> bool {
    let name = root.file_name().to_ascii_lowercase();
    if name.ends_with(".json") || name.ends_with(".geojson") {
        return root.is_remote() || root.path().is_some_and(std::path::Path::is_file);
    }
    let described = product.is_some_and(|p| p.stac.is_some());
    described && root.is_remote() && !root.is_listable() && !name.contains(".parquet")
}

/// The files that the catalogue at `root` names.
///
/// # Errors
/// If there is none, it can't be read, or its items name no file of vectors.
pub(super) fn read(root: &Location, product: Option<&Descriptor>) -> Result<Vec<Listed>> {
    let spec = product.and_then(|p| p.stac.as_ref());
    let object = document(root)?;
    if object.stac_version.is_none() && object.features.is_none() && object.collections.is_none() {
        return Err(Error::open(
            format!("{root}: no STAC catalogue, collection or list of items"),
            "open the catalog.json or collection.json of a catalogue, or the address of its API",
        ));
    }
    let mut walk = Walk {
        asset: spec.and_then(|s| s.asset.as_deref()),
        collection: spec.and_then(|s| s.collection.as_deref()),
        product,
        found: Vec::new(),
        without: 0,
        names: HashSet::new(),
        seen: HashSet::new(),
    };
    walk.object(root, object)?;
    if walk.found.is_empty() {
        let mut names: Vec<String> = walk.names.into_iter().collect();
        names.sort_unstable();
        let what = match walk.without {
            0 => "the catalogue has no item".to_owned(),
            n => format!("none of its {n} items has a file of vectors; they have: {}", names.join(", ")),
        };
        let help = "name its collection and asset in [stac] of a descriptor, or open the files themselves";
        return Err(Error::open(format!("{root}: {what}"), help));
    }
    walk.found.sort_by(|a, b| a.path.cmp(&b.path));
    walk.found.dedup_by(|a, b| a.path == b.path);
    Ok(walk.found)
}

fn document(location: &Location) -> Result<Object> {
    let bytes = source::document(location)?;
    serde_json::from_slice(&bytes).map_err(|e| {
        Error::open(format!("{location}: no STAC object: {e}"), "check the address of the catalogue")
    })
}

struct Walk<'a> {
    asset: Option<&'a str>,
    collection: Option<&'a str>,
    product: Option<&'a Descriptor>,
    found: Vec<Listed>,
    /// Items without a file of vectors, and what their assets are called.
    without: usize,
    names: HashSet<String>,
    /// Documents that were read.
    seen: HashSet<String>,
}

impl Walk<'_> {
    fn object(&mut self, at: &Location, object: Object) -> Result<()> {
        if object.features.is_some() {
            return self.pages(at, object);
        }
        if let Some(collections) = object.collections {
            return self.choose(at, &collections);
        }
        if object.kind.as_deref() == Some("Feature") {
            return self.item(at, &object);
        }
        if let Some(items) = object.link("items") {
            let items = resolve(at, &items.href)?;
            return self.api(&items);
        }
        if let Some(data) = object.link("data").filter(|_| object.link("search").is_some()) {
            let data = resolve(at, &data.href)?;
            let list = document(&data)?;
            return self.object(&data, list);
        }
        self.files(at, object)
    }

    /// The collections of an API.
    fn choose(&mut self, at: &Location, collections: &[Object]) -> Result<()> {
        let ids = || collections.iter().filter_map(|c| c.id.clone()).collect::<Vec<_>>().join(", ");
        let wanted = |c: &&Object| self.collection.is_none_or(|id| c.id.as_deref() == Some(id));
        let found: Vec<&Object> = collections.iter().filter(wanted).collect();
        let [one] = found.as_slice() else {
            return Err(Error::open(
                format!(
                    "{at}: the catalogue has several collections, or not the one that is wanted: {}",
                    ids()
                ),
                "open one of them: …/collections/ID",
            ));
        };
        let items = one.link("items").ok_or_else(|| {
            Error::open(
                format!("{at}: the collection does not say where its items are"),
                "tell its publisher",
            )
        })?;
        let items = resolve(at, &items.href)?;
        self.api(&items)
    }

    /// All pages of the items of a collection.
    fn api(&mut self, items: &Location) -> Result<()> {
        let address = items.typed();
        let sign = if address.contains('?') { '&' } else { '?' };
        let first = match items.is_remote() {
            true => Location::new(format!("{address}{sign}limit={PAGE}")),
            false => items.clone(),
        };
        let page = document(&first)?;
        self.pages(&first, page)
    }

    fn pages(&mut self, at: &Location, page: Object) -> Result<()> {
        let (mut at, mut page) = (at.clone(), page);
        loop {
            if !self.seen.insert(at.typed().to_owned()) {
                return Err(Error::open(
                    format!("{at}: the pages of items go round in a circle"),
                    "tell its publisher",
                ));
            }
            for item in page.features.iter().flatten() {
                self.item(&at, item)?;
            }
            let Some(next) = page.link("next") else { return Ok(()) };
            if next.method.as_deref().is_some_and(|m| !m.eq_ignore_ascii_case("get")) {
                return Err(Error::open(
                    format!("{at}: the next page has to be asked for by {:?}", next.method),
                    "open the address of a collection: …/collections/ID",
                ));
            }
            at = resolve(&at, &next.href)?;
            page = document(&at)?;
        }
    }

    fn item(&mut self, at: &Location, item: &Object) -> Result<()> {
        match item.listed(at, self.asset, self.product)? {
            Some(listed) if self.found.len() < MOST_ITEMS => self.found.push(listed),
            Some(_) => {
                return Err(Error::open(
                    format!("{at}: the catalogue has more than {MOST_ITEMS} items"),
                    "open one of its collections or folders",
                ));
            }
            None => {
                self.without += 1;
                if self.names.len() < 20 {
                    self.names.extend(item.assets.keys().cloned());
                }
            }
        }
        Ok(())
    }

    /// The items of a catalogue of files, level by level.
    fn files(&mut self, at: &Location, object: Object) -> Result<()> {
        let mut level = vec![(at.clone(), object)];
        for _ in 0..MOST_LEVELS {
            let mut next = Vec::new();
            for (at, object) in &level {
                for link in object.links.iter().filter(|l| l.rel == "child" || l.rel == "item") {
                    let to = resolve(at, &link.href)?;
                    if self.seen.insert(to.typed().to_owned()) {
                        next.push(to);
                    }
                }
            }
            if next.is_empty() {
                return Ok(());
            }
            if self.seen.len() > MOST_ITEMS {
                return Err(Error::open(
                    format!("{at}: the catalogue has too many files"),
                    "open a part of it",
                ));
            }
            level = Vec::new();
            for (to, object) in next.iter().zip(at_once(&next, document)?) {
                let object = object?;
                if object.kind.as_deref() == Some("Feature") {
                    self.item(to, &object)?;
                } else if self.collection.is_none_or(|id| {
                    object.kind.as_deref() != Some("Collection") || object.id.as_deref() == Some(id)
                }) {
                    level.push((to.clone(), object));
                }
            }
        }
        Err(Error::open(
            format!("{at}: catalogues within catalogues, deeper than {MOST_LEVELS}"),
            "open a part of it",
        ))
    }
}
