//! Signature version 4, as Amazon S3 and the XML API of Google Cloud Storage want it.
//!
//! Steps and names as in "Authenticating Requests: Using the Authorization Header" of the S3 API reference.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use url::Url;

use super::crypto::{hex, hmac};
use super::secret::Secret;

/// SHA-256 of no bytes: a GET has no body.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Keys that sign requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: Secret,
    pub(crate) token: Option<Secret>,
}

/// The headers that sign a GET of `url` at `now`, and say what `extra` says (names in lower case).
pub(crate) fn sign(
    keys: &Keys,
    region: &str,
    url: &Url,
    extra: &[(&str, &str)],
    now: SystemTime,
) -> Vec<(String, String)> {
    let now: DateTime<Utc> = now.into();
    let (day, time) = (now.format("%Y%m%d").to_string(), now.format("%Y%m%dT%H%M%SZ").to_string());
    let mut headers: Vec<(String, String)> = vec![
        ("host".into(), authority(url)),
        ("x-amz-content-sha256".into(), EMPTY.into()),
        ("x-amz-date".into(), time.clone()),
    ];
    headers.extend(extra.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
    headers.extend(keys.token.iter().map(|t| ("x-amz-security-token".to_owned(), t.reveal().to_owned())));
    headers.sort();
    let signed = headers.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>().join(";");
    let lines: String = headers.iter().map(|(n, v)| format!("{n}:{}\n", v.trim())).collect();
    let canonical = format!("GET\n{}\n{}\n{lines}\n{signed}\n{EMPTY}", url.path(), query(url));
    let scope = format!("{day}/{region}/s3/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let first = hmac(format!("AWS4{}", keys.secret.reveal()).as_bytes(), day.as_bytes());
    let key = [region, "s3", "aws4_request"].iter().fold(first, |key, part| hmac(&key, part.as_bytes()));
    let signature = hex(&hmac(&key, text.as_bytes()));
    // The client writes `Host` itself.
    headers.retain(|(n, _)| n != "host");
    headers.push((
        "authorization".into(),
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope},SignedHeaders={signed},Signature={signature}",
            keys.id
        ),
    ));
    headers
}

/// Host and port as the client writes them.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"))
}

fn query(url: &Url) -> String {
    let mut pairs: Vec<(String, String)> =
        url.query_pairs().map(|(n, v)| (strict(&n, false), strict(&v, false))).collect();
    pairs.sort();
    pairs.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join("&")
}

/// Percent codes for all but letters, digits and `-._~` (and `/` in a path): the only writing that signatures allow.
pub(crate) fn strict(text: &str, path: bool) -> String {
    text.bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => (b as char).to_string(),
            b'/' if path => "/".into(),
            _ => format!("%{b:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    /// The examples of the S3 API reference, section "Examples: Signature Calculations".
    #[test]
    fn signatures_are_those_of_the_reference() {
        let keys = Keys {
            id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            token: None,
        };
        let now = UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        let signature = |url: &str, extra: &[(&str, &str)]| {
            let headers = sign(&keys, "us-east-1", &Url::parse(url).unwrap(), extra, now);
            headers.last().unwrap().1.rsplit_once('=').unwrap().1.to_owned()
        };
        let host = "https://examplebucket.s3.amazonaws.com";
        assert_eq!(
            signature(&format!("{host}/test.txt"), &[("range", "bytes=0-9")]),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        assert_eq!(
            signature(&format!("{host}/?lifecycle"), &[]),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        );
        assert_eq!(
            signature(&format!("{host}/?prefix=J&max-keys=2"), &[]),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
    }

    #[test]
    fn paths_are_written_strictly() {
        assert_eq!(strict("a b/c+d=é~", true), "a%20b/c%2Bd%3D%C3%A9~");
        assert_eq!(strict("a/b", false), "a%2Fb");
    }
}
