//! Encodes the places of a CSV file (columns `lon`, `lat` and, where the encoder wants it, `year` or `month`) into a raw
//! little-endian file of `f32`, or `f64` with `--f64`, row-major.
//!
//! ```text
//! encode ID WEIGHTS|- IN.csv OUT.bin [--f64] [--precision single|double] [--dim N] [--database FILE.npz] [--beta B] [--degrees L]
//! encode ID WEIGHTS|- --bench N        # encodings per minute on this thread pool (RAYON_NUM_THREADS)
//! ```

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use terravec_location::{Encoder, Options, Precision, Time, TimeNeed};

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let (mut plain, mut options, mut wide, mut bench) = (Vec::new(), Options::default(), false, None);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--f64" => wide = true,
            "--precision" => {
                options.precision = Some(match value()?.as_str() {
                    "single" => Precision::Single,
                    "double" => Precision::Double,
                    other => return Err(format!("precision `{other}`").into()),
                });
            }
            "--dim" => options.dim = Some(value()?.parse()?),
            "--database" => options.database = Some(value()?.into()),
            "--beta" => options.beta = Some(value()?.parse()?),
            "--degrees" => options.degrees = Some(value()?.parse()?),
            "--bench" => bench = Some(value()?.parse()?),
            _ => plain.push(argument.as_str()),
        }
    }
    let [id, weights, files @ ..] = plain.as_slice() else {
        return Err("which encoder, which weights?".into());
    };
    let weights = (*weights != "-").then(|| Path::new(weights));
    let encoder = Encoder::open(id.parse()?, weights, &options)?;
    if let Some(n) = bench {
        return measure(&encoder, n);
    }
    let [input, output] = files else { return Err("which CSV file, which output?".into()) };

    let (mut lon, mut lat, mut years, mut months) = (vec![], vec![], vec![], vec![]);
    let mut csv = csv::Reader::from_path(input)?;
    let header = csv.headers()?.clone();
    let column =
        |name: &str| header.iter().position(|h| h == name).ok_or(format!("{input} has no column `{name}`"));
    let time = encoder.time();
    for record in csv.records() {
        let record = record?;
        lon.push(record[column("lon")?].parse()?);
        lat.push(record[column("lat")?].parse()?);
        match time {
            TimeNeed::None => {}
            TimeNeed::Year => years.push(record[column("year")?].parse()?),
            TimeNeed::Month => months.push(record[column("month")?].parse()?),
        }
    }
    let time = match time {
        TimeNeed::None => None,
        TimeNeed::Year => Some(Time::Years(&years)),
        TimeNeed::Month => Some(Time::Months(&months)),
    };
    let bytes: Vec<u8> = if wide {
        encoder.encode_f64(&lon, &lat, time)?.into_iter().flat_map(f64::to_le_bytes).collect()
    } else {
        encoder.encode(&lon, &lat, time)?.into_iter().flat_map(f32::to_le_bytes).collect()
    };
    std::fs::write(output, bytes)?;
    println!("{} places, {} numbers each", lon.len(), encoder.dim());
    Ok(())
}

/// Times `n` places spread over the Earth, best of three.
fn measure(encoder: &Encoder, n: usize) -> Result<(), Box<dyn Error>> {
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let lon: Vec<f64> = (0..n).map(|i| (i as f64 * golden).fract() * 360.0 - 180.0).collect();
    let lat: Vec<f64> =
        (0..n).map(|i| (2.0 * (i as f64 + 0.5) / n as f64 - 1.0).asin().to_degrees()).collect();
    let time = match encoder.time() {
        TimeNeed::None => None,
        TimeNeed::Year => Some(Time::Years(&[2021])),
        TimeNeed::Month => Some(Time::Months(&[6])),
    };
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let start = Instant::now();
        std::hint::black_box(encoder.encode(&lon, &lat, time)?);
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!(
        "{} {:?}: {:.0} encodings per minute",
        encoder.id(),
        encoder.precision(),
        n as f64 / best * 60.0
    );
    Ok(())
}
