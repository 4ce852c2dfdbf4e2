//! The surrogate of an attack: the same weights with a softplus in place of every max(·, 0).

use super::{Ops, Pool};
use crate::{Activation, Affine, Model};
use std::cell::{Cell, RefCell};
use tch::{Device, Kind, Tensor, no_grad};

/// Sharpness in units of one over spreads, from the first step down a surrogate to the last: from soft,
/// where a slope leads far, to nearly the network itself.
pub const SHARPNESS: [f64; 2] = [10., 300.];

/// From `start` at share 0 to `end` at share 1, by equal factors.
pub fn grown([start, end]: [f64; 2], share: f64) -> f64 {
    start * (end / start).powf(share)
}

/// The same weights with every max(·, 0) replaced by β-softplus ([`Activation::softened`]); smooth
/// activations stay.
pub fn softened(model: &dyn Model, beta: f64) -> impl Model + '_ {
    softened_by(model, beta, &[])
}

/// The same with a sharpness of `beta` / `spreads[i]` in nonlinearity i of a pass, which bends each
/// alike, whatever the scale of its inputs ([`spreads`]); β itself everywhere where there are none.
pub fn softened_by<'a>(model: &'a dyn Model, beta: f64, spreads: &'a [f64]) -> impl Model + 'a {
    Softened { model, beta, spreads, rough: false }
}

/// The same for those who follow the directions of its derivatives ([`Model::is_rough`]).
pub fn softened_roughly<'a>(
    model: &'a dyn Model,
    beta: f64,
    spreads: &'a [f64],
) -> impl Model + 'a {
    Softened { model, beta, spreads, rough: true }
}

/// Standard deviation of what goes into each nonlinearity of `model`, in the order of a pass, over
/// all numbers at all the images of `batches`, each `[N, C, H, W]`; 1 where nothing varies.
pub fn spreads(model: &dyn Model, batches: impl IntoIterator<Item = Tensor>) -> Vec<f64> {
    let spreading = Spreading::default();
    for x in batches {
        spreading.1.set(0);
        let _ = no_grad(|| model.forward(&x, &spreading));
    }
    spreading.0.into_inner().iter().map(Moments::spread).collect()
}

struct Softened<'a> {
    model: &'a dyn Model,
    beta: f64,
    spreads: &'a [f64],
    rough: bool,
}

impl Model for Softened<'_> {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let Softened { model, beta, spreads, .. } = *self;
        model.forward(x, &Softening { ops, beta, spreads, next: Cell::new(0) })
    }

    fn activation(&self) -> Option<Activation> {
        let same = if self.spreads.is_empty() { self.model.activation() } else { None };
        Some(same?.softened(self.beta))
    }

    fn taps(&self) -> Vec<&str> {
        self.model.taps()
    }

    fn nonlinear_only_in_ops(&self) -> bool {
        self.model.nonlinear_only_in_ops()
    }

    fn fixed_batch(&self) -> Option<i64> {
        self.model.fixed_batch()
    }

    fn place(&self) -> (Kind, Device) {
        self.model.place()
    }

    fn is_rough(&self) -> bool {
        self.rough
    }
}

/// `ops` with β-softplus in place of every max(·, 0).
pub(crate) fn softening(ops: &dyn Ops, beta: f64) -> impl Ops + '_ {
    Softening { ops, beta, spreads: &[], next: Cell::new(0) }
}

/// A pass in which a softplus replaces whatever bends at a point; all else as `ops` has it.
struct Softening<'a> {
    ops: &'a dyn Ops,
    beta: f64,
    spreads: &'a [f64],
    next: Cell<usize>,
}

impl Ops for Softening<'_> {
    fn normalise(&self, x: &Tensor, mean: &Tensor, std: &Tensor) -> Tensor {
        self.ops.normalise(x, mean, std)
    }

    fn act(&self, activation: &Activation, x: &Tensor) -> Tensor {
        let spread = match self.spreads {
            [] => 1.,
            all => all[self.next.replace(self.next.get() + 1)],
        };
        self.ops.act(&activation.softened(self.beta / spread), x)
    }

    fn affine(&self, layer: &Affine, x: &Tensor) -> Tensor {
        self.ops.affine(layer, x)
    }

    fn max_pool(&self, pool: Pool, x: &Tensor) -> Tensor {
        self.ops.max_pool(pool, x)
    }

    fn other(&self, y: Tensor) -> Tensor {
        self.ops.other(y)
    }

    fn tap(&self, name: &str, x: Tensor) -> Tensor {
        self.ops.tap(name, x)
    }
}

/// A spread below this is that of numbers which do not vary.
const LEAST: f64 = 1e-12;

/// Sums over rows of equally many numbers.
#[derive(Default)]
struct Moments {
    rows: f64,
    variances: f64,
    means: f64,
    squares: f64,
}

impl Moments {
    /// The mean variance within rows and the variance of their means make the whole.
    fn spread(&self) -> f64 {
        let of = |sum: f64| sum / self.rows;
        let between = of(self.squares) - of(self.means).powi(2);
        let spread = (of(self.variances) + between.max(0.)).sqrt();
        if spread > LEAST && spread.is_finite() { spread } else { 1. }
    }

    fn add(&mut self, x: &Tensor) {
        let rows = x.reshape([x.size()[0], -1]).to_kind(Kind::Double);
        let (variance, mean) = rows.var_mean_dim([1i64].as_slice(), false, false);
        let sum = |t: Tensor| t.sum(Kind::Double).double_value(&[]);
        self.rows += rows.size()[0] as f64;
        self.variances += sum(variance);
        self.squares += sum(mean.square());
        self.means += sum(mean);
    }
}

/// The ordinary pass; notes how far the inputs of nonlinearities spread.
#[derive(Default)]
struct Spreading(RefCell<Vec<Moments>>, Cell<usize>);

impl Ops for Spreading {
    fn act(&self, activation: &Activation, x: &Tensor) -> Tensor {
        let (mut all, place) = (self.0.borrow_mut(), self.1.replace(self.1.get() + 1));
        if place == all.len() {
            all.push(Moments::default());
        }
        all[place].add(x);
        activation.apply(x)
    }
}
