//! Polygons to masks.
