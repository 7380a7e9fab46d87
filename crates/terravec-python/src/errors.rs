//! Failures of the engine as exceptions of `terravec._errors`, with the command line's texts.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use terravec::Error;

/// The name of the exception class for a failure.
fn class(e: &Error) -> &'static str {
    match e {
        Error::Catalog(_) => "CatalogError",
        Error::Open { .. } | Error::Source(_) | Error::Tiff(_) | Error::Zarr(_) | Error::Location(_) => {
            "SourceError"
        }
        Error::Vector(_) => "InputError",
        Error::Geo { .. } | Error::Codec { .. } | Error::Query { .. } => "QueryError",
        Error::Outside { .. } => "OutsideError",
        Error::Exists { .. } | Error::Write { .. } | Error::Cog(_) => "OutputError",
        _ => "TerravecError",
    }
}

/// The exception for a failure.
pub(crate) fn raise(py: Python<'_>, e: &Error) -> PyErr {
    make(py, class(e), e.message(), e.help())
}

/// A question that makes no sense, which the command line would call a usage error.
pub(crate) fn usage(py: Python<'_>, what: String, help: &str) -> PyErr {
    make(py, "QueryError", what, Some(help.to_string()))
}

fn make(py: Python<'_>, class: &str, what: String, help: Option<String>) -> PyErr {
    let made =
        py.import("terravec._errors").and_then(|m| m.getattr(class)).and_then(|c| c.call1((what, help)));
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(e) => PyRuntimeError::new_err(format!("terravec is not installed whole: {e}")),
    }
}
