//! What the metric tells.

use super::{column, tightness};
use crate::metric::{Better, Column};

/// Columns from this one on are of the method's maps.
pub(super) const OF_THE_MAP: usize = 13;

pub(super) const COLUMNS: &[Column] = &[
    column(
        "infidelity-found",
        "E (Iᵀ∇f(x) − (f(x) − f(x − I)))² of the gradient; 0 or more",
        Better::Lower,
    ),
    column(
        "infidelity-bound",
        "E|I|⁴ L² / 2, L the largest ‖∇²f‖ found: A.2; with L² / 4 it holds too",
        Better::Lower,
    ),
    tightness("infidelity-tightness", "infidelity-found / infidelity-bound"),
    column(
        "sensitivity-found",
        "|∇f(x + u) − ∇f(x)|, the largest of neighbours; 0 or more",
        Better::Lower,
    ),
    column("sensitivity-bound", "L r: A.2", Better::Lower),
    tightness("sensitivity-tightness", "sensitivity-found / sensitivity-bound"),
    column(
        "sensitivity-product",
        "r max |σ″| ∏ ‖W‖², as printed: Proposition A.1, of a logit of a chain of smooth layers",
        Better::Lower,
    ),
    tightness("sensitivity-product-tightness", "sensitivity-found / sensitivity-product"),
    column(
        "sensitivity-chain",
        "r Σₖ max |σₖ″| ‖∂zₖ/∂x‖² |∂f/∂hₖ| by norms of layers: what A.1 is by the chain rule",
        Better::Lower,
    ),
    tightness("sensitivity-chain-tightness", "sensitivity-found / sensitivity-chain"),
    column(
        "adversarial-found",
        "−log p at x + u, the largest of neighbours and of the step against the gradient; 0 or more",
        Better::Lower,
    ),
    column(
        "adversarial-bound",
        "−log p(x) + r|∇f(x)| + ½r² L, f = log p − log(1 − p) and L of f: Theorem A.1",
        Better::Lower,
    ),
    tightness("adversarial-tightness", "adversarial-found / adversarial-bound"),
    column(
        "robust-infidelity-found",
        "E (IᵀΦ(x + u) − (f(x + u) − f(x + u − I)))², the largest of the image and its neighbours",
        Better::Lower,
    ),
    column(
        "robust-infidelity-bound",
        "((A − B(x) − B(x − I)) / 2)² or, where that is of a negative number, 0: Theorem C.1, from below",
        Better::Lower,
    ),
    tightness("robust-infidelity-tightness", "robust-infidelity-bound / robust-infidelity-found"),
    column(
        "smooth-sensitivity-found",
        "|Φₖ(x + u) − Φₖ(x)| of the smoothed map, the largest of neighbours; 0 or more",
        Better::Lower,
    ),
    column("smooth-sensitivity-bound", "∫ SENS(Φ, z) k(x, z) dz: D.6", Better::Lower),
    tightness(
        "smooth-sensitivity-tightness",
        "smooth-sensitivity-found / smooth-sensitivity-bound",
    ),
    column(
        "smooth-infidelity-found",
        "infidelity of the smoothed map Φₖ; 0 or more",
        Better::Lower,
    ),
    column(
        "smooth-infidelity-bound",
        "C2 / (1 − 2√C1) ∫ INFD(Φ, z) k(x, z) dz: D.7; undefined where C1 is 1/4 or more",
        Better::Lower,
    ),
    tightness("smooth-infidelity-tightness", "smooth-infidelity-found / smooth-infidelity-bound"),
    column(
        "smooth-infidelity-c1",
        "C1 of D.7, 0 or more: what f's own change with z is of the error at x",
        Better::Lower,
    ),
];
