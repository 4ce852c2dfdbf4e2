//! A number with the values it is of, one an image.

use crate::{
    Number,
    inference::{Evidence, of_mean, of_median, of_share},
};
use std::ops::{Deref, DerefMut};

/// A number over images and its values; no values where they were not kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// What is said of the values.
    pub number: Number,
    /// One an image, in the order of the data; NaN where undefined.
    pub values: Vec<f64>,
}

impl From<Number> for Sample {
    fn from(number: Number) -> Self {
        Sample { number, values: vec![] }
    }
}

impl Deref for Sample {
    type Target = Number;

    fn deref(&self) -> &Number {
        &self.number
    }
}

impl DerefMut for Sample {
    fn deref_mut(&mut self) -> &mut Number {
        &mut self.number
    }
}

impl Sample {
    /// Of values of any kind: the mean of the finite ones with its interval by the studentised
    /// bootstrap (the same seed resamples the same images), the median of those that are defined with
    /// its exact interval, the geometric mean.
    pub fn over_images(values: Vec<f64>, seed: u64) -> Self {
        let interval = of_mean(&values, seed);
        Sample::within(values, interval)
    }

    /// Of values that are 0 or 1, or undefined: their share with Wilson's interval.
    pub fn of_share(values: Vec<f64>) -> Self {
        let some: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        let share = some.iter().sum::<f64>() / some.len() as f64;
        let error = (share * (1. - share) / some.len() as f64).sqrt();
        let mut of = Sample::within(values, of_share(share, some.len(), 0.));
        // Of none or all it would be 0.
        of.stderr = Some(error).filter(|error| some.len() > 1 && *error > 0.);
        of
    }

    fn within(values: Vec<f64>, interval: Option<Evidence>) -> Self {
        // Few values may be so unlike that nothing is known.
        let interval = interval.filter(|i| i.low.is_finite() && i.high.is_finite());
        let mut sorted: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
        sorted.sort_by(f64::total_cmp);
        let middle = |i: usize| sorted.get(i).copied().unwrap_or(f64::NAN);
        let n = sorted.len();
        let median = (middle(n.saturating_sub(1) / 2) + middle(n / 2)) / 2.;
        let exact = of_median(&sorted).filter(|exact| exact.low.is_finite());
        let finite: Vec<f64> = sorted.iter().copied().filter(|v| v.is_finite()).collect();
        let (only, count) = (finite.first().copied(), finite.len() as f64);
        let quartile = |i: usize| only.map(|_| finite[(finite.len() - 1) * i / 4]);
        let mean = only.map(|_| finite.iter().sum::<f64>() / count);
        let spread = |mean: f64| {
            let squares: f64 = finite.iter().map(|v| (v - mean).powi(2)).sum();
            (squares / (count - 1.) / count).sqrt()
        };
        let logarithm = finite.iter().map(|v| v.ln()).sum::<f64>() / count;
        let number = Number {
            mean,
            stderr: mean.filter(|_| finite.len() > 1).map(spread),
            low: interval.map(|i| i.low),
            high: interval.map(|i| i.high),
            median: Some(median).filter(|m| m.is_finite()),
            median_low: exact.map(|e| e.low),
            median_high: exact.map(|e| e.high).filter(|high| high.is_finite()),
            geometric: only.filter(|least| *least > 0.).map(|_| logarithm.exp()),
            min: quartile(0),
            q1: quartile(1),
            q2: quartile(2),
            q3: quartile(3),
            max: quartile(4),
            n: Some(finite.len() as u64),
            undefined: values.iter().filter(|v| v.is_nan()).count() as u64,
            infinite: values.iter().filter(|v| v.is_infinite()).count() as u64,
            ..Number::default()
        };
        Sample { number, values }
    }

    /// The share of the spread, of the squares of the distances from the mean, that one image makes;
    /// 0 of values that are equal. Near 1 no interval of the mean can be believed.
    pub fn spread_of_one(values: &[f64]) -> f64 {
        let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        let mean = finite.iter().sum::<f64>() / finite.len() as f64;
        let squares = || finite.iter().map(|v| (v - mean).powi(2));
        let all: f64 = squares().sum();
        if all > 0. { squares().fold(0., f64::max) / all } else { 0. }
    }
}

