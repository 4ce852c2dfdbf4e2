//! Heat maps: what similarity metrics and attacks compare.

use tch::{Kind, Tensor};

/// |map| summed over channels and divided by its sum: `[N, C, H, W]` -> `[N, H, W]`, a
/// distribution over pixels. An all-zero map stays all zero. Differentiable in the map.
pub fn heat(map: &Tensor) -> Tensor {
    let mass = map.abs().sum_dim_intlist([1].as_slice(), false, None::<Kind>);
    let total = mass.sum_dim_intlist([1, 2].as_slice(), true, None::<Kind>);
    let empty = total.eq(0.).to_kind(total.kind());
    mass / (total + empty)
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
/// The centre of an all-zero map is the middle of the image.
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
