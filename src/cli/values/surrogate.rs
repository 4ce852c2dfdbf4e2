//! In which precision an attack computes what only points the way.

use serde::{Deserialize, Serialize};

/// What `--surrogate-precision` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SurrogatePrecision {
    /// bf16 where that was measured to pay, else f32; by the cheapest formulas.
    #[default]
    Auto,
    /// That of the network, its derivatives to the last digit.
    F32,
    /// bf16, by the cheapest formulas.
    Bf16,
}
