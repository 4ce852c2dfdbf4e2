//! Robust attribution regularisation (Chen et al. 2019; Wang20 C1): IG-NORM and IG-SUM-NORM.
//! IG(x, x') = (x' − x) / m Σₖ ∇L(x + k/m (x' − x)) attributes the change of each image's *loss*.
//! The attack and the penalty walk the path twice, a few points a pass, so that memory does not
//! grow with m. The convolutions of a ReLU network add no curvature: only its softmax bends.

use super::{Loss, Objective, Statistics, Step, ValueAndGrad, cross_entropy, trades::check_start};
use anyhow::{Result, ensure};
use models::{
    Precision,
    grad::{self, Graph},
};
use registry::{Described, Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use toml::{Table, Value};

/// The options of both objectives.
const OPTIONS: Described = described::<Options>(&[
    ("attack", "the adversary, a table: eps, steps, step_size and the others of PGD"),
    ("gamma", "weight of the norm, 0 or more"),
    ("points", "points of the path, a multiple of `approx_factor`"),
    ("approx_factor", "points of the path for each one that the attack uses"),
    ("chunk", "points a pass"),
    (
        "norm",
        "statistics of batch norms in the penalty's pass: running (or eval), batch (or \
         train)",
    ),
]);

/// In the list of objectives.
pub(super) const NORM: Entry<dyn Objective> = Entry {
    name: "ig-norm",
    about: "cross-entropy + gamma · largest l1 norm of the loss's integrated gradients from x to \
            x' in the ball (Chen et al. 2019, IG-NORM)",
    options: OPTIONS,
    build,
};

/// In the list of objectives.
pub(super) const SUM_NORM: Entry<dyn Objective> = Entry {
    name: "ig-sum-norm",
    about: "cross-entropy at x' + gamma · l1 norm of the loss's integrated gradients from x to \
            x', where an attack made the sum large (Chen et al. 2019, IG-SUM-NORM)",
    options: OPTIONS,
    build: build_sum,
};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    attack: Table,
    gamma: f64,
    points: u32,
    approx_factor: u32,
    chunk: u32,
    norm: Statistics,
}

impl Default for Options {
    fn default() -> Self {
        let settings: [(&str, Value); 3] =
            [("eps", "8/255".into()), ("steps", 7.into()), ("step_size", "2/255".into())];
        let attack = settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let (points, approx_factor, chunk) = (50, 10, 5);
        Options { attack, gamma: 0.1, points, approx_factor, chunk, norm: Statistics::Running }
    }
}

/// Whose cross-entropy is minimised beside the norm.
#[derive(Debug, PartialEq)]
enum At {
    /// That of the clean images: IG-NORM.
    Clean,
    /// That of the attacked images, which then also attack it: IG-SUM-NORM.
    Attacked,
}

#[derive(Debug)]
struct IgNorm {
    at: At,
    options: Options,
}

fn build(table: Table) -> Result<Box<dyn Objective>> {
    let options = checked(table)?;
    check_start(&options.attack)?;
    Ok(Box::new(IgNorm { at: At::Clean, options }))
}

fn build_sum(table: Table) -> Result<Box<dyn Objective>> {
    Ok(Box::new(IgNorm { at: At::Attacked, options: checked(table)? }))
}

fn checked(table: Table) -> Result<Options> {
    let options: Options = registry::options(table)?;
    registry::not_negative("gamma", options.gamma)?;
    let Options { points, approx_factor, chunk, .. } = options;
    for (name, value) in [("points", points), ("approx_factor", approx_factor), ("chunk", chunk)] {
        ensure!(value > 0, "`{name}` is 0; it must be positive");
    }
    ensure!(
        points.is_multiple_of(approx_factor),
        "`points` is {points}, not a multiple of `approx_factor` = {approx_factor}"
    );
    Ok(options)
}

/// The `points` places x + j/points · d, j = 1, 2, …: where the loss's gradients are averaged.
struct Path<'a> {
    logits: &'a dyn Fn(&Tensor) -> Tensor,
    x: &'a Tensor,
    y: &'a Tensor,
    d: Tensor, // [N, C, H, W]
    points: i64,
    chunk: i64,
}

/// Some points of a path that pass through the network together.
struct Points {
    at: Tensor,        // [points · N, C, H, W], in the graph of the next
    gradients: Tensor, // [points, N, C, H, W]
    along: Tensor,     // j/points of each, [points, 1, 1, 1, 1]
}

