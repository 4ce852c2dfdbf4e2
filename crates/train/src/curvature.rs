//! Curvature of cross-entropy at an image: ξ_max, the largest eigenvalue of H = W(diag p − ppᵀ)Wᵀ
//! with W = ∂logits/∂x (Wang et al. 2020, Def. 7). H is the Hessian of cross-entropy where the
//! network is piecewise linear, and its Gauss-Newton part where activations are smooth.
//! With J = ∂(2√p)/∂x, H = JᵀJ: so ξ_max = λ_max(JJᵀ) = ‖∇ₓ(2√p·u)‖² at its unit eigenvector u.

use models::{
    Classifier, Model,
    grad::{Graph, pull},
    jvp::TrainedPass,
    linalg,
};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

/// Which input gradients the eigenvalue is of.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// With respect to every number of the image, as in the paper.
    #[default]
    All,
    /// Averaged over the channels, as in the paper's code.
    Mean,
}

impl Channels {
    /// Input gradients `[N, C, H, W]` -> `[N, D]`.
    fn flat(self, g: &Tensor) -> Tensor {
        match self {
            Channels::All => g.flatten(1, -1),
            Channels::Mean => g.mean_dim([1i64].as_slice(), false, g.kind()).flatten(1, -1),
        }
    }

    /// Its transpose: `[N, D]` -> images like `x`, `[N, C, H, W]`.
    fn spread(self, v: &Tensor, x: &Tensor) -> Tensor {
        match self {
            Channels::All => v.view_as(x),
            Channels::Mean => {
                let of = x.narrow(1, 0, 1);
                (v.view_as(&of) / x.size()[1] as f64).expand_as(x)
            }
        }
    }
}

/// ξ_max of the images `x`, `[N, C, H, W]`: f32 `[N]` on the CPU. A folded `model` is fastest.
pub fn curvature(model: &Classifier, x: &Tensor) -> Tensor {
    let x = x.detach().set_requires_grad(true);
    let logits = tch::with_grad(|| model.logits(&x));
    let top = exact(&logits, &x, Channels::All);
    top.xi.to_device(Device::Cpu).to_kind(Kind::Float)
}

/// The largest eigenvalue of each image and its eigenvectors; no graph.
pub(crate) struct Top {
    /// Unit eigenvector of JJᵀ, in the space of classes `[N, K]`.
    pub u: Tensor,
    /// Eigenvector Jᵀu of JᵀJ, in the space of pixels `[N, D]`.
    pub v: Tensor,
    /// ξ_max `[N]`.
    pub xi: Tensor,
}

/// The top eigenvector from K − 1 backward passes from `logits` to `x`, whose graph stays: √p is in
/// the kernel of JJᵀ, so the rows of J along an orthonormal basis of what is left say all.
pub(crate) fn exact(logits: &Tensor, x: &Tensor, channels: Channels) -> Top {
    let roots = tch::with_grad(|| twice_roots(logits));
    let basis = complement(&(roots.detach() / 2.));
    let count = basis.size()[2];
    if count == 0 {
        let u = roots.detach().zeros_like();
        let v = channels.flat(&x.detach()).zeros_like();
        return Top { xi: squared(&u), u, v };
    }
    let row = |k: i64| {
        let out = tch::with_grad(|| (&roots * basis.select(2, k)).sum(None::<Kind>));
        channels.flat(&Tensor::run_backward(&[&out], &[x], true, false).remove(0))
    };
    let rows = Tensor::stack(&(0..count).map(row).collect::<Vec<_>>(), 1); // [N, K − 1, D]
    let top = linalg::top(&rows.bmm(&rows.transpose(1, 2))).unsqueeze(2); // [N, K − 1, 1]
    let v = rows.transpose(1, 2).bmm(&top).squeeze_dim(2);
    Top { u: basis.bmm(&top).squeeze_dim(2), xi: squared(&v), v }
}

/// The unit vectors `last` `[N, K]`, or for images where they are zero the direction that separates their two
/// most probable classes.
pub(crate) fn begun(logits: &Tensor, last: &Tensor) -> Tensor {
    let roots = twice_roots(&logits.detach());
    if roots.size()[1] < 2 {
        return last.shallow_clone();
    }
    let new = last.abs().amax([1i64].as_slice(), true).eq(0.);
    separating(&roots).where_self(&new, last)
}

/// Jᵀu `[N, D]` of the unit vectors `u` `[N, K]`: one backward pass from `logits` to `x`, whose graph stays.
pub(crate) fn pulled(logits: &Tensor, x: &Tensor, u: &Tensor, channels: Channels) -> Tensor {
    let out = tch::with_grad(|| (twice_roots(logits) * u).sum(None::<Kind>));
    channels.flat(&Tensor::run_backward(&[&out], &[x], true, false).remove(0))
}

