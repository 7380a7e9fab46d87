//! RANGE and RANGE+ (Dhakal et al., CVPR 2025, arXiv 2502.19781): SatCLIP, and what a satellite image there would look like,
//! retrieved from a database of places.
//!
//! From PyPI `rangegeo` 0.1.0 (MIT) and `rshf` 0.2.2: with q the place's SatCLIP vector scaled to length 1, kᵢ those of the
//! database, vᵢ its image vectors and pᵢ its places on the unit sphere, the vector is [Σ wᵢ vᵢ, q] where RANGE weighs by
//! w = softmax(15 q·kᵢ), and RANGE+ by β softmax(12 q·kᵢ) + (1−β) softmax(40 p·pᵢ), β = ½. SatCLIP runs in float64,
//! retrieval in float32, as there. The database is an NPZ of `locs` (lon, lat), `satclip_embeddings`, `image_embeddings`.

use std::path::Path;

use faer::{Accum, MatRef};

use crate::dense::{Dense, product};
use crate::encoders::satclip::SatClip;
use crate::error::LocationError;
use crate::model::{Model, Places, Scratch};
use crate::weights::{Npz, Weights};

#[derive(Debug)]
pub(crate) struct Range {
    satclip: SatClip<f64>,
    /// (entries, SatCLIP dimensions), rows of length 1.
    keys: Dense<f32>,
    /// (entries, 3).
    places: Dense<f32>,
    /// (entries, image dimensions).
    images: Vec<f32>,
    /// β of RANGE+; `None` for RANGE.
    beta: Option<f32>,
}

impl Range {
    pub(crate) fn load(
        weights: &mut Weights,
        database: &Path,
        encoder: &'static str,
        beta: Option<f64>,
    ) -> Result<Self, LocationError> {
        let satclip = SatClip::load(weights)?;
        let mut npz = Npz::open(database)?;
        let (entries, width, mut keys) = npz.matrix::<f32>("satclip_embeddings")?;
        let (places, two, lonlat) = npz.matrix::<f64>("locs")?;
        let (rows, _, images) = npz.matrix::<f32>("image_embeddings")?;
        let fault = |what| LocationError::Option { encoder, what };
        if places != entries || rows != entries || entries == 0 || two != 2 || images.is_empty() {
            return Err(fault(format!(
                "{}: the database's arrays do not belong together: {entries} SatCLIP vectors, \
                 {places} places of {two} coordinates, {rows} image vectors",
                database.display()
            )));
        }
        if width != Model::<f64>::dim(&satclip) {
            return Err(fault(format!(
                "{}: the database's SatCLIP vectors have {width} numbers, those of the weights {}",
                database.display(),
                Model::<f64>::dim(&satclip)
            )));
        }
        for key in keys.chunks_exact_mut(width) {
            let length = key.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
            key.iter_mut().for_each(|v| *v = (f64::from(*v) / length) as f32);
        }
        let xyz = lonlat.chunks_exact(2).flat_map(|p| on_sphere(p[0], p[1])).collect();
        Ok(Self {
            satclip,
            keys: Dense::new(keys, vec![], width),
            places: Dense::new(xyz, vec![], 3),
            images,
            beta: beta.map(|b| b as f32),
        })
    }
}

impl Model<f64> for Range {
    fn dim(&self) -> usize {
        self.images.len() / self.keys.outputs() + self.keys.inputs()
    }

    fn parameters(&self) -> usize {
        let database = self.keys.parameters() + self.places.parameters() + self.images.len();
        Model::<f64>::parameters(&self.satclip) + database
    }

    /// A batch holds one weight per place and database entry.
    fn batch(&self) -> usize {
        64
    }

    fn encode(&self, places: Places<'_>, scratch: &mut Scratch<f64>, out: &mut [f64]) {
        let (entries, width) = (self.keys.outputs(), self.keys.inputs());
        let (n, images) = (places.len(), self.images.len() / entries);
        let mut q = vec![0.0; n * width];
        self.satclip.encode(places, scratch, &mut q);
        for row in q.chunks_exact_mut(width) {
            let length = row.iter().map(|v| v * v).sum::<f64>().sqrt();
            row.iter_mut().for_each(|v| *v /= length);
        }
        let mut weights = Vec::new();
        self.keys.forward(&q.iter().map(|&v| v as f32).collect::<Vec<_>>(), &mut weights);
        let temperature = if self.beta.is_some() { 12.0 } else { 15.0 };
        weights.chunks_exact_mut(entries).for_each(|row| softmax(row, temperature));
        if let Some(beta) = self.beta {
            let xyz: Vec<f32> = places.iter().flat_map(|(lon, lat)| on_sphere(lon, lat)).collect();
            let mut near = Vec::new();
            self.places.forward(&xyz, &mut near);
            near.chunks_exact_mut(entries).for_each(|row| softmax(row, 40.0));
            // Retrieval is linear in the weights, so the two blend before the product.
            weights.iter_mut().zip(near).for_each(|(w, g)| *w = beta * *w + (1.0 - beta) * g);
        }
        let mut retrieved = vec![0.0; n * images];
        let values = MatRef::from_row_major_slice(&self.images, entries, images);
        product(&weights, n, values, &mut retrieved, Accum::Replace);
        for (i, row) in out.chunks_exact_mut(images + width).enumerate() {
            let (image, satclip) = row.split_at_mut(images);
            image.iter_mut().zip(&retrieved[i * images..]).for_each(|(o, &v)| *o = f64::from(v));
            satclip.copy_from_slice(&q[i * width..(i + 1) * width]);
        }
    }
}

fn on_sphere(lon: f64, lat: f64) -> [f32; 3] {
    let ((sx, cx), (sy, cy)) = (lon.to_radians().sin_cos(), lat.to_radians().sin_cos());
    [cy * cx, cy * sx, sy].map(|v| v as f32)
}

fn softmax(row: &mut [f32], temperature: f32) {
    let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for v in &mut *row {
        *v = ((*v - top) * temperature).exp();
        sum += f64::from(*v);
    }
    let scale = (1.0 / sum) as f32;
    row.iter_mut().for_each(|v| *v *= scale);
}
