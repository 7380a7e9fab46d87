//! How fast a table is read: `table_scan FILE [arrow] [BATCH_ROWS] [COLUMN...]`.

use std::error::Error;
use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use terravec_io::source::LocalSource;
use terravec_io::table::{ReadPlan, TableFile};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let start = Instant::now();
    let batch_rows = words.iter().find_map(|w| w.parse().ok()).unwrap_or(8192);
    let (mut rows, mut bytes) = (0, 0);
    if words.iter().any(|w| w == "arrow") {
        let b = ParquetRecordBatchReaderBuilder::try_new(File::open(&words[0])?)?;
        for batch in b.with_batch_size(batch_rows).build()? {
            let batch = batch?;
            rows += batch.num_rows();
            bytes += batch.get_array_memory_size();
        }
    } else {
        let file = TableFile::open(Arc::new(LocalSource::open(&words[0])?))?;
        let plan = ReadPlan {
            columns: (0..file.schema().fields().len()).collect(),
            groups: (0..file.groups()).collect(),
            rows: None,
            batch_rows,
        };
        for batch in file.read(&plan)? {
            let batch = batch?;
            if rows == 0 {
                println!("first batch after {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
            }
            rows += batch.num_rows();
            bytes += batch.get_array_memory_size();
        }
    }
    println!("{rows} rows, {} MB in {:.3} s", bytes / 1_000_000, start.elapsed().as_secs_f64());
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        println!("{}", status.lines().find(|l| l.starts_with("VmHWM")).unwrap_or_default());
    }
    Ok(())
}
