//! Numbers for people.

/// Shown in place of a number that is undefined.
pub const UNDEFINED: &str = "undefined";

/// A radius as people write it: a whole number of 255ths where it is one.
pub fn label(eps: f64) -> String {
    let steps = eps * 255.;
    if (steps - steps.round()).abs() < 1e-6 {
        format!("{}/255", steps.round())
    } else {
        format!("{eps}")
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(["8/255", "0.01"].map(str::to_owned), [label(8. / 255.), label(0.01)]);
        let shown = [0., 0.1234, 12.34, 1234.5, 1.2e7, 1e-5, f64::NAN].map(significant);
        assert_eq!(shown, ["0", "0.123", "12.3", "1234", "1.20e7", "1.00e-5", "undefined"]);
        assert_eq!(effect("cor", f64::NAN), "cor undefined");
    }
}
