//! Making an index of any size in a set amount of memory, and changing it.
//!
//! Pass one draws a sample and counts; centres come from k-means on the sample. Pass two puts rows into lists; whenever these fill the
//! memory, they are written as a segment. At the end segments are merged list by list. New rows are a further segment.

use std::collections::HashSet;
use std::path::Path;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use terravec::sink::check_absent;
use terravec::{Error, Result};

use super::list::{List, NO_TIME, checksum};
use super::manifest::{Index, Manifest, Part, is_index, put};
use super::segment::{Segment, SegmentWriter, failed};
use crate::cluster::{Centres, Sample, Settings, Start, fit};
use crate::rows::{Block, Stream};
use crate::search::Metric;

/// Rows of the sample per list.
const PER_LIST: usize = 64;
/// The largest sample.
const MOST_SAMPLE: usize = 1 << 18;
/// Ids of a list may take this much.
const MOST_IDS: usize = 1 << 30;

/// How an index is made.
#[derive(Debug, Clone)]
pub struct Build {
    /// What "similar" means.
    pub metric: Metric,
    /// Lists; the root of the number of rows if not said.
    pub lists: Option<usize>,
    /// Bytes of rows and of the sample in memory, about.
    pub memory: usize,
    /// The seed of the sample.
    pub seed: u64,
}

impl Default for Build {
    fn default() -> Self {
        Self { metric: Metric::Cosine, lists: None, memory: 512 << 20, seed: 0 }
    }
}

/// Where the rows come from: a stream for each pass, and the column of ids.
pub struct Source<'a> {
    /// Starts a pass.
    pub stream: &'a dyn Fn() -> Result<Stream<'a>>,
    /// The column that names rows, where there is one.
    pub id: Option<String>,
}

impl std::fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Index {
    /// Builds an index in the folder `dir`, which appears when it is whole.
    ///
    /// # Errors
    /// If there is no vector, the folder exists (and is no index that `force` may replace), or reading or writing fails.
    pub fn build(source: &Source<'_>, dir: &Path, force: bool, build: &Build) -> Result<Self> {
        check_absent(dir, force && is_index(dir))?;
        let parent = terravec_io::atomic::folder_of(dir);
        let folder =
            tempfile::Builder::new().prefix(".index-").tempdir_in(parent).map_err(|e| failed(dir, e))?;
        make(source, folder.path(), build)?;
        let mut index = Self::open(folder.path())?;
        index.tune(build.seed)?;
        drop(index);
        let made = folder.keep();
        if dir.exists() {
            // Two renames: the old one stays whole until the new one is there.
            let old =
                tempfile::Builder::new().prefix(".index-").tempdir_in(parent).map_err(|e| failed(dir, e))?;
            std::fs::rename(dir, old.path().join("old")).map_err(|e| failed(dir, e))?;
        }
        std::fs::rename(&made, dir).map_err(|e| failed(dir, e))?;
        Self::open(dir)
    }

    /// Adds rows as a further segment; how many.
    ///
    /// # Errors
    /// If they are of another product, there is none, or reading or writing fails; the index is then as it was.
    pub fn add(dir: &Path, source: &Source<'_>, memory: usize) -> Result<u64> {
        let index = Self::open(dir)?;
        let mut manifest = index.manifest.clone();
        let mut filler = Filler::new(dir, &index.centres, memory, manifest.rows);
        let mut stream = (source.stream)()?;
        while let Some(block) = stream.step()? {
            index.check(&stream.provenance())?;
            filler.add(&stream, &block, source.id.as_deref(), &mut manifest)?;
        }
        let added = filler.next - manifest.rows;
        if added == 0 {
            return Err(Error::query(
                "nothing that is asked for has a vector",
                "choose another area or time",
            ));
        }
        let without = filler.without_direction;
        let segments = filler.finish(&mut manifest)?;
        manifest.segments.extend(segments);
        manifest.rows += added;
        manifest.without_direction += without;
        manifest.save(dir)?;
        Ok(added)
    }

