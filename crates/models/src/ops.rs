//! The few operations a network is written in. Training or not, ReLU or softplus, recording,
//! rules of their own backwards: each is an [`Ops`]; none is a flag or a hook.

use crate::{Affine, Precision};
use tch::Tensor;

/// A pointwise nonlinearity. `Softplus` tends to `Relu` as `beta` grows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// x for x > 0, else eˣ − 1.
    Elu,
    /// x Φ(x), with the exact error function.
    Gelu,
    /// β⁻¹ log(1 + e^{βx}), smooth everywhere.
    Softplus {
        /// Sharpness; 1/β is about the width of the bend, in units of the activations.
        beta: f64,
    },
}

impl Activation {
    /// The nonlinearity of every entry of `x`.
    pub fn apply(self, x: &Tensor) -> Tensor {
        match self {
            Activation::Relu => x.relu(),
            Activation::Elu => x.elu(),
            Activation::Gelu => x.gelu("none"),
            // libtorch's softplus is cut off, and its backward pass makes the exponential again.
            Activation::Softplus { beta } => (x * -beta).log_sigmoid() / -beta,
        }
    }

    /// Its derivative at every entry of `x`.
    pub fn slope(self, x: &Tensor) -> Tensor {
        match self {
            Activation::Relu => x.gt(0.).to_kind(x.kind()),
            Activation::Elu => x.clamp_max(0.).exp(),
            Activation::Gelu => {
                let density = (x.square() * -0.5).exp() / (2. * std::f64::consts::PI).sqrt();
                ((x / std::f64::consts::SQRT_2).erf() + 1.) * 0.5 + x * density
            }
            Activation::Softplus { beta } => (x * beta).sigmoid(),
        }
    }

    /// Softplus in place of ReLU; what is smooth already stays.
    pub fn softened(self, beta: f64) -> Self {
        match self {
            Activation::Relu => Activation::Softplus { beta },
            smooth => smooth,
        }
    }
}

/// A max-pool with a square window; what pads the borders never wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Side of the window.
    pub kernel: i64,
    /// Step between windows.
    pub stride: i64,
    /// Places added on every side.
    pub padding: i64,
}

impl Pool {
    /// The largest entry of each window: `[N, C, H, W]` -> `[N, C, H', W']`.
    pub fn apply(self, x: &Tensor) -> Tensor {
        let Pool { kernel: k, stride: s, padding: p } = self;
        x.max_pool2d([k, k], [s, s], [p, p], [1, 1], false)
    }

    /// The same and where each was found, i64, counted row by row in its channel.
    pub fn winners(self, x: &Tensor) -> (Tensor, Tensor) {
        let Pool { kernel: k, stride: s, padding: p } = self;
        x.max_pool2d_with_indices([k, k], [s, s], [p, p], [1, 1], false)
    }
}

/// How one pass treats each operation. Override one method to change one thing.
pub trait Ops {
    /// What the network does to pixels first; mean and standard deviation are `[1, C, 1, 1]`.
    fn normalise(&self, x: &Tensor, mean: &Tensor, std: &Tensor) -> Tensor {
        (x - mean) / std
    }

    /// The nonlinearity.
    fn act(&self, x: &Tensor) -> Tensor;

    /// A convolution or linear layer together with the norm that follows it.
    fn affine(&self, layer: &Affine, x: &Tensor) -> Tensor {
        layer.eval(x)
    }

    /// A max-pool.
    fn max_pool(&self, pool: Pool, x: &Tensor) -> Tensor {
        pool.apply(x)
    }

    /// Called once per named place; returns what the network goes on with.
    fn tap(&self, _name: &str, x: Tensor) -> Tensor {
        x
    }
}

/// The ordinary pass: running statistics, nothing recorded.
#[derive(Clone, Copy, Debug)]
pub struct Plain(pub Activation);

impl Ops for Plain {
    fn act(&self, x: &Tensor) -> Tensor {
        self.0.apply(x)
    }
}

/// The ordinary pass with gradients into the weights, norms folded on the way: the numbers of
/// [`Plain`] up to rounding, and second derivatives that touch activations less often.
#[derive(Clone, Copy, Debug)]
pub struct Fused {
    /// The network's own nonlinearity.
    pub activation: Activation,
    /// Type that convolutions and linear layers compute in; weights stay f32.
    pub precision: Precision,
}

impl Ops for Fused {
    fn act(&self, x: &Tensor) -> Tensor {
        self.activation.apply(x)
    }

    fn affine(&self, layer: &Affine, x: &Tensor) -> Tensor {
        layer.fused(x, self.precision)
    }
}

/// The training pass: batch statistics, gradients into the weights; the only one that moves
/// running statistics.
#[derive(Clone, Copy, Debug)]
pub struct Training {
    /// The network's own nonlinearity.
    pub activation: Activation,
    /// Type that convolutions and linear layers compute in; weights stay f32.
    pub precision: Precision,
}

impl Ops for Training {
    fn act(&self, x: &Tensor) -> Tensor {
        self.activation.apply(x)
    }

    fn affine(&self, layer: &Affine, x: &Tensor) -> Tensor {
        layer.train(x, self.precision)
    }
}

/// A pass with the statistics of its batch that moves nothing: the network as its training sees
/// it, so the images of a batch are coupled.
#[derive(Clone, Copy, Debug)]
pub struct BatchStatistics(pub Activation);

impl Ops for BatchStatistics {
    fn act(&self, x: &Tensor) -> Tensor {
        self.0.apply(x)
    }

    fn affine(&self, layer: &Affine, x: &Tensor) -> Tensor {
        layer.batch(x)
    }
}
