//! What `gradproof measure` found: means with intervals, as JSON and CSV.

use super::{ModelCard, Origin, UNDEFINED};
use ::results::{Better, significant};
use anyhow::{Result, ensure};
use explain::metric::statistics::{Interval, bootstrap, wilson};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One number of one metric.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MeasuredColumn {
    /// What it is called in [`MeasuredRow::values`].
    pub key: String,
    /// The metric with its options, as the user wrote it.
    pub metric: String,
    /// Formula in words, range and unit.
    pub about: String,
    /// Or lower.
    pub higher_is_better: bool,
}

impl MeasuredColumn {
    /// Which direction is better.
    pub fn better(&self) -> Better {
        if self.higher_is_better { Better::Higher } else { Better::Lower }
    }
}

/// Of the finite values of a column; what is undefined or infinite is counted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Statistic {
    /// Mean; none if no value is finite.
    pub mean: Option<f64>,
    /// Lower end of the 95 % interval of the mean: Wilson's of a share of images, else by bootstrap;
    /// none of fewer than two values.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// The middle of all that are defined, infinite ones too; none if that is infinite.
    pub median: Option<f64>,
    /// Least, quartiles and largest of the finite values; none if there is none.
    #[serde(default)]
    pub spread: Option<[f64; 5]>,
    /// Values in the mean; none where that was not kept.
    #[serde(default)]
    pub n: Option<u64>,
    /// Values that are undefined.
    #[serde(default)]
    pub undefined: u64,
    /// Why, and of how many of these; empty where that was not kept.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reasons: BTreeMap<String, u64>,
    /// Values that are infinite.
    pub infinite: u64,
}

impl Statistic {
    /// Of one number an image, NaN where undefined; the same seed resamples the same images.
    pub fn of(values: &[f64], seed: u64) -> Self {
        Statistic::within(values, bootstrap(values, seed))
    }

    /// Of numbers that are 0 or 1, or undefined.
    pub fn of_share(values: &[f64]) -> Self {
        let some: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        let share = some.iter().sum::<f64>() / some.len() as f64;
        Statistic::within(values, wilson(share, some.len()))
    }

    /// The same with the reason of each value that is undefined.
    pub fn because<'a>(mut self, reasons: impl IntoIterator<Item = &'a str>) -> Self {
        for reason in reasons {
            *self.reasons.entry(reason.to_owned()).or_default() += 1;
        }
        self
    }

    fn within(values: &[f64], interval: Option<Interval>) -> Self {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
        sorted.sort_by(f64::total_cmp);
        let middle = |i: usize| sorted.get(i).copied().unwrap_or(f64::NAN);
        let n = sorted.len();
        let median = (middle(n.saturating_sub(1) / 2) + middle(n / 2)) / 2.;
        let finite: Vec<f64> = sorted.iter().copied().filter(|v| v.is_finite()).collect();
        let only = finite.first().copied();
        let quartile = |i: usize| finite[(finite.len() - 1) * i / 4];
        Statistic {
            spread: (!finite.is_empty()).then(|| std::array::from_fn(quartile)),
            mean: interval.map(|i| i.mean).or(only),
            low: interval.map(|i| i.low),
            high: interval.map(|i| i.high),
            median: Some(median).filter(|m| m.is_finite()),
            n: Some(finite.len() as u64),
            undefined: values.iter().filter(|v| v.is_nan()).count() as u64,
            reasons: BTreeMap::new(),
            infinite: values.iter().filter(|v| v.is_infinite()).count() as u64,
        }
    }

    /// The mean, its interval and what is not in it for people: `0.27 [0.25, 0.29], 2 undefined: no map`.
    pub fn shown(&self) -> String {
        let counted = |(count, what): (u64, &str)| (count > 0).then(|| format!("{count} {what}"));
        // The reasons last, behind a colon.
        let left_out = [(self.infinite, "infinite"), (self.undefined, UNDEFINED)];
        let mean = self.mean.map(|mean| match self.low.zip(self.high) {
            Some((low, high)) => {
                format!("{} [{}, {}]", significant(mean), significant(low), significant(high))
            }
            None => significant(mean),
        });
        let parts: Vec<String> =
            mean.into_iter().chain(left_out.into_iter().filter_map(counted)).collect();
        match parts.is_empty() {
            true => UNDEFINED.into(),
            false => parts.join(", ") + &self.why(),
        }
    }

    /// `: empty masks`; of several reasons `: 3 empty masks, 1 no map`.
    fn why(&self) -> String {
        let each: Vec<String> = match self.reasons.len() {
            0 => return String::new(),
            1 => self.reasons.keys().cloned().collect(),
            _ => self.reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect(),
        };
        format!(": {}", each.join(", "))
    }
}

