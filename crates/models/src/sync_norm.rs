//! The training pass of several processes, each with a part of the batch, whose batch norms use the
//! statistics of the whole batch. The bindings have no way to say what a step's own backward pass
//! is, so the graph is cut in pieces: what a piece gives is the leaf that the next one takes, and
//! the backward pass goes through the pieces from the last to the first. At a norm it stops to add
//! up what every process has to say about the statistics (docs/decisions/mpi.md).

use crate::{Activation, Affine, Ops, Pool, Precision, affine::Norm};
use std::cell::RefCell;
use tch::{Kind, Tensor};

/// One step's pieces, in the order in which they were computed.
pub struct SyncTraining<'a> {
    sum: &'a dyn Fn(&Tensor) -> Tensor,
    /// 1, or 0 for a process that does not count.
    counts: f64,
    pieces: RefCell<Vec<Piece>>,
}

/// Where the graph is cut.
enum Piece {
    /// `leaf` has the values of `end`, and none of its graph.
    Plain { end: Tensor, leaf: Tensor },
    /// The same before a norm.
    Norm(Box<Normed>),
}

/// A norm's input, its own tensors and the leaves that stand for them behind the cut.
struct Normed {
    input: [Tensor; 3],  // z [N, C, H, W], scale [C], shift [C]
    leaves: [Tensor; 3], // of the same shapes
    mean: Tensor,        // [C]
    var: Tensor,         // [C]
    count: Tensor,       // [1]: values a channel, of all processes
    eps: f64,            // added to `var`
}

impl<'a> SyncTraining<'a> {
    /// An empty tape. `sum` adds a tensor up over all processes; every process must come to the same
    /// calls in the same order. One that does not count takes part, but its images say nothing.
    pub fn new(sum: &'a dyn Fn(&Tensor) -> Tensor, counts: bool) -> Self {
        SyncTraining { sum, counts: f64::from(u8::from(counts)), pieces: RefCell::default() }
    }

    /// Gradients of `total`, which came of passes on this tape, in these leaves; undefined where it
    /// does not depend on one. `total` is this process's part of the loss: the parts of all processes
    /// add up to the loss of the batch. A gradient is a part too, still to be added up.
    pub fn gradients(&self, total: &Tensor, leaves: &[Tensor]) -> Vec<Tensor> {
        self.backward(total);
        let taken = |leaf: &Tensor| {
            let g = leaf.grad();
            let own = if g.defined() { g.copy() } else { g };
            leaf.shallow_clone().zero_grad();
            own
        };
        leaves.iter().map(taken).collect()
    }

    fn backward(&self, total: &Tensor) {
        total.backward();
        for piece in self.pieces.take().into_iter().rev() {
            match piece {
                Piece::Plain { end, leaf } => go_on(&[(&end, &leaf.grad())]),
                Piece::Norm(normed) => normed.backward(self),
            }
        }
    }

    /// What no weight has a part in needs no way back.
    fn cut(&self, end: Tensor) -> Tensor {
        if !end.requires_grad() {
            return end;
        }
        let leaf = leaf(&end);
        self.pieces.borrow_mut().push(Piece::Plain { end, leaf: leaf.shallow_clone() });
        leaf
    }

    /// `z` `[N, C, H, W]` after `norm` with the statistics of all processes, which move its running
    /// ones.
    fn norm(&self, norm: &Norm, z: &Tensor) -> Tensor {
        let (mean, var, count) = tch::no_grad(|| {
            let (mean, var, count) = self.statistics(z);
            let unbiased = &var * (&count / (&count - 1.));
            let kind = norm.running_mean.kind();
            let _ = norm.running_mean.shallow_clone().lerp_(&mean.to_kind(kind), norm.momentum);
            let _ = norm.running_var.shallow_clone().lerp_(&unbiased.to_kind(kind), norm.momentum);
            (mean.to_kind(kind), var.to_kind(kind), count.to_kind(kind))
        });
        let input = [z, &norm.scale, &norm.shift].map(Tensor::shallow_clone);
        let leaves = [z, &norm.scale, &norm.shift].map(leaf);
        let eps = norm.eps;
        let out = normalised(&leaves, &mean, &var, eps);
        let normed = Normed { input, leaves, mean, var, count, eps };
        self.pieces.borrow_mut().push(Piece::Norm(Box::new(normed)));
        out
    }

