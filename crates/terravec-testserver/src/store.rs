//! What stores answer beside the bytes of objects: lists, refusals, redirects. Enough of each protocol to test a client.
//!
//! A bucket, container or repository is a folder below the root: `/BUCKET/?list-type=2&prefix=…` (S3, Google Cloud Storage),
//! `/CONTAINER?restype=container&comp=list&prefix=…` (Azure), `/api/datasets/O/R/tree/REVISION/…` and
//! `/datasets/O/R/resolve/REVISION/PATH` (Hugging Face; the files lie in `datasets/O/R/REVISION`).

use std::fs;
use std::path::Path;

use crate::request::Request;

/// A short answer.
pub(crate) struct Short {
    pub(crate) status: u16,
    pub(crate) headers: Vec<String>,
    pub(crate) body: String,
}

/// How the stores behave.
#[derive(Debug, Clone, Default)]
pub struct StoreOptions {
    /// What an `Authorization` must contain, or a query, to be let in; anybody is where absent.
    pub secret: Option<String>,
    /// Objects on a page of a list; 0 is 1000.
    pub page: usize,
    /// Where Hugging Face's files are sent to: another server of the same root. Absent: this one.
    pub elsewhere: Option<String>,
    /// The region of all buckets; one who signs for another is told so.
    pub region: Option<String>,
    /// Keys that are added to every list, to lie.
    pub lies: Vec<String>,
}

/// The answer, where it is not the bytes of an object.
pub(crate) fn answer(root: &Path, options: &StoreOptions, request: &Request) -> Option<Short> {
    let authorization = request.header("authorization").unwrap_or_default();
    if let Some(secret) = &options.secret
        && !request.path.starts_with("/__")
        && !authorization.contains(secret)
        && !request.target.contains(secret)
        && !request.path.starts_with("/cdn/")
    {
        return Some(refusal(403, "AccessDenied", "Access Denied", &[]));
    }
    if let Some(region) = &options.region
        && authorization.starts_with("AWS4")
        && !authorization.contains(&format!("/{region}/s3/"))
    {
        let header = format!("x-amz-bucket-region: {region}");
        return Some(refusal(400, "AuthorizationHeaderMalformed", "the region is wrong", &[header]));
    }
    let path = request.path.trim_start_matches('/');
    let prefix = request.query("prefix").unwrap_or_default();
    if request.query("list-type").as_deref() == Some("2") {
        let token = request.query("continuation-token");
        return Some(s3(root, path.trim_end_matches('/'), &prefix, token.as_deref(), options));
    }
    if request.query("comp").as_deref() == Some("list") {
        return Some(azure(
            root,
            path.trim_end_matches('/'),
            &prefix,
            request.query("marker").as_deref(),
            options,
        ));
    }
    if let Some(tree) = path.strip_prefix("api/") {
        return Some(hugging_face(root, tree, request, options));
    }
    if let Some((repository, rest)) = path.split_once("/resolve/") {
        let file = format!("{repository}/{rest}");
        let Ok(bytes) = fs::read(root.join(&file)) else {
            return Some(refusal(404, "EntryNotFound", "Entry not found", &[]));
        };
        let base = options.elsewhere.clone().unwrap_or_default();
        let headers = vec![
            format!("Location: {base}/cdn/{file}?X-Amz-Expires=3600"),
            format!("X-Linked-Size: {}", bytes.len()),
        ];
        return Some(Short { status: 302, headers, body: String::new() });
    }
    None
}

fn refusal(status: u16, code: &str, message: &str, headers: &[String]) -> Short {
    let body =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>");
    let mut headers = headers.to_vec();
    headers.push("Content-Type: application/xml".into());
    Short { status, headers, body }
}

