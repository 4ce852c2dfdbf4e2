//! Factorisations that cannot fail: a matrix that has none gives NaN, so that what follows from it is
//! undefined, never wrong. Everything that calls LAPACK or cuSOLVER is here.

use tch::{Device, Kind, TchError, Tensor};

/// Cholesky factors of symmetric positive definite matrices.
#[derive(Debug)]
pub struct Cholesky(Tensor);

impl Cholesky {
    /// Of matrices `[N, m, m]`; NaN where one is not positive definite. Does not wait for the device.
    pub fn of(matrices: &Tensor) -> Self {
        let (factor, info) = matrices.linalg_cholesky_ex(false, false);
        let failed = info.not_equal(0).unsqueeze(-1).unsqueeze(-1);
        Cholesky(factor.masked_fill(&failed, f64::NAN))
    }

    /// The inverse matrices times `columns` `[N, m, k]`.
    pub fn solve(&self, columns: &Tensor) -> Tensor {
        columns.cholesky_solve(&self.0, false)
    }
}

/// Moore–Penrose inverses `[N, k, m]` of matrices `[N, m, k]`.
pub fn pinv(matrices: &Tensor) -> Tensor {
    let inverse = |m: &Tensor| Ok(vec![m.f_linalg_pinv_atol_rtol_float(None, None, false)?]);
    let undefined = |m: &Tensor| vec![m.transpose(1, 2).full_like(f64::NAN)];
    tried(matrices, &inverse, &undefined).remove(0)
}

/// Eigenvalues `[N, m]`, ascending, and unit eigenvectors, the columns of `[N, m, m]`, of symmetric
/// matrices `[N, m, m]`.
pub fn eigh(matrices: &Tensor) -> (Tensor, Tensor) {
    let solve = |m: &Tensor| m.f_linalg_eigh("L").map(|(values, vectors)| vec![values, vectors]);
    let undefined = |m: &Tensor| vec![m.select(2, 0).full_like(f64::NAN), m.full_like(f64::NAN)];
    let mut found = tried(&finite(matrices), &solve, &undefined).into_iter();
    let mut next = || found.next().expect("values and vectors");
    let poison = poison(matrices);
    (next() + &poison, next() + poison.unsqueeze(1))
}

/// The eigenvalues alone.
pub fn eigvalsh(matrices: &Tensor) -> Tensor {
    let solve = |m: &Tensor| Ok(vec![m.f_linalg_eigvalsh("L")?]);
    let undefined = |m: &Tensor| vec![m.select(2, 0).full_like(f64::NAN)];
    tried(&finite(matrices), &solve, &undefined).remove(0) + poison(matrices)
}

/// Unit eigenvectors `[N, m]` to the largest eigenvalues of positive semidefinite matrices `[N, m, m]`,
/// without a graph; any unit vector of a matrix of zeros. A CPU has LAPACK; elsewhere [`by_squaring`]
/// stands for solvers that loop over matrices and wait for each.
pub fn top(matrices: &Tensor) -> Tensor {
    match matrices.device() {
        Device::Cpu => eigh(matrices).1.select(2, -1),
        _ => by_squaring(matrices),
    }
}

/// Their largest eigenvalues `[N]`, with a graph.
pub fn largest(matrices: &Tensor) -> Tensor {
    if matrices.device() == Device::Cpu {
        return eigvalsh(matrices).select(1, -1);
    }
    // The gradient of λ = uᵀAu in A is uuᵀ, as if u were fixed.
    let u = by_squaring(&matrices.detach()).unsqueeze(2);
    u.transpose(1, 2).matmul(&matrices.matmul(&u)).flatten(0, -1)
}

/// Squarings of a matrix: 2^24 steps of a power iteration. An eigenvalue that is nearer to the largest
/// than they tell apart is less than 2e-8 of it away.
const SQUARINGS: i32 = 24;

