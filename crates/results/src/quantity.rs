//! What a number is: its name, its meaning, and which way is better.

use serde::{Deserialize, Serialize};

/// Which direction of a quantity is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Larger numbers.
    Higher,
    /// Smaller numbers.
    Lower,
    /// Neither: a count, a setting.
    Neither,
}

impl Better {
    /// `↑`, `↓`, or nothing.
    pub fn arrow(self) -> &'static str {
        match self {
            Better::Higher => "↑",
            Better::Lower => "↓",
            Better::Neither => "",
        }
    }

    /// The best of `values`; NaN never is.
    pub fn best(self, values: impl Iterator<Item = f64>) -> Option<f64> {
        values.filter(|v| !v.is_nan()).reduce(match self {
            Better::Higher => f64::max,
            Better::Lower => f64::min,
            Better::Neither => return None,
        })
    }
}

/// A kind of number in the rows of a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantity {
    /// The value of the key `quantity` in rows.
    pub name: String,
    /// In plain words, for headings: `top-k intersection`.
    pub title: String,
    /// Formula in words, range and unit.
    pub about: String,
    /// Which direction is better.
    pub better: Better,
}

impl Quantity {
    /// Of borrowed words.
    pub fn new(name: &str, title: &str, about: &str, better: Better) -> Self {
        let [name, title, about] = [name, title, about].map(str::to_owned);
        Quantity { name, title, about, better }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_ignores_nan() {
        let values = [f64::NAN, 0.2, 0.7];
        assert_eq!(Better::Higher.best(values.into_iter()), Some(0.7));
        assert_eq!(Better::Lower.best(values.into_iter()), Some(0.2));
        assert_eq!(Better::Lower.best([].into_iter()), None);
        assert_eq!(Better::Neither.best(values.into_iter()), None);
    }
}
