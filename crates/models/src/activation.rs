//! The pointwise nonlinearities of networks: their values, their slopes, and what stands in for
//! those that bend at a point while an attack needs second derivatives.

use std::{f64::consts, rc::Rc};
use tch::Tensor;

/// A pointwise nonlinearity.
#[derive(Clone, Debug, PartialEq)]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// min(max(x, low), high); ReLU6 has the bounds 0 and 6. A bound may be infinite.
    Clip {
        /// Least value.
        low: f64,
        /// Largest value, above `low`.
        high: f64,
    },
    /// x for x > 0, else `slope` · x.
    LeakyRelu {
        /// Slope below 0.
        slope: f64,
    },
    /// The same with slopes that are trained, in a shape that broadcasts to the input's.
    PRelu {
        /// Slopes below 0, such as `[C, 1, 1]`.
        slope: Rc<Tensor>,
    },
    /// min(max(`scale` · x + `shift`, 0), 1).
    HardSigmoid {
        /// Slope between the bends: 1/6 in PyTorch, 0.2 in Keras.
        scale: f64,
        /// Value at 0.
        shift: f64,
    },
    /// x · min(max(x/6 + 1/2, 0), 1).
    HardSwish,
    /// x for x > 0, else `alpha` (eˣ − 1).
    Elu {
        /// Minus the value at −∞.
        alpha: f64,
    },
    /// λ x for x > 0, else λ α (eˣ − 1), with the constants of Klambauer et al. 2017.
    Selu,
    /// 1 / (1 + e⁻ˣ).
    Sigmoid,
    /// x / (1 + e⁻ˣ), or swish.
    Silu,
    /// tanh x.
    Tanh,
    /// x Φ(x), with the exact error function.
    Gelu,
    /// The same with Φ(x) ≈ (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2.
    GeluTanh,
    /// x tanh(log(1 + eˣ)).
    Mish,
    /// β⁻¹ log(1 + e^{βx}), smooth everywhere; tends to `Relu` as β grows.
    Softplus {
        /// Sharpness; 1/β is about the width of the bend, in units of the activations.
        beta: f64,
    },
    /// A nonlinearity made of linear (or exponential) pieces in which β-softplus replaces every
    /// max(·, 0); [`Activation::softened`] makes it.
    Softened {
        /// What it stands for.
        of: Box<Activation>,
        /// Sharpness of every softplus in it.
        beta: f64,
    },
}

/// λ and α of SELU.
const SELU: [f64; 2] = [1.050_700_987_355_480_5, 1.673_263_242_354_377_2];

/// Slope of HardSwish's gate and its value at 0.
const GATE: [f64; 2] = [1. / 6., 0.5];

impl Activation {
    /// min(max(x, 0), 6).
    pub const RELU6: Activation = Activation::Clip { low: 0., high: 6. };
    /// x for x > 0, else eˣ − 1.
    pub const ELU: Activation = Activation::Elu { alpha: 1. };

    /// The nonlinearity of every entry of `x`.
    pub fn apply(&self, x: &Tensor) -> Tensor {
        match self {
            Activation::Relu => x.relu(),
            Activation::Clip { low, high } => clip(x, *low, *high),
            // Exact on both sides, with PyTorch's slope at 0: that of the negative side.
            Activation::LeakyRelu { slope } => x.relu() + x.clamp_max(0.) * *slope,
            Activation::PRelu { slope } => x.relu() + x.clamp_max(0.) * &**slope,
            Activation::HardSigmoid { scale, shift } => clip(&(x * *scale + *shift), 0., 1.),
            Activation::HardSwish => x.hardswish(),
            Activation::Elu { alpha: 1. } => x.elu(),
            Activation::Elu { alpha } => elu(x, *alpha, &x.relu()),
            Activation::Selu => x.selu(),
            Activation::Sigmoid => x.sigmoid(),
            Activation::Silu => x.silu(),
            Activation::Tanh => x.tanh(),
            Activation::Gelu => x.gelu("none"),
            Activation::GeluTanh => x.gelu("tanh"),
            Activation::Mish => x.mish(),
            Activation::Softplus { beta } => softplus(x, *beta),
            Activation::Softened { of, beta } => of.in_hinges(x, &|z| softplus(z, *beta)),
        }
    }

    /// Its derivative at every entry of `x`, with a graph where `x` has one.
    pub fn slope(&self, x: &Tensor) -> Tensor {
        let step = |z: &Tensor| z.gt(0.).to_kind(z.kind());
        match self {
            Activation::Relu => step(x),
            Activation::Sigmoid => {
                let y = x.sigmoid();
                &y * (1. - &y)
            }
            Activation::Silu => {
                let y = x.sigmoid();
                &y * (x * (1. - &y) + 1.)
            }
            Activation::Tanh => 1. - x.tanh().square(),
            Activation::Gelu => {
                let density = (x.square() * -0.5).exp() / (2. * consts::PI).sqrt();
                ((x / consts::SQRT_2).erf() + 1.) * 0.5 + x * density
            }
            Activation::GeluTanh => {
                let root = (2. / consts::PI).sqrt();
                let y = ((x.square() * 0.044715 + 1.) * x * root).tanh();
                let inner = (x.square() * (3. * 0.044715) + 1.) * root;
                (&y + 1.) * 0.5 + x * (1. - y.square()) * inner * 0.5
            }
            Activation::Mish => {
                let y = softplus(x, 1.).tanh();
                &y + x * (1. - y.square()) * x.sigmoid()
            }
            Activation::Softplus { beta } => (x * *beta).sigmoid(),
            Activation::Elu { alpha: 1. } => x.clamp_max(0.).exp(),
            Activation::Softened { of, beta } => {
                of.slope_in_hinges(x, &|z| softplus(z, *beta), &|z| (z * *beta).sigmoid())
            }
            _ => self.slope_in_hinges(x, &Tensor::relu, &step),
        }
    }

