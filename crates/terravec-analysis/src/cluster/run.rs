//! Clusters of a dataset: fitted on a stated sample, saved, and written as a map of classes or as a column of a table.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::datatypes::{Field, Schema};
use serde::{Deserialize, Serialize};
use terravec::patch::align;
use terravec::sink::{Progress, check_absent};
use terravec::{Error, Extraction, Provenance, Result, Status, table};
use terravec_io::vector::TableWriter;
use terravec_io::{Codes, DType, Samples};

use super::kmeans::{Centres, Settings, fit};
use super::sample::Sample;
use crate::pca::{named, window_of};
use crate::raster::{self, Content, Spec};
use crate::rows::{Stream, row_major};

const FORMAT: &str = "terravec-clusters";
/// More clusters than this are no map.
pub const MOST: usize = 65_000;

/// Clusters as they are saved: JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Clusters {
    format: String,
    version: u32,
    /// Whether vectors are compared by direction.
    pub spherical: bool,
    /// One centre per cluster.
    pub centres: Vec<Vec<f32>>,
    /// Sum of squared distances of the sample to its centres.
    pub inertia: f64,
    /// Iterations of the best start.
    pub iterations: usize,
    /// Vectors that they were fitted on.
    pub sample_rows: usize,
    /// Vectors that these were drawn from.
    pub sampled_from: u64,
    /// The seed of the draw and of the starts.
    pub seed: u64,
    /// Where the vectors come from.
    pub provenance: Provenance,
}

/// What was labelled.
#[derive(Debug, Clone, Serialize)]
pub struct Labelled {
    /// Rows or pixels in each cluster.
    pub counts: Vec<u64>,
    /// Rows or pixels without a vector.
    pub without_vector: u64,
}

impl Clusters {
    /// Fits clusters to a sample.
    ///
    /// # Errors
    /// As [`fit`], or if more than [`MOST`] are asked for.
    pub fn fit(sample: &Sample, settings: &Settings, provenance: Provenance) -> Result<Self> {
        if settings.k > MOST {
            return Err(Error::query(
                format!("{} clusters are asked for", settings.k),
                format!("ask for up to {MOST}"),
            ));
        }
        let fitted = fit(&sample.values, sample.dim, settings)?;
        Ok(Self {
            format: FORMAT.into(),
            version: 1,
            spherical: fitted.spherical,
            centres: fitted.values.chunks_exact(sample.dim).map(<[f32]>::to_vec).collect(),
            inertia: fitted.inertia,
            iterations: fitted.iterations,
            sample_rows: sample.rows(),
            sampled_from: sample.of,
            seed: settings.seed,
            provenance,
        })
    }

