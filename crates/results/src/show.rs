//! Numbers for people.

use crate::{Number, Row, Sample};

/// The share of the spread of values that one image has to make before their mean is not believed:
/// our number. Of 16 exponential values it is exceeded once in some 10,000 samples.
pub const ONE_MAKES_IT: f64 = 0.9;

/// Shown in place of a number that is undefined.
pub const UNDEFINED: &str = "undefined";

/// A radius as people write it: a whole number of 255ths where it is one, else what is shorter of
/// its decimals and those of 255ths: `8/255`, `0.5/255`, `0.25`.
pub fn label(eps: f64) -> String {
    let steps = eps * 255.;
    let near = |digits: f64| {
        let rounded = (steps * digits).round() / digits;
        ((steps - rounded).abs() < 1e-6).then(|| format!("{rounded}/255"))
    };
    let decimal = eps.to_string();
    near(1.).or_else(|| near(1000.).filter(|text| text.len() < decimal.len())).unwrap_or(decimal)
}

/// A quantity and its value at one image, two decimals: `k-in 0.25`.
pub fn effect(quantity: &str, value: f64) -> String {
    let value = if value.is_nan() { UNDEFINED.into() } else { format!("{value:.2}") };
    format!("{quantity} {value}")
}

/// Three significant digits.
pub fn significant(value: f64) -> String {
    if value.is_nan() {
        return UNDEFINED.into();
    }
    if value == 0. {
        return "0".into();
    }
    match value.abs().log10().floor() as i32 {
        size @ -3..=2 => format!("{value:.*}", (2 - size) as usize),
        3 | 4 => format!("{value:.0}"),
        _ => format!("{value:.2e}"),
    }
}

impl Number {
    /// The mean and its standard error, three decimals: `0.271 ± 0.020`; without an error where there
    /// is none.
    pub fn with_error(&self) -> String {
        match (self.mean, self.stderr) {
            (None, _) => UNDEFINED.into(),
            (Some(mean), None) => format!("{mean:.3}"),
            (Some(mean), Some(stderr)) => format!("{mean:.3} ± {stderr:.3}"),
        }
    }
}

impl Row {
    /// The mean, its interval and what is not in it: `0.27 [0.25, 0.29], 2 undefined: no map`. Where
    /// one image makes nearly all of the spread, the median stands beside it.
    pub fn with_interval(&self) -> String {
        let Number { mean, low, high, infinite, undefined, .. } = self.number;
        let counted = |(count, what): (u64, &str)| (count > 0).then(|| format!("{count} {what}"));
        // The reasons last, behind a colon.
        let left_out = [(infinite, "infinite"), (undefined, UNDEFINED)];
        let within = |middle: f64, ends: Option<(f64, f64)>| match ends {
            Some((low, high)) => {
                format!("{} [{}, {}]", significant(middle), significant(low), significant(high))
            }
            None => significant(middle),
        };
        // Where one image makes the mean, its interval says little: the median stands beside it.
        let Number { median, median_low, median_high, .. } = self.number;
        let beside = median.filter(|_| Sample::spread_of_one(&self.values) > ONE_MAKES_IT);
        let beside = beside.map(|m| format!("; median {}", within(m, median_low.zip(median_high))));
        let mean = mean.map(|mean| within(mean, low.zip(high)) + &beside.unwrap_or_default());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Keys;

    #[test]
    fn what_is_not_in_a_mean_is_told() {
        let whole = Number { low: Some(0.5), high: Some(2.), ..Number::exact(1.) };
        assert_eq!(Number { stderr: Some(0.25), ..whole }.with_error(), "1.000 ± 0.250");
        assert_eq!([whole.with_error(), Number::default().with_error()], ["1.000", UNDEFINED]);
        let told = |number, reasons: &[(&str, u64)]| {
            let reasons = reasons.iter().map(|(reason, count)| ((*reason).to_owned(), *count));
            Row { reasons: reasons.collect(), ..Row::new(&Keys::new(), "k", number) }
                .with_interval()
        };
        assert_eq!(told(whole, &[]), "1.00 [0.500, 2.00]");
        assert_eq!(told(Number::default(), &[]), UNDEFINED);
        let some = Number { infinite: 1, undefined: 2, ..whole };
        assert_eq!(told(some, &[]), "1.00 [0.500, 2.00], 1 infinite, 2 undefined");
        let none = Number { undefined: 3, ..Number::default() };
        assert_eq!(told(none, &[("no map", 3)]), "3 undefined: no map");
        let two = [("empty masks", 1), ("no map", 2)];
        assert_eq!(told(none, &two), "3 undefined: 1 empty masks, 2 no map");
    }

    #[test]
    fn a_mean_that_one_image_makes_has_the_median_beside_it() {
        let mut values: Vec<f64> = (0..63).map(|i| 0.5 + f64::from(i) / 1000.).collect();
        values.push(35_059.);
        let shown = Row::new(&Keys::new(), "k", Sample::over_images(values, 0)).with_interval();
        assert!(
            shown.starts_with("548 [") && shown.ends_with("; median 0.532 [0.523, 0.540]"),
            "{shown}"
        );
    }

    #[test]
    fn numbers_are_short() {
        let radii = [8. / 255., 0.01, 0.5 / 255., 0.25, 2.25 / 255.].map(label);
        assert_eq!(radii, ["8/255", "0.01", "0.5/255", "0.25", "2.25/255"]);
        let shown = [0., 0.1234, 12.34, 1234.5, 1.2e7, 1e-5, f64::NAN].map(significant);
        assert_eq!(shown, ["0", "0.123", "12.3", "1234", "1.20e7", "1.00e-5", "undefined"]);
        assert_eq!(effect("cor", f64::NAN), "cor undefined");
    }
}
