//! What training minimises: (model, images, labels) -> named loss parts.

use anyhow::Result;
use models::{
    BatchStatistics, Classifier, Fused, HeldStatistics, Model, Precision, Shared, SyncTraining,
    Training,
    grad::{self, Graph},
    jvp::{Norms, TrainedPass},
};
use registry::Entry;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tch::{Kind, Tensor};
use toml::Table;

mod adversarial;
mod curvature;
mod gradient_norm;
mod ig_norm;
mod natural;
mod noise;
mod ssr;
mod trades;

/// What an adversary climbs: images `[N, C, H, W]` -> values `[N]` and the gradient of their sum.
pub type ValueAndGrad<'a> = dyn Fn(&Tensor) -> (Tensor, Tensor) + 'a;

/// Who looks for bad images near good ones. The root hands one in: training knows no attack.
///
/// ```
/// use tch::{Device, Kind, Tensor};
/// use train::objective::{ValueAndGrad, Adversary};
///
/// /// One step of the fast gradient sign method.
/// struct OneStep {
///     eps: f64,
/// }
///
/// impl Adversary for OneStep {
///     fn perturb(&self, climb: &ValueAndGrad, x: &Tensor, _keys: &[u64], scale: f64) -> Tensor {
///         let (_, gradient) = climb(x);
///         (x + gradient.sign() * self.eps * scale).clamp(0., 1.)
///     }
/// }
///
/// let sum = |x: &Tensor| {
///     (x.sum_dim_intlist([1i64, 2, 3].as_slice(), false, Kind::Float), x.ones_like())
/// };
/// let x = Tensor::zeros([2, 1, 2, 2], (Kind::Float, Device::Cpu));
/// assert_eq!(OneStep { eps: 0.5 }.perturb(&sum, &x, &[0, 1], 1.), x + 0.5);
/// ```
pub trait Adversary {
    /// Images near `x` `[N, C, H, W]` where `climb` is large. One key per image seeds what is
    /// random; `scale` in [0, 1] shrinks radius and step.
    fn perturb(&self, climb: &ValueAndGrad, x: &Tensor, keys: &[u64], scale: f64) -> Tensor;
}

/// Which statistics batch norms use in a pass that is not the training pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Statistics {
    /// The running ones, as when the network is used: images do not depend on each other.
    #[default]
    #[serde(alias = "eval")]
    Running,
    /// Those of the batch, as in the training pass; the running ones stay.
    #[serde(alias = "train")]
    Batch,
}

/// One training step, as an objective sees it.
pub struct Step<'a> {
    /// The network being trained, with gradients into its weights.
    pub model: &'a Classifier,
    /// Images in [0, 1], f32 `[N, C, H, W]`.
    pub x: &'a Tensor,
    /// Labels, i64 `[N]`.
    pub y: &'a Tensor,
    /// Which training images these are, `[N]`, for what is kept per image.
    pub numbers: &'a [i64],
    /// How many training images there are.
    pub images: usize,
    /// One key per image for the random draws of this step.
    pub keys: &'a [u64],
    /// Epochs done, with the fraction of this one.
    pub epoch: f64,
    /// Type that affine layers compute in.
    pub precision: Precision,
    /// Batch norms keep their running statistics and train with them.
    pub frozen_norm: bool,
    /// The adversary that [`Objective::attack`] asked for.
    pub adversary: Option<&'a dyn Adversary>,
    /// Where training passes are recorded whose norms share the statistics of all ranks.
    pub tape: Option<&'a SyncTraining<'a>>,
}

impl<'a> Step<'a> {
    /// A first step in f32 without an adversary, on images that nothing is kept of.
    pub fn new(model: &'a Classifier, x: &'a Tensor, y: &'a Tensor) -> Self {
        let precision = Precision::F32;
        let (numbers, images, keys, epoch) = (&[][..], 0, &[][..], 0.);
        let (frozen_norm, adversary, tape) = (false, None, None);
        Step { model, x, y, numbers, images, keys, epoch, precision, frozen_norm, adversary, tape }
    }

    /// Logits of a training pass on `x` (batch statistics, running ones moved; the running ones
    /// where they are frozen), f32 `[N, K]`.
    pub fn train_logits(&self, x: &Tensor) -> Tensor {
        let precision = self.precision;
        match self.tape {
            _ if self.frozen_norm => self.model.forward(x, &Fused { precision }),
            Some(tape) => self.model.forward(x, &Shared { precision, tape }),
            None => self.model.forward(x, &Training { precision }),
        }
    }

    /// Logits with gradients into `x` and the weights, `[N, K]`; moves no statistics.
    pub fn logits(&self, x: &Tensor, statistics: Statistics) -> Tensor {
        let precision = Precision::F32;
        match self.used(statistics) {
            Statistics::Running => self.model.forward(x, &Fused { precision }),
            Statistics::Batch => self.model.forward(x, &BatchStatistics),
        }
    }

