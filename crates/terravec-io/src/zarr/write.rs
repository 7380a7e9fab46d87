//! Zarr v3 stores written shard by shard: in any order, in bounded memory, and visible only once they are whole.
//!
//! Chunks are compressed with Blosc (zstd), as the advice for embeddings is. A store is written into a hidden folder beside its place,
//! which gets its name when all is there.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::codec::{blosc, crc32c};
use super::nd;
use crate::atomic::folder_of;
use crate::{DType, Samples};

/// Level of zstd.
const LEVEL: i32 = 3;

/// A store being written.
#[derive(Debug)]
pub struct StoreWriter {
    path: PathBuf,
    hidden: TempDir,
    /// Metadata of the arrays, by name.
    arrays: Vec<(String, Value)>,
}

/// An array to write.
#[derive(Debug, Clone)]
pub struct ArraySpec {
    /// Elements along each axis.
    pub shape: Vec<usize>,
    /// Elements of a chunk along each axis.
    pub chunk: Vec<usize>,
    /// Elements of a shard along each axis: multiples of those of a chunk.
    pub shard: Vec<usize>,
    /// Type of the elements.
    pub dtype: DType,
    /// What elements never written are.
    pub fill: f64,
    /// Names of the axes.
    pub names: Vec<&'static str>,
    /// Attributes.
    pub attributes: Map<String, Value>,
}

/// An array of a store being written. May be used from several threads.
#[derive(Debug)]
pub struct ArrayWriter {
    folder: PathBuf,
    spec: ArraySpec,
    fill: Vec<u8>,
}

