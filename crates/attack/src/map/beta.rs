//! How sharp the surrogate's softplus is.

use anyhow::{Context, Result, ensure};
use models::{SHARPNESS, grown};

/// Sharpness of the softplus that stands for each ReLU while attacking. In iteration t = 0, 1, … of T
///
/// β(t) = start · (end / start)^(t / T),
///
/// divided, where it is `relative`, by the spread of what goes into each nonlinearity
/// ([`models::spreads`]): then it bends a network alike in whatever units its layers count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beta {
    /// At the first iteration.
    pub start: f64,
    /// What it grows to, by the same factor at every iteration.
    pub end: f64,
    /// Whether it is in units of one over each spread.
    pub relative: bool,
}

/// What stands behind a relative sharpness.
const UNIT: &str = "/spread";

impl Beta {
    /// [`SHARPNESS`]: docs/decisions/map-attacks.md says how it was chosen.
    pub const USUAL: Beta = Beta { start: SHARPNESS[0], end: SHARPNESS[1], relative: true };

    /// The same at every iteration and nonlinearity.
    pub fn fixed(beta: f64) -> Self {
        Beta { start: beta, end: beta, relative: false }
    }

    /// `20`, or `10:100` to grow; `10:300/spread` in units of one over each spread. Errors: not one or
    /// two positive numbers.
    pub fn parse(text: &str) -> Result<Self> {
        let told = || {
            format!(
                "`{text}` is neither a number such as `20` nor a growth such as `10:100` or `{}`",
                Beta::USUAL
            )
        };
        let numbers = text.strip_suffix(UNIT);
        let (start, end) = numbers.unwrap_or(text).split_once(':').unwrap_or_else(|| {
            let number = numbers.unwrap_or(text);
            (number, number)
        });
        let number = |text| registry::parse_fraction(text).with_context(told);
        let beta = Beta { start: number(start)?, end: number(end)?, relative: numbers.is_some() };
        ensure!(beta.start > 0. && beta.end > 0., "`{text}` is not positive");
        Ok(beta)
    }

    /// Whether iterations have different surrogates.
    pub fn grows(self) -> bool {
        self.start != self.end
    }

    /// The sharpness in iteration number `iteration`, from 0, of so many.
    pub(crate) fn at(self, iteration: u32, of: u32) -> f64 {
        grown([self.start, self.end], f64::from(iteration) / f64::from(of))
    }
}

/// As [`Beta::parse`] reads it.
impl std::fmt::Display for Beta {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}", self.start)?;
        if self.grows() {
            write!(f, ":{}", self.end)?;
        }
        f.write_str(if self.relative { UNIT } else { "" })
    }
}