    /// The same of each image by itself: statistics of the batch are those of the step's images,
    /// held, so that the gradient in an image is not also that of the other images' losses.
    pub fn alone(&self, x: &Tensor, statistics: Statistics) -> Tensor {
        match self.used(statistics) {
            Statistics::Running => self.logits(x, statistics),
            Statistics::Batch => self.model.forward(x, &self.held()),
        }
    }

    /// The statistics of the step's images.
    fn held(&self) -> HeldStatistics {
        HeldStatistics::of(|ops| self.model.forward(&self.x.detach(), ops))
    }

    /// Logits of the training pass on the step's images, and the images again, each by itself, for a penalty
    /// that is computed in `precision` (batch statistics: in f32). Its pass comes after the training pass,
    /// which moves running statistics in place, and is the same pass where the two are the same function.
    pub fn passes(&self, statistics: Statistics, precision: Precision) -> (Tensor, Again<'_>) {
        let bf16 = |precision| precision == Precision::Bf16;
        if self.frozen_norm && bf16(precision) == bf16(self.precision) {
            let again = self.again(Statistics::Running, precision);
            return (again.logits.shallow_clone(), again);
        }
        let trained = self.train_logits(self.x);
        (trained, self.again(statistics, precision))
    }

    fn again(&self, statistics: Statistics, precision: Precision) -> Again<'_> {
        self.again_at(self.x, statistics, precision)
    }

    /// The pass of a penalty on other images, with the statistics of the step's.
    pub(crate) fn again_at(
        &self,
        x: &Tensor,
        statistics: Statistics,
        precision: Precision,
    ) -> Again<'_> {
        let x = x.detach().set_requires_grad(true);
        let norms = match self.used(statistics) {
            Statistics::Running => Norms::Running(precision),
            Statistics::Batch => Norms::Held(self.held()),
        };
        match TrainedPass::of(self.model, &x, &norms) {
            Some(pass) => Again { logits: pass.logits.shallow_clone(), x, pass: Some(pass) },
            None => Again { logits: self.alone(&x, statistics), x, pass: None },
        }
    }

    /// The gradients of `total`, a scalar of this step's passes, in the weights, in the order of
    /// their names; undefined where it does not depend on one.
    pub fn gradients(&self, total: &Tensor) -> Vec<Tensor> {
        let weights = self.model.params().weights().into_iter().map(|(_, w)| w);
        let of: Vec<Tensor> = weights.collect();
        match self.tape {
            Some(tape) => tape.gradients(total, &of),
            None => Tensor::run_backward(&[total], &of, false, false),
        }
    }

    /// What `asked` means in this run: the training pass has no batch statistics where they are
    /// frozen.
    fn used(&self, asked: Statistics) -> Statistics {
        if self.frozen_norm { Statistics::Running } else { asked }
    }

    /// The network as a fixed function of images -> logits, out of reach of weight gradients: for
    /// attacks and whatever else only needs gradients with respect to images.
    pub fn network(&self, statistics: Statistics) -> Box<dyn Fn(&Tensor) -> Tensor> {
        match self.used(statistics) {
            Statistics::Running => {
                let folded = self.model.folded(self.precision);
                Box::new(move |x| folded.logits(x))
            }
            Statistics::Batch => {
                let frozen = self.model.frozen();
                Box::new(move |x| frozen.forward(x, &BatchStatistics))
            }
        }
    }

    /// Images near `x` where `climb` is large, made by this run's adversary at `scale` in [0, 1].
    pub fn perturb(&self, climb: &ValueAndGrad, scale: f64) -> Tensor {
        let adversary = self.adversary.expect("`run` checks that there is one");
        adversary.perturb(climb, self.x, self.keys, scale)
    }
}

/// A pass on images each by itself, with gradients into them and the weights.
pub struct Again<'a> {
    /// The images, a leaf.
    pub x: Tensor,
    /// Their logits `[N, K]`.
    pub logits: Tensor,
    /// The pass, to be followed along directions; none for a network that bends where it is not told.
    pub(crate) pass: Option<TrainedPass<'a>>,
}

impl Again<'_> {
    /// The gradient in the images of the sum of `values` `[N]`, which the logits make; no graph.
    pub(crate) fn gradient(&self, values: &Tensor) -> Tensor {
        let total = values.sum(None::<Kind>);
        Tensor::run_backward(&[&total], &[&self.x], true, false).remove(0)
    }

    /// The derivative `[N]` of the same along held directions, with a graph into the weights.
    pub(crate) fn slope(&self, values: &Tensor, direction: &Tensor) -> Tensor {
        let total = values.sum(None::<Kind>);
        match &self.pass {
            Some(pass) => {
                let by_logits = grad::pull(&total, &self.logits, Graph::Keep);
                let all = by_logits * pass.along(direction);
                all.sum_dim_intlist([1i64].as_slice(), false, None::<Kind>)
            }
            None => {
                let all = grad::pull(&total, &self.x, Graph::Keep) * direction;
                all.flatten(1, -1).sum_dim_intlist([1i64].as_slice(), false, None::<Kind>)
            }
        }
    }
}

