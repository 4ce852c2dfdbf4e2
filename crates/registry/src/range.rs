//! Ranges that options of many families have.

use anyhow::{Result, ensure};

/// Errors: an option that is negative or not finite.
pub fn not_negative(name: &str, value: f64) -> Result<()> {
    ensure!(value.is_finite() && value >= 0., "`{name}` is {value}; it must not be negative");
    Ok(())
}

/// Errors: an option that is 0, negative or not finite.
pub fn positive(name: &str, value: f64) -> Result<()> {
    ensure!(value.is_finite() && value > 0., "`{name}` is {value}; it must be positive");
    Ok(())
}
