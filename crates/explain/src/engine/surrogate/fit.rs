//! Coefficients of weighted least squares as matrices that the values are multiplied by, in f64.

use models::linalg::{self, Cholesky};
use tch::{Kind, Tensor};

/// How the coefficients of a linear model are chosen. The intercept is never penalised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fit {
    /// Least squares with this much of the squared coefficients added. 0 is for features in general
    /// position, such as Gaussian draws: of the many solutions where samples are few, the shortest.
    Ridge(f64),
    /// Least squares; of many solutions, the shortest. Any features will do; costs an SVD.
    Shortest,
}

/// Coefficients are linear in the values: the matrices P `[N, G, S]`, f64, such that P values are
/// the coefficients of the weighted least-squares fit with intercept of values `[N, S]` on features
/// `[N, S, G]`, with weights `[N, S]`. A feature that is zero in every sample gets a zero row,
/// unless the fit is `Ridge(0.)`, which asks for features in general position.
pub fn operator(features: &Tensor, weights: &Tensor, fit: Fit) -> Tensor {
    let features = features.to_kind(Kind::Double);
    let w = weights.to_kind(Kind::Double).unsqueeze(-1);
    // Where every weight vanishes nothing is known, and the smallest coefficients are zero.
    let total = w.sum_dim_intlist([1].as_slice(), true, Kind::Double).clamp_min(f64::MIN_POSITIVE);
    let mean = (&features * &w).sum_dim_intlist([1].as_slice(), true, Kind::Double) / &total;
    let root = w.sqrt();
    let rows = (features - mean) * &root; // [N, S, G]
    let across = root.transpose(1, 2);
    match fit {
        Fit::Shortest => linalg::pinv(&rows) * across,
        Fit::Ridge(alpha) => ridge(&rows, &(&root / total.sqrt()), alpha) * across,
    }
}

/// The same of the fit without an intercept: `alpha` is positive.
pub fn through_origin(features: &Tensor, weights: &Tensor, alpha: f64) -> Tensor {
    let root = weights.to_kind(Kind::Double).unsqueeze(-1).sqrt();
    let rows = features.to_kind(Kind::Double) * &root;
    ridge(&rows, &root, alpha) * root.transpose(1, 2)
}

/// (AᵀA + αI)⁻¹Aᵀ = Aᵀ(AAᵀ + αI)⁻¹, whichever is smaller; `mean` `[N, S, 1]` is the unit vector
/// that centring took out of A.
fn ridge(rows: &Tensor, mean: &Tensor, alpha: f64) -> Tensor {
    let (samples, features) = (rows.size()[1], rows.size()[2]);
    let turned = rows.transpose(1, 2);
    let few = samples <= features;
    let gram = if few { rows.matmul(&turned) } else { turned.matmul(rows) };
    let diagonal = Tensor::eye(gram.size()[1], (Kind::Double, rows.device())) * alpha;
    let mut gram = gram + diagonal;
    if few && alpha == 0. {
        // AAᵀ is singular along `mean` and Aᵀ kills that direction: any number may stand there.
        let scale = rows.square().mean_dim([1, 2].as_slice(), true, Kind::Double);
        gram += mean.matmul(&mean.transpose(1, 2)) * scale * features;
    }
    let factor = Cholesky::of(&gram);
    if few { factor.solve(rows).transpose(1, 2) } else { factor.solve(&turned) }
}
