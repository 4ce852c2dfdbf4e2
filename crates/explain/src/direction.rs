//! Which way is good.

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
}

impl Better {
    /// ↑ or ↓.
    pub fn arrow(self) -> &'static str {
        match self {
            Better::Higher => "↑",
            Better::Lower => "↓",
        }
    }

    /// The best of `values`; none of them NaN counts.
    pub fn best(self, values: impl Iterator<Item = f64>) -> Option<f64> {
        values.filter(|v| !v.is_nan()).reduce(match self {
            Better::Higher => f64::max,
            Better::Lower => f64::min,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Better;

    #[test]
    fn the_best_ignores_nan() {
        let values = [f64::NAN, 0.2, 0.7];
        assert_eq!(Better::Higher.best(values.into_iter()), Some(0.7));
        assert_eq!(Better::Lower.best(values.into_iter()), Some(0.2));
        assert_eq!(Better::Lower.best([].into_iter()), None);
    }
}