impl Path<'_> {
    fn starts(&self) -> impl Iterator<Item = i64> + use<> {
        (0..self.points).step_by(self.chunk as usize)
    }

    /// The points from number `start` on, their gradients with a graph if it is asked for.
    fn pass(&self, start: i64, graph: Graph) -> Points {
        let n = self.chunk.min(self.points - start);
        let range =
            Tensor::arange_start(start + 1, start + 1 + n, (self.x.kind(), self.x.device()));
        let along = range.view([-1, 1, 1, 1, 1]) / self.points as f64;
        let at = (self.x + &along * &self.d).flatten(0, 1).detach().set_requires_grad(true);
        let loss = grad::cross_entropy(&(self.logits)(&at), &self.y.repeat([n])).sum(None::<Kind>);
        let gradients = self.by_point(&grad::pull(&loss, &at, graph));
        Points { at, gradients, along }
    }

    /// `[points · N, …]` -> `[points, N, …]`.
    fn by_point(&self, t: &Tensor) -> Tensor {
        t.unflatten(0, [-1, self.x.size()[0]])
    }

    /// The mean gradient over the path, `[N, C, H, W]`, without a graph; and the points with
    /// theirs if they all fit into one pass and `graph` keeps it.
    fn mean_gradient(&self, graph: Graph) -> (Tensor, Option<Points>) {
        let keep = if self.points <= self.chunk { graph } else { Graph::Free };
        let (mut sum, mut held) = (self.d.zeros_like(), None);
        for start in self.starts() {
            let pass = self.pass(start, keep);
            sum += pass.gradients.detach().sum_dim_intlist([0].as_slice(), false, None::<Kind>);
            held = (keep == Graph::Keep).then_some(pass);
        }
        (sum / self.points as f64, held)
    }

    /// ‖IG‖₁ of each image `[N]` and the gradient of their sum with respect to x' = x + d: that of
    /// |d ⊙ mean| where the mean is constant, plus one Hessian–vector product a point.
    fn value_and_gradient(&self) -> (Tensor, Tensor) {
        let (mean, mut held) = self.mean_gradient(Graph::Keep);
        let ig = &self.d * &mean;
        let cotangent = ig.sign() * &self.d / self.points as f64;
        let mut gradient = ig.sign() * mean;
        for start in self.starts() {
            let pass = held.take().unwrap_or_else(|| self.pass(start, Graph::Keep));
            let out = (&pass.gradients * (&cotangent * pass.along)).sum(None::<Kind>);
            let products = self.by_point(&grad::pull(&out, &pass.at, Graph::Free));
            gradient += products.sum_dim_intlist([0].as_slice(), false, None::<Kind>);
        }
        (l1(&ig), gradient)
    }
}

/// Sum of the absolute values of each image, `[N]`.
fn l1(ig: &Tensor) -> Tensor {
    ig.abs().sum_dim_intlist([1, 2, 3].as_slice(), false, None::<Kind>)
}

impl IgNorm {
    /// The path from the images of this step to `to`.
    fn path<'a>(
        &self,
        step: &Step<'a>,
        to: &Tensor,
        logits: &'a dyn Fn(&Tensor) -> Tensor,
        points: u32,
    ) -> Path<'a> {
        // Points that share batch statistics would see each other.
        let chunk = match self.options.norm {
            Statistics::Running => i64::from(self.options.chunk),
            Statistics::Batch => 1,
        };
        let d = to.detach() - step.x;
        Path { logits, x: step.x, y: step.y, d, points: i64::from(points), chunk }
    }

    /// Images near those of the step where the coarse IG is large, and for IG-SUM-NORM the loss.
    fn attacked(&self, step: &Step) -> Tensor {
        let Options { gamma, points, approx_factor, norm, .. } = self.options;
        let network = step.network(norm);
        let climb: &ValueAndGrad = &|x: &Tensor| {
            let path = self.path(step, x, &*network, points / approx_factor);
            let (value, g) = path.value_and_gradient();
            if self.at == At::Clean {
                return (value, g);
            }
            let loss = |x: &Tensor| grad::cross_entropy(&network(x), step.y);
            let (loss, slope) = grad::value_and_grad(x, loss);
            (loss + value * gamma, slope + g * gamma)
        };
        step.perturb(climb, 1.)
    }

    /// ‖IG‖₁ of each image `[N]`, and γ times its mean `[]` with its gradient into the weights. A
    /// first walk finds the signs of IG; at fixed signs the norm is linear in the gradients of the
    /// points, so the second adds up one point's gradient into the weights after the other.
    fn penalty(&self, step: &Step, to: &Tensor) -> (Tensor, Tensor) {
        let Options { gamma, points, norm, .. } = self.options;
        let exact = Step { precision: Precision::F32, ..*step };
        let network = exact.network(norm);
        let (mean, _) = self.path(step, to, &*network, points).mean_gradient(Graph::Free);

        let trained = |x: &Tensor| step.logits(x, norm);
        let path = self.path(step, to, &trained, points);
        let ig = &path.d * mean;
        let scale = gamma / (step.x.size()[0] * path.points) as f64;
        let cotangent = ig.sign() * &path.d * scale;
        let weights: Vec<Tensor> =
            step.model.params().weights().into_iter().map(|(_, w)| w).collect();
        let mut sums: Vec<Tensor> = weights.iter().map(Tensor::zeros_like).collect();
        for start in path.starts() {
            let out = (path.pass(start, Graph::Keep).gradients * &cotangent).sum(None::<Kind>);
            let gradients = Tensor::run_backward(&[out], &weights, false, false);
            for (sum, g) in sums.iter_mut().zip(gradients).filter(|(_, g)| g.defined()) {
                *sum += g;
            }
        }
        let linear: Vec<Tensor> =
            weights.iter().zip(&sums).map(|(w, g)| (w * g.detach()).sum(None::<Kind>)).collect();
        let norms = l1(&ig);
        let value = norms.mean(None::<Kind>) * gamma;
        let part = grad::swap_gradient(&value, &Tensor::stack(&linear, 0).sum(None::<Kind>));
        (norms, part)
    }
}

/// What it says of every image.
const OBSERVED: &str = "ig-l1";

impl Objective for IgNorm {
    fn observes(&self) -> &'static [&'static str] {
        &[OBSERVED]
    }

    fn loss(&mut self, step: &Step) -> Loss {
        let to = self.attacked(step);
        let (name, x) = match self.at {
            At::Clean => ("cross-entropy", step.x),
            At::Attacked => ("adversarial", &to),
        };
        // The training pass comes first: it moves the running statistics that the penalty uses.
        let logits = step.train_logits(x);
        let (norms, penalty) = self.penalty(step, &to);
        Loss {
            parts: vec![(name, cross_entropy(&logits, step.y)), ("ig-norm", penalty)],
            logits,
            observed: vec![(OBSERVED, norms)],
        }
    }

    fn attack(&self) -> Option<&Table> {
        Some(&self.options.attack)
    }
}
