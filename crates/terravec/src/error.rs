//! What can go wrong in the engine, with the cause and what to do about it.

use std::path::PathBuf;

use terravec_geo::GeoError;
use terravec_io::npy::NpyError;
use terravec_io::source::SourceError;
use terravec_io::table::TableError;
use terravec_io::tiff::{CogError, TiffError};
use terravec_io::vector::VectorError;
use terravec_io::zarr::ZarrError;
use terravec_location::LocationError;

use crate::catalog::CatalogError;
use crate::codec::CodecError;

/// Any failure of the engine. [`Error::help`] says what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A descriptor is unknown or broken.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// Bytes could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A GeoTIFF could not be read or written.
    #[error(transparent)]
    Tiff(#[from] TiffError),
    /// A NumPy file could not be read.
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// A Zarr store could not be read.
    #[error(transparent)]
    Zarr(#[from] ZarrError),
    /// A COG could not be written.
    #[error(transparent)]
    Cog(#[from] CogError),
    /// A location encoder can't be opened or run.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// A table of vectors can't be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A table of points, regions or samples could not be read or written.
    #[error(transparent)]
    Vector(#[from] VectorError),
    /// A coordinate reference system or grid could not be used.
    #[error("{context}: {source}")]
    Geo {
        /// Where it happened.
        context: String,
        /// The cause.
        source: GeoError,
    },
    /// Codes can't be decoded.
    #[error("{context}: {source}")]
    Codec {
        /// The file or dataset.
        context: String,
        /// The cause.
        source: CodecError,
    },
    /// A dataset can't be opened as asked.
    #[error("{what}")]
    Open {
        /// What is wrong.
        what: String,
        /// What to do.
        help: String,
    },
    /// The question does not fit the dataset.
    #[error("{what}")]
    Query {
        /// What is wrong.
        what: String,
        /// What to do.
        help: String,
    },
    /// Nothing of the dataset lies where it was asked for.
    #[error("{what}")]
    Outside {
        /// Where it was asked.
        what: String,
        /// What the dataset covers.
        covered: String,
    },
    /// An output is already there.
    #[error("{}: the output exists already", path.display())]
    Exists {
        /// The output.
        path: PathBuf,
    },
    /// An output can't be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The output.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Whoever asked wants no answer any more.
    #[error("interrupted")]
    Interrupted,
    /// Arrow refused a table.
    #[error("building the result table: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
}

impl Error {
    /// The failure to read bytes that is behind it, whatever they were read for.
    #[must_use]
    pub fn of_source(&self) -> Option<&SourceError> {
        match self {
            Self::Source(e)
            | Self::Tiff(TiffError::Source(e))
            | Self::Npy(NpyError::Source(e))
            | Self::Zarr(ZarrError::Source(e))
            | Self::Table(TableError::Source(e)) => Some(e),
            _ => None,
        }
    }

    /// What went wrong with its causes, each said once.
    #[must_use]
    pub fn message(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            let more = cause.to_string();
            if !text.contains(&more) {
                text.push_str(": ");
                text.push_str(&more);
            }
            source = cause.source();
        }
        text
    }

    /// What to do about it, in a sentence or two.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Open { help, .. } | Self::Query { help, .. } => Some(help.clone()),
            Self::Outside { covered, .. } => Some(covered.clone()),
            Self::Exists { .. } => Some("choose another name, or pass --force to replace it".into()),
            Self::Codec { source: CodecError::Unpublished { .. }, .. } => {
                Some("ask for the codes themselves: --codes, with nearest resampling".into())
            }
            Self::Codec { source: CodecError::Layout { .. }, .. } => Some(
                "open the file by its path alone, or write a descriptor for it (see `catalog/README.md`)"
                    .into(),
            ),
            Self::Write { .. } => {
                Some("check that the folder exists, may be written to and has space".into())
            }
            Self::Geo { .. } => {
                Some("name a CRS as EPSG:n, and check that the place lies where it is valid".into())
            }
            Self::Codec { .. } | Self::Arrow(_) | Self::Interrupted => None,
            Self::Location(LocationError::Weights { .. }) => {
                Some("give the encoder the weights it was published with".into())
            }
            Self::Location(_) => None,
            Self::Catalog(e) => e.help(),
            Self::Source(e) => e.help().map(ToString::to_string),
            Self::Table(e) => e.help().map(ToString::to_string),
            Self::Tiff(e) => e.help().map(ToString::to_string),
            Self::Npy(e) => e.help().map(ToString::to_string),
            Self::Zarr(e) => e.help(),
            Self::Cog(CogError::Spec { .. }) => {
                Some("choose a target CRS by its EPSG code with --crs".into())
            }
            Self::Cog(_) => Some("check that the folder may be written to and the disk has space".into()),
            Self::Vector(e) => e.help(),
        }
    }

    pub(crate) fn geo(context: impl Into<String>) -> impl FnOnce(GeoError) -> Self {
        let context = context.into();
        move |source| Self::Geo { context, source }
    }

    pub(crate) fn codec(context: impl Into<String>) -> impl FnOnce(CodecError) -> Self {
        let context = context.into();
        move |source| Self::Codec { context, source }
    }

    /// [`Error::Open`].
    pub fn open(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Open { what: what.into(), help: help.into() }
    }

    /// [`Error::Query`].
    pub fn query(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Query { what: what.into(), help: help.into() }
    }

    pub(crate) fn write(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Write { path, source }
    }
}

/// What the engine's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
