//! Decode rules against published values.

use terravec::Status;
use terravec::catalog::Catalog;
use terravec::codec::{Decoder, halve, signed_power};
use terravec_io::{Codes, DType, Samples};

fn decoder(product: &str, bands: usize, dtype: DType, nodata: Option<f64>) -> Decoder {
    Decoder::new(&Catalog::builtin().get(product).unwrap(), bands, dtype, nodata).unwrap()
}

#[test]
fn alphaearth_values_are_the_published_ones_to_the_bit() {
    let text = include_str!("../../../testdata/codec/alphaearth_code_values.csv");
    let mut checked = 0;
    for line in text.lines().skip(1) {
        let (code, value) = line.split_once(',').unwrap();
        let (code, value): (f64, f64) = (code.parse().unwrap(), value.parse().unwrap());
        assert_eq!(signed_power(code, 127.5, 2.0).to_bits(), value.to_bits(), "code {code}");
        checked += 1;
    }
    assert_eq!(checked, 167);
    for (code, value) in [
        (-127, -0.992_172_24),
        (-100, -0.615_148),
        (-64, -0.251_964_63),
        (-1, -6.151_48e-05),
        (2, 2.460_592e-04),
        (126, 0.976_609),
    ] {
        assert!((signed_power(f64::from(code), 127.5, 2.0) - value).abs() < 5e-7, "code {code}");
    }
}

#[test]
fn a_masked_band_masks_the_pixel_in_every_band() {
    let d = decoder("alphaearth", 64, DType::I8, None);
    let mut codes = vec![64i8; 64 * 2];
    codes[2 * 5 + 1] = -128;
    let v = d.decode(&Codes::new(Samples::I8(codes), 64, 1, 2), None).unwrap();
    assert_eq!(v.status, [Status::Valid, Status::Nodata]);
    assert!(v.vector(0).all(|x| (f64::from(x) - 0.251_964_63).abs() < 1e-7));
    assert!(v.vector(1).all(f32::is_nan));
}

#[test]
fn esd_codes_hold_six_digits() {
    let d = decoder("esd", 13, DType::U16, None);
    assert_eq!(d.dimension(), 72);
    let cases: [(u16, [f32; 6]); 5] = [
        (1, [-0.75, -1.0, -1.0, -1.0, -1.0, -1.0]),
        (512, [-1.0, -1.0, -1.0, -0.5, -1.0, -1.0]),
        (12345, [-0.75, 0.75, -1.0, 1.0, 1.0, -1.0]),
        (30000, [-1.0, 0.5, 0.0, 0.5, -0.5, 0.0]),
        (63999, [0.75, 0.75, 0.75, 1.0, 1.0, 1.0]),
    ];
    for (code, expected) in cases {
        let mut codes = vec![code; 13];
        codes[12] = 7;
        let v = d.decode(&Codes::new(Samples::U16(codes), 13, 1, 1), None).unwrap();
        let vector: Vec<f32> = v.vector(0).collect();
        for month in vector.chunks(6) {
            assert_eq!(month, expected, "code {code}");
        }
    }
    // All twelve codes 0: missing, whatever the quality band counts; some codes 0: legal.
    let mut codes = vec![0u16; 26];
    (codes[24], codes[25]) = (3, 3);
    codes[1] = 8;
    let v = d.decode(&Codes::new(Samples::U16(codes), 13, 1, 2), None).unwrap();
    assert_eq!(v.status, [Status::Nodata, Status::Valid]);
    assert_eq!(v.vector(1).take(8).collect::<Vec<_>>(), [-1.0, -0.75, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0]);
}

#[test]
fn presto_has_codes_but_no_values() {
    let d = decoder("presto-togo", 128, DType::U16, None);
    assert!(!d.decodes());
    let error = d.decode(&Codes::filled(DType::U16, 128, 1, 1, 7.0), None).unwrap_err();
    assert!(error.to_string().contains("no decode rule"), "{error}");
}

#[test]
fn a_zero_vector_is_missing_where_the_product_says_so() {
    let d = decoder("copernicus-embed", 768, DType::F32, None);
    let mut values = vec![0f32; 768 * 2];
    values[1] = 0.5;
    let v = d.decode(&Codes::new(Samples::F32(values), 768, 1, 2), None).unwrap();
    assert_eq!(v.status, [Status::Nodata, Status::Valid]);
}

#[test]
fn a_raster_of_another_layout_is_refused() {
    let alphaearth = Catalog::builtin().get("alphaearth").unwrap();
    for (bands, dtype) in [(63, DType::I8), (64, DType::U8)] {
        assert!(Decoder::new(&alphaearth, bands, dtype, None).is_err());
    }
}

#[test]
fn overviews_of_codes_are_means_of_vectors_not_of_codes() {
    let d = decoder("alphaearth", 64, DType::I8, Some(-128.0));
    // Two unit vectors and a masked pixel: (1, 0, …), (0, 1, …), masked, (0, 1, …).
    let mut codes = vec![0i8; 64 * 4];
    (codes[0], codes[5], codes[7]) = (127, 127, 127);
    for b in 0..64 {
        codes[b * 4 + 2] = -128;
    }
    let codes = Codes::new(Samples::I8(codes), 64, 2, 2);
    let half = d.halve_codes(&codes);
    let Samples::I8(half) = &half.samples else { unreachable!() };
    // The mean (1/3, 2/3) has direction (1, 2)/√5.
    let code = |v: f64| (v.sqrt() * 127.5).round();
    assert!((f64::from(half[0]) - code(1.0 / 5f64.sqrt())).abs() < 0.5);
    assert!((f64::from(half[1]) - code(2.0 / 5f64.sqrt())).abs() < 0.5);
    let v = halve(&d.decode(&codes, None).unwrap(), true);
    let length: f64 = v.vector(0).map(|x| f64::from(x).powi(2)).sum();
    assert!((length - 1.0).abs() < 1e-6);
}
