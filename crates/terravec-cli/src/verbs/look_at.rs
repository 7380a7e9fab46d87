//! What `change`, `cluster` and `pca` have in common: where they look, and the small files they keep.

use std::fs;
use std::io::Write;
use std::path::Path;

use terravec::{Area, Error, Request};
use terravec_io::atomic::PendingFile;

use super::search::crs;
use super::{area, years};
use crate::args::Where;
use crate::report::Failure;

/// A saved basis or saved clusters are smaller than this.
const MOST: u64 = 1 << 30;

/// The area, and the request to read it with.
pub(super) fn extent(place: &Where) -> Result<(Area, Request), Failure> {
    let area = area(&place.part.place)?;
    let request = Request {
        area: area.clone(),
        years: years(place.part.year.as_deref())?,
        crs: crs(place.crs.as_deref())?,
        resolution: place.resolution,
        ..Request::default()
    };
    Ok((area, request))
}

/// A small text file.
pub(super) fn read_text(path: &Path) -> Result<String, Failure> {
    let read = || {
        if fs::metadata(path)?.len() > MOST {
            return Err(std::io::Error::other("too large to be what is asked for"));
        }
        fs::read_to_string(path)
    };
    read()
        .map_err(|e| Failure::usage(format!("{}: {e}", path.display()), "name a file that was saved before"))
}

/// Writes a text file, whole or not at all.
pub(super) fn save_text(path: &Path, text: &str) -> Result<(), Failure> {
    let write = || {
        let file = PendingFile::create(path)?;
        let mut out = file.file();
        out.write_all(text.as_bytes())?;
        out.write_all(b"\n")?;
        file.commit()
    };
    Ok(write().map_err(|source| Error::Write { path: path.into(), source })?)
}
