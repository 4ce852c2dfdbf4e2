//! Attempts, one after the other, on the images that are still right.

use super::{adversary::AttackInput, loss::without};
use crate::Best;
use tch::{Kind, Tensor};

/// As many other classes are tried, from the strongest down.
const TARGETS: i64 = 9;

/// Makes up to `n` attempts on each image that is still right; the best images `[N, C, H, W]`.
pub(super) fn attempts(
    input: &AttackInput,
    n: u32,
    once: impl Fn(u32, &AttackInput) -> Best,
) -> Tensor {
    let mut best = clean(input);
    for attempt in 0..n {
        let open = still_correct(&best);
        if open.is_empty() {
            break;
        }
        let mut part = best.pick(&open);
        part.keep(&once(attempt, &input.pick(&open)));
        best.put(&open, &part);
    }
    best.images
}

/// Makes `restarts` attempts towards each of the strongest other classes in turn; `once` is given the
/// class of each image, i64 `[N]`, the number of the attempt and that of the start for this class.
pub(super) fn towards(
    input: &AttackInput,
    restarts: u32,
    once: impl Fn(&AttackInput, &Tensor, [u32; 2]) -> Best,
) -> Tensor {
    let targets = TARGETS.min(input.classes() - 1) as u32;
    attempts(input, targets * restarts, |attempt, input| {
        let logits = tch::no_grad(|| input.model.logits(&input.x));
        let order = without(&logits, &input.y).argsort(1, true);
        let target = order.select(1, i64::from(attempt / restarts));
        once(input, &target, [attempt, attempt % restarts])
    })
}

/// Images, the values `[N]` that were climbed there, and whether the network is wrong, bool `[N]`:
/// wrong is better than right, then the larger value is.
pub(super) fn seen(images: &Tensor, value: &Tensor, wrong: &Tensor) -> Best {
    Best {
        images: images.detach(),
        measure: wrong.logical_not().to_kind(Kind::Float),
        loss: value.neg(),
        success: wrong.shallow_clone(),
    }
}

/// The clean images, below every value.
fn clean(input: &AttackInput) -> Best {
    let logits = tch::no_grad(|| input.model.logits(&input.x));
    let value = logits.select(1, 0).full_like(f64::NEG_INFINITY);
    seen(&input.x, &value, &logits.argmax(1, false).ne_tensor(&input.y))
}

/// Numbers of the images that are still right. Waits for the device.
pub(super) fn still_correct(best: &Best) -> Vec<i64> {
    let right = best.success.logical_not().nonzero().view(-1);
    Vec::try_from(right).expect("numbers in one dimension")
}
