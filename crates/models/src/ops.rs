//! The few operations a network is written in. Training or not, ReLU or softplus, recording,
//! rules of their own backwards: each is an [`Ops`]; none is a flag or a hook.

use crate::{Activation, Affine, Precision};
use std::cell::{Cell, RefCell};
use tch::Tensor;

mod softened;

pub(crate) use softened::softening;
pub use softened::{SHARPNESS, grown, softened, softened_by, softened_roughly, spreads};

/// A max-pool; what pads the borders never wins. Numbers are those of height and width: a pool over
/// one axis is one of height 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Sides of the window.
    pub kernel: [i64; 2],
    /// Steps between windows.
    pub stride: [i64; 2],
    /// Places added before and after.
    pub padding: [[i64; 2]; 2],
    /// Steps between the entries of a window; 1 where they are neighbours.
    pub dilation: [i64; 2],
}

impl Pool {
    /// The same in height and width.
    pub fn square(kernel: i64, stride: i64, padding: i64) -> Self {
        let [kernel, stride] = [kernel, stride].map(|n| [n, n]);
        Pool { kernel, stride, padding: [[padding; 2]; 2], dilation: [1, 1] }
    }

    /// The largest entry of each window: `[N, C, H, W]` -> `[N, C, H', W']`.
    pub fn apply(self, x: &Tensor) -> Tensor {
        let (x, padding) = self.padded(x);
        x.max_pool2d(self.kernel, self.stride, padding, self.dilation, false)
    }

    /// The same and where each was found, i64, counted row by row in its channel.
    pub fn winners(self, x: &Tensor) -> (Tensor, Tensor) {
        let Pool { kernel, stride, padding: [[top, _], [left, _]], dilation } = self;
        let (padded, padding) = self.padded(x);
        let (values, at) = padded.max_pool2d_with_indices(kernel, stride, padding, dilation, false);
        if padded.size() == x.size() {
            return (values, at);
        }
        let [width, own] = [&padded, x].map(|t| t.size()[3]);
        let (row, column) =
            (at.divide_scalar_mode(width, "floor") - top, at.remainder(width) - left);
        (values, row * own + column)
    }

    /// x, and the padding that is left to libtorch, which pads both sides alike and by half a window
    /// at most.
    fn padded(self, x: &Tensor) -> (Tensor, [i64; 2]) {
        let [[top, bottom], [left, right]] = self.padding;
        let half = 2 * top <= self.kernel[0] && 2 * left <= self.kernel[1];
        match half && top == bottom && left == right {
            true => (x.shallow_clone(), [top, left]),
            false => (x.pad([left, right, top, bottom], "constant", f64::NEG_INFINITY), [0, 0]),
        }
    }
}

/// How one pass treats each operation. Override one method to change one thing.
///
/// ```
/// use models::{Classifier, Model, Ops, zoo, zoo::Normalisation};
/// use std::cell::RefCell;
/// use tch::{Device, Kind, Tensor};
///
/// /// The ordinary pass; notes the places of the network.
/// #[derive(Default)]
/// struct Noting(RefCell<Vec<String>>);
///
/// impl Ops for Noting {
///     fn tap(&self, name: &str, x: Tensor) -> Tensor {
///         self.0.borrow_mut().push(name.to_owned());
///         x
///     }
/// }
///
/// # let arch = zoo::arch("mlp")?;
/// # let scale = Normalisation::parse(arch.normalise, 2)?;
/// # let model = Classifier::new(arch, arch.shape, scale, 0, Device::Cpu);
/// let noting = Noting::default();
/// model.forward(&Tensor::zeros([1, 2, 1, 1], (Kind::Float, Device::Cpu)), &noting);
/// assert_eq!(noting.0.into_inner(), ["hidden1", "hidden2"]);
/// # Ok::<(), anyhow::Error>(())
/// ```
pub trait Ops {
    /// What the network does to pixels first; mean and standard deviation are `[1, C, 1, 1]`.
    fn normalise(&self, x: &Tensor, mean: &Tensor, std: &Tensor) -> Tensor {
        (x - mean) / std
    }

