//! RelEx (Lim et al. 2021, Eq. 11): the mask m ∈ [0, 1]ᵈ that keeps the class on noisy copies of
//! the image, while what it leaves out does not. By default with the settings of the authors' code
//! (momentum 0.99, learning rate 0.1, 50 copies): with the paper's 0.001 a mask hardly moves. It is
//! differentiated through every step, which their code is not, in memory for one.

use crate::{
    Attribution, Batch, Cotangent, Differentiable,
    engine::chunks::{self, Pass},
    sampling::{neighbours::Noise, smoothing_kernel::Kernel},
};
use anyhow::{Result, ensure};
use models::{
    Model,
    grad::{Graph, pull},
    noise,
};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use toml::Table;

/// In the list of methods.
pub(crate) const ENTRY: Entry<dyn Attribution> = Entry {
    name: "relex",
    about: "RelEx (Lim et al. 2021): the mask that keeps the class on noisy copies and whose rest \
            does not",
    options: described::<RelEx>(&[
        ("steps", "steps of gradient descent"),
        ("samples", "noisy copies a step (100 in the paper)"),
        ("learning_rate", "length of a step, 0 or more (0.001 in the paper)"),
        ("momentum", "of the descent, in [0, 1)"),
        ("lambda1", "weight of the mask's size, 0 or more"),
        ("lambda2", "weight of the class's absence from what is masked, 0 or more"),
        ("sigma", "σ of the noise, in units of each image's max − min"),
        ("baseline", "value of masked pixels, in [0, 1]"),
        ("shared", "true: one mask for all channels"),
        (
            "normalised",
            "true: a step is along the gradient's direction; false: the gradient itself",
        ),
    ])
    .option_aliases(&[("lr", "learning_rate")]),
    build,
};

/// Guards log(1 − p).
const TINY: f64 = 1e-7;

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct RelEx {
    steps: u64,
    samples: u64,
    learning_rate: f64,
    momentum: f64,
    lambda1: f64,
    lambda2: f64,
    #[serde(deserialize_with = "registry::fraction")]
    sigma: f64,
    #[serde(deserialize_with = "registry::fraction")]
    baseline: f64,
    shared: bool,
    normalised: bool,
}

impl Default for RelEx {
    fn default() -> Self {
        RelEx {
            steps: 50,
            samples: 50,
            learning_rate: 0.1,
            momentum: 0.99,
            lambda1: 1e-4,
            lambda2: 1.,
            sigma: 0.1,
            baseline: 0.,
            shared: false,
            normalised: true,
        }
    }
}

fn build(table: Table) -> Result<Box<dyn Attribution>> {
    let relex: RelEx = registry::options(table)?;
    for (name, value) in [("steps", relex.steps), ("samples", relex.samples)] {
        ensure!(value > 0, "`{name}` is 0; it must be positive");
    }
    for (name, value) in [
        ("learning_rate", relex.learning_rate),
        ("lambda1", relex.lambda1),
        ("lambda2", relex.lambda2),
        ("sigma", relex.sigma),
    ] {
        registry::not_negative(name, value)?;
    }
    let (momentum, baseline) = (relex.momentum, relex.baseline);
    ensure!((0. ..1.).contains(&momentum), "`momentum` is {momentum}, not in [0, 1)");
    ensure!((0. ..=1.).contains(&baseline), "`baseline` is {baseline}; pixels are in [0, 1]");
    Ok(Box::new(relex))
}

/// A mask and its velocity, `[N, C or 1, H, W]`.
struct State {
    mask: Tensor,
    velocity: Tensor,
}

/// The way to the masks of a block of images.
struct Trajectory {
    block: Batch,
    /// Number of the first in the whole batch.
    first: i64,
    /// Where each step began, and the gradient there.
    steps: Vec<(State, Tensor)>,
    /// The masks it came to.
    last: Tensor,
}

impl RelEx {
    /// U[0, 0.01] in every number.
    fn start(&self, block: &Batch) -> State {
        let mut shape = block.x.size()[1..].to_vec();
        if self.shared {
            shape[0] = 1;
        }
        let keys = block.keys_of(noise::name_id("mask"));
        let mask = noise::uniform(&keys, &shape, block.x.device()) * 0.01;
        let mask = mask.to_kind(block.x.kind());
        State { velocity: mask.zeros_like(), mask }
    }

    /// The part of the loss that the samples of one pass bring in, summed over images `[]`; a graph
    /// reaches `mask` and `x` where they want one.
    fn loss(
        &self,
        model: &dyn Model,
        (pass, step): (&Pass, u64),
        x: &Tensor,
        mask: &Tensor,
    ) -> Tensor {
        let copies = pass.repeated(x);
        let size = self.sigma;
        let noise = Noise {
            kernel: Kernel::Gaussian,
            size,
            relative: true,
            samples: self.samples,
            pairs: false,
        };
        let samples: Vec<u64> =
            pass.samples().iter().map(|sample| step * self.samples + sample).collect();
        let noisy = noise.around(&copies, &samples) - self.baseline;
        let mask = mask.repeat([pass.taken.len() as i64, 1, 1, 1]);
        let log_odds =
            |kept: &Tensor| copies.target.log_odds(&model.logits(&(&noisy * kept + self.baseline)));
        // log p inside, log(1 - p) outside.
        let inside = log_odds(&mask).log_sigmoid();
        let misses = ((-log_odds(&(1. - &mask))).sigmoid() + TINY).log() * self.lambda2;
        let size = mask.abs().sum_dim_intlist([1i64, 2, 3].as_slice(), false, mask.kind());
        (size * self.lambda1 - inside - misses).sum(None::<Kind>) / self.samples as f64
    }

