//! Methods and metrics whose passes are halved where memory is exhausted, with a warning.

use crate::runtime::ui;
use anyhow::Result;
use explain::{Attribution, engine::oom::RetryOnOom};

pub use explain::engine::oom::{ChunkLimit, exhausted, retried, said};

/// The method that is spelled so; its passes get smaller where there is no room for them.
pub fn method(spelled: &str) -> Result<Box<dyn Attribution>> {
    let method = explain::method(registry::parse(spelled)?)?;
    Ok(Box::new(RetryOnOom { method, limit: chunk_limit(spelled) }))
}

/// For the passes of `what`.
pub fn chunk_limit(what: &str) -> ChunkLimit {
    ChunkLimit::new(what, ui::complain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_as_differentiable_as_it_was() {
        assert!(method("ig:points=2").unwrap().differentiable().is_some());
        assert!(method("mask").unwrap().differentiable().is_none());
    }
}
