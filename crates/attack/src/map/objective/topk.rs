//! The clean map's k largest pixels lose their places (Ghorbani et al. 2019).

use super::sums::total;
use crate::map::reference::{Descent, MapObjective, Reference};
use explain::{heatmap::top, similarity::overlap};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// In the list of attacks on maps.
pub(super) const ENTRY: Entry<dyn MapObjective> = Entry {
    name: "topk",
    about: "moves mass off the clean map's k largest pixels (Ghorbani et al. 2019); judged by \
            k-in; --k says how many",
    options: described::<TopK>(&[
        (
            "loss",
            "rank: each of them against each of the k largest others; share: their share of the \
             heat of both; sum: their heat, as published; without it rank, with a fixed --beta sum",
        ),
        ("anchor", "clean: off those of the clean map; current: off those of each iterate"),
    ]),
    build: |t| Ok(Box::new(registry::options::<TopK>(t)?)),
};

/// Which k largest pixels lose their mass.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Anchor {
    /// Those of the clean map.
    #[default]
    Clean,
    /// Those of each iterate.
    Current,
}

/// How much is left to lose; T are the k pixels, R the k largest others.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Loss {
    /// Mean over i in T, j in R of log(1 + (hᵢ / hⱼ)^(1/τ)): the logistic loss of RankNet (Burges et
    /// al. 2005), which counts pairs in the wrong order and always has a slope.
    Rank,
    /// Σ_T h / (Σ_T h + Σ_R h).
    Share,
    /// Σ_T h.
    Sum,
}

/// τ: below it a logarithm of a ratio counts as near.
const TEMPERATURE: f64 = 0.1;
/// Heat that counts as none; a map's mean is one over the number of its pixels.
const NONE: f64 = 1e-12;

/// Pixels that lose their places among the k largest.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TopK {
    loss: Option<Loss>,
    anchor: Anchor,
}

/// The `count` largest of each row, `[N, D]` -> `[N, count]`; differentiable.
fn largest(rows: &Tensor, count: i64) -> Tensor {
    rows.sort_stable(true, 1, true).0.narrow(1, 0, count)
}

impl TopK {
    fn loss_of(&self, loss: Loss, heat: &Tensor, clean: &Reference) -> Tensor {
        let (k, flat) = (clean.k, heat.flatten(1, -1));
        let top = match self.anchor {
            Anchor::Clean => clean.top.shallow_clone(),
            Anchor::Current => top(&heat.detach(), k),
        };
        let rivals = k.min(flat.size()[1] - k);
        let own = |t: &Tensor| largest(&t.masked_fill(&top.logical_not(), f64::NEG_INFINITY), k);
        let others = |t: &Tensor| largest(&t.masked_fill(&top, f64::NEG_INFINITY), rivals);
        match loss {
            Loss::Rank => {
                let log = flat.clamp_min(NONE).log();
                let apart = own(&log).unsqueeze(2) - others(&log).unsqueeze(1);
                total(&(apart / -TEMPERATURE).log_sigmoid()) / -((k * rivals).max(1) as f64)
            }
            Loss::Share => {
                let own = total(&own(&flat));
                &own / (&own + total(&others(&flat)))
            }
            Loss::Sum => total(&(flat * top.to_kind(heat.kind()))),
        }
    }
}

impl MapObjective for TopK {
    fn loss(&self, heat: &Tensor, clean: &Reference) -> Tensor {
        self.descended(heat, clean, Descent::Published)
    }

    fn descended(&self, heat: &Tensor, clean: &Reference, descent: Descent) -> Tensor {
        let usual = match descent {
            Descent::Published => Loss::Sum,
            Descent::Near => Loss::Rank,
            Descent::Other => Loss::Share,
        };
        self.loss_of(self.loss.unwrap_or(usual), heat, clean)
    }

    fn measure(&self, heat: &Tensor, clean: &Reference) -> Tensor {
        overlap(&clean.top, &top(heat, clean.k), clean.k)
    }
}
