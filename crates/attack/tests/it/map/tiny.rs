//! Two networks made for tests: one hidden layer, whose maps and their slopes are written out in
//! plain arithmetic, and a small CNN trained here to tell stripes apart.

use models::{
    Activation, Classifier, Model, Ops, Precision, Training, noise,
    zoo::{self, Normalisation, Shape},
};
use tch::{Device, Kind, Tensor};

const PIXELS: usize = 12; // 1×3×4
const UNITS: usize = 9;

/// Logits `u·act(Wx)` and 0: class 0 is explained.
pub(crate) struct Tiny {
    w: Vec<f64>, // [UNITS, PIXELS]
    u: Vec<f64>, // [UNITS]
    image: Vec<f64>,
}

fn draw(seed: u64, n: usize) -> Vec<f64> {
    let t = noise::uniform(&[seed], &[n as i64], Device::Cpu).to_kind(Kind::Double);
    Vec::try_from(t.view(-1)).unwrap()
}

impl Tiny {
    pub(crate) fn new(seed: u64) -> Self {
        let w = draw(seed, UNITS * PIXELS).iter().map(|v| 2. * v - 1.).collect();
        let u = draw(seed + 1, UNITS).iter().map(|v| v + 0.5).collect();
        Tiny { w, u, image: draw(seed + 2, PIXELS) }
    }

    pub(crate) fn image(&self) -> Vec<f64> {
        self.image.clone()
    }

    pub(crate) fn tensor(&self, x: &[f64]) -> Tensor {
        Tensor::from_slice(x).view([1, 1, 3, 4])
    }

    fn inputs(&self, x: &[f64]) -> Vec<f64> {
        let row = |j: usize| &self.w[j * PIXELS..(j + 1) * PIXELS];
        (0..UNITS).map(|j| row(j).iter().zip(x).map(|(w, x)| w * x).sum()).collect()
    }

    /// ∂f/∂xᵢ = Σⱼ uⱼ s(zⱼ) Wⱼᵢ, s the step or, with β, the logistic function.
    fn gradient(&self, x: &[f64], beta: Option<f64>) -> Vec<f64> {
        let z = self.inputs(x);
        let slope = |z: f64| beta.map_or(f64::from(z > 0.), |b| logistic(b * z));
        (0..PIXELS)
            .map(|i| (0..UNITS).map(|j| self.u[j] * slope(z[j]) * self.w[j * PIXELS + i]).sum())
            .collect()
    }

    /// |xᵢ ∂f/∂xᵢ| / Σ.
    pub(crate) fn heat(&self, x: &[f64], beta: Option<f64>) -> Vec<f64> {
        let g = self.gradient(x, beta);
        let mass: Vec<f64> = x.iter().zip(&g).map(|(x, g)| (x * g).abs()).collect();
        let total: f64 = mass.iter().sum();
        mass.iter().map(|m| m / total).collect()
    }

    /// The slope at x of the surrogate's heat on the k largest pixels of `clean`. With mᵢ = xᵢgᵢ,
    /// M = Σ|mᵢ| and L = Σ_top |mᵢ| / M: ∂L/∂mᵢ = sign(mᵢ)([i on top] − L) / M and
    /// ∂mᵢ/∂xₗ = [i = l] gᵢ + xᵢ Hᵢₗ, Hᵢₗ = Σⱼ uⱼ β s(1 − s) Wⱼᵢ Wⱼₗ.
    pub(crate) fn slope_of_mass(&self, x: &[f64], clean: &[f64], k: usize, beta: f64) -> Vec<f64> {
        let mut order: Vec<usize> = (0..PIXELS).collect();
        order.sort_by(|&a, &b| clean[b].total_cmp(&clean[a]));
        let top = &order[..k];
        let (z, g, heat) = (self.inputs(x), self.gradient(x, Some(beta)), self.heat(x, Some(beta)));
        let total: f64 = x.iter().zip(&g).map(|(x, g)| (x * g).abs()).sum();
        let on_top: f64 = top.iter().map(|&i| heat[i]).sum();
        let by_map =
            |i: usize| (x[i] * g[i]).signum() * (f64::from(top.contains(&i)) - on_top) / total;
        let bend = |i: usize, l: usize| -> f64 {
            let unit = |j: usize| {
                let s = logistic(beta * z[j]);
                self.u[j] * beta * s * (1. - s) * self.w[j * PIXELS + i] * self.w[j * PIXELS + l]
            };
            (0..UNITS).map(unit).sum()
        };
        let into = |l: usize| -> f64 {
            let through = |i: usize| by_map(i) * (f64::from(i == l) * g[i] + x[i] * bend(i, l));
            (0..PIXELS).map(through).sum()
        };
        (0..PIXELS).map(into).collect()
    }
}

fn logistic(z: f64) -> f64 {
    1. / (1. + (-z).exp())
}

impl Model for Tiny {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let w = Tensor::from_slice(&self.w).view([UNITS as i64, -1]);
        let hidden = ops.act(&Activation::Relu, &x.flatten(1, -1).matmul(&w.transpose(0, 1)));
        let score = hidden.matmul(&Tensor::from_slice(&self.u));
        Tensor::stack(&[&score, &score.zeros_like()], 1)
    }

    fn activation(&self) -> Option<Activation> {
        Some(Activation::Relu)
    }
}

const SIDE: i64 = 12;

/// Stripes in three directions, of random place and contrast, in noise: images and labels.
fn stripes(seed: u64, n: i64) -> (Tensor, Tensor) {
    let draw = |sample: u64| {
        noise::uniform(&[noise::key(seed, 0, sample)], &[n, 1, 1, 1], Device::Cpu).squeeze_dim(0)
    };
    let class = (draw(0) * 3.).floor();
    let at = Tensor::arange(SIDE, (Kind::Float, Device::Cpu));
    let (row, column) = (at.view([1, 1, -1, 1]), at.view([1, 1, 1, -1]));
    let picked = |i: i64| class.eq(i).to_kind(Kind::Float);
    let along = picked(0) * &row + picked(1) * &column + picked(2) * (&row + &column) * 0.7;
    let wave = (along * 1.5 + draw(1) * 6.3).sin() * (draw(2) * 0.15 + 0.15);
    let size = [n, 1, SIDE, SIDE];
    let grain = noise::normal(&[noise::key(seed, 0, 3)], &size, Device::Cpu).squeeze_dim(0);
    ((wave + grain * 0.08 + 0.5).clamp(0., 1.), class.flatten(0, -1).to_kind(Kind::Int64))
}

/// A small CNN, its accuracy on new stripes, and 16 of those.
pub(crate) fn trained() -> (Classifier, f64, Tensor) {
    let shape = Shape { image: [1, SIDE, SIDE], classes: 3 };
    let none = Normalisation::parse("0.5/0.25", 1).unwrap();
    let model = Classifier::new(zoo::arch("cnn").unwrap(), shape, none, 0, Device::Cpu);
    let ops = Training { precision: Precision::F32 };
    for step in 0..40 {
        let (x, y) = stripes(step, 32);
        model.forward(&x, &ops).cross_entropy_for_logits(&y).backward();
        tch::no_grad(|| {
            for (_, mut w) in model.params().weights() {
                let _ = w.g_sub_(&(w.grad() * 0.05));
                w.zero_grad();
            }
        });
    }
    let (x, y) = stripes(1_000_000, 200);
    let right = tch::no_grad(|| model.logits(&x)).argmax(1, false).eq_tensor(&y);
    let accuracy = right.to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
    (model.frozen(), accuracy, x.narrow(0, 0, 16))
}
