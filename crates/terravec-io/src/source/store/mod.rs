//! Stores of objects: from addresses such as `s3://bucket/key` to the web addresses behind them, and what lies below one.
//!
//! [`HttpSource`](super::HttpSource) stays the one reader of ranges. An address becomes one or more [`Door`]s: the same object by
//! several ways, tried in turn. Signatures are made here and not by `object_store`, whose clients bring a second HTTP stack
//! and hide the answers that this one reads (`Retry-After`, redirects, the cause of a refusal).

mod aws;
mod azure;
pub(crate) mod crypto;
mod door;
mod list;
mod secret;
mod sigv4;
mod vars;

use url::Url;

pub use door::know_region;
pub(crate) use door::{Access, Door};
pub(crate) use list::listing;
pub use vars::Vars;

use azure::SharedKey;
use secret::Secret;
use sigv4::strict;

/// The bucket of Source Cooperative, which can also be had through a gateway.
const SOURCE_COOP: &str = "us-west-2.opendata.source.coop";
const SOURCE_COOP_REGION: &str = "us-west-2";
const SOURCE_COOP_GATEWAY: &str = "data.source.coop";

/// A place whose objects can be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Store {
    S3 {
        bucket: String,
    },
    Gs {
        bucket: String,
    },
    Azure {
        account: String,
        container: String,
    },
    /// `repository` as it stands in web addresses: `datasets/owner/name`, or `owner/name` of a model.
    Hf {
        repository: String,
        revision: String,
    },
}

/// What is wrong with an address, and what to write.
pub(crate) type Bad = (String, String);

/// Understands `scheme://rest`; `None` where the scheme is of no store.
pub(crate) fn parse(scheme: &str, rest: &str, vars: &Vars) -> Option<Result<(Store, String), Bad>> {
    let (head, key) = rest.split_once('/').unwrap_or((rest, ""));
    let bad = |what: &str, write: &str| Err((what.to_owned(), format!("write it as {write}")));
    let named = |name: &str| {
        !name.is_empty()
            && !name.starts_with(['.', '-'])
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
    };
    let found = match scheme {
        "s3" if named(head) => Ok((Store::S3 { bucket: head.into() }, key)),
        "s3" => bad("no bucket's name", "s3://BUCKET/PATH"),
        "gs" | "gcs" if named(head) => Ok((Store::Gs { bucket: head.into() }, key)),
        "gs" | "gcs" => bad("no bucket's name", "gs://BUCKET/PATH"),
        "source" if named(head) => return Some(Ok((Store::S3 { bucket: SOURCE_COOP.into() }, rest.into()))),
        "source" => bad("no account's name", "source://ACCOUNT/PRODUCT/PATH"),
        "az" | "abfs" | "abfss" | "azure" => match head.split_once('@') {
            Some((container, host)) if named(container) && named(host) => {
                let account = host.split('.').next().unwrap_or_default().to_owned();
                Ok((Store::Azure { account, container: container.into() }, key))
            }
            None if named(head) => match vars.get(&["AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME"]) {
                Some(account) if named(&account) => {
                    Ok((Store::Azure { account, container: head.into() }, key))
                }
                _ => Err((
                    "the account is not named".to_owned(),
                    "set AZURE_STORAGE_ACCOUNT, or write abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH"
                        .to_owned(),
                )),
            },
            _ => bad("no container's name", "az://CONTAINER/PATH"),
        },
        "hf" => match hugging_face(rest) {
            Some((repository, revision, path)) => Ok((Store::Hf { repository, revision }, path)),
            None => bad("no repository's name", "hf://datasets/OWNER/NAME@REVISION/PATH"),
        },
        _ => return None,
    };
    Some(found.map(|(store, key)| (store, key.to_owned())))
}