/// Jv `[N, K]` of the directions `v` `[N, D]`, held and made unit vectors, with a graph into the weights: half a
/// power iteration on from Jᵀu. ‖Jv‖² is at most ξ_max; at the top eigenvector it is ξ_max, and so is its
/// gradient in the weights (envelope theorem), the part through p included.
pub(crate) fn pushed(pass: &TrainedPass, x: &Tensor, v: &Tensor, channels: Channels) -> Tensor {
    let t = pass.along(&channels.spread(&unit(v), x));
    let log_p = pass.logits.log_softmax(1, pass.logits.kind());
    let mean = (log_p.exp() * &t).sum_dim_intlist([1i64].as_slice(), true, t.kind());
    (log_p * 0.5).exp() * (t - mean)
}

/// The unit vectors of `rows` `[N, D]`; zero where they say nothing.
fn unit(rows: &Tensor) -> Tensor {
    // Scaled first: squares of what a confident image has left would be zero.
    let scaled = rows / rows.abs().amax([1i64].as_slice(), true);
    let unit = &scaled / squared(&scaled).sqrt().unsqueeze(1);
    unit.where_self(&unit.isfinite().all_dim(1, true), &rows.zeros_like())
}

/// The unit vectors of `image` `[N, K]`, a power iteration's result up to a positive factor, where
/// they say something; elsewhere `u`, or zero.
pub(crate) fn next(u: &Tensor, image: &Tensor) -> Tensor {
    let next = unit(image);
    let says = next.abs().amax([1i64].as_slice(), true).gt(0.);
    let next = next.where_self(&says, u);
    next.where_self(&next.isfinite().all_dim(1, true), &u.zeros_like())
}

/// One power iteration from the unit vectors `u` `[N, K]`, for a network that cannot be followed along a
/// direction: two backward passes from `logits` to `x`, whose graph stays.
pub(crate) fn turned(logits: &Tensor, x: &Tensor, u: &Tensor, channels: Channels) -> Tensor {
    let from = u.copy().set_requires_grad(true);
    let half = along(logits, x, &from, channels).sum(None::<Kind>) / 2.;
    let image = Tensor::run_backward(&[&half], &[&from], true, false).remove(0); // JJᵀu
    next(u, &image)
}

/// ‖Jᵀu‖² `[N]` of the images `x` of `logits`, with a graph into the weights and into `u` `[N, K]`, through the
/// backward pass. At the top eigenvector its gradient in the weights is that of ξ_max.
pub(crate) fn along(logits: &Tensor, x: &Tensor, u: &Tensor, channels: Channels) -> Tensor {
    let out = (twice_roots(logits) * u).sum(None::<Kind>);
    squared(&channels.flat(&pull(&out, x, Graph::Keep)))
}

/// ξ_max `[N]` as the paper has it: every row of W with a graph, the eigenvalue of Mᵀ(WᵀW)M with
/// M = diag(√p) − p√pᵀ. The reference; dear.
pub(crate) fn naive(logits: &Tensor, x: &Tensor, channels: Channels) -> Tensor {
    let row = |k: i64| channels.flat(&pull(&logits.select(1, k).sum(None::<Kind>), x, Graph::Keep));
    let rows = Tensor::stack(&(0..logits.size()[1]).map(row).collect::<Vec<_>>(), 1); // [N, K, D]
    let p = logits.softmax(1, logits.kind());
    let root = twice_roots(logits) / 2.;
    let m = root.diag_embed(0, 1, 2) - p.unsqueeze(2).matmul(&root.unsqueeze(1));
    let wm = rows.transpose(1, 2).bmm(&m); // [N, D, K]
    let gram = wm.transpose(1, 2).bmm(&wm);
    linalg::largest(&gram)
}

/// 2√p of logits `[N, K]`; through the logarithm, so that gradients are bounded.
fn twice_roots(logits: &Tensor) -> Tensor {
    (logits.log_softmax(1, logits.kind()) * 0.5).exp() * 2.
}

/// The sum of squares of each row of `[N, D]`: `[N]`.
pub(crate) fn squared(rows: &Tensor) -> Tensor {
    rows.square().sum_dim_intlist([1i64].as_slice(), false, rows.kind())
}

/// An orthonormal basis `[N, K, K − 1]` of what is orthogonal to the unit vectors `root` `[N, K]`:
/// a Householder reflection without its first column, which is −root.
fn complement(root: &Tensor) -> Tensor {
    let k = root.size()[1];
    let first = root.narrow(1, 0, 1);
    let v = Tensor::cat(&[&first + 1., root.narrow(1, 1, k - 1)], 1);
    let scaled = &v / (first + 1.);
    let reflection =
        v.ones_like().diag_embed(0, 1, 2) - v.unsqueeze(2).matmul(&scaled.unsqueeze(1));
    reflection.narrow(2, 1, k - 1)
}

/// Unit vectors `[N, K]`, orthogonal to √p, that separate the two most probable classes.
fn separating(twice_roots: &Tensor) -> Tensor {
    let (two, classes) = twice_roots.topk(2, 1, true, true);
    let turned = Tensor::cat(&[two.narrow(1, 1, 1), -two.narrow(1, 0, 1)], 1);
    let unit = &turned / squared(&turned).sqrt().unsqueeze(1);
    twice_roots.zeros_like().scatter(1, &classes, &unit)
}
