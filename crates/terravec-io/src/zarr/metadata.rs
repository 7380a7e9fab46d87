//! `zarr.json` (version 3) and `.zarray` with `.zattrs` (version 2): what an array is.

use serde_json::{Map, Value};

use super::codec::parse::{self, Fault};
use super::codec::{MAX_CHUNK, Pipeline};
use super::element::Element;
use super::error::ZarrError;
use super::fill;
use super::shard::sizes;

/// The most axes of an array.
const MAX_AXES: usize = 32;

/// Attributes of an array or group.
pub type Attributes = Map<String, Value>;

/// What an array is.
#[derive(Debug, Clone)]
pub struct ArrayMetadata {
    /// Elements along each axis.
    pub shape: Vec<u64>,
    /// Type of the elements.
    pub element: Element,
    /// What each axis is called.
    pub dimension_names: Vec<Option<String>>,
    /// Attributes.
    pub attributes: Attributes,
    /// What elements never written are, as the metadata have it.
    pub fill_value: Value,
    /// 2 or 3.
    pub format: u8,
    /// The names of the codecs.
    pub codecs: String,
    /// Little-endian.
    pub(super) fill: Vec<u8>,
    pub(super) pipeline: Pipeline,
    keys: Keys,
}

/// How objects are named after the place of their chunk.
#[derive(Debug, Clone)]
struct Keys {
    /// `c`, or nothing.
    prefix: bool,
    separator: String,
}

impl ArrayMetadata {
    /// The name of the object with the chunk at `index`.
    pub(super) fn key(&self, index: &[u64]) -> String {
        let parts = index.iter().map(u64::to_string);
        if self.keys.prefix {
            return std::iter::once("c".to_owned())
                .chain(parts)
                .collect::<Vec<_>>()
                .join(&self.keys.separator);
        }
        if index.is_empty() { "0".into() } else { parts.collect::<Vec<_>>().join(&self.keys.separator) }
    }

    /// What the node says that `document`, at `place`, describes.
    pub(super) fn v3(place: &str, document: &Value) -> Result<Self, ZarrError> {
        let get = |key: &str| document.get(key).unwrap_or(&Value::Null);
        let corrupt = |reason: String| ZarrError::corrupt(place, reason);
        let unsupported = |what: String| ZarrError::unsupported(place, what);
        let shape = shape(get("shape")).ok_or_else(|| corrupt(format!("shape {}", get("shape"))))?;
        let element = Element::of_v3(get("data_type")).map_err(unsupported)?;
        let grid = get("chunk_grid");
        if grid.get("name").and_then(Value::as_str) != Some("regular") {
            return Err(unsupported(format!("chunk grid {grid}")));
        }
        let chunk = grid.get("configuration").and_then(|c| c.get("chunk_shape")).unwrap_or(&Value::Null);
        let chunk =
            sizes(chunk, shape.len()).ok_or_else(|| corrupt(format!("chunk shape {chunk} of {shape:?}")))?;
        if get("storage_transformers").as_array().is_some_and(|t| !t.is_empty()) {
            return Err(unsupported("a storage transformer".into()));
        }
        let keys = get("chunk_key_encoding");
        let name = keys.as_str().or_else(|| keys.get("name")?.as_str());
        let prefix = match name {
            Some("default") => true,
            Some("v2") => false,
            _ => return Err(unsupported(format!("chunk key encoding {keys}"))),
        };
        let separator = keys.get("configuration").and_then(|c| c.get("separator")).and_then(Value::as_str);
        let keys = Keys { prefix, separator: separator.unwrap_or(if prefix { "/" } else { "." }).to_owned() };
        check_separator(place, &keys)?;
        let pipeline = parse::v3(get("codecs"), &chunk, &element, 0).map_err(|f| fault(place, f))?;
        let codecs = get("codecs").as_array().map_or(String::new(), |list| codec_names(list));
        let names = get("dimension_names").as_array();
        let names = names.map(|l| l.iter().map(|v| v.as_str().map(str::to_owned)).collect::<Vec<_>>());
        let attributes = get("attributes").as_object().cloned().unwrap_or_default();
        Self::checked(place, 3, shape, element, names, attributes, get("fill_value"), codecs, pipeline, keys)
    }

