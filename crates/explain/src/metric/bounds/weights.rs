//! How steep the gradient of a network can be by the norms of its layers: a bound that looks at no
//! image, for networks that are a chain of affine layers with a smooth nonlinearity between two of them.

use models::{Activation, Affine, Model, Ops, Pool};
use std::cell::RefCell;
use tch::{Kind, Tensor, no_grad};

/// Products with a layer and its transpose, for its norm.
const ITERATIONS: u32 = 100;

/// A chain of layers: f = w · σ(W σ(… σ(W x))), w the last layer's row of a class.
pub(super) struct Chain {
    /// ‖W‖ of each layer but the last, by power iteration; that of the first takes in what normalises
    /// pixels.
    norms: Vec<f64>,
    /// The largest |σ′| and |σ″| behind each.
    slopes: Vec<[f64; 2]>,
    /// |w| of each class.
    rows: Vec<f64>,
}

impl Chain {
    /// None for any other network.
    pub fn of(model: &dyn Model, x: &Tensor) -> Option<Self> {
        let seen = Seen::default();
        let logits = no_grad(|| model.forward(&x.narrow(0, 0, 1), &seen));
        let Notes { mut norms, slopes, last, scale, rows, broken, .. } = seen.0.into_inner();
        let whole = last.is_some_and(|last| last.data_ptr() == logits.data_ptr());
        if broken || !whole || norms.len() != slopes.len() + 1 {
            return None;
        }
        norms.pop();
        if let Some(first) = norms.first_mut() {
            *first *= scale;
        }
        Some(Chain { norms, slopes, rows })
    }

    /// Yeh et al. 2019, Proposition A.1, as printed: the product of ‖W‖² of all layers times the largest
    /// |σ″|, ¼ of a softplus.
    pub fn printed(&self, class: usize) -> f64 {
        let bend = self.slopes.iter().fold(0f64, |most, slope| most.max(slope[1]));
        self.norms.iter().map(|norm| norm * norm).product::<f64>() * self.rows[class].powi(2) * bend
    }

    /// The same by the chain rule: Σₖ max |σₖ″| · ‖∂zₖ/∂x‖² · |∂f/∂hₖ|, which holds.
    pub fn summed(&self, class: usize) -> f64 {
        let steps: Vec<f64> = self.norms.iter().zip(&self.slopes).map(|(n, s)| n * s[0]).collect();
        let of = |k: usize| {
            let into = self.norms[k] * steps[..k].iter().product::<f64>();
            let out = self.rows[class] * steps[k + 1..].iter().product::<f64>();
            self.slopes[k][1] * into * into * out
        };
        (0..self.norms.len()).map(of).sum()
    }
}

/// The largest |σ′| and |σ″|, where both are known.
fn slopes(activation: &Activation) -> Option<[f64; 2]> {
    match activation {
        Activation::Softplus { beta } => Some([1., beta / 4.]),
        Activation::Elu { alpha: 1. } => Some([1., 1.]),
        Activation::Sigmoid => Some([0.25, 1. / (6. * 3f64.sqrt())]),
        Activation::Tanh => Some([1., 4. / (3. * 3f64.sqrt())]),
        _ => None,
    }
}

/// What a pass met.
struct Notes {
    norms: Vec<f64>,
    slopes: Vec<[f64; 2]>,
    rows: Vec<f64>,
    /// The largest factor of a pixel.
    scale: f64,
    /// What the last layer or nonlinearity gave, and whether it was a layer.
    last: Option<Tensor>,
    layer: bool,
    broken: bool,
}

impl Default for Notes {
    fn default() -> Self {
        let (norms, slopes, rows) = (vec![], vec![], vec![]);
        Notes { norms, slopes, rows, scale: 1., last: None, layer: false, broken: false }
    }
}

impl Notes {
    /// Whether `x` is what came last: nothing has touched it between.
    fn follows(&self, x: &Tensor) -> bool {
        self.last.as_ref().is_some_and(|last| last.data_ptr() == x.data_ptr())
    }
}

#[derive(Default)]
struct Seen(RefCell<Notes>);

impl Ops for Seen {
    fn normalise(&self, x: &Tensor, mean: &Tensor, std: &Tensor) -> Tensor {
        self.0.borrow_mut().scale = std.reciprocal().abs().max().double_value(&[]);
        (x - mean) / std
    }

    fn act(&self, activation: &Activation, x: &Tensor) -> Tensor {
        let y = activation.apply(x);
        let mut notes = self.0.borrow_mut();
        match slopes(activation) {
            Some(slopes) if notes.layer && notes.follows(x) => notes.slopes.push(slopes),
            _ => notes.broken = true,
        }
        (notes.last, notes.layer) = (Some(y.shallow_clone()), false);
        y
    }

    fn affine(&self, layer: &Affine, x: &Tensor) -> Tensor {
        let y = layer.eval(x);
        let mut notes = self.0.borrow_mut();
        let first = notes.last.is_none();
        notes.broken |= notes.layer || !(first || notes.follows(x));
        notes.norms.push(norm(layer, x));
        let (weight, _) = layer.weights();
        let each = weight.to_kind(Kind::Double).flatten(1, -1);
        let each = each.norm_scalaropt_dim(2., [1i64].as_slice(), false);
        notes.rows = Vec::try_from(&each).unwrap_or_default();
        (notes.last, notes.layer) = (Some(y.shallow_clone()), true);
        y
    }

    fn max_pool(&self, pool: Pool, x: &Tensor) -> Tensor {
        self.0.borrow_mut().broken = true;
        pool.apply(x)
    }

    fn other(&self, y: Tensor) -> Tensor {
        self.0.borrow_mut().broken = true;
        y
    }
}

/// ‖W‖ of a layer for inputs like `x`.
fn norm(layer: &Affine, x: &Tensor) -> f64 {
    let size = |t: &Tensor| t.to_kind(Kind::Double).norm().double_value(&[]);
    let mut v = Tensor::ones_like(x).detach();
    let ramp = Tensor::arange(v.numel() as i64, (Kind::Double, x.device())).sin() * 0.3;
    v += ramp.view_as(&v).to_kind(v.kind());
    let mut found = 0.;
    for _ in 0..ITERATIONS {
        let unit = (&v / size(&v).max(f64::MIN_POSITIVE)).set_requires_grad(true);
        let turned = tch::with_grad(|| {
            let out = layer.scaled(&unit, 0.);
            found = size(&out.detach());
            models::grad::pull(
                &(out.square().sum(None::<Kind>) / 2.),
                &unit,
                models::grad::Graph::Free,
            )
        });
        v = turned.detach();
    }
    found
}
