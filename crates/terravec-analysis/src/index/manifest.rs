//! What an index is made of: a JSON file that names its segments, replaced in one step whenever they change.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use terravec::{Error, Provenance, Result};
use terravec_io::atomic::PendingFile;

use super::list::checksum;
use super::segment::{Segment, broken, failed};
use crate::cluster::Centres;
use crate::search::Metric;

const FORMAT: &str = "terravec-index";
const MANIFEST: &str = "index.json";
/// Larger manifests, lists and vectors than these are taken for damage.
const MOST_MANIFEST: u64 = 64 << 20;
const MOST_LISTS: usize = 1 << 20;
const MOST_DIM: usize = 1 << 20;

/// How well the index answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recall {
    /// Results that were compared with those of an exact search.
    pub k: usize,
    /// Rows of the index that were asked for their neighbours.
    pub queries: usize,
    /// Lists that were looked at, and the part of the exact results that were found.
    pub measured: Vec<(usize, f64)>,
}

/// What the index says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    format: String,
    version: u32,
    /// `cosine`, `dot` or `l2`.
    pub metric: String,
    /// Numbers of a vector.
    pub dimension: usize,
    /// Lists.
    pub lists: usize,
    /// Lists that a search looks at, if it is not told otherwise.
    pub probes: usize,
    /// Rows, the deleted among them.
    pub rows: u64,
    /// Rows that were deleted.
    pub deleted: u64,
    /// Rows that were left out: without a direction.
    pub without_direction: u64,
    /// How well it answers, as measured when it was built.
    pub recall: Option<Recall>,
    /// Where the vectors come from.
    pub provenance: Provenance,
    pub(super) centres: Part,
    pub(super) segments: Vec<String>,
    pub(super) deleted_rows: Option<Part>,
    /// Number of the next file.
    pub(super) next: u64,
}

/// A file that is read whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) file: String,
    pub(super) checksum: u32,
}

/// An open index.
#[derive(Debug)]
pub struct Index {
    pub(super) dir: PathBuf,
    pub(super) manifest: Manifest,
    pub(super) metric: Metric,
    pub(super) centres: Centres,
    pub(super) segments: Vec<Segment>,
    pub(super) deleted: HashSet<u64>,
}

impl Manifest {
    pub(super) fn new(metric: Metric, dimension: usize, lists: usize, provenance: Provenance) -> Self {
        Self {
            format: FORMAT.into(),
            version: 1,
            metric: metric.name().into(),
            dimension,
            lists,
            probes: lists,
            rows: 0,
            deleted: 0,
            without_direction: 0,
            recall: None,
            provenance,
            centres: Part { file: String::new(), checksum: 0 },
            segments: Vec::new(),
            deleted_rows: None,
            next: 0,
        }
    }

    /// A new file name.
    pub(super) fn name(&mut self, what: &str) -> String {
        self.next += 1;
        format!("{what}-{:06}.bin", self.next)
    }

    pub(super) fn save(&self, dir: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        put(&dir.join(MANIFEST), text.as_bytes())
    }
}

/// Writes a small file, whole or not at all.
pub(super) fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        let pending = PendingFile::create(path)?;
        pending.file().write_all(bytes)?;
        pending.commit()
    };
    write().map_err(|e| failed(path, e))
}

/// Whether a folder holds an index.
#[must_use]
pub fn is_index(dir: &Path) -> bool {
    dir.join(MANIFEST).is_file()
}

impl Index {
    /// Opens an index and checks it.
    ///
    /// # Errors
    /// If there is none, or it is damaged.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join(MANIFEST);
        let shown = path.display();
        let size = std::fs::metadata(&path).map_err(|e| {
            Error::open(
                format!("{}: no index is there ({e})", dir.display()),
                "make one with `terravec index build`",
            )
        })?;
        if size.len() > MOST_MANIFEST {
            return Err(broken(&shown, "too large for a manifest"));
        }
        let text = std::fs::read_to_string(&path).map_err(|e| broken(&shown, &e.to_string()))?;
        let manifest: Manifest = serde_json::from_str(&text).map_err(|e| broken(&shown, &e.to_string()))?;
        let m = &manifest;
        let names =
            || m.segments.iter().chain([&m.centres.file]).chain(m.deleted_rows.iter().map(|p| &p.file));
        let plain = |n: &String| !n.is_empty() && !n.contains(['/', '\\']) && !n.starts_with('.');
        let sane = (1..=MOST_LISTS).contains(&m.lists) && (1..=MOST_DIM).contains(&m.dimension);
        if m.format != FORMAT || m.version != 1 || !sane || !names().all(plain) {
            return Err(broken(&shown, "no manifest of an index that this version knows"));
        }
        let metric: Metric = m.metric.parse().map_err(|e: String| broken(&shown, &e))?;
        let values = numbers(&read(dir, &m.centres, m.lists as u64 * m.dimension as u64 * 4)?);
        let centres = Centres {
            values,
            dim: m.dimension,
            spherical: metric == Metric::Cosine,
            inertia: 0.0,
            iterations: 0,
        };
        let segments = m
            .segments
            .iter()
            .map(|name| Segment::open(&dir.join(name), m.dimension, m.lists))
            .collect::<Result<_>>()?;
        let deleted = match &m.deleted_rows {
            None => HashSet::new(),
            Some(part) => {
                let bytes = read(dir, part, m.deleted.saturating_mul(8))?;
                let row = |b: &[u8]| u64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]);
                bytes.chunks_exact(8).map(row).collect()
            }
        };
        Ok(Self { dir: dir.into(), metric, centres, segments, deleted, manifest })
    }

    /// What the index says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Refuses vectors of another product, version or length.
    ///
    /// # Errors
    /// If they are.
    pub fn check(&self, provenance: &Provenance) -> Result<()> {
        let own = &self.manifest.provenance;
        if own.same_space(provenance) && self.manifest.dimension == provenance.dimension {
            return Ok(());
        }
        Err(Error::query(
            format!(
                "the index holds vectors of {}, {} numbers, and not of {}, {} numbers",
                crate::pca::named(own),
                self.manifest.dimension,
                crate::pca::named(provenance),
                provenance.dimension
            ),
            "build an index of this product and version",
        ))
    }
}

/// A file of a known length, compared with its checksum.
fn read(dir: &Path, part: &Part, size: u64) -> Result<Vec<u8>> {
    let path = dir.join(&part.file);
    let shown = path.display();
    let held = std::fs::metadata(&path).map_err(|e| broken(&shown, &e.to_string()))?;
    if held.len() != size {
        return Err(broken(&shown, &format!("{} bytes instead of {size}", held.len())));
    }
    let bytes = std::fs::read(&path).map_err(|e| broken(&shown, &e.to_string()))?;
    if checksum(&bytes) != part.checksum {
        return Err(broken(&shown, "damaged"));
    }
    Ok(bytes)
}

fn numbers(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}
