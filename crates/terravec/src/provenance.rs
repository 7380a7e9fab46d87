//! Where a result comes from: carried by every answer, written into every output.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::catalog::{CodecSpec, Descriptor};

/// Where vectors come from and how they were made.
///
/// Two results may be put together only if [`Provenance::same_space`] holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Product id.
    pub product: String,
    /// Version or variant, where the product has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The model whose vectors these are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Length of a vector.
    pub dimension: usize,
    /// How codes became values.
    pub decode: String,
    /// `vectors`, or `codes` where the numbers are stored codes.
    pub values: String,
    /// Years of the vectors, where they are known.
    pub years: Vec<i32>,
    /// The files that were read.
    pub sources: Vec<String>,
    /// Licence of the values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Text that the licence asks to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribution: Option<String>,
    /// What was asked: verb and parameters.
    pub request: Value,
    /// `terravec` and its version.
    pub software: String,
}

fn software() -> String {
    format!("terravec {}", env!("CARGO_PKG_VERSION"))
}

/// How many source files a provenance names before it only counts the rest.
const MAX_SOURCES: usize = 1000;

impl Provenance {
    /// Of an answer to `request` with vectors of `product`, before it is known which years and files they come from.
    pub(crate) fn new(
        product: &Descriptor,
        version: Option<String>,
        dimension: usize,
        request: Value,
    ) -> Self {
        Self {
            product: product.id.clone(),
            version,
            model: product.model.as_ref().map(|m| m.name.clone()),
            dimension,
            decode: product.codec.to_string(),
            values: "vectors".into(),
            years: Vec::new(),
            sources: Vec::new(),
            licence: product.licence.clone(),
            attribution: product.attribution.clone(),
            request,
            software: software(),
        }
    }

    /// Of plain arrays, of which nothing is known but how long a vector is.
    #[must_use]
    pub fn of_array(dimension: usize) -> Self {
        Self {
            product: "array".into(),
            version: None,
            model: None,
            dimension,
            decode: CodecSpec::Identity.to_string(),
            values: "vectors".into(),
            years: Vec::new(),
            sources: Vec::new(),
            licence: None,
            attribution: None,
            request: Value::Null,
            software: software(),
        }
    }

    /// Whether vectors of `self` and `other` lie in one vector space.
    #[must_use]
    pub fn same_space(&self, other: &Self) -> bool {
        self.product == other.product && self.version == other.version && self.values == other.values
    }

    /// As compact JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Sets the source list, sorted, at most [`MAX_SOURCES`] long.
    pub(crate) fn set_sources(&mut self, mut sources: Vec<String>) {
        sources.sort();
        sources.dedup();
        if sources.len() > MAX_SOURCES {
            let rest = sources.len() - MAX_SOURCES;
            sources.truncate(MAX_SOURCES);
            sources.push(format!("and {rest} more"));
        }
        self.sources = sources;
    }
}
