//! Bytes to blocks of codes, and back.

mod codes;
pub mod source;

pub use codes::{Codes, DType, Samples};
