//! The files that are served.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Component, Path};
use std::time::{SystemTime, UNIX_EPOCH};

use md5::Digest as _;

/// An open file and its validators.
pub(crate) struct Object {
    file: File,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) modified: String,
}

impl Object {
    /// The file at the request's `path` below `root`; `None` if there is none, or it lies outside.
    pub(crate) fn open(root: &Path, path: &str) -> Option<Self> {
        let relative = Path::new(path.trim_start_matches('/'));
        if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
            return None;
        }
        let file = File::open(root.join(relative)).ok()?;
        let meta = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
        let modified = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let nanos = modified.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        Some(Self {
            file,
            size: meta.len(),
            etag: format!("\"{:x}-{nanos:x}\"", meta.len()),
            modified: httpdate::fmt_http_date(modified),
        })
    }

    /// Fills `buffer` from `offset`. Blocks, which is fine for files that lie in the page cache.
    pub(crate) fn read(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.read_exact(buffer)
    }

    /// The MD5 of the whole, in base64.
    pub(crate) fn md5(&mut self) -> io::Result<String> {
        let mut bytes = vec![0; self.size as usize];
        self.read(0, &mut bytes)?;
        let sum = md5::Md5::digest(&bytes);
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for chunk in sum.chunks(3) {
            let n = chunk.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
            for i in 0..4 {
                let letter = alphabet[(n >> (18 - 6 * i) & 63) as usize] as char;
                text.push(if i <= chunk.len() { letter } else { '=' });
            }
        }
        Ok(text)
    }

    pub(crate) fn kind(path: &str) -> &'static str {
        let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
        match extension {
            "tif" | "tiff" => "image/tiff",
            "json" | "geojson" => "application/json",
            "html" => "text/html; charset=utf-8",
            "csv" | "txt" => "text/plain; charset=utf-8",
            _ => "application/octet-stream",
        }
    }
}
