//! Encoding: what places, times and options are refused, and that threads and batches do not matter.

mod common;

use common::{Named, numbers, safetensors, sinr, tensor};
use terravec_location::{Encoder, EncoderId, LocationError, Options, Precision, Time, TimeNeed, Weights};

fn encoder(id: EncoderId, tensors: &[Named], options: &Options) -> Result<Encoder, LocationError> {
    let mut weights = Weights::from_bytes(safetensors(tensors), "test.safetensors")?;
    Encoder::from_weights(id, &mut weights, options)
}

fn mind(years: bool) -> Vec<Named> {
    let inputs = if years { 2 + 16 } else { 2 };
    vec![
        tensor("year_freqs", &[8], (0..8).map(|k| 2f32.powi(k)).collect()),
        tensor("first.linear.weight", &[10, inputs], numbers(10 * inputs, 1)),
        tensor("first.linear.bias", &[10], numbers(10, 2)),
        tensor("blocks.0.linear.weight", &[10, 10], numbers(100, 3)),
        tensor("blocks.0.linear.bias", &[10], numbers(10, 4)),
        tensor("blocks.1.linear.weight", &[10, 10], numbers(100, 5)),
        tensor("blocks.1.linear.bias", &[10], numbers(10, 6)),
        tensor("head.weight", &[5, 10], numbers(50, 7)),
        tensor("head.bias", &[5], numbers(5, 8)),
    ]
}

fn climplicit() -> Vec<Named> {
    vec![
        tensor("location_encoder.layers.0.weight", &[6, 4], numbers(24, 1)),
        tensor("location_encoder.layers.0.bias", &[6], numbers(6, 2)),
        tensor("location_encoder.last_layer.weight", &[3, 6], numbers(18, 3)),
        tensor("location_encoder.last_layer.bias", &[3], numbers(3, 4)),
    ]
}

#[test]
fn places_not_on_earth_are_refused_by_row() {
    let sincos = Encoder::open(EncoderId::SinCos, None, &Options::default()).expect("no weights");
    for (lon, lat, expected) in [
        (0.0, f64::NAN, "not a number"),
        (f64::INFINITY, 0.0, "not a number"),
        (48.85, 151.2, "swapped"),
        (181.0, 10.0, "longitude is outside"),
        (500_000.0, 4_649_776.0, "not metres"),
        (-180.000_001, 0.0, "longitude is outside"),
    ] {
        let error =
            sincos.encode(&[1.0, 2.0, lon], &[1.0, 2.0, lat], None).expect_err("not a place").to_string();
        assert!(error.contains("row 2") && error.contains(expected), "{error}");
    }
    let error = sincos.encode(&[1.0, 2.0], &[1.0], None).expect_err("one latitude short").to_string();
    assert!(error.contains("latitude has 1"), "{error}");
    assert_eq!(sincos.encode(&[], &[], None).expect("nothing").len(), 0);
    let corners = sincos.encode(&[180.0, -180.0], &[90.0, -90.0], None).expect("on Earth");
    assert_eq!(corners.len(), 8);
}

#[test]
fn the_baseline_is_latitude_first_and_known() {
    let sincos = Encoder::open(EncoderId::SinCos, None, &Options::default()).expect("no weights");
    let vector = sincos.encode_f64(&[90.0], &[30.0], None).expect("on Earth");
    for (got, expected) in vector.iter().zip([0.5, 0.75f64.sqrt(), 1.0, 0.0]) {
        assert!((got - expected).abs() < 1e-15, "{vector:?}");
    }
}

#[test]
fn time_is_given_where_it_is_needed_and_nowhere_else() {
    let default = Options::default();
    let sinr = encoder(EncoderId::Sinr, &sinr(), &default).expect("fits");
    let text = |r: Result<Vec<f32>, LocationError>| r.expect_err("refused").to_string();
    assert!(
        text(sinr.encode(&[0.0], &[0.0], Some(Time::Years(&[2021])))).contains("leave year and month out")
    );

    let monthly = encoder(EncoderId::Climplicit, &climplicit(), &default).expect("fits");
    assert_eq!((monthly.time(), monthly.dim()), (TimeNeed::Month, 3));
    assert!(text(monthly.encode(&[0.0], &[0.0], None)).contains("needs a month"));
    assert!(text(monthly.encode(&[0.0], &[0.0], Some(Time::Years(&[2021])))).contains("needs a month"));
    assert!(
        text(monthly.encode(&[0.0; 2], &[0.0; 2], Some(Time::Months(&[3, 13])))).contains("row 1: month 13")
    );
    assert!(text(monthly.encode(&[0.0; 3], &[0.0; 3], Some(Time::Months(&[3, 4])))).contains("time has 2"));

    let dim = Options { dim: Some(4), ..Options::default() };
    let yearly = encoder(EncoderId::Mind, &mind(true), &dim).expect("fits");
    assert_eq!(yearly.time(), TimeNeed::Year);
    assert!(text(yearly.encode(&[0.0], &[0.0], None)).contains("needs a year"));
    let timeless = encoder(EncoderId::Mind, &mind(false), &dim).expect("fits");
    assert_eq!(timeless.time(), TimeNeed::None);
    let (lon, lat) = ([10.0, 10.0], [50.0, 50.0]);
    let years = yearly.encode(&lon, &lat, Some(Time::Years(&[2018, 2024]))).expect("fits");
    assert_ne!(years[..4], years[4..]);
}