    /// The gradient of a block's loss in the mask.
    fn gradient(&self, model: &dyn Model, block: &Batch, step: u64, mask: &Tensor) -> Tensor {
        let [sum] = chunks::sums(block, self.samples, [mask.zeros_like()], |pass| {
            let mask = pass.part(mask).detach().set_requires_grad(true);
            let x = pass.block.x.detach();
            let loss = tch::with_grad(|| self.loss(model, (pass, step), &x, &mask));
            [pull(&loss, &mask, Graph::Free)]
        });
        sum
    }

    /// One step down a gradient, by default of length one.
    fn stepped(&self, at: &State, g: &Tensor) -> State {
        let length = g.square().sum_dim_intlist([1i64, 2, 3].as_slice(), true, g.kind());
        let unit = match self.normalised {
            true => g / (length + f64::from(f32::MIN_POSITIVE)).sqrt(),
            false => g.shallow_clone(),
        };
        let velocity = &at.velocity * self.momentum + unit;
        State { mask: (&at.mask - &velocity * self.learning_rate).clamp(0., 1.), velocity }
    }

    /// The walks of all images, a block of them at a time; with their steps to go `back`.
    fn walks(&self, model: &dyn Model, batch: &Batch, back: bool) -> Vec<Trajectory> {
        chunks::blocks(batch, |chunk| chunk, |pass| self.walk(model, pass, back))
    }

    fn walk(&self, model: &dyn Model, pass: &Pass, back: bool) -> Trajectory {
        let block = pass.block.at(&pass.block.x);
        let mut at = self.start(&block);
        let mut steps = vec![];
        for step in 0..self.steps {
            let g = self.gradient(model, &block, step, &at.mask);
            let next = self.stepped(&at, &g);
            if back {
                steps.push((at, g));
            }
            at = next;
        }
        let last = at.mask.expand_as(&block.x);
        Trajectory { block, first: pass.first, steps, last }
    }

    /// What flows from the last masks of a walk back to its images.
    fn back(&self, model: &dyn Model, walk: &Trajectory, v: &Tensor) -> Tensor {
        let leaf = |t: &Tensor| t.detach().set_requires_grad(true);
        let mut flow = walk.block.x.detach().zeros_like();
        let v = match self.shared {
            true => v.sum_dim_intlist([1i64].as_slice(), true, v.kind()),
            false => v.shallow_clone(),
        };
        let (mut to_velocity, mut to_mask) = (v.zeros_like(), v);
        for (step, (at, g)) in walk.steps.iter().enumerate().rev() {
            let before = State { mask: leaf(&at.mask), velocity: leaf(&at.velocity) };
            let g = leaf(g);
            let out = tch::with_grad(|| {
                let after = self.stepped(&before, &g);
                (after.mask * &to_mask + after.velocity * &to_velocity).sum(None::<Kind>)
            });
            let [mask, velocity, to_g] =
                [&before.mask, &before.velocity, &g].map(|t| pull(&out, t, Graph::Keep).detach());
            to_velocity = velocity;
            [flow, to_mask] = chunks::sums(&walk.block, self.samples, [flow, mask], |pass| {
                let (x, mask) = (leaf(&pass.block.x), leaf(&pass.part(&at.mask)));
                let out = tch::with_grad(|| {
                    let loss = self.loss(model, (pass, step as u64), &x, &mask);
                    (pull(&loss, &mask, Graph::Keep) * pass.part(&to_g)).sum(None::<Kind>)
                });
                [pull(&out, &x, Graph::Keep), pull(&out, &mask, Graph::Free)]
            });
        }
        flow
    }
}

/// What is found for each walk, one after the other.
fn joined(walks: &[Trajectory], of: impl Fn(&Trajectory) -> Tensor) -> Tensor {
    Tensor::cat(&walks.iter().map(of).collect::<Vec<_>>(), 0)
}

impl Attribution for RelEx {
    fn attribute(&self, model: &dyn Model, batch: &Batch) -> Tensor {
        joined(&self.walks(model, batch, false), |walk| walk.last.shallow_clone())
    }

    fn differentiable(&self) -> Option<&dyn Differentiable> {
        Some(self)
    }
}

impl Differentiable for RelEx {
    fn pullback(
        &self,
        model: &dyn Model,
        batch: &Batch,
        cotangent: &Cotangent,
    ) -> (Tensor, Tensor) {
        let walks = self.walks(model, batch, true);
        let map = joined(&walks, |walk| walk.last.shallow_clone());
        let v = cotangent(&map);
        let flow = joined(&walks, |walk| {
            let part = v.narrow(0, walk.first, walk.block.keys.len() as i64);
            self.back(model, walk, &part)
        });
        (map, flow)
    }
}
