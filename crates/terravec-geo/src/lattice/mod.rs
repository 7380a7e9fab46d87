//! Tile lattices: which tiles a product is cut into, and what they are called.
