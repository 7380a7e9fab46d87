//! Zarr, versions 2 and 3: arrays in chunks, read by region and by point.
//!
//! Our own reader, because reading embeddings is what this is for: it asks for exactly the inner chunks that a question needs,
//! shard by shard in one call to the source, keeps the indexes of shards, and decodes straight into the answer. The crate that exists
//! (`zarrs`) brings four C libraries and its own storage layer along, asks for chunks one by one, and holds a lock while it fetches an
//! index.
//!
//! [`open`] opens a store, [`Group`] says what is in it, [`Array`] is read; [`StoreWriter`] writes one.

mod array;
mod cache;
mod codec;
mod element;
mod error;
mod fetch;
mod fill;
mod group;
mod icechunk;
mod metadata;
mod nd;
mod shard;
mod store;
mod values;
mod visits;
mod write;

pub use array::{Array, Region};
pub use element::Element;
pub use error::ZarrError;
pub use fetch::Begun;
pub use group::{Group, Node, open, open_store};
pub use icechunk::open_icechunk;
pub use metadata::{ArrayMetadata, Attributes};
pub use store::{ABSENT, FileStore, Store};
pub use write::{ArraySpec, ArrayWriter, StoreWriter};
