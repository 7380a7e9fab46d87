//! Values that stand in the path of a file: `year=2024/month=06/part.parquet`.

/// The `key=value` folders of a path, outermost first, percent-decoded. The file's own name is none of them. A value
/// stays text, as `month=06` and `geohash=06` are written alike.
#[must_use]
pub fn partition_values(path: &str) -> Vec<(String, String)> {
    // Only an address has a query; a folder may have any name.
    let path = match path.split_once("://") {
        Some((_, rest)) => rest.split(['?', '#']).next().unwrap_or_default(),
        None => path,
    };
    let mut folders: Vec<&str> = path.split(['/', '\\']).collect();
    folders.pop();
    folders
        .into_iter()
        .filter_map(|folder| folder.split_once('=').filter(|(key, _)| !key.is_empty()))
        .map(|(key, value)| (decoded(key), decoded(value)))
        .collect()
}

/// `%20` is a space. What is no code stays as it is; bytes that are no UTF-8 are replaced.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = |b: &u8| char::from(*b).to_digit(16);
        let code = match bytes.get(i + 1..i + 3) {
            Some([a, b]) if bytes[i] == b'%' => hex(a).zip(hex(b)),
            _ => None,
        };
        match code.and_then(|(a, b)| u8::try_from(a * 16 + b).ok()) {
            Some(byte) => {
                out.push(byte);
                i += 3;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> Vec<(String, String)> {
        partition_values(path)
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(k, v)| ((*k).to_string(), (*v).to_string())).collect()
    }

    #[test]
    fn folders_are_values() {
        assert_eq!(
            of("a/geohash=9x/year=2017/month=06/x.parquet"),
            pairs(&[("geohash", "9x"), ("year", "2017"), ("month", "06")])
        );
        assert_eq!(of("https://h/p?q=1/gzd=10N/name=a%20b%2Fc/f=g.parquet"), []);
        assert_eq!(
            of("https://h/gzd=10N/name=a%20b%2fc/f=g.parquet?v=1/x"),
            pairs(&[("gzd", "10N"), ("name", "a b/c")])
        );
        assert_eq!(of("k=/=v/a=b=c/%zz=%4/x"), pairs(&[("k", ""), ("a", "b=c"), ("%zz", "%4")]));
        assert_eq!(of("plain.parquet"), []);
    }
}