#[test]
fn the_seasons_are_four_months_joined() {
    let default = Options::default();
    let monthly = encoder(EncoderId::Climplicit, &climplicit(), &default).expect("fits");
    let seasons = encoder(EncoderId::ClimplicitSeasons, &climplicit(), &default).expect("fits");
    let (lon, lat) = ([8.55, -70.0], [47.4, -33.0]);
    let joined = seasons.encode(&lon, &lat, None).expect("fits");
    for (i, month) in [3, 6, 9, 12].into_iter().enumerate() {
        let one = monthly.encode(&lon, &lat, Some(Time::Months(&[month]))).expect("fits");
        for place in 0..2 {
            assert_eq!(joined[place * 12 + i * 3..][..3], one[place * 3..][..3]);
        }
    }
}

#[test]
fn a_prefix_of_mind_is_the_start_of_the_whole() {
    let of = |dim| Options { dim: Some(dim), ..Options::default() };
    let whole = encoder(EncoderId::Mind, &mind(false), &of(10)).expect("fits").encode(&[7.0], &[8.0], None);
    let part = encoder(EncoderId::Mind, &mind(false), &of(4)).expect("fits").encode(&[7.0], &[8.0], None);
    assert_eq!(whole.expect("fits")[..4], part.expect("fits")[..]);
    let error =
        encoder(EncoderId::Mind, &mind(false), &Options::default()).expect_err("64 of 10").to_string();
    assert!(error.contains("64") && error.contains("1 to 10"), "{error}");
    assert_eq!(encoder(EncoderId::MindHead, &mind(false), &Options::default()).expect("fits").dim(), 5);
    assert!(encoder(EncoderId::MindHead, &mind(false), &of(6)).is_err());
}

#[test]
fn batches_threads_and_precision_do_not_change_the_answer() {
    let lon: Vec<f64> = (0..1300).map(|i| f64::from(i) * 0.27 - 179.0).collect();
    let lat: Vec<f64> = (0..1300).map(|i| f64::from(i % 179) - 89.0).collect();
    let single = encoder(EncoderId::Sinr, &sinr(), &Options::default()).expect("fits");
    assert_eq!(single.precision(), Precision::Single);
    let all = single.encode(&lon, &lat, None).expect("fits");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    assert_eq!(all, pool.install(|| single.encode(&lon, &lat, None)).expect("fits"));
    for i in [0, 511, 512, 1299] {
        let one = single.encode(&lon[i..=i], &lat[i..=i], None).expect("fits");
        for (a, b) in one.iter().zip(&all[i * 6..]) {
            assert!((a - b).abs() < 1e-5, "place {i}");
        }
    }
    let options = Options { precision: Some(Precision::Double), ..Options::default() };
    let double = encoder(EncoderId::Sinr, &sinr(), &options).expect("fits").encode_f64(&lon, &lat, None);
    for (a, b) in double.expect("fits").iter().zip(&all) {
        assert!((a - f64::from(*b)).abs() < 1e-4);
    }
}

#[test]
fn options_meant_for_another_encoder_are_refused() {
    let cases: [(EncoderId, Options, &str); 6] = [
        (EncoderId::SinCos, Options { degrees: Some(4), ..Options::default() }, "`degrees`"),
        (EncoderId::SinCos, Options { dim: Some(2), ..Options::default() }, "`dim`"),
        (EncoderId::SinCos, Options { database: Some("x.npz".into()), ..Options::default() }, "`database`"),
        (EncoderId::SphericalHarmonics, Options { beta: Some(0.1), ..Options::default() }, "`beta`"),
        (EncoderId::SphericalHarmonics, Options { degrees: Some(0), ..Options::default() }, "1 to 200"),
        (EncoderId::GeoClip, Options::default(), "needs a weights file"),
    ];
    for (id, options, expected) in cases {
        let error = Encoder::open(id, None, &options).expect_err("refused").to_string();
        assert!(error.contains(expected) && error.contains(id.name()), "{error}");
    }
    let error = encoder(EncoderId::Range, &sinr(), &Options::default()).expect_err("no database").to_string();
    assert!(error.contains("database"), "{error}");
    let error = "satclap".parse::<EncoderId>().expect_err("unknown").to_string();
    assert!(error.contains("satclip, geoclip"), "{error}");
    for id in EncoderId::ALL {
        assert_eq!(id.name().parse::<EncoderId>().expect("known"), id);
    }
    let error = Encoder::open(EncoderId::Sinr, Some("no/such.pth".as_ref()), &Options::default());
    assert!(error.expect_err("no file").to_string().starts_with("no/such.pth: cannot be read"));
}
