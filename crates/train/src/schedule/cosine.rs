//! Half a cosine down to 0 (Loshchilov & Hutter 2017).

use super::{Schedule, check_warmup, warm};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};

/// In the list of schedules.
pub(super) const ENTRY: Entry<dyn Schedule> = Entry {
    name: "cosine",
    about: "half a cosine down to 0 (Loshchilov & Hutter 2017)",
    options: described::<Cosine>(&[("warmup", "epochs of a linear rise from 0")])
        .alias(&["CosineAnnealingLR"]),
    build: |t| {
        let cosine: Cosine = registry::options(t)?;
        check_warmup(cosine.warmup)?;
        Ok(Box::new(cosine))
    },
};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Cosine {
    #[serde(default)]
    warmup: f64,
}

impl Schedule for Cosine {
    fn factor(&self, at: f64, of: f64) -> f64 {
        let done = ((at - self.warmup) / (of - self.warmup).max(f64::MIN_POSITIVE)).clamp(0., 1.);
        warm(at, self.warmup) * 0.5 * (1. + (std::f64::consts::PI * done).cos())
    }
}
