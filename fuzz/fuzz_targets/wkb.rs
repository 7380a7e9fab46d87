//! Any bytes read as well-known binary.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = terravec_io::vector::wkb::read(data);
});
