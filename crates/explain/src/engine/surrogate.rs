//! Maps that are linear in f at perturbed copies of an image: the weighted linear model that LIME,
//! KernelSHAP and C-LIME fit, in f64, and the passes and products that all of them share.

use crate::{
    Attribution, Batch, Cotangent, Differentiable,
    engine::{
        chunks::{self, Pass},
        estimate::{Draws, Estimate},
    },
    sampling::features::Segments,
};
use anyhow::Result;
use models::{
    Model, Target,
    grad::{Graph, pull},
    noise,
};
use std::ops::Range;
use tch::{Device, Kind, Tensor};

mod fit;
mod growing;
mod masked;

pub use fit::{Fit, operator, through_origin};
pub(crate) use masked::{Masked, complemented, masked};

/// Numbers of the images of a pass on a CPU, at most: 27 images of 224×224, of which more are no
/// faster and take memory.
const NUMBERS: i64 = 1 << 22;

/// Perturbed copies of a block of images, and the linear map from f there to the attribution.
pub(crate) trait PerturbedInputs {
    /// Copies `start..start + n` of each image of `x`: `[N, n, C, H, W]`; x is in their graph.
    fn at(&self, x: &Tensor, start: i64, n: i64) -> Tensor;

    /// f at the copies, f64 `[N, S]` -> maps `[N, C, H, W]`.
    fn map(&self, values: &Tensor) -> Tensor;

    /// The transpose: v, f64 `[N, C, H, W]` -> what flows to each value, `[N, S]`.
    fn transposed(&self, v: &Tensor) -> Tensor;

    /// Where the map also depends on the pixels through sample weights: the flow to each weight.
    fn to_weights(&self, _values: &Tensor, _v: &Tensor) -> Option<Tensor> {
        None
    }

    /// The standard error of [`PerturbedInputs::map`], where copies are draws; those of one of
    /// `together` consecutive ones belong together.
    fn error(&self, _values: &Tensor, _together: i64) -> Option<Tensor> {
        None
    }

    /// The weights of copies `z` `[N, n, C, H, W]` of `x`, `[N, n]`; x is in their graph.
    fn weights(&self, _x: &Tensor, z: &Tensor) -> Tensor {
        z.new_ones(&z.size()[..2], (z.kind(), z.device()))
    }
}

/// A method that is its copies and a linear map.
pub(crate) trait Surrogate: Send + Sync {
    /// Copies of an image of `x` `[N, C, H, W]`.
    fn samples(&self, x: &Tensor) -> i64;

    /// How copies are drawn; none where they are no draws, or nothing is known of their error.
    fn draws(&self) -> Option<Draws> {
        None
    }

    /// The same with this many copies, of which the first are its own.
    fn with_samples(&self, _samples: i64) -> Box<dyn Surrogate> {
        unreachable!("of surrogates with draws")
    }

    /// What is searched for in the images `x` of a whole batch, once; nothing where groups do not
    /// depend on the image.
    fn segments(&self, _x: &Tensor) -> Segments {
        Segments::default()
    }

    /// The copies of all images of `block`, whose segments are given.
    fn copies(&self, block: &Batch, segments: &Segments) -> Box<dyn PerturbedInputs>;

    /// See [`Attribution::check`].
    fn check(&self, _image: [i64; 3]) -> Result<()> {
        Ok(())
    }

    /// See [`Attribution::vanishes`].
    fn vanishes(&self) -> Option<String> {
        None
    }

    /// See [`Attribution::convergence_delta`].
    fn convergence_delta(
        &self,
        _model: &dyn Model,
        _batch: &Batch,
        _map: &Tensor,
    ) -> Option<Tensor> {
        None
    }
}

/// Attribution by a surrogate, in blocks of images whose copies fill a pass.
#[derive(Debug)]
pub(crate) struct Linear<S>(pub(crate) S);

