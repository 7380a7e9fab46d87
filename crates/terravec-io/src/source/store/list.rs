//! Pages of the lists that stores give: XML of S3, Google Cloud Storage and Azure, JSON of Hugging Face.

use std::time::SystemTime;

use super::Store;

/// An object of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its whole key.
    pub(crate) key: String,
    pub(crate) size: u64,
    pub(crate) etag: Option<String>,
    pub(crate) sha256: Option<String>,
    pub(crate) modified: Option<SystemTime>,
}

/// One page: its objects, and the token of the next page where there is one. `link` is the `Link` header.
///
/// # Errors
/// What is wrong with the page.
pub(crate) fn listing(
    store: &Store,
    body: &[u8],
    link: Option<&str>,
) -> Result<(Vec<Found>, Option<String>), String> {
    let text = std::str::from_utf8(body).map_err(|_| "the list is no text".to_owned())?;
    // Azure begins with a mark of byte order.
    let text = text.trim_start_matches('\u{feff}');
    match store {
        Store::Hf { .. } => hugging_face(text, link),
        Store::S3 { .. } | Store::Gs { .. } => {
            xml(text, &["ListBucketResult"], "Contents", "Key", "NextContinuationToken")
        }
        Store::Azure { .. } => xml(text, &["EnumerationResults"], "Blob", "Name", "NextMarker"),
    }
}

fn xml(
    text: &str,
    roots: &[&str],
    item: &str,
    name: &str,
    next: &str,
) -> Result<(Vec<Found>, Option<String>), String> {
    let document = roxmltree::Document::parse(text).map_err(|e| format!("the list is no XML: {e}"))?;
    let root = document.root_element();
    if !roots.contains(&root.tag_name().name()) {
        return Err("the server answered with something that is no list".into());
    }
    let mut found = Vec::new();
    for node in root.descendants().filter(|n| n.tag_name().name() == item) {
        let value = |tag: &str| {
            let node = node.descendants().find(|n| n.tag_name().name().eq_ignore_ascii_case(tag))?;
            node.text().map(str::trim).filter(|t| !t.is_empty())
        };
        // Names may begin or end with spaces: they are taken as they stand.
        let key = node.descendants().find(|n| n.tag_name().name() == name).and_then(|n| n.text());
        let key = key.ok_or("an entry of the list has no name")?.to_owned();
        let size = value("Size").or_else(|| value("Content-Length")).unwrap_or("0");
        let size = size.parse().map_err(|_| format!("the size of {key} is no number"))?;
        let etag = value("ETag").map(|t| if t.starts_with('"') { t.to_owned() } else { format!("\"{t}\"") });
        let modified = value("LastModified").or_else(|| value("Last-Modified")).and_then(time);
        found.push(Found { key, size, etag, sha256: None, modified });
    }
    let token = root.children().find(|n| n.tag_name().name() == next).and_then(|n| n.text());
    let cut = root.children().any(|n| n.tag_name().name() == "IsTruncated" && n.text() == Some("true"));
    if cut && token.is_none() {
        return Err("the list is cut short and says not where it goes on".into());
    }
    Ok((found, token.filter(|t| !t.is_empty()).map(str::to_owned)))
}

fn time(text: &str) -> Option<SystemTime> {
    chrono::DateTime::parse_from_rfc3339(text)
        .map(Into::into)
        .ok()
        .or_else(|| httpdate::parse_http_date(text).ok())
}

fn hugging_face(text: &str, link: Option<&str>) -> Result<(Vec<Found>, Option<String>), String> {
    #[derive(serde::Deserialize)]
    struct Item {
        #[serde(rename = "type")]
        kind: String,
        path: String,
        #[serde(default)]
        size: u64,
        lfs: Option<Lfs>,
    }
    #[derive(serde::Deserialize)]
    struct Lfs {
        #[serde(alias = "sha256")]
        oid: String,
        size: u64,
    }
    let items: Vec<Item> = serde_json::from_str(text).map_err(|e| format!("the list is no JSON: {e}"))?;
    let found = items.into_iter().filter(|i| i.kind == "file").map(|i| {
        let hex = |t: &&str| t.len() == 64 && t.bytes().all(|b| b.is_ascii_hexdigit());
        let oid = i.lfs.as_ref().map(|l| l.oid.trim_start_matches("sha256:"));
        Found {
            key: i.path,
            size: i.lfs.as_ref().map_or(i.size, |l| l.size),
            etag: None,
            sha256: oid.filter(hex).map(str::to_ascii_lowercase),
            modified: None,
        }
    });
    let next = link.and_then(|l| {
        l.split(',')
            .find(|part| part.contains("rel=\"next\""))?
            .split_once('<')?
            .1
            .split_once('>')
            .map(|(u, _)| u.to_owned())
    });
    Ok((found.collect(), next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_all_stores_are_read() {
        let s3 = Store::S3 { bucket: "b".into() };
        let page = r#"<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Prefix>a/</Prefix>
            <IsTruncated>true</IsTruncated><NextContinuationToken>t=</NextContinuationToken><Contents><Key>a/b &amp; c.tif</Key>
            <LastModified>2024-05-01T00:00:00.000Z</LastModified><ETag>"x"</ETag><Size>12</Size></Contents></ListBucketResult>"#;
        let (found, next) = listing(&s3, page.as_bytes(), None).unwrap();
        assert_eq!((found[0].key.as_str(), found[0].size, next.as_deref()), ("a/b & c.tif", 12, Some("t=")));
        assert!(found[0].modified.is_some() && found[0].etag.as_deref() == Some("\"x\""));
        let azure = Store::Azure { account: "a".into(), container: "c".into() };
        let page = "\u{feff}<?xml version=\"1.0\"?><EnumerationResults><Blobs><Blob><Name>x</Name><Properties><Last-Modified>Fri, 31 Dec 2021 23:59:59 GMT</Last-Modified><Etag>0x8</Etag><Content-Length>7</Content-Length></Properties></Blob></Blobs><NextMarker /></EnumerationResults>";
        let (found, next) = listing(&azure, page.as_bytes(), None).unwrap();
        assert_eq!((found[0].size, found[0].etag.as_deref(), next), (7, Some("\"0x8\""), None));
        let hf = Store::Hf { repository: "datasets/o/r".into(), revision: "main".into() };
        let oid = "ab".repeat(32);
        let page = format!(
            r#"[{{"type":"directory","path":"d"}},{{"type":"file","path":"d/x","size":130,"lfs":{{"oid":"{oid}","size":9}}}}]"#
        );
        let (found, next) = listing(&hf, page.as_bytes(), Some(r#"<https://h/next>; rel="next""#)).unwrap();
        assert_eq!((found.len(), found[0].size, found[0].sha256.as_deref()), (1, 9, Some(oid.as_str())));
        assert_eq!(next.as_deref(), Some("https://h/next"));
    }

    #[test]
    fn pages_that_are_no_lists_are_refused() {
        let s3 = Store::S3 { bucket: "b".into() };
        for page in [
            "<html></html>",
            "no",
            "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
            "<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
        ] {
            assert!(listing(&s3, page.as_bytes(), None).is_err(), "{page}");
        }
    }
}
