//! The learning rate as it is.

use super::{Schedule, check_warmup, warm};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};

/// In the list of schedules.
pub(super) const ENTRY: Entry<dyn Schedule> = Entry {
    name: "constant",
    about: "the learning rate stays",
    options: described::<Constant>(&[("warmup", "epochs of a linear rise from 0")]),
    build: |t| {
        let constant: Constant = registry::options(t)?;
        check_warmup(constant.warmup)?;
        Ok(Box::new(constant))
    },
};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Constant {
    #[serde(default)]
    warmup: f64,
}

impl Schedule for Constant {
    fn factor(&self, at: f64, _of: f64) -> f64 {
        warm(at, self.warmup)
    }
}
