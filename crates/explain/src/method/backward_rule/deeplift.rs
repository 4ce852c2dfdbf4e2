//! DeepLIFT's rescale rule (Shrikumar et al. 2017) against an image of one value: at every
//! nonlinearity slopes are Δoutput/Δinput between image and baseline, so maps sum to f(x) − f(b).
//! Attention and layer norm have their gradient at the image instead: on Swin a gap remains.

use crate::{Attribution, Batch, engine::chunks};
use anyhow::{Result, bail, ensure};
use models::{Activation, Model, Ops, Pool, Score, Target, grad};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use toml::Table;

/// In the list of methods.
pub(crate) const ENTRY: Entry<dyn Attribution> = Entry {
    name: "deeplift",
    about: "DeepLIFT, rescale rule, times x − baseline (Shrikumar et al. 2017)",
    options: described::<DeepLift>(&[(
        "baseline",
        "value of every pixel of the reference, in [0, 1]",
    )])
    .alias(&["DeepLift"]),
    build,
};

/// Below this difference of inputs a slope is the derivative.
const NEAR: f64 = 1e-7;

/// Entries of a window that differ by less are a tie; in units of one plus the largest.
const TIE: f64 = 1e-5;

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct DeepLift {
    #[serde(default, deserialize_with = "registry::fraction")]
    baseline: f64,
}

fn build(table: Table) -> Result<Box<dyn Attribution>> {
    let options: DeepLift = registry::options(table)?;
    let value = options.baseline;
    ensure!((0. ..=1.).contains(&value), "`baseline` is {value}; pixels are in [0, 1]");
    Ok(Box::new(options))
}

impl DeepLift {
    /// `[1, C, H, W]`, the same for all images.
    fn reference(&self, x: &Tensor) -> Tensor {
        x.detach().narrow(0, 0, 1).full_like(self.baseline)
    }

    /// The images and, as one more, their baseline in one pass.
    fn one_pass(&self, model: &dyn Model, batch: &Batch) -> Tensor {
        let reference = self.reference(&batch.x);
        let multipliers = grad::grad(&batch.x, |x| {
            let logits = model.forward(&Tensor::cat(&[x, &reference], 0), &Rescale);
            score(&batch.target, &logits)
        });
        (batch.x.detach() - reference) * multipliers
    }
}

impl Attribution for DeepLift {
    fn check(&self, model: &dyn Model, _image: [i64; 3]) -> Result<()> {
        let Some(fixed) = model.fixed_batch() else { return Ok(()) };
        bail!(
            "image and baseline go through one pass, and a batch of {fixed} is built into the model"
        )
    }

    fn attribute(&self, model: &dyn Model, batch: &Batch) -> Tensor {
        // The baseline is one image more.
        let images = |chunk| chunk - 1;
        let [map] = chunks::map_sized(batch, images, |pass| [self.one_pass(model, &pass.block)]);
        map
    }

    fn convergence_delta(&self, model: &dyn Model, batch: &Batch, map: &Tensor) -> Option<Tensor> {
        let there = batch.logits(model);
        let here = tch::no_grad(|| model.logits(&self.reference(&batch.x)));
        let rise = batch.target.of(&there) - batch.target.of(&here.expand_as(&there));
        Some(rise - map.detach().sum_dim_intlist([1, 2, 3].as_slice(), false, None::<Kind>))
    }
}

/// All rows but the last are images, the last one is the baseline of them all.
fn apart(z: &Tensor) -> (Tensor, Tensor) {
    let n = z.size()[0] - 1;
    (z.narrow(0, 0, n), z.narrow(0, n, 1).detach())
}

/// The value of `value`, with `surrogate` for the gradient, and the baseline below.
fn joined(value: &Tensor, surrogate: &Tensor, reference: &Tensor) -> Tensor {
    let images = grad::swap_gradient(&value.detach(), surrogate);
    Tensor::cat(&[&images, &reference.detach()], 0)
}

/// `rise / run`, and where the run is next to nothing `slope`; a constant.
fn secant(rise: &Tensor, run: &Tensor, slope: &Tensor) -> Tensor {
    let near = run.abs().lt(NEAR);
    slope.where_self(&near, &(rise / run.masked_fill(&near, 1.))).detach()
}

struct Rescale;

