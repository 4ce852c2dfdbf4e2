//! Ridge regression of many samples on many numbers, by the smaller of its two Gram matrices. The
//! samples stay in their own type; sums run over slices of them in f64, so that memory does not
//! double.

use models::linalg::Cholesky;
use tch::{Kind, Tensor};

/// Numbers of a slice, in f64, at most: 64 MiB.
const SLICE: i64 = 1 << 23;

/// (AᵀA + λI)⁻¹Aᵀ = Aᵀ(AAᵀ + λI)⁻¹ for A `[N, S, D]`.
pub(crate) struct Normal {
    a: Samples,
    factor: Cholesky, // of the smaller Gram matrix, f64
    few: bool,        // samples, beside numbers
}

/// A.
struct Samples {
    rows: Tensor,         // [N, S, D] in its own type
    mean: Option<Tensor>, // of the rows, f64 [N, 1, D]; A is what is left without it
}

/// How strongly coefficients are held at zero.
pub(crate) enum Ridge {
    /// λ itself; A has its mean taken out, as an intercept does.
    Centred(f64),
    /// λ is this times the mean square of a number's samples, summed over samples.
    Relative(f64),
}

impl Normal {
    pub fn new(rows: Tensor, ridge: &Ridge) -> Self {
        let (samples, numbers) = (rows.size()[1], rows.size()[2]);
        let few = samples <= numbers;
        let centred = matches!(ridge, Ridge::Centred(_));
        let mut a = Samples { rows, mean: None };
        if centred {
            a.mean = Some(a.mean());
        }
        let gram = a.gram(few);
        let eye = Tensor::eye(gram.size()[1], (Kind::Double, gram.device()));
        let trace = gram.diagonal(0, 1, 2).sum_dim_intlist([1].as_slice(), true, Kind::Double);
        let trace = trace.unsqueeze(2);
        let gram = match *ridge {
            // AAᵀ is singular along (1, …, 1) and Aᵀ kills that direction: any number may stand
            // there.
            Ridge::Centred(alpha) if few => gram + trace / (samples * numbers) as f64 + eye * alpha,
            Ridge::Centred(alpha) => gram + eye * alpha,
            // An image that no perturbation changes has no map.
            Ridge::Relative(share) => {
                let lambda = trace * (share / numbers as f64);
                gram + eye * lambda.clamp_min(f64::from(f32::MIN_POSITIVE))
            }
        };
        Normal { a, factor: Cholesky::of(&gram), few }
    }

    /// The coefficients `[N, D]` of values f64 `[N, S]`.
    pub fn fitted(&self, values: &Tensor) -> Tensor {
        let values = values.unsqueeze(2);
        let found = match self.few {
            true => self.a.across(&self.factor.solve(&values)),
            false => self.factor.solve(&self.a.across(&values)),
        };
        found.squeeze_dim(2)
    }

    /// The transpose: v, f64 `[N, D]` -> `[N, S]`.
    pub fn transposed(&self, v: &Tensor) -> Tensor {
        let v = v.unsqueeze(2);
        let found = match self.few {
            true => self.factor.solve(&self.a.along(&v)),
            false => self.a.along(&self.factor.solve(&v)),
        };
        found.squeeze_dim(2)
    }
}

impl Samples {
    /// Its part of `n` numbers from `start`, f64 `[N, S, n]`.
    fn columns(&self, start: i64, n: i64) -> Tensor {
        let part = self.rows.narrow(2, start, n).to_kind(Kind::Double);
        self.mean.as_ref().map_or(part.shallow_clone(), |mean| part - mean.narrow(2, start, n))
    }

    /// Of each number, f64 `[N, 1, D]`.
    fn mean(&self) -> Tensor {
        let part = |(start, n)| self.columns(start, n).mean_dim([1].as_slice(), true, Kind::Double);
        Tensor::cat(&self.slices().map(part).collect::<Vec<_>>(), 2)
    }

    /// Slices of its numbers: where they start and how many they are.
    fn slices(&self) -> impl Iterator<Item = (i64, i64)> + use<> {
        let size = self.rows.size();
        let side = (SLICE / (size[0] * size[1])).max(1);
        (0..size[2]).step_by(side as usize).map(move |start| (start, side.min(size[2] - start)))
    }

    /// AAᵀ where samples are few, else AᵀA; f64.
    fn gram(&self, few: bool) -> Tensor {
        if !few {
            // No larger than what it is made of.
            let all = self.columns(0, self.rows.size()[2]);
            return all.transpose(1, 2).matmul(&all);
        }
        let part = |(start, n)| {
            let part = self.columns(start, n);
            part.matmul(&part.transpose(1, 2))
        };
        self.slices().map(part).reduce(|a, b| a + b).expect("images have numbers")
    }

    /// Aᵀ values: `[N, S, 1]` -> `[N, D, 1]`.
    fn across(&self, values: &Tensor) -> Tensor {
        let part = |(start, n)| self.columns(start, n).transpose(1, 2).matmul(values);
        Tensor::cat(&self.slices().map(part).collect::<Vec<_>>(), 1)
    }

    /// A v: `[N, D, 1]` -> `[N, S, 1]`.
    fn along(&self, v: &Tensor) -> Tensor {
        let part = |(start, n)| self.columns(start, n).matmul(&v.narrow(1, start, n));
        self.slices().map(part).reduce(|a, b| a + b).expect("images have numbers")
    }
}
