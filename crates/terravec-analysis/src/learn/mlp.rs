//! A small neural network: rectified hidden layers, Adam (Kingma & Ba 2015), batches of 200, L2 penalty 1e-4; the settings of
//! scikit-learn's `MLPClassifier`.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use serde::{Deserialize, Serialize};
use terravec::Result;
use terravec::interrupt::Watch;

use super::Target;
use super::array::Array;
use super::linear::Link;
use crate::Matrix;

const BATCH: usize = 200;
const RATE: f32 = 1e-3;
const PENALTY: f32 = 1e-4;
const BETA: (f32, f32) = (0.9, 0.999);
/// Training ends when the loss has not fallen by this for so many epochs.
const PATIENCE: (f64, usize) = (1e-4, 10);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Layer {
    /// (inputs, outputs), row-major.
    weights: Array<f32>,
    bias: Array<f32>,
}

/// The network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mlp {
    layers: Vec<Layer>,
    link: Link,
    /// What values were brought to mean 0 and deviation 1 with.
    shift: f64,
    scale: f64,
}

fn product(out: &mut [f32], rows: usize, a: MatRef<'_, f32>, b: MatRef<'_, f32>, accumulate: Accum) {
    let cols = out.len() / rows;
    matmul(MatMut::from_row_major_slice_mut(out, rows, cols), accumulate, a, b, 1.0, Par::Seq);
}

impl Layer {
    fn inputs(&self) -> usize {
        self.weights.len() / self.bias.len().max(1)
    }

    fn matrix(&self) -> MatRef<'_, f32> {
        MatRef::from_row_major_slice(&self.weights, self.inputs(), self.bias.len())
    }

    fn forward(&self, x: &[f32], rows: usize) -> Vec<f32> {
        let mut out = self.bias.repeat(rows);
        product(
            &mut out,
            rows,
            MatRef::from_row_major_slice(x, rows, self.inputs()),
            self.matrix(),
            Accum::Add,
        );
        out
    }
}