/// Squarings between two that are scaled: the trace shrinks to m⁻⁸ at worst.
const UNSCALED: i32 = 3;

/// [`top`] by the largest column of A^(2^24), in f64: small products of matrices, which wait for nothing.
pub fn by_squaring(matrices: &Tensor) -> Tensor {
    let m = matrices.size()[1];
    let a = matrices.detach().to_kind(Kind::Double);
    let scale = a.abs().amax([1i64, 2].as_slice(), true);
    let zero = scale.eq(0.);
    let eye = Tensor::eye(m, (Kind::Double, a.device()));
    let mut power = a / scale.masked_fill(&zero, 1.) + eye * zero;
    let diagonal = |a: &Tensor| a.diagonal(0, 1, 2).copy(); // [N, m]
    for i in 0..SQUARINGS {
        power = power.bmm(&power);
        if i % UNSCALED == UNSCALED - 1 {
            let trace = diagonal(&power).sum_dim_intlist([1i64].as_slice(), false, Kind::Double);
            power /= trace.view([-1, 1, 1]);
        }
    }
    // The diagonal of a square has the squared lengths of its root's columns.
    let place = diagonal(&power).argmax(1, false).view([-1, 1, 1]);
    let column = power.gather(2, &place.expand([-1, m, 1], false), false).squeeze_dim(2);
    let length = column.square().sum_dim_intlist([1i64].as_slice(), true, Kind::Double).sqrt();
    (column / length).to_kind(matrices.kind())
}

/// Zeros where an entry is not finite: LAPACK would refuse the whole batch.
fn finite(matrices: &Tensor) -> Tensor {
    matrices.nan_to_num(0., 0., 0.)
}

/// `[N, 1]`: NaN where a matrix has an entry that is not finite, else 0.
fn poison(matrices: &Tensor) -> Tensor {
    let all = [1i64, 2].as_slice();
    (matrices * 0.).sum_dim_intlist(all, false, matrices.kind()).unsqueeze(1)
}

