//! What terravec reads from a table of vectors, for tests that compare it with other readers.
//!
//! `table_dump info|check FILE`
//! `table_dump read FILE OUT.arrow [--columns a,b] [--groups 0,1] [--rows 3..7,20..21] [--batch ROWS]`
//! `table_dump vectors FILE COLUMN OUT.bin [--dim N] [--dtype float32]`; COLUMN may be several, with commas
//! `table_dump places FILE [--geometry COLUMN | --lonlat LON,LAT | --box COLUMN]`
//! `table_dump csv FILE OUT.arrow --vector PREFIX --numbers a,b [--dtype float32] [--batch ROWS]`

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::process::ExitCode;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::FileWriter;
use serde_json::{Value, json};
use terravec_io::source;
use terravec_io::table::{
    Bound, CsvPlan, CsvTable, PlaceColumns, Placer, ReadPlan, TableError, TableFile, VectorSpec, VectorState,
    check_geoparquet, vectors_of, vectors_of_columns,
};
use terravec_io::vector::{wkb, wkt};
use terravec_io::{DType, with_samples};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            if let Some(help) = e.downcast_ref::<TableError>().and_then(TableError::help) {
                eprintln!("  help: {help}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Words of the command line: those with a name in front, and the others.
struct Words<'a>(&'a [String]);

impl<'a> Words<'a> {
    fn named(&self, name: &str) -> Option<&'a str> {
        let at = self.0.iter().position(|w| w == name)?;
        self.0.get(at + 1).map(String::as_str)
    }

    fn at(&self, i: usize) -> Outcome<&'a str> {
        Ok(self.0.get(i).map(String::as_str).ok_or("a word is missing")?)
    }

    fn list(&self, name: &str) -> Option<Vec<&'a str>> {
        self.named(name).map(|text| text.split(',').filter(|w| !w.is_empty()).collect())
    }
}

fn run(words: &[String]) -> Outcome {
    let words = Words(words);
    let source = source::open(words.at(1)?)?;
    if words.at(0)? == "csv" {
        return csv(&CsvTable::open(source)?, &words);
    }
    let file = TableFile::open(source)?;
    match words.at(0)? {
        "info" => info(&file),
        "check" => {
            let problems = check_geoparquet(&file);
            let problems: Vec<_> =
                problems.iter().map(|p| json!({ "rule": p.rule, "what": p.what })).collect();
            println!("{}", json!(problems));
            Ok(())
        }
        "read" => read(&file, &words),
        "vectors" => vectors(&file, &words),
        "places" => places(&file, &words),
        other => Err(format!("there is no {other}").into()),
    }
}

fn bound(bound: &Bound) -> Value {
    match bound {
        Bound::Int(v) => json!(v),
        Bound::Time(v) => json!({ "us": v }),
        Bound::Text(v) => json!(v),
    }
}

fn info(file: &TableFile) -> Outcome {
    let columns = 0..file.schema().fields().len();
    let groups: Vec<Value> = (0..file.groups())
        .map(|g| {
            let ranges: serde_json::Map<String, Value> = columns
                .clone()
                .filter_map(|c| {
                    let (a, b) = file.group_range(g, c)?;
                    Some((file.schema().field(c).name().clone(), json!([bound(&a), bound(&b)])))
                })
                .collect();
            let rows = file.group_rows(g);
            json!({
                "rows": [rows.start, rows.end],
                "bytes": file.group_bytes(g, &columns.clone().collect::<Vec<_>>()),
                "box": file.group_box(g).map(|b| [b.min_x, b.min_y, b.max_x, b.max_y]),
                "ranges": ranges,
            })
        })
        .collect();
    let fields: Vec<Value> =
        file.schema().fields().iter().map(|f| json!([f.name(), f.data_type().to_string()])).collect();
    let geometry = file.geometry().map(|g| {
        json!({
            "name": g.name, "encoding": g.encoding, "covering": g.covering,
            "crs": g.crs.as_ref().map(ToString::to_string),
            "bounds": g.bounds.map(|b| [b.min_x, b.min_y, b.max_x, b.max_y]),
        })
    });
    println!(
        "{}",
        json!({
            "rows": file.rows(), "fields": fields, "groups": groups, "geometry": geometry, "notes": file.notes(),
            "emb": file.metadata("emb"),
        })
    );
    Ok(())
}

fn index(file: &TableFile, name: &str) -> Outcome<usize> {
    Ok(file.schema().index_of(name)?)
}

fn plan(file: &TableFile, words: &Words<'_>) -> Outcome<ReadPlan> {
    let columns = match words.list("--columns") {
        Some(names) => names.into_iter().map(|n| index(file, n)).collect::<Outcome<_>>()?,
        None => (0..file.schema().fields().len()).collect(),
    };
    let groups = match words.list("--groups") {
        Some(groups) => groups.into_iter().map(str::parse).collect::<Result<_, _>>()?,
        None => (0..file.groups()).collect(),
    };
    let range = |text: &str| {
        let (a, b) = text.split_once("..").ok_or("a range is A..B")?;
        Ok::<_, Box<dyn Error>>(a.parse()?..b.parse()?)
    };
    let rows = match words.list("--rows") {
        Some(ranges) => Some(ranges.into_iter().map(range).collect::<Outcome<_>>()?),
        None => None,
    };
    let batch_rows = words.named("--batch").unwrap_or("8192").parse()?;
    Ok(ReadPlan { columns, groups, rows, batch_rows })
}

