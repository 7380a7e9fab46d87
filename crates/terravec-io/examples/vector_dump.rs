//! What terravec reads from a file of points or polygons, as JSON; and tables rewritten in another format. The tests
//! compare both with other readers.
//!
//! `vector_dump points|regions FILE`
//! `vector_dump rewrite IN.parquet OUT [--covering] [--hilbert] [--key NAME=VALUE]... [--names a,b,c] [--geometry COLUMN]`

use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::process::ExitCode;

use arrow::array::{RecordBatch, RecordBatchReader, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Value, json};
use terravec_io::vector::{self, TableSpec, TableWriter, VectorError, wkt};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["points", file] => points(Path::new(file)),
        ["regions", file] => regions(Path::new(file)),
        ["rewrite", from, to, options @ ..] => rewrite(Path::new(from), Path::new(to), options),
        _ => Err("usage: vector_dump points|regions FILE | rewrite IN.parquet OUT [options]".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            if let Some(help) = e.downcast_ref::<VectorError>().and_then(VectorError::help) {
                eprintln!("  help: {help}");
            }
            ExitCode::FAILURE
        }
    }
}

fn points(file: &Path) -> Outcome {
    let p = vector::read_points(file)?;
    println!(
        "{}",
        json!({ "lon": p.lon, "lat": p.lat, "columns": columns(&p.columns)?, "warnings": p.warnings })
    );
    Ok(())
}

fn regions(file: &Path) -> Outcome {
    let r = vector::read_regions(file)?;
    let polygons: Vec<String> = r.polygons.into_iter().map(|p| wkt::write(&p.into())).collect();
    println!("{}", json!({ "polygons": polygons, "columns": columns(&r.columns)?, "warnings": r.warnings }));
    Ok(())
}

/// Name → type and values; columns of bytes have a type only.
fn columns(batch: &RecordBatch) -> Result<Value, VectorError> {
    let rows = vector::json_records(batch)?;
    let mut out = Map::new();
    for field in batch.schema().fields() {
        let values: Vec<Value> = rows
            .as_array()
            .into_iter()
            .flatten()
            .map(|r| r.get(field.name()).cloned().unwrap_or_default())
            .collect();
        out.insert(field.name().clone(), json!({ "type": field.data_type().to_string(), "values": values }));
    }
    Ok(Value::Object(out))
}

fn rewrite(from: &Path, to: &Path, options: &[&str]) -> Outcome {
    let mut spec = TableSpec::default();
    let mut hilbert = false;
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let mut value = || options.next().ok_or_else(|| format!("{option} needs a value"));
        match *option {
            "--covering" => spec.covering = true,
            "--hilbert" => hilbert = true,
            "--key" => {
                let (key, value) = value()?.split_once('=').ok_or("--key needs NAME=VALUE")?;
                spec.metadata.push((key.into(), value.into()));
            }
            "--names" => spec.vector_names = value()?.split(',').map(String::from).collect(),
            "--geometry" => spec.geometry = (*value()?).into(),
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(from)?)?.build()?;
    let schema = reader.schema();
    let mut writer = TableWriter::create(to, &schema, &spec)?;
    if hilbert {
        let all = reader.collect::<Result<Vec<_>, _>>()?;
        let batch = concat_batches(&schema, &all)?;
        let points = vector::read_points(from)?;
        let order = UInt32Array::from(vector::hilbert_order(&points.lon, &points.lat));
        writer.write(&take_record_batch(&batch, &order)?)?;
    } else {
        for batch in reader {
            writer.write(&batch?)?;
        }
    }
    writer.finish()?;
    Ok(())
}
