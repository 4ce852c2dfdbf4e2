//! What a network is to everybody else.

use crate::{Activation, Ops, Plain};
use tch::{Device, Kind, Tensor};

/// A classifier. Its weights are fixed; everything else about a pass is in [`Ops`].
///
/// ```
/// use models::{Activation, Affine, Builder, Model, Ops};
/// use tch::{Device, Kind, Tensor};
///
/// struct OneHidden {
///     hidden: Affine,
///     logits: Affine,
/// }
///
/// impl Model for OneHidden {
///     fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
///         let hidden = ops.act(&Activation::Relu, &ops.affine(&self.hidden, &x.flatten(1, -1)));
///         ops.affine(&self.logits, &ops.tap("hidden", hidden))
///     }
///     fn activation(&self) -> Option<Activation> {
///         Some(Activation::Relu)
///     }
///     fn taps(&self) -> Vec<&str> {
///         vec!["hidden"]
///     }
/// }
///
/// let b = Builder::new(0, Device::Cpu);
/// let hidden = Affine::linear(&b, "hidden", 4, 8);
/// let model = OneHidden { hidden, logits: Affine::linear(&b, "logits", 8, 3) };
/// let x = Tensor::rand([5, 1, 2, 2], (Kind::Float, Device::Cpu));
/// assert_eq!(model.logits(&x).size(), [5, 3]);
/// ```
pub trait Model {
    /// x `[N, C, H, W]` -> logits `[N, K]`.
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor;

    /// The nonlinearity, if it is the same everywhere.
    fn activation(&self) -> Option<Activation> {
        None
    }

    /// Names that `forward` passes to [`Ops::tap`], input side first.
    fn taps(&self) -> Vec<&str> {
        vec![]
    }

    /// Whether `forward` is linear but for what it leaves to [`Ops`].
    fn nonlinear_only_in_ops(&self) -> bool {
        false
    }

    /// The number of images that are computed together, where it is fixed: more go in groups of so
    /// many through the same [`Ops`], fewer with copies of the last one behind them.
    fn fixed_batch(&self) -> Option<i64> {
        None
    }

    /// Whether only the directions of its derivatives matter, not their last digits: then the cheapest
    /// formulas will do ([`jvp::CurvedPass`](crate::jvp::CurvedPass)).
    fn is_rough(&self) -> bool {
        false
    }

    /// The type of its images and where they are, for who has none at hand.
    fn place(&self) -> (Kind, Device) {
        (Kind::Float, Device::Cpu)
    }

    /// The ordinary pass: x `[N, C, H, W]` -> logits `[N, K]`.
    fn logits(&self, x: &Tensor) -> Tensor {
        self.forward(x, &Plain)
    }
}
