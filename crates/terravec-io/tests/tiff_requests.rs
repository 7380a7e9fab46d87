//! How often a file is asked for bytes: over a network every request is a round trip.

use std::sync::Arc;

use bytes::Bytes;
use terravec_geo::Window;
use terravec_io::Samples;
use terravec_io::source::{Counting, MemorySource};
use terravec_io::tiff::GeoTiff;

const BANDS: usize = 64;
const SIDE: usize = 512;
const BLOCK: usize = 16;
const TILES: usize = (SIDE / BLOCK) * (SIDE / BLOCK);

/// A band-interleaved file whose index of 65 536 tiles is far longer than the first read. The first two tiles of each
/// band are written: every number is the band's own plus that of the tile. All others are missing.
fn many_tiles() -> Vec<u8> {
    let directory = 8 + 2 + 10 * 12 + 4;
    let index = BANDS * TILES * 4;
    let (offsets_at, counts_at, data_at) = (directory, directory + index, directory + 2 * index);
    let (mut offsets, mut counts) = (vec![0u32; BANDS * TILES], vec![0u32; BANDS * TILES]);
    let mut data = Vec::new();
    for band in 0..BANDS {
        for tile in 0..2 {
            offsets[band * TILES + tile] = u32::try_from(data_at + data.len()).unwrap();
            counts[band * TILES + tile] = u32::try_from(BLOCK * BLOCK).unwrap();
            data.extend(std::iter::repeat_n(u8::try_from(band + 100 * tile).unwrap(), BLOCK * BLOCK));
        }
    }
    let count = u32::try_from(BANDS * TILES).unwrap();
    let at = |v: usize| u32::try_from(v).unwrap();
    let entries = [
        (256u16, 4u16, 1, at(SIDE)),
        (257, 4, 1, at(SIDE)),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (277, 3, 1, at(BANDS)),
        (284, 3, 1, 2),
        (322, 3, 1, at(BLOCK)),
        (323, 3, 1, at(BLOCK)),
        (324, 4, count, at(offsets_at)),
        (325, 4, count, at(counts_at)),
    ];
    let mut out = b"II*\0\x08\0\0\0\x0a\0".to_vec();
    for (tag, kind, count, value) in entries {
        out.extend_from_slice(&tag.to_le_bytes());
        out.extend_from_slice(&kind.to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&value.to_le_bytes());
    }
    out.extend_from_slice(&[0; 4]);
    for value in offsets.iter().chain(&counts) {
        out.extend_from_slice(&value.to_le_bytes());
    }
    out.extend_from_slice(&data);
    out
}

#[test]
fn index_and_blocks_are_each_asked_for_once() {
    let source = Arc::new(Counting::new(MemorySource::new("memory.tif", Bytes::from(many_tiles()))));
    let tiff = GeoTiff::open(source.clone()).unwrap();
    assert!(source.requests() <= 2 && source.bytes() <= 200_000, "{source:?}");

    source.reset();
    let bands: Vec<usize> = (0..BANDS).collect();
    let codes = tiff.read(0, &bands, Window { col: 8, row: 3, width: 16, height: 2 }).unwrap();
    let row = |band: u8| std::iter::repeat_n(band, 8).chain(std::iter::repeat_n(band + 100, 8));
    let want = (0..64u8).flat_map(|band| row(band).chain(row(band))).collect();
    assert_eq!(codes.samples, Samples::U8(want));
    // One for the index, two for the rows, between which lies what is not wanted.
    assert!(source.requests() <= 3, "{source:?}");
    // 64 pages of each of the two arrays would be 8 MB; of the tiles only the rows asked for are read.
    assert!(source.bytes() <= 600_000, "{source:?}");

    source.reset();
    let points = tiff.read_points(&bands[60..], &[(0, 0), (400, 400), (20, 0)]).unwrap();
    assert_eq!(points.samples, Samples::U8(vec![60, 0, 160, 61, 0, 161, 62, 0, 162, 63, 0, 163]));
    assert_eq!(source.requests(), 1, "the index is kept: {source:?}");
}
