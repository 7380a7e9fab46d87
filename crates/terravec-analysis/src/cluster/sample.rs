//! A fair sample of a stream of unknown length, and how many rows it was drawn from.

use terravec::{Error, Result};

use crate::rows::Stream;

/// Vectors drawn at random, each row of the stream with the same chance.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Row-major.
    pub values: Vec<f32>,
    /// Numbers per vector.
    pub dim: usize,
    /// Rows of the stream that have a vector.
    pub of: u64,
    /// Rows or pixels without one.
    pub without_vector: u64,
    /// The seed.
    pub seed: u64,
}

impl Sample {
    /// Rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.values.len() / self.dim.max(1)
    }

    /// Draws at most `most` rows of `stream` (Vitter 1985, algorithm R); all of them in their order where there are no more.
    ///
    /// # Errors
    /// If the stream has no vector, or can't be read.
    pub fn draw(stream: &mut Stream<'_>, most: usize, seed: u64) -> Result<Self> {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut values, mut dim, mut of): (Vec<f32>, usize, u64) = (Vec::new(), 0, 0);
        while let Some(block) = stream.step()? {
            dim = block.dim;
            for row in block.values.chunks_exact(dim) {
                if of < most as u64 {
                    values.extend_from_slice(row);
                } else {
                    let at = random.u64(..=of);
                    if at < most as u64 {
                        #[allow(clippy::cast_possible_truncation)]
                        values[at as usize * dim..(at as usize + 1) * dim].copy_from_slice(row);
                    }
                }
                of += 1;
            }
        }
        if of == 0 {
            return Err(Error::query(
                "nothing that is asked for has a vector",
                "choose another area or time",
            ));
        }
        Ok(Self { values, dim, of, without_vector: stream.without_vector, seed })
    }
}
