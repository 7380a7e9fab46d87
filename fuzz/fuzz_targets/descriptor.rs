//! Any text read as a product descriptor: problems with their places, or a product that prints, serialises and
//! matches names without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use terravec::catalog::{Catalog, CatalogError, render};

fuzz_target!(|text: &str| {
    let mut catalog = Catalog::empty();
    match catalog.add_text("fuzz.toml", text) {
        Ok(()) => {
            let _ = catalog.recognise("2024/10N/x086q72fv2f9q1x4a-0000000000-0000000000.tiff");
            for product in catalog.iter() {
                let _ = render::page(product);
                let _ = product.bands.as_ref().map(terravec::catalog::BandNames::names);
                let _ = product.time.as_ref().map(|time| time.intervals_for(2024));
            }
            let _ = render::markdown(&catalog);
        }
        Err(CatalogError::Invalid(problems)) => assert!(problems.iter().all(|p| p.line >= 1 && p.column >= 1)),
        Err(_) => {}
    }
});
