//! The catalog for people.
use super::Descriptor;
/// One product in full.
#[must_use]
pub fn page(d: &Descriptor) -> String {
    format!("{}\n{}\n", d.id, d.summary)
}
/// The list.
#[must_use]
pub fn table(d: &[&Descriptor]) -> String {
    d.iter().map(|d| format!("{}\n", d.id)).collect()
}