/// What `solve` gives for matrices `[N, …]`; where that fails, for each alone, and `undefined` for those
/// that are the reason. Memory that is exhausted is no such reason.
fn tried(
    matrices: &Tensor,
    solve: &dyn Fn(&Tensor) -> Result<Vec<Tensor>, TchError>,
    undefined: &dyn Fn(&Tensor) -> Vec<Tensor>,
) -> Vec<Tensor> {
    let error = match solve(matrices) {
        Ok(found) => return found,
        Err(error) => error,
    };
    let text = error.to_string();
    assert!(!text.contains("out of memory") && !text.contains("ALLOC_FAILED"), "{text}");
    let n = matrices.size()[0];
    if n == 1 {
        return undefined(matrices);
    }
    let alone = |i| tried(&matrices.narrow(0, i, 1), solve, undefined);
    let each: Vec<Vec<Tensor>> = (0..n).map(alone).collect();
    let joined = |part| Tensor::cat(&each.iter().map(|all| &all[part]).collect::<Vec<_>>(), 0);
    (0..each[0].len()).map(joined).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise;

    /// The identity, `bad` and four times the identity.
    fn three(bad: [f64; 4]) -> Tensor {
        let eye = Tensor::eye(2, (Kind::Double, Device::Cpu));
        Tensor::stack(&[&eye, &Tensor::from_slice(&bad).view([2, 2]), &(&eye * 4.)], 0)
    }

    fn rows(t: &Tensor) -> Vec<f64> {
        Vec::try_from(&t.flatten(0, -1)).unwrap()
    }

    #[test]
    fn a_matrix_that_is_not_definite_is_undefined_alone() {
        for bad in [[f64::NAN; 4], [0.; 4], [1., 0., 0., -1.]] {
            let ones = Tensor::ones([3, 2, 1], (Kind::Double, Device::Cpu));
            let found = rows(&Cholesky::of(&three(bad)).solve(&ones));
            assert_eq!((&found[..2], &found[4..]), (&[1.; 2][..], &[0.25; 2][..]), "{bad:?}");
            assert!(found[2..4].iter().all(|v| v.is_nan()), "{bad:?}: {found:?}");
        }
    }

    #[test]
    fn what_lapack_refuses_is_undefined_alone() {
        let m = three([f64::NAN, 0., 0., 1.]);
        let inverse = rows(&pinv(&m));
        assert!(inverse[4..8].iter().all(|v| v.is_nan()) && inverse[11] == 0.25, "{inverse:?}");
        let m = three([f64::INFINITY, 0., 0., 1.]);
        let (values, vectors) = eigh(&m);
        let values = rows(&values);
        assert!(values[2].is_nan() && values[..2] == [1.; 2] && values[4..] == [4.; 2]);
        assert!(rows(&vectors)[4..8].iter().all(|v| v.is_nan()));
        assert!(rows(&eigvalsh(&m))[3].is_nan() && rows(&eigvalsh(&m))[5] == 4.);
    }

    #[test]
    fn constant_matrices_have_their_limits() {
        let zero = Tensor::zeros([1, 2, 2], (Kind::Double, Device::Cpu));
        assert_eq!(rows(&pinv(&zero)), [0.; 4]);
        assert_eq!(rows(&eigvalsh(&zero)), [0.; 2]);
    }

    /// Against LAPACK: eigenvalues by their Rayleigh quotients, and vectors where one eigenvalue stands
    /// out, of matrices of every scale.
    #[test]
    fn squaring_finds_the_largest_eigenvalue() {
        for (m, scale, kind, bound) in [
            (1, 1., Kind::Double, 1e-12),
            (9, 1., Kind::Double, 1e-12),
            (9, 1e-150, Kind::Double, 1e-12),
            (9, 1e-30, Kind::Float, 1e-5),
            (99, 1e9, Kind::Float, 1e-5),
        ] {
            let keys: Vec<u64> = (0..32).collect();
            let rows = noise::normal(&keys, &[m, m + 3], Device::Cpu).to_kind(Kind::Double);
            let gram = (rows.bmm(&rows.transpose(1, 2)) * scale).to_kind(kind);
            let (u, expected) = (by_squaring(&gram).to_kind(Kind::Double), top(&gram));
            let whole = gram.to_kind(Kind::Double) / scale;
            let quotient = u.unsqueeze(1).bmm(&whole).bmm(&u.unsqueeze(2)).flatten(0, -1);
            let values = whole.linalg_eigvalsh("L").select(1, -1);
            let off = ((quotient - &values) / &values).abs().max().double_value(&[]);
            assert!(off < bound, "{m} at {scale}: {off:e}");
            let along = (u * expected.to_kind(Kind::Double))
                .sum_dim_intlist([1i64].as_slice(), false, Kind::Double)
                .abs();
            let along = (along - 1.).abs().max().double_value(&[]);
            assert!(along < bound.max(1e-9), "{m} at {scale}: {along:e}");
        }
    }

    #[test]
    fn squaring_knows_zeros_twins_and_what_is_not_finite() {
        let length = |m: [f64; 4]| {
            let u = by_squaring(&Tensor::from_slice(&m).view([1, 2, 2]));
            u.square().sum(Kind::Double).double_value(&[])
        };
        assert_eq!(length([0.; 4]), 1.);
        assert!((length([3., 0., 0., 3.]) - 1.).abs() < 1e-12, "two equal eigenvalues");
        let first = by_squaring(&three([f64::NAN, 0., 0., 1.]));
        let numbers = rows(&first);
        assert!(
            numbers[2..4].iter().all(|v| v.is_nan()) && numbers[..2] == [1., 0.],
            "{numbers:?}"
        );
        assert!(length([f64::INFINITY, 0., 0., 1.]).is_nan());
    }
}
