//! Damaged and hostile files: an error or an answer, never a panic, a hang or a huge allocation.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use terravec_geo::Window;
use terravec_io::source::MemorySource;
use terravec_io::tiff::{GeoTiff, TiffError};

/// Opens and reads everything that can be asked of a file, as far as it is small.
fn use_all(bytes: Vec<u8>) -> Result<usize, TiffError> {
    let tiff = GeoTiff::open(Arc::new(MemorySource::new("memory.tif", Bytes::from(bytes))))?;
    let mut read = 0;
    for (i, level) in tiff.levels().iter().enumerate() {
        let (w, h) = (level.width.min(64), level.height.min(64));
        let bands: Vec<usize> = (0..tiff.bands().min(4)).collect();
        let window = Window { col: level.width - w, row: level.height - h, width: w, height: h };
        read += tiff.read(i, &bands, window)?.samples.len();
        tiff.read_mask(i, window)?;
    }
    tiff.read_points(&[0], &[(0, 0), (tiff.width() - 1, tiff.height() - 1)])?;
    Ok(read)
}

fn seeds() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    [
        "alphaearth/gcs/2024/16N",
        "alphaearth/labelled/2024/10N",
        "suites/tiff/blacha-cogeotiff/packages/core/data",
        "suites/tiff/roteiro_gdal_subset/testdata/interoperability/gdal/gcore/data",
    ]
    .iter()
    .flat_map(|dir| {
        let mut files: Vec<_> =
            std::fs::read_dir(root.join(dir)).into_iter().flatten().flatten().map(|e| e.path()).collect();
        files.sort();
        files
    })
    .filter(|p| p.extension().is_some_and(|e| e == "tif" || e == "tiff"))
    .filter_map(|p| std::fs::read(p).ok())
    .filter(|b| b.len() < 600_000)
    .collect()
}

/// xorshift: the same mutations every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n.max(1) as u64).unwrap()
    }
}

#[test]
fn mutated_files_end_in_an_error_or_an_answer() {
    let seeds = seeds();
    assert!(seeds.len() >= 8, "only {} seeds", seeds.len());
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (start, mut slowest) = (Instant::now(), Duration::ZERO);
    let (mut fine, mut refused) = (0, 0);
    for round in 0..3000 {
        let mut bytes = seeds[round % seeds.len()].clone();
        for _ in 0..=random.below(4) {
            // Most of what matters is in the header and the directories.
            let at = if random.below(3) == 0 {
                random.below(bytes.len())
            } else {
                random.below(bytes.len().min(1200))
            };
            match random.below(5) {
                0 => bytes[at] ^= 1 << random.below(8),
                1 => bytes[at] = 0xff,
                2 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
                3 => bytes.truncate(at + 1),
                _ => {
                    let end = (at + 4).min(bytes.len());
                    bytes[at..end].copy_from_slice(&[0xff; 4][..end - at]);
                }
            }
        }
        let began = Instant::now();
        match use_all(bytes) {
            Ok(_) => fine += 1,
            Err(_) => refused += 1,
        }
        slowest = slowest.max(began.elapsed());
    }
    println!("{fine} fine, {refused} refused, slowest {slowest:?}, all {:?}", start.elapsed());
    assert!(refused > 500 && fine > 100);
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
}

/// A little-endian classic TIFF with these (tag, type, count, value) entries and `tail` behind the directory.
fn tiff(entries: &[(u16, u16, u32, u32)], next: u32, tail: &[u8]) -> Vec<u8> {
    let mut out = b"II*\0\x08\0\0\0".to_vec();
    out.extend_from_slice(&u16::try_from(entries.len()).unwrap().to_le_bytes());
    for (tag, kind, count, value) in entries {
        out.extend_from_slice(&tag.to_le_bytes());
        out.extend_from_slice(&kind.to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&value.to_le_bytes());
    }
    out.extend_from_slice(&next.to_le_bytes());
    out.extend_from_slice(tail);
    out
}

fn error(bytes: Vec<u8>) -> String {
    let text = use_all(bytes).unwrap_err().to_string();
    assert!(text.starts_with("memory.tif: "), "the file is named: {text}");
    text
}

#[test]
fn the_file_and_the_tag_are_named() {
    let image = |extra: &[(u16, u16, u32, u32)]| {
        let mut all = vec![
            (256, 3, 1, 16),
            (257, 3, 1, 16),
            (258, 3, 1, 8),
            (259, 3, 1, 1),
            (273, 4, 1, 200),
            (279, 4, 1, 256),
        ];
        for e in extra {
            all.retain(|a: &(u16, u16, u32, u32)| a.0 != e.0);
            all.push(*e);
        }
        all.sort_unstable();
        tiff(&all, 0, &[7; 600])
    };
    assert!(use_all(image(&[])).is_ok(), "the file these are made from is sound");
    assert!(error(b"GIF89a".to_vec()).contains("not a TIFF"));
    assert!(error(b"II*\0".to_vec()).contains("beyond the file"));
    assert!(error(b"II*\0\x08\0\0\0".to_vec()).contains("directory at byte 8"));
    assert!(error(image(&[(256, 3, 1, 0)])).contains("ImageWidth"));
    assert!(error(image(&[(258, 3, 1, 12)])).contains("BitsPerSample"));
    assert!(error(image(&[(259, 3, 1, 7)])).contains("JPEG"));
    assert!(error(image(&[(277, 3, 1, 0)])).contains("SamplesPerPixel"));
    assert!(error(image(&[(273, 4, 1, 4_000_000_000)])).contains("StripOffsets"));
    assert!(error(image(&[(279, 4, 1, 4_000_000_000)])).contains("beyond the file"));
    assert!(error(image(&[(279, 4, 1, 100)])).contains("decodes to 100 bytes"));
    assert!(error(image(&[(273, 4, 1_000_000_000, 8)])).contains("StripOffsets"));
    assert!(error(image(&[(317, 3, 1, 9)])).contains("Predictor"));
    assert!(error(image(&[(317, 3, 1, 3)])).contains("Predictor"));
    // A block of 65 536² pixels is no block; it is refused before memory is asked for.
    let huge = [
        (256, 4, 1, 65_536),
        (257, 4, 1, 65_536),
        (322, 4, 1, 65_536),
        (323, 4, 1, 65_536),
        (324, 4, 1, 200),
        (325, 4, 1, 9),
    ];
    assert!(error(image(&huge)).contains("TileWidth"));
    // Directories in a loop.
    let entries = [(256, 3, 1, 16), (257, 3, 1, 16), (273, 4, 1, 8), (279, 4, 1, 9)];
    assert!(error(tiff(&entries, 8, &[])).contains("loop"));
}

#[test]
fn a_bomb_is_refused() {
    // 16 × 16 pixels whose block decodes to 64 MB.
    let bomb = zstd::bulk::compress(&vec![0u8; 64 << 20], 3).unwrap();
    let at = 8 + 2 + 7 * 12 + 4;
    let entries = [
        (256, 3, 1, 16),
        (257, 3, 1, 16),
        (258, 3, 1, 8),
        (259, 3, 1, 50_000),
        (273, 4, 1, at),
        (277, 3, 1, 1),
        (279, 4, 1, u32::try_from(bomb.len()).unwrap()),
    ];
    assert!(error(tiff(&entries, 0, &bomb)).contains("ZSTD"));
}