/// Whether f `[N, S]` is the same at all copies of an image but for rounding, bool `[N, 1, 1, 1]`: then
/// a fit would make a map of the rounding.
fn still(values: &Tensor, kind: Kind) -> Tensor {
    let rounding = if kind == Kind::Double { 1e-13 } else { 1e-6 };
    let (least, most) = (values.amin([1].as_slice(), true), values.amax([1].as_slice(), true));
    let size = values.abs().amax([1].as_slice(), true);
    (most - least).le_tensor(&(size * rounding)).view([-1, 1, 1, 1])
}

impl<S: Surrogate> Linear<S> {
    /// Images of a block whose copies fill a pass of `chunk`.
    fn images(&self, batch: &Batch) -> impl Fn(i64) -> i64 + use<S> {
        let samples = self.0.samples(&batch.x);
        move |chunk| chunk / samples
    }

    /// The copies of a pass's images.
    fn copies(&self, pass: &Pass, segments: &Segments) -> Box<dyn PerturbedInputs> {
        self.0.copies(&pass.block, &segments.narrow(pass.first, pass.block.keys.len() as i64))
    }

    /// The maps, and f at all copies, f64 `[N, S]`.
    fn values(&self, model: &dyn Model, batch: &Batch, segments: &Segments) -> [Tensor; 2] {
        chunks::map_sized(batch, self.images(batch), |pass| {
            let block = &pass.block;
            let copies = self.copies(pass, segments);
            let all = self.scores(model, block, &*copies);
            let map = copies.map(&all).to_kind(batch.x.kind()).reshape(block.x.size());
            [map.masked_fill(&still(&all, batch.x.kind()), 0.), all]
        })
    }

    /// f at all copies of `block`, less 1 for sure images, f64 `[N, S]`. Each pass writes into the one tensor: a small one left
    /// between the large ones of two passes would keep the allocator from using their room again.
    fn scores(&self, model: &dyn Model, block: &Batch, copies: &dyn PerturbedInputs) -> Tensor {
        scores(model, block, copies, 0..self.0.samples(&block.x))
    }

    /// What flows to the pixels of a pass's images when `v` flows to the batch's maps.
    fn flow(
        &self,
        model: &dyn Model,
        pass: &Pass,
        segments: &Segments,
        [values, v]: [&Tensor; 2],
    ) -> Tensor {
        let block = &pass.block;
        let copies = tch::no_grad(|| self.copies(pass, segments));
        let (values, v) = (pass.part(values), pass.part(v).detach().to_kind(Kind::Double));
        let (to_values, to_weights) =
            tch::no_grad(|| (copies.transposed(&v), copies.to_weights(&values, &v)));
        sum(block, self.0.samples(&block.x), &block.x.detach().zeros_like(), |start, n| {
            let x = block.x.detach().set_requires_grad(true);
            let part = |t: &Tensor| t.narrow(1, start, n).to_kind(x.kind());
            let out = tch::with_grad(|| {
                let z = copies.at(&x, start, n);
                let f = score(model, block, &z, None);
                let out = (f * part(&to_values)).sum(None::<Kind>);
                match &to_weights {
                    Some(t) => out + (copies.weights(&x, &z) * part(t)).sum(None::<Kind>),
                    None => out,
                }
            });
            pull(&out, &x, Graph::Free)
        })
    }
}

/// f at the copies of a range, less 1 for sure images, f64 `[N, S]`.
fn scores(
    model: &dyn Model,
    block: &Batch,
    copies: &dyn PerturbedInputs,
    range: Range<i64>,
) -> Tensor {
    let (images, count) = (block.x.size()[0], range.end - range.start);
    let all = Tensor::empty([images, count], (Kind::Double, block.x.device()));
    // Maps are of differences: what all copies of an image have in common changes none.
    let sure = block.sure(model);
    fill(block, count, &all, |start, n| {
        score(model, block, &copies.at(&block.x.detach(), range.start + start, n), sure.as_ref())
    });
    all
}

/// Images of a pass on a CPU at most; elsewhere the chunk alone bounds it.
fn most(block: &Batch) -> i64 {
    match block.x.device() {
        Device::Cpu => NUMBERS / block.x.size()[1..].iter().product::<i64>().max(1),
        _ => i64::MAX,
    }
}

