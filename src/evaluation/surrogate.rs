//! The network whose softened form an attack descends: the one under attack, or the same weights in
//! bf16. Iterates are judged on the one under attack in any case.

use crate::{
    cli::SurrogatePrecision,
    runtime::device,
    session::{Loaded, shared::Asked},
};
use ::attack::Surrogate;
use models::Precision;
use serde_json::{Value, json};

/// Chosen for a network on a device.
pub(super) enum Chosen {
    /// The network itself, to the last digit.
    Exact,
    /// The network itself, by the cheapest formulas.
    Rough,
    /// Its weights in bf16, by the cheapest formulas.
    Bf16(Box<Asked>),
}

impl Chosen {
    /// What `asked` comes to for `loaded`. On a GPU `auto` is f32 as ever: there nothing was measured.
    pub fn new(asked: SurrogatePrecision, loaded: &Loaded) -> Self {
        let bf16 = match asked {
            SurrogatePrecision::F32 => return Chosen::Exact,
            SurrogatePrecision::Auto if loaded.device.is_cuda() => return Chosen::Exact,
            SurrogatePrecision::Auto => device::bf16_pays(),
            SurrogatePrecision::Bf16 => true,
        };
        match bf16 && loaded.precision != Precision::Bf16 {
            true => Chosen::Bf16(Box::new(Asked::new(loaded.model.folded(Precision::Bf16)))),
            false => Chosen::Rough,
        }
    }

    /// For an attack on `loaded`.
    pub fn of<'a>(&'a self, loaded: &'a Loaded) -> Surrogate<'a> {
        match self {
            Chosen::Exact => Surrogate::Exact,
            Chosen::Rough => Surrogate::Rough(&loaded.model),
            Chosen::Bf16(network) => Surrogate::Rough(network.get()),
        }
    }

    /// What results say of it.
    pub fn settings(&self, loaded: &Loaded) -> [(&'static str, Value); 2] {
        let (precision, pass) = match self {
            Chosen::Exact => (loaded.precision, "exact"),
            Chosen::Rough => (loaded.precision, "rough"),
            Chosen::Bf16(_) => (Precision::Bf16, "rough"),
        };
        [("surrogate_precision", json!(precision)), ("surrogate_pass", json!(pass))]
    }
}
