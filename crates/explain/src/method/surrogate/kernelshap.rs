//! Shapley values of groups by weighted least squares (Lundberg & Lee 2017, Theorem 2), sampled as
//! in captum, or exact over all coalitions. A group's pixels all carry the value of the group.

use crate::{
    Attribution, Batch,
    engine::{
        estimate::{COMPLEMENTS, Count, Draws, TENTH, TOLERANCE},
        surrogate::{
            Fit, Linear, Masked, PerturbedInputs, Surrogate, complemented, operator, uniform,
        },
    },
    sampling::features::{Features, Grouping, Groups, Segments},
};
use anyhow::{Result, ensure};
use models::Model;
use models::upload;
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use toml::Table;

/// In the list of methods.
pub(crate) const ENTRY: Entry<dyn Attribution> = Entry {
    name: "kernelshap",
    about: "Shapley values of groups by weighted least squares (Lundberg & Lee 2017)",
    options: described::<Options>(&[
        (
            "samples",
            "coalitions, 2 or more, or auto: as many as the tolerance takes; without `all` 100",
        ),
        TOLERANCE,
        COMPLEMENTS,
        (
            "groups",
            "quickshift, grid, pixels or scalars: what is switched off together; rows of tables \
             always have scalars",
        ),
        ("cells", "cells along a side of the grid, for groups=grid alone; there 10"),
        ("baseline", "value of what is switched off, in [0, 1]"),
        ("all", "true: every coalition of at most 14 groups, exact"),
    ])
    .alias(&["KernelShap"])
    .option_aliases(&[("n_samples", "samples")]),
    build,
};

/// All coalitions of at most this many groups.
const MOST: i64 = 14;

/// Weight of the empty and the full coalition, in place of the infinity that efficiency asks for.
const ENDS: f64 = 1e6;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    samples: Option<Count>,
    #[serde(deserialize_with = "registry::fraction")]
    tolerance: f64,
    pairs: bool,
    groups: Grouping,
    cells: Option<i64>,
    #[serde(deserialize_with = "registry::fraction")]
    baseline: f64,
    all: bool,
}

impl Default for Options {
    fn default() -> Self {
        let groups = Grouping::Quickshift;
        Options {
            samples: None,
            tolerance: TENTH,
            pairs: true,
            groups,
            cells: None,
            baseline: 0.,
            all: false,
        }
    }
}

/// Which coalitions are evaluated.
#[derive(Clone, Copy, Debug)]
enum Coalitions {
    Sampled(i64, Draws),
    All,
}

#[derive(Clone, Debug)]
struct KernelShap {
    coalitions: Coalitions,
    features: Features,
    baseline: f64,
}

fn build(table: Table) -> Result<Box<dyn Attribution>> {
    let Options { samples, tolerance, pairs, groups, cells, baseline, all } =
        registry::options(table)?;
    let features = groups.with(cells)?;
    let coalitions = if all {
        ensure!(samples.is_none(), "`all` evaluates every coalition; leave `samples` out");
        ensure!(
            groups != Grouping::Quickshift,
            "`all` takes at most {MOST} groups and superpixels are more; \
             use `groups = \"grid\"` with `cells = 3`"
        );
        let cells = features.cells;
        ensure!(
            groups != Grouping::Grid || cells <= MOST / cells,
            "`all` takes at most {MOST} groups, a grid of {cells} × {cells} `cells` has more; use 3"
        );
        Coalitions::All
    } else {
        let samples = samples.unwrap_or(Count::Fixed(100));
        let draws = Draws::new(samples, tolerance, pairs)?;
        let samples = samples.most() as i64;
        ensure!(
            samples >= 2,
            "`samples` is {samples}; it must be at least 2, for the full and the empty image"
        );
        Coalitions::Sampled(samples, draws)
    };
    Ok(Box::new(Linear(KernelShap { coalitions, features, baseline })))
}

impl Surrogate for KernelShap {
    fn samples(&self, x: &Tensor) -> i64 {
        match self.coalitions {
            Coalitions::Sampled(samples, _) => samples,
            Coalitions::All => {
                let groups = self.features.count(&x.size()).expect("refused when built");
                assert!(groups <= MOST, "`check` refuses {groups} groups");
                1 << groups
            }
        }
    }

    fn draws(&self) -> Option<Draws> {
        match self.coalitions {
            Coalitions::Sampled(_, draws) => Some(draws),
            Coalitions::All => None,
        }
    }

    fn with_samples(&self, samples: i64) -> Box<dyn Surrogate> {
        let draws = self.draws().expect("of coalitions that are drawn");
        Box::new(KernelShap { coalitions: Coalitions::Sampled(samples, draws), ..self.clone() })
    }

    fn check(&self, [c, h, w]: [i64; 3]) -> Result<()> {
        let groups = self.features.count(&[1, c, h, w]);
        let few = groups.is_none_or(|groups| groups <= MOST);
        ensure!(
            few || matches!(self.coalitions, Coalitions::Sampled(..)),
            "`all` takes at most {MOST} groups, images of {c}x{h}x{w} have {}; use \
             `groups = \"grid\"` with `cells = 3`",
            groups.unwrap_or_default()
        );
        Ok(())
    }

    fn segments(&self, x: &Tensor) -> Segments {
        self.features.segments(x)
    }

