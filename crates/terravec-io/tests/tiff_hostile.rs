//! Damaged and hostile files: an error or an answer, never a panic, a hang or a huge allocation.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use terravec_geo::Window;
use terravec_io::Samples;
use terravec_io::source::{Counting, Fingerprint, MemorySource, Source, SourceError};
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
    for round in 0..20_000 {
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
    assert!(refused > 3000 && fine > 1000);
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

/// A file of `entries` and one block of `data` behind the directory; tags 273 and 279 are added.
fn one_block(entries: &[(u16, u16, u32, u32)], data: &[u8]) -> Vec<u8> {
    let at = u32::try_from(8 + 2 + (entries.len() + 2) * 12 + 4).unwrap();
    let mut all = entries.to_vec();
    all.extend([(273, 4, 1, at), (279, 4, 1, u32::try_from(data.len()).unwrap())]);
    all.sort_unstable();
    tiff(&all, 0, data)
}

fn square(side: u32, compression: u32) -> Vec<(u16, u16, u32, u32)> {
    vec![(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (259, 3, 1, compression)]
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn damaged_deflate_is_noticed() {
    let numbers: Vec<u8> = (0..=255).collect();
    let sound = deflate(&numbers);
    assert!(use_all(one_block(&square(16, 8), &sound)).is_ok());
    let mut other_sum = sound.clone();
    *other_sum.last_mut().unwrap() ^= 1;
    assert!(error(one_block(&square(16, 8), &other_sum)).contains("DEFLATE data is damaged"));
    assert!(error(one_block(&square(16, 8), &sound[..sound.len() / 2])).contains("decodes to"));
    assert!(error(one_block(&square(16, 8), &deflate(&[1; 257]))).contains("more than the 256 bytes"));
    assert!(error(one_block(&square(16, 8), &deflate(&[1; 255]))).contains("decodes to 255 bytes"));
}

#[test]
fn what_memory_cannot_hold_is_refused() {
    // Blocks that were never written: 10¹² pixels in a few kilobytes.
    let side = 1 << 20;
    let blocks = (side / 32_768) * (side / 32_768);
    let at = 8 + 2 + 7 * 12 + 4;
    let entries = [
        (256, 4, 1, side),
        (257, 4, 1, side),
        (258, 3, 1, 8),
        (322, 4, 1, 32_768),
        (323, 4, 1, 32_768),
        (324, 4, blocks, at),
        (325, 4, blocks, at),
    ];
    let bytes = tiff(&entries, 0, &vec![0; blocks as usize * 4]);
    let open = || GeoTiff::open(Arc::new(MemorySource::new("memory.tif", Bytes::from(bytes.clone()))));
    let tiff = open().unwrap();
    let all = Window { col: 0, row: 0, width: side as usize, height: side as usize };
    let told = tiff.read(0, &vec![0; 1 << 20], all).unwrap_err().to_string();
    assert!(told.starts_with("memory.tif: ") && told.contains("do not fit in memory"), "{told}");
    let corner = Window { col: 5, row: all.height - 1, width: 2, height: 1 };
    assert_eq!(tiff.read(0, &[0], corner).unwrap().samples.len(), 2);
}

#[test]
fn no_more_is_fetched_than_a_block_can_need() {
    // A block of 256 numbers that claims 32 MB, compressed and not.
    for compression in [1, 8] {
        let mut data = if compression == 1 { vec![3; 256] } else { deflate(&[3; 256]) };
        data.resize(32 << 20, 0);
        let bytes = one_block(&square(16, compression), &data);
        let source = Arc::new(Counting::new(MemorySource::new("memory.tif", Bytes::from(bytes))));
        let tiff = GeoTiff::open(source.clone()).unwrap();
        let before = source.bytes();
        tiff.read_points(&[0], &[(3, 3)]).unwrap();
        assert!(source.bytes() - before < 100_000, "{}", source.bytes());
    }
}

#[test]
fn masks_of_an_odd_kind_are_not_taken_for_all_valid() {
    let image = one_block(&square(16, 1), &[7; 256]);
    let with_mask = |entries: &[(u16, u16, u32, u32)]| {
        let mut bytes = image.clone();
        let at = u32::try_from(bytes.len()).unwrap();
        let next = 8 + 2 + 6 * 12;
        bytes[next..next + 4].copy_from_slice(&at.to_le_bytes());
        let mut all = vec![(254, 4, 1, 4), (256, 4, 1, 16), (257, 4, 1, 16), (273, 4, 1, 8), (279, 4, 1, 32)];
        all.extend_from_slice(entries);
        all.sort_unstable();
        bytes.extend_from_slice(&tiff(&all, 0, &[])[8..]);
        bytes
    };
    assert!(use_all(with_mask(&[(258, 3, 1, 1)])).is_ok());
    assert!(error(with_mask(&[(258, 3, 1, 16)])).contains("a mask of 1 uint16 bands is not supported"));
    assert!(error(with_mask(&[(258, 3, 1, 8), (277, 3, 1, 3)])).contains("a mask of 3 uint8 bands"));
    assert!(error(with_mask(&[(258, 3, 1, 1), (266, 3, 1, 2)])).contains("reversed order of bits"));
    assert!(error(with_mask(&[(258, 3, 1, 1), (259, 3, 1, 4)])).contains("CCITT"));
}

/// A source whose bytes beyond the first 64 KiB can't be had.
#[derive(Debug)]
struct Broken(MemorySource);

impl Source for Broken {
    fn url(&self) -> &str {
        self.0.url()
    }

    fn len(&self) -> Result<u64, SourceError> {
        self.0.len()
    }

    fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, SourceError> {
        match ranges.iter().any(|r| r.end > 64 << 10) {
            true => Err(SourceError::Io { url: self.url().into(), what: "the line broke".into() }),
            false => self.0.read_ranges(ranges),
        }
    }

    fn fingerprint(&self) -> Result<Fingerprint, SourceError> {
        self.0.fingerprint()
    }
}

#[test]
fn a_broken_line_is_not_a_file_without_overviews() {
    let mut bytes = one_block(&square(16, 1), &[7; 256]);
    let next = 8 + 2 + 6 * 12;
    bytes.resize(70_000, 0);
    bytes[next..next + 4].copy_from_slice(&70_000u32.to_le_bytes());
    let overview =
        [(254, 4, 1, 1), (256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (273, 4, 1, 8), (279, 4, 1, 64)];
    bytes.extend_from_slice(&tiff(&overview, 0, &[])[8..]);
    let memory = MemorySource::new("memory.tif", Bytes::from(bytes));
    assert_eq!(GeoTiff::open(Arc::new(memory.clone())).unwrap().levels().len(), 2);
    let told = GeoTiff::open(Arc::new(Broken(memory))).unwrap_err().to_string();
    assert!(told.contains("the line broke"), "{told}");
}

#[test]
fn a_last_strip_without_sizes_ends_where_the_image_does() {
    // 10 rows of 16 in strips of 4: the third holds 2. Some writers leave StripByteCounts out.
    let at = 8u32 + 2 + 6 * 12 + 4;
    let entries =
        [(256, 3, 1, 16), (257, 3, 1, 10), (258, 3, 1, 8), (259, 3, 1, 1), (273, 4, 3, at), (278, 3, 1, 4)];
    let mut tail = Vec::new();
    for strip in 0..3 {
        tail.extend_from_slice(&(at + 12 + strip * 64).to_le_bytes());
    }
    tail.extend(0..160u8);
    let tiff =
        GeoTiff::open(Arc::new(MemorySource::new("memory.tif", Bytes::from(tiff(&entries, 0, &tail)))))
            .unwrap();
    let codes = tiff.read(0, &[0], Window { col: 0, row: 0, width: 16, height: 10 }).unwrap();
    assert_eq!(codes.samples, Samples::U8((0..160).collect()));
}

#[test]
fn deep_metadata_does_not_end_the_process() {
    let xml = "<GDALMetadata>".to_string() + &"<a>".repeat(200_000) + "\0";
    let length = u32::try_from(xml.len()).unwrap();
    let at = 8 + 2 + 7 * 12 + 4;
    let mut entries = square(16, 1);
    entries.extend([(273, 4, 1, at), (279, 4, 1, 256), (42112, 2, length, at)]);
    assert!(use_all(tiff(&entries, 0, xml.as_bytes())).is_ok());
}
