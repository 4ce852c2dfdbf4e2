//! FAB towards each of the strongest other classes (Croce & Hein 2020, "Minimally distorted
//! adversarial examples with a fast adaptive boundary attack", as AutoAttack runs it): steps to the
//! boundary between two classes, linearised, drawn back to the clean image, so that what is found is
//! near. It breaks an image where the nearest is within the ball.

use super::{
    adversary::{Adversary, AttackInput},
    apgd::{Options, boundary},
    attempts::{seen, towards},
    loss::Loss,
};
use crate::{Ball, Best, Norm};
use anyhow::Result;
use models::{Target, grad::value_and_grad};
use registry::{Entry, described};
use tch::{Kind, Tensor};

/// In the list of attacks on predictions.
pub(super) const TARGETED: Entry<dyn Adversary> = Entry {
    name: "fab-t",
    about: "fast adaptive boundary attack towards each of the 9 strongest other classes (Croce & \
            Hein 2020)",
    options: described::<Options>(&[
        ("steps", "steps for each class"),
        ("restarts", "starts for each class, after the clean image random ones"),
    ])
    .option_aliases(&[("n_iter", "steps"), ("n_restarts", "restarts")]),
    build: |t| Ok(Box::new(Fab(Options::parse(t)?))),
};

/// η: how far beyond the boundary a step goes.
const BEYOND: f64 = 1.05;
/// α_max: the largest share of the way from the clean image in a step.
const CLEAN: f64 = 0.1;
/// β: what a misclassified image keeps of its change before it goes on.
const KEPT: f64 = 0.9;
/// Guards divisions.
const TINY: f64 = 1e-30;
/// What a step is long at least where shares of steps are compared, as published.
const SHORT: f64 = 1e-8;

/// FAB towards each of the strongest other classes in turn.
struct Fab(Options);

impl Adversary for Fab {
    fn attack(&self, input: &AttackInput) -> Tensor {
        towards(input, self.0.restarts, |input, target, [attempt, start]| {
            let half = Ball { eps: input.ball.eps / 2., ..input.ball };
            let start = match start {
                0 => input.x.shallow_clone(),
                _ => boundary(&input.x, &half, &input.keyed("fab-t", attempt)),
            };
            self.nearest(input, target, start)
        })
    }

    fn check(&self, classes: i64) -> Result<()> {
        Loss::Ce.check_untargeted(classes)
    }
}

/// One number an image beside images.
fn wide(t: &Tensor) -> Tensor {
    t.view([-1, 1, 1, 1])
}

impl Fab {
    /// The nearest misclassified images on the way from `start`; broken where they are in the ball.
    fn nearest(&self, input: &AttackInput, target: &Tensor, start: Tensor) -> Best {
        let AttackInput { model, x: clean, y, ball, .. } = input;
        let [theirs, own] = [target, y].map(Target::logit);
        let (mut x, mut nearest) = (start, clean.shallow_clone());
        let mut radius = own.class.to_kind(clean.kind()).full_like(f64::INFINITY);
        for _ in 0..self.0.steps {
            let (gap, slope) = value_and_grad(&x, |x| {
                let logits = model.logits(x);
                theirs.of(&logits) - own.of(&logits)
            });
            let plane = Plane { norm: ball.norm, at: &x, gap, slope };
            let (here, there) = (plane.way(&x), plane.way(clean));
            let [long, other] = [&here, &there].map(|way| ball.length(way).clamp_min(SHORT));
            let share = (&long / (&long + other)).clamp_max(CLEAN);
            let from_here = &x + here * BEYOND;
            let from_clean = clean + there * BEYOND;
            x = (&from_here + (from_clean - &from_here) * share).clamp(0., 1.);
            let wrong = tch::no_grad(|| model.logits(&x)).argmax(1, false).ne_tensor(y);
            let far = ball.distance(clean, &x);
            let nearer = wrong.logical_and(&far.less_tensor(&radius));
            nearest = x.where_self(&wide(&nearer), &nearest);
            radius = far.where_self(&nearer, &radius);
            x = (clean + (&x - clean) * KEPT).where_self(&wide(&wrong), &x);
        }
        let broken = radius.le(ball.eps);
        seen(&nearest.where_self(&wide(&broken), clean), &-radius, &broken)
    }
}

/// Where the logit of the target, linearised at `at`, is that of the label.
struct Plane<'a> {
    norm: Norm,
    at: &'a Tensor,
    /// Target's logit minus the label's there, `[N]`, and its gradient, `[N, C, H, W]`.
    gap: Tensor,
    slope: Tensor,
}

impl Plane<'_> {
    /// The shortest change of `x` within [0, 1] that reaches the plane; as far as there is room where
    /// none does. Pixels move towards it each at its speed (ℓ∞: 1; ℓ2: its slope) for the same time λ or
    /// to their border; how near that comes is linear between the times at which pixels stop.
    fn way(&self, x: &Tensor) -> Tensor {
        let sum = |t: &Tensor| t.sum_dim_intlist([1].as_slice(), true, t.kind());
        let [w, x_flat, at] = [&self.slope, x, self.at].map(|t| t.flatten(1, -1));
        let off = sum(&(&w * (&x_flat - at))) + self.gap.view([-1, 1]);
        let away = off.ge(0.).to_kind(w.kind()) * -2. + 1.; // −1 where the slope must be descended
        let direction = w.sign() * away;
        let above: Tensor = 1. - &x_flat;
        let room = above.where_self(&direction.gt(0.), &x_flat);
        let size = w.abs();
        let speed = match self.norm {
            Norm::Linf => size.ones_like(),
            Norm::L2 => size.shallow_clone(),
        };
        let (stops, order) = (&room / speed.clamp_min(TINY)).sort(1, false);
        // How much nearer all pixels come that have stopped, and in a unit of time those that have not:
        // a sum from the end, because a difference of sums would be rounding where little is left.
        let sorted = |t: &Tensor| t.gather(1, &order, false);
        let come = sorted(&(&size * &room)).cumsum(1, size.kind());
        let speeds = sorted(&(&size * &speed)).flip([1]).cumsum(1, size.kind()).flip([1]);
        let speeds = speeds.constant_pad_nd([0, 1]);
        let near = &come + stops * speeds.narrow(1, 1, come.size()[1]);
        let stopped = near.less_tensor(&off.abs());
        let stopped = stopped.sum_dim_intlist([1].as_slice(), true, Kind::Int64);
        let left = off.abs() - come.constant_pad_nd([1, 0]).gather(1, &stopped, false);
        let time = left / speeds.gather(1, &stopped, false).clamp_min(TINY);
        (direction * (time * speed).minimum(&room)).view_as(x)
    }
}
