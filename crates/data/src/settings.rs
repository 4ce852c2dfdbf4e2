//! The settings of a set that is drawn from a seed.

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;

/// The settings `text`, `key=value,…`, of the kind `kind`.
pub(crate) fn drawn<C: DeserializeOwned>(kind: &str, text: &str) -> Result<C> {
    let mut table = registry::parse(&format!("{kind}:{text}"))?;
    table.remove("name");
    registry::options(table).with_context(|| format!("`{kind}:{text}`"))
}