/// `datasets/owner/name@revision/path` in its parts.
fn hugging_face(rest: &str) -> Option<(String, String, &str)> {
    let (kind, rest) = match rest.split_once('/')? {
        (kind @ ("datasets" | "spaces"), rest) => (format!("{kind}/"), rest),
        ("models", rest) => (String::new(), rest),
        _ => (String::new(), rest),
    };
    let (owner, rest) = rest.split_once('/')?;
    let (name, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (name, revision) = name.split_once('@').unwrap_or((name, "main"));
    let named = |n: &str| {
        !n.is_empty()
            && !n.starts_with('.')
            && n.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
    };
    // A revision with a slash in it is written with %2F.
    let revision = revision.replace("%2F", "/");
    (named(owner) && named(name) && !revision.is_empty())
        .then(|| (format!("{kind}{owner}/{name}"), revision, path))
}

/// A web address of the gateway of Source Cooperative, or of its bucket, as store and key.
pub(crate) fn of_url(url: &Url) -> Option<(Store, String)> {
    if url.query().is_some() || url.scheme() != "https" || url.port().is_some() {
        return None;
    }
    let key = match url.host_str()? {
        SOURCE_COOP_GATEWAY => url.path().strip_prefix('/')?,
        "s3.us-west-2.amazonaws.com" => {
            url.path().strip_prefix('/')?.strip_prefix(SOURCE_COOP)?.strip_prefix('/')?
        }
        _ => return None,
    };
    // Only where decoding is no question.
    (!key.is_empty() && !key.contains('%'))
        .then(|| (Store::S3 { bucket: SOURCE_COOP.into() }, key.to_owned()))
}

impl Store {
    /// The ways to the object called `key`, the preferred one first.
    pub(crate) fn doors(&self, key: &str, vars: &Vars) -> Result<Vec<Door>, Bad> {
        self.ways(&strict(key, true), None, vars)
    }

    /// The ways to one page of the list of what lies below `prefix`, after `token`.
    pub(crate) fn list_doors(
        &self,
        prefix: &str,
        token: Option<&str>,
        vars: &Vars,
    ) -> Result<Vec<Door>, Bad> {
        let below =
            if prefix.is_empty() { String::new() } else { format!("{}/", prefix.trim_end_matches('/')) };
        let after = |name: &str| token.map(|t| format!("&{name}={}", strict(t, false))).unwrap_or_default();
        let prefix = strict(&below, false);
        let query = match self {
            Self::S3 { .. } | Self::Gs { .. } => {
                format!("list-type=2&prefix={prefix}{}", after("continuation-token"))
            }
            Self::Azure { .. } => {
                format!("restype=container&comp=list&prefix={prefix}{}", after("marker"))
            }
            Self::Hf { .. } => {
                let folder = strict(below.trim_end_matches('/'), true);
                let mut doors = self.ways(&folder, Some("recursive=true"), vars)?;
                if let Some(next) = token.and_then(|t| Url::parse(t).ok()) {
                    // A token goes only to the host it is for.
                    doors.retain(|d| d.url().origin() == next.origin());
                    doors = doors.into_iter().map(|d| d.moved(next.clone())).collect();
                }
                return Ok(doors);
            }
        };
        let mut doors = self.ways("", Some(&query), vars)?;
        // The gateway of Source Cooperative lists nothing.
        doors.retain(|d| d.url().host_str() != Some(SOURCE_COOP_GATEWAY));
        Ok(doors)
    }

    /// `path` is written strictly. A query asks for a list.
    fn ways(&self, path: &str, query: Option<&str>, vars: &Vars) -> Result<Vec<Door>, Bad> {
        let at = |text: String, what: &str| {
            let parsed = Url::parse(&text).ok().filter(|u| u.has_host());
            parsed.ok_or_else(|| (format!("{what} is no web address"), format!("correct {what}")))
        };
        let asked = query.map(|q| format!("?{q}")).unwrap_or_default();
        match self {
            Self::S3 { bucket } => s3(bucket, path, query, vars, &at),
            Self::Gs { bucket } => {
                let base = vars
                    .get(&["STORAGE_EMULATOR_HOST", "CPL_GS_ENDPOINT"])
                    .map(|b| if b.contains("://") { b } else { format!("http://{b}") })
                    .unwrap_or_else(|| "https://storage.googleapis.com".into());
                let base = base.trim_end_matches('/');
                let url = at(format!("{base}/{bucket}/{path}{asked}"), "STORAGE_EMULATOR_HOST")?;
                let payer: Vec<_> =
                    vars.get(&["GS_USER_PROJECT"]).map(|p| ("x-goog-user-project", p)).into_iter().collect();
                let plain = match payer.is_empty() {
                    true => Access::Open,
                    false => Access::Headers(payer.clone()),
                };
                let signed = gs_keys(vars);
                let mut doors: Vec<Door> =
                    signed.map(|s| s(payer)).into_iter().map(|a| Door::with(url.clone(), a)).collect();
                doors.push(Door::with(url, plain));
                Ok(doors)
            }
            Self::Azure { account, container } => {
                let base = vars
                    .get(&["AZURE_STORAGE_ENDPOINT"])
                    .unwrap_or_else(|| format!("https://{account}.blob.core.windows.net"));
                let base = base.trim_end_matches('/');
                let sas = vars.get(&["AZURE_STORAGE_SAS_TOKEN"]);
                let sas = sas.as_deref().map(|s| s.trim_start_matches('?')).filter(|s| !s.is_empty());
                let mark = |s: &str| if asked.is_empty() { format!("?{s}") } else { format!("&{s}") };
                let plain = at(format!("{base}/{container}/{path}{asked}"), "AZURE_STORAGE_ENDPOINT")?;
                let plain = match path.is_empty() {
                    // The container itself has no slash at its end.
                    true => at(format!("{base}/{container}{asked}"), "AZURE_STORAGE_ENDPOINT")?,
                    false => plain,
                };
                let version = vec![("x-ms-version", azure::VERSION.to_owned())];
                let key =
                    vars.get(&["AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY"]);
                let mut doors = Vec::new();
                if let Some(sas) = sas {
                    let url = at(format!("{plain}{}", mark(sas)), "AZURE_STORAGE_SAS_TOKEN")?;
                    doors.push(Door::with(url, Access::Headers(version.clone())));
                } else if let Some(key) = key {
                    let key = SharedKey { account: account.clone(), key: Secret::new(key) };
                    doors.push(Door::with(plain.clone(), Access::Azure(key)));
                } else if let Some(token) = vars.get(&["AZURE_STORAGE_ACCESS_TOKEN"]) {
                    doors.push(Door::with(
                        plain.clone(),
                        Access::Headers(vec![
                            ("authorization", format!("Bearer {token}")),
                            ("x-ms-version", azure::VERSION.to_owned()),
                        ]),
                    ));
                }
                doors.push(Door::with(plain, Access::Headers(version)));
                Ok(doors)
            }
            Self::Hf { repository, revision } => {
                let base = vars.get(&["HF_ENDPOINT"]).unwrap_or_else(|| "https://huggingface.co".to_owned());
                let base = base.trim_end_matches('/');
                let revision = strict(revision, false);
                let text = match query {
                    None => format!("{base}/{repository}/resolve/{revision}/{path}"),
                    Some(query) => {
                        let kind = if repository.matches('/').count() == 1 { "models/" } else { "" };
                        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
                        format!("{base}/api/{kind}{repository}/tree/{revision}{path}?{query}")
                    }
                };
                let url = at(text, "HF_ENDPOINT")?;
                let access = hf_token(vars).map_or(Access::Open, |t| Access::Bearer(Secret::new(t)));
                Ok(vec![Door::with(url, access)])
            }
        }
    }
}

fn s3(
    bucket: &str,
    path: &str,
    query: Option<&str>,
    vars: &Vars,
    at: &dyn Fn(String, &str) -> Result<Url, Bad>,
) -> Result<Vec<Door>, Bad> {
    let asked = query.map(|q| format!("?{q}")).unwrap_or_default();
    let endpoint = vars.get(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"]);
    let coop = bucket == SOURCE_COOP && endpoint.is_none();
    let region = if coop { Some(SOURCE_COOP_REGION.to_owned()) } else { aws::region(vars) };
    let door = |access: Access| -> Result<Door, Bad> {
        match &endpoint {
            Some(base) => {
                let base = base.trim_end_matches('/');
                Ok(Door::with(at(format!("{base}/{bucket}/{path}{asked}"), "AWS_ENDPOINT_URL")?, access))
            }
            None => {
                Ok(Door::bucket(bucket, path.to_owned(), query.map(str::to_owned), region.clone(), access))
            }
        }
    };
    let mut doors = Vec::new();
    // An open archive needs no keys, and refuses stale ones.
    if let Some(keys) = (!coop).then(|| aws::keys(vars)).flatten() {
        let payer = vars.get(&["AWS_REQUEST_PAYER"]).map(|p| ("x-amz-request-payer", p.to_ascii_lowercase()));
        let region = region.clone().unwrap_or_else(|| "us-east-1".into());
        doors.push(door(Access::Aws { keys, region, extra: payer.into_iter().collect() })?);
    }
    doors.push(door(Access::Open)?);
    if coop {
        doors.push(Door::at(at(format!("https://{SOURCE_COOP_GATEWAY}/{path}{asked}"), "the address")?));
    }
    Ok(doors)
}

/// How to sign for Google Cloud Storage, given who pays.
fn gs_keys(vars: &Vars) -> Option<impl FnOnce(Vec<(&'static str, String)>) -> Access> {
    let token = vars.get(&["GOOGLE_OAUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN"]);
    let keys = vars.get(&["GS_ACCESS_KEY_ID"]).zip(vars.get(&["GS_SECRET_ACCESS_KEY"]));
    (token.is_some() || keys.is_some()).then_some(move |payer: Vec<(&'static str, String)>| {
        match (token, keys) {
            (Some(token), _) => {
                let mut headers = payer;
                headers.push(("authorization", format!("Bearer {token}")));
                Access::Headers(headers)
            }
            (None, Some((id, secret))) => {
                let keys = sigv4::Keys { id, secret: Secret::new(secret), token: None };
                Access::Aws { keys, region: "auto".into(), extra: payer }
            }
            (None, None) => Access::Open,
        }
    })
}

fn hf_token(vars: &Vars) -> Option<String> {
    let file = || {
        let path = vars
            .get(&["HF_TOKEN_PATH"])
            .map(std::path::PathBuf::from)
            .or_else(|| Some(std::path::PathBuf::from(vars.get(&["HF_HOME"])?).join("token")))
            .or_else(|| vars.home(".cache/huggingface/token"))?;
        let text = std::fs::read_to_string(path).ok()?.trim().to_owned();
        (!text.is_empty() && text.len() < 1000).then_some(text)
    };
    vars.get(&["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]).or_else(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(text: &str, vars: &[(&str, &str)]) -> Vec<String> {
        let vars = Vars::only(vars.iter().copied());
        let (scheme, rest) = text.split_once("://").unwrap();
        let (store, key) = parse(scheme, rest, &vars).unwrap().unwrap();
        store.doors(&key, &vars).unwrap().iter().map(|d| d.url().to_string()).collect()
    }

    #[test]
    fn addresses_become_doors() {
        assert_eq!(urls("s3://b/x y/a+b.tif", &[]), ["https://b.s3.amazonaws.com/x%20y/a%2Bb.tif"]);
        assert_eq!(
            urls("s3://b/x", &[("AWS_REGION", "eu-west-1")]),
            ["https://b.s3.eu-west-1.amazonaws.com/x"]
        );
        assert_eq!(urls("s3://a.b/x", &[]), ["https://s3.amazonaws.com/a.b/x"]);
        assert_eq!(urls("s3://b/x", &[("AWS_ENDPOINT_URL", "http://h:9/")]), ["http://h:9/b/x"]);
        let keys = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")];
        assert_eq!(urls("s3://signed/x", &keys).len(), 2, "signed, then not");
        let coop = [
            "https://s3.us-west-2.amazonaws.com/us-west-2.opendata.source.coop/t/p/x.tif",
            "https://data.source.coop/t/p/x.tif",
        ];
        assert_eq!(urls("s3://us-west-2.opendata.source.coop/t/p/x.tif", &keys), coop);
        assert_eq!(urls("source://t/p/x.tif", &[]), coop);
        assert_eq!(urls("gs://b/x.tif", &[]), ["https://storage.googleapis.com/b/x.tif"]);
        assert_eq!(
            urls("abfss://c@acc.dfs.core.windows.net/x", &[]),
            ["https://acc.blob.core.windows.net/c/x"]
        );
        assert_eq!(
            urls("az://c/x", &[("AZURE_STORAGE_ACCOUNT", "acc"), ("AZURE_STORAGE_SAS_TOKEN", "?sig=1")]),
            ["https://acc.blob.core.windows.net/c/x?sig=1", "https://acc.blob.core.windows.net/c/x"]
        );
        assert_eq!(
            urls("hf://datasets/o/r@v1/p/a=1.parquet", &[]),
            ["https://huggingface.co/datasets/o/r/resolve/v1/p/a%3D1.parquet"]
        );
        assert_eq!(urls("hf://o/m/w.bin", &[]), ["https://huggingface.co/o/m/resolve/main/w.bin"]);
    }

    #[test]
    fn odd_addresses_are_refused() {
        for text in
            ["s3:///x", "s3://u:p@b/x", "s3://b c/x", "gs:///", "az://c/x", "hf://datasets/o", "source://"]
        {
            let (scheme, rest) = text.split_once("://").unwrap();
            assert!(parse(scheme, rest, &Vars::only([("A", "")])).unwrap().is_err(), "{text}");
        }
        assert!(parse("ftp", "h/x", &Vars::default()).is_none());
    }

    #[test]
    fn the_gateway_of_source_cooperative_is_known() {
        let of = |text: &str| of_url(&Url::parse(text).unwrap()).map(|(_, key)| key);
        assert_eq!(of("https://data.source.coop/a/b/c.tif").as_deref(), Some("a/b/c.tif"));
        assert_eq!(
            of("https://s3.us-west-2.amazonaws.com/us-west-2.opendata.source.coop/a/b").as_deref(),
            Some("a/b")
        );
        assert_eq!(of("https://data.source.coop/a?x=1"), None);
        assert_eq!(of("https://h/a"), None);
    }
}
