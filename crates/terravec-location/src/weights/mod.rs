//! Named tensors out of weights files: safetensors and PyTorch's zip archives.
//!
//! Nothing in a file is ever executed, no allocation is sized by an unchecked number, and tensors are read only
//! when an architecture asks for them, so a checkpoint that also holds a vision tower costs nothing extra.

mod npz;
mod pickle;
mod safetensors;
mod torch;
mod zip;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

pub(crate) use npz::Npz;

use crate::dense::Dense;
use crate::error::{LocationError, WeightsError};
use crate::real::Real;

/// Bytes that can be read from anywhere.
pub(crate) trait ReadSeek: Read + Seek + Send {}
impl<R: Read + Seek + Send> ReadSeek for R {}

/// A hyper-parameter stored beside the tensors.
#[derive(Debug, Clone, PartialEq)]
pub enum Setting {
    /// `True` or `False`.
    Flag(bool),
    /// A number.
    Number(f64),
    /// Text.
    Text(String),
}

/// A tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor<T> {
    /// Extent of each axis, slowest first.
    pub shape: Vec<usize>,
    /// The numbers.
    pub values: Vec<T>,
}

enum Store {
    Safetensors(safetensors::Safetensors),
    Torch(torch::Checkpoint),
}

/// The largest number of elements a tensor may have (4 GiB of `f32`).
const MAX_ELEMENTS: usize = 1 << 30;

/// An open weights file.
pub struct Weights {
    path: PathBuf,
    store: Store,
}

