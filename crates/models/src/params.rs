//! The named tensors of a network, and the builder through which a network asks for them:
//! to start new ones, to use those there are, or to use them folded and frozen.

pub mod flat;
mod usable;

use crate::noise;
use anyhow::{Result, bail, ensure};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};
use tch::{Device, Kind, Tensor};

/// The type that affine layers compute in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision; products are not rounded to TF32.
    #[default]
    F32,
    /// Single precision whose products a GPU rounds to 10 bits of mantissa first (TensorFloat-32).
    Tf32,
    /// bfloat16 inputs and weights in affine layers; statistics and losses in f32.
    Bf16,
}

impl Precision {
    /// `t` in the type of this precision; as it is unless that is bf16 (so that f64 tests stay f64).
    pub fn cast(self, t: &Tensor) -> Tensor {
        match self {
            Precision::F32 | Precision::Tf32 => t.shallow_clone(),
            Precision::Bf16 => t.to_kind(Kind::BFloat16),
        }
    }
}

/// How a tensor starts. Draws are keyed by (seed, name), so they do not depend on the order of
/// construction.
#[derive(Clone, Copy, Debug)]
pub enum Init {
    /// Every entry the same.
    Const(f64),
    /// N(0, 2 / fan_in) (He et al. 2015).
    KaimingNormal {
        /// Inputs of one output.
        fan_in: i64,
    },
    /// U(−b, b) with b = 1/√fan_in: PyTorch's default for linear layers and biases.
    Uniform {
        /// Inputs of one output.
        fan_in: i64,
    },
    /// N(0, std²).
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// What the function gives, on the CPU: masks.
    Fixed(fn() -> Tensor),
}

impl Init {
    fn draw(self, shape: &[i64], key: u64, device: Device) -> Tensor {
        let keys = [key];
        let full = || Tensor::zeros(shape, (Kind::Float, device));
        match self {
            Init::Const(value) => full().fill(value),
            Init::KaimingNormal { fan_in } => {
                noise::normal(&keys, shape, device).squeeze_dim(0) * (2. / fan_in as f64).sqrt()
            }
            Init::Uniform { fan_in } => {
                let bound = 1. / (fan_in as f64).sqrt();
                (noise::uniform(&keys, shape, device).squeeze_dim(0) * 2. - 1.) * bound
            }
            Init::Normal { std } => noise::normal(&keys, shape, device).squeeze_dim(0) * std,
            Init::Fixed(values) => full() + values().to_device(device),
        }
    }
}

/// Whether training moves a tensor by its gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Trained.
    Weight,
    /// Stored, not trained: a running mean.
    Mean,
    /// The same of a running variance, which is never negative.
    Variance,
    /// Stored and never changed: masks, which may be infinite.
    Fixed,
}

/// One named tensor of a network.
#[derive(Debug)]
pub struct Param {
    /// Its values; a weight requires grad.
    pub tensor: Tensor,
    /// Trained or only stored.
    pub role: Role,
}

/// All named tensors of one network, in the order of their names.
#[derive(Debug, Default)]
pub struct Params {
    entries: RefCell<BTreeMap<String, Param>>,
    built: RefCell<Vec<String>>,
}

impl Params {
    /// The largest named parts of the network, as it is built, which is from the input on: first
    /// words (between dots or slashes) of the names of tensors, or first two where that would be fewer than three parts.
    pub fn parts(&self) -> Vec<String> {
        let parts = |words: usize| {
            let mut parts: Vec<String> = vec![];
            for name in self.built.borrow().iter() {
                let mut end = name.match_indices(['.', '/']).map(|(at, _)| at).filter(|at| *at > 0);
                let part = name[..end.nth(words - 1).unwrap_or(name.len())].to_owned();
                if !parts.contains(&part) {
                    parts.push(part);
                }
            }
            parts
        };
        let largest = parts(1);
        if largest.len() < 3 { parts(2) } else { largest }
    }

    /// Trained scalars in all.
    pub fn count(&self) -> i64 {
        self.weights().iter().map(|(_, t)| t.numel() as i64).sum()
    }

    /// Every weight that training moves, by name.
    pub fn weights(&self) -> Vec<(String, Tensor)> {
        let all = self.entries.borrow();
        let weights = all.iter().filter(|(_, p)| p.role == Role::Weight);
        weights.map(|(name, p)| (name.clone(), p.tensor.shallow_clone())).collect()
    }

    /// Every tensor, weights and buffers, by name; sharing memory.
    pub fn tensors(&self) -> BTreeMap<String, Tensor> {
        let all = self.entries.borrow();
        all.iter().map(|(name, p)| (name.clone(), p.tensor.detach())).collect()
    }

