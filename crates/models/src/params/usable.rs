//! Which values a network's tensors may have: finite floats, and variances that are not negative.

use crate::params::{Param, Role};
use tch::{Kind, Tensor};

/// The first of a list of problems, and how many more there are.
pub(crate) fn first(problems: &[String]) -> String {
    const SHOWN: usize = 8;
    let some = problems[..problems.len().min(SHOWN)].join("; ");
    match problems.len().saturating_sub(SHOWN) {
        0 => some,
        more => format!("{some}; and {more} more like these"),
    }
}

/// What is wrong with the values of `t` for the tensor `name`, if something is.
pub(crate) fn problem(name: &str, t: &Tensor, param: &Param) -> Option<String> {
    if !t.is_floating_point() {
        return Some(format!("`{name}` holds {:?}, not floats", t.kind()));
    }
    let wide = if t.kind() == Kind::Double { Kind::Double } else { Kind::Float };
    let has = |mask: Tensor| bool::try_from(mask.any()).expect("one number");
    let values = t.detach().to_kind(wide);
    if param.role == Role::Fixed {
        let same = values.equal(&param.tensor.to_kind(wide).to_device(values.device()));
        return (!same).then(|| format!("`{name}` is not what this network always has there"));
    }
    let stored = values.to_kind(Kind::Float);
    match () {
        () if has(values.isnan()) => Some(format!("`{name}` has NaN in it")),
        () if has(stored.isinf()) => Some(format!("`{name}` has infinite values")),
        () if param.role == Role::Variance && has(values.lt(0.)) => {
            Some(format!("`{name}` has negative variances"))
        }
        () => None,
    }
}
