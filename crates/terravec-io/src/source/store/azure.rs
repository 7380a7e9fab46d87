//! Shared keys of Azure Blob Storage: "Authorize with Shared Key" of the REST reference, for GET alone.

use std::time::SystemTime;

use url::Url;

use super::crypto::{base64, from_base64, hmac};
use super::secret::Secret;

/// The version of the service that requests are written for.
pub(crate) const VERSION: &str = "2021-08-06";

/// An account's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SharedKey {
    pub(crate) account: String,
    pub(crate) key: Secret,
}

/// The headers that sign a GET of `url` at `now`; a key that isn't base64 signs nothing.
pub(crate) fn sign(
    key: &SharedKey,
    url: &Url,
    range: Option<&str>,
    now: SystemTime,
) -> Vec<(String, String)> {
    let date = httpdate::fmt_http_date(now);
    let mut resource = format!("/{}{}", key.account, url.path());
    let mut query: Vec<(String, String)> =
        url.query_pairs().map(|(n, v)| (n.to_lowercase(), v.into_owned())).collect();
    query.sort();
    for (name, value) in query {
        resource.push_str(&format!("\n{name}:{value}"));
    }
    // Ten other headers that a GET of a range does not have come before the range.
    let text = format!(
        "GET\n{}{}\nx-ms-date:{date}\nx-ms-version:{VERSION}\n{resource}",
        "\n".repeat(10),
        range.unwrap_or_default()
    );
    let mut headers = vec![("x-ms-date".to_owned(), date), ("x-ms-version".to_owned(), VERSION.to_owned())];
    if let Some(secret) = from_base64(key.key.reveal()) {
        let signature = base64(&hmac(&secret, text.as_bytes()));
        headers.push(("authorization".into(), format!("SharedKey {}:{signature}", key.account)));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What azure-storage-blob 12 (Python) signs.
    #[test]
    fn signatures_are_those_of_the_publishers_own_client() {
        let key = SharedKey { account: "acc".into(), key: Secret::new("c2VjcmV0") };
        let signature = |path: &str, range: Option<&str>| {
            let url = Url::parse(&format!("https://acc.blob.core.windows.net/{path}")).unwrap();
            sign(&key, &url, range, SystemTime::UNIX_EPOCH).last().unwrap().1.clone()
        };
        assert_eq!(
            signature("c/a%20b/x%2By.tif", None),
            "SharedKey acc:ihiEDaQr03cQfdbn+HLwJn9oXiA1V7eGp9SNUexr2UA="
        );
        assert_eq!(
            signature("c?restype=container&comp=list&prefix=a%2Fb%20c%2F", None),
            "SharedKey acc:yTyNk0JBOf3waB1L/NXGSw2YgRqbstED/Wt+EqFH8io="
        );
        // That client asks for ranges by another header. This is HMAC-SHA256, by Python, of the text that the reference describes.
        assert_eq!(
            signature("c/a%20b/x%2By.tif", Some("bytes=5-9")),
            "SharedKey acc:GTHoDX9IMl4JpmjqLDxZcCcXrgxZaNHy7S7lQiQZYjI="
        );
    }

    #[test]
    fn a_signature_hides_the_key_and_depends_on_what_is_asked() {
        let key = SharedKey { account: "a".into(), key: Secret::new("c2VjcmV0") };
        let url = Url::parse("https://a.blob.core.windows.net/c/x.tif?comp=list").unwrap();
        let one = sign(&key, &url, Some("bytes=0-1"), SystemTime::UNIX_EPOCH);
        let two = sign(&key, &url, Some("bytes=0-2"), SystemTime::UNIX_EPOCH);
        assert!(one.last().unwrap().1.starts_with("SharedKey a:"));
        assert_ne!(one, two);
    }
}
