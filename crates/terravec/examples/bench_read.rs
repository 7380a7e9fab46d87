//! The engine timed inside a process, as `bench/peers.py` times the others: from opening the file to vectors in memory.
//!
//! `bench_read window|scan|points… SOURCE QUESTION.json OUT.npy` prints `{"seconds": …}` and saves the vectors; of a scan, which looks
//! at a window piece by piece in bounded memory, the sum of each band.

use std::error::Error;
use std::io::Write as _;
use std::time::Instant;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;
use terravec::catalog::Catalog;
use terravec::query::sample::Values;
use terravec::{Area, Dataset, Extraction, OpenOptions, Pixels, Request, Years, sample};
use terravec_geo::LonLatBox;
use terravec_io::vector::Points;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [case, source, question, out] = args.as_slice() else {
        return Err("usage: bench_read window|scan|points SOURCE QUESTION.json OUT.npy".into());
    };
    let question: serde_json::Value = serde_json::from_slice(&std::fs::read(question)?)?;
    let start = Instant::now();
    let options = OpenOptions::new(Catalog::builtin());
    let dataset = Dataset::open(source, &options)?;
    let Dataset::Raster(dataset) = &dataset else { return Err("not a raster".into()) };
    let (shape, data) = if case == "window" || case == "scan" {
        let bbox = numbers(&question["bbox"])?;
        let request = Request {
            area: Area::Box(LonLatBox { west: bbox[0], south: bbox[1], east: bbox[2], north: bbox[3] }),
            ..Request::default()
        };
        let plan = Extraction::plan(dataset, &request)?;
        if case == "scan" { scan(&plan)? } else { window(&plan)? }
    } else {
        points(dataset, &question)?
    };
    println!("{}", serde_json::json!({ "seconds": start.elapsed().as_secs_f64() }));
    write_npy(out, &shape, &data)
}

fn numbers(value: &serde_json::Value) -> Result<Vec<f64>, Box<dyn Error>> {
    Ok(serde_json::from_value(value.clone())?)
}

fn window(plan: &Extraction) -> Result<(Vec<usize>, Vec<f32>), Box<dyn Error>> {
    let (bands, height, width) = (plan.band_names.len(), plan.grid.height, plan.grid.width);
    let mut all = vec![0f32; bands * height * width];
    for part in plan.chunks(1) {
        let Pixels::Vectors(v) = plan.read(0, part)? else { return Err("codes, not vectors".into()) };
        if (v.height, v.width) == (height, width) {
            all = v.data;
            continue;
        }
        for b in 0..bands {
            for (r, row) in v.band(b).chunks_exact(v.width).enumerate() {
                let at = (b * height + part.row + r) * width + part.col;
                all[at..at + v.width].copy_from_slice(row);
            }
        }
    }
    Ok((vec![bands, height, width], all))
}

fn scan(plan: &Extraction) -> Result<(Vec<usize>, Vec<f32>), Box<dyn Error>> {
    let mut sums = vec![0f64; plan.band_names.len()];
    for part in plan.chunks(1) {
        let Pixels::Vectors(v) = plan.read(0, part)? else { return Err("codes, not vectors".into()) };
        for (b, sum) in sums.iter_mut().enumerate() {
            *sum += v.band(b).iter().filter(|x| x.is_finite()).map(|x| f64::from(*x)).sum::<f64>();
        }
    }
    Ok((vec![sums.len()], sums.into_iter().map(|s| s as f32).collect()))
}

fn points(
    dataset: &terravec::RasterDataset,
    question: &serde_json::Value,
) -> Result<(Vec<usize>, Vec<f32>), Box<dyn Error>> {
    let (lon, lat) = (numbers(&question["lon"])?, numbers(&question["lat"])?);
    let n = lon.len();
    let none = RecordBatchOptions::new().with_row_count(Some(n));
    let columns = RecordBatch::try_new_with_options(Schema::empty().into(), Vec::new(), &none)?;
    let points = Points { lon, lat, columns, origin: "benchmark".into(), warnings: Vec::new() };
    let Values::Vectors(data) = sample(dataset, points, &Years::All, false)?.values else {
        return Err("codes, not vectors".into());
    };
    Ok((vec![n, data.len() / n], data))
}

fn write_npy(path: &str, shape: &[usize], data: &[f32]) -> Result<(), Box<dyn Error>> {
    let shape: String = shape.iter().map(|n| format!("{n}, ")).collect();
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}");
    let pad = 64 - (10 + header.len() + 1) % 64;
    header.push_str(&" ".repeat(pad));
    header.push('\n');
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    file.write_all(b"\x93NUMPY\x01\x00")?;
    file.write_all(&u16::try_from(header.len())?.to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    for x in data {
        file.write_all(&x.to_le_bytes())?;
    }
    Ok(file.flush()?)
}