    /// Mean, variance and count of every channel over all processes, f64: they are made of sums that
    /// are taken from each other.
    fn statistics(&self, z: &Tensor) -> (Tensor, Tensor, Tensor) {
        let part = if z.kind() == Kind::BFloat16 { z.to_kind(Kind::Float) } else { z.detach() };
        let (mean, var) = part.batch_norm_update_stats(None::<&Tensor>, None, 0.);
        let (mean, var) = (mean.to_kind(Kind::Double), var.to_kind(Kind::Double));
        let channels = mean.size()[0];
        let count = mean.ones_like().narrow(0, 0, 1) * (z.numel() as f64 / channels as f64);
        let own = Tensor::cat(&[(&var + mean.square()) * &count, &mean * &count, count], 0);
        let all = (self.sum)(&(own * self.counts));
        let count = all.narrow(0, 2 * channels, 1);
        let mean = all.narrow(0, channels, channels) / &count;
        let var = (all.narrow(0, 0, channels) / &count - mean.square()).clamp_min(0.);
        (mean, var, count)
    }
}

impl Normed {
    /// The leaves know the gradient for fixed statistics; with what all processes say about these
    /// it is that of batch norm: g − w/σ · (Σg + x̂ Σ g x̂) / count (Ioffe & Szegedy 2015).
    fn backward(self, tape: &SyncTraining) {
        let [z, scale, shift] = &self.input;
        let [dz, dscale, dshift] = &self.leaves.each_ref().map(Tensor::grad);
        let all = (tape.sum)(&Tensor::cat(&[dscale, dshift], 0)).chunk(2, 0);
        let dz = tch::no_grad(|| {
            let share = scale * -tape.counts / ((&self.var + self.eps).sqrt() * &self.count);
            let [x, by, and] = [z.detach(), &all[0] * &share, &all[1] * &share];
            dz + normalised(&[x, by, and], &self.mean, &self.var, self.eps)
        });
        go_on(&[(z, &dz), (scale, dscale), (shift, dshift)]);
    }
}

fn leaf(t: &Tensor) -> Tensor {
    t.detach().set_requires_grad(true)
}

/// (z − mean) / σ · scale + shift of `[z, scale, shift]`.
fn normalised([z, scale, shift]: &[Tensor; 3], mean: &Tensor, var: &Tensor, eps: f64) -> Tensor {
    let (scale, shift) = (Some(scale), Some(shift));
    z.batch_norm(scale, shift, Some(mean), Some(var), false, 0., eps, true)
}

/// The backward pass from every tensor with its gradient: that of Σ t · g.
fn go_on(pairs: &[(&Tensor, &Tensor)]) {
    let product = |(t, g): &(&Tensor, &Tensor)| (*t * *g).sum(Kind::Float);
    Tensor::stack(&pairs.iter().map(product).collect::<Vec<_>>(), 0).sum(Kind::Float).backward();
}

/// [`crate::Training`] on a tape. It is cut wherever a piece would keep tensors for its backward
/// pass: sums and concatenations keep none, so several pieces may go back through them.
pub struct Shared<'a> {
    /// Type that convolutions and linear layers compute in; weights stay f32.
    pub precision: Precision,
    /// Where the pieces go.
    pub tape: &'a SyncTraining<'a>,
}

impl Ops for Shared<'_> {
    fn act(&self, activation: &Activation, x: &Tensor) -> Tensor {
        self.tape.cut(activation.apply(x))
    }

    fn affine(&self, layer: &Affine, x: &Tensor) -> Tensor {
        let (z, norm, _) = layer.before_norm(x, self.precision);
        match norm {
            Some(norm) => self.tape.norm(norm, &z),
            None => self.tape.cut(z),
        }
    }

    fn max_pool(&self, pool: Pool, x: &Tensor) -> Tensor {
        self.tape.cut(pool.apply(x))
    }

    /// What several operations read would be walked back once for each of them.
    fn other(&self, y: Tensor) -> Tensor {
        self.tape.cut(y)
    }
}