    /// Copies of the running statistics, by name.
    pub fn statistics(&self) -> BTreeMap<String, Tensor> {
        let all = self.entries.borrow();
        let running = all.iter().filter(|(_, p)| matches!(p.role, Role::Mean | Role::Variance));
        running.map(|(name, p)| (name.clone(), p.tensor.copy())).collect()
    }

    /// Takes back what [`Params::statistics`] gave.
    pub fn restore_statistics(&self, before: &BTreeMap<String, Tensor>) {
        let all = self.entries.borrow();
        before.iter().for_each(|(name, t)| all[name].tensor.shallow_clone().copy_(t));
    }

    /// Copies `given` into the tensors of the same names. If anything is missing, unexpected, of
    /// another shape or [unusable](Params::check), changes nothing and says so in one error.
    pub fn fill(&self, given: &BTreeMap<String, Tensor>) -> Result<()> {
        let entries = self.entries.borrow();
        let (mut missing, mut other, mut unusable) = (vec![], vec![], vec![]);
        for name in self.built.borrow().iter() {
            let param = &entries[name];
            match given.get(name) {
                None => missing.push(format!("missing `{name}` {:?}", param.tensor.size())),
                Some(t) if t.size() != param.tensor.size() => {
                    other.push(format!(
                        "`{name}` is {:?}, not {:?}",
                        t.size(),
                        param.tensor.size()
                    ));
                }
                Some(t) => unusable.extend(usable::problem(name, t, param)),
            }
        }
        let unexpected = given.keys().filter(|name| !entries.contains_key(*name));
        let unexpected = unexpected.map(|name| format!("unexpected `{name}`")).collect();
        let problems = [missing, other, unusable, unexpected];
        let count: usize = problems.iter().map(Vec::len).sum();
        if count > 0 {
            let some =
                problems.iter().filter(|kind| !kind.is_empty()).map(|kind| usable::first(kind));
            let what = if count == 1 { "key does" } else { "keys do" };
            bail!("{count} {what} not fit: {}", some.collect::<Vec<_>>().join("; "));
        }
        tch::no_grad(|| {
            for (name, param) in entries.iter() {
                param.tensor.shallow_clone().copy_(&given[name]);
            }
        });
        Ok(())
    }

    /// Errors: a tensor that holds NaN or an infinity, a running variance below zero.
    pub fn check(&self) -> Result<()> {
        let entries = self.entries.borrow();
        let unusable = entries.iter().filter_map(|(name, p)| usable::problem(name, &p.tensor, p));
        let unusable: Vec<String> = unusable.collect();
        ensure!(unusable.is_empty(), usable::first(&unusable));
        Ok(())
    }

    /// The name of every tensor in the order in which the network asked for them: input side first.
    pub fn built(&self) -> Vec<String> {
        self.built.borrow().clone()
    }

    /// Moves every tensor to `device` and, for weights of convolutions, to channels-last memory.
    /// A network built before still holds the old ones: build it anew.
    pub fn place(&self, device: Device, channels_last: bool) {
        for param in self.entries.borrow_mut().values_mut() {
            let moved = param.tensor.detach().to_device(device);
            let moved = if channels_last { to_channels_last(&moved) } else { moved };
            param.tensor = moved.set_requires_grad(param.role == Role::Weight);
        }
    }

    /// Every tensor in another floating type, for checks in f64. Build the network anew after.
    pub fn convert(&self, kind: Kind) {
        for param in self.entries.borrow_mut().values_mut() {
            let moved = param.tensor.detach().to_kind(kind);
            param.tensor = moved.set_requires_grad(param.role == Role::Weight);
        }
    }
}

/// The same values with channels innermost in memory, if `x` has four dimensions.
pub fn to_channels_last(x: &Tensor) -> Tensor {
    if x.dim() != 4 {
        return x.shallow_clone();
    }
    x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}

#[derive(Clone, Copy, Debug)]
enum Use {
    New { seed: u64, device: Device },
    Blank { device: Device },
    Sketch,
    Shared,
    Folded { precision: Precision, channels_last: bool },
    Frozen,
}

/// Hands a network its tensors, by published name, while it is built.
#[derive(Clone, Debug)]
pub struct Builder {
    params: Rc<Params>,
    prefix: String,
    mode: Use,
    /// Names of tensors there will be, where they decide what the network is.
    given: Rc<BTreeSet<String>>,
}

impl Builder {
    /// Starts every tensor anew from `seed`.
    pub fn new(seed: u64, device: Device) -> Self {
        Self::with(Rc::default(), Use::New { seed, device })
    }

