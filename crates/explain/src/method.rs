//! Attribution methods, a file each, and the list of them.

use crate::{
    Attribution,
    engine::{limit::ChunkLimit, limited::Limited},
};
use anyhow::Result;
use registry::Entry;
use toml::{Table, Value};

mod backward_rule;
mod gradcam;
mod gradient;
mod integrated_gradients;
mod masked;
mod occlusion;
mod random;
mod smooth;
mod smoothgrad;
mod stored;
mod surrogate;
mod zero;

pub use gradcam::{Tap, taps};
pub(crate) use masked::perturbation::variation;
pub use masked::rtsal::ENTRY as RTSAL;
pub use stored::ENTRY as STORED;

/// Every method that needs no file, sorted by name.
pub const METHODS: &[Entry<dyn Attribution>] = &[
    surrogate::clime::ENTRY,
    backward_rule::guided::DECONVNET,
    backward_rule::deeplift::ENTRY,
    integrated_gradients::EXPECTED_GRADIENTS,
    masked::fgvis::ENTRY,
    gradcam::ENTRY,
    backward_rule::guided::GUIDED,
    gradient::GXI,
    integrated_gradients::IG,
    surrogate::kernelshap::ENTRY,
    surrogate::lime::ENTRY,
    backward_rule::lrp::ENTRY,
    masked::perturbation::ENTRY,
    surrogate::least_infidelity::NOISY_BASELINE,
    occlusion::ENTRY,
    random::ENTRY,
    masked::relex::ENTRY,
    gradient::SALIENCY,
    smooth::ENTRY,
    smoothgrad::SMOOTHGRAD,
    surrogate::least_infidelity::SQUARE,
    smoothgrad::UNIGRAD,
    zero::ENTRY,
];

/// The method that `NAME:key=value,...` asks for.
pub fn parse(spelled: &str) -> Result<Box<dyn Attribution>> {
    method(match stored::table(spelled)? {
        Some(file) => file,
        None => registry::parse(spelled)?,
    })
}

/// A list of methods as users write it with our names for those of other libraries. Errors: an option
/// that is given by two of its names.
pub fn own_names(list: &str) -> Result<String> {
    registry::own_names(METHODS, list)
}

/// The same as of [`parse`], or `file:MAPS.safetensors`: maps that were made elsewhere.
pub fn parse_or_stored(spelled: &str) -> Result<Box<dyn Attribution>> {
    match stored::table(spelled)? {
        Some(table) => (STORED.build)(table),
        None => parse(spelled),
    }
}

/// What is known of the method `name`. Errors: there is none.
pub fn entry(name: &str) -> Result<&'static Entry<dyn Attribution>> {
    registry::find("method", if name == RTSAL.name { &[RTSAL] } else { METHODS }, name)
}

/// The method that `table` (`name` and options) asks for. Where memory is exhausted, its passes get
/// smaller and stay so.
pub fn method(table: Table) -> Result<Box<dyn Attribution>> {
    stored::refuse(&table)?;
    let limit = ChunkLimit::named(&registry::spelled(&table));
    let trained = table.get("name").and_then(Value::as_str) == Some(RTSAL.name);
    let known = if trained { &[RTSAL] } else { METHODS };
    Ok(Box::new(Limited { method: registry::build("method", known, table)?, limit }))
}