impl StoreWriter {
    /// Starts a store that will be `path`.
    ///
    /// # Errors
    /// If the folder can't be written to, or something other than a Zarr store is at `path`.
    pub fn create(path: &Path) -> io::Result<Self> {
        if path.exists() && !path.join("zarr.json").is_file() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "what is there is no Zarr store, and is not replaced",
            ));
        }
        let hidden = tempfile::Builder::new().prefix(".zarr-").tempdir_in(folder_of(path))?;
        // A folder of its own inside, with the permissions of an ordinary one.
        fs::create_dir(hidden.path().join("store"))?;
        Ok(Self { path: path.to_owned(), hidden, arrays: Vec::new() })
    }

    fn folder(&self, name: &str) -> io::Result<PathBuf> {
        let folder = self.hidden.path().join("store").join(name);
        fs::create_dir(&folder)?;
        Ok(folder)
    }

    /// Starts an array.
    ///
    /// # Errors
    /// If it can't be created.
    pub fn array(&mut self, name: &str, spec: ArraySpec) -> io::Result<ArrayWriter> {
        let folder = self.folder(name)?;
        let fill = Samples::filled(spec.dtype, 1, spec.fill).to_le_bytes();
        let size = spec.dtype.size();
        let endian = if size > 1 { json!({ "endian": "little" }) } else { json!({}) };
        let shuffle = if size > 1 { "shuffle" } else { "noshuffle" };
        let blosc =
            json!({ "cname": "zstd", "clevel": LEVEL, "shuffle": shuffle, "typesize": size, "blocksize": 0 });
        self.document(
            name,
            &spec,
            spec.dtype.name(),
            &json!([{ "name": "sharding_indexed", "configuration": {
                "chunk_shape": spec.chunk,
                "codecs": [
                    { "name": "bytes", "configuration": endian },
                    { "name": "blosc", "configuration": blosc },
                ],
                "index_codecs": [
                    { "name": "bytes", "configuration": { "endian": "little" } },
                    { "name": "crc32c" },
                ],
                "index_location": "end",
            }}]),
            &fill_value(spec.fill, spec.dtype),
        );
        Ok(ArrayWriter { folder, spec, fill })
    }

    /// Writes a coordinate: a short array of one axis called as itself.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn coordinate(
        &mut self,
        name: &'static str,
        values: &Samples,
        attributes: Map<String, Value>,
    ) -> io::Result<()> {
        let spec = line(name, values.len(), values.dtype(), attributes);
        let endian = if spec.dtype.size() > 1 { json!({ "endian": "little" }) } else { json!({}) };
        let codecs = json!([{ "name": "bytes", "configuration": endian }]);
        self.document(name, &spec, spec.dtype.name(), &codecs, &fill_value(0.0, spec.dtype));
        self.chunk_of_line(name, &values.to_le_bytes())
    }

    /// Writes a coordinate of texts.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn texts(&mut self, name: &'static str, texts: &[String]) -> io::Result<()> {
        let spec = line(name, texts.len(), DType::U8, Map::new());
        self.document(name, &spec, "string", &json!([{ "name": "vlen-utf8" }]), &json!(""));
        let word = |n: usize| {
            u32::try_from(n).map(u32::to_le_bytes).map_err(|_| io::Error::other("a text is too long"))
        };
        let mut bytes = word(texts.len())?.to_vec();
        for text in texts {
            bytes.extend_from_slice(&word(text.len())?);
            bytes.extend_from_slice(text.as_bytes());
        }
        self.chunk_of_line(name, &bytes)
    }

    fn chunk_of_line(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let folder = self.folder(name)?.join("c");
        fs::create_dir(&folder)?;
        fs::write(folder.join("0"), bytes)
    }

    fn document(&mut self, name: &str, spec: &ArraySpec, data_type: &str, codecs: &Value, fill: &Value) {
        let document = json!({
            "zarr_format": 3,
            "node_type": "array",
            "shape": spec.shape,
            "data_type": data_type,
            "chunk_grid": { "name": "regular", "configuration": { "chunk_shape": spec.shard } },
            "chunk_key_encoding": { "name": "default", "configuration": { "separator": "/" } },
            "fill_value": fill,
            "codecs": codecs,
            "dimension_names": spec.names,
            "attributes": spec.attributes,
        });
        self.arrays.push((name.to_owned(), document));
    }

    /// Puts the store in place; with `replace`, instead of one that is there.
    ///
    /// # Errors
    /// If the disk is full, or the store can't be put in place; nothing is left then.
    pub fn finish(self, attributes: &Map<String, Value>, replace: bool) -> io::Result<()> {
        let store = self.hidden.path().join("store");
        let all: Map<String, Value> = self.arrays.iter().cloned().collect();
        for (name, document) in &self.arrays {
            write_json(&store.join(name).join("zarr.json"), document)?;
        }
        let root = json!({
            "zarr_format": 3,
            "node_type": "group",
            "attributes": attributes,
            "consolidated_metadata": { "kind": "inline", "must_understand": false, "metadata": all },
        });
        write_json(&store.join("zarr.json"), &root)?;
        let old = self.hidden.path().join("old");
        let there = self.path.exists();
        if there {
            if !replace {
                return Err(io::Error::from(io::ErrorKind::AlreadyExists));
            }
            fs::rename(&self.path, &old)?;
        }
        let placed = fs::rename(&store, &self.path);
        if placed.is_err() && there {
            // As it was before.
            let _ = fs::rename(&old, &self.path);
        }
        placed
    }
}

fn line(name: &'static str, n: usize, dtype: DType, attributes: Map<String, Value>) -> ArraySpec {
    let one = vec![n.max(1)];
    ArraySpec {
        shape: vec![n],
        chunk: one.clone(),
        shard: one,
        dtype,
        fill: 0.0,
        names: vec![name],
        attributes,
    }
}

