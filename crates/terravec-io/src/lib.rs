//! Bytes to blocks of codes, and back.

mod codes;

pub use codes::{Codes, DType, Samples};
