//! Bytes to blocks of codes, and back.

pub mod atomic;
mod codes;

pub use codes::{Codes, DType, Samples};
