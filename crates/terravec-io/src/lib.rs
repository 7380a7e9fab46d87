//! Bytes to blocks of codes, and back.

mod codes;
pub mod tiff;

pub use codes::{Codes, DType, Samples};
