//! The safetensors format: eight bytes of header length, a JSON header, raw little-endian tensors.
//! <https://github.com/huggingface/safetensors#format>

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};

use serde_json::Value;

use super::{MAX_ELEMENTS, ReadSeek, Setting};
use crate::error::WeightsError;
use crate::real::Stored;

/// The format's own limit.
const MAX_HEADER: u64 = 100_000_000;

pub(crate) struct Safetensors {
    source: Box<dyn ReadSeek>,
    pub(crate) tensors: BTreeMap<String, Entry>,
    pub(crate) settings: BTreeMap<String, Setting>,
}

pub(crate) struct Entry {
    dtype: String,
    pub(crate) shape: Vec<usize>,
    offset: u64,
    length: u64,
}

impl Safetensors {
    pub(crate) fn open(mut source: Box<dyn ReadSeek>, file_length: u64) -> Result<Self, WeightsError> {
        source.seek(SeekFrom::Start(0))?;
        let mut size = [0; 8];
        source.read_exact(&mut size)?;
        let size = u64::from_le_bytes(size);
        if size > MAX_HEADER || size > file_length.saturating_sub(8) {
            return Err(malformed(format!("a header of {size} bytes in a file of {file_length}")));
        }
        let mut header = Vec::new();
        source.by_ref().take(size).read_to_end(&mut header)?;
        let header: Value = serde_json::from_slice(&header).map_err(|e| malformed(format!("header: {e}")))?;
        let Value::Object(header) = header else {
            return Err(malformed("the header is not a JSON object".into()));
        };
        let (mut tensors, mut settings) = (BTreeMap::new(), BTreeMap::new());
        for (name, value) in header {
            if name == "__metadata__" {
                let texts = value.as_object().into_iter().flatten();
                settings.extend(
                    texts.filter_map(|(k, v)| Some((k.clone(), Setting::Text(v.as_str()?.to_string())))),
                );
            } else {
                let entry = Entry::parse(&name, &value, 8 + size, file_length)?;
                tensors.insert(name, entry);
            }
        }
        Ok(Self { source, tensors, settings })
    }

    /// The numbers of a tensor that is known to exist.
    pub(crate) fn read(&mut self, name: &str) -> Result<Vec<f64>, WeightsError> {
        let Some(entry) = self.tensors.get(name) else {
            return Err(malformed(format!("no tensor `{name}`")));
        };
        let stored = match entry.dtype.as_str() {
            "F16" => Stored::F16,
            "BF16" => Stored::Bf16,
            "F32" => Stored::F32,
            "F64" => Stored::F64,
            other => {
                let what = format!("holds {other}, not floating-point numbers");
                return Err(WeightsError::Values { name: name.into(), what });
            }
        };
        self.source.seek(SeekFrom::Start(entry.offset))?;
        let mut bytes = Vec::new();
        self.source.by_ref().take(entry.length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != entry.length {
            return Err(malformed(format!("tensor `{name}` is cut off")));
        }
        Ok(bytes.chunks_exact(stored.size()).map(|b| stored.number(b)).collect())
    }
}

impl Entry {
    fn parse(name: &str, value: &Value, data: u64, file_length: u64) -> Result<Self, WeightsError> {
        let fault = |what: &str| malformed(format!("tensor `{name}`: {what}"));
        let dtype = value["dtype"].as_str().ok_or_else(|| fault("no dtype"))?.to_string();
        let shape = numbers(&value["shape"]).ok_or_else(|| fault("no shape"))?;
        let shape: Vec<usize> = shape
            .into_iter()
            .map(usize::try_from)
            .collect::<Result<_, _>>()
            .map_err(|_| fault("an extent beyond this machine"))?;
        let elements = shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
        let elements = elements.filter(|&n| n <= MAX_ELEMENTS).ok_or_else(|| {
            WeightsError::Limit(format!("tensor `{name}` of shape {shape:?} has more than 2^30 elements"))
        })?;
        let Some(&[begin, end]) = numbers(&value["data_offsets"]).as_deref() else {
            return Err(fault("data_offsets are not two numbers"));
        };
        let length = end.checked_sub(begin).ok_or_else(|| fault("ends before it begins"))?;
        if data.checked_add(end).is_none_or(|e| e > file_length) {
            return Err(fault("lies beyond the end of the file"));
        }
        let size = match dtype.as_str() {
            "F64" | "I64" | "U64" => 8,
            "F32" | "I32" | "U32" => 4,
            "F16" | "BF16" | "I16" | "U16" => 2,
            "I8" | "U8" | "BOOL" => 1,
            // A type this reader does not know is refused when it is asked for.
            _ => return Ok(Self { dtype, shape, offset: data + begin, length }),
        };
        if elements as u64 * size != length {
            return Err(fault(&format!("{length} bytes do not hold {shape:?} of {dtype}")));
        }
        Ok(Self { dtype, shape, offset: data + begin, length })
    }
}

fn numbers(value: &Value) -> Option<Vec<u64>> {
    value.as_array()?.iter().map(Value::as_u64).collect()
}

fn malformed(what: String) -> WeightsError {
    WeightsError::Malformed(what)
}
