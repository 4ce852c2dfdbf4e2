//! The first number that is not finite ends the work: no number about it would mean anything.

use anyhow::{Result, bail};
use tch::{Kind, Tensor};

/// Errors: a row of `t` `[N, …]` with a number that is NaN or infinite, called what `told` calls it.
/// One host synchronisation.
pub fn finite(t: &Tensor, told: impl FnOnce(u64) -> String) -> Result<()> {
    let rows = t.detach().flatten(1, -1);
    let finite = rows.isfinite();
    if finite.all().int64_value(&[]) != 0 {
        return Ok(());
    }
    let first = finite.all_dim(1, false).to_kind(Kind::Uint8).argmin(0, false).int64_value(&[]);
    let place = finite.get(first).to_kind(Kind::Uint8).argmin(0, false).int64_value(&[]);
    let value = rows.double_value(&[first, place]);
    bail!("{} is {value}, not a finite number", told(first as u64))
}

/// What is said of the logits of image number `image` of `data`.
pub fn logits_of(image: u64, data: &str) -> String {
    format!(
        "the network's weights or the image are out of range: a logit of image {image} of `{data}`"
    )
}