    /// Softplus in place of every max(·, 0) that it is made of; what is smooth already stays.
    pub fn softened(&self, beta: f64) -> Self {
        match self {
            Activation::Relu => Activation::Softplus { beta },
            bent if bent.is_bent() => Activation::Softened { of: Box::new(bent.clone()), beta },
            smooth => smooth.clone(),
        }
    }

    /// Whether its slope jumps somewhere.
    fn is_bent(&self) -> bool {
        match self {
            Activation::Relu
            | Activation::Clip { .. }
            | Activation::LeakyRelu { .. }
            | Activation::PRelu { .. }
            | Activation::HardSigmoid { .. }
            | Activation::HardSwish
            | Activation::Selu => true,
            Activation::Elu { alpha } => *alpha != 1.,
            _ => false,
        }
    }

    /// A bent nonlinearity as a sum of hinges: `hinge` is max(·, 0) or what stands for it.
    fn in_hinges(&self, x: &Tensor, hinge: &dyn Fn(&Tensor) -> Tensor) -> Tensor {
        match self {
            Activation::Clip { low, high } => match (low.is_finite(), high.is_finite()) {
                (true, true) => hinge(&(x - *low)) - hinge(&(x - *high)) + *low,
                (true, false) => hinge(&(x - *low)) + *low,
                (false, true) => x - hinge(&(x - *high)),
                (false, false) => x.shallow_clone(),
            },
            Activation::LeakyRelu { slope } => x * *slope + hinge(x) * (1. - slope),
            Activation::PRelu { slope } => x * &**slope + hinge(x) * (1. - &**slope),
            Activation::HardSigmoid { scale, shift } => gate(x, [*scale, *shift], hinge),
            Activation::HardSwish => x * gate(x, GATE, hinge),
            Activation::Elu { alpha } => elu(x, *alpha, &hinge(x)),
            Activation::Selu => elu(x, SELU[1], &hinge(x)) * SELU[0],
            _ => hinge(x),
        }
    }

    /// Its slope, where `step` is that of `hinge`.
    fn slope_in_hinges(
        &self,
        x: &Tensor,
        hinge: &dyn Fn(&Tensor) -> Tensor,
        step: &dyn Fn(&Tensor) -> Tensor,
    ) -> Tensor {
        let elu = |alpha: f64| x.clamp_max(0.).exp() * alpha + step(x) * (1. - alpha);
        match self {
            Activation::Clip { low, high } => match (low.is_finite(), high.is_finite()) {
                (true, true) => step(&(x - *low)) - step(&(x - *high)),
                (true, false) => step(&(x - *low)),
                (false, true) => 1. - step(&(x - *high)),
                (false, false) => x.ones_like(),
            },
            Activation::LeakyRelu { slope } => step(x) * (1. - slope) + *slope,
            Activation::PRelu { slope } => step(x) * (1. - &**slope) + &**slope,
            Activation::HardSigmoid { scale, shift } => gate(x, [*scale, *shift], step) * *scale,
            Activation::HardSwish => gate(x, GATE, hinge) + x * gate(x, GATE, step) * GATE[0],
            Activation::Elu { alpha } => elu(*alpha),
            Activation::Selu => elu(SELU[1]) * SELU[0],
            _ => step(x),
        }
    }
}

/// libtorch's softplus is cut off, and its backward pass makes the exponential again.
fn softplus(x: &Tensor, beta: f64) -> Tensor {
    (x * -beta).log_sigmoid() / -beta
}

/// Gradients pass where low < x ≤ high: at `low` as at ReLU's 0.
fn clip(x: &Tensor, low: f64, high: f64) -> Tensor {
    let above = if low.is_finite() { x.threshold(low, low) } else { x.shallow_clone() };
    if high.is_finite() { above.clamp_max(high) } else { above }
}

/// The hinge at 0 less that at 1 of z = `scale` · x + `shift`.
fn gate(x: &Tensor, [scale, shift]: [f64; 2], hinge: &dyn Fn(&Tensor) -> Tensor) -> Tensor {
    let z = x * scale + shift;
    hinge(&z) - hinge(&(z - 1.))
}

/// α elu(x) + (1 − α) max(x, 0), which `hinge` is: x above 0, α (eˣ − 1) below.
fn elu(x: &Tensor, alpha: f64, hinge: &Tensor) -> Tensor {
    x.elu() * alpha + hinge * (1. - alpha)
}