    /// As [`v3`](Self::v3), from `.zarray` and `.zattrs`.
    pub(super) fn v2(place: &str, document: &Value, attributes: Attributes) -> Result<Self, ZarrError> {
        let get = |key: &str| document.get(key).unwrap_or(&Value::Null);
        let corrupt = |reason: String| ZarrError::corrupt(place, reason);
        let shape = shape(get("shape")).ok_or_else(|| corrupt(format!("shape {}", get("shape"))))?;
        let text = get("filters").as_array().is_some_and(|list| {
            list.iter().any(|f| f.get("id").and_then(Value::as_str) == Some("vlen-utf8"))
        });
        let descr = get("dtype").as_str().unwrap_or_default();
        let (element, big_endian) =
            Element::of_v2(descr, text).map_err(|what| ZarrError::unsupported(place, what))?;
        let chunk = sizes(get("chunks"), shape.len())
            .ok_or_else(|| corrupt(format!("chunks {} of {shape:?}", get("chunks"))))?;
        let separator = get("dimension_separator").as_str().unwrap_or(".").to_owned();
        let keys = Keys { prefix: false, separator };
        check_separator(place, &keys)?;
        let pipeline = parse::v2(document, &chunk, &element, big_endian).map_err(|f| fault(place, f))?;
        let codecs = get("compressor").get("id").and_then(Value::as_str).unwrap_or("raw").to_owned();
        let names = attributes.get("_ARRAY_DIMENSIONS").and_then(Value::as_array);
        let names = names.map(|l| l.iter().map(|v| v.as_str().map(str::to_owned)).collect::<Vec<_>>());
        Self::checked(place, 2, shape, element, names, attributes, get("fill_value"), codecs, pipeline, keys)
    }

    #[allow(clippy::too_many_arguments)] // the two formats meet here, once all is read
    fn checked(
        place: &str,
        format: u8,
        shape: Vec<u64>,
        element: Element,
        names: Option<Vec<Option<String>>>,
        attributes: Attributes,
        fill_value: &Value,
        codecs: String,
        pipeline: Pipeline,
        keys: Keys,
    ) -> Result<Self, ZarrError> {
        let fill = fill::bytes(fill_value, &element).map_err(|reason| ZarrError::corrupt(place, reason))?;
        let dimension_names =
            names.filter(|n| n.len() == shape.len()).unwrap_or_else(|| vec![None; shape.len()]);
        // What is decoded at once must fit; a shard may be larger than that.
        let mut unit = &pipeline;
        while let Some(sharding) = unit.sharding() {
            unit = &sharding.inner;
        }
        let bytes = unit.shape.iter().try_fold(element.size().unwrap_or(1), |n, s| n.checked_mul(*s));
        let elements = shape.iter().try_fold(1u64, |n, s| n.checked_mul(*s));
        let outer = pipeline.shape.iter().try_fold(1usize, |n, s| n.checked_mul(*s));
        if bytes.is_none_or(|n| n > MAX_CHUNK) || outer.is_none() || elements.is_none() {
            let what = format!(
                "an array of {shape:?} {element} in chunks of {:?}, larger than 1 GiB each,",
                unit.shape
            );
            return Err(ZarrError::unsupported(place, what));
        }
        let fill_value = fill_value.clone();
        Ok(Self {
            shape,
            element,
            dimension_names,
            attributes,
            fill_value,
            format,
            codecs,
            fill,
            pipeline,
            keys,
        })
    }
}

fn shape(value: &Value) -> Option<Vec<u64>> {
    let list = value.as_array().filter(|list| list.len() <= MAX_AXES)?;
    list.iter().map(Value::as_u64).collect()
}

fn check_separator(place: &str, keys: &Keys) -> Result<(), ZarrError> {
    match keys.separator.as_str() {
        "/" | "." => Ok(()),
        other => Err(ZarrError::corrupt(place, format!("chunk keys separated by `{other}`"))),
    }
}

fn fault(place: &str, fault: Fault) -> ZarrError {
    match fault {
        Fault::Corrupt(reason) => ZarrError::corrupt(place, reason),
        Fault::Unsupported(what) => ZarrError::unsupported(place, what),
    }
}

/// `transpose, zstd`; of shards what their chunks are made with.
fn codec_names(list: &[Value]) -> String {
    let name = |v: &Value| -> String {
        let name = v.as_str().or_else(|| v.get("name")?.as_str()).unwrap_or("?");
        let inner = v.get("configuration").and_then(|c| c.get("codecs")).and_then(Value::as_array);
        inner.map_or(name.to_owned(), |inner| codec_names(inner))
    };
    list.iter().map(name).filter(|n| n != "bytes").collect::<Vec<_>>().join(", ")
}

/// JSON as Python writes it: `NaN` and `Infinity` outside of text are taken for `null`.
pub(super) fn json(place: &str, bytes: &[u8]) -> Result<Value, ZarrError> {
    let strict = serde_json::from_slice(bytes);
    let value = strict.or_else(|e| {
        let lenient = without_nan(bytes).ok_or(e)?;
        serde_json::from_slice(&lenient)
    });
    value.map_err(|e| ZarrError::corrupt(place, format!("no JSON: {e}")))
}

fn without_nan(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    let (mut rest, mut inside, mut changed) = (bytes, false, false);
    while let Some((&b, after)) = rest.split_first() {
        let word =
            ["NaN", "-Infinity", "Infinity"].iter().find(|w| !inside && rest.starts_with(w.as_bytes()));
        if let Some(word) = word {
            out.extend_from_slice(b"null");
            rest = &rest[word.len()..];
            changed = true;
            continue;
        }
        out.push(b);
        rest = after;
        match b {
            b'"' => inside = !inside,
            b'\\' if inside => {
                if let Some((&escaped, after)) = rest.split_first() {
                    out.push(escaped);
                    rest = after;
                }
            }
            _ => {}
        }
    }
    changed.then_some(out)
}
