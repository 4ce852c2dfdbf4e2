//! Numbers on pages.

use results::UNDEFINED;

/// Four digits that count; of NaN, that it is undefined.
pub fn shown(number: f64) -> String {
    match number.abs() {
        n if n.is_nan() => UNDEFINED.into(),
        n if n == 0. || (1e-3..1e5).contains(&n) => {
            let digits = (3 - n.max(1e-3).log10().floor() as i32).clamp(0, 5) as usize;
            format!("{number:.digits$}")
        }
        _ => format!("{number:.2e}"),
    }
}