/// Writes what `of` gives for samples `start..start + n`, `[N, n, …]`, into `all`, `[N, count, …]`.
pub(crate) fn fill(block: &Batch, count: i64, all: &Tensor, of: impl Fn(i64, i64) -> Tensor) {
    chunks::samples(block, (count, most(block)), of, |(start, n), part| {
        all.narrow(1, start, n).copy_(&part);
    });
}

/// What `of` gives for samples `start..start + n`, added to `total`.
pub(crate) fn sum(
    block: &Batch,
    count: i64,
    total: &Tensor,
    of: impl Fn(i64, i64) -> Tensor,
) -> Tensor {
    chunks::samples(block, (count, most(block)), of, |_, part| {
        let _ = total.shallow_clone().g_add_(&part);
    });
    total.shallow_clone()
}

/// f at copies `[N, n, C, H, W]` -> `[N, n]`; less 1 for `sure` images.
fn score(model: &dyn Model, block: &Batch, z: &Tensor, sure: Option<&Tensor>) -> Tensor {
    let n = z.size()[1];
    let repeated = |t: &Tensor| t.repeat_interleave_self_int(n, 0, None);
    let target = Target { class: repeated(&block.target.class), score: block.target.score };
    let sure = sure.map(repeated);
    target.shifted(&model.logits(&z.flatten(0, 1)), sure.as_ref()).view(&z.size()[..2])
}

impl<S: Surrogate> Attribution for Linear<S> {
    fn attribute(&self, model: &dyn Model, batch: &Batch) -> Tensor {
        tch::no_grad(|| {
            if let Some(draws) = self.0.draws().filter(|draws| draws.tolerance.is_some()) {
                return self.estimated(model, batch, draws).map;
            }
            let [map, _] = self.values(model, batch, &self.0.segments(&batch.x));
            map
        })
    }

    fn check(&self, _model: &dyn Model, image: [i64; 3]) -> Result<()> {
        self.0.check(image)
    }

    fn convergence_delta(&self, model: &dyn Model, batch: &Batch, map: &Tensor) -> Option<Tensor> {
        tch::no_grad(|| self.0.convergence_delta(model, batch, map))
    }

    fn vanishes(&self) -> Option<String> {
        self.0.vanishes()
    }

    fn estimate(&self, model: &dyn Model, batch: &Batch) -> Option<Estimate> {
        let draws = self.0.draws()?;
        Some(tch::no_grad(|| self.estimated(model, batch, draws)))
    }

    fn differentiable(&self) -> Option<&dyn Differentiable> {
        let endless = self.0.draws().is_some_and(|draws| draws.tolerance.is_some());
        (!endless).then_some(self as &dyn Differentiable)
    }
}

impl<S: Surrogate> Differentiable for Linear<S> {
    fn pullback(
        &self,
        model: &dyn Model,
        batch: &Batch,
        cotangent: &Cotangent,
    ) -> (Tensor, Tensor) {
        let segments = self.0.segments(&batch.x);
        let [map, values] = tch::no_grad(|| self.values(model, batch, &segments));
        let v = cotangent(&map);
        // The map of an image that says nothing is zero wherever the image goes.
        let v = v.masked_fill(&still(&values, batch.x.kind()), 0.);
        let [flow] = chunks::map_sized(batch, self.images(batch), |pass| {
            [self.flow(model, pass, &segments, [&values, &v])]
        });
        (map, flow)
    }
}

/// A key per image and sample, image by image.
pub(crate) fn sample_keys(block: &Batch, start: i64, n: i64) -> Vec<u64> {
    let samples = start as u64..(start + n) as u64;
    let of = |&key: &u64| samples.clone().map(move |sample| noise::key(key, sample, 0));
    block.keys.iter().flat_map(of).collect()
}

/// U[0, 1) keyed by image and sample, `[N, S, m]`; the first entries do not depend on m.
pub(crate) fn uniform(block: &Batch, samples: i64, m: i64) -> Tensor {
    let keys = sample_keys(block, 0, samples);
    noise::uniform(&keys, &[m], block.x.device()).view([-1, samples, m])
}