    /// Deletes the rows with these ids; how many. They are passed over from now on; [`Self::compact`] takes them out of the files.
    ///
    /// # Errors
    /// If no row has one of the ids, or reading or writing fails.
    pub fn delete(dir: &Path, ids: &HashSet<String>) -> Result<u64> {
        let index = Self::open(dir)?;
        let mut gone: Vec<u64> = index.deleted.iter().copied().collect();
        let before = gone.len();
        for segment in &index.segments {
            for list in 0..index.manifest.lists {
                let bytes = segment.head(list)?;
                let head = segment.columns(list, &bytes);
                for row in (0..head.len()).filter(|row| ids.contains(head.id(*row))) {
                    let number = head.u64(super::list::Column::Row, row);
                    if !index.deleted.contains(&number) {
                        gone.push(number);
                    }
                }
            }
        }
        let found = (gone.len() - before) as u64;
        if found == 0 {
            return Err(Error::query(
                "no row of the index has one of these ids",
                "see the column `id` of a search",
            ));
        }
        gone.sort_unstable();
        let mut manifest = index.manifest.clone();
        let bytes: Vec<u8> = gone.iter().flat_map(|r| r.to_le_bytes()).collect();
        let old = manifest.deleted_rows.take();
        let file = manifest.name("deleted");
        put(&dir.join(&file), &bytes)?;
        manifest.deleted_rows = Some(Part { file, checksum: checksum(&bytes) });
        manifest.deleted = gone.len() as u64;
        manifest.save(dir)?;
        if let Some(old) = old {
            let _ = std::fs::remove_file(dir.join(old.file));
        }
        Ok(found)
    }

    /// Merges all segments into one, without deleted rows.
    ///
    /// # Errors
    /// If reading or writing fails; the index is then as it was.
    pub fn compact(dir: &Path) -> Result<()> {
        let index = Self::open(dir)?;
        let mut manifest = index.manifest.clone();
        let file = manifest.name("segment");
        merge(&index.segments, &index.deleted, manifest.lists, &dir.join(&file), manifest.dimension)?;
        let old: Vec<String> = std::mem::replace(&mut manifest.segments, vec![file]);
        let old_deleted = manifest.deleted_rows.take();
        // Numbers of rows go on from where they were.
        manifest.deleted = 0;
        manifest.save(dir)?;
        for name in old.into_iter().chain(old_deleted.map(|p| p.file)) {
            let _ = std::fs::remove_file(dir.join(name));
        }
        Ok(())
    }
}

fn make(source: &Source<'_>, dir: &Path, build: &Build) -> Result<()> {
    let mut stream = (source.stream)()?;
    let sample = {
        // The length of vectors is known with the first block only; half the memory is for the sample.
        let most = (build.memory / 2 / 4 / 64).clamp(1024, MOST_SAMPLE);
        Sample::draw(&mut stream, most, build.seed)?
    };
    let provenance = stream.provenance();
    drop(stream);
    let centres = centres(&sample, build)?;
    drop(sample);
    let lists = centres.k();
    let mut manifest = Manifest::new(build.metric, centres.dim, lists, provenance);
    let bytes: Vec<u8> = centres.values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let file = manifest.name("centres");
    put(&dir.join(&file), &bytes)?;
    manifest.centres = Part { file, checksum: checksum(&bytes) };
    let mut filler = Filler::new(dir, &centres, build.memory / 2, 0);
    let mut stream = (source.stream)()?;
    while let Some(block) = stream.step()? {
        filler.add(&stream, &block, source.id.as_deref(), &mut manifest)?;
    }
    manifest.rows = filler.next;
    manifest.without_direction = filler.without_direction;
    let mut runs = filler.finish(&mut manifest)?;
    if runs.len() > 1 {
        let open: Vec<Segment> = runs
            .iter()
            .map(|name| Segment::open(&dir.join(name), centres.dim, lists))
            .collect::<Result<_>>()?;
        let file = manifest.name("segment");
        merge(&open, &HashSet::new(), lists, &dir.join(&file), centres.dim)?;
        for run in std::mem::replace(&mut runs, vec![file]) {
            let path = dir.join(run);
            std::fs::remove_file(&path).map_err(|e| failed(&path, e))?;
        }
    }
    manifest.segments = runs;
    manifest.save(dir)
}

/// Centres of lists: k-means on a part of the sample.
fn centres(sample: &Sample, build: &Build) -> Result<Centres> {
    let spherical = build.metric == Metric::Cosine;
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let usual = (sample.of as f64).sqrt().ceil() as usize;
    let mut values: Vec<f32> = Vec::new();
    let lists = build.lists.unwrap_or(usual).clamp(1, sample.rows());
    for row in sample.values.chunks_exact(sample.dim) {
        // Vectors of length 0 have no direction.
        if values.len() < lists * PER_LIST * sample.dim && (!spherical || row.iter().any(|v| *v != 0.0)) {
            values.extend_from_slice(row);
        }
    }
    let lists = lists.min(values.len() / sample.dim);
    if lists == 0 {
        return Err(Error::query(
            "all vectors have length 0 and no direction",
            "index them by the metric l2",
        ));
    }
    let settings = Settings {
        spherical,
        start: Start::Random,
        starts: 1,
        iterations: 12,
        seed: build.seed,
        ..Settings::new(lists)
    };
    fit(&values, sample.dim, &settings)
}

