//! From what a user types to where the bytes are.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use url::Url;

use super::store::{self, Door, Store, Vars};
use super::{HttpSource, LocalSource, Source, SourceError};

/// What an address names.
pub(super) enum Address {
    Path(PathBuf),
    Http(Web),
}

/// An object on the web: how it may be reached, and what of its address may be shown.
#[derive(Clone)]
pub(super) struct Web {
    /// The ways to it, at least one, the preferred one first.
    pub(super) doors: Vec<Door>,
    /// Without user, password and the values of query parameters that may grant access.
    pub(super) shown: String,
    /// The store and the key in it, where its neighbours can be listed.
    pub(super) store: Option<(Store, String)>,
    /// All that was typed, secrets included, and the server it is asked of: what tells it from other objects.
    pub(super) whole: String,
}

/// Where something lies, as its user wrote it: a local path or an address.
///
/// Shown (`Display`, `Debug`, [`SourceError`]s) it is without passwords and signatures; the whole text is used only to open it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Location(String);

impl Location {
    /// The place that `text` names.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The file at `path` below it; itself where `path` is empty, `path` alone where that is absolute or an address.
    #[must_use]
    pub fn join(&self, path: &str) -> Self {
        if path.is_empty() {
            self.clone()
        } else if path.contains("://") || Path::new(path).is_absolute() {
            Self::new(path)
        } else {
            Self(join(&self.0, path))
        }
    }

    /// The folder it lies in.
    #[must_use]
    pub fn parent(&self) -> Self {
        let (address, query) = self.0.split_at(self.without_query().len());
        Self(address.rsplit_once('/').map_or(".".to_owned(), |(folder, _)| format!("{folder}{query}")))
    }

    /// The path from `folder` to it, where it lies below.
    #[must_use]
    pub fn below(&self, folder: &Self) -> Option<String> {
        let rest = self.without_query().strip_prefix(folder.without_query().trim_end_matches(['/', '\\']))?;
        let path = rest.strip_prefix(['/', '\\'])?;
        (!path.is_empty()).then(|| path.replace('\\', "/"))
    }

    /// The path or address without a query: what may hold the names of folders. Keys of stores have none, whatever signs they hold.
    #[must_use]
    pub fn without_query(&self) -> &str {
        if self.is_remote() && !is_store(&self.0) {
            self.0.split(['?', '#']).next().unwrap_or_default()
        } else {
            &self.0
        }
    }

    /// The last part of its path, without a query.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.without_query().rsplit(['/', '\\']).next().unwrap_or_default()
    }

    /// Where the cache keeps what was made of it in this state; `None` for local files and without a cache.
    #[must_use]
    pub fn made(&self, state: &super::Fingerprint, what: &str) -> Option<super::cache::Made> {
        let cache = super::cache::current().filter(|_| self.is_remote() && state.version.is_some())?;
        Some(cache.made(self.without_query(), state, what))
    }

    /// Whether it is an address rather than a local path.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        self.0.contains("://")
    }

    /// The local path, where it is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        (!self.is_remote()).then(|| Path::new(&self.0))
    }

    /// Opens it without the cache: for what is read once and kept elsewhere.
    ///
    /// # Errors
    /// As [`open`].
    pub fn open_uncached(&self) -> Result<Arc<dyn Source>, SourceError> {
        match parse(&self.0, &Vars::process())? {
            Address::Path(path) => Ok(Arc::new(LocalSource::open(path)?)),
            Address::Http(web) => {
                if super::cache::current().is_some_and(|c| c.options().offline) {
                    let what = "nothing of it is looked for there".to_owned();
                    return Err(SourceError::Offline { url: web.shown, what });
                }
                Ok(Arc::new(HttpSource::from_web(web, Vars::process().patience())))
            }
        }
    }

    /// All of it as typed, secrets included: to be opened, never shown.
    #[must_use]
    pub fn typed(&self) -> &str {
        &self.0
    }

    /// Whether [`list`](super::list()) can say what lies below it.
    #[must_use]
    pub fn is_listable(&self) -> bool {
        self.path().is_some_and(Path::is_dir)
            || is_store(&self.0)
            || Url::parse(&self.0).is_ok_and(|url| store::of_url(&url).is_some())
    }

    /// Opens it, as [`open`].
    ///
    /// # Errors
    /// As [`open`].
    pub fn open(&self) -> Result<Arc<dyn Source>, SourceError> {
        open(&self.0)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown_text(&self.0))
    }
}

/// As text, without credentials.
impl serde::Serialize for Location {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&shown_text(&self.0), f)
    }
}

