//! PyTorch's zip archives (`torch.save` since 1.6): a pickle of names and shapes, and one entry of raw numbers per
//! storage.

use std::collections::BTreeMap;

use super::pickle::{self, Object, Pickle, StorageKind, TensorRef, Value};
use super::zip::Archive;
use super::{MAX_ELEMENTS, ReadSeek, Setting};
use crate::error::WeightsError;
use crate::real::Stored;

pub(crate) struct Checkpoint {
    archive: Archive,
    prefix: String,
    pub(crate) tensors: BTreeMap<String, TensorRef>,
    pub(crate) settings: BTreeMap<String, Setting>,
}

impl Checkpoint {
    pub(crate) fn open(source: Box<dyn ReadSeek>) -> Result<Self, WeightsError> {
        let mut archive = Archive::open(source)?;
        let pickles: Vec<&String> =
            archive.entries.keys().filter(|n| *n == "data.pkl" || n.ends_with("/data.pkl")).collect();
        let &[name] = pickles.as_slice() else {
            return Err(WeightsError::UnknownFormat(format!(
                "a zip archive with {} entries named data.pkl, where a checkpoint has one",
                pickles.len()
            )));
        };
        let (name, prefix) = (name.clone(), name.trim_end_matches("data.pkl").to_string());
        let order = format!("{prefix}byteorder");
        if archive.entries.contains_key(&order) && archive.read(&order, 16)? != b"little" {
            return Err(WeightsError::Malformed("written on a big-endian machine".into()));
        }
        let pickle = pickle::read(&archive.read(&name, pickle::MAX_PICKLE)?)?;
        let state = pickle.get(pickle.root, "state_dict").unwrap_or(pickle.root);
        let pairs = pickle.dict(state).ok_or_else(|| {
            WeightsError::UnknownFormat("the checkpoint is not a dict of tensors".to_string())
        })?;
        let mut tensors = BTreeMap::new();
        for (key, value) in pairs {
            if let (Some(name), Some(tensor)) = (pickle.text(*key), pickle.tensor(*value)) {
                check(name, tensor)?;
                tensors.insert(name.to_string(), tensor.clone());
            }
        }
        let settings = settings(&pickle);
        Ok(Self { archive, prefix, tensors, settings })
    }

    /// The numbers of a tensor that is known to exist, row-major whatever its strides.
    pub(crate) fn read(&mut self, name: &str) -> Result<Vec<f64>, WeightsError> {
        let Some(tensor) = self.tensors.get(name) else {
            return Err(WeightsError::Malformed(format!("no tensor `{name}`")));
        };
        let stored = match tensor.storage.kind {
            StorageKind::Half => Stored::F16,
            StorageKind::BFloat16 => Stored::Bf16,
            StorageKind::Float => Stored::F32,
            StorageKind::Double => Stored::F64,
            StorageKind::Other => {
                let what = "holds integers, not floating-point numbers".into();
                return Err(WeightsError::Values { name: name.into(), what });
            }
        };
        let size = stored.size() as u64;
        let wanted = tensor.storage.elements as u64 * size;
        let entry = format!("{}data/{}", self.prefix, tensor.storage.key);
        let bytes = self.archive.read(&entry, wanted)?;
        if bytes.len() as u64 != wanted {
            return Err(WeightsError::Malformed(format!(
                "entry `{entry}` has {} bytes where tensor `{name}` needs {wanted}",
                bytes.len()
            )));
        }
        let elements = tensor.shape.iter().product();
        let mut values = Vec::with_capacity(elements);
        let mut index = vec![0; tensor.shape.len()];
        let mut at = tensor.offset;
        for _ in 0..elements {
            values.push(stored.number(&bytes[at * stored.size()..]));
            // Step the last axis; carry into the slower ones.
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                at += tensor.strides[axis];
                if index[axis] < tensor.shape[axis] {
                    break;
                }
                at -= index[axis] * tensor.strides[axis];
                index[axis] = 0;
            }
        }
        Ok(values)
    }
}

/// Refuses a tensor that reaches outside its storage.
fn check(name: &str, tensor: &TensorRef) -> Result<(), WeightsError> {
    let fault = |what: &str| WeightsError::Malformed(format!("tensor `{name}` {what}"));
    if tensor.shape.len() != tensor.strides.len() || tensor.shape.len() > 8 {
        return Err(fault("has axes without strides"));
    }
    let elements = tensor.shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
    let elements = elements.ok_or_else(|| fault("has more elements than can be counted"))?;
    if elements > MAX_ELEMENTS || tensor.storage.elements > MAX_ELEMENTS {
        return Err(WeightsError::Limit(format!("tensor `{name}` has more than 2^30 elements")));
    }
    if elements > tensor.storage.elements {
        return Err(fault("has more elements than its storage"));
    }
    let last = tensor.shape.iter().zip(&tensor.strides).try_fold(tensor.offset, |at, (&n, &stride)| {
        n.saturating_sub(1).checked_mul(stride).and_then(|d| d.checked_add(at))
    });
    if elements > 0 && last.is_none_or(|l| l >= tensor.storage.elements) {
        return Err(fault("reaches beyond its storage"));
    }
    Ok(())
}

/// The hyper-parameters, from where the published checkpoints keep them: `params` (CSP, SINR),
/// `hyper_parameters` (Lightning: SatCLIP) and `meta.args` (MIND).
fn settings(pickle: &Pickle) -> BTreeMap<String, Setting> {
    let get = |key| pickle.get(pickle.root, key);
    let meta = get("meta").and_then(|m| pickle.get(m, "args"));
    let mut settings = BTreeMap::new();
    for dict in [get("params"), get("hyper_parameters"), meta].into_iter().flatten() {
        for (key, value) in pickle.dict(dict).unwrap_or_default() {
            let setting = match *value {
                Value::Bool(v) => Setting::Flag(v),
                #[allow(clippy::cast_precision_loss)]
                Value::Int(v) => Setting::Number(v as f64),
                Value::Float(v) => Setting::Number(v),
                Value::Object(at) => match pickle.objects.get(at) {
                    Some(Object::Text(text)) => Setting::Text(text.clone()),
                    _ => continue,
                },
                Value::None | Value::Global(_) => continue,
            };
            if let Some(key) = pickle.text(*key) {
                settings.insert(key.to_string(), setting);
            }
        }
    }
    settings
}
