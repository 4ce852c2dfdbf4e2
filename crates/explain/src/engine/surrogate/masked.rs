//! Copies of an image in which some groups of pixels are switched off.

use super::PerturbedInputs;
use crate::sampling::features::Groups;
use tch::{Kind, Tensor};

/// Masks `[N, S, G]`, bool, in which every second one, from the second on, is what the one before leaves
/// out of the groups that are there.
pub(crate) fn complemented(masks: &Tensor, real: &Tensor) -> Tensor {
    let odd = Tensor::arange(masks.size()[1], (Kind::Int64, masks.device())).remainder(2);
    let before = masks.roll([1], [1]).logical_not().logical_and(real);
    before.where_self(&odd.eq(1).view([1, -1, 1]), masks)
}

/// Copies with some groups replaced by a constant, and coefficients painted on the groups.
#[derive(Debug)]
pub(crate) struct Masked {
    pub(crate) groups: Groups,
    pub(crate) masks: Tensor, // f64 [N, S, G], 1 keeps
    pub(crate) baseline: f64,
    pub(crate) operator: Tensor, // f64 [N, G, S]
    pub(crate) weights: Tensor,  // f64 [N, S], of the fit
    pub(crate) intercept: bool,
    pub(crate) channels: i64,
}

impl Masked {
    /// The coefficients of f at the copies `[N, S]` -> `[N, G]`.
    pub(crate) fn coefficients(&self, values: &Tensor) -> Tensor {
        self.operator.matmul(&values.unsqueeze(-1)).squeeze_dim(-1)
    }

    /// What the fit misses of each value, `[N, S]`.
    pub(crate) fn residuals(&self, values: &Tensor) -> Tensor {
        let fitted = self.masks.matmul(&self.coefficients(values).unsqueeze(-1)).squeeze_dim(-1);
        let off = values - fitted;
        if !self.intercept {
            return off;
        }
        let sum = |t: &Tensor| t.sum_dim_intlist([1].as_slice(), true, Kind::Double);
        let total = sum(&self.weights).clamp_min(f64::MIN_POSITIVE);
        let mean = sum(&(&off * &self.weights)) / total;
        off - mean
    }

    /// Groups as maps of every channel.
    fn painted(&self, of_groups: &Tensor) -> Tensor {
        let painted = self.groups.paint(&of_groups.unsqueeze(1)).squeeze_dim(1);
        painted.expand([-1, self.channels, -1, -1], false)
    }
}

/// x `[N, C, H, W]` where the masks `[N, n, G]` say 1, else the baseline: `[N, n, C, H, W]`.
pub(crate) fn masked(x: &Tensor, groups: &Groups, masks: &Tensor, baseline: f64) -> Tensor {
    let keep = groups.paint(&masks.to_kind(x.kind()));
    x.unsqueeze(1) * &keep + (1. - keep) * baseline
}

impl PerturbedInputs for Masked {
    fn at(&self, x: &Tensor, start: i64, n: i64) -> Tensor {
        masked(x, &self.groups, &self.masks.narrow(1, start, n), self.baseline)
    }

    fn map(&self, values: &Tensor) -> Tensor {
        self.painted(&self.coefficients(values))
    }

    /// Of a fit by least squares whose residuals need not be alike (White 1980, HC1): a draw's part of a
    /// coefficient is its column of the operator times what the fit misses of it.
    fn error(&self, values: &Tensor, together: i64) -> Option<Tensor> {
        let parts = &self.operator * self.residuals(values).unsqueeze(1); // [N, G, S]
        let (images, groups, samples) = parts.size3().expect("three axes");
        let whole = samples / together * together;
        let sum = |t: &Tensor| t.sum_dim_intlist([2i64].as_slice(), false, Kind::Double);
        let first = parts.narrow(2, 0, whole).reshape([images, groups, -1, together]);
        let first = first.sum_dim_intlist([3i64].as_slice(), false, Kind::Double);
        let squares = sum(&first.square()) + sum(&parts.narrow(2, whole, samples - whole).square());
        let units = (samples as u64).div_ceil(together as u64) as f64;
        let free: Tensor = units - self.groups.counts.to_kind(Kind::Double) - 1.;
        let error = (squares * (units / free.clamp_min(1.)).unsqueeze(1)).sqrt();
        let unknown = free.lt(1.).unsqueeze(1);
        Some(self.painted(&error.masked_fill(&unknown, f64::INFINITY)))
    }

    fn transposed(&self, v: &Tensor) -> Tensor {
        self.groups.sums(v).unsqueeze(1).matmul(&self.operator).squeeze_dim(1)
    }
}