    fn copies(&self, block: &Batch, segments: &Segments) -> Box<dyn PerturbedInputs> {
        let groups = self.features.given(&block.x, segments);
        let (masks, weights, operator) = match self.coalitions {
            Coalitions::Sampled(samples, draws) => {
                let masks = draw(block, &groups, samples, draws.together == 2);
                let kept = masks.sum_dim_intlist([2].as_slice(), false, Kind::Double);
                let end = kept.eq(0.).logical_or(&kept.eq_tensor(&groups.counts.unsqueeze(1)));
                let weights = end.to_kind(Kind::Double) * (ENDS - 1.) + 1.;
                let operator = operator(&masks, &weights, Fit::Shortest);
                (masks, weights, operator)
            }
            Coalitions::All => {
                let masks = subsets(&groups);
                let operator = shapley(&masks);
                let all = |t: &Tensor| t.expand([block.x.size()[0], -1, -1], false);
                (all(&masks), masks.new_empty([0], (Kind::Double, masks.device())), all(&operator))
            }
        };
        let (baseline, channels) = (self.baseline, block.x.size()[1]);
        let intercept = true;
        Box::new(Masked { groups, masks, baseline, operator, weights, intercept, channels })
    }

    /// Efficiency, each group counted once: the values of the groups sum to f(x) − f(baseline).
    fn convergence_delta(&self, model: &dyn Model, batch: &Batch, map: &Tensor) -> Option<Tensor> {
        let x = batch.x.detach();
        let groups = self.features.of(&x);
        let sizes = groups.sums(&x.ones_like()).clamp_min(1.);
        let once = (groups.sums(map) / sizes).sum_dim_intlist([1].as_slice(), false, x.kind());
        let at = |x: &Tensor| batch.at(x).scores(model);
        Some(at(&x) - at(&x.full_like(self.baseline)) - once)
    }
}

/// Masks f64 `[N, S, G]`: all, none, then subsets whose size k has chances ∝ 1/(k(M − k)); with `pairs`
/// every second one is what the one before leaves out.
fn draw(block: &Batch, groups: &Groups, samples: i64, pairs: bool) -> Tensor {
    let real = groups.real();
    let u = uniform(block, samples, groups.count + 1);
    let sizes = subset_sizes(groups, &u.select(2, 0));
    let order = u.narrow(2, 1, groups.count).masked_fill(&real.logical_not(), 2.);
    let rank = order.argsort_stable(true, 2, false).argsort_stable(true, 2, false);
    let masks = rank.lt_tensor(&sizes.unsqueeze(2)).logical_and(&real);
    let masks = if pairs { complemented(&masks, &real) } else { masks }.to_kind(Kind::Double);
    let first = real.to_kind(Kind::Double);
    let both = Tensor::cat(&[&first, &first.zeros_like()], 1);
    Tensor::cat(&[&both, &masks.narrow(1, 2, samples - 2)], 1)
}

/// Sizes of subsets for u in [0, 1) `[N, S]`, by inverting the distribution. A lone group has no
/// proper subsets: it gets all.
fn subset_sizes(groups: &Groups, u: &Tensor) -> Tensor {
    let k = Tensor::arange_start(1, groups.count.max(2), (Kind::Int64, u.device()));
    let rest = groups.counts.unsqueeze(1) - &k;
    let chance = (&k * rest.clamp_min(1)).to_kind(Kind::Double).reciprocal() * rest.gt(0);
    let sum = chance.cumsum(1, Kind::Double);
    let total = sum.narrow(1, sum.size()[1] - 1, 1).clamp_min(f64::MIN_POSITIVE);
    let u = u.to_kind(Kind::Double).contiguous();
    u.searchsorted(&(sum / total), false, true, "right", None::<Tensor>) + 1
}

/// Every subset of the groups, `[1, 2^G, G]`.
fn subsets(groups: &Groups) -> Tensor {
    let on = (Kind::Int64, groups.counts.device());
    let bits = Tensor::arange(groups.count, on);
    let numbers = Tensor::arange(1 << groups.count, on).unsqueeze(1);
    let bits = numbers.bitwise_right_shift(&bits).bitwise_and(1);
    bits.to_kind(Kind::Double).unsqueeze(0)
}

/// Shapley values as a matrix `[1, G, 2^G]`: the kernel's least squares with its ends pinned. A
/// subset of size k weighs (k − 1)!(M − k)!/M! for who is in it, −k!(M − k − 1)!/M! for who is not.
fn shapley(masks: &Tensor) -> Tensor {
    let m = masks.size()[2];
    let choose = |k: i64| (0..k).fold(1., |c, i| c * (m - 1 - i) as f64 / (i + 1) as f64);
    let weight: Vec<f64> = (0..m).map(|k| 1. / (m as f64 * choose(k))).collect();
    let weight = upload(&weight, masks.device());
    let k = masks.sum_dim_intlist([2].as_slice(), true, Kind::Int64);
    let of = |k: &Tensor| {
        let at = k.clamp(0, m - 1).flatten(0, -1);
        weight.index_select(0, &at).view(&k.size()[..])
    };
    let out: Tensor = 1. - masks;
    let signed: Tensor = masks * of(&(&k - 1)) - out * of(&k);
    signed.transpose(1, 2)
}
