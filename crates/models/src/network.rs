//! The classifier: a network with its normalisation.

mod stand_in;

pub use stand_in::{Average, Smoothing, StandIn};

use crate::{
    Activation, Builder, Model, Ops, Params, Precision,
    graph::Graph,
    params::to_channels_last,
    zoo::{Arch, Normalisation, Shape},
};
use std::{
    collections::BTreeSet,
    rc::Rc,
    sync::atomic::{AtomicU64, Ordering},
};
use tch::{Device, Kind, Tensor};

/// Where the form of a classifier comes from.
#[derive(Clone)]
pub enum Source {
    /// A line of the registry.
    Zoo(&'static Arch),
    /// A graph of an ONNX file.
    Graph(Rc<Graph>),
}

impl Source {
    /// What messages and tables call it.
    pub fn name(&self) -> &str {
        match self {
            Source::Zoo(arch) => arch.name,
            Source::Graph(_) => "onnx",
        }
    }

    /// How names of files end that hold it with its weights.
    pub fn extension(&self) -> &'static str {
        match self {
            Source::Zoo(_) => "safetensors",
            Source::Graph(_) => "onnx",
        }
    }

    /// Asks the builder for every tensor and returns the network.
    fn build(&self, builder: &Builder, shape: &Shape) -> Box<dyn Model> {
        match self {
            Source::Zoo(arch) => (arch.build)(builder, shape),
            Source::Graph(graph) => graph.build(builder),
        }
    }
}

/// A network that takes pixels: normalisation is its first step, logits are f32 (or f64).
///
/// ```
/// use models::{Classifier, Model, zoo, zoo::Normalisation};
/// use tch::{Device, Kind, Tensor};
///
/// let arch = zoo::arch("mlp")?;
/// let scale = Normalisation::parse(arch.normalise, 2)?;
/// let model = Classifier::new(arch, arch.shape, scale, 0, Device::Cpu);
/// let x = Tensor::rand([5, 2, 1, 1], (Kind::Float, Device::Cpu));
/// assert_eq!(model.logits(&x).size(), [5, 2]);
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct Classifier {
    /// Where its form comes from.
    pub source: Source,
    /// Image shape and number of classes.
    pub shape: Shape,
    /// Mean and standard deviation per channel, in [0, 1] units.
    pub normalisation: Normalisation,
    /// Class names, as many as there are logits.
    pub classes: Vec<String>,
    params: Rc<Params>,
    net: Box<dyn Model>,
    mean: Tensor, // [1, C, 1, 1]
    std: Tensor,  // [1, C, 1, 1]
    channels_last: bool,
    stand_in: StandIn,
}

impl Classifier {
    /// A new network with weights drawn from `seed`.
    pub fn new(
        arch: &'static Arch,
        shape: Shape,
        normalisation: Normalisation,
        seed: u64,
        device: Device,
    ) -> Self {
        Self::start(Source::Zoo(arch), shape, normalisation, &Builder::new(seed, device), device)
    }

    /// A network whose weights are all zero, for values that come from elsewhere.
    pub fn blank(
        arch: &'static Arch,
        shape: Shape,
        normalisation: Normalisation,
        device: Device,
    ) -> Self {
        Self::start(Source::Zoo(arch), shape, normalisation, &Builder::blank(device), device)
    }

    /// A network like a stored one: `names` are those of its tensors, which are all zero.
    pub(crate) fn of_names(
        arch: &'static Arch,
        shape: Shape,
        normalisation: Normalisation,
        names: BTreeSet<String>,
    ) -> Self {
        let builder = Builder::blank(Device::Cpu).given(names);
        Self::start(Source::Zoo(arch), shape, normalisation, &builder, Device::Cpu)
    }

    /// A network of an ONNX file, whose tensors are all zero.
    pub(crate) fn of_graph(graph: Rc<Graph>, shape: Shape, normalisation: Normalisation) -> Self {
        let builder = Builder::blank(Device::Cpu);
        Self::start(Source::Graph(graph), shape, normalisation, &builder, Device::Cpu)
    }

    /// A network of the same form whose weights are all zero.
    pub fn emptied(&self) -> Self {
        self.again(Builder::blank(self.device()))
    }

    fn again(&self, builder: Builder) -> Self {
        let builder = builder.given(self.params.built().into_iter().collect());
        let (normalisation, device) = (self.normalisation.clone(), self.device());
        let new = Self::start(self.source.clone(), self.shape, normalisation, &builder, device);
        Classifier { classes: self.classes.clone(), stand_in: self.stand_in.clone(), ..new }
    }

    /// The same weights, asked through a stand-in: every pass from now on is one of it.
    pub fn asked_through(self, stand_in: StandIn) -> Self {
        Classifier { stand_in, ..self }
    }

