//! Chains of codecs as `zarr.json` and `.zarray` name them.

use serde_json::Value;

use super::{ArrayStep, BytesStep, Core, Pipeline};
use crate::zarr::element::Element;
use crate::zarr::shard::Sharding;

/// What is wrong with metadata: nonsense, or something that is not read.
pub(in crate::zarr) enum Fault {
    Corrupt(String),
    Unsupported(String),
}

use Fault::{Corrupt, Unsupported};

/// Shards within shards go no deeper than this.
const MAX_DEPTH: usize = 4;

/// A codec's name and options, from an object or its short form.
fn named(value: &Value) -> Result<(&str, Option<&Value>), Fault> {
    if let Some(name) = value.as_str() {
        return Ok((name, None));
    }
    match value.get("name").and_then(Value::as_str) {
        Some(name) => Ok((name, value.get("configuration"))),
        None => Err(Corrupt(format!("codec {value} has no name"))),
    }
}

/// The chain in `codecs` of a Zarr v3 array for chunks of `shape`.
pub(in crate::zarr) fn v3(
    codecs: &Value,
    shape: &[usize],
    element: &Element,
    depth: usize,
) -> Result<Pipeline, Fault> {
    let list = codecs.as_array().ok_or_else(|| Corrupt("codecs is no list".into()))?;
    let (mut arrays, mut core, mut bytes) = (Vec::new(), None, Vec::new());
    // The shape at this point of the chain.
    let mut stored = shape.to_vec();
    for value in list {
        let (name, options) = named(value)?;
        let option = |key: &str| options.and_then(|o| o.get(key));
        let name = name.strip_prefix("numcodecs.").unwrap_or(name);
        if core.is_none() {
            match name {
                "transpose" => {
                    let order = transpose_order(option("order"), shape.len())?;
                    stored = order.iter().map(|&a| stored[a]).collect();
                    arrays.push(ArrayStep::Transpose(order));
                    continue;
                }
                "delta" => {
                    arrays.push(delta(options)?);
                    continue;
                }
                // What it took away stays away.
                "bitround" => continue,
                _ => {}
            }
            core = Some(match name {
                "bytes" => Core::Bytes {
                    big_endian: match option("endian").and_then(Value::as_str) {
                        None | Some("little") => false,
                        Some("big") => true,
                        Some(other) => return Err(Corrupt(format!("byte order `{other}`"))),
                    },
                },
                "vlen-utf8" => Core::Text,
                "pcodec" => Core::Pcodec,
                "sharding_indexed" if depth < MAX_DEPTH => {
                    Core::Sharded(Box::new(Sharding::parse(options, &stored, element, depth)?))
                }
                other => return Err(Unsupported(format!("codec `{other}`"))),
            });
            continue;
        }
        bytes.push(match name {
            "shuffle" => BytesStep::Shuffle(item_size(option("elementsize"), element)),
            name => bytes_step(name).ok_or_else(|| Unsupported(format!("codec `{name}`")))?,
        });
    }
    let core = core.ok_or_else(|| Corrupt("codecs name none that makes bytes of an array".into()))?;
    check(&core, &arrays, element)?;
    Ok(Pipeline { shape: shape.to_vec(), element: element.clone(), arrays, core, bytes })
}

/// The chain of a Zarr v2 array for chunks of `shape`.
pub(in crate::zarr) fn v2(
    meta: &Value,
    shape: &[usize],
    element: &Element,
    big_endian: bool,
) -> Result<Pipeline, Fault> {
    let (mut arrays, mut bytes) = (Vec::new(), Vec::new());
    if meta.get("order").and_then(Value::as_str) == Some("F") && shape.len() > 1 {
        arrays.push(ArrayStep::Transpose((0..shape.len()).rev().collect()));
    }
    let mut core = Core::Bytes { big_endian };
    let none = Vec::new();
    let filters = meta.get("filters").and_then(Value::as_array).unwrap_or(&none);
    let compressor = meta.get("compressor").filter(|c| !c.is_null());
    for codec in filters.iter().chain(compressor) {
        let id = codec.get("id").and_then(Value::as_str);
        match id.ok_or_else(|| Corrupt(format!("codec {codec} has no id")))? {
            "delta" if bytes.is_empty() => arrays.push(delta(Some(codec))?),
            "bitround" => {}
            "vlen-utf8" if bytes.is_empty() => core = Core::Text,
            "pcodec" if bytes.is_empty() => core = Core::Pcodec,
            "shuffle" => bytes.push(BytesStep::Shuffle(item_size(codec.get("elementsize"), element))),
            id => bytes.push(bytes_step(id).ok_or_else(|| Unsupported(format!("codec `{id}`")))?),
        }
    }
    check(&core, &arrays, element)?;
    Ok(Pipeline { shape: shape.to_vec(), element: element.clone(), arrays, core, bytes })
}

fn bytes_step(name: &str) -> Option<BytesStep> {
    Some(match name {
        "blosc" => BytesStep::Blosc,
        "zstd" => BytesStep::Zstd,
        "gzip" => BytesStep::Gzip,
        "zlib" => BytesStep::Zlib,
        "lz4" => BytesStep::Lz4,
        "crc32c" => BytesStep::Crc32c,
        _ => return None,
    })
}

/// Text has a codec of its own, and nothing else has that one.
fn check(core: &Core, arrays: &[ArrayStep], element: &Element) -> Result<(), Fault> {
    let text = *element == Element::Text;
    if text != matches!(core, Core::Text) || text && !arrays.is_empty() {
        return Err(Unsupported(format!("this chain of codecs for data type {element}")));
    }
    Ok(())
}

fn item_size(stated: Option<&Value>, element: &Element) -> usize {
    let stated = stated.and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    stated.filter(|n| (1..=255).contains(n)).or(element.size()).unwrap_or(1)
}

fn delta(options: Option<&Value>) -> Result<ArrayStep, Fault> {
    let text = |key: &str| options.and_then(|o| o.get(key)).and_then(Value::as_str);
    match (text("dtype"), text("astype")) {
        (Some(dtype), Some(astype)) if dtype != astype => {
            Err(Unsupported("delta that changes the data type".into()))
        }
        _ => Ok(ArrayStep::Delta),
    }
}

fn transpose_order(order: Option<&Value>, axes: usize) -> Result<Vec<usize>, Fault> {
    let bad = || Corrupt(format!("transpose order {} of {axes} axes", order.unwrap_or(&Value::Null)));
    match order {
        Some(Value::String(s)) if s == "C" => Ok((0..axes).collect()),
        Some(Value::String(s)) if s == "F" => Ok((0..axes).rev().collect()),
        Some(Value::Array(list)) => {
            let order: Option<Vec<usize>> = list.iter().map(|v| v.as_u64().map(|n| n as usize)).collect();
            let order = order.ok_or_else(bad)?;
            let mut sorted = order.clone();
            sorted.sort_unstable();
            if sorted.into_iter().eq(0..axes) { Ok(order) } else { Err(bad()) }
        }
        _ => Err(bad()),
    }
}
