//! Any bytes opened as a GeoTIFF and read at a corner: an error or an answer.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use terravec_geo::Window;
use terravec_io::source::MemorySource;
use terravec_io::tiff::GeoTiff;

fuzz_target!(|data: &[u8]| {
    let source = MemorySource::new("fuzz.tif", bytes::Bytes::copy_from_slice(data));
    let Ok(tiff) = GeoTiff::open(Arc::new(source)) else { return };
    for (i, level) in tiff.levels().iter().enumerate() {
        let (width, height) = (level.width.min(32), level.height.min(32));
        let window = Window { col: level.width - width, row: level.height - height, width, height };
        let bands: Vec<usize> = (0..tiff.bands().min(3)).collect();
        let _ = tiff.read(i, &bands, window);
        let _ = tiff.read_mask(i, window);
    }
    let _ = tiff.read_points(&[0], &[(0, 0), (tiff.width() - 1, tiff.height() - 1)]);
});
