//! The COG writer by itself: what it refuses, what it leaves behind, and that threads change nothing.

use std::path::Path;

use rayon::prelude::*;
use terravec_geo::{Affine, Crs, Grid};
use terravec_io::tiff::write::{CogError, CogSpec, CogWriter};
use terravec_io::{Codes, DType, Samples};

fn spec(width: usize, height: usize, bands: usize, dtype: DType) -> CogSpec {
    let crs = Crs::parse("EPSG:32616").expect("a UTM zone");
    let affine = Affine { a: 10.0, b: 0.0, c: 499_980.0, d: 0.0, e: -10.0, f: 4_800_000.0 };
    CogSpec { block: 32, ..CogSpec::new(Grid { crs, affine, width, height }, bands, dtype) }
}

/// Keeps the north-west pixel of four.
fn first(codes: &Codes) -> Codes {
    let Samples::I16(v) = &codes.samples else { panic!("the tests write int16") };
    let mut out = Vec::new();
    for band in 0..codes.bands {
        for y in (0..codes.height).step_by(2) {
            for x in (0..codes.width).step_by(2) {
                out.push(v[(band * codes.height + y) * codes.width + x]);
            }
        }
    }
    Codes::new(Samples::I16(out), codes.bands, codes.height.div_ceil(2), codes.width.div_ceil(2))
}

/// A block of a 150 × 100 image of 12 bands in which every number differs from its neighbours.
fn block(bx: usize, by: usize) -> Codes {
    let (height, width) = (32.min(100 - 32 * by), 32.min(150 - 32 * bx));
    let mut out = Vec::new();
    for band in 0..12 {
        for y in 0..height {
            for x in 0..width {
                out.push(((band * 7919 + (by * 32 + y) * 104_729 + (bx * 32 + x) * 31) % 30_000) as i16);
            }
        }
    }
    Codes::new(Samples::I16(out), 12, height, width)
}

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).expect("the folder of the test").count()
}

#[test]
fn threads_and_order_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let positions: Vec<_> = (0..4).flat_map(|by| (0..5).map(move |bx| (bx, by))).collect();
    let (one, many) = (folder.path().join("one.tif"), folder.path().join("many.tif"));

    let writer = CogWriter::create(&one, spec(150, 100, 12, DType::I16)).unwrap();
    assert_eq!(writer.blocks(), (5, 4));
    for &(bx, by) in &positions {
        writer.write_block(bx, by, &block(bx, by)).unwrap();
    }
    writer.finish(&first).unwrap();

    let writer = CogWriter::create(&many, spec(150, 100, 12, DType::I16)).unwrap();
    // Twice: what comes last counts, whatever became of the first.
    writer.write_block(2, 2, &block(1, 1)).unwrap();
    positions.par_iter().rev().for_each(|&(bx, by)| writer.write_block(bx, by, &block(bx, by)).unwrap());
    writer.finish(&first).unwrap();

    assert_eq!(std::fs::read(one).unwrap(), std::fs::read(many).unwrap());
    assert_eq!(entries(folder.path()), 2);
}

#[test]
fn dropped_writer_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let writer = CogWriter::create(&folder.path().join("x.tif"), spec(150, 100, 12, DType::I16)).unwrap();
    writer.write_block(0, 0, &block(0, 0)).unwrap();
    drop(writer);
    assert_eq!(entries(folder.path()), 0);
}

#[test]
fn blocks_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let writer = CogWriter::create(&folder.path().join("x.tif"), spec(150, 100, 12, DType::I16)).unwrap();
    let cases = [
        (5, 0, block(0, 0), "5 × 4 blocks"),
        (0, 4, block(0, 0), "5 × 4 blocks"),
        (4, 3, block(0, 0), "not int16 (12, 4, 22)"),
        (0, 0, block(4, 3), "it is int16 (12, 4, 22)"),
        (0, 0, Codes::filled(DType::I16, 11, 32, 32, 0.0), "(11, 32, 32)"),
        (0, 0, Codes::filled(DType::U16, 12, 32, 32, 0.0), "uint16"),
    ];
    for (bx, by, codes, said) in cases {
        let error = writer.write_block(bx, by, &codes).unwrap_err();
        assert!(matches!(error, CogError::Block { .. }));
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn reductions_that_do_not_halve_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let same = |codes: &Codes| codes.clone();
    let other_type = |codes: &Codes| {
        let half = first(codes);
        Codes::filled(DType::F32, half.bands, half.height, half.width, 0.0)
    };
    for reduce in [&same as &(dyn Fn(&Codes) -> Codes + Sync), &other_type] {
        let path = folder.path().join("x.tif");
        let writer = CogWriter::create(&path, spec(150, 100, 12, DType::I16)).unwrap();
        writer.write_block(1, 1, &block(1, 1)).unwrap();
        let error = writer.finish(reduce).unwrap_err();
        assert!(error.to_string().contains("reduction returned"), "{error}");
        assert_eq!(entries(folder.path()), 0);
    }
}

#[test]
fn grids_beyond_reason_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (width, height, bands) in [(0, 10, 1), (2_000_000_000, 2_000_000_000, 1), (1_000_000, 1_000_000, 64)]
    {
        let error = CogWriter::create(&folder.path().join("x.tif"), spec(width, height, bands, DType::I8));
        assert!(matches!(error, Err(CogError::Spec { .. })), "{width} × {height} × {bands}");
    }
    assert_eq!(entries(folder.path()), 0);
}