/// The maps of one model by one method.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MeasuredRow {
    /// Place among [`MeasureResult::models`].
    pub model: usize,
    /// Attribution method, such as `gxi`.
    pub method: String,
    /// Images without a map: it is zero everywhere.
    pub empty_maps: u64,
    /// By [`MeasuredColumn::key`].
    pub values: BTreeMap<String, Statistic>,
}

/// What `gradproof measure` found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MeasureResult {
    /// How it was made.
    pub origin: Origin,
    /// In the order of the command.
    pub models: Vec<ModelCard>,
    /// As the user wrote it.
    pub data: String,
    /// Number of images.
    pub images: usize,
    /// Resolved settings, for the reader.
    pub settings: BTreeMap<String, serde_json::Value>,
    /// In the order of the command.
    pub columns: Vec<MeasuredColumn>,
    /// Model by model, method by method.
    pub measured: Vec<MeasuredRow>,
    /// Of each method: Spearman's ρ over models of the means of `lipschitz` and `model-lipschitz`,
    /// from three models on where both are defined; none where they are fewer, or all equal.
    pub rank_correlation: BTreeMap<String, Option<f64>>,
}

impl MeasuredRow {
    /// Whether images without a number were told from others: older files do not say so.
    pub fn checked(&self) -> bool {
        self.values.values().all(|value| value.n.is_some())
    }
}

impl MeasureResult {
    /// Errors: a row of no model, or without a number of every column.
    pub fn check(&self) -> Result<()> {
        for row in &self.measured {
            let MeasuredRow { model, method, values, .. } = row;
            ensure!(*model < self.models.len(), "a row of `{method}` is of model {model}");
            for c in &self.columns {
                ensure!(values.contains_key(&c.key), "a row of `{method}` has no `{}`", c.key);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_undefined_is_counted_apart_from_what_is_infinite() {
        let (nan, infinite) = (f64::NAN, f64::INFINITY);
        let of = |values: &[f64]| Statistic::of(values, 0);
        let mixed = of(&[1., nan, 3., infinite, nan, 2.]);
        assert_eq!((mixed.n, mixed.undefined, mixed.infinite), (Some(3), 2, 1));
        assert_eq!((mixed.mean, mixed.median), (Some(2.), Some(2.5)));
        assert_eq!(mixed.low, of(&[1., 3., 2.]).low);
        for (values, shown) in [
            (&[1., nan, 1.][..], "1.00 [1.00, 1.00], 1 undefined"),
            (&[0.5, nan, infinite], "0.500, 1 infinite, 1 undefined"),
            (&[nan, nan], "2 undefined"),
            (&[infinite, infinite], "2 infinite"),
            (&[nan, infinite], "1 infinite, 1 undefined"),
            (&[0.25], "0.250"),
            (&[], "undefined"),
        ] {
            assert_eq!(of(values).shown(), shown);
        }
        let because = |reasons: &[&'static str]| of(&[nan; 3]).because(reasons.iter().copied());
        assert_eq!(because(&["no map"; 3]).shown(), "3 undefined: no map");
        let two = because(&["no map", "empty masks", "no map"]);
        assert_eq!(two.shown(), "3 undefined: 1 empty masks, 2 no map");
        // As older files have it.
        let old = r#"{"mean":null,"low":null,"high":null,"median":null,"infinite":2}"#;
        let old: Statistic = serde_json::from_str(old).unwrap();
        assert_eq!((old.n, old.undefined, old.shown()), (None, 0, "2 infinite".into()));
    }

    #[test]
    fn a_share_of_all_or_none_has_a_width() {
        // Wilson's interval of 8 of 8: 8 / (8 + z²) to 1.
        let all = Statistic::of_share(&[[1.; 8], [f64::NAN; 8]].concat());
        assert_eq!((all.mean, all.n, all.undefined, all.high), (Some(1.), Some(8), 8, Some(1.)));
        assert!((all.low.unwrap() - 8. / (8. + 3.841_458_8)).abs() < 1e-6);
        let none = Statistic::of_share(&[0.; 8]);
        assert!(
            none.low == Some(0.) && (none.high.unwrap() - (1. - all.low.unwrap())).abs() < 1e-9
        );
        // 3 of 10, by Wilson (1927): 0.1078 to 0.6032.
        let some = Statistic::of_share(&[1., 1., 1., 0., 0., 0., 0., 0., 0., 0.]);
        assert_eq!(some.shown(), "0.300 [0.108, 0.603]");
        assert_eq!(Statistic::of_share(&[1.]).shown(), "1.00");
    }
}