/// ‖d‖² of each image of `d` `[N, C, H, W]`, with the gradients in the weights of 2 · `slope`, the derivatives
/// `[N]` along d held: those of ‖d‖² where d is made of input gradients and `slope` of theirs.
pub(crate) fn squared_through(d: &Tensor, slope: &Tensor) -> Tensor {
    squared_length(d) + (slope - slope.detach()) * 2.
}

/// Squared Euclidean length of each image, `[N]`.
pub(crate) fn squared_length(d: &Tensor) -> Tensor {
    d.square().sum_dim_intlist([1, 2, 3].as_slice(), false, None::<Kind>)
}

/// The named parts of a loss, whose sum is minimised.
pub struct Loss {
    /// Name and scalar, with a graph into the weights.
    pub parts: Vec<(&'static str, Tensor)>,
    /// Logits on the images the weights are fitted to, for the training accuracy.
    pub logits: Tensor,
    /// Name and value per image, `[N]` without a graph: logged with their quantiles.
    pub observed: Vec<(&'static str, Tensor)>,
}

impl Loss {
    /// The sum of the parts, `[]`.
    pub fn total(&self) -> Tensor {
        let parts: Vec<&Tensor> = self.parts.iter().map(|(_, part)| part).collect();
        Tensor::stack(&parts, 0).sum(None::<Kind>)
    }
}

/// A training objective.
///
/// ```
/// use models::{Classifier, zoo, zoo::Normalisation};
/// use tch::{Device, Kind, Tensor};
/// use train::objective::{Loss, Objective, Step};
///
/// /// The mean square of the logits and the cross-entropy.
/// struct SmallLogits;
///
/// impl Objective for SmallLogits {
///     fn loss(&mut self, step: &Step) -> Loss {
///         let logits = step.train_logits(step.x);
///         let fit = logits.cross_entropy_for_logits(step.y);
///         let small = logits.square().mean(Kind::Float);
///         Loss { parts: vec![("fit", fit), ("small", small)], logits, observed: vec![] }
///     }
/// }
///
/// # let arch = zoo::arch("mlp")?;
/// # let scale = Normalisation::parse(arch.normalise, 2)?;
/// # let model = Classifier::new(arch, arch.shape, scale, 0, Device::Cpu);
/// let x = Tensor::rand([4, 2, 1, 1], (Kind::Float, Device::Cpu));
/// let y = Tensor::from_slice(&[0i64, 1, 0, 1]);
/// SmallLogits.loss(&Step::new(&model, &x, &y)).total().backward();
/// # Ok::<(), anyhow::Error>(())
/// ```
pub trait Objective {
    /// The loss of one batch.
    fn loss(&mut self, step: &Step) -> Loss;

    /// The names of what [`Loss::observed`] says of every image.
    fn observes(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether every step is the same function of images, labels, weights and running statistics, with
    /// nothing that is drawn, counted or kept: such a step can be recorded and replayed.
    fn steady(&self) -> bool {
        false
    }

    /// The settings of the adversary it needs, if it needs one.
    fn attack(&self) -> Option<&Table> {
        None
    }

    /// What it carries from step to step, for an exact resume: tensors with a row for every
    /// training image, of which a step moves those of its own images.
    fn state(&self) -> BTreeMap<String, Tensor> {
        BTreeMap::new()
    }

    /// Takes a state back. Errors: not one of its own.
    fn restore(&mut self, _state: BTreeMap<String, Tensor>) -> Result<()> {
        Ok(())
    }
}

/// Every objective, sorted by name.
pub const OBJECTIVES: &[Entry<dyn Objective>] = &[
    adversarial::ENTRY,
    curvature::ENTRY,
    gradient_norm::ENTRY,
    ig_norm::NORM,
    ig_norm::SUM_NORM,
    natural::ENTRY,
    noise::ENTRY,
    ssr::ENTRY,
    trades::ENTRY,
];

/// The objective that `table` asks for.
pub fn objective(table: &Table) -> Result<Box<dyn Objective>> {
    registry::build("objective", OBJECTIVES, table.clone())
}

/// Mean cross-entropy `[]` of logits `[N, K]`.
fn cross_entropy(logits: &Tensor, y: &Tensor) -> Tensor {
    models::grad::cross_entropy(logits, y).mean(logits.kind())
}