/// Rows in memory, by list, until they fill it.
struct Filler<'a> {
    dir: &'a Path,
    centres: &'a Centres,
    memory: usize,
    lists: Vec<List>,
    held: usize,
    ids: usize,
    next: u64,
    without_direction: u64,
    runs: Vec<String>,
}

impl<'a> Filler<'a> {
    fn new(dir: &'a Path, centres: &'a Centres, memory: usize, next: u64) -> Self {
        let lists = vec![List::default(); centres.k()];
        Self { dir, centres, memory, lists, held: 0, ids: 0, next, without_direction: 0, runs: Vec::new() }
    }

    fn add(
        &mut self,
        stream: &Stream<'_>,
        block: &Block,
        id: Option<&str>,
        manifest: &mut Manifest,
    ) -> Result<()> {
        let dim = self.centres.dim;
        if block.dim != dim {
            return Err(Error::query(
                format!("vectors of {dim} and of {} numbers", block.dim),
                "index one product and version",
            ));
        }
        let (mut labels, mut squares) = (vec![0; block.rows()], vec![0.0; block.rows()]);
        self.centres.nearest(&block.values, &mut labels, &mut squares);
        let facts = Facts::of(stream, block, id)?;
        for (row, label) in labels.into_iter().enumerate() {
            let vector = block.vector(row);
            if self.centres.spherical && vector.iter().all(|v| *v == 0.0) {
                self.without_direction += 1;
                continue;
            }
            let list = &mut self.lists[label as usize];
            let before = list.bytes();
            list.vectors.extend_from_slice(vector);
            list.rows.push(self.next);
            list.lon.push(facts.lon[row]);
            list.lat.push(facts.lat[row]);
            list.start.push(facts.start[row]);
            list.end.push(facts.end[row]);
            list.push_id(facts.ids.as_ref().map_or("", |ids| ids[row].as_str()));
            self.held += list.bytes() - before;
            self.ids = self.ids.max(list.ids.len());
            self.next += 1;
            if self.held > self.memory || self.ids > MOST_IDS {
                self.spill(manifest)?;
            }
        }
        Ok(())
    }

    fn spill(&mut self, manifest: &mut Manifest) -> Result<()> {
        let file = manifest.name("segment");
        let mut writer = SegmentWriter::create(&self.dir.join(&file), self.centres.dim)?;
        for list in &mut self.lists {
            writer.write(&std::mem::take(list))?;
        }
        writer.finish()?;
        self.runs.push(file);
        (self.held, self.ids) = (0, 0);
        Ok(())
    }

    fn finish(mut self, manifest: &mut Manifest) -> Result<Vec<String>> {
        if self.held > 0 {
            self.spill(manifest)?;
        }
        Ok(self.runs)
    }
}

/// Places, times and ids of the rows of a block.
struct Facts {
    lon: Vec<f64>,
    lat: Vec<f64>,
    start: Vec<i64>,
    end: Vec<i64>,
    ids: Option<Vec<String>>,
}

impl Facts {
    fn of(stream: &Stream<'_>, block: &Block, id: Option<&str>) -> Result<Self> {
        let places = stream.places(block);
        let (lon, lat) = places.lonlat;
        let time = |f: fn(&terravec::Interval) -> i64| {
            places.intervals.iter().map(|i| i.as_ref().map_or(NO_TIME, f)).collect()
        };
        let column = id.and_then(|name| block.columns()?.column_by_name(name).cloned());
        let ids = match column {
            None => None,
            Some(column) => {
                let text = cast(&column, &DataType::Utf8)?;
                Some(text.as_string::<i32>().iter().map(|v| v.unwrap_or("").to_owned()).collect())
            }
        };
        Ok(Self { lon, lat, start: time(|i| i.start_ms), end: time(|i| i.end_ms), ids })
    }
}

/// One segment of several, list by list.
fn merge(segments: &[Segment], deleted: &HashSet<u64>, lists: usize, path: &Path, dim: usize) -> Result<()> {
    let mut writer = SegmentWriter::create(path, dim)?;
    for list in 0..lists {
        let mut all = List::default();
        for segment in segments.iter().filter(|s| s.rows(list) > 0) {
            let part = segment.list(list)?;
            for row in (0..part.len()).filter(|row| !deleted.contains(&part.rows[*row])) {
                all.push_from(&part, row, dim);
            }
        }
        writer.write(&all)?;
    }
    writer.finish()
}