    /// Reads saved clusters.
    ///
    /// # Errors
    /// If they are none, or differ in length.
    pub fn from_json(text: &str) -> Result<Self> {
        let wrong = |what: String| Error::query(what, "make them with `terravec cluster --save`");
        let own: Self = serde_json::from_str(text).map_err(|e| wrong(format!("no clusters: {e}")))?;
        let dim = own.centres.first().map_or(0, Vec::len);
        let fits = own.format == FORMAT
            && own.version == 1
            && dim > 0
            && own.centres.len() <= MOST
            && own.centres.iter().all(|c| c.len() == dim && c.iter().all(|v| v.is_finite()));
        if fits { Ok(own) } else { Err(wrong("the centres do not fit together".into())) }
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Refuses vectors of another product or version.
    ///
    /// # Errors
    /// If they are.
    pub fn check(&self, provenance: &Provenance) -> Result<()> {
        let dim = self.centres[0].len();
        if self.provenance.same_space(provenance) && dim == provenance.dimension {
            return Ok(());
        }
        Err(Error::query(
            format!(
                "the clusters are of {}, and the vectors of {}",
                named(&self.provenance),
                named(provenance)
            ),
            "fit them on this product and version",
        ))
    }

    fn centres(&self) -> Centres {
        Centres {
            values: self.centres.concat(),
            dim: self.centres[0].len(),
            spherical: self.spherical,
            inertia: self.inertia,
            iterations: self.iterations,
        }
    }

    /// Labels of rows of vectors, the number of the nearest centre from 0.
    #[must_use]
    pub fn labels(&self, values: &[f32]) -> Vec<u32> {
        let centres = self.centres();
        let rows = values.len() / centres.dim;
        let (mut labels, mut squares) = (vec![0; rows], vec![0.0; rows]);
        centres.nearest(values, &mut labels, &mut squares);
        labels
    }

    /// Writes the cluster of every pixel of one period as a COG or a picture of classes.
    ///
    /// # Errors
    /// If the vectors are of another product, there are several periods, or reading or writing fails.
    pub fn map(
        &self,
        plan: &Extraction,
        path: &Path,
        force: bool,
        progress: Progress<'_>,
    ) -> Result<Labelled> {
        self.check(&plan.provenance)?;
        if plan.periods.len() > 1 {
            return Err(Error::query(
                format!("{} years are there", plan.periods.len()),
                "name one for the map",
            ));
        }
        let wide = self.centres.len() > usize::from(u8::MAX);
        let spec = Spec {
            path,
            force,
            bands: vec!["cluster".into()],
            content: Content::Classes,
            dtype: if wide { DType::U16 } else { DType::U8 },
            provenance: plan.provenance.clone(),
            tags: Vec::new(),
        };
        let mut done = Labelled { counts: vec![0; self.centres.len()], without_vector: 0 };
        raster::write(plan, &spec, progress, &mut |window| {
            let vectors = window_of(plan, 0, window)?;
            #[allow(clippy::cast_possible_truncation)]
            let index: Vec<u32> = (0..vectors.pixels() as u32)
                .filter(|i| vectors.status[*i as usize] == Status::Valid)
                .collect();
            done.without_vector += (vectors.pixels() - index.len()) as u64;
            let mut out = vec![u16::MAX; vectors.pixels()];
            for (i, label) in index.iter().zip(self.labels(&row_major(&vectors, &index))) {
                #[allow(clippy::cast_possible_truncation)]
                {
                    out[*i as usize] = label as u16;
                }
                done.counts[label as usize] += 1;
            }
            #[allow(clippy::cast_possible_truncation)]
            let samples = if wide {
                Samples::U16(out)
            } else {
                Samples::U8(out.into_iter().map(|c| c.min(255) as u8).collect())
            };
            Ok(Codes::new(samples, 1, window.height, window.width))
        })?;
        Ok(done)
    }

    /// Writes the rows of a stream with a column `cluster`, without their vectors.
    ///
    /// # Errors
    /// If the vectors are of another product, there is none, or reading or writing fails.
    pub fn table(&self, mut stream: Stream<'_>, path: &Path, force: bool) -> Result<Labelled> {
        check_absent(path, force)?;
        let mut done = Labelled { counts: vec![0; self.centres.len()], without_vector: 0 };
        let mut writer: Option<(TableWriter, Arc<Schema>)> = None;
        while let Some(block) = stream.step()? {
            self.check(&stream.provenance())?;
            let labels = self.labels(&block.values);
            labels.iter().for_each(|l| done.counts[*l as usize] += 1);
            let rows: Vec<usize> = (0..block.rows()).collect();
            let mut batch = stream.table(&block, &rows)?;
            for name in ["embedding", "status"] {
                if let Ok(column) = batch.schema().index_of(name) {
                    batch.remove_column(column);
                }
            }
            let batch = with_labels(&batch, Arc::new(UInt32Array::from(labels)))?;
            match &mut writer {
                Some((writer, schema)) => writer.write(&align(&batch, schema)?)?,
                None => {
                    let spec = table::spec(&stream.provenance(), Vec::new(), false);
                    let schema = batch.schema();
                    let mut first = TableWriter::create(path, &schema, &spec)?;
                    first.write(&batch)?;
                    writer = Some((first, schema));
                }
            }
        }
        done.without_vector = stream.without_vector;
        let Some((writer, _)) = writer else {
            return Err(Error::query(
                "nothing that is asked for has a vector",
                "choose another area or time",
            ));
        };
        writer.finish()?;
        Ok(done)
    }
}

fn with_labels(batch: &RecordBatch, labels: ArrayRef) -> Result<RecordBatch> {
    let schema = batch.schema();
    let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
    let mut columns = batch.columns().to_vec();
    if let Some(own) = fields.iter_mut().find(|f| f.name() == "cluster") {
        *own = Arc::new(own.as_ref().clone().with_name("cluster_"));
    }
    fields.insert(0, Arc::new(Field::new("cluster", labels.data_type().clone(), false)));
    columns.insert(0, labels);
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields).with_metadata(schema.metadata().clone())), columns)?)
}
