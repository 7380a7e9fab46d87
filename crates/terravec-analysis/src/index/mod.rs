//! An index on disk for tables larger than memory: rows in lists around centres (an inverted file), of which a search looks at a few.
//!
//! A folder of files that are written once: `index.json` names them and is replaced in one step, so a reader sees the index before or after a
//! change and never between. It keeps vectors, codes of one byte, places, times and ids; other columns stay in the table.

mod ask;
mod build;
mod list;
mod manifest;
mod search;
mod segment;

pub use build::{Build, Source};
pub use manifest::{Index, Manifest, Recall, is_index};
pub use search::Filter;

#[cfg(test)]
mod tests;