/// Opens what `url_or_path` names: a local path, or an address.
///
/// Addresses are `file://`, `http://`, `https://`, `s3://BUCKET/KEY`, `gs://BUCKET/KEY`, `az://CONTAINER/KEY` (also `abfs://`),
/// `hf://datasets/OWNER/NAME@REVISION/PATH` and `source://ACCOUNT/PRODUCT/PATH` (Source Cooperative). Credentials come from the
/// variables and files of the stores' own tools; without any, nothing is signed.
///
/// A local file is opened at once; of a web address nothing is asked before the first read. Bytes of web addresses go through
/// the [cache](super::cache) where one is set.
///
/// # Errors
/// When the address isn't of a supported kind, or a local file can't be opened.
pub fn open(url_or_path: &str) -> Result<Arc<dyn Source>, SourceError> {
    open_with(url_or_path, &Vars::process())
}

/// As [`open`], with credentials and endpoints from `vars`.
///
/// # Errors
/// As [`open`].
pub fn open_with(url_or_path: &str, vars: &Vars) -> Result<Arc<dyn Source>, SourceError> {
    Ok(match parse(url_or_path, vars)? {
        Address::Path(path) => Arc::new(LocalSource::open(path)?),
        Address::Http(web) => {
            let key = web.whole.clone();
            let source = HttpSource::from_web(web, vars.patience());
            match super::cache::current() {
                Some(cache) => Arc::new(cache.wrap(source, &key)),
                None => Arc::new(source),
            }
        }
    })
}

/// The address of the file at `path` (parts separated by `/`) below `root`; a query at the end of `root`, as in a signed
/// address, stays at the end.
fn join(root: &str, path: &str) -> String {
    if is_store(root) {
        // Keys are taken as they stand.
        return format!("{}/{}", root.trim_end_matches('/'), path.trim_start_matches('/'));
    }
    if root.contains("://") {
        if let Ok(mut url) = Url::parse(root) {
            if let Ok(mut segments) = url.path_segments_mut() {
                segments.pop_if_empty().extend(path.split('/').filter(|part| !part.is_empty()));
            }
            return url.into();
        }
        return format!("{}/{path}", root.trim_end_matches('/'));
    }
    path.split('/').fold(PathBuf::from(root), |root, part| root.join(part)).display().to_string()
}

/// Whether it is an address whose path is a key of a store, and no web address.
fn is_store(text: &str) -> bool {
    const SCHEMES: [&str; 9] = ["s3", "gs", "gcs", "az", "azure", "abfs", "abfss", "hf", "source"];
    text.split_once("://").is_some_and(|(scheme, _)| SCHEMES.contains(&scheme))
}

pub(super) fn parse(text: &str, vars: &Vars) -> Result<Address, SourceError> {
    let bad = |what: &str, help: String| {
        Err(SourceError::BadAddress { url: shown_text(text), what: what.to_owned(), help })
    };
    if text.trim().is_empty() {
        return bad("an empty path", "name a file or an address".into());
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Ok(Address::Path(Path::new(text).to_owned()));
    };
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => match Web::parse(text) {
            Some(web) => Ok(Address::Http(web)),
            None => bad("not a web address", "write it as https://HOST/PATH".into()),
        },
        "file" => match Url::parse(text).ok().and_then(|url| url.to_file_path().ok()) {
            Some(path) => Ok(Address::Path(path)),
            None => bad("not a file address", "write file:///absolute/path, or just the path".into()),
        },
        scheme => match store::parse(scheme, rest, vars) {
            Some(Ok((store, key))) => {
                if key.split('/').any(|part| part == ".." || part == ".") {
                    return bad("a path with `.` or `..` in it", "write where the file is".into());
                }
                match store.doors(&key, vars) {
                    Ok(doors) => {
                        let whole =
                            format!("{text}\n{}", doors.last().map(Door::endpoint).unwrap_or_default());
                        let shown = shown_text(text);
                        Ok(Address::Http(Web { doors, shown, store: Some((store, key)), whole }))
                    }
                    Err((what, help)) => bad(&what, help),
                }
            }
            Some(Err((what, help))) => bad(&what, help),
            None => bad(
                &format!("addresses that start with {scheme}:// are not supported"),
                format!(
                    "supported are local paths, file://, http://, https://, s3://, gs://, az://, hf:// and source://{}",
                    elsewhere(scheme)
                ),
            ),
        },
    }
}

/// What to write instead of GDAL's prefixes.
fn elsewhere(scheme: &str) -> String {
    if scheme.starts_with("/vsi") {
        let prefix = scheme.trim_end_matches("https").trim_end_matches("http");
        return format!("; write the address without {prefix}");
    }
    String::new()
}

impl fmt::Debug for Web {
    /// Only what may be shown: debug output ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown.fmt(f)
    }
}

impl Web {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut url = Url::parse(text).ok()?;
        url.host_str()?;
        url.set_fragment(None);
        let shown = shown(&url);
        let store = store::of_url(&url);
        let mut doors = vec![Door::at(url.clone())];
        if let Some(others) = store.as_ref().and_then(|(s, key)| s.doors(key, &Vars::only([("", "")])).ok()) {
            doors.extend(others.into_iter().filter(|d| d.url() != url));
        }
        Some(Self { doors, shown, store, whole: text.to_owned() })
    }
}

