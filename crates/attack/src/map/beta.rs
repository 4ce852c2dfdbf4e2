//! How sharp the surrogate's softplus is.

use anyhow::{Context, Result, ensure};

/// Sharpness of the softplus that stands for each ReLU while attacking.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beta {
    /// At the first iteration.
    pub start: f64,
    /// What it grows to, by the same factor at every iteration.
    pub end: f64,
}

impl Beta {
    /// The same at every iteration.
    pub fn fixed(beta: f64) -> Self {
        Beta { start: beta, end: beta }
    }

    /// `20`, or `10:100` to grow. Errors: not one or two positive numbers.
    pub fn parse(text: &str) -> Result<Self> {
        let told =
            || format!("`{text}` is neither a number such as `20` nor a growth such as `10:100`");
        let (start, end) = text.split_once(':').unwrap_or((text, text));
        let number = |text| registry::parse_fraction(text).with_context(told);
        let beta = Beta { start: number(start)?, end: number(end)? };
        ensure!(beta.start > 0. && beta.end > 0., "`{text}` is not positive");
        Ok(beta)
    }

    /// The sharpness in iteration number `iteration`, from 0, of so many.
    pub(crate) fn at(self, iteration: u32, of: u32) -> f64 {
        self.start * (self.end / self.start).powf(f64::from(iteration) / f64::from(of))
    }
}
