//! Numbers that may be written as fractions, such as `8/255`.

use anyhow::{Result, anyhow, ensure};
use serde::{Deserialize, Deserializer};
use toml::Value;

/// A number typed as `0.0314`, `8/255` or `8`. Errors: not a finite number, a zero denominator.
pub fn parse_fraction(text: &str) -> Result<f64> {
    let told = || anyhow!("`{text}` is not a number such as `8/255` or `0.0314`");
    let finite = |value: f64| value.is_finite().then_some(value).ok_or_else(told);
    let number = |t: &str| t.trim().parse().map_err(|_| told()).and_then(finite);
    let Some((above, below)) = text.split_once('/') else { return number(text) };
    let below = number(below)?;
    ensure!(below != 0., "`{text}` divides by zero; write it like `8/255`");
    finite(number(above)? / below)
}

/// For serde fields: a number, or a string such as `"8/255"`.
pub fn fraction<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    match Value::deserialize(from)? {
        Value::Float(value) if value.is_finite() => Ok(value),
        Value::Integer(value) => Ok(value as f64),
        Value::String(text) => parse_fraction(&text).map_err(serde::de::Error::custom),
        other => Err(serde::de::Error::custom(format!("`{other}` is not a number"))),
    }
}

/// `value` as people write it: `4/255` for steps of eight bits that decimals do not hold, `1e-9`, `1e11`.
pub(crate) fn spelled(value: f64) -> String {
    let size = value.abs();
    if size != 0. && !(1e-4..1e6).contains(&size) {
        return format!("{value:e}");
    }
    let (plain, steps) = (value.to_string(), value * 255.);
    let whole = steps.round() / 255. == value && (1. ..=255.).contains(&steps);
    if whole && plain.len() > 8 { format!("{}/255", steps.round()) } else { plain }
}
