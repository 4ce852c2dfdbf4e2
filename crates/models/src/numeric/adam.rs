//! Adam's direction (Kingma & Ba 2015, algorithm 1), for weights, masks and images alike.

use tch::Tensor;

/// Adam's constants.
#[derive(Clone, Copy, Debug)]
pub struct Adam {
    /// How much of each moment stays in a step: β₁, β₂.
    pub betas: [f64; 2],
    /// What keeps the quotient finite.
    pub eps: f64,
}

/// Running means of the gradient and of its square, entry by entry.
#[derive(Debug)]
pub struct Moments {
    /// Of the gradient.
    pub first: Tensor,
    /// Of its square.
    pub second: Tensor,
}

impl Moments {
    /// Before the first step, for gradients like `t`.
    pub fn zero(t: &Tensor) -> Self {
        Moments { first: t.zeros_like(), second: t.zeros_like() }
    }
}

impl Adam {
    /// m̂ / (√v̂ + ε) after the gradient `g` of step number `t`, from 1; `moments` take it in, in place.
    pub fn direction(&self, moments: &mut Moments, g: &Tensor, t: i64) -> Tensor {
        let [b1, b2] = self.betas;
        let _ = moments.first.g_mul_scalar_(b1).g_add_(&(g * (1. - b1)));
        let _ = moments.second.g_mul_scalar_(b2).g_add_(&(g.square() * (1. - b2)));
        let t = i32::try_from(t).unwrap_or(i32::MAX);
        let [u1, u2] = self.betas.map(|beta| 1. - beta.powi(t));
        (&moments.first / u1) / ((&moments.second / u2).sqrt() + self.eps)
    }
}
