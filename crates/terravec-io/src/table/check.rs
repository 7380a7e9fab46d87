//! Whether a file keeps the rules of GeoParquet.

use super::TableFile;

/// A rule that a file breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Short name of the rule, as the GeoParquet test files have it: `metadata_missing`, `wkb_parse_error`, ….
    pub rule: &'static str,
    /// What is wrong, and where.
    pub what: String,
}

/// Checks the `geo` footer against the standard, and every geometry against the footer.
#[must_use]
pub fn check_geoparquet(file: &TableFile) -> Vec<Problem> {
    let _ = file;
    unimplemented!()
}
