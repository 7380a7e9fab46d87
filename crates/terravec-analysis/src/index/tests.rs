//! An index of real vectors, compared with a search of the table itself.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use arrow::array::AsArray;
use arrow::datatypes::Float64Type;
use terravec::catalog::Catalog;
use terravec::patch::PatchQuery;
use terravec::{Area, Dataset, OpenOptions, PatchDataset};
use terravec_geo::LonLatBox;

use super::*;
use crate::rows::Stream;
use crate::search::{Ask, Like, Metric, Query};

fn dataset(name: &str) -> Dataset {
    let path = format!("{}/../../testdata/{name}", env!("CARGO_MANIFEST_DIR"));
    Dataset::open(&path, &OpenOptions::new(Catalog::builtin())).unwrap()
}

fn labelled() -> Dataset {
    dataset("alphaearth/labelled/labelled_vectors.parquet")
}

fn patches(dataset: &Dataset) -> &PatchDataset {
    let Dataset::Patch(p) = dataset else { panic!("a table") };
    p
}

fn build(dataset: &Dataset, dir: &Path, how: &Build) -> terravec::Result<Index> {
    let stream = || Ok(Stream::of_rows(patches(dataset).scan(&PatchQuery::default())?, &|_, _| ()));
    Index::build(&Source { stream: &stream, id: Some("id".into()) }, dir, false, how)
}

fn column(answer: &crate::search::Answer, name: &str) -> Vec<f64> {
    answer.table.column_by_name(name).unwrap().as_primitive::<Float64Type>().values().to_vec()
}

#[test]
fn all_lists_give_the_exact_answer_whatever_the_memory() {
    let dir = tempfile::tempdir().unwrap();
    let data = labelled();
    let vectors: Vec<Vec<f32>> = {
        let mut stream = Stream::of_rows(patches(&data).scan(&PatchQuery::default()).unwrap(), &|_, _| ());
        let block = stream.step().unwrap().unwrap();
        (0..20).map(|row| block.vector(row * 7).to_vec()).collect()
    };
    for (metric, name, memory) in [
        (Metric::Cosine, "similarity", 1 << 29),
        (Metric::L2, "distance", 200_000),
        (Metric::Dot, "score", 90_000),
    ] {
        let path = dir.path().join(metric.name());
        let index = build(&data, &path, &Build { metric, lists: Some(40), memory, seed: 1 }).unwrap();
        assert_eq!((index.manifest().rows, index.manifest().lists), (2880, 40));
        let recall = index.manifest().recall.as_ref().unwrap();
        assert!(recall.measured.last().unwrap().1 >= 0.95);
        for vector in &vectors {
            let ask =
                Ask { positive: vec![Like::Vectors(vec![vector.clone()])], metric, k: 30, ..Ask::default() };
            let exact = ask.run(&data, &|_, _| ()).unwrap();
            let query = Query::new(metric, vec![vector.clone()]).unwrap();
            let found = index.search(&query, 30, 40, &Filter::default()).unwrap();
            for name in [name, "lon", "lat"] {
                assert_eq!(column(&found, name), column(&exact, name), "{metric} {name}");
            }
            // Filters go into the search: 30 results in a box that few rows lie in.
            let area = LonLatBox::new(-125.0, 30.0, -115.0, 45.0).unwrap();
            let rows = PatchQuery { area: Area::Box(area), ..PatchQuery::default() };
            let exact = Ask { rows: rows.clone(), ..ask }.run(&data, &|_, _| ()).unwrap();
            let filter = Filter::of(&rows, &[]).unwrap();
            let found = index.search(&query, 30, 40, &filter).unwrap();
            assert_eq!(column(&found, "lon"), column(&exact, "lon"));
            assert_eq!(index.search(&query, 30, 1, &filter).unwrap().table.num_rows(), 30);
        }
    }
}

