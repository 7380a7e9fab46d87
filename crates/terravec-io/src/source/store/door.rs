//! A door: the web address behind which an object lies, and how to be let in.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use url::Url;

use super::azure::{self, SharedKey};
use super::secret::Secret;
use super::sigv4::{self, Keys};

/// One way to an object.
#[derive(Clone)]
pub(crate) struct Door {
    place: Place,
    access: Access,
}

#[derive(Clone)]
enum Place {
    Url(Url),
    /// Below Amazon's own endpoint, whose name depends on the region of the bucket, which may yet have to be learned.
    Bucket {
        bucket: String,
        path: String,
        query: Option<String>,
        region: Option<String>,
    },
}

/// How to be let in.
#[derive(Clone)]
pub(crate) enum Access {
    Open,
    Basic {
        user: String,
        password: Secret,
    },
    Bearer(Secret),
    /// Signature version 4, in this region unless the bucket's own is known; and headers to sign beside.
    Aws {
        keys: Keys,
        region: String,
        extra: Vec<(&'static str, String)>,
    },
    Azure(SharedKey),
    /// Headers alone.
    Headers(Vec<(&'static str, String)>),
}

/// Regions of buckets, told by the host or a descriptor.
static REGIONS: Mutex<Option<HashMap<String, String>>> = Mutex::new(None);

/// Remembers where a bucket lies, which saves asking.
pub fn know_region(bucket: &str, region: &str) {
    let mut regions = REGIONS.lock().unwrap_or_else(PoisonError::into_inner);
    regions.get_or_insert_default().insert(bucket.to_owned(), region.to_owned());
}

fn known_region(bucket: &str) -> Option<String> {
    REGIONS.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.get(bucket).cloned()
}

impl Door {
    /// At a plain address; user and password in it are sent, but not along with the address.
    pub(crate) fn at(mut url: Url) -> Self {
        let user = url.username().to_owned();
        let password = url.password().unwrap_or_default().to_owned();
        // Fails only where there is no host, hence no user either.
        let _ = (url.set_username(""), url.set_password(None));
        let decoded = |t: &str| percent_decoded(t).unwrap_or_else(|| t.to_owned());
        let access = match user.is_empty() && password.is_empty() {
            true => Access::Open,
            false => Access::Basic { user: decoded(&user), password: Secret::new(decoded(&password)) },
        };
        Self { place: Place::Url(url), access }
    }

    pub(crate) fn with(url: Url, access: Access) -> Self {
        Self { place: Place::Url(url), access }
    }

    pub(crate) fn bucket(
        bucket: &str,
        path: String,
        query: Option<String>,
        region: Option<String>,
        access: Access,
    ) -> Self {
        Self { place: Place::Bucket { bucket: bucket.to_owned(), path, query, region }, access }
    }

    /// Where to ask now.
    pub(crate) fn url(&self) -> Url {
        match &self.place {
            Place::Url(url) => url.clone(),
            Place::Bucket { bucket, path, query, region } => {
                let host = match known_region(bucket).or_else(|| region.clone()) {
                    Some(region) => format!("s3.{region}.amazonaws.com"),
                    None => "s3.amazonaws.com".to_owned(),
                };
                // The certificates of S3 hold for one label before the host.
                let base = match bucket.contains('.') {
                    true => format!("https://{host}/{bucket}"),
                    false => format!("https://{bucket}.{host}"),
                };
                let query = query.as_ref().map(|q| format!("?{q}")).unwrap_or_default();
                let text = format!("{base}/{path}{query}");
                // A bucket's name was checked to be made of letters, digits, dots and dashes.
                Url::parse(&text).unwrap_or_else(|_| fallback())
            }
        }
    }

    /// The server, where it is named; empty where it is Amazon's own.
    pub(crate) fn endpoint(&self) -> String {
        match &self.place {
            Place::Url(url) => url.origin().ascii_serialization(),
            Place::Bucket { .. } => String::new(),
        }
    }

    /// Headers that ask for `url`, at the door's own host, to be handed out.
    pub(crate) fn headers(&self, url: &Url, range: Option<&str>) -> Vec<(String, String)> {
        let now = SystemTime::now();
        let own = |n: &str, v: &str| vec![(n.to_owned(), v.to_owned())];
        match &self.access {
            Access::Open => Vec::new(),
            Access::Headers(headers) => headers.iter().map(|(n, v)| ((*n).into(), v.clone())).collect(),
            Access::Basic { user, password } => {
                let pair = format!("{user}:{}", password.reveal());
                own("authorization", &format!("Basic {}", super::crypto::base64(pair.as_bytes())))
            }
            Access::Bearer(token) => own("authorization", &format!("Bearer {}", token.reveal())),
            Access::Aws { keys, region, extra } => {
                let learned = match &self.place {
                    Place::Bucket { bucket, region, .. } => known_region(bucket).or_else(|| region.clone()),
                    Place::Url(_) => None,
                };
                let region = learned.as_deref().unwrap_or(region);
                let mut signed: Vec<(&str, &str)> = extra.iter().map(|(n, v)| (*n, v.as_str())).collect();
                signed.extend(range.map(|r| ("range", r)));
                let mut headers = sigv4::sign(keys, region, url, &signed, now);
                headers.retain(|(n, _)| n != "range");
                headers
            }
            Access::Azure(key) => azure::sign(key, url, range, now),
        }
    }

    /// Learns the bucket's region from an answer; whether that is news.
    pub(crate) fn learn_region(&self, region: &str) -> bool {
        let Place::Bucket { bucket, .. } = &self.place else { return false };
        let sane = !region.is_empty() && region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !sane || known_region(bucket).as_deref() == Some(region) {
            return false;
        }
        know_region(bucket, region);
        true
    }
}

fn fallback() -> Url {
    Url::parse("https://s3.amazonaws.com/").expect("a constant")
}

/// `None` where it isn't Unicode.
fn percent_decoded(text: &str) -> Option<String> {
    // A form's decoder also turns `+` into a space: it must not see any.
    let pair = format!("k={}", text.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, v)| v.into_owned())
}

impl Door {
    /// The same access at another address of the same host.
    pub(super) fn moved(self, url: Url) -> Self {
        Self { place: Place::Url(url), ..self }
    }
}