impl ArrayWriter {
    /// Writes the shard at `index`. `samples` has `sizes` elements along each axis, fewer than a whole shard at the far edges of the
    /// array. Chunks that hold nothing but the fill value are left out, and so is a shard without any chunk.
    ///
    /// # Errors
    /// If it can't be written.
    ///
    /// # Panics
    /// If `samples` does not have `sizes` elements of the array's type.
    pub fn write_shard(&self, index: &[usize], samples: &Samples, sizes: &[usize]) -> io::Result<()> {
        assert_eq!(
            (samples.len(), samples.dtype()),
            (sizes.iter().product(), self.spec.dtype),
            "shape or type"
        );
        let bytes = samples.to_le_bytes();
        let chunk = &self.spec.chunk;
        let grid: Vec<usize> = self.spec.shard.iter().zip(chunk).map(|(s, c)| s / c).collect();
        let mut places = Vec::new();
        nd::each(&grid, |at| places.push(at.to_vec()));
        let encoded: Vec<Option<Vec<u8>>> = places
            .par_iter()
            .map_init(|| zstd::bulk::Compressor::new(LEVEL), |zstd, at| self.encode(&bytes, sizes, at, zstd))
            .collect::<io::Result<_>>()?;
        if encoded.iter().all(Option::is_none) {
            return Ok(());
        }
        let (mut offset, mut index_bytes) = (0u64, Vec::with_capacity(16 * encoded.len() + 4));
        for chunk in &encoded {
            let (start, length) = match chunk {
                Some(bytes) => (offset, bytes.len() as u64),
                None => (u64::MAX, u64::MAX),
            };
            index_bytes.extend_from_slice(&start.to_le_bytes());
            index_bytes.extend_from_slice(&length.to_le_bytes());
            offset += chunk.as_ref().map_or(0, |b| b.len() as u64);
        }
        index_bytes.extend_from_slice(&crc32c::crc32c(&index_bytes).to_le_bytes());
        let mut path = self.folder.join("c");
        path.extend(index.iter().map(ToString::to_string));
        fs::create_dir_all(folder_of(&path))?;
        let mut file = fs::File::create(path)?;
        for chunk in encoded.iter().flatten() {
            file.write_all(chunk)?;
        }
        file.write_all(&index_bytes)
    }

    /// The chunk at `at` of a shard; `None` if nothing was written into it.
    fn encode(
        &self,
        shard: &[u8],
        sizes: &[usize],
        at: &[usize],
        zstd: &mut io::Result<zstd::bulk::Compressor<'static>>,
    ) -> io::Result<Option<Vec<u8>>> {
        let (chunk, item) = (&self.spec.chunk, self.fill.len());
        // Elements of the chunk that lie inside the array.
        let inside: Vec<usize> =
            (0..at.len()).map(|a| chunk[a].min(sizes[a].saturating_sub(at[a] * chunk[a]))).collect();
        let (from, into) = (nd::strides(sizes), nd::strides(chunk));
        let mut out = self.fill.repeat(chunk.iter().product());
        let Some((&run, outer)) = inside.split_last() else { return Ok(None) };
        if run == 0 {
            return Ok(None);
        }
        nd::each(outer, |index| {
            let place = |a: usize| at[a] * chunk[a] + index.get(a).copied().unwrap_or(0);
            let source: usize = (0..at.len()).map(|a| place(a) * from[a]).sum();
            let target: usize = index.iter().zip(&into).map(|(i, s)| i * s).sum();
            out[target * item..][..run * item].copy_from_slice(&shard[source * item..][..run * item]);
        });
        if out.chunks_exact(item).all(|element| element == self.fill) {
            return Ok(None);
        }
        let zstd = zstd.as_mut().map_err(|e| io::Error::new(e.kind(), e.to_string()))?;
        let item = u8::try_from(item).unwrap_or(1);
        blosc::encode(&out, item, zstd).map(Some).map_err(io::Error::other)
    }
}

fn fill_value(fill: f64, dtype: DType) -> Value {
    if !dtype.is_float() {
        #[allow(clippy::cast_possible_truncation)]
        return json!(fill as i64);
    }
    match fill {
        f if f.is_nan() => json!("NaN"),
        f if f == f64::INFINITY => json!("Infinity"),
        f if f == f64::NEG_INFINITY => json!("-Infinity"),
        f => json!(f),
    }
}

fn write_json(path: &Path, value: &Value) -> io::Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
    fs::write(path, text)
}
