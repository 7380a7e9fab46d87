//! The catalog for people.
