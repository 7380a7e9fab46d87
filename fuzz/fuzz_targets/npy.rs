//! Any bytes opened as a NumPy file and read, whole and in part.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use terravec_io::npy::Npy;
use terravec_io::source::MemorySource;

fuzz_target!(|data: &[u8]| {
    let source = MemorySource::new("fuzz.npy", bytes::Bytes::copy_from_slice(data));
    let Ok(npy) = Npy::open(Arc::new(source)) else { return };
    let whole: Vec<_> = npy.header().shape.iter().map(|&n| 0..n).collect();
    let corner = npy.header().shape.iter().map(|&n| n.saturating_sub(1)..n).collect();
    let count = npy.header().count().unwrap_or(0);
    let read = npy.read(&[whole, corner]);
    assert!(read.is_ok_and(|numbers| numbers.len() as u64 >= count));
});
