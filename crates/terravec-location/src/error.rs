//! What can go wrong, said so that the file, tensor or row at fault is named.

use std::path::PathBuf;

/// A weights file that cannot be used, without the path (see [`LocationError::Weights`]).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file could not be read.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// Neither safetensors nor a PyTorch archive.
    #[error("is neither a safetensors file nor a PyTorch archive: {0}")]
    UnknownFormat(String),
    /// The bytes contradict the format.
    #[error("is damaged: {0}")]
    Malformed(String),
    /// More than a sane file of this kind would hold.
    #[error("exceeds a limit: {0}")]
    Limit(String),
    /// The pickle names something that is not a plain tensor.
    #[error(
        "asks to import `{0}`, which weights have no need of; nothing was run. \
         Convert the checkpoint's state dict to safetensors on a machine where you trust it"
    )]
    ForbiddenGlobal(String),
    /// The pickle uses an instruction that plain weights have no need of.
    #[error("uses the pickle instruction {0}, which weights have no need of; nothing was run")]
    ForbiddenOpcode(String),
    /// A tensor of the architecture is absent.
    #[error("has no tensor `{name}`; it holds {found}")]
    MissingTensor {
        /// The name looked for.
        name: String,
        /// The first few names present.
        found: String,
    },
    /// A tensor has another shape than the architecture needs.
    #[error("tensor `{name}` has shape {found:?}, not {expected}")]
    Shape {
        /// The tensor.
        name: String,
        /// Its shape in the file.
        found: Vec<usize>,
        /// The shape needed, in words.
        expected: String,
    },
    /// A tensor holds something other than finite floating-point numbers.
    #[error("tensor `{name}` {what}")]
    Values {
        /// The tensor.
        name: String,
        /// What is wrong with its values.
        what: String,
    },
    /// A hyper-parameter is absent or names something unsupported.
    #[error("setting `{name}` {what}")]
    Setting {
        /// The hyper-parameter.
        name: String,
        /// What is wrong with it.
        what: String,
    },
}

/// Why an encoder could not be opened, or places could not be encoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocationError {
    /// The weights cannot be used.
    #[error("{}: {source}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: WeightsError,
    },
    /// No encoder of that name.
    #[error("there is no location encoder `{name}`; there are {known}")]
    UnknownEncoder {
        /// The name given.
        name: String,
        /// The names known.
        known: String,
    },
    /// An option is missing, out of range or meant for another encoder.
    #[error("{encoder}: {what}")]
    Option {
        /// The encoder.
        encoder: &'static str,
        /// What is wrong and what to do.
        what: String,
    },
    /// A coordinate is not a place.
    #[error("row {row}: longitude {lon}, latitude {lat}: {what}")]
    Place {
        /// Which place, from 0.
        row: usize,
        /// Its longitude.
        lon: f64,
        /// Its latitude.
        lat: f64,
        /// What is wrong.
        what: &'static str,
    },
    /// The arrays do not belong together.
    #[error("{what} has {found} entries, but there are {expected} places")]
    Length {
        /// Which array.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The number of longitudes.
        expected: usize,
    },
    /// A year or month is missing, superfluous or out of range.
    #[error("{encoder}: {what}")]
    Time {
        /// The encoder.
        encoder: &'static str,
        /// What is wrong and what to do.
        what: String,
    },
}