    /// What stands in for the network.
    pub fn stand_in(&self) -> &StandIn {
        &self.stand_in
    }

    fn start(
        source: Source,
        shape: Shape,
        normalisation: Normalisation,
        builder: &Builder,
        device: Device,
    ) -> Self {
        let net = source.build(builder, &shape);
        let classes = (0..shape.classes).map(|i| i.to_string()).collect();
        let (mean, std) = normalisation.tensors((Kind::Float, device));
        let params = builder.params();
        let stand_in = StandIn::default();
        Classifier {
            source,
            shape,
            normalisation,
            classes,
            params,
            net,
            mean,
            std,
            channels_last: false,
            stand_in,
        }
    }

    /// The named tensors of the network.
    pub fn params(&self) -> &Rc<Params> {
        &self.params
    }

    /// Where the weights are.
    pub fn device(&self) -> Device {
        self.mean.device()
    }

    /// The same classifier, weights shared, on `device`, in this memory layout, to be trained.
    pub fn to_device(self, device: Device, channels_last: bool) -> Self {
        self.params.place(device, channels_last);
        self.rebuilt(&Builder::shared(&self.params), channels_last, device)
    }

    /// Another classifier like this one whose `parts` ([`Params::parts`]) are as drawn from `seed`,
    /// running statistics too.
    pub fn reinitialised(&self, parts: &[String], seed: u64) -> Self {
        let new = self.again(Builder::new(seed, self.device()));
        let trained = self.params.tensors();
        let drawn = |name: &str| {
            let inside = |part: &String| {
                name.strip_prefix(part.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '/']))
            };
            parts.iter().any(inside)
        };
        for (name, mut tensor) in new.params.tensors() {
            if !drawn(&name) {
                tch::no_grad(|| tensor.copy_(&trained[&name]));
            }
        }
        new
    }

    /// A copy for explaining and attacking: out of reach of gradients, norms folded into their
    /// layers once. Later training does not move it.
    pub fn folded(&self, precision: Precision) -> Self {
        let builder = Builder::folded(&self.params, precision, true);
        self.rebuilt(&builder, true, self.device())
    }

    /// A view out of reach of gradients, computed layer by layer as trained (`--no-fuse`).
    pub fn frozen(&self) -> Self {
        self.rebuilt(&Builder::frozen(&self.params), false, self.device())
    }

    /// The same classifier in f64, for checks.
    pub fn in_f64(self) -> Self {
        self.params.convert(Kind::Double);
        let mut new = self.rebuilt(&Builder::shared(&self.params), false, self.device());
        (new.mean, new.std) = new.normalisation.tensors((Kind::Double, new.device()));
        new
    }

    fn rebuilt(&self, builder: &Builder, channels_last: bool, device: Device) -> Self {
        let (mean, std) = self.normalisation.tensors((self.mean.kind(), device));
        Classifier {
            source: self.source.clone(),
            shape: self.shape,
            normalisation: self.normalisation.clone(),
            classes: self.classes.clone(),
            params: self.params.clone(),
            net: self.source.build(builder, &self.shape),
            mean,
            std,
            channels_last,
            stand_in: self.stand_in.clone(),
        }
    }
}

/// Images that classifiers of this process have seen.
static PASSES: AtomicU64 = AtomicU64::new(0);

/// How many images classifiers of this process have seen, one that is seen again counting again.
pub fn passes() -> u64 {
    PASSES.load(Ordering::Relaxed)
}

impl Classifier {
    /// A pass that [`passes`] does not tell of.
    pub(crate) fn uncounted(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let x = ops.normalise(x, &self.mean, &self.std);
        let x = if self.channels_last { to_channels_last(&x) } else { x };
        let logits = self.net.forward(&x, ops);
        match logits.kind() {
            Kind::BFloat16 => logits.to_kind(Kind::Float),
            _ => logits,
        }
    }
}

impl Model for Classifier {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        PASSES.fetch_add(x.size()[0] as u64 * self.stand_in.copies(), Ordering::Relaxed);
        self.stand_in.pass(x, ops, |x, ops| self.uncounted(x, ops))
    }

    fn activation(&self) -> Option<Activation> {
        Some(self.stand_in.activation(self.net.activation()?))
    }

    /// None where outputs are averaged: a place is met once a copy.
    fn taps(&self) -> Vec<&str> {
        if self.stand_in.smoothing.is_some() { vec![] } else { self.net.taps() }
    }

    fn nonlinear_only_in_ops(&self) -> bool {
        self.stand_in.smoothing.is_none() && self.net.nonlinear_only_in_ops()
    }

    fn fixed_batch(&self) -> Option<i64> {
        self.net.fixed_batch()
    }

    fn place(&self) -> (Kind, Device) {
        (self.mean.kind(), self.device())
    }
}
