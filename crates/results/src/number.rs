//! A number over images: its mean, how sure it is, and how many images say nothing.

use serde::{Deserialize, Serialize};

/// A mean over images and what is known of it. What was not computed is none; a mean that is
/// undefined is none too, and `undefined` counts the images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Number {
    /// Mean; none if it is undefined.
    pub mean: Option<f64>,
    /// Standard error of the mean; none of fewer than two images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stderr: Option<f64>,
    /// Lower end of the 95 % interval of the mean; none of fewer than two images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Upper end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// Mean over the images whose attack succeeded; none if none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_of_successes: Option<f64>,
    /// The smallest finite value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The first quartile of the finite values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q1: Option<f64>,
    /// The middle of all that are defined, infinite ones too; none if that is infinite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median: Option<f64>,
    /// Lower end of the 95 % interval of the median; none of fewer than six images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_low: Option<f64>,
    /// Upper end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_high: Option<f64>,
    /// The geometric mean of the finite values; none where one of them is not above 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub geometric: Option<f64>,
    /// The middle of the finite values, between the quartiles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q2: Option<f64>,
    /// The third quartile of the finite values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q3: Option<f64>,
    /// The largest finite value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The 90th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90: Option<f64>,
    /// Images in the mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
    /// Images where it is undefined: in no mean.
    pub undefined: u64,
    /// Images where it is infinite: in no mean.
    #[serde(skip_serializing_if = "is_zero")]
    pub infinite: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Number {
    /// The statistics by name, in the order of tables.
    pub const STATISTICS: [&str; 18] = [
        "mean",
        "stderr",
        "low",
        "high",
        "mean_of_successes",
        "min",
        "q1",
        "median",
        "median_low",
        "median_high",
        "geometric",
        "q2",
        "q3",
        "max",
        "p90",
        "n",
        "undefined",
        "infinite",
    ];

    /// One value, which nothing is averaged over; undefined if it is NaN.
    pub fn exact(value: f64) -> Self {
        Number { mean: Some(value).filter(|v| !v.is_nan()), ..Number::default() }
    }

    /// The statistic called `name`; none if it was not computed or is undefined.
    pub fn statistic(&self, name: &str) -> Option<f64> {
        match name {
            "mean" => self.mean,
            "stderr" => self.stderr,
            "low" => self.low,
            "high" => self.high,
            "mean_of_successes" => self.mean_of_successes,
            "min" => self.min,
            "q1" => self.q1,
            "median" => self.median,
            "median_low" => self.median_low,
            "median_high" => self.median_high,
            "geometric" => self.geometric,
            "q2" => self.q2,
            "q3" => self.q3,
            "max" => self.max,
            "p90" => self.p90,
            "n" => self.n.map(|n| n as f64),
            "undefined" => Some(self.undefined as f64),
            "infinite" => Some(self.infinite as f64),
            _ => None,
        }
    }

    /// Smallest, quartiles and largest of the finite values; none if there is none.
    pub fn five(&self) -> Option<[f64; 5]> {
        Some([self.min?, self.q1?, self.q2?, self.q3?, self.max?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statistic_has_a_name() {
        let json = r#"{"mean":1,"stderr":2,"low":3,"high":4,"mean_of_successes":5,"min":6,"q1":7,
            "median":8,"median_low":9,"median_high":10,"geometric":11,"q2":12,"q3":13,"max":14,
            "p90":15,"n":16,"undefined":17,"infinite":18}"#;
        let number: Number = serde_json::from_str(json).unwrap();
        for (i, name) in Number::STATISTICS.iter().enumerate() {
            assert_eq!(number.statistic(name), Some(i as f64 + 1.), "{name}");
        }
        let written = serde_json::to_value(number).unwrap();
        assert_eq!(written.as_object().unwrap().len(), Number::STATISTICS.len());
        assert_eq!(number.five(), Some([6., 7., 12., 13., 14.]));
    }

    #[test]
    fn what_is_undefined_is_none_and_counted() {
        assert_eq!(Number::exact(f64::NAN), Number::default());
        let none = Number { undefined: 2, ..Number::default() };
        assert_eq!(serde_json::to_string(&none).unwrap(), r#"{"mean":null,"undefined":2}"#);
    }
}
