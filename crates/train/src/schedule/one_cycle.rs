//! Linear up, then linear down to 0 (Smith 2018).

use super::{Schedule, check_peak, cycle, quarter};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};

/// In the list of schedules.
pub(super) const ENTRY: Entry<dyn Schedule> = Entry {
    name: "one-cycle",
    about: "linear up, then linear down to 0 (Smith 2018)",
    options: described::<OneCycle>(&[(
        "peak",
        "where the top is, as a share of the run, in (0, 1)",
    )]),
    build: |t| {
        let cycle: OneCycle = registry::options(t)?;
        check_peak(cycle.peak)?;
        Ok(Box::new(cycle))
    },
};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct OneCycle {
    #[serde(default = "quarter")]
    peak: f64,
}

impl Schedule for OneCycle {
    fn factor(&self, at: f64, of: f64) -> f64 {
        cycle(at / of, self.peak)
    }
}
