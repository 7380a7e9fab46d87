//! NumPy files: single arrays, read by window.
//!
//! An NPY file says its type, order and shape in a header of a few hundred bytes, and then holds the numbers as one run. So any window
//! can be read by ranges; nothing else of the file is touched.

mod error;
mod header;
mod read;

pub use error::NpyError;
pub use header::{Header, Order};
pub use read::{Npy, Span};
