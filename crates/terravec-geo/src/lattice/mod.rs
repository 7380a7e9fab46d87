//! Tile lattices: what products are cut into, and what the pieces are called.
//!
//! Each lattice converts between names, indices, places and bounds, and knows nothing of files.

pub mod alphaearth;
pub mod geohash;
pub mod majortom;
pub mod majortom_eg;
pub mod mgrs;
pub mod tessera;
pub mod utm;
