//! Where the files of an encoder are: at a path that was given, or in the cache.
//!
//! A folder given as `ID=FOLDER` and the cache have one layout: files by the names that the descriptor gives them. Beside a
//! file in the cache stands its checksum, `FILE.sha256`, as `sha256sum` writes it.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use terravec_io::source::{Location, hex};

use crate::catalog::{Descriptor, Variant, WeightsFile, WeightsRole};
use crate::dataset::OpenOptions;
use crate::error::{Error, Result};

/// The files of one encoder.
#[derive(Debug, Clone, Default)]
pub(super) struct Files {
    pub(super) network: Option<PathBuf>,
    pub(super) database: Option<PathBuf>,
    /// Whether they are in the cache.
    pub(super) cached: bool,
}

/// What is there and what should be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct WeightsSummary {
    /// `network` or `database`.
    pub role: WeightsRole,
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, hexadecimal.
    pub sha256: String,
    /// Whether it is the published file, byte for byte; absent where no checksum is published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<bool>,
}

/// The product and variant of `ID` or `ID@VARIANT`, with their names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) product: &'a Descriptor,
    pub(super) variant: Option<&'a Variant>,
}

impl Named<'_> {
    /// The descriptor's entry for a file of this role.
    pub(super) fn published(&self, role: WeightsRole) -> Option<&WeightsFile> {
        self.product.weights_of(self.variant).find(|w| w.role == role)
    }

    /// As a user writes it.
    pub(super) fn spec(&self) -> String {
        match self.variant {
            Some(v) if !v.default => format!("{}@{}", self.product.id, v.id),
            _ => self.product.id.clone(),
        }
    }

    /// The files at `given`: the network's, or a folder that holds all of them.
    pub(super) fn at(&self, given: &str, needs_database: bool) -> Result<Files> {
        if given.contains("://") {
            return Err(Error::open(
                format!("{}: weights are read from files, not from addresses", Location::new(given)),
                format!("fetch it first: `terravec download {}`, or with any other tool", self.spec()),
            ));
        }
        let path = Path::new(given);
        if path.is_dir() {
            let member = |role| {
                let file = self.published(role).ok_or_else(|| {
                    Error::open(
                        format!(
                            "{given} is a folder, and the names of the files of {} are unknown",
                            self.spec()
                        ),
                        format!("name the file: {}=FILE", self.product.id),
                    )
                })?;
                let path = path.join(&file.file);
                if path.is_file() {
                    return Ok(path);
                }
                Err(Error::open(
                    format!("{given}: there is no {} in this folder", file.file),
                    format!(
                        "{} is computed from it; name the file itself if it is called otherwise",
                        self.spec()
                    ),
                ))
            };
            let database = needs_database.then(|| member(WeightsRole::Database)).transpose()?;
            return Ok(Files { network: Some(member(WeightsRole::Network)?), database, cached: false });
        }
        if needs_database {
            let names: Vec<&str> = self.product.weights_of(self.variant).map(|w| w.file.as_str()).collect();
            return Err(Error::open(
                format!("{} needs a database beside its weights, and {given} is one file", self.spec()),
                format!("put {} into one folder and write {}=FOLDER", names.join(" and "), self.product.id),
            ));
        }
        Ok(Files { network: Some(path.to_path_buf()), ..Files::default() })
    }

    /// The files in the cache.
    pub(super) fn in_cache(&self, options: &OpenOptions, needs_database: bool) -> Result<Files> {
        let find = |role| -> Option<PathBuf> {
            let path = cache_path(self.product, self.published(role)?, options)?;
            path.is_file().then_some(path)
        };
        let files = Files {
            network: find(WeightsRole::Network),
            database: if needs_database { find(WeightsRole::Database) } else { None },
            cached: true,
        };
        if files.network.is_some() && (files.database.is_some() || !needs_database) {
            return Ok(files);
        }
        let licence = self.product.weights_licence().unwrap_or("unknown");
        let help = if self.published(WeightsRole::Network).is_some() {
            format!(
                "`terravec download {}` fetches them (licence: {licence}); a copy is opened as {}=WEIGHTS",
                self.spec(),
                self.product.id
            )
        } else {
            let hosts: Vec<&str> = self.product.hosts.iter().map(|h| h.url.as_str()).collect();
            format!("fetch them from {} and write {}=WEIGHTS", hosts.join(" or "), self.product.id)
        };
        Err(Error::open(
            format!("{} is computed from published weights, which are not here", self.spec()),
            help,
        ))
    }
}

/// Where a file of a product is, or would be, in the cache: `weights/ID/FILE`, or `weights/ID/VARIANT/FILE` where the
/// file belongs to one variant.
pub(super) fn cache_path(product: &Descriptor, file: &WeightsFile, options: &OpenOptions) -> Option<PathBuf> {
    let mut path = options.cache()?.join("weights").join(&product.id);
    path.extend(&file.variant);
    Some(path.join(&file.file))
}

/// The SHA-256 of a file, hexadecimal.
pub(crate) fn checksum(path: &Path) -> Result<String> {
    let read = || -> std::io::Result<String> {
        let (mut file, mut hash, mut buffer) = (File::open(path)?, Sha256::new(), vec![0; 1 << 20]);
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hex(&hash.finalize())),
                n => hash.update(&buffer[..n]),
            }
        }
    };
    read().map_err(|e| {
        Error::open(format!("{}: {e}", path.display()), "check that the file is there and may be read")
    })
}

/// Where the checksum of a file in the cache is kept.
pub(super) fn kept_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".sha256");
    path.with_file_name(name)
}

/// The checksum kept when a file was fetched.
pub(super) fn kept(path: &Path) -> Option<String> {
    let text = fs::read_to_string(kept_path(path)).ok()?;
    Some(text.split_whitespace().next()?.to_owned())
}

/// Refuses a file in the cache that is no longer what was fetched. `sha256` is its checksum now.
pub(super) fn check_cached(path: &Path, sha256: &str, spec: &str) -> Result<()> {
    match kept(path) {
        Some(kept) if kept == sha256 => Ok(()),
        kept => Err(Error::open(
            format!(
                "{}: the file is not the one that was fetched (sha256 {sha256}, not {})",
                path.display(),
                kept.as_deref().unwrap_or("known")
            ),
            format!("fetch it again: `terravec download {spec} --force`"),
        )),
    }
}
