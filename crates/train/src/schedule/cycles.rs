//! One cycle several times over, with warm restarts (Loshchilov & Hutter 2017).

use super::{Schedule, check_peak, cycle, quarter};
use anyhow::{Result, ensure};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};

/// In the list of schedules.
pub(super) const ENTRY: Entry<dyn Schedule> = Entry {
    name: "cycles",
    about: "one-cycle several times over, with warm restarts (Loshchilov & Hutter 2017)",
    options: described::<Cycles>(&[
        ("lengths", "of the cycles, relative to each other"),
        ("heights", "factor at the top of each cycle, in [0, 1]"),
        ("peak", "where the top is, as a share of each cycle, in (0, 1)"),
    ])
    .needing(&[("lengths", "[3, 2]"), ("heights", "[1, 0.5]")]),
    build: |t| {
        let cycles: Cycles = registry::options(t)?;
        cycles.check()?;
        Ok(Box::new(cycles))
    },
};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Cycles {
    lengths: Vec<f64>,
    heights: Vec<f64>,
    #[serde(default = "quarter")]
    peak: f64,
}

impl Cycles {
    fn check(&self) -> Result<()> {
        let (lengths, heights) = (&self.lengths, &self.heights);
        ensure!(
            !lengths.is_empty() && lengths.len() == heights.len(),
            "{} `lengths`, {} `heights`; give one of each per cycle",
            lengths.len(),
            heights.len()
        );
        ensure!(lengths.iter().all(|l| *l > 0. && l.is_finite()), "`lengths` must be positive");
        ensure!(heights.iter().all(|h| (0. ..=1.).contains(h)), "`heights` must be in [0, 1]");
        check_peak(self.peak)
    }
}

impl Schedule for Cycles {
    fn factor(&self, at: f64, of: f64) -> f64 {
        let total: f64 = self.lengths.iter().sum();
        let mut start = 0.;
        for (length, height) in self.lengths.iter().zip(&self.heights) {
            let length = of * length / total;
            if at < start + length {
                return height * cycle((at - start) / length, self.peak);
            }
            start += length;
        }
        0.
    }
}