#[test]
fn rows_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let data = dataset("patch/clay_v0_03WVN_60.gpq");
    let source_of = |query: PatchQuery| {
        let data = &data;
        move || Ok(Stream::of_rows(patches(data).scan(&query)?, &|_, _| ()))
    };
    let some = |condition: &str| PatchQuery {
        conditions: vec![terravec::patch::Condition::parse(condition).unwrap()],
        ..PatchQuery::default()
    };
    let (low, high) = (source_of(some("index<40")), source_of(some("index>=40")));
    let id = patches(&data).id_column().unwrap();
    let index =
        Index::build(&Source { stream: &low, id: id.clone() }, &path, false, &Build::default()).unwrap();
    assert_eq!(index.manifest().rows, 40);
    assert!(Index::build(&Source { stream: &low, id: id.clone() }, &path, false, &Build::default()).is_err());
    assert_eq!(Index::add(&path, &Source { stream: &high, id }, 1 << 20).unwrap(), 20);
    let query = {
        let ask = Ask { positive: vec![Like::Id("45".into())], ..Ask::default() };
        ask.question(&data).unwrap().query
    };
    let ids = |path: &Path| -> Vec<String> {
        let answer = Index::open(path).unwrap().search(&query, 60, 100, &Filter::default()).unwrap();
        let ids = answer.table.column_by_name("id").unwrap();
        ids.as_string::<i32>().iter().map(|v| v.unwrap().to_owned()).collect()
    };
    let all = ids(&path);
    assert_eq!((all.len(), all[0].as_str()), (60, "45"));
    let gone = HashSet::from(["45".to_owned(), "3".to_owned()]);
    assert_eq!(Index::delete(&path, &gone).unwrap(), 2);
    assert!(Index::delete(&path, &gone).is_err());
    let left: Vec<String> = all.into_iter().filter(|id| !gone.contains(id)).collect();
    assert_eq!(ids(&path), left);
    Index::compact(&path).unwrap();
    assert_eq!(ids(&path), left);
    assert_eq!(fs::read_dir(&path).unwrap().count(), 3);
}

#[test]
fn damage_is_found_and_other_products_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let data = labelled();
    let index = build(&data, &path, &Build { lists: Some(10), ..Build::default() }).unwrap();
    let clay = dataset("patch/clay_v0_03WVN_60.gpq");
    let stream = || Ok(Stream::of_rows(patches(&clay).scan(&PatchQuery::default())?, &|_, _| ()));
    assert!(Index::add(&path, &Source { stream: &stream, id: None }, 1 << 20).is_err());
    assert!(
        index
            .search(&Query::new(Metric::L2, vec![vec![1.0; 64]]).unwrap(), 3, 1, &Filter::default())
            .is_err()
    );
    assert!(
        index
            .search(&Query::new(Metric::Cosine, vec![vec![1.0; 3]]).unwrap(), 3, 1, &Filter::default())
            .is_err()
    );
    drop(index);
    let search = || {
        let query = Query::new(Metric::Cosine, vec![vec![1.0; 64]])?;
        Index::open(&path)?.search(&query, 2880, 10, &Filter::default())
    };
    assert!(search().is_ok());
    let mut random = fastrand::Rng::with_seed(13);
    for entry in fs::read_dir(&path).unwrap() {
        let file = entry.unwrap().path();
        let whole = fs::read(&file).unwrap();
        for _ in 0..60 {
            let mut bytes = whole.clone();
            let at = random.usize(..bytes.len());
            if random.bool() {
                bytes[at] ^= 1 << random.u8(..8);
            } else {
                bytes.truncate(at);
            }
            fs::write(&file, &bytes).unwrap();
            // JSON may say the same in other words; binary files may not.
            let said = search();
            assert!(said.is_err() || file.extension().is_some_and(|e| e == "json"), "{}", file.display());
        }
        fs::write(&file, &whole).unwrap();
    }
    assert!(search().is_ok());
}