impl Mlp {
    pub(super) fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |l| l.bias.len())
    }

    pub(super) fn check(&self, cols: usize, outputs: usize) -> Result<(), &'static str> {
        let mut width = cols;
        for layer in &self.layers {
            let fits =
                !layer.bias.is_empty() && layer.weights.len() == width.saturating_mul(layer.bias.len());
            if !fits || layer.weights.iter().chain(layer.bias.iter()).any(|v| !v.is_finite()) {
                return Err("the layers do not fit one another");
            }
            width = layer.bias.len();
        }
        if width == outputs && !self.layers.is_empty() {
            Ok(())
        } else {
            Err("the network does not fit the classes")
        }
    }

    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn scores(&self, x: &[f32], rows: usize, out: &mut [f32]) {
        let last = self.activations(x, rows).pop().unwrap_or_default();
        out.copy_from_slice(&last);
        for row in out.chunks_exact_mut(self.outputs()) {
            self.link.finish(row);
        }
        if self.link == Link::Identity {
            out.iter_mut().for_each(|v| *v = (f64::from(*v) * self.scale + self.shift) as f32);
        }
    }

    /// What leaves each layer.
    fn activations(&self, x: &[f32], rows: usize) -> Vec<Vec<f32>> {
        let mut all: Vec<Vec<f32>> = Vec::with_capacity(self.layers.len());
        for (i, layer) in self.layers.iter().enumerate() {
            let mut out = layer.forward(all.last().map_or(x, Vec::as_slice), rows);
            if i + 1 < self.layers.len() {
                out.iter_mut().for_each(|v| *v = v.max(0.0));
            }
            all.push(out);
        }
        all
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    pub(super) fn fit(
        x: &Matrix,
        target: Target<'_>,
        weights: &[f64],
        (hidden, epochs): (&[usize], usize),
        seed: u64,
    ) -> Result<Self> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (rows, outputs) = (x.rows(), target.outputs());
        let (mut shift, mut scale) = (0.0, 1.0);
        if let Target::Values(v) = target {
            shift = v.iter().sum::<f64>() / rows as f64;
            let variance = v.iter().map(|v| (v - shift).powi(2)).sum::<f64>() / rows as f64;
            scale = if variance > 0.0 { variance.sqrt() } else { 1.0 };
        }
        let widths: Vec<usize> =
            [x.cols()].into_iter().chain(hidden.iter().copied()).chain([outputs]).collect();
        let layers = widths.windows(2).map(|w| {
            // Glorot & Bengio 2010.
            let bound = (6.0 / (w[0] + w[1]) as f32).sqrt();
            let mut draw = |n: usize| Array((0..n).map(|_| (rng.f32() * 2.0 - 1.0) * bound).collect());
            Layer { weights: draw(w[0] * w[1]), bias: draw(w[1]) }
        });
        let layers = layers.collect();
        let link = if matches!(target, Target::Values(_)) { Link::Identity } else { Link::Softmax };
        let mut net = Self { layers, link, shift, scale };
        let mut adam = Adam::new(&net);
        let mut order: Vec<usize> = (0..rows).collect();
        let watch = Watch::current();
        let (mut least, mut stale) = (f64::INFINITY, 0);
        for _ in 0..epochs {
            watch.check()?;
            rng.shuffle(&mut order);
            let mut loss = 0.0;
            for batch in order.chunks(BATCH) {
                let inputs: Vec<f32> = batch.iter().flat_map(|i| x.row(*i)).copied().collect();
                let acts = net.activations(&inputs, batch.len());
                let mut delta = acts.last().cloned().unwrap_or_default();
                for (row, &i) in delta.chunks_exact_mut(outputs).zip(batch) {
                    net.link.finish(row);
                    let weight = (weights[i] / batch.len() as f64) as f32;
                    match target {
                        Target::Classes { of, .. } => {
                            let own = &mut row[of[i] as usize];
                            loss -= weights[i] * f64::from(own.max(1e-30)).ln();
                            *own -= 1.0;
                        }
                        Target::Values(v) => {
                            row[0] -= ((v[i] - shift) / scale) as f32;
                            loss += weights[i] * f64::from(row[0]).powi(2) / 2.0;
                        }
                    }
                    row.iter_mut().for_each(|d| *d *= weight);
                }
                let gradients = net.backward(&inputs, &acts, delta, batch.len());
                adam.step(&mut net, &gradients);
            }
            loss /= rows as f64;
            stale = if loss > least - PATIENCE.0 { stale + 1 } else { 0 };
            least = least.min(loss);
            if stale >= PATIENCE.1 {
                break;
            }
        }
        Ok(net)
    }

    /// Gradients of weights and biases, layer by layer.
    #[allow(clippy::cast_precision_loss)]
    fn backward(&self, x: &[f32], acts: &[Vec<f32>], mut delta: Vec<f32>, rows: usize) -> Vec<[Vec<f32>; 2]> {
        let mut out = Vec::with_capacity(self.layers.len());
        for (i, layer) in self.layers.iter().enumerate().rev() {
            let input = if i == 0 { x } else { &acts[i - 1] };
            let (inputs, outputs) = (layer.inputs(), layer.bias.len());
            let penalty = PENALTY / rows as f32;
            let mut gw: Vec<f32> = layer.weights.iter().map(|w| w * penalty).collect();
            let d = MatRef::from_row_major_slice(&delta, rows, outputs);
            let a = MatRef::from_row_major_slice(input, rows, inputs);
            product(&mut gw, inputs, a.transpose(), d, Accum::Add);
            let mut gb = vec![0.0; outputs];
            for row in delta.chunks_exact(outputs) {
                gb.iter_mut().zip(row).for_each(|(g, d)| *g += d);
            }
            if i > 0 {
                let mut back = vec![0.0; rows * inputs];
                product(&mut back, rows, d, layer.matrix().transpose(), Accum::Replace);
                back.iter_mut().zip(input).for_each(|(b, a)| *b = if *a > 0.0 { *b } else { 0.0 });
                delta = back;
            }
            out.push([gw, gb]);
        }
        out.reverse();
        out
    }
}

/// Running means of gradients and their squares.
struct Adam {
    moments: Vec<[Vec<(f32, f32)>; 2]>,
    steps: i32,
}

impl Adam {
    fn new(net: &Mlp) -> Self {
        let zeros = |n: usize| vec![(0.0, 0.0); n];
        Self {
            moments: net.layers.iter().map(|l| [zeros(l.weights.len()), zeros(l.bias.len())]).collect(),
            steps: 0,
        }
    }

    fn step(&mut self, net: &mut Mlp, gradients: &[[Vec<f32>; 2]]) {
        self.steps += 1;
        let rate = RATE * (1.0 - BETA.1.powi(self.steps)).sqrt() / (1.0 - BETA.0.powi(self.steps));
        for ((layer, gradients), moments) in net.layers.iter_mut().zip(gradients).zip(&mut self.moments) {
            for ((w, g), m) in
                [&mut layer.weights.0, &mut layer.bias.0].into_iter().zip(gradients).zip(moments)
            {
                for ((w, g), (first, second)) in w.iter_mut().zip(g).zip(m.iter_mut()) {
                    *first = BETA.0 * *first + (1.0 - BETA.0) * g;
                    *second = BETA.1 * *second + (1.0 - BETA.1) * g * g;
                    *w -= rate * *first / (second.sqrt() + 1e-8);
                }
            }
        }
    }
}
