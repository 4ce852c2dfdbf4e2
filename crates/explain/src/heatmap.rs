//! Heat maps: what similarity metrics and attacks compare, and whether there is one.

use tch::{Kind, Tensor};

/// Numbers whose range is a smaller share of the largest differ by rounding in f32 alone.
pub(crate) const ROUNDING: f64 = 1e-6;

/// |map| summed over channels and divided by its sum: `[N, C, H, W]` -> `[N, H, W]`, a
/// distribution over pixels; all zero where the sum is below the least normal number of f32, which
/// is no map ([`has_mass`]). Differentiable in the map.
pub fn heat(map: &Tensor) -> Tensor {
    let mass = map.abs().sum_dim_intlist([1].as_slice(), false, None::<Kind>);
    let total = mass.sum_dim_intlist([1, 2].as_slice(), true, None::<Kind>);
    let none = total.lt(f64::from(f32::MIN_POSITIVE));
    mass / total.masked_fill(&none, f64::INFINITY)
}

/// Whether there is a map: mass somewhere, and no number that is not finite. Heat maps
/// `[N, H, W]` -> bool `[N]`.
pub fn has_mass(heat: &Tensor) -> Tensor {
    let total = heat.sum_dim_intlist([1, 2].as_slice(), false, Kind::Double);
    total.gt(0.).logical_and(&total.isfinite())
}

/// Whether some pixel is above another by more than rounding: else a map has no order, and no top.
/// Finite maps `[N, …]` -> bool `[N]`; false where a number is not finite.
pub fn has_order(map: &Tensor) -> Tensor {
    let flat = map.flatten(1, -1);
    let (most, least) = (flat.amax([1].as_slice(), false), flat.amin([1].as_slice(), false));
    let size = most.abs().maximum(&least.abs());
    least.less_tensor(&(most - size * ROUNDING))
}

/// Which of the pixels are among the `k` largest of their map: `[N, H, W]` -> bool `[N, H·W]`.
/// Ties go to the earlier pixel in reading order; `k` is at most H·W.
pub fn top(heat: &Tensor, k: i64) -> Tensor {
    let flat = heat.flatten(1, -1);
    let order = flat.argsort_stable(true, 1, true).narrow(1, 0, k);
    let none = flat.zeros_like().to_kind(Kind::Bool);
    none.scatter_value(1, &order, 1)
}

/// Row and column of the centre of mass, in pixels from the first: `[N, H, W]` -> `[N, 2]`, f64.
/// Without mass it is the middle of the image, so that an attack can go on from there.
pub fn centre(heat: &Tensor) -> Tensor {
    let heat = heat.to_kind(Kind::Double);
    let size = heat.size();
    let (h, w) = (size[1], size[2]);
    let total = heat.sum_dim_intlist([1, 2].as_slice(), false, Kind::Double);
    let empty = total.eq(0.).to_kind(Kind::Double);
    let along = |n: i64, summed: i64| {
        let at = Tensor::arange(n, (Kind::Double, heat.device()));
        let moment = (heat.sum_dim_intlist([summed].as_slice(), false, Kind::Double) * at)
            .sum_dim_intlist([1].as_slice(), false, Kind::Double);
        moment / (&total + &empty) + &empty * ((n - 1) as f64 / 2.)
    };
    Tensor::stack(&[along(h, 2), along(w, 1)], 1)
}