impl Ops for Rescale {
    fn act(&self, activation: &Activation, z: &Tensor) -> Tensor {
        let ((x, b), (y, y_b)) = (apart(z), apart(&activation.apply(z)));
        let run = (&x - b).detach();
        let secant = secant(&(&y - &y_b), &run, &y.zeros_like());
        let surrogate = y.where_self(&run.abs().lt(NEAR), &(x * secant));
        joined(&y, &surrogate, &y_b)
    }

    /// The rise of a window's maximum is shared by the places that hold it in the image and in the
    /// baseline: with m = max(y, y_b) they get m − y_b and y − m. Baselines of one value are full
    /// of ties: there the places share equally, so that rounding decides nothing.
    fn max_pool(&self, pool: Pool, z: &Tensor) -> Tensor {
        let (values, places) = pool.winners(z);
        let ((x, b), (y, y_b), (at, _)) = (apart(z), apart(&values.detach()), apart(&places));
        let (run, most) = ((&x - &b).detach(), y.maximum(&y_b));
        let one = Tensor::ones([1], (y.kind(), y.device()));
        let found =
            |t: &Tensor| t.flatten(2, -1).gather(2, &at.flatten(2, -1), false).reshape(y.size());
        let here = found(&x) * secant(&(&most - &y_b), &found(&run), &one);
        let tie = (y_b.abs() + 1.) * TIE;
        let holds = |entry: &Tensor| (&y_b - entry).le_tensor(&tie).to_kind(y.kind());
        let size = [y.size()[2], y.size()[3]];
        let held: Vec<_> = entries(pool, &b, size, f64::NEG_INFINITY).map(|e| holds(&e)).collect();
        let share = (&y - &most) / held.iter().sum::<Tensor>();
        let per_run = x * secant(&one, &run, &one.zeros_like());
        let each = entries(pool, &per_run, size, 0.).zip(&held).map(|(entry, held)| entry * held);
        joined(&y, &(here + each.sum::<Tensor>() * share), &y_b)
    }
}

/// The first, second, … entry of all windows, as many as a window has, each `[N, C, *size]`.
fn entries(pool: Pool, t: &Tensor, size: [i64; 2], beyond: f64) -> impl Iterator<Item = Tensor> {
    let Pool { kernel, stride, padding: [[top, bottom], [left, right]], dilation } = pool;
    let padded = t.pad([left, right, top, bottom], "constant", beyond);
    let every = move |t: &Tensor, axis: usize, place: i64| {
        let (from, step) = (place * dilation[axis], stride[axis]);
        t.slice(2 + axis as i64, from, from + step * (size[axis] - 1) + 1, step)
    };
    (0..kernel[0] * kernel[1])
        .map(move |i| every(&every(&padded, 0, i / kernel[1]), 1, i % kernel[1]))
}

/// The scores `[N]` of all but the last row, softmax rescaled too: as log p = z_c − log Σ eᶻ, a
/// slope for each exponential and one for the logarithm, then p as the exponential of log p.
fn score(target: &Target, logits: &Tensor) -> Tensor {
    if target.score == Score::Logit {
        return target.of(&apart(logits).0);
    }
    let class = target.class.unsqueeze(1);
    let (z, b) = apart(&logits.to_kind(Kind::Double));
    let b = b.expand_as(&z);
    let last = [-1].as_slice();
    let shift = z.maximum(&b).amax(last, true).detach();
    let (e, e_b) = ((&z - &shift).exp(), (&b - &shift).exp());
    let (sum, sum_b) = (e.sum_dim_intlist(last, true, None), e_b.sum_dim_intlist(last, true, None));
    let (log_sum, log_sum_b) = (z.logsumexp(last, true), b.logsumexp(last, true));
    let exponential = secant(&(&e - &e_b), &(&z - &b), &e);
    let logarithm = secant(&(&log_sum - &log_sum_b), &(&sum - &sum_b), &sum.reciprocal());
    let log_p = z.gather(1, &class, false)
        - (&z * exponential * logarithm).sum_dim_intlist(last, true, None);
    let (now, before) = (target_log(&z, &class), target_log(&b, &class));
    let (p, p_b) = (now.exp(), before.exp());
    let multiplied = match target.score {
        Score::Prob => log_p * secant(&(&p - p_b), &(now - before), &p),
        _ => log_p,
    };
    multiplied.squeeze_dim(1)
}

/// log p of the class i64 `[N, 1]`: logits `[N, K]` -> `[N, 1]`.
fn target_log(logits: &Tensor, class: &Tensor) -> Tensor {
    logits.log_softmax(1, None::<Kind>).gather(1, class, false).detach()
}