/// Files below a folder, with their sizes, in order.
fn files(folder: &Path) -> Vec<(String, u64)> {
    fn walk(folder: &Path, prefix: &str, found: &mut Vec<(String, u64)>) {
        for item in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = format!("{prefix}{}", item.file_name().to_string_lossy());
            match item.metadata() {
                Ok(meta) if meta.is_dir() => walk(&item.path(), &format!("{name}/"), found),
                Ok(meta) => found.push((name, meta.len())),
                Err(_) => {}
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, "", &mut found);
    found.sort();
    found
}

/// One page: entries, and the number of the entry at which the next begins.
fn page(
    root: &Path,
    folder: &str,
    prefix: &str,
    token: Option<&str>,
    options: &StoreOptions,
) -> (Vec<(String, u64)>, Option<usize>) {
    let lies = options.lies.iter().map(|l| (l.clone(), 3));
    let all: Vec<_> = files(&root.join(folder))
        .into_iter()
        .filter(|(key, _)| key.starts_with(prefix))
        .chain(lies)
        .collect();
    let start = token.and_then(|t| t.rsplit('=').next()?.parse().ok()).unwrap_or(0).min(all.len());
    let length = if options.page == 0 { 1000 } else { options.page };
    let end = (start + length).min(all.len());
    (all[start..end].to_vec(), (end < all.len()).then_some(end))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn xml(body: String) -> Short {
    Short { status: 200, headers: vec!["Content-Type: application/xml".into()], body }
}

fn s3(root: &Path, bucket: &str, prefix: &str, token: Option<&str>, options: &StoreOptions) -> Short {
    if !root.join(bucket).is_dir() {
        return refusal(404, "NoSuchBucket", "The specified bucket does not exist", &[]);
    }
    let (found, next) = page(root, bucket, prefix, token, options);
    let contents: String = found
        .iter()
        .map(|(key, size)| {
            let key = escape(key);
            format!("<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;x&quot;</ETag><Size>{size}</Size></Contents>")
        })
        .collect();
    let next = next.map(|n| format!("<NextContinuationToken>after+/={n}</NextContinuationToken>"));
    xml(format!(
        "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><IsTruncated>{}</IsTruncated>{contents}{}</ListBucketResult>",
        next.is_some(),
        next.unwrap_or_default()
    ))
}

fn azure(root: &Path, container: &str, prefix: &str, token: Option<&str>, options: &StoreOptions) -> Short {
    let (found, next) = page(root, container, prefix, token, options);
    let blobs: String = found
        .iter()
        .map(|(key, size)| {
            let key = escape(key);
            format!("<Blob><Name>{key}</Name><Properties><Content-Length>{size}</Content-Length></Properties></Blob>")
        })
        .collect();
    let next =
        next.map_or_else(|| "<NextMarker />".to_owned(), |n| format!("<NextMarker>m={n}</NextMarker>"));
    xml(format!(
        "\u{feff}<?xml version=\"1.0\"?><EnumerationResults><Blobs>{blobs}</Blobs>{next}</EnumerationResults>"
    ))
}

fn hugging_face(root: &Path, tree: &str, request: &Request, options: &StoreOptions) -> Short {
    let Some((repository, rest)) = tree.split_once("/tree/") else {
        return refusal(404, "RepoNotFound", "Repository not found", &[]);
    };
    let (revision, below) = rest.split_once('/').unwrap_or((rest, ""));
    let folder = format!("{repository}/{revision}");
    let cursor = request.query("cursor");
    let (found, next) = page(root, &folder, below, cursor.as_deref(), options);
    let items: Vec<String> = found
        .iter()
        .map(|(key, size)| format!("{{\"type\":\"file\",\"path\":{key:?},\"size\":{size}}}"))
        .collect();
    let mut headers = vec!["Content-Type: application/json".to_owned()];
    if let Some(next) = next {
        let host = request.header("host").unwrap_or_default();
        headers.push(format!(
            "Link: <http://{host}{}?recursive=true&cursor={next}>; rel=\"next\"",
            request.path
        ));
    }
    Short { status: 200, headers, body: format!("[{}]", items.join(",")) }
}
