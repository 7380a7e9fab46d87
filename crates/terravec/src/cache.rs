//! The disk cache of what comes over the network, set up as users say: by options, else by variables, else by default.

use std::path::PathBuf;

use terravec_io::source::cache::{Cache, CacheOptions, set};

use crate::dataset::OpenOptions;
use crate::error::{Error, Result};

/// What a user says of the cache. What is not said is as the variables `TERRAVEC_CACHE_DIR`, `TERRAVEC_CACHE_SIZE`,
/// `TERRAVEC_NO_CACHE` and `TERRAVEC_OFFLINE` say.
#[derive(Debug, Clone, Default)]
pub struct CacheSetup {
    /// Its folder.
    pub folder: Option<PathBuf>,
    /// The most it holds, as people write it: `20GB`, `500MB`, a number of bytes; `0` is no cache.
    pub size: Option<String>,
    /// No cache at all.
    pub none: bool,
    /// Nothing but the cache: no host is asked.
    pub offline: bool,
}

/// The cache that `setup` describes; `None` where there is to be none.
///
/// # Errors
/// If a size is no size, or there is no folder for what may not be asked for over the network.
pub fn of(setup: &CacheSetup) -> Result<Option<Cache>> {
    let var = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let yes = |name: &str| var(name).is_some_and(|v| !["0", "no", "false", "off"].contains(&v.as_str()));
    let offline = setup.offline || yes("TERRAVEC_OFFLINE");
    let size = setup.size.clone().or_else(|| var("TERRAVEC_CACHE_SIZE"));
    let size = size.as_deref().map(parse_size).transpose()?;
    if setup.none || (setup.size.is_none() && yes("TERRAVEC_NO_CACHE")) || size == Some(0) {
        return match offline {
            false => Ok(None),
            true => {
                Err(Error::query("offline and without a cache nothing can be read", "leave one of both out"))
            }
        };
    }
    let Some(folder) = OpenOptions::cache_of(setup.folder.as_ref()) else {
        return match offline {
            false => Ok(None),
            true => Err(Error::query(
                "there is no cache folder",
                "name one with --cache-dir or TERRAVEC_CACHE_DIR",
            )),
        };
    };
    let default = CacheOptions::new(folder);
    let limit = size.unwrap_or(default.limit);
    Ok(Some(Cache::new(CacheOptions { limit, offline, ..default })))
}

/// Puts the cache that `setup` describes in place for this process.
///
/// # Errors
/// As [`of`].
pub fn use_cache(setup: &CacheSetup) -> Result<()> {
    set(of(setup)?);
    Ok(())
}

/// A number of bytes as people write it: `20GB`, `1.5 GiB`, `500M`, `1000`.
///
/// # Errors
/// If it is none.
pub fn parse_size(text: &str) -> Result<u64> {
    let bad = || {
        Error::query(
            format!("{text:?} is no size"),
            "write a number of bytes, or such as 500MB, 20GB or 4GiB",
        )
    };
    let text_only = text.trim();
    let split = text_only.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text_only.len());
    let number: f64 = text_only[..split].parse().map_err(|_| bad())?;
    let unit = text_only[split..].trim().to_ascii_lowercase();
    let factor: f64 = match unit.trim_end_matches('b') {
        "" => 1.0,
        "k" => 1e3,
        "m" => 1e6,
        "g" => 1e9,
        "t" => 1e12,
        "ki" => 1024.0,
        "mi" => 1024.0 * 1024.0,
        "gi" => 1024.0 * 1024.0 * 1024.0,
        "ti" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return Err(bad()),
    };
    let bytes = number * factor;
    // Exact up to 2^53, and larger disks are rare.
    if bytes < 9e15 { Ok(bytes as u64) } else { Err(bad()) }
}

/// Bytes as people read them: `1.2 GB`.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown() {
        for (text, bytes) in
            [("1000", 1000), ("1.5 kB", 1500), ("20GB", 20_000_000_000), ("4GiB", 4 << 30), ("0", 0)]
        {
            assert_eq!(parse_size(text).unwrap(), bytes, "{text}");
        }
        for bad in ["", "GB", "-1", "3 parsecs", "1e99", "99999TB"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
        assert_eq!((show_size(999), show_size(1_234_567)), ("999 B".into(), "1.2 MB".into()));
    }

    #[test]
    fn offline_without_a_cache_is_refused() {
        assert!(of(&CacheSetup { none: true, offline: true, ..CacheSetup::default() }).is_err());
        assert!(of(&CacheSetup { size: Some("0".into()), ..CacheSetup::default() }).unwrap().is_none());
    }
}