impl std::fmt::Debug for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Weights").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Weights {
    /// Opens a `.safetensors` file, or a `.pth`, `.pt`, `.ckpt` or `.pth.tar` archive written by
    /// `torch.save` (PyTorch 1.6 or newer). What a file is, its first bytes say, not its name.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, or is a pickle that asks for anything but tensors.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, LocationError> {
        let path = path.as_ref().to_path_buf();
        let store = File::open(&path)
            .map_err(WeightsError::from)
            .and_then(|file| Store::open(Box::new(BufReader::new(file))));
        match store {
            Ok(store) => Ok(Self { path, store }),
            Err(source) => Err(LocationError::Weights { path, source }),
        }
    }

    /// The same for bytes in memory; `name` stands for the path in errors.
    ///
    /// # Errors
    /// As [`Weights::open`].
    pub fn from_bytes(bytes: Vec<u8>, name: &str) -> Result<Self, LocationError> {
        let path = PathBuf::from(name);
        match Store::open(Box::new(Cursor::new(bytes))) {
            Ok(store) => Ok(Self { path, store }),
            Err(source) => Err(LocationError::Weights { path, source }),
        }
    }

    /// The names of the tensors, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        match &self.store {
            Store::Safetensors(s) => s.tensors.keys().map(String::as_str).collect(),
            Store::Torch(t) => t.tensors.keys().map(String::as_str).collect(),
        }
    }

    /// The hyper-parameters stored beside the tensors.
    #[must_use]
    pub fn settings(&self) -> &BTreeMap<String, Setting> {
        match &self.store {
            Store::Safetensors(s) => &s.settings,
            Store::Torch(t) => &t.settings,
        }
    }

    /// Whether there is a tensor `name`.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.shape(name).is_some()
    }

    /// The shape of the tensor `name`.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        match &self.store {
            Store::Safetensors(s) => s.tensors.get(name).map(|t| t.shape.as_slice()),
            Store::Torch(t) => t.tensors.get(name).map(|t| t.shape.as_slice()),
        }
    }

    /// Reads the tensor `name`, whatever precision it is stored in.
    ///
    /// # Errors
    /// When there is none, or it does not hold finite floating-point numbers.
    pub fn tensor<T: Real>(&mut self, name: &str) -> Result<Tensor<T>, LocationError> {
        let result = self.read(name);
        result.map_err(|e| self.fault(e))
    }

    fn read<T: Real>(&mut self, name: &str) -> Result<Tensor<T>, WeightsError> {
        let Some(shape) = self.shape(name).map(<[usize]>::to_vec) else {
            return Err(self.missing(name));
        };
        let values = match &mut self.store {
            Store::Safetensors(s) => s.read(name)?,
            Store::Torch(t) => t.read(name)?,
        };
        let values: Vec<T> = values.into_iter().map(T::of).collect();
        if let Some(at) = values.iter().position(|v| !v.wide().is_finite()) {
            let what = format!("holds a number that is not finite, at position {at}");
            return Err(WeightsError::Values { name: name.into(), what });
        }
        Ok(Tensor { shape, values })
    }

    fn missing(&self, name: &str) -> WeightsError {
        let names = self.names();
        let mut found = names.iter().take(4).map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
        if names.len() > 4 {
            found = format!("{found} and {} more", names.len() - 4);
        } else if names.is_empty() {
            found = "none".into();
        }
        WeightsError::MissingTensor { name: name.into(), found }
    }

    /// The first of `prefixes` under which there is a tensor `name`; the last of them if there is none, so
    /// that the error to come names the plain layout.
    pub(crate) fn prefix<'a>(&self, prefixes: &[&'a str], name: &str) -> &'a str {
        let known = prefixes.iter().find(|p| self.contains(&format!("{p}{name}")));
        known.or(prefixes.last()).copied().unwrap_or("")
    }

    /// A tensor of one axis and `length` entries.
    pub(crate) fn vector<T: Real>(&mut self, name: &str, length: usize) -> Result<Vec<T>, LocationError> {
        let found = self.shape(name).map(<[usize]>::to_vec);
        match found {
            Some(found) if found != [length] => {
                Err(self.shape_fault(name, found, format!("[{length}], one number per output")))
            }
            _ => Ok(self.tensor(name)?.values),
        }
    }

    /// A tensor of two axes with `columns` columns, or any number of them when `None`.
    pub(crate) fn matrix<T: Real>(
        &mut self,
        name: &str,
        columns: Option<usize>,
    ) -> Result<(usize, Vec<T>), LocationError> {
        let found = self.shape(name).map(<[usize]>::to_vec);
        if let Some(found) = found {
            let fits = matches!(found[..], [r, c] if r > 0 && c > 0 && columns.is_none_or(|w| w == c));
            if !fits {
                let columns = columns.map_or("inputs".into(), |c| c.to_string());
                return Err(self.shape_fault(name, found, format!("[outputs, {columns}]")));
            }
        }
        let tensor = self.tensor(name)?;
        Ok((tensor.shape[1], tensor.values))
    }

    /// The layer `name.weight`, `name.bias`. `inputs` is its width, if known.
    pub(crate) fn dense<T: Real>(
        &mut self,
        name: &str,
        inputs: Option<usize>,
    ) -> Result<Dense<T>, LocationError> {
        let (inputs, weight) = self.matrix::<T>(&format!("{name}.weight"), inputs)?;
        let bias = self.vector::<T>(&format!("{name}.bias"), weight.len() / inputs)?;
        Ok(Dense::new(weight, bias, inputs))
    }

    pub(crate) fn shape_fault(&self, name: &str, found: Vec<usize>, expected: String) -> LocationError {
        self.fault(WeightsError::Shape { name: name.into(), found, expected })
    }

    pub(crate) fn setting_fault(&self, name: &str, what: impl Into<String>) -> LocationError {
        self.fault(WeightsError::Setting { name: name.into(), what: what.into() })
    }

    fn fault(&self, source: WeightsError) -> LocationError {
        LocationError::Weights { path: self.path.clone(), source }
    }

    /// The number stored as `name`, also when it is written as text (safetensors knows only text).
    pub(crate) fn number(&self, name: &str) -> Result<Option<f64>, LocationError> {
        match self.settings().get(name) {
            None => Ok(None),
            Some(Setting::Number(v)) => Ok(Some(*v)),
            Some(Setting::Text(t)) => match t.parse() {
                Ok(v) => Ok(Some(v)),
                Err(_) => Err(self.setting_fault(name, format!("is `{t}`, not a number"))),
            },
            Some(Setting::Flag(v)) => Err(self.setting_fault(name, format!("is {v}, not a number"))),
        }
    }

    /// The text stored as `name`.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.settings().get(name) {
            Some(Setting::Text(t)) => Some(t),
            _ => None,
        }
    }
}

impl Store {
    fn open(mut source: Box<dyn ReadSeek>) -> Result<Self, WeightsError> {
        let length = source.seek(SeekFrom::End(0))?;
        source.seek(SeekFrom::Start(0))?;
        let mut head = Vec::new();
        source.by_ref().take(64).read_to_end(&mut head)?;
        if head.starts_with(b"PK") {
            return torch::Checkpoint::open(source).map(Store::Torch);
        }
        if head.len() > 8 && head[8] == b'{' {
            return safetensors::Safetensors::open(source, length).map(Store::Safetensors);
        }
        Err(WeightsError::UnknownFormat(match head.first() {
            None => "it is empty".into(),
            Some(0x80) => "it is a bare pickle, as PyTorch before 1.6 wrote; \
                           load it there and save it again, or as safetensors"
                .into(),
            Some(b'v') if head.starts_with(b"version https://git-lfs") => {
                "it is a Git LFS pointer; the weights themselves have not been downloaded".into()
            }
            Some(b'<') => "it looks like a web page".into(),
            Some(_) => format!("it begins with {:02x?}", &head[..head.len().min(8)]),
        }))
    }
}