    /// A pointwise nonlinearity.
    fn act(&self, activation: &Activation, x: &Tensor) -> Tensor {
        activation.apply(x)
    }

    /// A convolution or linear layer together with the norm that follows it.
    fn affine(&self, layer: &Affine, x: &Tensor) -> Tensor {
        layer.eval(x)
    }

    /// A max-pool.
    fn max_pool(&self, pool: Pool, x: &Tensor) -> Tensor {
        pool.apply(x)
    }

    /// Called with what every other operation that is not linear gives: softmax, gates, norms of
    /// layers, products of activations.
    fn other(&self, y: Tensor) -> Tensor {
        y
    }

    /// Called once per named place; returns what the network goes on with.
    fn tap(&self, _name: &str, x: Tensor) -> Tensor {
        x
    }
}

/// The ordinary pass: running statistics, nothing recorded.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl Ops for Plain {}

/// The ordinary pass with gradients into the weights, norms folded on the way: the numbers of
/// [`Plain`] up to rounding, and second derivatives that touch activations less often.
#[derive(Clone, Copy, Debug)]
pub struct Fused {
    /// Type that convolutions and linear layers compute in; weights stay f32.
    pub precision: Precision,
}

impl Ops for Fused {
    fn affine(&self, layer: &Affine, x: &Tensor) -> Tensor {
        layer.fused(x, self.precision)
    }
}

/// The training pass: batch statistics, gradients into the weights; the only one that moves
/// running statistics.
#[derive(Clone, Copy, Debug)]
pub struct Training {
    /// Type that convolutions and linear layers compute in; weights stay f32.
    pub precision: Precision,
}

impl Ops for Training {
    fn affine(&self, layer: &Affine, x: &Tensor) -> Tensor {
        layer.train(x, self.precision)
    }
}

/// A pass with the statistics of its batch that moves nothing: the network as its training sees
/// it, so the images of a batch are coupled.
#[derive(Clone, Copy, Debug)]
pub struct BatchStatistics;

impl Ops for BatchStatistics {
    fn affine(&self, layer: &Affine, x: &Tensor) -> Tensor {
        layer.batch(x)
    }
}

/// A pass with the statistics of one batch for whatever images: each image by itself, as training
/// sees it among the others. Gradients into the weights know that statistics depend on them.
#[derive(Debug, Default)]
pub struct HeldStatistics {
    /// Mean and variance of what comes before each norm, input side first.
    held: RefCell<Vec<(Tensor, Tensor)>>,
    /// The norm that comes next; none while statistics are taken.
    next: Cell<Option<usize>>,
}

impl HeldStatistics {
    /// Those that `pass` meets, for passes of the same network; out of reach of its images if they are
    /// detached.
    pub fn of(pass: impl FnOnce(&dyn Ops) -> Tensor) -> Self {
        let held = Self::default();
        let _ = pass(&held);
        held.next.set(Some(0));
        held
    }

    /// A layer with the statistics that its norm has; the weight that it multiplies by, and what its norm
    /// multiplies by after that, `[1, C, 1, …]`.
    pub(crate) fn affine_with_parts(
        &self,
        layer: &Affine,
        x: &Tensor,
    ) -> (Tensor, Tensor, Option<Tensor>) {
        let (z, norm, weight) = layer.before_norm(x, Precision::F32);
        let Some(norm) = norm else { return (z, weight, None) };
        let mut held = self.held.borrow_mut();
        let at = self.next.get().unwrap_or_else(|| {
            held.push(norm.statistics(&z));
            held.len() - 1
        });
        self.next.set(self.next.get().map(|at| at + 1));
        let (y, gain) = norm.apply_with(&z, &held[at]);
        (y, weight, Some(gain))
    }
}

impl Ops for HeldStatistics {
    fn normalise(&self, x: &Tensor, mean: &Tensor, std: &Tensor) -> Tensor {
        self.next.set(self.next.get().map(|_| 0));
        (x - mean) / std
    }

    fn affine(&self, layer: &Affine, x: &Tensor) -> Tensor {
        self.affine_with_parts(layer, x).0
    }
}