/// Values in JSON: `null` where undefined, infinities in words.
pub(crate) mod spelled {
    use serde::{Deserialize, Deserializer, Serializer, de::Error, ser::SerializeSeq};
    use serde_json::Value;

    pub(crate) fn serialize<S: Serializer>(values: &[f64], to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(Some(values.len()))?;
        for value in values {
            match value {
                v if v.is_nan() => list.serialize_element(&())?,
                v if v.is_infinite() => {
                    list.serialize_element(if *v > 0. { "inf" } else { "-inf" })?
                }
                v => list.serialize_element(v)?,
            }
        }
        list.end()
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
        let value = |value: Value| match (&value, value.as_str()) {
            (Value::Null, _) => Ok(f64::NAN),
            (_, Some("inf")) => Ok(f64::INFINITY),
            (_, Some("-inf")) => Ok(f64::NEG_INFINITY),
            _ => value.as_f64().ok_or_else(|| D::Error::custom(format!("`{value}` is no value"))),
        };
        Vec::<Value>::deserialize(from)?.into_iter().map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Keys, Row};

    #[test]
    fn what_is_undefined_is_counted_apart_from_what_is_infinite() {
        let (nan, infinite) = (f64::NAN, f64::INFINITY);
        let of = |values: &[f64]| Sample::over_images(values.to_vec(), 0);
        let mixed = of(&[1., nan, 3., infinite, nan, 2.]);
        assert_eq!((mixed.n, mixed.undefined, mixed.infinite), (Some(3), 2, 1));
        assert_eq!((mixed.mean, mixed.median), (Some(2.), Some(2.5)));
        assert_eq!(mixed.low, of(&[1., 3., 2.]).low);
        assert_eq!(mixed.five(), Some([1., 1., 2., 2., 3.]));
        assert!((mixed.stderr.unwrap() - 1. / 3f64.sqrt()).abs() < 1e-12);
        assert!((mixed.geometric.unwrap() - 6f64.cbrt()).abs() < 1e-12);
        assert_eq!(of(&[1., 0.]).geometric, None);
        for (values, shown) in [
            (&[1., nan, 1.][..], "1.00 [1.00, 1.00], 1 undefined"),
            (&[0.5, nan, infinite], "0.500, 1 infinite, 1 undefined"),
            (&[nan, nan], "2 undefined"),
            (&[infinite, infinite], "2 infinite"),
            (&[nan, infinite], "1 infinite, 1 undefined"),
            (&[0.25], "0.250"),
            (&[], "undefined"),
        ] {
            assert_eq!(Row::new(&Keys::new(), "k", of(values)).with_interval(), shown);
        }
    }

    #[test]
    fn shares_have_wilsons_interval() {
        let all = Sample::of_share([[1.; 8], [f64::NAN; 8]].concat());
        assert_eq!((all.mean, all.n, all.undefined, all.high), (Some(1.), Some(8), 8, Some(1.)));
        let shown = |values: Vec<f64>| {
            Row::new(&Keys::new(), "k", Sample::of_share(values)).with_interval()
        };
        assert_eq!(shown([[1.; 3].to_vec(), vec![0.; 7]].concat()), "0.300 [0.108, 0.603]");
        assert_eq!(shown(vec![1.]), "1.00");
    }

    #[test]
    fn values_are_read_as_they_were_written() {
        let values = vec![0.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1. / 3.];
        let row = Row::new(&Keys::new(), "k", Sample::over_images(values.clone(), 0));
        let json = serde_json::to_string(&row).unwrap();
        assert!(json.contains(r#""values":[0.1,null,"inf","-inf",0.333"#), "{json}");
        let read: Row = serde_json::from_str(&json).unwrap();
        assert_eq!(read.number, row.number);
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&read.values), bits(&values));
        assert!(serde_json::from_str::<Row>(r#"{"quantity":"k","values":["much"]}"#).is_err());
    }

    #[test]
    fn one_image_may_make_the_spread() {
        assert_eq!(Sample::spread_of_one(&[1.; 5]), 0.);
        assert!((Sample::spread_of_one(&[0., 2.]) - 0.5).abs() < 1e-12);
        let mut values = vec![0.5; 63];
        values.push(35_059.);
        assert!(Sample::spread_of_one(&values) > 0.98);
    }
}
