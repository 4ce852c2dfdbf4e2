//! Methods, metrics and attacks as other libraries name them, with our names.

use attack::{ATTACKS, optim, prediction};
use explain::metric::METRICS;

/// Attribution methods, separated by commas.
pub(in crate::cli) fn methods(list: &str) -> Result<String, String> {
    explain::own_names(list).map_err(|e| format!("{e:#}"))
}

/// Metrics, separated by commas.
pub(in crate::cli) fn metrics(list: &str) -> Result<String, String> {
    registry::own_names(METRICS, list).map_err(|e| format!("{e:#}"))
}

/// Attacks on predictions, separated by commas.
pub(in crate::cli) fn adversaries(list: &str) -> Result<String, String> {
    prediction::own_names(list).map_err(|e| format!("{e:#}"))
}

/// An attack on maps.
pub(in crate::cli) fn objective(text: &str) -> Result<String, String> {
    registry::own_names(ATTACKS, text).map_err(|e| format!("{e:#}"))
}

/// An attack on maps or on predictions.
pub(in crate::cli) fn attack(text: &str) -> Result<String, String> {
    objective(text).and_then(|text| adversaries(&text))
}

/// An optimiser of attacks.
pub(in crate::cli) fn rule(text: &str) -> Result<String, String> {
    optim::own_names(text).map_err(|e| format!("{e:#}"))
}