    /// Starts every tensor at zero, for networks whose values come from elsewhere.
    pub fn blank(device: Device) -> Self {
        Self::with(Rc::default(), Use::Blank { device })
    }

    /// Gives every tensor its shape, on the CPU, without memory for values.
    pub fn sketch() -> Self {
        Self::with(Rc::default(), Use::Sketch)
    }

    /// The same builder for a network whose tensors will have these names: a family with more than
    /// one form ([`Builder::has`]) takes that of the names.
    pub fn given(self, names: BTreeSet<String>) -> Self {
        Builder { given: names.into(), ..self }
    }

    fn with(params: Rc<Params>, mode: Use) -> Self {
        Builder { params, prefix: String::new(), mode, given: Rc::default() }
    }

    /// Uses the tensors there are, with gradients into them.
    pub fn shared(params: &Rc<Params>) -> Self {
        Self::with(params.clone(), Use::Shared)
    }

    /// Uses the values there are, out of reach of gradients, norms folded into their layers.
    pub fn folded(params: &Rc<Params>, precision: Precision, channels_last: bool) -> Self {
        Self::with(params.clone(), Use::Folded { precision, channels_last })
    }

    /// Uses the values there are, out of reach of gradients, layer by layer as trained.
    pub fn frozen(params: &Rc<Params>) -> Self {
        Self::with(params.clone(), Use::Frozen)
    }

    /// The tensors asked for so far.
    pub fn params(&self) -> Rc<Params> {
        self.params.clone()
    }

    /// The part of the network called `name`; an empty name is this part itself.
    pub fn sub(&self, name: &str) -> Self {
        let prefix = match name {
            "" => self.prefix.clone(),
            _ => format!("{}{name}.", self.prefix),
        };
        Builder { prefix, ..self.clone() }
    }

    /// Whether the network has a tensor `name` here: one that exists, or one that was announced.
    pub fn has(&self, name: &str) -> bool {
        let full = format!("{}{name}", self.prefix);
        self.given.contains(&full) || self.params.entries.borrow().contains_key(&full)
    }

    /// A trained tensor.
    pub fn weight(&self, name: &str, shape: &[i64], init: Init) -> Tensor {
        self.get(name, shape, init, Role::Weight)
    }

    /// A stored tensor that training does not move by gradients.
    pub fn buffer(&self, name: &str, shape: &[i64], init: Init, role: Role) -> Tensor {
        self.get(name, shape, init, role)
    }

    fn get(&self, name: &str, shape: &[i64], init: Init, role: Role) -> Tensor {
        let full = format!("{}{name}", self.prefix);
        let mut entries = self.params.entries.borrow_mut();
        if let Some(tensor) = self.start(&full, shape, init) {
            assert!(!entries.contains_key(&full), "two tensors are called `{full}`");
            let tensor = tensor.set_requires_grad(role == Role::Weight);
            entries.insert(full.clone(), Param { tensor, role });
            self.params.built.borrow_mut().push(full.clone());
        }
        let tensor = &entries.get(&full).expect("built before by the same code").tensor;
        match self.mode {
            Use::New { .. } | Use::Blank { .. } | Use::Sketch | Use::Shared => {
                tensor.shallow_clone()
            }
            Use::Folded { .. } => tensor.detach().copy(),
            Use::Frozen => tensor.detach(),
        }
    }

    /// A tensor's first values, if this builder starts tensors.
    fn start(&self, name: &str, shape: &[i64], init: Init) -> Option<Tensor> {
        match (self.mode, init) {
            (Use::New { seed, device }, _) => {
                Some(init.draw(shape, noise::key(seed, noise::name_id(name), 0), device))
            }
            (Use::Sketch, _) => {
                Some(Tensor::zeros([0; 0], (Kind::Float, Device::Cpu)).expand(shape, false))
            }
            (Use::Blank { device }, Init::Fixed(_)) => Some(init.draw(shape, 0, device)),
            (Use::Blank { device }, _) => Some(Tensor::zeros(shape, (Kind::Float, device))),
            _ => None,
        }
    }

    /// The precision to fold layers in, if this builder folds.
    pub(crate) fn folds(&self) -> Option<Precision> {
        match self.mode {
            Use::Folded { precision, .. } => Some(precision),
            _ => None,
        }
    }

    pub(crate) fn lay_out(&self, weight: &Tensor) -> Tensor {
        match self.mode {
            Use::Folded { channels_last: true, .. } => to_channels_last(weight),
            _ => weight.shallow_clone(),
        }
    }
}
