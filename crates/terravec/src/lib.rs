//! The engine of terravec: Earth embeddings as products.
//!
//! * [`catalog`] — what is known of each product, as data: how its numbers become vectors, where its
//!   tiles lie, when and where it holds, and under which licence.

pub mod catalog;