/// Parts of query parameters' names whose values may grant access.
const SECRET: [&str; 8] = ["sig", "token", "key", "secret", "credential", "passw", "auth", "policy"];

fn shown(url: &Url) -> String {
    let mut public = url.clone();
    // Fails only where there is no host, hence no user either.
    let _ = public.set_username("");
    let _ = public.set_password(None);
    let Some(query) = url.query() else { return public.into() };
    let query: Vec<_> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) if SECRET.iter().any(|s| name.to_ascii_lowercase().contains(s)) => {
                format!("{name}=REDACTED")
            }
            _ => pair.to_owned(),
        })
        .collect();
    public.set_query(Some(&query.join("&")));
    public.into()
}

/// Text that couldn't be understood as an address, without what may be a password in it.
fn shown_text(text: &str) -> String {
    let Some((_, rest)) = text.split_once("://") else { return text.to_owned() };
    if is_store(text) && !text.contains(['?', '#']) {
        // A container of Azure stands where other addresses have a user.
        let authority = rest.split('/').next().unwrap_or_default();
        let azure = text.starts_with("abfs") || text.starts_with("az");
        if !authority.contains('@') || (azure && !authority.contains(':')) {
            return text.to_owned();
        }
    }
    if let Ok(url) = Url::parse(text) {
        return shown(&url);
    }
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> SourceError {
        match parse(text, &Vars::only([("", "")])) {
            Err(e) => e,
            Ok(_) => panic!("{text} was taken"),
        }
    }

    #[test]
    fn credentials_are_not_shown() {
        let web =
            Web::parse("https://me:hunter2@host/a.tif?X-Amz-Signature=abc&v=3&SAS_Token=t#frag").unwrap();
        assert_eq!(web.shown, "https://host/a.tif?X-Amz-Signature=REDACTED&v=3&SAS_Token=REDACTED");
        assert_eq!(web.doors[0].url().password(), None, "sent as a header, not in the address");
        let headers = web.doors[0].headers(&web.doors[0].url(), None);
        assert_eq!(headers, [("authorization".to_owned(), "Basic bWU6aHVudGVyMg==".to_owned())]);
        for text in [
            "https://me:hunter2@/a",
            "ftp://me:hunter2@host/a",
            "s3://me:hunter2@bucket/a",
            "http://me:hunter2@[x",
        ] {
            let e = error(text);
            assert!(!format!("{e} {e:?} {:?}", e.help()).contains("hunter2"), "{e:?}");
        }
    }

    #[test]
    fn other_hosts_are_refused_with_what_works() {
        let e = error("ftp://bucket/a/b.tif");
        assert!(e.to_string().contains("ftp:// are not supported"), "{e}");
        assert!(e.help().unwrap().contains("s3://"));
        assert!(error("s3://b/a/../../c").to_string().contains("`..`"));
        assert!(error("/vsicurl/https://h/x").help().unwrap().contains("without /vsicurl/"));
        assert!(error("  ").to_string().contains("empty"));
        assert!(error("https://").to_string().contains("not a web address"));
    }

    #[test]
    fn a_location_is_shown_without_credentials() {
        let signed = Location::new("https://me:hunter2@h/r/a.tif?sig=abc&v=1");
        assert_eq!(
            format!("{signed} {signed:?}"),
            "https://h/r/a.tif?sig=REDACTED&v=1 \"https://h/r/a.tif?sig=REDACTED&v=1\""
        );
        assert_eq!(signed.file_name(), "a.tif");
        assert_eq!(
            signed.parent().join("b/c.tif"),
            Location::new("https://me:hunter2@h/r/b/c.tif?sig=abc&v=1")
        );
        assert_eq!(signed.join(""), signed);
        assert_eq!(signed.join("https://other/x"), Location::new("https://other/x"));
        let local = Location::new("a@b/c?d.tif");
        assert_eq!((local.to_string(), local.file_name()), ("a@b/c?d.tif".to_owned(), "c?d.tif"));
        assert_eq!((local.parent(), Location::new("x").parent()), (Location::new("a@b"), Location::new(".")));
    }

    #[test]
    fn roots_and_paths_are_joined() {
        assert_eq!(join("https://h/r/?sig=1", "a b/c.tif"), "https://h/r/a%20b/c.tif?sig=1");
        assert_eq!(join("https://h/r", "/c.tif"), "https://h/r/c.tif");
        assert_eq!(join("https://h/r", "../../c.tif"), "https://h/r/c.tif");
        assert_eq!(join("s3://b/r/", "a b/c=1.tif"), "s3://b/r/a b/c=1.tif");
        assert_eq!(shown_text("abfs://c@a.dfs.core.windows.net/x"), "abfs://c@a.dfs.core.windows.net/x");
        assert_eq!(Path::new(&join("/data", "a/c.tif")), Path::new("/data/a/c.tif"));
    }
}