/// All batches in an Arrow file.
fn write(
    out: &str,
    schema: &SchemaRef,
    batches: impl Iterator<Item = Result<RecordBatch, TableError>>,
) -> Outcome {
    let mut writer = FileWriter::try_new(File::create(out)?, schema)?;
    for batch in batches {
        writer.write(&batch?)?;
    }
    Ok(writer.finish()?)
}

fn read(file: &TableFile, words: &Words<'_>) -> Outcome {
    let plan = plan(file, words)?;
    let schema = file.schema().project(&plan.columns)?.into();
    write(words.at(2)?, &schema, file.read(&plan)?)
}

fn csv(table: &CsvTable, words: &Words<'_>) -> Outcome {
    let prefix = words.named("--vector").unwrap_or_default();
    let numbers = words.list("--numbers").unwrap_or_default();
    let of = |take: &dyn Fn(&str) -> bool| {
        table.columns().iter().enumerate().filter(|(_, n)| take(n)).map(|(i, _)| i).collect::<Vec<usize>>()
    };
    let plan = CsvPlan {
        vector: of(&|n| !prefix.is_empty() && n.starts_with(prefix)),
        name: "vector".into(),
        dtype: DType::from_name(words.named("--dtype").unwrap_or("float32")).ok_or("no such dtype")?,
        numbers: of(&|n| numbers.contains(&n)),
        batch_rows: words.named("--batch").unwrap_or("8192").parse()?,
    };
    write(words.at(2)?, &table.schema(&plan)?, table.read(&plan)?)
}

fn state(state: VectorState) -> Value {
    match state {
        VectorState::Present => json!("present"),
        VectorState::Null => json!("null"),
        VectorState::Length(n) => json!(n),
        VectorState::NotFinite => json!("not finite"),
        VectorState::Unreadable => json!("unreadable"),
    }
}

fn vectors(file: &TableFile, words: &Words<'_>) -> Outcome {
    let columns: Vec<usize> = words.at(2)?.split(',').map(|n| index(file, n)).collect::<Outcome<_>>()?;
    let spec = VectorSpec {
        dim: words.named("--dim").map(str::parse).transpose()?,
        dtype: words.named("--dtype").map(|n| DType::from_name(n).ok_or("no such dtype")).transpose()?,
    };
    let groups = (0..file.groups()).collect();
    let several = columns.len() > 1;
    let plan = ReadPlan { columns, groups, rows: None, batch_rows: 1 << 20 };
    let batches: Vec<RecordBatch> = file.read(&plan)?.collect::<Result<_, _>>()?;
    let schema = file.schema().project(&plan.columns)?.into();
    let (_, mut arrays, _) = concat_batches(&schema, &batches)?.into_parts();
    let block = if several { vectors_of_columns(&arrays)? } else { vectors_of(arrays.remove(0), &spec)? };
    let bytes =
        with_samples!(&block.samples, v => v.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>());
    File::create(words.at(3)?)?.write_all(&bytes)?;
    let states: Vec<Value> = block.states.iter().copied().map(state).collect();
    println!("{}", json!({ "dtype": block.samples.dtype().name(), "dim": block.dim, "states": states }));
    Ok(())
}

fn places(file: &TableFile, words: &Words<'_>) -> Outcome {
    let places = if let Some(name) = words.named("--geometry") {
        PlaceColumns::Geometry(index(file, name)?)
    } else if let Some([lon, lat]) = words.list("--lonlat").as_deref() {
        PlaceColumns::LonLat(index(file, lon)?, index(file, lat)?)
    } else if let Some(name) = words.named("--box") {
        PlaceColumns::Box(index(file, name)?)
    } else {
        PlaceColumns::Geometry(file.geometry().ok_or("it has no geometry")?.column)
    };
    let placer = Placer::new(file, places)?;
    let groups: Vec<usize> = (0..file.groups()).collect();
    let boxes: Vec<Value> = groups
        .iter()
        .map(|g| {
            let b = file.group_box_of(*g, &places).and_then(|b| placer.box_in_degrees(&b));
            json!(b.map(|b| [b.min_x, b.min_y, b.max_x, b.max_y]))
        })
        .collect();
    let plan = ReadPlan { columns: placer.columns().to_vec(), groups, rows: None, batch_rows: 4096 };
    let (mut rows, mut problems) = (Vec::new(), Vec::new());
    for batch in file.read(&plan)? {
        let block = placer.places(&batch?)?;
        problems.extend(block.problems.iter().map(|(row, what)| json!([rows.len() + row, what])));
        let bytes = block.wkb();
        for row in 0..block.lon.len() {
            let b = block.boxes[row];
            // The same geometry both ways.
            let shape = block.geometry(row);
            let written = bytes.iter().nth(row).flatten().map(wkb::read).transpose()?;
            if shape != written {
                return Err(format!("row {row}: its geometry and its bytes differ").into());
            }
            rows.push(json!({
                "box": [b.min_x, b.min_y, b.max_x, b.max_y], "lon": block.lon[row], "lat": block.lat[row],
                "wkt": shape.map(|g| wkt::write(&g)),
            }));
        }
    }
    println!(
        "{}",
        json!({ "rows": rows, "problems": problems, "notes": placer.notes(), "group_boxes": boxes })
    );
    Ok(())
}
