//! Any text read as a product descriptor: problems or a product, whose names match without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use terravec::catalog::Catalog;

fuzz_target!(|text: &str| {
    let mut catalog = Catalog::empty();
    if catalog.add_text("fuzz.toml", text).is_ok() {
        let _ = catalog.recognise("2024/10N/x086q72fv2f9q1x4a-0000000000-0000000000.tiff");
        for product in catalog.iter() {
            let _ = terravec::catalog::render::page(product);
        }
    }
});
